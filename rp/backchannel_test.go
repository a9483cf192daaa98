package rp_test

import (
	"bytes"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-id/sallyport/rp"
	"github.com/sallyport-id/sallyport/rp/rptest"
)

// newBackchannel is a site with a store and a back-channel logout.
func newBackchannel(t *testing.T, store rp.SessionStore) *site {
	t.Helper()
	s := newSite(t, rp.SessionConfig{Store: store}, func(c *rp.Config) { c.Logger = slog.New(slog.DiscardHandler) })
	h, err := s.sessions.BackchannelLogout()
	if err != nil {
		t.Fatal(err)
	}
	s.mux.Handle("/backchannel", h)
	return s
}

// tell gives the application a logout token as the provider would.
func (s *site) tell(token string) *httptest.ResponseRecorder {
	return s.tellForm(url.Values{"logout_token": {token}}.Encode())
}

func (s *site) tellForm(form string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodPost, origin+"/backchannel", strings.NewReader(form))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	w := httptest.NewRecorder()
	s.mux.ServeHTTP(w, r)
	return w
}

// begin signs a user in whose session at the server has this ID, and returns the
// cookie.
func (s *site) begin(t *testing.T, sub, sid string) *http.Cookie {
	t.Helper()
	s.SetClaims(map[string]any{"sub": sub, "sid": sid})
	b := rptest.NewBrowser(t, origin, s.mux)
	b.Get("/")
	if len(b.Cookies()) != 1 {
		t.Fatalf("no session: %v", s.err)
	}
	return b.Cookies()[0]
}

// idToken is the ID token of a session of its own.
func (s *site) idToken(t *testing.T) string {
	t.Helper()
	token := ""
	b := rptest.NewBrowser(t, origin, s.mux)
	s.mux.Handle("/token", s.sessions.RequireSession(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		token = rp.FromContext(r.Context()).IDToken
	})))
	b.Get("/token")
	return token
}

func TestBackchannelLogoutEndsTheSessions(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		claims map[string]any
		want   string // who is still signed in
	}{
		{"sid", map[string]any{"sid": "m1"}, "mina2 joon"},
		{"sub", map[string]any{"sub": "mina"}, "joon"},
		{"both", map[string]any{"sub": "mina", "sid": "m2"}, "mina1 joon"},
		{"sid of another", map[string]any{"sub": "joon", "sid": "m2"}, "mina1 mina2 joon"},
		{"unknown", map[string]any{"sid": "x"}, "mina1 mina2 joon"},
	}
	for _, test := range tests {
		s := newBackchannel(t, new(rp.MemoryStore))
		cookies := []*http.Cookie{s.begin(t, "mina", "m1"), s.begin(t, "mina", "m2"), s.begin(t, "joon", "j1")}
		w := s.tell(s.LogoutToken(test.claims))
		if w.Code != http.StatusOK || w.Header().Get("Cache-Control") != "no-store" {
			t.Errorf("%s: got %d %s", test.name, w.Code, w.Body)
		}
		var left []string
		for i, name := range []string{"mina1", "mina2", "joon"} {
			if s.with(cookies[i], "/").Code == http.StatusOK {
				left = append(left, name)
			}
		}
		if got := strings.Join(left, " "); got != test.want {
			t.Errorf("%s: %q are signed in, want %q", test.name, got, test.want)
		}
	}
}

func TestBackchannelLogoutAcceptsNoType(t *testing.T) {
	t.Parallel()
	s := newBackchannel(t, new(rp.MemoryStore))
	cookie := s.begin(t, "mina", "1")
	if w := s.tell(s.TypedLogoutToken("", map[string]any{"sid": "1"})); w.Code != http.StatusOK {
		t.Errorf("got %d %s", w.Code, w.Body)
	}
	if w := s.with(cookie, "/"); w.Code != http.StatusUnauthorized {
		t.Errorf("got %d, want the session to have ended", w.Code)
	}
}

// TestBackchannelLogoutRefuses has a line for each way that a token can be wrong;
// none of them ends a session.
func TestBackchannelLogoutRefuses(t *testing.T) {
	t.Parallel()
	s := newBackchannel(t, new(rp.MemoryStore))
	cookie := s.begin(t, "mina", "1")
	refused := func(name, form string) {
		t.Helper()
		w := s.tellForm(form)
		if w.Code != http.StatusBadRequest || w.Header().Get("Cache-Control") != "no-store" || !strings.Contains(w.Body.String(), `"invalid_request"`) {
			t.Errorf("%s: got %d %s", name, w.Code, w.Body)
		}
		if s.with(cookie, "/").Code != http.StatusOK {
			t.Fatalf("%s: the session has ended", name)
		}
	}
	form := func(token string) string { return url.Values{"logout_token": {token}}.Encode() }
	for _, fault := range []rptest.Fault{
		rptest.WrongIssuer, rptest.WrongAudience, rptest.Expired, rptest.NoExpiry, rptest.NoIssuedAt, rptest.FromTheFuture,
		rptest.NotYetValid, rptest.WrongNonce, rptest.DuplicateClaims, rptest.AlgNone, rptest.HMACPublicKey, rptest.BadSignature,
		rptest.UnknownKey, rptest.WrongKeyAlg, rptest.CriticalHeader, rptest.AccessTokenType,
	} {
		s.Misbehave(fault)
		refused(string(fault), form(s.LogoutToken(map[string]any{"sub": "mina", "sid": "1"})))
	}
	s.Misbehave()
	const event = "http://schemas.openid.net/event/backchannel-logout"
	for name, claims := range map[string]map[string]any{
		"no jti":                  {"sid": "1", "jti": nil},
		"no events":               {"sid": "1", "events": nil},
		"another event":           {"sid": "1", "events": map[string]any{"http://schemas.openid.net/event/other": map[string]any{}}},
		"event is no JSON object": {"sid": "1", "events": map[string]any{event: true}},
		"events are a list":       {"sid": "1", "events": []string{event}},
		"nobody":                  {},
		"sid is a number":         {"sid": 1, "sub": "mina"},
		"nonce is an object":      {"sid": "1", "nonce": map[string]any{}},
	} {
		refused(name, form(s.LogoutToken(claims)))
	}
	good := s.LogoutToken(map[string]any{"sid": "1"})
	refused("ID token", form(s.idToken(t)))
	refused("typ JWT", form(s.TypedLogoutToken("JWT", map[string]any{"sid": "1"})))
	refused("twice", form(good)+"&"+form(good))
	refused("none", "")
	refused("garbage", "logout_token=%zz")
	refused("huge", form(good+strings.Repeat("x", 70<<10)))
	if w := s.tell(good); w.Code != http.StatusOK {
		t.Errorf("the good one: got %d %s", w.Code, w.Body)
	}
}

func TestBackchannelLogoutTakesForms(t *testing.T) {
	t.Parallel()
	s := newBackchannel(t, new(rp.MemoryStore))
	cookie := s.begin(t, "mina", "1")
	form := url.Values{"logout_token": {s.LogoutToken(map[string]any{"sid": "1"})}}.Encode()
	tests := []struct {
		method, target, media string
		want                  int
	}{
		{"GET", "/backchannel?" + form, "", http.StatusMethodNotAllowed},
		{"POST", "/backchannel?" + form, "application/x-www-form-urlencoded", http.StatusBadRequest},
		{"POST", "/backchannel", "text/plain", http.StatusBadRequest},
	}
	for _, test := range tests {
		r := httptest.NewRequest(test.method, test.target, strings.NewReader(form))
		if test.target != "/backchannel" {
			r = httptest.NewRequest(test.method, test.target, nil)
		}
		r.Header.Set("Content-Type", test.media)
		w := httptest.NewRecorder()
		s.mux.ServeHTTP(w, r)
		if w.Code != test.want || s.with(cookie, "/").Code != http.StatusOK {
			t.Errorf("%+v: got %d", test, w.Code)
		}
	}
}

// A token works once, also after new sessions have begun.
func TestBackchannelLogoutReplayed(t *testing.T) {
	t.Parallel()
	s := newBackchannel(t, new(rp.MemoryStore))
	s.begin(t, "mina", "1")
	token := s.LogoutToken(map[string]any{"sub": "mina"})
	if w := s.tell(token); w.Code != http.StatusOK {
		t.Fatalf("got %d %s", w.Code, w.Body)
	}
	later := s.begin(t, "mina", "2")
	for _, after := range []time.Duration{0, 2*time.Minute + 29*time.Second, time.Minute} { // until past exp and leeway
		s.Advance(after)
		if w := s.tell(token); w.Code != http.StatusBadRequest {
			t.Errorf("after %v: got %d", after, w.Code)
		}
		if w := s.with(later, "/"); w.Code != http.StatusOK {
			t.Errorf("after %v: the later session has ended", after)
		}
	}
}

// A logout that could not be carried out is not one that was, and can be tried
// again.
func TestBackchannelLogoutWhileTheStoreIsAway(t *testing.T) {
	t.Parallel()
	memory := new(rp.MemoryStore)
	f := &flaky{SessionStore: memory}
	s := newBackchannel(t, f)
	cookie := s.begin(t, "mina", "1")
	token := s.LogoutToken(map[string]any{"sid": "1"})
	f.SessionStore = brokenStore{}
	if w := s.tell(token); w.Code != http.StatusBadRequest || !strings.Contains(w.Body.String(), "temporarily_unavailable") {
		t.Errorf("got %d %s", w.Code, w.Body)
	}
	f.SessionStore = memory
	if w := s.tell(token); w.Code != http.StatusOK || s.with(cookie, "/").Code != http.StatusUnauthorized {
		t.Errorf("tried again: got %d %s", w.Code, w.Body)
	}
}

// A sealed cookie cannot be ended: an application that means to must hear of it when
// it starts.
func TestBackchannelLogoutTakesAStore(t *testing.T) {
	t.Parallel()
	s := newSite(t, rp.SessionConfig{}, nil)
	if h, err := s.sessions.BackchannelLogout(); h != nil || err == nil || !strings.Contains(err.Error(), "Store") {
		t.Errorf("got %v, %v", h, err)
	}
}

// Why a token was refused is for the log, and the token for neither.
func TestBackchannelLogoutSaysWhyInTheLog(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	s := newSite(t, rp.SessionConfig{Store: new(rp.MemoryStore)}, func(c *rp.Config) { c.Logger = slog.New(slog.NewTextHandler(&log, nil)) })
	h, err := s.sessions.BackchannelLogout()
	if err != nil {
		t.Fatal(err)
	}
	s.mux.Handle("/backchannel", h)
	token := s.LogoutToken(map[string]any{"sub": "mina", "events": nil})
	w := s.tell(token)
	if !strings.Contains(log.String(), "events") || strings.Contains(w.Body.String(), "events") {
		t.Errorf("got log %q and answer %s", log.String(), w.Body)
	}
	if strings.Contains(log.String(), token) {
		t.Error("the log has the token")
	}
}
