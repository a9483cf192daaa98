package rptest

import (
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"testing"
)

// A Browser has cookies, follows redirects and asks for HTML. It reaches the application without
// a network and everything else, such as the provider, as usual.
type Browser struct {
	http.Client
	Others http.RoundTripper // sends what is not for the application; nil means http.DefaultTransport

	t      testing.TB
	origin *url.URL
	app    http.Handler
}

// NewBrowser makes a browser for an application at an origin, such as
// "https://shop.example.com".
func NewBrowser(t testing.TB, origin string, app http.Handler) *Browser {
	t.Helper()
	u, err := url.Parse(origin)
	if err != nil {
		t.Fatal(err)
	}
	jar, _ := cookiejar.New(nil) // never fails
	b := &Browser{t: t, origin: u, app: app}
	b.Jar, b.Transport = jar, b
	return b
}

// RoundTrip sends what is for the application to its handler.
func (b *Browser) RoundTrip(r *http.Request) (*http.Response, error) {
	switch {
	case r.URL.Host == b.origin.Host:
	case b.Others != nil:
		return b.Others.RoundTrip(r)
	default:
		return http.DefaultTransport.RoundTrip(r)
	}
	if r.Header.Get("Accept") == "" {
		r.Header.Set("Accept", "text/html")
	}
	in := httptest.NewRequestWithContext(r.Context(), r.Method, r.URL.String(), r.Body)
	in.Header = r.Header.Clone()
	w := httptest.NewRecorder()
	b.app.ServeHTTP(w, in)
	res := w.Result()
	res.Request = r
	return res, nil
}

// Get goes to a path of the application, follows redirects, through the provider
// too, and returns where that ended. The body need not be closed if that is the
// application.
func (b *Browser) Get(path string) *http.Response {
	b.t.Helper()
	res, err := b.Client.Get(b.origin.String() + path)
	if err != nil {
		b.t.Fatal(err)
	}
	return res
}

// Cookies are the browser's cookies for the application.
func (b *Browser) Cookies() []*http.Cookie { return b.Jar.Cookies(b.origin) }
