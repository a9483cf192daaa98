package main

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/sallyport-id/sallyport/examples/internal/trial"
	"github.com/sallyport-id/sallyport/rp"
)

func TestMain(m *testing.M) { trial.Main(m) }

// strict stands between the application and its API, and answers for it that a
// sign-in is too weak, when it is told to.
type strict struct {
	now   atomic.Bool
	token atomic.Value // the last one that the API got
}

func (s *strict) RoundTrip(r *http.Request) (*http.Response, error) {
	for _, name := range []string{"Cookie", "Origin", "X-Forwarded-For"} {
		if r.Header.Get(name) != "" {
			panic("the API gets the browser's " + name)
		}
	}
	s.token.Store(r.Header.Get("Authorization"))
	res, err := http.DefaultTransport.RoundTrip(r)
	if err == nil && strings.HasSuffix(r.URL.Path, "/refund") && s.now.Load() {
		res.StatusCode = http.StatusUnauthorized
		res.Header.Set("WWW-Authenticate", `Bearer error="insufficient_user_authentication", acr_values="phr"`)
	}
	return res, err
}

// TestBackend: the page's requests, what they need, and that no answer has a token.
// What the page does with the answers is for a browser to show (e2e).
func TestBackend(t *testing.T) {
	listener, app := trial.Listen(t)
	s := trial.Start(t, "--shop", app)
	config, err := rp.ConfigFromEnv("SHOP_")
	if err != nil {
		t.Fatal(err)
	}
	var api strict
	config.HTTPClient = &http.Client{Transport: &api}
	handler, err := newApp(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	trial.Serve(t, listener, handler)

	p := trial.NewPerson(t)
	for method, path := range map[string]string{"GET": "/my/session", "POST": "/my/orders/1001/refund"} {
		p.Do(method, app+path, "same-origin", url.Values{})
		p.MustSee(401)
		if got := p.Header.Get("WWW-Authenticate"); got != `Session error="no_session"` {
			t.Errorf("%s without a session: got the challenge %q", path, got)
		}
	}
	p.Open(app + "/")
	p.MustSee(200, "A small shop")
	if got := p.Header.Get("Content-Security-Policy"); !strings.Contains(got, "default-src 'none'") || strings.Contains(got, "unsafe") {
		t.Errorf("got the policy %q", got)
	}
	p.Open(app + "/login")
	p.SignIn(s)
	p.MustSee(200, "A small shop")

	p.Do("GET", app+"/my/session", "same-origin", nil)
	p.MustSee(200, "김미나", rp.ACR2FA)
	p.Do("GET", app+"/my/orders", "same-origin", nil)
	p.MustSee(200, "Lantern")
	if got := p.Header.Get("Content-Security-Policy"); got != "default-src 'none'; sandbox" || p.Header.Get("X-Content-Type-Options") != "nosniff" {
		t.Errorf("what the API says may be a page: %v", p.Header)
	}
	p.Do("POST", app+"/my/orders/%2e%2e/refund", "same-origin", url.Values{}) // elsewhere at the API
	p.MustSee(404)
	p.Do("POST", app+"/my/orders/1001/refund", "same-origin", url.Values{})
	p.MustSee(200, "Lantern")
	if token, _ := api.token.Load().(string); len(token) < 100 || strings.Contains(fmt.Sprint(p.Body, p.Header), token[len("Bearer "):]) {
		t.Errorf("the API got the token %q, and the browser too, or nobody", token)
	}
	p.Do("POST", app+"/my/orders/1001/refund", "cross-site", url.Values{})
	p.MustSee(403)
	p.Do("GET", app+"/my/me", "same-origin", nil)
	p.MustSee(404) // the API has it, the page does not need it
	p.Do("POST", app+"/my/orders/..%2F..%2Fx/refund", "same-origin", url.Values{})
	p.MustSee(404)

	api.now.Store(true)
	p.Do("POST", app+"/my/orders/1001/refund", "same-origin", url.Values{})
	p.MustSee(401)
	if got := p.Header.Get("WWW-Authenticate"); got != `Session error="weak"` {
		t.Errorf("a sign-in that is too weak for the API: got the challenge %q", got)
	}
	p.Open(app + "/fresh?order=1001")
	if p.MustSee(200); p.URL.String() != app+"/#order-1001" {
		t.Errorf("a fresh sign-in led to %s", p.URL)
	}
	p.Do("POST", app+"/logout", "same-origin", url.Values{})
	p.Do("GET", app+"/my/orders", "same-origin", nil)
	p.MustSee(401)
}
