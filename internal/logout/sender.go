package logout

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sallyport-id/sallyport/internal/keys"
	"github.com/sallyport-id/sallyport/internal/oidc"
	"github.com/sallyport-id/sallyport/internal/store"
)

const (
	lookEvery = time.Second // how often messages are looked for, besides
	lease     = time.Minute
	firstWait = 10 * time.Second // before the second attempt; twice as long each time
	longest   = 5 * time.Minute

	// How many requests are under way at most: all, and to one client.
	atOnce    = 64
	perClient = 4
)

// Poster sends a form and returns the answer's status. Its errors are for the
// operator, and quote nothing of an answer.
type Poster interface {
	PostForm(ctx context.Context, to string, form url.Values) (status int, err error)
}

// Sender sends the messages of logouts. Several may share them: each is claimed. A
// client that does not answer holds up no other: each has requests of its own, and
// rests after one that failed.
type Sender struct {
	Store interface {
		store.Logouts
		store.Clients
	}
	Keys *keys.Ring
	// Subjects knows what users are called at clients.
	Subjects *keys.Subjects
	Issuer   string
	Poster   Poster
	// Wake says that there may be messages. Without it they are found within a second.
	Wake <-chan struct{}
	Log  *slog.Logger
	Now  func() time.Time

	mu       sync.Mutex
	running  map[string]int       // by client
	total    int                  // of running
	rests    map[string]time.Time // until when a client is left alone
	underWay sync.WaitGroup

	delivered, refused, failed, givenUp atomic.Int64
	pending, failing                    atomic.Int64
}

// Stats says what became of messages since the start, how many attempts failed, and
// what waited at the last look.
type Stats struct {
	Delivered, Refused, Failed, GivenUp int64
	Pending, Failing                    int64
}

// Stats returns the counts.
func (s *Sender) Stats() Stats {
	return Stats{
		Delivered: s.delivered.Load(), Refused: s.refused.Load(), Failed: s.failed.Load(), GivenUp: s.givenUp.Load(),
		Pending: s.pending.Load(), Failing: s.failing.Load(),
	}
}

// Run sends until ctx ends: at once when it is woken, and each second, for other
// servers and commands write messages, too.
func (s *Sender) Run(ctx context.Context) {
	defer s.underWay.Wait()
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.Wake:
		case <-tick.C:
			s.count(ctx)
		}
		if err := s.look(ctx); err != nil && ctx.Err() == nil {
			s.Log.ErrorContext(ctx, "logouts", "error", err)
		}
	}
}

// SendDue sends what is due, and returns when nothing is, or the clients that it is
// for are in trouble. An error is the store's.
func (s *Sender) SendDue(ctx context.Context) error {
	err := s.look(ctx)
	s.underWay.Wait()
	s.count(ctx)
	return err
}

// count is for those who watch: how much waits.
func (s *Sender) count(ctx context.Context) {
	if n, err := s.Store.CountLogouts(ctx, ""); err == nil {
		s.pending.Store(int64(n.Pending))
		s.failing.Store(int64(n.Failing))
	}
}

// look begins one more request to each client that a message is due for, as far as
// that may be.
func (s *Sender) look(ctx context.Context) error {
	clients, err := s.Store.LogoutClients(ctx, s.Now())
	if err != nil {
		return fmt.Errorf("look for logouts: %w", err)
	}
	for _, id := range clients {
		if s.begin(id) {
			s.underWay.Go(func() {
				defer s.end(id)
				s.serve(ctx, id)
			})
		}
	}
	return nil
}

func (s *Sender) begin(id string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.total >= atOnce || s.running[id] >= perClient || s.Now().Before(s.rests[id]) {
		return false
	}
	if s.running == nil {
		s.running, s.rests = map[string]int{}, map[string]time.Time{}
	}
	s.total++
	s.running[id]++
	return true
}

func (s *Sender) end(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.total--
	if s.running[id]--; s.running[id] == 0 {
		delete(s.running, id)
	}
}

// rest leaves a client alone for a while; the zero time ends that.
func (s *Sender) rest(id string, until time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if until.IsZero() {
		delete(s.rests, id)
		return
	}
	s.rests[id] = until
}

// serve sends a client one message after the other, until nothing is due or it is in
// trouble.
func (s *Sender) serve(ctx context.Context, id string) {
	for ctx.Err() == nil {
		m, err := s.Store.NextLogout(ctx, id, s.Now(), lease)
		if errors.Is(err, store.ErrNotFound) {
			return
		}
		goOn := false
		if err == nil {
			goOn, err = s.deliver(ctx, m)
		}
		if err != nil && ctx.Err() == nil {
			s.Log.ErrorContext(ctx, "logouts", "client", id, "error", err)
		}
		if err != nil || !goOn {
			return
		}
	}
}

// deliver sends one message and says how it went; goOn unless the client is in
// trouble.
func (s *Sender) deliver(ctx context.Context, m *store.Logout) (goOn bool, err error) {
	c, err := s.Store.Client(ctx, m.ClientID)
	switch {
	case errors.Is(err, store.ErrNotFound) || err == nil && c.BackchannelLogoutURI == "": // nobody to tell, any more
		return true, s.Store.EndLogout(ctx, m.ID)
	case err != nil:
		return false, fmt.Errorf("load client: %w", err)
	case !s.Now().Before(m.At.Add(store.LogoutKept)):
		s.givenUp.Add(1)
		return true, s.Store.EndLogout(ctx, m.ID, s.event(m, store.EventLogoutGivenUp, m.Error))
	}
	status, err := s.Send(ctx, c, s.Subjects.Of(c, m.UserID), m.SID)
	if err != nil && ctx.Err() != nil {
		return false, nil // the claim ends by itself
	}
	ctx = context.WithoutCancel(ctx) // what came back is noted, though the server stops
	switch {
	case err == nil && Took(status):
		s.delivered.Add(1)
		s.rest(c.ID, time.Time{})
		return true, s.Store.EndLogout(ctx, m.ID, s.event(m, store.EventLogoutDelivered, fmt.Sprint(m.Attempts)))
	case err == nil && status == http.StatusBadRequest:
		s.refused.Add(1)
		s.Log.WarnContext(ctx, "logout refused", "client", c.ID, "status", status)
		return true, s.Store.EndLogout(ctx, m.ID, s.event(m, store.EventLogoutRefused, ""))
	case err == nil:
		err = fmt.Errorf("it answered with %d", status)
	}
	return false, s.giveBack(ctx, m, err)
}

// giveBack ends the claim of a message that did not arrive, unless another sender has
// it by now, and leaves the client alone until it is due again.
func (s *Sender) giveBack(ctx context.Context, m *store.Logout, why error) error {
	s.failed.Add(1)
	retry := s.Now().Add(wait(m.Attempts))
	s.rest(m.ClientID, retry)
	s.Log.WarnContext(ctx, "logout not delivered", "client", m.ClientID, "attempt", m.Attempts, "error", why)
	err := s.Store.LogoutFailed(ctx, m, retry, why.Error())
	if errors.Is(err, store.ErrStale) {
		return nil
	}
	return err
}

// wait is how long a message waits after so many attempts.
func wait(attempts int) time.Duration {
	return min(longest, firstWait<<min(max(attempts-1, 0), 10))
}

// Send makes a logout token of a user and a session's name, and sends it to the
// client (OpenID Connect Back-Channel Logout §2.5).
func (s *Sender) Send(ctx context.Context, c *oidc.Client, subject, sid string) (status int, err error) {
	token, err := logoutToken(s.Keys.Load(), s.Issuer, c, subject, sid, s.Now())
	if err != nil {
		return 0, err
	}
	return s.Poster.PostForm(ctx, c.BackchannelLogoutURI, url.Values{"logout_token": {token}})
}

// Took reports whether a client's answer is that it has logged the user out. Some
// frameworks make 204 of an empty one (OpenID Connect Back-Channel Logout §2.8).
func Took(status int) bool { return status == http.StatusOK || status == http.StatusNoContent }

func (s *Sender) event(m *store.Logout, kind, detail string) store.Event {
	return store.Event{At: s.Now(), Type: kind, UserID: m.UserID, ClientID: m.ClientID, Detail: detail}
}
