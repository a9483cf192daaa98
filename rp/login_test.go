package rp_test

import (
	"bytes"
	"errors"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-id/sallyport/rp"
	"github.com/sallyport-id/sallyport/rp/rptest"
)

func logged(v any) string {
	var b bytes.Buffer
	slog.New(slog.NewTextHandler(&b, nil)).Info("", "v", v)
	return b.String()
}

// request signs in and returns the authorization request.
func request(t *testing.T, p *rptest.Provider, change func(*rp.Config), options ...rp.LoginOption) url.Values {
	t.Helper()
	newApp(t, p, change, options...).start(t)
	requests := p.Requests()
	return requests[len(requests)-1]
}

func TestLoginRequest(t *testing.T) {
	t.Parallel()
	p := rptest.NewProvider(t)
	q := request(t, p, func(c *rp.Config) { c.Require = rp.Requirement{} },
		rp.UILocales("ko", "en-GB", "no tag"), rp.LoginHint("j.doe@example.com"), rp.Prompt("login", "consent"))
	want := map[string]string{
		"response_type": "code", "client_id": p.ClientID, "redirect_uri": origin + "/callback", "scope": "openid profile",
		"code_challenge_method": "S256", "ui_locales": "ko en-GB", "login_hint": "j.doe@example.com", "prompt": "login consent",
	}
	for name, value := range want {
		if q.Get(name) != value {
			t.Errorf("%s: got %q, want %q", name, q.Get(name), value)
		}
	}
	for _, name := range []string{"state", "nonce", "code_challenge"} {
		if len(q.Get(name)) < 22 {
			t.Errorf("%s: got %q", name, q.Get(name))
		}
	}
	for _, name := range []string{"acr_values", "claims", "max_age"} {
		if q.Has(name) {
			t.Errorf("%s: got %q without a requirement", name, q.Get(name))
		}
	}
}

func TestLoginAlwaysAsksForOpenID(t *testing.T) {
	t.Parallel()
	q := request(t, rptest.NewProvider(t), func(c *rp.Config) { c.Scopes = []string{"email"} })
	if got := q.Get("scope"); got != "openid email" {
		t.Errorf("got scope %q", got)
	}
}

func TestLoginRequestsAreDifferent(t *testing.T) {
	t.Parallel()
	p := rptest.NewProvider(t)
	a, b := request(t, p, nil), request(t, p, nil)
	for _, name := range []string{"state", "nonce", "code_challenge"} {
		if a.Get(name) == b.Get(name) {
			t.Errorf("%s is the same in two logins", name)
		}
	}
}

// What is required is asked for: by the claims parameter if the server knows it,
// else by acr_values, never both.
func TestLoginSendsTheRequirement(t *testing.T) {
	t.Parallel()
	const essential = `{"id_token":{"acr":{"essential":true,"values":["urn:sallyport:acr:2fa","phr","phrh"]}}}`
	p := rptest.NewProvider(t)
	q := request(t, p, func(c *rp.Config) { c.Require.MaxAge = 90*time.Second + 500*time.Millisecond })
	if q.Get("claims") != essential || q.Has("acr_values") || q.Get("max_age") != "90" {
		t.Errorf("got claims %s, acr_values %q, max_age %q", q.Get("claims"), q["acr_values"], q.Get("max_age"))
	}

	old := rptest.NewProvider(t)
	old.Misbehave(rptest.NoClaimsParameter)
	q = request(t, old, func(c *rp.Config) { c.Require.Fresh = true })
	if q.Get("acr_values") != "urn:sallyport:acr:2fa phr phrh" || q.Has("claims") || q.Get("max_age") != "0" {
		t.Errorf("got acr_values %q, claims %q, max_age %q", q.Get("acr_values"), q["claims"], q.Get("max_age"))
	}
}

// An API is named in every request whose answer is a token, and with tokens that are
// not for the userinfo endpoint the names are asked for in the ID token.
func TestLoginForAnAPI(t *testing.T) {
	t.Parallel()
	const api = "https://orders.example.com/"
	p := rptest.NewProvider(t)
	for _, userInfo := range []bool{false, true} {
		q := request(t, p, func(c *rp.Config) { c.Resource, c.UserInfo, c.Require = api, userInfo, rp.Requirement{} })
		if got := q["resource"]; len(got) != 1 || got[0] != api {
			t.Errorf("got resource %q, want %s", got, api)
		}
		if got := strings.Contains(q.Get("claims"), `"preferred_username":null`); got != userInfo {
			t.Errorf("UserInfo %v: got claims %q", userInfo, q.Get("claims"))
		}
	}
	a := newApp(t, p, func(c *rp.Config) { c.Resource, c.UserInfo = api, true })
	if _, err := a.signIn(); err != nil {
		t.Error(err)
	}
	if got := p.Hits("/userinfo"); got != 0 {
		t.Errorf("the userinfo endpoint was asked %d times with a token for an API", got)
	}
	for _, wrong := range []string{"orders", "/orders", "https://orders.example.com/#a", "%"} {
		config := p.Config(origin + "/callback")
		config.Resource = wrong
		if _, err := rp.New(t.Context(), config); err == nil || !strings.Contains(err.Error(), "Config.Resource") {
			t.Errorf("%q: got %v", wrong, err)
		}
	}
}

func TestLoginAnswer(t *testing.T) {
	t.Parallel()
	p := rptest.NewProvider(t)
	for redirect, prefix := range map[string]string{
		"https://shop.example.com/callback": "__Host-sallyport-rp-",
		"http://localhost:5000/callback":    "sallyport-rp-",
	} {
		a := newApp(t, p, func(c *rp.Config) { c.RedirectURL = redirect })
		w := httptest.NewRecorder()
		a.client.Login(w, httptest.NewRequest(http.MethodGet, "/login", nil), rp.ReturnTo("/"+strings.Repeat("x", 511)))
		if w.Code != http.StatusSeeOther || w.Header().Get("Cache-Control") != "no-store" {
			t.Errorf("got status %d, Cache-Control %q", w.Code, w.Header().Get("Cache-Control"))
		}
		cookie := w.Result().Cookies()[0]
		if !strings.HasPrefix(cookie.Name, prefix) || cookie.Secure != strings.HasPrefix(redirect, "https") ||
			!cookie.HttpOnly || cookie.SameSite != http.SameSiteLaxMode || cookie.Path != "/" || cookie.Domain != "" {
			t.Errorf("%s: got cookie %s", redirect, cookie.Raw)
		}
		if size := len(cookie.Name) + len(cookie.Value); size > 1200 {
			t.Errorf("the cookie has %d bytes", size)
		}
	}
}

func TestLoginReturnToIsLocal(t *testing.T) {
	t.Parallel()
	p := rptest.NewProvider(t)
	tests := map[string]string{
		"":                      "/",
		"/":                     "/",
		"/cart?x=1&y=/z#top":    "/cart?x=1&y=/z#top",
		"/장바구니":                 "/장바구니",
		"//evil.example":        "/",
		"///evil.example":       "/",
		`/\evil.example`:        "/",
		`/a\b`:                  "/",
		"/\t/evil.example":      "/",
		"/\n/evil.example":      "/",
		"/\x00":                 "/",
		"\t//evil.example":      "/",
		" //evil.example":       "/",
		"https://evil.example/": "/",
		"javascript:alert(1)":   "/",
		"evil.example":          "/",
		"@evil.example":         "/",
		"/%zz":                  "/",
		"/\xff":                 "/",
		"/\u0085/evil.example":  "/",
	}
	tests["/"+strings.Repeat("x", 511)] = "/" + strings.Repeat("x", 511)
	tests["/"+strings.Repeat("x", 512)] = "/"
	for path, want := range tests {
		id, err := newApp(t, p, nil, rp.ReturnTo(path)).signIn()
		if err != nil {
			t.Fatalf("%q: %v", path, err)
		}
		if id.ReturnTo != want {
			t.Errorf("%q: got %q, want %q", path, id.ReturnTo, want)
		}
	}
}

func TestLoginInParallelTabs(t *testing.T) {
	t.Parallel()
	a := newApp(t, rptest.NewProvider(t), nil)
	first, second := a.start(t), a.start(t)
	for _, answer := range []string{first, second} {
		if a.Get(answer); a.err != nil {
			t.Errorf("%v", a.err)
		}
	}
}

func TestLoginSixthEndsTheOldest(t *testing.T) {
	t.Parallel()
	p := rptest.NewProvider(t)
	a := newApp(t, p, nil)
	var answers []string
	for range 6 {
		answers = append(answers, a.start(t))
		p.Advance(2 * time.Second)
	}
	if got := len(a.Cookies()); got != 5 {
		t.Errorf("got %d pending logins, want 5", got)
	}
	for i, answer := range answers {
		a.Get(answer)
		want := rp.Diagnosis("")
		if i == 0 {
			want = rp.StateMismatch
		}
		if diagnosis(a.err) != want {
			t.Errorf("login %d: got %v, want %q", i, a.err, want)
		}
	}
}

// Cookies that nobody can open or use make room first.
func TestLoginSweepsDeadCookies(t *testing.T) {
	t.Parallel()
	p := rptest.NewProvider(t)
	a := newApp(t, p, nil)
	a.start(t)
	name := a.Cookies()[0].Name
	p.Advance(16 * time.Minute)
	u, _ := url.Parse(origin)
	a.Jar.SetCookies(u, []*http.Cookie{
		{Name: name[:len(name)-12] + "AAAAAAAAAAAA", Value: "junk", Path: "/", Secure: true},
		{Name: "other", Value: "stays", Path: "/"},
	})
	a.start(t)
	if got := len(a.Cookies()); got != 2 {
		t.Errorf("got %d cookies, want the new login and the other one", got)
	}
}

func TestLoginOnlyByNavigation(t *testing.T) {
	t.Parallel()
	a := newApp(t, rptest.NewProvider(t), nil)
	tests := []struct {
		name, value string
		want        int
	}{
		{"Sec-Fetch-Dest", "document", http.StatusSeeOther},
		{"Sec-Fetch-Dest", "image", http.StatusForbidden},
		{"Sec-Fetch-Dest", "iframe", http.StatusForbidden},
		{"Sec-Fetch-Dest", "empty", http.StatusForbidden},
		{"Sec-Purpose", "prefetch;prerender", http.StatusForbidden},
	}
	for _, test := range tests {
		r := httptest.NewRequest(http.MethodGet, "/login", nil)
		r.Header.Set(test.name, test.value)
		w := httptest.NewRecorder()
		a.client.Login(w, r)
		if w.Code != test.want || (w.Code != http.StatusSeeOther) != (len(w.Result().Cookies()) == 0) {
			t.Errorf("%s: %s: got status %d and %d cookies, want %d", test.name, test.value, w.Code, len(w.Result().Cookies()), test.want)
		}
	}
}

// The server may start after the application, and be away for a while.
func TestLoginWhileTheServerIsDown(t *testing.T) {
	t.Parallel()
	p := rptest.NewProvider(t)
	p.Misbehave(rptest.Down)
	var log bytes.Buffer
	a := newApp(t, p, func(c *rp.Config) { c.Logger = slog.New(slog.NewTextHandler(&log, nil)) })
	res := a.Get("/login")
	if res.StatusCode != http.StatusServiceUnavailable || len(a.Cookies()) != 0 {
		t.Errorf("got status %d and %d cookies", res.StatusCode, len(a.Cookies()))
	}
	if !strings.Contains(log.String(), "status 503") {
		t.Errorf("got log %q", log.String())
	}
	p.Misbehave()
	p.Advance(2 * time.Second)
	if _, err := a.signIn(); err != nil {
		t.Errorf("after the server came up: %v", err)
	}
}

// counting counts the answers that metadata are asked for with, by their status.
type counting map[int]int

func (c counting) RoundTrip(r *http.Request) (*http.Response, error) {
	res, err := http.DefaultTransport.RoundTrip(r)
	if err == nil && strings.HasSuffix(r.URL.Path, "/.well-known/openid-configuration") {
		c[res.StatusCode]++
	}
	return res, err
}

// Metadata are asked for again each hour, with their entity tag; those of before
// are used for a day while the server is away, or says that it is another one.
func TestMetadataAreAskedForAgain(t *testing.T) {
	t.Parallel()
	p, answers := rptest.NewProvider(t), counting{}
	a := newApp(t, p, func(c *rp.Config) { c.HTTPClient = &http.Client{Transport: answers} })
	for _, step := range []struct {
		after time.Duration
		fault rptest.Fault
		want  counting
		good  bool
	}{
		{0, "", counting{200: 1}, true},
		{59 * time.Minute, "", counting{200: 1}, true},
		{time.Minute, "", counting{200: 1, 304: 1}, true},
		{time.Hour, rptest.Down, counting{200: 1, 304: 1, 503: 1}, true},
		{time.Minute, rptest.OtherMetadata, counting{200: 2, 304: 1, 503: 1}, true},
		{24 * time.Hour, rptest.OtherMetadata, counting{200: 3, 304: 1, 503: 1}, false},
		{time.Minute, "", counting{200: 3, 304: 2, 503: 1}, true},
	} {
		p.Advance(step.after)
		p.Misbehave(step.fault)
		w := httptest.NewRecorder()
		a.client.Login(w, httptest.NewRequest(http.MethodGet, "/login", nil))
		if (w.Code == http.StatusSeeOther) != step.good || !maps.Equal(answers, step.want) {
			t.Errorf("%+v: got %d, %v", step, w.Code, answers)
		}
	}
}

func TestLoginErrorPage(t *testing.T) {
	t.Parallel()
	p := rptest.NewProvider(t)
	p.Misbehave(rptest.OtherMetadata)
	var got error
	a := newApp(t, p, func(c *rp.Config) {
		c.Logger = slog.New(slog.DiscardHandler)
		c.ErrorPage = func(w http.ResponseWriter, _ *http.Request, err error) { got = err; w.WriteHeader(http.StatusTeapot) }
	})
	res := a.Get("/login")
	var unavailable *rp.UnavailableError
	if res.StatusCode != http.StatusTeapot || !errors.As(got, &unavailable) || !strings.Contains(got.Error(), "the issuer is") {
		t.Errorf("got status %d, error %v", res.StatusCode, got)
	}
}
