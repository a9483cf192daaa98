package rptest_test

import (
	"io"
	"net/http"
	"testing"

	"github.com/sallyport-id/sallyport/rp"
	"github.com/sallyport-id/sallyport/rp/rptest"
)

// newApp is an application under test.
func newApp(t *testing.T, config rp.Config) http.Handler {
	config.Require = rp.MFA
	client, err := rp.New(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /login", func(w http.ResponseWriter, r *http.Request) { client.Login(w, r) })
	mux.HandleFunc("GET /callback", func(w http.ResponseWriter, r *http.Request) {
		id, err := client.Callback(w, r)
		if err != nil {
			http.Error(w, rp.Reason(err), http.StatusForbidden)
			return
		}
		io.WriteString(w, "hello "+id.Subject)
	})
	return mux
}

// TestApplication is how a test of an application reads.
func TestApplication(t *testing.T) {
	t.Parallel()
	p := rptest.NewProvider(t)
	browser := rptest.NewBrowser(t, "http://localhost", newApp(t, p.Config("http://localhost/callback")))
	if res := browser.Get("/login"); res.StatusCode != http.StatusOK {
		t.Errorf("got %s, want a login", res.Status)
	}
	p.Misbehave(rptest.PasswordOnly)
	if res := browser.Get("/login"); res.StatusCode != http.StatusForbidden {
		t.Errorf("got %s, want a login without a second factor to be refused", res.Status)
	}
}
