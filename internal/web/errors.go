package web

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/sallyport-id/sallyport/internal/oidc"
	"github.com/sallyport-id/sallyport/internal/store"
	"github.com/sallyport-id/sallyport/internal/token"
	"github.com/sallyport-id/sallyport/internal/web/page"
)

// retryAfter is when a server that cannot answer now is to be asked again.
const retryAfter = 4 * time.Second

// pageError is shown to the user and goes no further.
type pageError struct {
	status int
	code   string // of page.Message
	detail string // for the client's developer
	wait   time.Duration
}

func (e *pageError) Error() string { return fmt.Sprintf("web: page %s: %s", e.code, e.detail) }

func shown(status int, code, detail string) error {
	return &pageError{status: status, code: code, detail: detail}
}

// tooMany is the answer to an address that is over a limit.
func (s *server) tooMany(l *limiter, wait time.Duration) error {
	s.Metrics.Limited(l.name)
	return &pageError{status: http.StatusTooManyRequests, code: "too_many_requests", wait: wait}
}

// fail is where all errors meet: what is for the user is shown, everything else
// goes to the log, and the user gets a request id.
func (s *server) fail(w http.ResponseWriter, r *http.Request, err error) {
	var shown *pageError
	var protocol *oidc.Error
	n := noted(r)
	switch {
	case errors.As(err, &shown):
	case errors.As(err, &protocol):
		shown = &pageError{status: http.StatusBadRequest, code: "invalid_request", detail: protocol.Description}
	case errors.Is(err, store.ErrStale):
		shown = &pageError{status: http.StatusConflict, code: "expired"}
	case errors.Is(r.Context().Err(), context.Canceled):
		n.because(reasonClientGone)
		return
	case errors.Is(err, store.ErrUnavailable), errors.Is(err, context.DeadlineExceeded):
		s.logFailed(r, err)
		n.because(oidc.TemporarilyUnavailable)
		shown = &pageError{status: http.StatusServiceUnavailable, code: oidc.TemporarilyUnavailable, wait: retryAfter}
	default:
		s.logFailed(r, err)
		shown = &pageError{status: http.StatusInternalServerError, code: oidc.ServerError}
	}
	n.because(reasonOf(err))
	s.showError(w, r, shown)
}

func (s *server) logFailed(r *http.Request, err error) {
	s.Log.ErrorContext(r.Context(), "request failed", "request", noted(r).id, "method", methodOf(r), "route", s.routeOf(r), "error", err)
}

func (s *server) showError(w http.ResponseWriter, r *http.Request, e *pageError) {
	if e.wait > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int(e.wait/time.Second)+1))
	}
	if s.machine(r) {
		_ = writeError(w, e.status, oidc.Errorf(machineCode(e), "%s", e.detail))
		return
	}
	m := page.Message{Frame: page.Frame{Base: s.base}, Code: e.code, Detail: e.detail, RequestID: noted(r).id, Status: e.status}
	if err := s.page(w, r, e.status, nil, m); err != nil {
		s.Log.ErrorContext(r.Context(), "error page failed", "request", noted(r).id, "error", err)
		http.Error(w, http.StatusText(e.status), e.status)
	}
}

// machine reports whether the path is one that programs call.
func (s *server) machine(r *http.Request) bool {
	switch r.URL.Path {
	case s.base + "/token", s.base + "/introspect", s.base + "/revoke", s.base + "/device_authorization", s.base + token.PushPath, s.base + "/userinfo", s.base + "/jwks.json", s.base + "/.well-known/openid-configuration":
		return true
	}
	return false
}

func machineCode(e *pageError) string {
	switch {
	case e.status == http.StatusTooManyRequests || e.status == http.StatusServiceUnavailable:
		return oidc.TemporarilyUnavailable
	case e.status >= http.StatusInternalServerError:
		return oidc.ServerError
	}
	return oidc.InvalidRequest
}
