package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
)

// TestSinglePageApplication: one made of oidc-client-ts signs in, refreshes and signs out
// from its own origin, with tokens of anybody and with tokens bound to a key that never
// leaves the browser.
func TestSinglePageApplication(t *testing.T) {
	t.Parallel()
	needBrowser(t)
	library, err := os.ReadFile("node/node_modules/oidc-client-ts/dist/browser/oidc-client-ts.min.js")
	if err != nil {
		leaveOut(t, "node/ is not installed; ./test does that")
	}
	page, err := os.ReadFile("node/spa.html")
	if err != nil {
		t.Fatal(err)
	}
	in := install(t)
	b := newBrowser(t, "en")
	b.open(in.link("user", "add", "sora"))
	b.choose("quiet lantern otter")
	b.app()
	key := b.textOf("dd code")
	b.code(totp(t, key, -1))
	b.save()
	for step, dpop := range []bool{false, true} {
		settings := fmt.Sprintf(`{authority: %q, dpop: %v}`, in.issuer, dpop)
		app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/oidc-client-ts.js" {
				w.Header().Set("Content-Type", "text/javascript")
				_, _ = w.Write(library)
				return
			}
			w.Header().Set("Content-Type", "text/html; charset=utf-8")
			fmt.Fprint(w, strings.Replace(string(page), "__SETTINGS__", settings, 1))
		}))
		t.Cleanup(app.Close)
		origin := strings.Replace(app.URL, "127.0.0.1", "localhost", 1)
		client, bound := "spa", []string{}
		if dpop {
			client, bound = "wallet", []string{"--dpop"}
		}
		in.sallyport(append([]string{"client", "add", client, "--preset", "spa", "--redirect-uri", origin + "/callback", "--post-logout-redirect-uri", origin + "/bye", "--config", in.config()}, bound...)...)
		said := func() (got struct {
			Sub, Name, ACR, Type, RefreshedType, Failed string
			Refreshed, Bye                              bool
		}) {
			t.Helper()
			b.waitFor("the application has done it", func() bool {
				return json.Unmarshal([]byte(b.textOf("#said")), &got) == nil
			})
			return got
		}
		b.open(origin + "/login")
		b.arrives("login")
		b.password("sora", "quiet lantern otter")
		b.code(totp(t, key, int64(step)))
		want := map[bool]string{false: "Bearer", true: "DPoP"}[dpop]
		if got := said(); got.Failed != "" || got.Name != "sora" || got.Sub == "" || got.ACR != "urn:sallyport:acr:2fa" || got.Type != want || got.RefreshedType != want || !got.Refreshed {
			t.Errorf("%s: got %+v", client, got)
		}
		b.open(origin + "/logout")
		if got := said(); !got.Bye {
			t.Errorf("%s: signing out: got %+v at %s", client, got, b.url())
		}
	}
}
