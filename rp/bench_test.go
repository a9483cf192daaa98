package rp_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/sallyport-id/sallyport/rp"
	"github.com/sallyport-id/sallyport/rp/rptest"
)

// BenchmarkCallback measures Callback with its token request over a loopback
// connection, to a provider that signs with ES256 in the same process.
func BenchmarkCallback(b *testing.B) {
	p := rptest.NewProvider(b)
	config := p.Config(origin + "/callback")
	config.Require = rp.MFA
	client, err := rp.New(b.Context(), config)
	if err != nil {
		b.Fatal(err)
	}
	provider := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	b.ReportAllocs()
	for b.Loop() {
		b.StopTimer()
		w := httptest.NewRecorder()
		client.Login(w, httptest.NewRequest(http.MethodGet, "/login", nil))
		res, err := provider.Get(w.Header().Get("Location"))
		if err != nil {
			b.Fatal(err)
		}
		res.Body.Close()
		r := httptest.NewRequest(http.MethodGet, res.Header.Get("Location"), nil)
		r.AddCookie(w.Result().Cookies()[0])
		b.StartTimer()
		if _, err := client.Callback(httptest.NewRecorder(), r); err != nil {
			b.Fatal(err)
		}
	}
}
