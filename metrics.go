package sallyport

import (
	"net/http"
	"time"

	"github.com/sallyport-id/sallyport/internal/authn"
	"github.com/sallyport-id/sallyport/internal/clientkey"
	"github.com/sallyport-id/sallyport/internal/keys"
	"github.com/sallyport-id/sallyport/internal/metric"
)

// Metrics answers a scrape of Prometheus. It belongs on a listener that nobody
// reaches from outside; the names are in docs/operate/monitor.md.
func (s *Server) Metrics() http.Handler { return s.metrics.Handler() }

// sources are the parts that count for themselves.
func (s *Server) sources(hasher *authn.Hasher, ring *keys.Ring, clientKeys *clientkey.Cache) metric.Sources {
	return metric.Sources{
		Store: func() metric.Store {
			st := s.store.Stats()
			return metric.Store{
				Commits: st.Commits, Writes: st.Writes, Waiting: st.Waiting, WaitingTokens: st.WaitingTokens,
				ConnectionsInUse: st.Connections.InUse, ConnectionsIdle: st.Connections.Idle,
				ConnectionWaits: st.Connections.WaitCount, ConnectionWaited: st.Connections.WaitDuration,
			}
		},
		Hashes: func() metric.Hashes {
			h := hasher.Stats()
			return metric.Hashes{Running: h.Running, Waiting: h.Waiting, WaitingKnown: h.WaitingKnown, Done: h.Done, Refused: h.Refused}
		},
		Mail: func() metric.Mail {
			if s.sender == nil {
				return metric.Mail{}
			}
			m := s.sender.Stats()
			return metric.Mail{Sent: m.Sent, Failed: m.Failed, Pending: m.Pending, Dead: m.Dead}
		},
		ClientKeys: func() metric.ClientKeys { return metric.ClientKeys(clientKeys.Stats()) },
		Logouts: func() metric.Logouts {
			l := s.logouts.Stats()
			return metric.Logouts{Delivered: l.Delivered, Refused: l.Refused, GivenUp: l.GivenUp, Failed: l.Failed, Pending: l.Pending, Failing: l.Failing}
		},
		MetadataUntil: func() time.Time {
			if s.metadata == nil {
				return time.Time{}
			}
			return time.Unix(s.metadataUntil.Load(), 0)
		},
		Keys: func() map[string]time.Time {
			made := map[string]time.Time{}
			for _, alg := range []string{keys.RS256, keys.ES256, keys.EdDSA} {
				if k, ok := ring.Load().Signer(alg); ok {
					made[alg] = k.CreatedAt
				}
			}
			return made
		},
	}
}
