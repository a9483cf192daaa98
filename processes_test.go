package sallyport_test

import (
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/sallyport-id/sallyport"
	"github.com/sallyport-id/sallyport/internal/oidc"
	"github.com/sallyport-id/sallyport/internal/store/storetest"
)

// TestTwoProcesses: two servers in processes of their own share a database. Of 64
// requests that bring to both of them what is good once, one is heard.
func TestTwoProcesses(t *testing.T) {
	t.Parallel()
	database := storetest.FindPostgres(t, 1).Schema(t)
	r := withDevices(t, func(c *sallyport.Config) { c.Database = database })
	there, _ := startChild(t, childConfig{Issuer: r.issuer, Database: database})
	here := http.DefaultTransport.(*http.Transport)

	b := r.browser()
	b.signIn(r.mina, b.authorize("web")).mustCode()
	session, device, pushed := b.session(), r.asks("tv"), r.push("web")
	phone := r.browser()
	v := phone.signIn(r.joonWithTOTP(), phone.types(device.UserCode)).mustStep("consent", 200)
	phone.answer(v, "consent", "decision", "allow")
	r.addJWTAPI(signer, "ES256", "robot")
	worker, h := r.signs("worker"), r.holder()
	issuer, err := url.Parse(r.issuer)
	r.must(err)
	proof := h.proof("POST", "/token")

	post := func(form url.Values, change func(*http.Request)) func() *http.Request {
		return func() *http.Request {
			req, err := http.NewRequest("POST", r.issuer+"/token", strings.NewReader(form.Encode()))
			r.must(err)
			req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			change(req)
			return req
		}
	}
	for name, c := range map[string]struct {
		request func() *http.Request
		refusal string // in what the others hear, with a status of 4xx
	}{
		"code": {post(redeeming(b.authorize("web").mustCode()), func(req *http.Request) { req.SetBasicAuth("web", r.secret["web"]) }), oidc.InvalidGrant},
		"assertion": {post(url.Values{"grant_type": {oidc.GrantClientCredentials}, "client_assertion_type": {oidc.AssertionType},
			"client_assertion": {worker.assertion()}}, func(*http.Request) {}), oidc.InvalidClient},
		"proof of a key": {post(url.Values{"grant_type": {oidc.GrantClientCredentials}}, func(req *http.Request) {
			req.SetBasicAuth("robot", r.secret["robot"])
			req.Header.Set("DPoP", proof)
		}), oidc.InvalidDPoPProof},
		"device code": {post(url.Values{"grant_type": {oidc.GrantDeviceCode}, "client_id": {"tv"}, "device_code": {device.DeviceCode}}, func(*http.Request) {}), oidc.InvalidGrant},
		"request_uri": {func() *http.Request {
			req, err := http.NewRequest("GET", r.issuer+"/authorize?"+refers("web", pushed).Encode(), nil)
			r.must(err)
			return req
		}, "</html>"}, // a page: nobody is sent anywhere
	} {
		t.Run(name, func(t *testing.T) {
			var mu sync.Mutex
			var done sync.WaitGroup
			heard := 0
			for i := range 64 {
				done.Go(func() {
					visitor := r.browser() // who follows redirects on the server
					visitor.http.Jar.SetCookies(issuer, []*http.Cookie{session})
					visitor.http.Transport = []*http.Transport{here, there}[i%2]
					resp, err := visitor.http.Do(c.request())
					if err != nil {
						t.Error(err)
						return
					}
					defer resp.Body.Close()
					body, err := io.ReadAll(resp.Body)
					mu.Lock()
					defer mu.Unlock()
					switch {
					case strings.Contains(string(body), "access_token"), strings.Contains(resp.Header.Get("Location"), "code="):
						heard++
					case err != nil || resp.StatusCode/100 != 4 || !strings.Contains(string(body), c.refusal):
						t.Errorf("got %d %q %s %v, want %s", resp.StatusCode, resp.Header.Get("Location"), body, err, c.refusal)
					}
				})
			}
			done.Wait()
			if heard != 1 {
				t.Errorf("%d were heard, want 1", heard)
			}
		})
	}
}
