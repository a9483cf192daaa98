package rp_test

import (
	"context"
	"encoding/base64"
	"errors"
	"io"
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

// A mall is an application whose users sign in at the one or the other provider.
type mall struct {
	*rptest.Browser
	providers map[string]*rptest.Provider
	registry  *rp.Registry
	sessions  *rp.Sessions
	mux       *http.ServeMux
	err       error // of the last callback
}

func newMall(t *testing.T, store rp.SessionStore, providers map[string]*rptest.Provider) *mall {
	t.Helper()
	m := &mall{providers: providers, mux: http.NewServeMux()}
	configs := map[string]rp.Config{}
	for name, p := range providers {
		config := p.Config(origin + "/callback/" + name)
		config.Logger = slog.New(slog.DiscardHandler)
		configs[name] = config
	}
	var err error
	if m.registry, err = rp.NewRegistry(t.Context(), configs); err != nil {
		t.Fatal(err)
	}
	choice := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "choose for "+r.URL.RequestURI()) })
	config := rp.SessionConfig{Store: store, AfterLogout: origin + "/bye", SignIn: choice}
	if m.sessions, err = m.registry.Sessions(config); err != nil {
		t.Fatal(err)
	}
	m.mux.HandleFunc("GET /login/{provider}", func(w http.ResponseWriter, r *http.Request) {
		m.registry.Login(w, r, rp.ReturnTo(r.FormValue("to")))
	})
	m.mux.HandleFunc("GET /callback/{provider}", func(w http.ResponseWriter, r *http.Request) {
		var id *rp.Identity
		if id, m.err = m.registry.Callback(w, r); m.err == nil {
			m.err = m.sessions.Begin(w, r, id)
		}
		if m.err != nil {
			http.Error(w, rp.Reason(m.err), http.StatusForbidden)
			return
		}
		http.Redirect(w, r, id.ReturnTo, http.StatusSeeOther)
	})
	page := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, m.nameOf(rp.FromContext(r.Context()).Issuer)+" "+r.URL.RequestURI())
	})
	m.mux.Handle("/", m.sessions.RequireSession(page))
	m.mux.Handle("/vault", m.sessions.StepUp(page, phishingResistant))
	m.mux.HandleFunc("POST /logout", m.sessions.Logout)
	m.mux.HandleFunc("/bye", func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "bye") })
	m.Browser = rptest.NewBrowser(t, origin, m.mux)
	return m
}

func twoProviders(t *testing.T) map[string]*rptest.Provider {
	return map[string]*rptest.Provider{"company": rptest.NewProvider(t), "partner": rptest.NewProvider(t)}
}

func (m *mall) nameOf(issuer string) string {
	for name, p := range m.providers {
		if p.Issuer == issuer {
			return name
		}
	}
	return "nobody"
}

func (m *mall) show(path string) string {
	body, _ := io.ReadAll(m.Get(path).Body)
	return string(body)
}

// One session at a time, of whichever provider the user chose last.
func TestRegistrySignsInAtEither(t *testing.T) {
	t.Parallel()
	for name, store := range stores {
		m := newMall(t, store(), twoProviders(t))
		if got := m.show("/cart?item=1"); got != "choose for /cart?item=1" {
			t.Errorf("%s: without a session: got %q", name, got)
		}
		for _, provider := range []string{"company", "partner", "company"} {
			if got := m.show("/login/" + provider + "?to=/cart"); got != provider+" /cart" {
				t.Errorf("%s: got %q, want the session of %s (%v)", name, got, provider, m.err)
			}
			if len(m.Cookies()) != 1 {
				t.Errorf("%s: got cookies %v, want one session", name, m.Cookies())
			}
		}
	}
}

// The sixth login that is pending ends the oldest, wherever the two are.
func TestRule26FewPendingAtAllProviders(t *testing.T) {
	t.Parallel()
	m := newMall(t, nil, twoProviders(t))
	m.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	var answers []string
	for i := range 6 {
		name := []string{"company", "partner"}[i/3]
		res := m.Get("/login/" + name)
		back, err := http.DefaultTransport.RoundTrip(httptest.NewRequest("GET", res.Header.Get("Location"), nil))
		if err != nil {
			t.Fatal(err)
		}
		answers = append(answers, back.Header.Get("Location"))
		for _, p := range m.providers {
			p.Advance(time.Second)
		}
	}
	if len(m.Cookies()) != 5 {
		t.Errorf("got %d cookies, want 5", len(m.Cookies()))
	}
	for i, answer := range answers {
		m.Get(strings.TrimPrefix(answer, origin))
		if (m.err == nil) != (i > 0) {
			t.Errorf("login %d: got %v", i, m.err)
		}
	}
}

func TestRegistryKnowsNoOtherProvider(t *testing.T) {
	t.Parallel()
	m := newMall(t, nil, twoProviders(t))
	if res := m.Get("/login/other"); res.StatusCode != http.StatusNotFound {
		t.Errorf("login: got %s", res.Status)
	}
	if m.show("/callback/other?state=1&code=2"); diagnosis(m.err) != rp.CookieMissing {
		t.Errorf("callback: got %v", m.err)
	}
	if m.registry.Client("other") != nil || m.registry.Client("company") == nil {
		t.Error("Client finds what is not there, or not what is")
	}
}

// What a session needs of a server is done at the one it is from.
func TestRegistryStepsUpAndSignsOutWhereTheSessionIsFrom(t *testing.T) {
	t.Parallel()
	for name, store := range stores {
		m := newMall(t, store(), twoProviders(t))
		for _, p := range m.providers {
			p.SetClaims(map[string]any{"acr": rp.ACR1FA})
		}
		m.show("/login/partner")
		m.providers["company"].Misbehave(rptest.Down)
		m.providers["partner"].SetClaims(map[string]any{"acr": rp.ACRPHR})
		if got := m.show("/vault"); got != "partner /vault" || len(m.providers["partner"].Requests()) != 2 {
			t.Errorf("%s: step-up: got %q (%v)", name, got, m.err)
		}
		m.providers["company"].Misbehave()
		res, err := m.Client.Post(origin+"/logout", "", nil)
		if err != nil {
			t.Fatal(err)
		}
		if res.Request.URL.Path != "/bye" || len(m.providers["partner"].Logouts()) != 1 || len(m.providers["company"].Logouts()) != 0 {
			t.Errorf("%s: signed out: got %v and %d, %d logouts", name, res.Request.URL,
				len(m.providers["partner"].Logouts()), len(m.providers["company"].Logouts()))
		}
		if res, err = m.Client.Post(origin+"/logout", "", nil); err != nil || res.Request.URL.Path != "/bye" {
			t.Errorf("%s: signed out again: got %v, %v", name, res.Request.URL, err)
		}
	}
}

// Without a session, a page that needs more gets it in two steps.
func TestRegistryChoosesBeforeItStepsUp(t *testing.T) {
	t.Parallel()
	m := newMall(t, nil, twoProviders(t))
	if got := m.show("/vault"); got != "choose for /vault" {
		t.Errorf("got %q", got)
	}
	m.show("/login/company?to=/vault")
	var unmet *rp.UnmetError
	if !errors.As(m.err, &unmet) || len(m.providers["company"].Requests()) != 2 {
		t.Errorf("got %v after %d logins, want the second to be refused", m.err, len(m.providers["company"].Requests()))
	}
}

// A back-channel logout ends the sessions of the server it is from, whatever the
// other one calls its own.
func TestRegistryBackchannelLogout(t *testing.T) {
	t.Parallel()
	m := newMall(t, new(rp.MemoryStore), twoProviders(t))
	h, err := m.sessions.BackchannelLogout()
	if err != nil {
		t.Fatal(err)
	}
	m.mux.Handle("POST /backchannel", h)
	tell := func(token string) int {
		w := httptest.NewRecorder()
		r := httptest.NewRequest("POST", "/backchannel", strings.NewReader(url.Values{"logout_token": {token}}.Encode()))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		m.mux.ServeHTTP(w, r)
		return w.Code
	}
	m.show("/login/partner")
	company, partner := m.providers["company"], m.providers["partner"]
	if got := tell(company.LogoutToken(map[string]any{"sub": rptest.Subject})); got != 200 || m.show("/") != "partner /" {
		t.Errorf("of the other server: got %d, and the session is gone or not", got)
	}
	if got := tell(company.LogoutToken(map[string]any{"sub": rptest.Subject, "iss": partner.Issuer})); got != 400 || m.show("/") != "partner /" {
		t.Errorf("in the name of the other server: got %d, and the session is gone or not", got)
	}
	if got := tell("e30.e30"); got != 400 {
		t.Errorf("of nobody: got %d", got)
	}
	if got := tell(partner.LogoutToken(map[string]any{"sub": rptest.Subject})); got != 200 || m.show("/") != "choose for /" {
		t.Errorf("of its server: got %d, and the session is there or not", got)
	}
}

// A provider that is not in the registry any more has no sessions.
func TestRegistryWithoutTheProviderOfASession(t *testing.T) {
	t.Parallel()
	for name, store := range stores {
		kept := store()
		m := newMall(t, kept, twoProviders(t))
		m.show("/login/partner")
		less := newMall(t, kept, map[string]*rptest.Provider{"company": m.providers["company"]})
		r := httptest.NewRequest("GET", "/", nil)
		r.AddCookie(m.Cookies()[0])
		w := httptest.NewRecorder()
		if less.mux.ServeHTTP(w, r); w.Code != http.StatusUnauthorized {
			t.Errorf("%s: got %d", name, w.Code)
		}
	}
}

// strangeStore has sessions of a server that nobody knows.
type strangeStore struct{ rp.SessionStore }

func (s strangeStore) Get(ctx context.Context, key string) (rp.Session, error) {
	session, err := s.SessionStore.Get(ctx, key)
	session.Issuer = "https://other.example"
	return session, err
}

func TestStoreThatAnswersStrangely(t *testing.T) {
	t.Parallel()
	m := newMall(t, strangeStore{new(rp.MemoryStore)}, twoProviders(t))
	if got := m.show("/login/company"); got != "choose for /" {
		t.Errorf("got %q", got)
	}
}

// TestRule26MixUp: a provider that sends the browser on to another one, in the hope
// that the code of the other one will come to it (RFC 9700 §4.4).
func TestRule26MixUp(t *testing.T) {
	t.Parallel()
	for _, fault := range []rptest.Fault{"", rptest.NoIssParameter} {
		for _, route := range []string{"/callback/honest", "/callback/evil"} {
			if fault != "" && route == "/callback/evil" {
				continue // no server sends anybody to a route that is not registered for the client
			}
			honest, evil := rptest.NewProvider(t), rptest.NewProvider(t)
			honest.Misbehave(fault)
			trap := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path != "/authorize" {
					evil.ServeHTTP(w, r)
					return
				}
				q := r.URL.Query()
				q.Set("client_id", honest.ClientID)
				q.Set("redirect_uri", origin+route)
				http.Redirect(w, r, honest.Issuer+"/authorize?"+q.Encode(), http.StatusSeeOther)
			}))
			t.Cleanup(trap.Close)
			evil.Issuer = trap.URL
			evil.Misbehave(fault)
			m := newMall(t, nil, map[string]*rptest.Provider{"honest": honest, "evil": evil})
			got := m.show("/login/evil")
			if len(honest.Requests()) != 1 || m.err == nil || strings.HasPrefix(got, "honest") {
				t.Errorf("%q at %s: got %q and %v", fault, route, got, m.err)
			}
			if evil.Hits("/token")+honest.Hits("/token") != 0 {
				t.Errorf("%q at %s: the code was sent to a server", fault, route)
			}
			if m.show("/login/honest"); m.err != nil {
				t.Errorf("%q at %s: the honest provider: %v", fault, route, m.err)
			}
		}
	}
}

func TestNewRegistryNamesWhatIsWrong(t *testing.T) {
	t.Parallel()
	a, b := goodConfig(), goodConfig()
	a.RedirectURL, b.RedirectURL, b.Issuer = origin+"/callback/a", origin+"/callback/b", "https://other.example.com"
	change := func(f func(*rp.Config)) map[string]rp.Config {
		changed := b
		f(&changed)
		return map[string]rp.Config{"a": a, "b": changed}
	}
	for want, configs := range map[string]map[string]rp.Config{
		"a registry of no clients":                                        nil,
		`provider "b": rp: Config.ClientID`:                               change(func(c *rp.Config) { c.ClientID = "" }),
		`provider "b": Config.Issuer is that of "a"`:                      change(func(c *rp.Config) { c.Issuer = a.Issuer }),
		`provider "b": Config.RedirectURL is that of "a"`:                 change(func(c *rp.Config) { c.RedirectURL = a.RedirectURL + "?b" }),
		`provider "b": Config.RedirectURL is on another origin than that`: change(func(c *rp.Config) { c.RedirectURL = "https://b.example.com/" }),
		`provider "b": Config.RedirectURL is empty`:                       change(func(c *rp.Config) { c.RedirectURL, c.CookieKey = "", nil }),
	} {
		if _, err := rp.NewRegistry(t.Context(), configs); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
	g, err := rp.NewRegistry(t.Context(), change(func(*rp.Config) {}))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := g.Sessions(rp.SessionConfig{}); err == nil || !strings.Contains(err.Error(), "SessionConfig.SignIn") {
		t.Errorf("got %v, want SignIn to be missed", err)
	}
}

func TestConfigsFromEnv(t *testing.T) {
	if _, err := rp.ConfigsFromEnv("MALL_"); err == nil || !strings.Contains(err.Error(), "MALL_PROVIDERS") {
		t.Errorf("without any: got %v", err)
	}
	key := []byte(strings.Repeat("k", 32))
	for name, value := range map[string]string{
		"MALL_PROVIDERS": " corp 2nd ", "MALL_COOKIE_KEY": base64.StdEncoding.EncodeToString(key),
		"MALL_CORP_ISSUER": "https://id.example.com", "MALL_CORP_CLIENT_ID": "shop",
		"MALL_2ND_ISSUER": "https://other.example.com", "MALL_2ND_COOKIE_KEY": base64.StdEncoding.EncodeToString(key[:31]),
	} {
		t.Setenv(name, value)
	}
	got, err := rp.ConfigsFromEnv("MALL_")
	if err != nil || len(got) != 2 {
		t.Fatalf("got %v, %v", got, err)
	}
	if corp := got["corp"]; corp.Issuer != "https://id.example.com" || corp.ClientID != "shop" || string(corp.CookieKey) != string(key) {
		t.Errorf("got %v", corp)
	}
	if second := got["2nd"]; second.Issuer != "https://other.example.com" || len(second.CookieKey) != 31 {
		t.Errorf("got %v", second)
	}
	for _, name := range []string{"Corp", "a-b", "a_b", "é"} {
		t.Setenv("MALL_PROVIDERS", name)
		if _, err := rp.ConfigsFromEnv("MALL_"); err == nil {
			t.Errorf("%s was accepted", name)
		}
	}
	t.Setenv("MALL_PROVIDERS", "corp")
	t.Setenv("MALL_COOKIE_KEY", "?")
	if _, err := rp.ConfigsFromEnv("MALL_"); err == nil || !strings.Contains(err.Error(), "MALL_COOKIE_KEY") {
		t.Errorf("got %v", err)
	}
}
