package web

import (
	"bytes"
	"fmt"
	"log/slog"
	"mime"
	"net/http"
	"net/url"
	"runtime/debug"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"context"

	"github.com/sallyport-id/sallyport/internal/flow"
	"github.com/sallyport-id/sallyport/internal/oidc"
	"github.com/sallyport-id/sallyport/internal/store"
	"github.com/sallyport-id/sallyport/internal/web/page"
)

// largestForm bounds every body that is read, in bytes.
const largestForm = 64 << 10

// wrap puts around the routes what every answer needs.
func (s *server) wrap(mux *http.ServeMux) (http.Handler, error) {
	sameOrigin := http.NewCrossOriginProtection()
	if err := sameOrigin.AddTrustedOrigin(s.Issuer.Scheme + "://" + s.Issuer.Host); err != nil {
		return nil, fmt.Errorf("trust the issuer's origin: %w", err)
	}
	for _, path := range []string{"/authorize", "/token", "/userinfo", "/end_session"} {
		sameOrigin.AddInsecureBypassPattern("POST " + s.base + path) // programs and foreign pages post here
	}
	sameOrigin.SetDenyHandler(s.handle(func(http.ResponseWriter, *http.Request) error {
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

// record serves one request with the security headers and leaves one line in
// the log. Queries are not logged: codes and hints stand in them.
func (s *server) record(w http.ResponseWriter, r *http.Request, inner http.Handler) {
	began := time.Now()
	id := store.NewID()
	r = r.WithContext(context.WithValue(r.Context(), requestIDKey{}, id))
	s.headers(w.Header(), id)
	seen := &recorder{ResponseWriter: w}
	defer func() {
		if p := recover(); p != nil {
			s.Log.ErrorContext(r.Context(), "panic", "request", id, "panic", p, "stack", string(debug.Stack()))
			if seen.status == 0 {
				s.showError(seen, r, &pageError{status: http.StatusInternalServerError, code: oidc.ServerError})
			}
		}
		s.Log.LogAttrs(r.Context(), slog.LevelInfo, "request",
			slog.String("request", id), slog.String("method", r.Method), slog.String("path", r.URL.Path),
			slog.Int("status", seen.status), slog.Duration("took", time.Since(began)), slog.String("address", address(r).String()))
	}()
	if !strings.EqualFold(r.Host, s.Issuer.Host) {
		s.fail(seen, r, shown(http.StatusMisdirectedRequest, "invalid_request", "this server is "+s.Tokens.Issuer))
		return
	}
	inner.ServeHTTP(seen, r)
}

// recorder remembers the status.
type recorder struct {
	http.ResponseWriter
	status int
}

func (r *recorder) WriteHeader(status int) {
	if r.status == 0 {
		r.status = status
	}
	r.ResponseWriter.WriteHeader(status)
}

func (r *recorder) Write(b []byte) (int, error) {
	if r.status == 0 {
		r.status = http.StatusOK
	}
	return r.ResponseWriter.Write(b)
}

func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }

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

// page renders a page in the language that the request and the browser ask for.
func (s *server) page(w http.ResponseWriter, r *http.Request, status int, uiLocales []string, p page.Page) error {
	var body bytes.Buffer
	locale := s.Pages.Locale(uiLocales, r.Header.Get("Accept-Language"))
	if err := s.Pages.Render(&body, locale, p); err != nil {
		return fmt.Errorf("render page: %w", err)
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Language", locale)
	h.Set("Content-Length", strconv.Itoa(body.Len()))
	w.WriteHeader(status)
	_, _ = w.Write(body.Bytes())
	return nil
}

func (s *server) home(w http.ResponseWriter, r *http.Request) error {
	return s.page(w, r, http.StatusOK, nil, page.Message{Frame: page.Frame{Base: s.base}, Code: "home", Status: http.StatusOK})
}

// asset serves a file whose name changes with its content.
func (s *server) asset(w http.ResponseWriter, r *http.Request) error {
	data, contentType, etag, ok := s.Pages.Asset(r.PathValue("name"))
	if !ok {
		return shown(http.StatusNotFound, "not_found", "")
	}
	h := w.Header()
	h.Set("Cache-Control", "public, max-age=31536000, immutable")
	h.Set("ETag", etag)
	h.Set("Content-Type", contentType)
	if r.Header.Get("If-None-Match") == etag {
		w.WriteHeader(http.StatusNotModified)
		return nil
	}
	h.Set("Content-Length", strconv.Itoa(len(data)))
	_, _ = w.Write(data)
	return nil
}

// readForm reads a urlencoded body: bounded, valid UTF-8, never the query.
func readForm(w http.ResponseWriter, r *http.Request) (url.Values, error) {
	if mediaType, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || mediaType != "application/x-www-form-urlencoded" {
		return nil, oidc.Errorf(oidc.InvalidRequest, "the body must be application/x-www-form-urlencoded")
	}
	r.Body = http.MaxBytesReader(w, r.Body, largestForm)
	if err := r.ParseForm(); err != nil {
		if strings.Contains(err.Error(), "too large") {
			return nil, shown(http.StatusRequestEntityTooLarge, "form_too_large", "")
		}
		return nil, oidc.Errorf(oidc.InvalidRequest, "the body is not a form")
	}
	for name, values := range r.PostForm {
		if !utf8.ValidString(name) || !utf8.ValidString(strings.Join(values, "")) {
			return nil, oidc.Errorf(oidc.InvalidRequest, "the body is not UTF-8")
		}
	}
	return r.PostForm, nil
}

// readBearerForm reads the body of a POST that has one.
func readBearerForm(w http.ResponseWriter, r *http.Request) (url.Values, error) {
	if r.Method != http.MethodPost || r.Header.Get("Content-Type") == "" {
		return nil, nil
	}
	return readForm(w, r)
}

// redirect sends the browser on with a GET; never 307 (RFC 9700 §4.12).
func redirect(w http.ResponseWriter, to string) error {
	w.Header().Set("Location", to)
	w.WriteHeader(http.StatusSeeOther)
	return nil
}

func (s *server) audit(r *http.Request, v *flow.Visit, kind string) {
	o := s.origin(r)
	e := store.Event{At: s.Now(), Type: kind, ClientID: v.Client.ID, Interaction: v.Interaction, Address: o.Address, RequestID: o.RequestID, UserID: v.Subject()}
	if err := s.Store.Record(r.Context(), e); err != nil {
		s.Log.ErrorContext(r.Context(), "audit", "request", o.RequestID, "error", err)
	}
}
