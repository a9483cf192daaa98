package rp_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sallyport-id/sallyport/rp"
	"github.com/sallyport-id/sallyport/rp/rptest"
)

// rows are the tokens of sessions, by their IDs.
type rows struct {
	mu sync.Mutex
	by map[string]*row
}

func (r *rows) of(session *rp.Session) rp.TokenStore {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.by == nil {
		r.by = map[string]*row{}
	}
	if r.by[session.ID] == nil {
		r.by[session.ID] = new(row)
	}
	return r.by[session.ID]
}

// A picky API refuses the first token that it sees, or all, with a challenge.
type picky struct {
	*httptest.Server
	challenge string
	stubborn  bool
	refused   string
	asked     int
}

func newPicky(t *testing.T, challenge string) *picky {
	p := &picky{challenge: challenge}
	p.Server = httptest.NewServer(p)
	t.Cleanup(p.Close)
	return p
}

func (p *picky) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.asked++
	token := r.Header.Get("Authorization")
	if p.refused == "" {
		p.refused = token
	}
	if p.stubborn || p.refused == token {
		w.Header().Set("WWW-Authenticate", `Bearer error="insufficient_user_authentication", `+p.challenge)
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	io.WriteString(w, "orders")
}

// newOrders is a site whose page /orders shows what an API answers.
func newOrders(t *testing.T, challenge string, change func(*rp.Config)) (*site, *picky) {
	t.Helper()
	api := newPicky(t, challenge)
	s := newSite(t, rp.SessionConfig{Tokens: new(rows).of}, change)
	s.mux.Handle("/orders", s.sessions.RequireSession(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		res, err := s.sessions.HTTPClient(r.Context()).Get(api.URL)
		switch {
		case s.sessions.StepUpFor(w, r, err):
		case err != nil:
			w.WriteHeader(http.StatusBadGateway)
			io.WriteString(w, err.Error())
		default:
			defer res.Body.Close()
			io.Copy(w, res.Body)
		}
	})))
	return s, api
}

// TestStepUpForAnAPI: what the API takes is asked for, whatever it is called, and
// the next token is that of the new sign-in.
func TestStepUpForAnAPI(t *testing.T) {
	t.Parallel()
	s, api := newOrders(t, `acr_values="urn:example:gold urn:example:silver", max_age="300"`, nil)
	s.show("/")
	before := s.session()
	s.SetClaims(map[string]any{"acr": "urn:example:silver"})
	if got := s.show("/orders?page=2"); got != "orders" || s.logins() != 2 || api.asked != 2 {
		t.Errorf("got %q after %d logins and %d requests (%v)", got, s.logins(), api.asked, s.err)
	}
	const essential = `{"id_token":{"acr":{"essential":true,"values":["urn:example:gold","urn:example:silver"]}}}`
	if q := s.asked(); q.Get("claims") != essential || q.Get("max_age") != "300" || !q.Has("id_token_hint") {
		t.Errorf("got claims %s, max_age %q", q.Get("claims"), q.Get("max_age"))
	}
	if after := s.session(); after.ID == before.ID || after.ACR != "urn:example:silver" {
		t.Errorf("got session %v, want a new one", after)
	}
}

// A server that gives less than the API takes is not believed, and the session
// stays as it was.
func TestStepUpForAnAPIIsVerified(t *testing.T) {
	t.Parallel()
	s, api := newOrders(t, `acr_values="urn:example:gold"`, nil)
	s.show("/")
	before := s.session()
	res := s.Browser.Get("/orders")
	var unmet *rp.UnmetError
	if res.StatusCode != http.StatusForbidden || !errors.As(s.err, &unmet) || !slices.Equal(unmet.Required.ACR, []string{"urn:example:gold"}) {
		t.Errorf("got %s and %v", res.Status, s.err)
	}
	if after := s.session(); after.ID != before.ID || api.asked != 1 {
		t.Errorf("got session %v after %d requests", after, api.asked)
	}
	s.SetClaims(map[string]any{"acr": "urn:example:gold", "sub": "mallory"})
	if s.show("/orders"); !errors.Is(s.err, rp.ErrOtherUser) {
		t.Errorf("another user: got %v", s.err)
	}
}

// TestStepUpForAnAPIDoesNotGoInCircles: an API that asks again for what has been
// proved is an error.
func TestStepUpForAnAPIDoesNotGoInCircles(t *testing.T) {
	t.Parallel()
	for challenge, logins := range map[string]int{
		`acr_values="phr"`:                              2,
		`acr_values="phr", max_age="0"`:                 2,
		`max_age="1"`:                                   1, // the session is that young
		`acr_values="urn:sallyport:acr:1fa"`:            1, // what it has
		`realm="without saying what"`:                   1,
		`acr_values="` + strings.Repeat("x", 300) + `"`: 1,
	} {
		s, api := newOrders(t, challenge, nil)
		api.stubborn = true
		s.SetClaims(map[string]any{"acr": rp.ACR1FA})
		s.show("/")
		s.SetClaims(map[string]any{"acr": rp.ACRPHR})
		if got := s.show("/orders"); !strings.Contains(got, "the API takes another sign-in") || s.logins() != logins {
			t.Errorf("%.40s: got %q after %d logins, want an error after %d (%v)", challenge, got, s.logins(), logins, s.err)
		}
	}
}

// What no login of this client can meet is no reason to sign in.
func TestStepUpForAnAPIThatCannotBe(t *testing.T) {
	t.Parallel()
	s, _ := newOrders(t, `acr_values="urn:example:gold"`, func(c *rp.Config) { c.Require = rp.MFA })
	s.show("/")
	if got := s.show("/orders"); !strings.Contains(got, "urn:example:gold") || s.logins() != 1 {
		t.Errorf("got %q after %d logins", got, s.logins())
	}
}

// Who does not go to a page is told, as by StepUp.
func TestStepUpForTellsScripts(t *testing.T) {
	t.Parallel()
	for challenge, want := range map[string]string{`acr_values="phr"`: "weak", `max_age="60"`: "old"} {
		s, _ := newOrders(t, challenge, nil)
		s.show("/")
		s.Advance(3 * time.Minute)
		w := s.with(s.sessionCookie(), "/orders")
		if got := w.Header().Get("WWW-Authenticate"); w.Code != 401 || got != `Session error="`+want+`"` {
			t.Errorf("%s: got %d, %q", challenge, w.Code, got)
		}
	}
}

// StepUpFor leaves alone what is not its own: other errors, other answers, requests
// without a session.
func TestStepUpForNothingElse(t *testing.T) {
	t.Parallel()
	s := newSite(t, rp.SessionConfig{}, nil)
	s.show("/")
	stepUp := &rp.StepUpError{Require: phishingResistant}
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.Header.Set("Accept", "text/html")
	w := httptest.NewRecorder()
	if s.sessions.StepUpFor(w, r, stepUp) || len(w.Header()) != 0 {
		t.Errorf("without a session: got %v", w.Header())
	}
	for _, err := range []error{nil, errors.New("down"), rp.ErrEnded, &rp.UnmetError{}} {
		h := s.sessions.RequireSession(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if s.sessions.StepUpFor(w, r, err) {
				t.Errorf("%v was answered", err)
			}
		}))
		r := r.Clone(t.Context())
		r.AddCookie(s.sessionCookie())
		h.ServeHTTP(httptest.NewRecorder(), r)
	}
	other := newSite(t, rp.SessionConfig{}, nil)
	h := s.sessions.RequireSession(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if other.sessions.StepUpFor(w, r, stepUp) {
			t.Error("the session of other Sessions was stepped up")
		}
	}))
	r.AddCookie(s.sessionCookie())
	h.ServeHTTP(httptest.NewRecorder(), r)
}

// Only the API that got the token can say so: not one that it points to.
func TestStepUpErrorOfTheAPIAlone(t *testing.T) {
	t.Parallel()
	p := rptest.NewProvider(t)
	a, id := signedIn(t, p, nil)
	other := newPicky(t, `acr_values="phr"`)
	api := httptest.NewServer(http.RedirectHandler(other.URL, http.StatusFound))
	t.Cleanup(api.Close)
	client := a.client.HTTPClient(a.client.TokenSource(t.Context(), id, nil))
	res, err := client.Get(api.URL)
	if err != nil || res.StatusCode != http.StatusFound || other.asked != 0 {
		t.Errorf("got %v, %v after %d requests to the other", res, err, other.asked)
	}
	var asked *rp.StepUpError
	if res, err = client.Get(other.URL); err != nil || res.StatusCode != http.StatusUnauthorized {
		t.Fatalf("got %v, %v, want the answer as it came", res, err)
	}
	if err := rp.CheckStepUp(res); !errors.As(err, &asked) || !slices.Equal(asked.Require.ACR, []string{"phr"}) {
		t.Errorf("got %v", err)
	}
}

// Each session has tokens of its own, which end with it.
func TestSessionTokensEndWithTheSession(t *testing.T) {
	t.Parallel()
	for name, store := range stores {
		kept := new(rows)
		s := newSite(t, rp.SessionConfig{Store: store(), Tokens: kept.of}, nil)
		s.show("/")
		session, cookie := s.session(), s.sessionCookie()
		if text, err := kept.of(session).Load(t.Context()); err != nil || !strings.Contains(string(text), "refresh_token") {
			t.Fatalf("%s: got %q, %v", name, text, err)
		}
		s.post(t, "/logout")
		if s.Hits("/revoke") != 1 {
			t.Errorf("%s: got %d revocations", name, s.Hits("/revoke"))
		}
		text, err := kept.of(session).Load(t.Context())
		if err != nil || strings.Contains(string(text), "token") {
			t.Errorf("%s: got %q, %v", name, text, err)
		}
		if name == "cookie" { // a copy of the cookie is still good, but its tokens are not
			var ended error
			h := s.sessions.RequireSession(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				_, ended = s.sessions.HTTPClient(r.Context()).Get(s.Issuer)
			}))
			r := httptest.NewRequest(http.MethodGet, "/", nil)
			r.AddCookie(cookie)
			if h.ServeHTTP(httptest.NewRecorder(), r); !errors.Is(ended, rp.ErrEnded) {
				t.Errorf("got %v", ended)
			}
		}
	}
}

// The logout does not depend on what becomes of the tokens.
func TestLogoutWithoutRevocation(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		fault  rptest.Fault
		broken bool
		warned bool
	}{
		{rptest.NoRevocation, false, false},
		{rptest.Down, false, true},
		{"", true, true},
	} {
		var log strings.Builder
		kept := new(brokenRows)
		s := newSite(t, rp.SessionConfig{Tokens: kept.of, AfterLogout: origin + "/bye"}, func(c *rp.Config) {
			c.Logger = slog.New(slog.NewTextHandler(&log, nil))
		})
		if test.fault != rptest.Down { // that comes later
			s.Misbehave(test.fault)
		}
		s.show("/")
		s.Misbehave(test.fault)
		kept.broken = test.broken
		if got := s.post(t, "/logout"); s.sessionCookie() != nil || test.fault != rptest.Down && got != "bye" {
			t.Errorf("%+v: got %q and cookie %v", test, got, s.sessionCookie())
		}
		if warned := strings.Contains(log.String(), "not revoked"); warned != test.warned || strings.Contains(log.String(), "refresh_token") {
			t.Errorf("%+v: got log %s", test, log.String())
		}
	}
}

// brokenRows can be away.
type brokenRows struct {
	rows
	broken bool
}

func (b *brokenRows) of(session *rp.Session) rp.TokenStore {
	if b.broken {
		return brokenRow{}
	}
	return b.rows.of(session)
}

type brokenRow struct{}

func (brokenRow) Load(context.Context) ([]byte, error) { return nil, errBroken }
func (brokenRow) CompareAndSwap(context.Context, []byte, []byte) (bool, error) {
	return false, errBroken
}

func TestSessionTokensThatCannotBeKept(t *testing.T) {
	t.Parallel()
	s := newSite(t, rp.SessionConfig{Tokens: (&brokenRows{broken: true}).of}, func(c *rp.Config) { c.Logger = slog.New(slog.DiscardHandler) })
	var unavailable *rp.UnavailableError
	if s.show("/"); !errors.As(s.err, &unavailable) || s.sessionCookie() != nil {
		t.Errorf("got %v and cookie %v", s.err, s.sessionCookie())
	}
}

// forgetful is a store that has no column for the ID.
type forgetful struct{ rp.SessionStore }

func (f forgetful) Put(ctx context.Context, key string, session rp.Session) error {
	session.ID = ""
	return f.SessionStore.Put(ctx, key, session)
}

// Sessions without an ID would all have the same tokens.
func TestSessionsShareNoTokens(t *testing.T) {
	t.Parallel()
	for want, config := range map[string]rp.SessionConfig{
		"has no ID":      {Store: forgetful{new(rp.MemoryStore)}, Tokens: new(rows).of},
		"Tokens is nil":  {},
		"rp: no session": {Tokens: new(rows).of},
	} {
		s := newSite(t, config, func(c *rp.Config) { c.Logger = slog.New(slog.DiscardHandler) })
		s.show("/")
		var got error
		get := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			_, got = s.sessions.HTTPClient(r.Context()).Get(s.Issuer)
		})
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.AddCookie(s.sessionCookie())
		if want == "rp: no session" {
			get(httptest.NewRecorder(), r)
		} else {
			s.sessions.RequireSession(get).ServeHTTP(httptest.NewRecorder(), r)
		}
		if got == nil || !strings.Contains(got.Error(), want) {
			t.Errorf("got %v, want %q", got, want)
		}
	}
}

// obliging makes a provider say of each login just the first level that it asked for.
type obliging struct{ s *site }

func (o obliging) RoundTrip(r *http.Request) (*http.Response, error) {
	var claims struct {
		IDToken struct {
			ACR struct{ Values []string }
		} `json:"id_token"`
	}
	if text := r.URL.Query().Get("claims"); json.Unmarshal([]byte(text), &claims) == nil && len(claims.IDToken.ACR.Values) > 0 {
		o.s.level(claims.IDToken.ACR.Values[0])
	}
	return http.DefaultTransport.RoundTrip(r)
}

// TestStepUpForKeepsWhatThePageTakes: an API does not make a session less than the
// page takes, which would ask again then, in circles.
func TestStepUpForKeepsWhatThePageTakes(t *testing.T) {
	t.Parallel()
	for challenge, want := range map[string]struct {
		answer string
		logins int
	}{
		`acr_values="urn:sallyport:acr:2fa"`:      {"the API takes another sign-in", 1}, // no login is both
		`acr_values="urn:sallyport:acr:2fa phrh"`: {"orders", 2},
	} {
		s, api := newOrders(t, challenge, nil)
		api.stubborn = want.logins == 1
		s.Browser.Others = obliging{s}
		s.mux.Handle("/vault", s.sessions.StepUp(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			in := r.Clone(r.Context())
			in.URL.Path = "/orders"
			s.mux.ServeHTTP(w, in)
		}), phishingResistant))
		res, err := s.Browser.Client.Get(origin + "/vault")
		if err != nil {
			t.Errorf("%s: %v after %d logins", challenge, err, s.logins())
			continue
		}
		got, _ := io.ReadAll(res.Body)
		if !strings.Contains(string(got), want.answer) || s.logins() != want.logins {
			t.Errorf("%s: got %q after %d logins, want %q after %d (%v)", challenge, got, s.logins(), want.answer, want.logins, s.err)
		}
	}
}
