package rp_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-id/sallyport/rp"
	"github.com/sallyport-id/sallyport/rp/rptest"
)

var phishingResistant = rp.Requirement{ACR: []string{rp.ACRPHR, rp.ACRPHRH}}

// newVault is a site that has /vault, where a phishing-resistant login is needed,
// and /fresh, where one of the last five minutes is.
func newVault(t *testing.T, change func(*rp.Config)) *site {
	t.Helper()
	s := newSite(t, rp.SessionConfig{}, change)
	s.mux.Handle("/vault", s.sessions.StepUp(http.HandlerFunc(whoami), phishingResistant))
	s.mux.Handle("/fresh", s.sessions.RequireFresh(http.HandlerFunc(whoami), 5*time.Minute))
	return s
}

// asked is the last authorization request.
func (s *site) asked() url.Values { return s.Requests()[s.logins()-1] }

func (s *site) level(acr string) { s.SetClaims(map[string]any{"acr": acr}) }

func TestStepUpAsksForMoreAndReturns(t *testing.T) {
	t.Parallel()
	s := newVault(t, nil)
	s.show("/")
	s.level(rp.ACRPHR)
	for range 2 {
		if got, want := s.show("/vault?door=2"), "/vault?door=2 "+rptest.Subject; got != want {
			t.Errorf("got %q, want %q (%v)", got, want, s.err)
		}
	}
	if s.logins() != 2 {
		t.Errorf("got %d logins, want the first and one step-up", s.logins())
	}
	const essential = `{"id_token":{"acr":{"essential":true,"values":["phr","phrh"]}}}`
	if q := s.asked(); q.Get("claims") != essential || q.Has("acr_values") || q.Has("max_age") {
		t.Errorf("got claims %s, acr_values %q, max_age %q", q.Get("claims"), q["acr_values"], q["max_age"])
	}
	if hint := s.asked().Get("id_token_hint"); strings.Count(hint, ".") != 2 {
		t.Errorf("got id_token_hint %q", hint)
	}
}

func TestStepUpWithoutTheClaimsParameter(t *testing.T) {
	t.Parallel()
	s := newVault(t, nil)
	s.Misbehave(rptest.NoClaimsParameter)
	s.show("/")
	s.show("/vault")
	if q := s.asked(); q.Get("acr_values") != "phr phrh" || q.Has("claims") || !q.Has("id_token_hint") {
		t.Errorf("got %v", q)
	}
}

// Where the ID token was too long for the cookie, the server is told by the claims
// parameter who must sign in.
func TestStepUpWithoutIDTokenNamesTheSubject(t *testing.T) {
	t.Parallel()
	s := newVault(t, nil)
	s.SetClaims(map[string]any{"groups": strings.Repeat("g", 3000)})
	s.show("/")
	s.show("/vault")
	var claims struct {
		IDToken struct {
			Sub struct{ Value string }
			ACR struct{ Values []string }
		} `json:"id_token"`
	}
	err := json.Unmarshal([]byte(s.asked().Get("claims")), &claims)
	if err != nil || s.asked().Has("id_token_hint") {
		t.Fatalf("got %v, %v", s.asked(), err)
	}
	if claims.IDToken.Sub.Value != rptest.Subject || !slices.Equal(claims.IDToken.ACR.Values, phishingResistant.ACR) {
		t.Errorf("got claims %s", s.asked().Get("claims"))
	}
}

// What one login must prove is proved by that login, with or without a session
// before it.
func TestStepUpWithoutSession(t *testing.T) {
	t.Parallel()
	s := newVault(t, nil)
	var unmet *rp.UnmetError
	if s.show("/vault"); !errors.As(s.err, &unmet) || s.sessionCookie() != nil {
		t.Errorf("got %v and session %v for too low a level", s.err, s.sessionCookie())
	}
	s.level(rp.ACRPHRH)
	if got := s.show("/vault"); got != "/vault "+rptest.Subject || s.logins() != 2 || s.asked().Has("id_token_hint") {
		t.Errorf("got %q after %d logins", got, s.logins())
	}
}

// A server that gives no more is asked once, and the session stays.
func TestStepUpDoesNotGoInCircles(t *testing.T) {
	t.Parallel()
	s := newVault(t, nil)
	s.show("/")
	before := s.session()
	res := s.Browser.Get("/vault")
	var unmet *rp.UnmetError
	if res.StatusCode != http.StatusForbidden || !errors.As(s.err, &unmet) || !slices.Equal(unmet.Claims, []string{"acr"}) {
		t.Errorf("got %s and %v", res.Status, s.err)
	}
	s.Advance(10 * time.Minute)
	s.Misbehave(rptest.OldAuthTime)
	if s.show("/fresh"); !errors.As(s.err, &unmet) || !slices.Equal(unmet.Claims, []string{"auth_time"}) {
		t.Errorf("got %v", s.err)
	}
	if s.logins() != 3 {
		t.Errorf("got %d logins, want one and two step-ups", s.logins())
	}
	if after := s.session(); after.ACR != before.ACR || !after.Began.Equal(before.Began) {
		t.Errorf("got session %v, want %v", after, before)
	}
	if got := s.show("/"); !strings.HasSuffix(got, rptest.Subject) || s.logins() != 3 {
		t.Errorf("got %q after %d logins", got, s.logins())
	}
}

// TestStepUpIsForTheSamePerson: whoever else proves more does so for himself, and
// not for the session.
func TestStepUpIsForTheSamePerson(t *testing.T) {
	t.Parallel()
	for _, path := range []string{"/vault", "/fresh"} {
		s := newVault(t, nil)
		s.show("/")
		before := s.session()
		s.Advance(6 * time.Minute)
		s.SetClaims(map[string]any{"sub": "mallory", "acr": rp.ACRPHR})
		s.show(path)
		if !errors.Is(s.err, rp.ErrOtherUser) || rp.ReasonCode(s.err) != rp.CodeOtherUser {
			t.Errorf("%s: got %v", path, s.err)
		}
		if after := s.session(); after.Subject != before.Subject || !after.Began.Equal(before.Began) {
			t.Errorf("%s: got session %v, want %v", path, after, before)
		}
		if w := s.with(s.sessionCookie(), path); w.Code != http.StatusUnauthorized {
			t.Errorf("%s: got %d with the session of before", path, w.Code)
		}
	}
}

func TestRequireFresh(t *testing.T) {
	t.Parallel()
	s := newVault(t, nil)
	s.show("/")
	s.show("/fresh")
	if s.logins() != 1 {
		t.Errorf("got %d logins, want none for a session that is fresh", s.logins())
	}
	s.Advance(5*time.Minute + 20*time.Second) // and half a minute of leeway
	s.show("/fresh")
	if s.logins() != 1 {
		t.Errorf("got %d logins within the leeway", s.logins())
	}
	s.Advance(11 * time.Second)
	if got := s.show("/fresh"); got != "/fresh "+rptest.Subject || s.logins() != 2 || s.asked().Get("max_age") != "300" {
		t.Errorf("got %q, %d logins, max_age %q", got, s.logins(), s.asked().Get("max_age"))
	}
}

// A server that does not tell when the user authenticated is asked for it.
func TestRequireFreshWithoutAuthTime(t *testing.T) {
	t.Parallel()
	s := newVault(t, nil)
	s.Misbehave(rptest.NoAuthTime)
	s.show("/")
	s.Misbehave()
	if got := s.show("/fresh"); got != "/fresh "+rptest.Subject || s.logins() != 2 {
		t.Errorf("got %q after %d logins", got, s.logins())
	}
}

// A script is told which of the two it is: no session, or too weak or old a one.
func TestStepUpTellsScripts(t *testing.T) {
	t.Parallel()
	s := newVault(t, nil)
	s.show("/")
	s.Advance(6 * time.Minute)
	for path, want := range map[string]string{"/vault": "weak", "/fresh": "old"} {
		w := s.with(s.sessionCookie(), path)
		if got := w.Header().Get("WWW-Authenticate"); w.Code != 401 || got != `Session error="`+want+`"` {
			t.Errorf("%s: got %d, %q", path, w.Code, got)
		}
	}
}

// A step-up asks for Config.Require as well, and callback checks both.
func TestStepUpKeepsWhatEveryLoginNeeds(t *testing.T) {
	t.Parallel()
	s := newVault(t, func(c *rp.Config) {
		c.Require = rp.Requirement{ACR: []string{rp.ACR2FA, rp.ACRPHR}, AMR: []string{"mfa"}, MaxAge: time.Hour}
	})
	s.show("/")
	s.SetClaims(map[string]any{"acr": rp.ACRPHR, "amr": []string{"hwk"}})
	s.show("/vault")
	if about(s.err) != "amr" {
		t.Errorf("got %v, want amr refused", s.err)
	}
	if q := s.asked(); !strings.Contains(q.Get("claims"), `["phr"]`) || q.Get("max_age") != "3600" {
		t.Errorf("got claims %s, max_age %q", q.Get("claims"), q.Get("max_age"))
	}
	s.level(rp.ACRPHRH) // enough for the vault, but not for this client
	if s.show("/vault"); about(s.err) != "acr" {
		t.Errorf("got %v, want acr refused", s.err)
	}
}

// Two handlers, one around the other, are one session and one look-up.
func TestStepUpWithinRequireSession(t *testing.T) {
	t.Parallel()
	s := newVault(t, nil)
	s.mux.Handle("/both", s.sessions.RequireSession(s.sessions.RequireFresh(http.HandlerFunc(whoami), time.Hour)))
	s.show("/")
	s.Advance(30 * time.Minute)
	w := s.with(s.sessionCookie(), "/both")
	if w.Code != http.StatusOK || len(w.Result().Cookies()) != 1 {
		t.Errorf("got %d and cookies %v, want one renewed", w.Code, w.Result().Cookies())
	}
}

func TestStepUpPanicsOverNonsense(t *testing.T) {
	t.Parallel()
	s := newSite(t, rp.SessionConfig{}, func(c *rp.Config) { c.Require = rp.MFA })
	h := http.NotFoundHandler()
	for name, f := range map[string]func(){
		"malformed":  func() { s.sessions.StepUp(h, rp.Requirement{ACR: []string{"a b"}}) },
		"fresh":      func() { s.sessions.StepUp(h, rp.Requirement{Fresh: true}) },
		"impossible": func() { s.sessions.StepUp(h, rp.Requirement{ACR: []string{rp.ACR1FA}}) },
		"too long":   func() { s.sessions.StepUp(h, rp.Requirement{AMR: []string{strings.Repeat("x", 300)}}) },
		"no age":     func() { s.sessions.RequireFresh(h, 30) },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: no panic", name)
				}
			}()
			f()
		}()
	}
}

// The cookie of a step-up is longer than that of a login, and still bounded.
func TestStepUpCookieIsBounded(t *testing.T) {
	t.Parallel()
	s := newVault(t, nil)
	s.SetClaims(map[string]any{"sub": strings.Repeat("s", 255)})
	s.show("/")
	long := rp.Requirement{AMR: []string{strings.Repeat("x", 200)}}
	h := s.sessions.StepUp(http.HandlerFunc(whoami), long)
	r := httptest.NewRequest(http.MethodGet, "/"+strings.Repeat("x", 511), nil)
	r.Header.Set("Accept", "text/html")
	r.AddCookie(s.sessionCookie())
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	c := w.Result().Cookies()[0]
	if size := len(c.Name) + len(c.Value); w.Code != http.StatusSeeOther || size > 1700 {
		t.Errorf("got %d and a cookie of %d bytes", w.Code, size)
	}
}
