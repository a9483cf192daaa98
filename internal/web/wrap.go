package web

import (
	"context"
	"fmt"
	"net/http"
	"runtime/debug"
	"strings"
	"time"

	"github.com/sallyport-id/sallyport/internal/oidc"
	"github.com/sallyport-id/sallyport/internal/store"
	"github.com/sallyport-id/sallyport/internal/token"
)

// largestForm bounds every body that is read, in bytes.
const largestForm = 64 << 10

// wrap puts around the routes what every answer needs.
func (s *server) wrap(mux *http.ServeMux) (http.Handler, error) {
	sameOrigin := http.NewCrossOriginProtection()
	if err := sameOrigin.AddTrustedOrigin(s.Issuer.Scheme + "://" + s.Issuer.Host); err != nil {
		return nil, fmt.Errorf("trust the issuer's origin: %w", err)
	}
	for _, path := range []string{"/authorize", "/token", "/introspect", "/revoke", token.PushPath, "/userinfo", "/end_session"} {
		sameOrigin.AddInsecureBypassPattern("POST " + s.base + path) // programs and foreign pages post here
	}
	sameOrigin.SetDenyHandler(s.handle(func(_ http.ResponseWriter, r *http.Request) error {
		noted(r).because(reasonCrossOrigin)
		return shown(http.StatusForbidden, "invalid_request", "the form was sent by a page of another origin")
	}))
	inner := sameOrigin.Handler(s.known(mux))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.record(w, r, inner)
	}), nil
}

// known answers the paths and methods that no route has.
func (s *server) known(mux *http.ServeMux) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, pattern := mux.Handler(r)
		if pattern != "" {
			mux.ServeHTTP(w, r)
			return
		}
		probe := &headerOnly{header: http.Header{}}
		mux.ServeHTTP(probe, r) // for the status and the Allow header
		if allow := probe.header.Get("Allow"); allow != "" {
			w.Header().Set("Allow", allow)
			s.fail(w, r, shown(http.StatusMethodNotAllowed, "method_not_allowed", ""))
			return
		}
		s.fail(w, r, shown(http.StatusNotFound, "not_found", ""))
	})
}

// headerOnly takes an answer's headers and drops the rest.
type headerOnly struct{ header http.Header }

func (h *headerOnly) Header() http.Header         { return h.header }
func (h *headerOnly) Write(b []byte) (int, error) { return len(b), nil }
func (h *headerOnly) WriteHeader(int)             {}

// record serves one request with the security headers and leaves one record in the
// log, of what it was and never of what was in it (see note).
func (s *server) record(w http.ResponseWriter, r *http.Request, inner http.Handler) {
	began := time.Now()
	n := &note{id: store.NewID()}
	r = r.WithContext(context.WithValue(r.Context(), noteKey{}, n))
	s.headers(w.Header(), n.id)
	seen := &recorder{ResponseWriter: w}
	s.Metrics.Begin()
	defer func() {
		if p := recover(); p != nil {
			s.Log.ErrorContext(r.Context(), "panic", "request", n.id, "panic", p, "stack", string(debug.Stack()))
			n.because(oidc.ServerError)
			if seen.status == 0 {
				s.showError(seen, r, &pageError{status: http.StatusInternalServerError, code: oidc.ServerError})
			}
		}
		s.finished(r, n, seen, time.Since(began))
	}()
	if !strings.EqualFold(r.Host, s.Issuer.Host) {
		n.because(reasonWrongHost)
		s.fail(seen, r, shown(http.StatusMisdirectedRequest, "invalid_request", "this server is "+s.Tokens.Issuer))
		return
	}
	inner.ServeHTTP(seen, r)
}

// headers sets what protects every answer; a handler may widen it.
func (s *server) headers(h http.Header, requestID string) {
	h.Set("Content-Security-Policy", policyFor(""))
	h.Set("X-Frame-Options", "DENY")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "same-origin")
	h.Set("Permissions-Policy", "publickey-credentials-get=(self), publickey-credentials-create=(self), camera=(), microphone=(), geolocation=()")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Request-Id", requestID)
	if s.secure() {
		h.Set("Strict-Transport-Security", "max-age=63072000")
	}
}

// policyFor is the content security policy of a page whose forms end here or at
// one more place.
func policyFor(formTarget string) string {
	return strings.TrimSpace("default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; base-uri 'none'; frame-ancestors 'none'; form-action 'self' " + formTarget)
}
