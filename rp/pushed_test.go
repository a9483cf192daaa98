package rp_test

import (
	"errors"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"testing"

	"github.com/sallyport-id/sallyport/rp"
	"github.com/sallyport-id/sallyport/rp/rptest"
)

// TestPushedRequest: the browser carries a reference and nothing else; what is asked
// for arrives all the same.
func TestPushedRequest(t *testing.T) {
	t.Parallel()
	for what, change := range map[string]struct {
		fault  rptest.Fault
		config func(*rp.Config)
	}{
		"the server requires it": {rptest.OnlyPushed, func(c *rp.Config) {}},
		"the client wants it":    {"", func(c *rp.Config) { c.PushRequests = true }},
		"with DPoP and nonces":   {rptest.DPoPNonces, func(c *rp.Config) { c.PushRequests, c.DPoPKey = true, p256() }},
	} {
		p := rptest.NewProvider(t)
		p.UsePrivateKeyJWT("ES256")
		p.Misbehave(change.fault)
		a := newApp(t, p, change.config, rp.UILocales("ko"))
		w := httptest.NewRecorder()
		a.client.Login(w, httptest.NewRequest(http.MethodGet, "/login", nil))
		u, err := url.Parse(w.Header().Get("Location"))
		if got := slices.Sorted(maps.Keys(u.Query())); err != nil || !slices.Equal(got, []string{"client_id", "request_uri"}) {
			t.Errorf("%s: the browser carries %v", what, got)
		}
		if _, err := a.signIn(); err != nil {
			t.Errorf("%s: %v", what, err)
			continue
		}
		q := p.Requests()[0]
		if q.Get("ui_locales") != "ko" || q.Get("nonce") == "" || q.Get("code_challenge") == "" || q.Get("claims") == "" {
			t.Errorf("%s: got the request %v", what, q)
		}
	}
}

func TestPushedRequestFails(t *testing.T) {
	t.Parallel()
	var unavailable *rp.UnavailableError
	for what, test := range map[string]struct {
		fault  rptest.Fault
		secret string
		reason string
	}{
		"wrong secret": {"", "wrong", rp.CodeFailed},
		"no endpoint":  {rptest.NoPushed, "", rp.CodeUnavailable},
	} {
		p := rptest.NewProvider(t)
		p.Misbehave(test.fault)
		var got error
		a := newApp(t, p, func(c *rp.Config) {
			c.PushRequests = true
			c.ErrorPage = func(_ http.ResponseWriter, _ *http.Request, err error) { got = err }
			if test.secret != "" {
				c.ClientSecret = test.secret
			}
		})
		a.Get("/login")
		if !errors.As(got, &unavailable) || rp.ReasonCode(got) != test.reason || len(a.Cookies()) != 0 {
			t.Errorf("%s: got %v and %d cookies", what, got, len(a.Cookies()))
		}
	}
}
