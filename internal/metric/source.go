package metric

import (
	"runtime/debug"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Sources are asked at each scrape.
type Sources struct {
	Store      func() Store
	Hashes     func() Hashes
	Mail       func() Mail
	ClientKeys func() ClientKeys
	// Logouts are those that clients are told of.
	Logouts func() Logouts
	// MetadataUntil is when the next metadata of authenticators are due; zero: there are none.
	MetadataUntil func() time.Time
	// Keys returns when the key that signs was made, by algorithm.
	Keys func() map[string]time.Time
}

// Store is what the database has done, and who waits for it.
type Store struct {
	Commits, Writes        int64 // writes share commits on SQLite
	Waiting, WaitingTokens int   // writes in line, SQLite alone
	// The connections: those that read on SQLite, all on PostgreSQL.
	ConnectionsInUse, ConnectionsIdle int
	ConnectionWaits                   int64
	ConnectionWaited                  time.Duration
}

// Hashes are those of passwords and recovery codes.
type Hashes struct {
	Running, Waiting, WaitingKnown int // known browsers have a line of their own
	Done, Refused                  int64
}

// Mail is what was sent, and what was in the outbox at the last look.
type Mail struct{ Sent, Failed, Pending, Dead int64 }

// ClientKeys are requests to clients' jwks_uris.
type ClientKeys struct{ Fetched, Failed int64 }

// Logouts is what became of the messages, how many attempts failed, and how many waited
// at the last look; Failing are those of them that were tried in vain.
type Logouts struct{ Delivered, Refused, GivenUp, Failed, Pending, Failing int64 }

// sourceCollector turns what the sources say into metrics.
type sourceCollector struct {
	Sources
	commits, writes, waiting                     *prometheus.Desc
	connections, connectionWaits, connectionWait *prometheus.Desc
	hashes, hashesRefused, running, hashWaiting  *prometheus.Desc
	keyMade, mailsSent, mailsFailed, mails       *prometheus.Desc
	metadataUntil, clientKeys                    *prometheus.Desc
	logoutsDone, logoutsFailed, logouts          *prometheus.Desc
}

func newSourceCollector(s Sources) *sourceCollector {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc(namespace+"_"+name, help, labels, nil)
	}
	return &sourceCollector{
		Sources:         s,
		commits:         desc("store_commits_total", "Transactions committed."),
		writes:          desc("store_writes_total", "Writes committed. On SQLite those that wait share a transaction."),
		waiting:         desc("store_writes_waiting", "Writes in line for the one writer of SQLite, by lane; 0 on PostgreSQL.", "lane"),
		connections:     desc("store_connections", "Connections to the database (SQLite: those that read), by state.", "state"),
		connectionWaits: desc("store_connection_waits_total", "Waits for a free connection."),
		connectionWait:  desc("store_connection_wait_seconds_total", "Time waited for a free connection."),
		hashes:          desc("password_hashes_total", "Slow hashes of passwords and recovery codes computed."),
		hashesRefused:   desc("password_hashes_refused_total", "Slow hashes refused because the line was full."),
		running:         desc("password_hashes_running", "Slow hashes being computed."),
		hashWaiting:     desc("password_hashes_waiting", "Slow hashes in line, by lane.", "lane"),
		mailsSent:       desc("mails_sent_total", "Mails that the SMTP server took."),
		mailsFailed:     desc("mails_failed_total", "Attempts to send a mail that failed."),
		mails:           desc("mails", "Mails in the outbox, by state: pending, or dead.", "state"),
		logoutsDone:     desc("logouts_total", "Messages of logouts that are done with, by outcome: delivered, refused by the application, or given_up.", "outcome"),
		logoutsFailed:   desc("logouts_failed_total", "Attempts to tell an application of a logout that failed."),
		logouts:         desc("logouts", "Messages of logouts that wait, by state: pending, or failing after an attempt.", "state"),
		keyMade:         desc("signing_key_created_timestamp_seconds", "When the key that signs now was made, by algorithm.", "alg"),
		clientKeys:      desc("client_keys_fetches_total", "Requests to the jwks_uri of clients, by result: ok or failed.", "result"),
		metadataUntil:   desc("webauthn_metadata_next_update_timestamp_seconds", "When the next metadata of authenticators are due; not there without metadata."),
	}
}

// Describe implements prometheus.Collector.
func (c *sourceCollector) Describe(to chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{
		c.commits, c.writes, c.waiting, c.connections, c.connectionWaits, c.connectionWait,
		c.hashes, c.hashesRefused, c.running, c.hashWaiting, c.keyMade,
		c.mailsSent, c.mailsFailed, c.mails, c.metadataUntil, c.clientKeys,
		c.logoutsDone, c.logoutsFailed, c.logouts,
	} {
		to <- d
	}
}

// Collect implements prometheus.Collector.
func (c *sourceCollector) Collect(to chan<- prometheus.Metric) {
	counter := func(d *prometheus.Desc, v float64, labels ...string) {
		to <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, v, labels...)
	}
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		to <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	s, h := c.Store(), c.Hashes()
	counter(c.commits, float64(s.Commits))
	counter(c.writes, float64(s.Writes))
	gauge(c.waiting, float64(s.Waiting), "ordinary")
	gauge(c.waiting, float64(s.WaitingTokens), "tokens")
	gauge(c.connections, float64(s.ConnectionsInUse), "in_use")
	gauge(c.connections, float64(s.ConnectionsIdle), "idle")
	counter(c.connectionWaits, float64(s.ConnectionWaits))
	counter(c.connectionWait, s.ConnectionWaited.Seconds())
	counter(c.hashes, float64(h.Done))
	counter(c.hashesRefused, float64(h.Refused))
	gauge(c.running, float64(h.Running))
	gauge(c.hashWaiting, float64(h.Waiting), "strangers")
	gauge(c.hashWaiting, float64(h.WaitingKnown), "known_browsers")
	m := c.Mail()
	counter(c.mailsSent, float64(m.Sent))
	counter(c.mailsFailed, float64(m.Failed))
	gauge(c.mails, float64(m.Pending), "pending")
	gauge(c.mails, float64(m.Dead), "dead")
	k := c.ClientKeys()
	counter(c.clientKeys, float64(k.Fetched), "ok")
	counter(c.clientKeys, float64(k.Failed), "failed")
	l := c.Logouts()
	counter(c.logoutsDone, float64(l.Delivered), "delivered")
	counter(c.logoutsDone, float64(l.Refused), "refused")
	counter(c.logoutsDone, float64(l.GivenUp), "given_up")
	counter(c.logoutsFailed, float64(l.Failed))
	gauge(c.logouts, float64(l.Pending-l.Failing), "pending")
	gauge(c.logouts, float64(l.Failing), "failing")
	if until := c.MetadataUntil(); !until.IsZero() {
		gauge(c.metadataUntil, float64(until.Unix()))
	}
	for alg, made := range c.Keys() {
		gauge(c.keyMade, float64(made.Unix()), alg)
	}
}

// buildInfo is 1, with what was built.
func buildInfo() prometheus.Collector {
	labels := prometheus.Labels{"version": "(devel)", "revision": "", "go_version": ""}
	if info, ok := debug.ReadBuildInfo(); ok {
		labels["go_version"] = info.GoVersion
		if info.Main.Version != "" {
			labels["version"] = info.Main.Version
		}
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" {
				labels["revision"] = s.Value
			}
		}
	}
	g := prometheus.NewGauge(prometheus.GaugeOpts{Namespace: namespace, Name: "build_info", Help: "1, with what was built.", ConstLabels: labels})
	g.Set(1)
	return g
}
