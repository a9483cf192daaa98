// Package sallyport is a self-hosted OAuth 2.0 and OpenID Connect server with
// second factors built in, as an http.Handler. The command sallyport is a thin
// caller of it. Applications that sign people in with it use package rp.
package sallyport

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sallyport-id/sallyport/internal/admin"
	"github.com/sallyport-id/sallyport/internal/authn"
	"github.com/sallyport-id/sallyport/internal/clientkey"
	"github.com/sallyport-id/sallyport/internal/fetch"
	"github.com/sallyport-id/sallyport/internal/flow"
	"github.com/sallyport-id/sallyport/internal/keys"
	"github.com/sallyport-id/sallyport/internal/logout"
	"github.com/sallyport-id/sallyport/internal/mail"
	"github.com/sallyport-id/sallyport/internal/metric"
	"github.com/sallyport-id/sallyport/internal/policy"
	"github.com/sallyport-id/sallyport/internal/rulebook"
	"github.com/sallyport-id/sallyport/internal/store"
	"github.com/sallyport-id/sallyport/internal/store/sqlstore"
	"github.com/sallyport-id/sallyport/internal/token"
	"github.com/sallyport-id/sallyport/internal/web"
	"github.com/sallyport-id/sallyport/internal/web/page"
)

// sweepEvery is how often expired rows are deleted.
const sweepEvery = time.Minute

// Server is a running server. It starts nothing that Close does not stop, sets
// no global and reads no environment, except what Config.Database says.
type Server struct {
	http.Handler
	// Store and Admin are for the command that runs the server.
	store   *sqlstore.Store
	admin   *admin.Admin
	keeper  *keys.Keeper
	metrics *metric.Metrics
	book    *rulebook.Book // nil: the rules are the configuration's
	sender  *mail.Sender   // nil: there is no mail
	logouts *logout.Sender
	fetch   *fetch.Client // every request of the server's own, but to a database or a mail server
	// metadata of authenticators are nil where none are configured; relyingParty uses them.
	metadata      *metadataFiles
	metadataUntil atomic.Int64 // seconds
	relyingParty  *authn.RelyingParty
	config        Config
	stop          context.CancelFunc
	done          sync.WaitGroup
}

// New opens the database, makes the first signing keys if there are none, and
// returns the server. ctx bounds the start only.
func New(ctx context.Context, c Config) (*Server, error) {
	c = c.withDefaults()
	if err := c.check(); err != nil {
		return nil, err
	}
	sealer, err := c.sealer()
	if err != nil {
		return nil, err
	}
	db, err := sqlstore.Open(ctx, sqlstore.At(c.Database))
	if err != nil {
		return nil, fmt.Errorf("sallyport: open database: %w", err)
	}
	s := &Server{store: db, config: c, fetch: fetch.New(fetch.Config{Allow: c.OutboundAllow, RootCAs: c.outboundRoots})}
	if err := s.wire(ctx, sealer); err != nil {
		return nil, errors.Join(fmt.Errorf("sallyport: %w", err), db.Close())
	}
	background, stop := context.WithCancel(context.Background())
	s.stop = stop
	s.done.Go(func() { every(background, sweepEvery, s.sweep) })
	s.done.Go(func() { every(background, sweepEvery, s.rotateKeys) })
	s.done.Go(func() { every(background, keys.RefreshEvery, s.refreshKeys) })
	if s.metadata != nil && !c.metadataByHand {
		s.done.Go(func() { every(background, metadataEvery, s.refreshMetadata) })
	}
	if s.sender != nil && !c.mailByHand {
		s.done.Go(func() { s.sender.Run(background) })
	}
	if !c.logoutsByHand {
		s.done.Go(func() { s.logouts.Run(background) })
	}
	return s, nil
}

// wire builds the parts and hands them to each other.
func (s *Server) wire(ctx context.Context, sealer *keys.Sealer) error {
	c := s.config
	issuer, err := url.Parse(c.Issuer)
	if err != nil {
		return fmt.Errorf("issuer: %w", err)
	}
	s.keeper = &keys.Keeper{Store: s.store, Sealer: sealer, Plan: keys.NewPlan(c.KeyRotation, c.SessionTTL), Now: c.Now}
	if err := s.keeper.Start(ctx); err != nil {
		return fmt.Errorf("signing keys: %w", err)
	}
	ring := &s.keeper.Ring
	subjects, err := keys.OpenSubjects(ctx, s.store, sealer)
	if err != nil {
		return err
	}
	pages, err := page.New(nil)
	if err != nil {
		return fmt.Errorf("pages: %w", err)
	}
	rules, err := s.rules(ctx)
	if err != nil {
		return err
	}
	relyingParty, err := authn.NewRelyingParty(issuer)
	if err != nil {
		return err
	}
	if err := s.wireMetadata(relyingParty); err != nil {
		return err
	}
	hasher := authn.NewHasher(c.hasher)
	clientKeys := &clientkey.Cache{Fetch: s.fetch, Log: c.Log, Now: c.Now}
	tokens := &token.Service{Store: s.store, Policy: rules, Keys: ring, ClientKeys: clientKeys, Sealer: sealer, Issuer: c.Issuer, Subjects: subjects, NonceKey: sealer.Derive("dpop nonce"), Now: c.Now, WebAuthn: relyingParty}
	engine := &flow.Engine{
		Store: s.store, Policy: rules, Sealer: sealer, Hasher: hasher, WebAuthn: relyingParty, Hint: tokens.HintSubject, Subjects: subjects,
		Enrollment: c.Enrollment, Registration: c.registration(),
		SessionIdle: c.SessionIdle, SessionTTL: c.SessionTTL, Now: c.Now,
	}
	if err := s.wireMail(ctx, issuer, authn.NewMailKey(sealer)); err != nil {
		return err
	}
	s.logouts = &logout.Sender{Store: s.store, Keys: ring, Subjects: subjects, Issuer: c.Issuer, Poster: s.fetch, Wake: s.store.LogoutsWait(), Log: c.Log, Now: c.Now}
	s.metrics = metric.New(s.sources(hasher, ring, clientKeys))
	s.admin = &admin.Admin{Store: s.store, Hasher: hasher, Sealer: sealer, Issuer: c.Issuer, Now: c.Now}
	s.Handler, err = web.New(web.Config{
		Issuer: issuer, Flow: engine, Tokens: tokens, Keys: ring, Store: s.store, Pages: pages, ResetsByMail: s.sender != nil && !c.NoPasswordByMail,
		Checker:    &authn.Checker{Store: s.store, Hasher: hasher, Sealer: sealer, ThrottleKey: authn.ThrottleKey(sealer), MailKey: authn.NewMailKey(sealer), Now: c.Now},
		IsOperator: func(proof string) bool { return sealer.ProofIs(proof, "doctor", c.Now()) },
		CSRFKey:    sealer.Derive("csrf"), KnownKey: sealer.Derive("known browser"),
		Limits: c.limits(), Metrics: s.metrics, TrustedProxies: c.TrustedProxies, Log: c.Log, Now: c.Now,
	})
	return err
}

// rules are the configuration's or, if it has none, the store's.
func (s *Server) rules(ctx context.Context) (policy.Source, error) {
	if s.config.Policy != nil {
		return policy.Policy{Rules: s.config.Policy, MailCodes: s.config.EmailCodes}.Fixed(), nil
	}
	book, err := rulebook.Open(ctx, s.store, s.config.Now, s.config.Log)
	if err != nil {
		return nil, fmt.Errorf("policy: %w", err)
	}
	s.book = book
	return func(ctx context.Context) (policy.Policy, error) {
		p, err := book.Policy(ctx)
		p.MailCodes = s.config.EmailCodes
		return p, err
	}, nil
}

// wireMail makes the sender, and tells whoever records events with this database
// whether there is one.
func (s *Server) wireMail(ctx context.Context, issuer *url.URL, key authn.MailKey) error {
	sends := ""
	if s.config.SMTP != nil {
		sends = store.MetaMailOn
		s.sender = &mail.Sender{Store: s.store, SMTP: s.config.SMTP, Issuer: issuer, Code: mailedCode(key), Log: s.config.Log, Now: s.config.Now}
	}
	before, err := s.store.Meta(ctx, store.MetaMail)
	if err != nil || before == sends {
		return err
	}
	return s.store.SetMeta(ctx, store.MetaMail, sends)
}

// mailedCode makes the code of a mail as it is read.
func mailedCode(key authn.MailKey) func(*store.Mail) string {
	return func(m *store.Mail) string { return authn.FormatMailCode(key.Code(m.ID, m.Kind, m.To, m.Interaction)) }
}

// refreshKeys takes up what this and other processes did with the signing keys.
func (s *Server) refreshKeys(ctx context.Context) {
	failed := s.keeper.Err() != nil
	switch err := s.keeper.Refresh(ctx); {
	case ctx.Err() != nil:
	case err != nil && !failed: // said once
		s.config.Log.ErrorContext(ctx, "signing keys cannot be read", "error", err)
	case err == nil && failed:
		s.config.Log.InfoContext(ctx, "signing keys are read again")
	}
}

// rotateKeys publishes the next signing keys when it is time.
func (s *Server) rotateKeys(ctx context.Context) {
	made, err := s.keeper.RotateDue(ctx)
	for _, k := range made {
		s.config.Log.InfoContext(ctx, "next signing key published", "alg", k.Alg, "kid", k.ID, "signs_from", k.NotBefore)
	}
	if err != nil && ctx.Err() == nil {
		s.config.Log.ErrorContext(ctx, "signing keys cannot be rotated", "error", err)
	}
}

// limits are far above what a person does and far below what hurts.
func (c Config) limits() web.Limits {
	if c.InsecureNoLimits {
		return web.Limits{}
	}
	return web.Limits{
		Pages:    web.Rate{Burst: 200, Every: 50 * time.Millisecond},
		Failures: web.Rate{Burst: 50, Every: time.Second},
	}
}

// every does something from time to time until ctx ends.
func every(ctx context.Context, interval time.Duration, do func(context.Context)) {
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			do(ctx)
		}
	}
}

// sweep deletes expired rows and old events.
func (s *Server) sweep(ctx context.Context) {
	if err := s.sweepOnce(ctx, s.config.Now()); err != nil && ctx.Err() == nil {
		s.config.Log.ErrorContext(ctx, "sweep failed", "error", err)
	}
}

func (s *Server) sweepOnce(ctx context.Context, now time.Time) error {
	if err := s.store.Sweep(ctx, now); err != nil || s.config.AuditKeep < 0 {
		return err
	}
	return s.store.ForgetEvents(ctx, now.Add(-s.config.AuditKeep))
}

// Close stops what New started and closes the database. Requests under way
// should have ended before.
func (s *Server) Close() error {
	s.stop()
	s.done.Wait()
	s.fetch.Close()
	return s.store.Close()
}

// Admin is what an operator can do, for the command that runs the server.
func (s *Server) Admin() *admin.Admin { return s.admin }

// Store is where the server keeps things, for the command that runs it.
func (s *Server) Store() store.Store { return s.store }

// The errors of Ready.
var (
	ErrClock       = errors.New("sallyport: the clock is more than 2 s off the database's")
	ErrSigningKeys = errors.New("sallyport: the signing keys cannot be read")
	ErrPolicy      = errors.New("sallyport: the rules of the policy cannot be read")
)

// Ready is nil if the server is to be sent requests. ErrClock: its clock and the
// database's disagree about when keys sign and what has expired. ErrSigningKeys:
// it cannot keep up with other servers' keys. ErrPolicy: it cannot take up the rules that
// the database has, and the last ones apply. Anything else: the database does not
// answer, or takes no writes; it writes only after a write has failed.
func (s *Server) Ready(ctx context.Context) error {
	if err := s.store.Ready(ctx); err != nil {
		return fmt.Errorf("sallyport: %w", err)
	}
	err := s.keeper.Err()
	if errors.Is(err, store.ErrUnavailable) {
		err = s.keeper.Refresh(ctx) // the database is back
	}
	if err != nil {
		return fmt.Errorf("%w: %w", ErrSigningKeys, err)
	}
	if s.book != nil {
		if err := s.book.Check(ctx); errors.Is(err, rulebook.ErrUnreadable) {
			return fmt.Errorf("%w: %w", ErrPolicy, err)
		}
	}
	return s.checkClock(ctx)
}

// checkClock takes the way to the database for no error of the clock.
func (s *Server) checkClock(ctx context.Context) error {
	before := s.config.Now()
	there, err := s.store.Clock(ctx)
	if err != nil {
		return fmt.Errorf("sallyport: read clock: %w", err)
	}
	if off := max(before.Sub(there), there.Sub(s.config.Now())); off > keys.MaxClockSkew {
		return fmt.Errorf("%w: by %v", ErrClock, off.Round(time.Millisecond))
	}
	return nil
}

// Failed is closed when a commit has failed. Nothing is written from then on; the
// process should end, and start again.
func (s *Server) Failed() <-chan struct{} { return s.store.Failed() }

// Err is nil, or the reason why Failed is closed.
func (s *Server) Err() error { return s.store.Err() }

// Commits is the number of database transactions since the start.
func (s *Server) Commits() int64 { return s.store.Commits() }
