package rp_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/sallyport-id/sallyport/rp"
	"github.com/sallyport-id/sallyport/rp/rptest"
)

// posting is an application that wants its answers as forms, at an https origin, and
// the form that brings one.
func posting(t *testing.T) (a *app, form url.Values, pending *http.Cookie) {
	t.Helper()
	p := rptest.NewProvider(t)
	a = newApp(t, p, func(c *rp.Config) { c.FormPost, c.RedirectURL = true, "https://shop.example/callback" })
	answer, err := url.Parse(a.start(t))
	if err != nil {
		t.Fatal(err)
	}
	if got := p.Requests()[0].Get("response_mode"); got != "form_post" {
		t.Errorf("got response_mode %q, want form_post", got)
	}
	return a, answer.Query(), a.Cookies()[0]
}

// post brings a form to the callback, as a browser does.
func (a *app) post(method, contentType, target, body string, cookie *http.Cookie) (*rp.Identity, error) {
	r := httptest.NewRequest(method, target, strings.NewReader(body))
	r.Header.Set("Content-Type", contentType)
	r.AddCookie(cookie)
	return a.client.Callback(httptest.NewRecorder(), r)
}

// TestFormPost: the answer comes as a form (OAuth 2.0 Form Post Response Mode §2), and from
// nowhere else.
func TestFormPost(t *testing.T) {
	t.Parallel()
	const form = "application/x-www-form-urlencoded"
	a, answer, pending := posting(t)
	var state *rp.StateError
	for what, try := range map[string]func() (*rp.Identity, error){
		"in the address":           func() (*rp.Identity, error) { return a.post("GET", "", "/callback?"+answer.Encode(), "", pending) },
		"in the address of a POST": func() (*rp.Identity, error) { return a.post("POST", form, "/callback?"+answer.Encode(), "", pending) },
		"as another type": func() (*rp.Identity, error) {
			return a.post("POST", "text/plain", "/callback", answer.Encode(), pending)
		},
		"endless": func() (*rp.Identity, error) {
			return a.post("POST", form, "/callback", answer.Encode()+"&x="+strings.Repeat("y", 64<<10), pending)
		},
	} {
		if id, err := try(); !errors.As(err, &state) || state.Diagnosis != rp.StateMissing || id != nil {
			t.Errorf("%s: got %v, %v, want an answer without a state", what, id, err)
		}
	}
	if id, err := a.post("POST", form, "/callback", answer.Encode(), pending); err != nil || id.Subject != rptest.Subject {
		t.Errorf("as a form: got %v, %v", id, err)
	}
	other := newApp(t, rptest.NewProvider(t), nil)
	if _, err := other.post("POST", form, "/callback", answer.Encode(), pending); !errors.As(err, &state) {
		t.Errorf("a form that nobody asked for: got %v", err)
	}
}

// The cookie of a login comes along from the server's site, and no other cookie does.
func TestFormPostCookies(t *testing.T) {
	t.Parallel()
	for _, formPost := range []bool{false, true} {
		for _, origin := range []string{"https://shop.example", "http://localhost:8080"} {
			p := rptest.NewProvider(t)
			config := p.Config(origin + "/callback")
			config.FormPost = formPost
			client, err := rp.New(t.Context(), config)
			if err != nil {
				t.Fatal(err)
			}
			w := httptest.NewRecorder()
			client.Login(w, httptest.NewRequest(http.MethodGet, "/login", nil))
			want := http.SameSiteLaxMode
			if formPost && strings.HasPrefix(origin, "https") {
				want = http.SameSiteNoneMode
			}
			if c := w.Result().Cookies()[0]; c.SameSite != want || c.SameSite == http.SameSiteNoneMode && !c.Secure {
				t.Errorf("%v at %s: got %s", formPost, origin, c)
			}
		}
	}
}
