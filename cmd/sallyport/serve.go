package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/sallyport-id/sallyport"
	"github.com/sallyport-id/sallyport/internal/keys"
)

type serveCmd struct {
	configFlag
}

// Run serves until a signal.
func (c *serveCmd) Run() error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	s, _, err := c.load()
	if err != nil {
		return err
	}
	return serve(ctx, s, os.Stderr)
}

// serverConfig is the part of the settings that the server itself needs.
func (s *settings) serverConfig(database string, masters []keys.MasterKey, log *slog.Logger) sallyport.Config {
	auditKeep := s.AuditKeep
	if auditKeep == 0 {
		auditKeep = sallyport.AuditKeepAll
	}
	c := sallyport.Config{
		Issuer: s.Issuer, InsecureHTTPIssuer: s.InsecureHTTPIssuer, TrustedProxies: s.TrustedProxies, OutboundAllow: s.OutboundAllow,
		Database: database, MasterKey: masters[0],
		Policy: s.Policy.policy(), Enrollment: s.enrollment(), Registration: s.Registration, RegistrationDomains: s.RegistrationDomains,
		SessionIdle: s.SessionIdle, SessionTTL: s.SessionTTL,
		KeyRotation: s.KeyRotation, AuditKeep: auditKeep, Metadata: s.metadata(), Log: log,
		NoPasswordByMail: !s.PasswordResetByMail, EmailCodes: s.EmailCodes,
	}
	for _, old := range masters[1:] {
		c.OldMasterKeys = append(c.OldMasterKeys, old)
	}
	return c
}

// serve answers until ctx ends or the server cannot go on. Before it listens it
// has refused whatever is not an installation.
func serve(ctx context.Context, s settings, stderr io.Writer) error {
	log := slog.New(slog.NewJSONHandler(stderr, &slog.HandlerOptions{Level: s.LogLevel}))
	database, err := s.databaseAt()
	if err != nil {
		return err
	}
	if err := checkInstalled(ctx, database); err != nil {
		return err
	}
	masters, err := keys.ReadKeyFile(s.KeyFile)
	if err != nil {
		return err
	}
	tlsConfig, err := s.tlsConfig(log)
	if err != nil {
		return err
	}
	config := s.serverConfig(database, masters, log)
	if config.SMTP, err = s.smtp(); err != nil {
		return err
	}
	server, err := sallyport.New(ctx, config)
	if err != nil {
		return err
	}
	r := &running{
		handler: server, metrics: server.Metrics(), tls: tlsConfig, log: log, drain: s.DrainTimeout, waits: usualWaits(),
		failed: server.Failed(), why: server.Err,
		ready: server.Ready,
	}
	if err := r.listen(s.Listen, s.PrivateListen); err != nil {
		return errors.Join(err, server.Close())
	}
	log.Info("serving", "issuer", s.Issuer, "listen", r.public.Addr().String(), "tls", tlsConfig != nil)
	return errors.Join(r.serve(ctx), server.Close())
}

// running is a server with its listeners.
type running struct {
	handler http.Handler
	metrics http.Handler
	tls     *tls.Config // nil: plain
	log     *slog.Logger
	drain   time.Duration // how long requests may take to end
	waits   waits
	// failed is closed when the store can write no more, and why says why.
	failed <-chan struct{}
	why    func() error
	ready  func(context.Context) error // as Server.Ready

	public, private net.Listener // private is nil for none
	draining        atomic.Bool
}

func (r *running) listen(public, private string) (err error) {
	if r.public, err = net.Listen("tcp", public); err != nil || private == "" {
		return err
	}
	if r.private, err = net.Listen("tcp", private); err != nil {
		return errors.Join(fmt.Errorf("private_listen: %w", err), r.public.Close())
	}
	return nil
}

// serve returns nil after a drain that ctx has asked for, else what went wrong.
func (r *running) serve(ctx context.Context) error {
	ended := make(chan error, 2)
	public := r.httpServer(r.handler)
	public.TLSConfig = r.tls
	listener := newBounded(r.public, public, mostConnections)
	go func() {
		if r.tls != nil {
			ended <- public.ServeTLS(listener, "", "")
			return
		}
		ended <- public.Serve(listener)
	}()
	private := r.httpServer(r.forOperators())
	private.WriteTimeout = 5 * time.Minute // a profile is written while it is taken
	if r.private != nil {
		go func() { ended <- private.Serve(r.private) }()
	}
	defer private.Close()
	select {
	case err := <-ended:
		return errors.Join(err, public.Close())
	case <-r.failed:
		r.log.Error("the store has failed", "error", r.why())
		return errors.Join(fmt.Errorf("the store has failed: %w", r.why()), public.Close())
	case <-ctx.Done():
		return r.shutdown(public)
	}
}

// shutdown takes no new connection and lets requests end.
func (r *running) shutdown(public *http.Server) error {
	r.draining.Store(true)
	r.log.Info("draining", "at_most", r.drain.String())
	ctx, cancel := context.WithTimeout(context.Background(), r.drain)
	defer cancel()
	if err := public.Shutdown(ctx); err != nil {
		return errors.Join(fmt.Errorf("requests were cut off after drain_timeout: %w", err), public.Close())
	}
	r.log.Info("stopped")
	return nil
}

// waits are how long the server waits for a peer: for a request's header, for all
// of it, until the answer is taken, and for the next request.
type waits struct{ header, request, answer, next time.Duration }

func usualWaits() waits {
	return waits{header: 5 * time.Second, request: 15 * time.Second, answer: 30 * time.Second, next: 2 * time.Minute}
}

// mostStreams is how many requests one HTTP/2 connection may have under way: more
// than a browser's page needs.
const mostStreams = 100

// httpServer bounds what a slow or talkative peer can cost.
func (r *running) httpServer(h http.Handler) *http.Server {
	return &http.Server{
		Handler: h, ReadHeaderTimeout: r.waits.header, ReadTimeout: r.waits.request,
		WriteTimeout: r.waits.answer, IdleTimeout: r.waits.next, MaxHeaderBytes: 32 << 10,
		HTTP2:    &http.HTTP2Config{MaxConcurrentStreams: mostStreams},
		ErrorLog: slog.NewLogLogger(r.log.Handler(), slog.LevelDebug),
	}
}
