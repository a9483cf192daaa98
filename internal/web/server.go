// Package web receives: routes, cookies, pages. It decides nothing: flow says
// what the next step of a sign-in is, token answers machines, authn checks
// people. Every handler has the same lines: load, check, record, redirect.
package web

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/sallyport-id/sallyport/internal/authn"
	"github.com/sallyport-id/sallyport/internal/flow"
	"github.com/sallyport-id/sallyport/internal/keys"
	"github.com/sallyport-id/sallyport/internal/metric"
	"github.com/sallyport-id/sallyport/internal/oidc"
	"github.com/sallyport-id/sallyport/internal/store"
	"github.com/sallyport-id/sallyport/internal/token"
	"github.com/sallyport-id/sallyport/internal/web/page"
)

// Config is what the web layer is wired to. Every field is needed but
// TrustedProxies.
type Config struct {
	// Issuer is the server's public URL; its path is the prefix of every route.
	Issuer  *url.URL
	Flow    *flow.Engine
	Checker *authn.Checker
	Tokens  *token.Service
	Keys    *keys.Ring
	Store   interface {
		store.Clients
		store.Sessions
		store.Audit
	}
	Pages *page.Renderer
	// ResetsByMail: a new password can be asked for.
	ResetsByMail bool
	// CSRFKey and KnownKey key the MACs of form tokens and of known-browser cookies.
	CSRFKey, KnownKey []byte
	Limits            Limits
	// IsOperator says whether a request's probe header comes from whoever has the
	// master key.
	IsOperator func(proof string) bool
	Metrics    *metric.Metrics
	// TrustedProxies may say, with X-Forwarded-For, whose request theirs is.
	TrustedProxies []netip.Prefix
	Log            *slog.Logger
	Now            func() time.Time
}

type server struct {
	Config
	base      string            // path prefix, "" or "/id"
	paths     map[string]string // of the routes, by their patterns
	metadata  document
	pageRate  *limiter
	guessRate *limiter
	turns     chan struct{} // taken by requests that are worked on
}

// New returns the handler of the whole server.
func New(c Config) (http.Handler, error) {
	s := &server{Config: c, base: strings.TrimSuffix(c.Issuer.EscapedPath(), "/"), turns: make(chan struct{}, mostAtOnce)}
	s.pageRate = newLimiter("pages", c.Limits.Pages, c.Now)
	s.guessRate = newLimiter("failures", c.Limits.Failures, c.Now)
	var err error
	if s.metadata, err = s.buildMetadata(); err != nil {
		return nil, fmt.Errorf("build metadata: %w", err)
	}
	return s.wrap(s.routes())
}

type route struct {
	pattern string
	handle  handler
}

// routes is every route of the server.
func (s *server) routes() *http.ServeMux {
	mux := http.NewServeMux()
	s.paths = map[string]string{}
	add := func(pattern string, h handler) {
		_, s.paths[pattern], _ = strings.Cut(pattern, " ")
		mux.Handle(pattern, s.handle(h))
	}
	for _, route := range []route{
		{"GET " + s.base + "/authorize", s.authorize},
		{"POST " + s.base + "/authorize", s.formToQuery},
		{"GET " + s.base + "/interaction/{id}", s.showInteraction},
		{"POST " + s.base + "/interaction/{id}/{action}", s.answerInteraction},
		{"GET " + s.base + invitationPath + "{token}", s.showInvitation},
		{"POST " + s.base + invitationPath + "{token}/password", s.answerInvitation},
		{"GET " + s.base + "/account", s.showAccount},
		{"POST " + s.base + "/account", s.beginAccount},
		{"POST " + s.base + "/account/scheme", s.setScheme},
		{"POST " + s.base + "/token", s.token},
		{"POST " + s.base + "/introspect", s.introspect},
		{"POST " + s.base + "/revoke", s.revoke},
		{"GET " + s.base + "/userinfo", s.userinfo},
		{"POST " + s.base + "/userinfo", s.userinfo},
		{"GET " + s.base + "/end_session", s.endSession},
		{"POST " + s.base + "/end_session", s.formToQuery},
		{"POST " + s.base + "/end_session/confirm", s.confirmEndSession},
	} {
		add(route.pattern, s.inTurn(route.handle))
	}
	for _, route := range slices.Concat(s.passwordResetRoutes(), s.deviceRoutes(), s.registrationRoutes(), s.pushedRoutes()) {
		add(route.pattern, s.inTurn(route.handle))
	}
	for _, route := range []route{ // answered at once, whatever else there is to do
		{"GET " + s.base + "/.well-known/openid-configuration", s.discovery},
		{"GET /.well-known/oauth-authorization-server" + s.base, s.discovery},
		{"GET " + s.base + "/jwks.json", s.jwks},
		{"OPTIONS " + s.base + "/token", s.preflight},
		{"OPTIONS " + s.base + "/revoke", s.preflight},
		{"OPTIONS " + s.base + token.PushPath, s.preflight},
		{"OPTIONS " + s.base + "/userinfo", s.preflight},
		{"GET " + s.base + "/assets/{name}", s.asset},
		{"GET " + s.base + "/{$}", s.home},
	} {
		add(route.pattern, route.handle)
	}
	return mux
}

// handler answers a request, or returns why it did not; handle shows it.
type handler func(w http.ResponseWriter, r *http.Request) error

func (s *server) handle(h handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := h(w, r); err != nil {
			s.fail(w, r, err)
		}
	})
}

// The names of the cookies. Never "session": cookies ignore ports, and on
// localhost it would overwrite the application's.
const (
	sessionCookie = "sallyport-session"
	browserCookie = "sallyport-browser"
	knownCookie   = "sallyport-known"
	deviceCookie  = "sallyport-device"
	methodCookie  = "sallyport-method" // the last way in, where it was a passkey
	schemeCookie  = "sallyport-scheme" // of colours
)

func (s *server) cookieName(name string) string {
	if s.secure() {
		return "__Host-" + name
	}
	return name
}

func (s *server) secure() bool { return s.Issuer.Scheme == "https" }

// cookie returns a cookie's value, "" if there is none or it is not like ours.
func (s *server) cookie(r *http.Request, name string) string {
	found := r.CookiesNamed(s.cookieName(name))
	if len(found) != 1 || len(found[0].Value) > 512 {
		return ""
	}
	return found[0].Value
}

// setCookie sets a cookie for the browser session, or for the time that lasts.
func (s *server) setCookie(w http.ResponseWriter, name, value string, lasts time.Duration) {
	http.SetCookie(w, &http.Cookie{
		Name: s.cookieName(name), Value: value, Path: "/", MaxAge: int(lasts / time.Second),
		HttpOnly: true, Secure: s.secure(), SameSite: http.SameSiteLaxMode,
	})
}

func (s *server) dropCookie(w http.ResponseWriter, name string) {
	http.SetCookie(w, &http.Cookie{
		Name: s.cookieName(name), Path: "/", MaxAge: -1,
		HttpOnly: true, Secure: s.secure(), SameSite: http.SameSiteLaxMode,
	})
}

// session returns the browser's live session, nil if there is none.
func (s *server) session(r *http.Request) (*store.Session, error) {
	value := s.cookie(r, sessionCookie)
	if value == "" {
		return nil, nil
	}
	return s.Flow.Session(r.Context(), value)
}

// formToken binds a form to this browser, interaction and session.
func (s *server) formToken(r *http.Request, interaction, session string) string {
	return s.tokenFor(s.cookie(r, browserCookie), interaction, session)
}

func (s *server) tokenFor(parts ...string) string {
	mac := hmac.New(sha256.New, s.CSRFKey)
	for _, part := range parts {
		fmt.Fprintf(mac, "%d:%s", len(part), part)
	}
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

func (s *server) formTokenIs(r *http.Request, got, interaction, session string) bool {
	return hmac.Equal([]byte(got), []byte(s.formToken(r, interaction, session)))
}

func (s *server) origin(r *http.Request) flow.Origin {
	return flow.Origin{Address: s.address(r).String(), RequestID: noted(r).id, UserAgent: r.UserAgent(), Device: s.cookie(r, deviceCookie)}
}

// client returns the client of an id, nil if there is none that is active.
func (s *server) client(r *http.Request, id string) (*oidc.Client, error) {
	c, err := s.Store.Client(r.Context(), id)
	if errors.Is(err, store.ErrNotFound) || err == nil && c.Disabled {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("load client: %w", err)
	}
	return c, nil
}
