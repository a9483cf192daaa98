package rs_test

import (
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/sallyport-id/sallyport/rs"
	"github.com/sallyport-id/sallyport/rs/rstest"
)

const orders = "https://orders.example.com/"

// An api is one API of a server, whose handler answers with the token's subject.
type api struct {
	*rstest.Issuer
	*rs.Server
	t testing.TB
}

func newAPI(t testing.TB, changes ...func(*rs.Config)) api {
	t.Helper()
	server := rstest.NewIssuer(t)
	config := server.Config(orders)
	config.Logger = slog.New(slog.DiscardHandler)
	for _, change := range changes {
		change(&config)
	}
	s, err := rs.New(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	return api{server, s, t}
}

// get sends a request with these headers through Protect.
func (a api) get(headers http.Header, requirements ...rs.Requirement) *httptest.ResponseRecorder {
	a.t.Helper()
	r := httptest.NewRequest("GET", "/items", nil)
	r.Header = headers
	return a.serve(r, requirements...)
}

func (a api) serve(r *http.Request, requirements ...rs.Requirement) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	a.Protect(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, rs.FromContext(r.Context()).Subject)
	}), requirements...).ServeHTTP(w, r)
	return w
}

func (a api) bearer(token string, requirements ...rs.Requirement) *httptest.ResponseRecorder {
	a.t.Helper()
	return a.get(http.Header{"Authorization": {"Bearer " + token}}, requirements...)
}

func (a api) wantAccepted(what string, w *httptest.ResponseRecorder) {
	a.t.Helper()
	if w.Code != http.StatusOK || w.Body.String() != rstest.Subject {
		a.t.Errorf("%s: got %d %q %q, want the token accepted", what, w.Code, w.Header()["Www-Authenticate"], w.Body)
	}
}

// wantRefused wants an error in the answer's first challenge, "" for none, and
// nothing of the handler's.
func (a api) wantRefused(what string, w *httptest.ResponseRecorder, status int, code string) {
	a.t.Helper()
	challenge := strings.Join(w.Header()["Www-Authenticate"], "; ")
	hasCode := strings.Contains(challenge, `error="`+code+`"`) && code != "" || !strings.Contains(challenge, `error=`) && code == ""
	if w.Code != status || !hasCode || challenge == "" || strings.Contains(w.Body.String(), rstest.Subject) {
		a.t.Errorf("%s: got %d %q %q, want %d %q", what, w.Code, challenge, w.Body, status, code)
	}
	if w.Header().Get("Cache-Control") != "no-store" {
		a.t.Errorf("%s: the answer may be stored", what)
	}
}

func (a api) wantInvalid(what string, w *httptest.ResponseRecorder) {
	a.t.Helper()
	a.wantRefused(what, w, http.StatusUnauthorized, "invalid_token")
}

func (a api) wantUnavailable(what string, w *httptest.ResponseRecorder) {
	a.t.Helper()
	if w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") == "" || w.Header().Get("WWW-Authenticate") != "" {
		a.t.Errorf("%s: got %d %v, want 503 and when to try again", what, w.Code, w.Header())
	}
}

// debugLogger writes everything; requests come one at a time.
func debugLogger(w io.Writer) *slog.Logger {
	return slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{Level: slog.LevelDebug}))
}
