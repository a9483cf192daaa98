package rp_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-id/sallyport/rp"
	"github.com/sallyport-id/sallyport/rp/rptest"
)

// stores are where sessions can be: what is promised of one holds for the other.
var stores = map[string]func() rp.SessionStore{
	"cookie": func() rp.SessionStore { return nil },
	"store":  func() rp.SessionStore { return new(rp.MemoryStore) },
}

// A site is an application with sessions: every path but the callback requires one
// and shows whose it is.
type site struct {
	*rptest.Browser
	*rptest.Provider
	sessions *rp.Sessions
	mux      *http.ServeMux
	err      error // of the last callback
}

func newSite(t *testing.T, session rp.SessionConfig, change func(*rp.Config)) *site {
	t.Helper()
	s := &site{Provider: rptest.NewProvider(t), mux: http.NewServeMux()}
	config := s.Config(origin + "/callback")
	if change != nil {
		change(&config)
	}
	client, err := rp.New(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	if s.sessions, err = client.Sessions(session); err != nil {
		t.Fatal(err)
	}
	s.mux.HandleFunc("GET /login", func(w http.ResponseWriter, r *http.Request) { client.Login(w, r) })
	s.mux.HandleFunc("GET /callback", func(w http.ResponseWriter, r *http.Request) {
		var id *rp.Identity
		if id, s.err = client.Callback(w, r); s.err == nil {
			s.err = s.sessions.Begin(w, r, id)
		}
		if s.err != nil {
			http.Error(w, rp.Reason(s.err), http.StatusForbidden)
			return
		}
		http.Redirect(w, r, id.ReturnTo, http.StatusSeeOther)
	})
	s.mux.HandleFunc("/logout", s.sessions.Logout)
	s.mux.HandleFunc("/bye", func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "bye") })
	s.mux.Handle("/", s.sessions.RequireSession(http.HandlerFunc(whoami)))
	s.Browser = rptest.NewBrowser(t, origin, s.mux)
	return s
}

func whoami(w http.ResponseWriter, r *http.Request) {
	io.WriteString(w, r.URL.RequestURI()+" "+rp.FromContext(r.Context()).Subject)
}

// logins counts how often the provider was asked.
func (s *site) logins() int { return len(s.Requests()) }

// show returns what is at a path, and where that ended.
func (s *site) show(path string) string {
	body, _ := io.ReadAll(s.Browser.Get(path).Body)
	return string(body)
}

// sessionCookie is the cookie of the session, nil if there is none.
func (s *site) sessionCookie() *http.Cookie {
	for _, c := range s.Cookies() {
		if strings.HasSuffix(c.Name, ".session") {
			return c
		}
	}
	return nil
}

// session is the session in the browser, nil if there is none.
func (s *site) session() (found *rp.Session) {
	h := s.sessions.RequireSession(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		found = rp.FromContext(r.Context())
	}))
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	if c := s.sessionCookie(); c != nil {
		r.AddCookie(c)
	}
	h.ServeHTTP(httptest.NewRecorder(), r)
	return found
}

// with is the answer to a request that has this cookie and no other.
func (s *site) with(cookie *http.Cookie, path string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodGet, path, nil)
	if cookie != nil {
		r.AddCookie(cookie)
	}
	w := httptest.NewRecorder()
	s.mux.ServeHTTP(w, r)
	return w
}

func TestSessionReturnsToWhereTheUserWas(t *testing.T) {
	t.Parallel()
	for name, store := range stores {
		t.Run(name, func(t *testing.T) {
			s := newSite(t, rp.SessionConfig{Store: store()}, nil)
			const page = "/cart?item=1&x=/y"
			for range 2 {
				if got, want := s.show(page), page+" "+rptest.Subject; got != want {
					t.Errorf("got %q, want %q (%v)", got, want, s.err)
				}
			}
			if s.logins() != 1 {
				t.Errorf("got %d logins for two visits, want one", s.logins())
			}
			c := s.sessionCookie()
			if c == nil || !strings.HasPrefix(c.Name, "__Host-sallyport-rp-") {
				t.Errorf("got cookie %v", c)
			}
		})
	}
}

// A prefix that was stripped on the way to the middleware is not lost.
func TestSessionReturnsBehindStripPrefix(t *testing.T) {
	t.Parallel()
	s := newSite(t, rp.SessionConfig{}, nil)
	s.mux.Handle("/shop/", http.StripPrefix("/shop", s.sessions.RequireSession(http.HandlerFunc(whoami))))
	if got, want := s.Browser.Get("/shop/cart").Request.URL.Path, "/shop/cart"; got != want {
		t.Errorf("came back to %s, want %s", got, want)
	}
}

// Only who will see the login page is sent there.
func TestSessionRedirectsNavigationsOnly(t *testing.T) {
	t.Parallel()
	s := newSite(t, rp.SessionConfig{}, nil)
	tests := []struct {
		method string
		header http.Header
		want   int
	}{
		{"GET", http.Header{"Accept": {"text/html,*/*;q=0.8"}}, 303},
		{"GET", http.Header{"Sec-Fetch-Dest": {"document"}, "Sec-Fetch-Mode": {"navigate"}}, 303},
		{"GET", http.Header{"Sec-Fetch-Dest": {"empty"}, "Sec-Fetch-Mode": {"cors"}, "Accept": {"text/html"}}, 401},
		{"GET", http.Header{"Sec-Fetch-Dest": {"image"}}, 401},
		{"GET", http.Header{"Sec-Fetch-Dest": {"iframe"}, "Accept": {"text/html"}}, 401},
		{"GET", http.Header{"Sec-Fetch-Dest": {"document"}, "Sec-Purpose": {"prefetch"}}, 401},
		{"GET", http.Header{"Accept": {"application/json"}}, 401},
		{"GET", http.Header{}, 401},
		{"POST", http.Header{"Accept": {"text/html"}, "Sec-Fetch-Dest": {"document"}}, 401},
	}
	for _, test := range tests {
		r := httptest.NewRequest(test.method, "/cart", nil)
		r.Header = test.header
		w := httptest.NewRecorder()
		s.mux.ServeHTTP(w, r)
		if w.Code != test.want || w.Header().Get("Cache-Control") != "no-store" {
			t.Errorf("%s %v: got %d and Cache-Control %q, want %d", test.method, test.header, w.Code, w.Header().Get("Cache-Control"), test.want)
		}
		if challenge := w.Header().Get("WWW-Authenticate"); w.Code == 401 && challenge != `Session error="no_session"` {
			t.Errorf("%s %v: got challenge %q", test.method, test.header, challenge)
		}
	}
}

func TestSessionIdleAndAbsoluteLimits(t *testing.T) {
	t.Parallel()
	for name, store := range stores {
		t.Run(name, func(t *testing.T) {
			tests := []struct {
				name  string
				steps []time.Duration // between visits
				want  int             // logins
			}{
				{"in use", []time.Duration{19 * time.Minute, 19 * time.Minute}, 1},
				{"in use every minute", []time.Duration{time.Minute, time.Minute, time.Minute, 18 * time.Minute}, 1},
				{"idle", []time.Duration{20 * time.Minute}, 2},
				{"idle after use", []time.Duration{10 * time.Minute, 20 * time.Minute}, 2},
				{"in use for too long", []time.Duration{15 * time.Minute, 15 * time.Minute, 15 * time.Minute, 14 * time.Minute, time.Minute}, 2},
			}
			for _, test := range tests {
				s := newSite(t, rp.SessionConfig{Store: store(), Idle: 20 * time.Minute, Absolute: time.Hour}, nil)
				s.show("/")
				for _, d := range test.steps {
					s.Advance(d)
					s.show("/")
				}
				if s.logins() != test.want {
					t.Errorf("%s: got %d logins, want %d", test.name, s.logins(), test.want)
				}
			}
		})
	}
}

// The expiry is inside: a cookie that was kept longer than the browser would is
// worth nothing.
func TestSessionCookieKeptTooLong(t *testing.T) {
	t.Parallel()
	for name, store := range stores {
		t.Run(name, func(t *testing.T) {
			s := newSite(t, rp.SessionConfig{Store: store()}, nil)
			s.show("/")
			kept := s.sessionCookie()
			if w := s.with(kept, "/"); w.Code != http.StatusOK {
				t.Fatalf("got %d", w.Code)
			}
			s.Advance(time.Hour)
			if w := s.with(kept, "/"); w.Code != http.StatusUnauthorized {
				t.Errorf("got %d for a session of an hour ago", w.Code)
			}
		})
	}
}

// A new login makes a new session of itself, whatever was in the browser.
func TestSessionIsReplacedByLogin(t *testing.T) {
	t.Parallel()
	for name, store := range stores {
		t.Run(name, func(t *testing.T) {
			s := newSite(t, rp.SessionConfig{Store: store()}, nil)
			s.SetClaims(map[string]any{"name": "Mina", "email": "mina@example.com"})
			s.show("/")
			first := s.sessionCookie()
			s.SetClaims(map[string]any{"sub": "joon", "acr": nil, "amr": nil})
			s.show("/login")
			if second := s.sessionCookie(); second.Value == first.Value {
				t.Error("the cookie is the same")
			}
			got := s.session()
			if got.Subject != "joon" || got.Name != "" || got.Email != "" || got.ACR != "" || got.AMR != nil || got.Token != nil || got.Claims != nil {
				t.Errorf("got %#v, with something of the session before", got.Identity)
			}
		})
	}
}

// A cookie is a session of this client, server and key, and no pending login is one.
func TestSessionCookieOfAnother(t *testing.T) {
	t.Parallel()
	for name, store := range stores {
		t.Run(name, func(t *testing.T) {
			s := newSite(t, rp.SessionConfig{Store: store()}, nil)
			s.show("/")
			good := s.sessionCookie()
			values := map[string]string{"empty": "", "junk": "AAAA", "cut": good.Value[1:], "twice": good.Value + good.Value}
			s.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
			s.Browser.Get("/login")
			for _, c := range s.Cookies() {
				if c.Name != good.Name {
					values["pending login"] = c.Value
				}
			}
			other := newSite(t, rp.SessionConfig{Store: store()}, nil)
			other.show("/")
			values["another server's"] = other.sessionCookie().Value
			if len(values) != 6 {
				t.Fatal("a case is missing")
			}
			for name, value := range values {
				if w := s.with(&http.Cookie{Name: good.Name, Value: value}, "/"); w.Code != http.StatusUnauthorized {
					t.Errorf("%s: got %d", name, w.Code)
				}
			}
			if w := s.with(good, "/"); w.Code != http.StatusOK {
				t.Errorf("the good one: got %d", w.Code)
			}
		})
	}
}

// Pending logins are swept without the session beside them.
func TestSessionIsNoPendingLogin(t *testing.T) {
	t.Parallel()
	for name, store := range stores {
		t.Run(name, func(t *testing.T) {
			s := newSite(t, rp.SessionConfig{Store: store()}, nil)
			s.show("/")
			for range 7 {
				follow := s.CheckRedirect
				s.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
				s.Browser.Get("/login")
				s.CheckRedirect = follow
			}
			s.show("/")
			if s.sessionCookie() == nil || s.logins() != 1 {
				t.Errorf("got session %v and %d logins", s.sessionCookie(), s.logins())
			}
		})
	}
}

func TestSessionFitsACookie(t *testing.T) {
	t.Parallel()
	s := newSite(t, rp.SessionConfig{}, nil)
	s.SetClaims(map[string]any{"groups": strings.Repeat("g", 3000), "name": strings.Repeat("n", 1000)})
	if s.show("/"); s.err != nil {
		t.Fatal(s.err)
	}
	if c := s.sessionCookie(); len(c.Name)+len(c.Value) > 3800 {
		t.Errorf("the cookie has %d bytes", len(c.Name)+len(c.Value))
	}
	s.SetClaims(map[string]any{"name": strings.Repeat("n", 4000)})
	if s.show("/login"); s.err == nil || !strings.Contains(s.err.Error(), "too long") {
		t.Errorf("got %v for a name of 4000 bytes", s.err)
	}
}

func TestSessionBeginsForOwnUsersOnly(t *testing.T) {
	t.Parallel()
	s := newSite(t, rp.SessionConfig{}, nil)
	for _, id := range []*rp.Identity{{}, {Issuer: "https://other.example", Subject: "1"}, {Issuer: s.Issuer}} {
		w := httptest.NewRecorder()
		if err := s.sessions.Begin(w, httptest.NewRequest(http.MethodGet, "/", nil), id); err == nil || len(w.Result().Cookies()) != 0 {
			t.Errorf("%v: got error %v and cookies %v", id, err, w.Result().Cookies())
		}
	}
}

func TestSessionConfigNamesWhatIsWrong(t *testing.T) {
	t.Parallel()
	client, err := rp.New(t.Context(), goodConfig())
	if err != nil {
		t.Fatal(err)
	}
	for want, config := range map[string]rp.SessionConfig{
		"SessionConfig.AfterLogout": {AfterLogout: "/bye"},
		"SessionConfig.Idle":        {Idle: time.Second},
		"SessionConfig.Absolute":    {Idle: time.Hour, Absolute: time.Minute},
	} {
		if _, err := client.Sessions(config); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}

// greet is a page that is for everybody, and says who is signed in.
func (s *site) greet() *httptest.ResponseRecorder {
	h := s.sessions.WithSession(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if session := rp.FromContext(r.Context()); session != nil {
			io.WriteString(w, session.Subject)
		}
	}))
	r, w := httptest.NewRequest(http.MethodGet, "/", nil), httptest.NewRecorder()
	if c := s.sessionCookie(); c != nil {
		r.AddCookie(c)
	}
	h.ServeHTTP(w, r)
	return w
}

// Who is signed in is greeted, and nobody is sent to sign in.
func TestWithSession(t *testing.T) {
	t.Parallel()
	s := newSite(t, rp.SessionConfig{}, nil)
	s.mux.Handle("/within", s.sessions.WithSession(s.sessions.RequireSession(http.HandlerFunc(whoami))))
	if got := s.greet(); got.Code != http.StatusOK || got.Body.String() != "" || s.logins() != 0 {
		t.Errorf("without a session: got %d %q and %d logins", got.Code, got.Body, s.logins())
	}
	if got := s.with(nil, "/within"); got.Code != http.StatusUnauthorized {
		t.Errorf("RequireSession within, without a session: got %d, want 401", got.Code)
	}
	s.show("/")
	if got := s.greet(); got.Body.String() != s.session().Subject || got.Header().Get("Cache-Control") != "no-store" {
		t.Errorf("with a session: got %q %v, want its subject", got.Body, got.Header())
	}
}
