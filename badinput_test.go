package sallyport_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-id/sallyport"
)

// hostile are values that no field expects.
var hostile = []string{"", " ", "\x00", "\xff\xfe", "a\r\nX-Injected: 1", "<script>alert(1)</script>", "'; DROP TABLE users; --",
	"../../etc/passwd", "%00", "\u202eevil", "𝓊𝓃𝒾", "-1", "1e999", "999999999999999999999999", "{}", "[]", "null",
	"javascript:alert(1)", "//evil.example", strings.Repeat("a", 5000), strings.Repeat("가", 3000), strings.Repeat("[", 3000)}

// TestBadInputGetsAClearAnswer puts each hostile value, once and twice, into
// each parameter of each endpoint: the answer is never a 500, never a redirect
// to an unproven place, and has no secret in it or in the log.
func TestBadInputGetsAClearAnswer(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	r := newRig(t, func(c *sallyport.Config) {
		c.Log = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelInfo}))
	})
	authorize := url.Values{"response_type": {"code"}, "client_id": {"web"}, "redirect_uri": {callback}, "scope": {"openid"}, "state": {"s"},
		"nonce": {"n"}, "code_challenge": {challenge}, "code_challenge_method": {"S256"}, "prompt": {"login"}, "max_age": {"10"},
		"acr_values": {"phr"}, "login_hint": {"mina"}, "ui_locales": {"ko"}, "id_token_hint": {"x"}, "claims": {"{}"},
		"response_mode": {"query"}, "display": {"page"}, "request": {""}, "request_uri": {""}, "registration": {""}, "resource": {orders}}
	token := url.Values{"grant_type": {"authorization_code"}, "code": {"ac_a.b"}, "redirect_uri": {callback}, "code_verifier": {verifier},
		"refresh_token": {""}, "scope": {""}, "client_id": {"web"}, "client_secret": {"x"}, "resource": {orders}}
	introspect := url.Values{"token": {"ct_a.b"}, "token_type_hint": {"access_token"}, "client_id": {"orders"}, "client_secret": {"x"}}
	logout := url.Values{"id_token_hint": {"x"}, "client_id": {"web"}, "post_logout_redirect_uri": {callback}, "state": {"s"}, "ui_locales": {"ko"}, "logout_hint": {"m"}}
	for _, endpoint := range []struct {
		method, path string
		params       url.Values
	}{
		{"GET", "/authorize", authorize}, {"POST", "/authorize", authorize}, {"POST", "/token", token},
		{"GET", "/end_session", logout}, {"POST", "/end_session", logout}, {"POST", "/end_session/confirm", logout},
		{"POST", "/userinfo", url.Values{"access_token": {"x"}}}, {"POST", "/introspect", introspect}, {"POST", "/revoke", introspect},
	} {
		for name := range endpoint.params {
			for _, value := range hostile {
				for _, twice := range []bool{false, true} {
					p := url.Values{}
					for k, v := range endpoint.params {
						p[k] = v
					}
					p[name] = []string{value}
					if twice {
						p[name] = []string{value, value}
					}
					r.mustAnswer(t, endpoint.method, endpoint.path, p, fmt.Sprintf("%s=%.40q twice=%v", name, value, twice))
				}
			}
		}
	}
	if bytes.Contains(log.Bytes(), []byte("level=ERROR")) {
		t.Errorf("something was taken for our own error:\n%s", log.Bytes())
	}
}

func (r *rig) mustAnswer(t *testing.T, method, path string, p url.Values, what string) {
	t.Helper()
	req := httptest.NewRequest("GET", path+"?"+p.Encode(), nil)
	if method == "POST" {
		req = httptest.NewRequest("POST", path, strings.NewReader(p.Encode()))
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	w := r.serve(req)
	if w.Code >= 500 {
		t.Errorf("%s %s %s: got %d", method, path, what, w.Code)
	}
	to, err := url.Parse(w.Header().Get("Location"))
	if err != nil || to.Host != "" && to.Host != "localhost:5999" {
		t.Errorf("%s %s %s: sent to %v %v", method, path, what, to, err)
	}
	if w.Header().Get("X-Injected") != "" {
		t.Errorf("%s %s %s: a header was injected", method, path, what)
	}
}

// TestBadFormsOfAnInteraction: each field of each form missing, doubled, huge or
// broken is answered with a page, and nothing is recorded.
func TestBadFormsOfAnInteraction(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	b := r.browser()
	v := b.authorize("web")
	check := func(v *view, action string, names ...string) {
		for _, name := range append(names, "csrf", "step", "version", "subject") {
			for _, value := range hostile {
				form := v.fields(action)
				form[name] = []string{value, value}
				got := b.post(v.page()+"/"+action, form)
				if got.status >= 500 && got.status != http.StatusServiceUnavailable || got.status < 400 || got.location != nil {
					t.Errorf("%s %s=%.40q: got %d %v", action, name, value, got.status, got.location)
				}
			}
		}
	}
	check(v, "password", "username", "password")
	b = r.browser()
	v = b.answer(b.authorize("web"), "password", "username", "mina", "password", r.mina.password).mustStep("second_factor", 200)
	check(v, "totp", "code")
	check(b.get(v.page()+"?method=recovery"), "recovery", "code")
}

// TestErrorsAreShownBeforeTheRedirectURIIsProven: none of these leaves the
// server.
func TestErrorsAreShownBeforeTheRedirectURIIsProven(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	b := r.browser()
	for name, change := range map[string][]string{
		"no client":             {"client_id", ""},
		"unknown client":        {"client_id", "nobody"},
		"no redirect URI":       {"redirect_uri", ""},
		"another redirect URI":  {"redirect_uri", "https://evil.example/"},
		"one with a query more": {"redirect_uri", callback + "?x=1"},
		"one with a fragment":   {"redirect_uri", callback + "#x"},
		"another port":          {"redirect_uri", "http://localhost:6000/callback"},
		"upper case":            {"redirect_uri", strings.ToUpper(callback)},
	} {
		if v := b.authorize("web", change...); v.location != nil || v.status != http.StatusBadRequest || v.path != "/authorize" {
			t.Errorf("%s: got %d %v at %s, want 400 on the spot", name, v.status, v.location, v.path)
		}
	}
	for name, c := range map[string]struct {
		change []string
		code   string
	}{
		"no response type":     {[]string{"response_type", ""}, "invalid_request"},
		"implicit":             {[]string{"response_type", "id_token"}, "unsupported_response_type"},
		"no PKCE":              {[]string{"code_challenge", "", "code_challenge_method", ""}, "invalid_request"},
		"plain PKCE":           {[]string{"code_challenge_method", "plain"}, "invalid_request"},
		"a scope not its own":  {[]string{"scope", "openid admin"}, "invalid_scope"},
		"no scope":             {[]string{"scope", ""}, "invalid_scope"},
		"a request object":     {[]string{"request", "x.y.z"}, "request_not_supported"},
		"a request by URI":     {[]string{"request_uri", "https://evil.example/"}, "request_uri_not_supported"},
		"none and login":       {[]string{"prompt", "none login"}, "invalid_request"},
		"a negative age":       {[]string{"max_age", "-1"}, "invalid_request"},
		"claims that are none": {[]string{"claims", `{"id_token":[]}`}, "invalid_request"},
		"a foreign hint":       {[]string{"id_token_hint", "a.b.c"}, "invalid_request"},
		"an API of others":     {[]string{"resource", orders}, "invalid_target"},
		"an API that is none":  {[]string{"resource", "https://none.example.com/"}, "invalid_target"},
		"an API without a URI": {[]string{"resource", "orders"}, "invalid_target"},
		"an unknown mode":      {[]string{"response_mode", "fragment"}, "invalid_request"},
		"silently, nobody":     {[]string{"prompt", "none"}, "login_required"},
	} {
		v := b.authorize("web", c.change...)
		v.mustRefuse(c.code)
		if v.location.Query().Get("state") != "st" {
			t.Errorf("%s: got %v, want the state", name, v.location)
		}
	}
	body := strings.NewReader("client_id=web&client_id=web")
	req := httptest.NewRequest("POST", "/authorize", body)
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if w := r.serve(req); w.Code != http.StatusSeeOther || !strings.HasPrefix(w.Header().Get("Location"), "/authorize?") {
		t.Errorf("POST: got %d %s, want a GET of the same", w.Code, w.Header().Get("Location"))
	}
}

// TestFormPost: the answer is a page with a form for the client.
func TestFormPost(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	b := r.browser()
	v := b.signIn(r.mina, b.authorize("web", "response_mode", "form_post"))
	if v.status != 200 || !strings.Contains(v.body, `action="`+callback+`"`) || !strings.Contains(v.body, `name="code" value="ac_`) {
		t.Errorf("got %d\n%s", v.status, v.body)
	}
	if csp := v.header.Get("Content-Security-Policy"); !strings.Contains(csp, "form-action 'self' http://localhost:5999") {
		t.Errorf("got %s", csp)
	}
}

// TestPagesAreGuarded: the headers of every page.
func TestPagesAreGuarded(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	b := r.browser()
	for _, path := range []string{"/", "/nothing", "/authorize", "/end_session", b.authorize("web").path} {
		v := b.get(path)
		for name, want := range map[string]string{"X-Frame-Options": "DENY", "X-Content-Type-Options": "nosniff", "Referrer-Policy": "same-origin", "Cache-Control": "no-store"} {
			if got := v.header.Get(name); got != want {
				t.Errorf("%s: got %s %q, want %q", path, name, got, want)
			}
		}
		if csp := v.header.Get("Content-Security-Policy"); !strings.Contains(csp, "default-src 'none'") || strings.Contains(csp, "unsafe") {
			t.Errorf("%s: got %s", path, csp)
		}
	}
	if got := b.post("/jwks.json", url.Values{}); got.status != http.StatusMethodNotAllowed || got.header.Get("Allow") == "" {
		t.Errorf("POST /jwks.json: got %d %v, want 405 with Allow", got.status, got.header)
	}
	req, _ := http.NewRequest("GET", r.issuer+"/", nil)
	req.Host = "evil.example"
	if got := b.do(req); got.status != http.StatusMisdirectedRequest {
		t.Errorf("a foreign Host: got %d, want 421", got.status)
	}
}

// TestRule21FloodsAreBounded: an address that opens too many pages waits, and
// nothing is written for it.
func TestRule21FloodsAreBounded(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(c *sallyport.Config) { c.InsecureNoLimits = false })
	b := r.browser()
	for i := range 400 {
		v := b.authorize("web", "prompt", "none")
		if v.status == http.StatusTooManyRequests {
			if v.header.Get("Retry-After") == "" {
				t.Error("no Retry-After")
			}
			return
		}
		if i == 399 {
			t.Error("400 requests at once, and none was refused")
		}
	}
}

// TestRule21WrongPasswordsAreBounded: an address that sends too many waits before
// anything is hashed or written, whether there are such users or not. A browser of
// the same address that has signed in before does not.
func TestRule21WrongPasswordsAreBounded(t *testing.T) {
	t.Parallel()
	now := time.Now() // it stands still: nothing is earned back
	r := newRig(t, func(c *sallyport.Config) { c.InsecureNoLimits, c.Now = false, func() time.Time { return now } })
	owner := r.browser()
	owner.signIn(r.mina, owner.authorize("web")).mustCode()
	b := r.browser()
	v := b.authorize("web").mustStep("login", 200)
	for i := range 100 {
		v = b.answer(v, "password", "username", fmt.Sprint("nobody", i), "password", "wrong")
		if v.status == http.StatusTooManyRequests {
			break
		}
		v.mustStep("login", http.StatusUnprocessableEntity)
	}
	if v.status != http.StatusTooManyRequests || v.header.Get("Retry-After") == "" {
		t.Errorf("after a hundred wrong passwords: got %d, Retry-After %q, want 429", v.status, v.header.Get("Retry-After"))
	}
	owner.answer(owner.authorize("web", "prompt", "login").mustStep("login", 200), "password", "username", "mina", "password", r.mina.password).
		mustStep("second_factor", 200)
}

// TestRule21LimitsCountVisitorsBehindAProxy: each of a trusted proxy's visitors
// alone, and nobody else can say to be somebody else.
func TestRule21LimitsCountVisitorsBehindAProxy(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(c *sallyport.Config) {
		c.InsecureNoLimits = false
		c.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("10.0.0.1/32")}
	})
	refused := func(peer string, forwarded func(i int) string) bool {
		for i := range 400 {
			req := httptest.NewRequest("GET", r.issuer+"/authorize?client_id=nobody", nil)
			req.RemoteAddr = peer
			req.Header.Set("X-Forwarded-For", forwarded(i))
			if r.serve(req).Code == http.StatusTooManyRequests {
				return true
			}
		}
		return false
	}
	another := func(i int) string { return fmt.Sprintf("203.0.%d.%d", i/250, i%250) }
	if refused("10.0.0.1:5", another) {
		t.Error("400 visitors of a trusted proxy are one")
	}
	if !refused("10.0.0.1:5", func(i int) string { return another(i) + ", 192.0.2.7" }) {
		t.Error("a visitor of a trusted proxy says to be 400")
	}
	if !refused("192.0.2.8:5", another) {
		t.Error("a visitor without a proxy says to be 400")
	}
}
