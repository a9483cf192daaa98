package rp_test

import (
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/sallyport-id/sallyport/rp"
	"github.com/sallyport-id/sallyport/rp/rptest"
)

// post sends an empty form to a path of the application and returns what the
// browser ends up with.
func (s *site) post(t *testing.T, path string) string {
	t.Helper()
	res, err := s.Client.Post(origin+path, "application/x-www-form-urlencoded", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, _ := io.ReadAll(res.Body)
	return string(body)
}

func TestLogoutEndsTheSessionHereAndThere(t *testing.T) {
	t.Parallel()
	for name, store := range stores {
		t.Run(name, func(t *testing.T) {
			s := newSite(t, rp.SessionConfig{Store: store(), AfterLogout: origin + "/bye"}, nil)
			s.show("/")
			kept := s.sessionCookie()
			if got := s.post(t, "/logout"); got != "bye" || s.sessionCookie() != nil {
				t.Errorf("got %q and cookie %v", got, s.sessionCookie())
			}
			q := s.Logouts()[0]
			if q.Get("client_id") != s.ClientID || q.Get("post_logout_redirect_uri") != origin+"/bye" || strings.Count(q.Get("id_token_hint"), ".") != 2 {
				t.Errorf("got logout request %v", q)
			}
			if w := s.with(kept, "/"); name == "store" && w.Code != http.StatusUnauthorized {
				t.Errorf("got %d for a copy of the cookie", w.Code)
			}
			if s.show("/"); s.logins() != 2 {
				t.Errorf("got %d logins", s.logins())
			}
		})
	}
}

// Without a page of the server for it, or without the server, the logout is local.
func TestLogoutWithoutTheServer(t *testing.T) {
	t.Parallel()
	for _, fault := range []rptest.Fault{rptest.NoEndSession, rptest.Down} {
		s := newSite(t, rp.SessionConfig{AfterLogout: origin + "/bye"}, func(c *rp.Config) { c.Logger = slog.New(slog.DiscardHandler) })
		s.Misbehave(fault)
		if got := s.post(t, "/logout"); got != "bye" || len(s.Logouts()) != 0 {
			t.Errorf("%s: got %q and %d logout requests", fault, got, len(s.Logouts()))
		}
	}
}

// Who signs out after the session has expired here may still have one there.
func TestLogoutWithoutSession(t *testing.T) {
	t.Parallel()
	s := newSite(t, rp.SessionConfig{AfterLogout: origin + "/bye"}, nil)
	if got := s.post(t, "/logout"); got != "signed out" {
		t.Errorf("got %q", got)
	}
	if q := s.Logouts()[0]; q.Has("id_token_hint") || q.Has("post_logout_redirect_uri") || q.Get("client_id") != s.ClientID {
		t.Errorf("got logout request %v", q)
	}
}

// Nobody else's page signs anybody out.
func TestLogoutOnlyByOwnForm(t *testing.T) {
	t.Parallel()
	s := newSite(t, rp.SessionConfig{}, nil)
	s.show("/")
	tests := []struct {
		method, name, value string
		want                int
	}{
		{"POST", "Sec-Fetch-Site", "same-origin", http.StatusSeeOther},
		{"POST", "Sec-Fetch-Site", "cross-site", http.StatusForbidden},
		{"POST", "Sec-Fetch-Site", "same-site", http.StatusForbidden},
		{"POST", "Origin", "https://evil.example", http.StatusForbidden},
		{"POST", "Origin", origin, http.StatusSeeOther},
		{"GET", "Sec-Fetch-Site", "same-origin", http.StatusMethodNotAllowed},
		{"HEAD", "Sec-Fetch-Site", "same-origin", http.StatusMethodNotAllowed},
	}
	for _, test := range tests {
		r := httptest.NewRequest(test.method, origin+"/logout", nil)
		r.Header.Set(test.name, test.value)
		r.AddCookie(s.sessionCookie())
		w := httptest.NewRecorder()
		s.mux.ServeHTTP(w, r)
		if w.Code != test.want || (len(w.Result().Cookies()) == 1) != (test.want == http.StatusSeeOther) {
			t.Errorf("%+v: got %d and cookies %v", test, w.Code, w.Result().Cookies())
		}
	}
}

// A logout that the store did not hear of is none, and does not look like one.
func TestLogoutWhileTheStoreIsAway(t *testing.T) {
	t.Parallel()
	f := &flaky{SessionStore: new(rp.MemoryStore)}
	s := newSite(t, rp.SessionConfig{Store: f}, func(c *rp.Config) { c.Logger = slog.New(slog.DiscardHandler) })
	s.show("/")
	f.SessionStore = brokenStore{}
	if got := s.post(t, "/logout"); !strings.Contains(got, "does not answer") || s.sessionCookie() == nil {
		t.Errorf("got %q and cookie %v", got, s.sessionCookie())
	}
}
