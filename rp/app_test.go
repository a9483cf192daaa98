package rp_test

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"

	"github.com/sallyport-id/sallyport/rp"
	"github.com/sallyport-id/sallyport/rp/rptest"
)

const origin = "https://shop.example.com"

// An app is an application with the two routes, a browser, and how the last
// callback went.
type app struct {
	*rptest.Browser
	client   *rp.Client
	handler  http.Handler
	identity *rp.Identity
	err      error
}

// newApp starts an application that requires a second factor, unless change says
// otherwise.
func newApp(t *testing.T, p *rptest.Provider, change func(*rp.Config), options ...rp.LoginOption) *app {
	t.Helper()
	config := p.Config(origin + "/callback")
	config.Require = rp.MFA
	config.Logger = slog.New(slog.DiscardHandler)
	if change != nil {
		change(&config)
	}
	client, err := rp.New(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	a := &app{client: client}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /login", func(w http.ResponseWriter, r *http.Request) { client.Login(w, r, options...) })
	mux.HandleFunc("GET /callback", func(w http.ResponseWriter, r *http.Request) {
		a.identity, a.err = client.Callback(w, r)
	})
	u, _ := url.Parse(config.RedirectURL)
	a.handler = mux
	a.Browser = rptest.NewBrowser(t, u.Scheme+"://"+u.Host, mux)
	return a
}

// signIn goes through a whole login.
func (a *app) signIn() (*rp.Identity, error) {
	a.Get("/login")
	return a.identity, a.err
}

// start begins a login and returns the URL that the provider sends the browser
// back to, without going there.
func (a *app) start(t *testing.T) (answer string) {
	t.Helper()
	follow := a.CheckRedirect
	defer func() { a.CheckRedirect = follow }()
	a.CheckRedirect = func(r *http.Request, _ []*http.Request) error {
		if r.URL.Path == "/callback" {
			answer = r.URL.RequestURI()
			return http.ErrUseLastResponse
		}
		return nil
	}
	res := a.Get("/login")
	res.Body.Close()
	if answer == "" {
		t.Fatalf("the login did not come back: %s %s", res.Status, res.Request.URL.Path)
	}
	return answer
}

// answer gives the application an answer as a browser that has the cookies of
// another one would.
func (a *app) answer(uri string, cookies ...*http.Cookie) (*rp.Identity, error) {
	r := httptest.NewRequest(http.MethodGet, uri, nil)
	for _, c := range cookies {
		r.AddCookie(c)
	}
	a.handler.ServeHTTP(httptest.NewRecorder(), r)
	return a.identity, a.err
}
