package web

import (
	"errors"
	"log/slog"
	"net/http"
	"time"

	"github.com/sallyport-id/sallyport/internal/flow"
	"github.com/sallyport-id/sallyport/internal/oidc"
)

// note is what the handlers say of a request for its one record in the log and for
// the metrics. All of it is words of this program and ids of what is registered:
// nothing that a request says, for a secret may stand anywhere in one.
type note struct {
	id       string // of the request
	clientID string // of a client that there is
	// step is the step that the sign-in was at, next the one after it, and action the
	// kind of answer.
	step, next flow.StepName
	action     string
	reason     string // why it was refused, in one word
}

// reasons that are no code of a page or of the protocol.
const (
	reasonBusy        = "busy"
	reasonCancelled   = "cancelled"
	reasonClientGone  = "client_gone"
	reasonCode        = "code"
	reasonCodeUsed    = "code_used"
	reasonCredentials = "credentials"
	reasonCrossOrigin = "cross_origin"
	reasonNoToken     = "no_token"
	reasonStale       = "stale"
	reasonThrottled   = "throttled"
	reasonWrongHost   = "wrong_host"
)

type noteKey struct{}

// noted returns the request's note, which its handlers fill in.
func noted(r *http.Request) *note {
	n, ok := r.Context().Value(noteKey{}).(*note)
	if !ok {
		return &note{}
	}
	return n
}

// because notes why a request is refused; the first reason is the nearest to it.
func (n *note) because(reason string) {
	if n.reason == "" {
		n.reason = reason
	}
}

// reasonOf is the code of an error that is for the client, else server_error.
func reasonOf(err error) string {
	var shown *pageError
	var protocol *oidc.Error
	switch {
	case errors.As(err, &shown):
		return shown.code
	case errors.As(err, &protocol):
		return protocol.Code
	}
	return oidc.ServerError
}

// finished counts a request and leaves its record in the log.
func (s *server) finished(r *http.Request, n *note, seen *recorder, took time.Duration) {
	route, method := s.routeOf(r), methodOf(r)
	s.Metrics.End(route, method, seen.status, took)
	if n.action != "" && n.step != "" {
		result := n.reason
		if result == "" {
			result = "ok"
		}
		s.Metrics.Answer(string(n.step), n.action, result)
	}
	if !s.Log.Enabled(r.Context(), slog.LevelInfo) {
		return
	}
	attrs := make([]slog.Attr, 0, 13)
	attrs = append(attrs,
		slog.String("request", n.id), slog.String("method", method), slog.String("route", route),
		slog.Int("status", seen.status), slog.Float64("took_ms", float64(took.Microseconds())/1000), slog.Int64("bytes", seen.bytes),
		slog.String("address", s.address(r).String()))
	for _, a := range []struct{ key, value string }{
		{"client_id", n.clientID}, {"step", string(n.step)}, {"action", n.action}, {"next", string(n.next)}, {"reason", n.reason},
	} {
		if a.value != "" {
			attrs = append(attrs, slog.String(a.key, a.value))
		}
	}
	s.Log.LogAttrs(r.Context(), slog.LevelInfo, "request", attrs...)
}

// noRoute is the route of requests that have none.
const noRoute = "none"

// routeOf is the path of the route's pattern. What stands in for {id} in a request
// is not logged, and neither is a path that has no route.
func (s *server) routeOf(r *http.Request) string {
	if path, ok := s.paths[r.Pattern]; ok {
		return path
	}
	return noRoute
}

// methodOf is one of HTTP's, or OTHER: a request may have any word there.
func methodOf(r *http.Request) string {
	switch r.Method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions:
		return r.Method
	}
	return "OTHER"
}

// recorder remembers what was sent.
type recorder struct {
	http.ResponseWriter
	status int
	bytes  int64 // of the body
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
	n, err := r.ResponseWriter.Write(b)
	r.bytes += int64(n)
	return n, err
}

func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }
