package sallyport_test

import (
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-id/sallyport"
	"github.com/sallyport-id/sallyport/internal/admin"
	"github.com/sallyport-id/sallyport/rp"
)

// newAPIShop is an application with rp's sessions, each of whose pages shows what an
// API answers at the same path, and asks for what the API takes.
func newAPIShop(t *testing.T, r *rig, resource, scope string, api http.Handler) *shop {
	t.Helper()
	server := httptest.NewServer(api)
	t.Cleanup(server.Close)
	client := r.relying("app", func(c *rp.Config) {
		c.Require, c.Resource, c.Scopes = rp.Requirement{}, resource, []string{"openid", "offline_access", scope}
	})
	tokens := map[string]rp.TokenStore{}
	sessions, err := client.Sessions(rp.SessionConfig{Tokens: func(session *rp.Session) rp.TokenStore {
		if tokens[session.ID] == nil {
			tokens[session.ID] = new(sessionRow)
		}
		return tokens[session.ID]
	}})
	r.must(err)
	s := &shop{browser: r.browser()}
	s.jar, _ = cookiejar.New(nil) // never fails
	mux := http.NewServeMux()
	mux.HandleFunc("GET /callback", func(w http.ResponseWriter, r *http.Request) {
		var id *rp.Identity
		if id, s.err = client.Callback(w, r); s.err == nil {
			s.err = sessions.Begin(w, r, id)
		}
		if s.err == nil {
			http.Redirect(w, r, id.ReturnTo, http.StatusSeeOther)
		}
	})
	mux.Handle("GET /", sessions.RequireSession(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		res, err := sessions.HTTPClient(r.Context()).Post(server.URL+r.URL.Path, "", nil)
		if sessions.StepUpFor(w, r, err) {
			return
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
		defer res.Body.Close()
		w.WriteHeader(res.StatusCode)
		io.Copy(w, res.Body)
	})))
	mux.HandleFunc("POST /logout", sessions.Logout)
	s.app = mux
	return s
}

func bodyOf(res *http.Response) string {
	body, _ := io.ReadAll(res.Body)
	return string(body)
}

// TestRPStepsUpForAnAPI: rp understands the challenge of rs, asks this server for
// what it takes, and calls the API with a token that does, whether the API asks
// about tokens or verifies them.
func TestRPStepsUpForAnAPI(t *testing.T) {
	t.Parallel()
	for resource, c := range map[string]struct{ client, scope string }{orders: {"orders", "orders:read"}, signer: {"signer", "sign"}} {
		t.Run(c.client, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, func(c *sallyport.Config) { c.Policy = []sallyport.Rule{{Require: sallyport.Off}} })
			r.addJWTAPI(signer, "ES256", "robot")
			app := admin.Web("app", "App", callback)
			r.must(r.Admin().Allow(t.Context(), app, resource))
			r.addClient(t.Context(), app)
			s := newAPIShop(t, r, resource, c.scope, r.protectedAPI(resource, c.client, c.scope))
			shows := func(what string, page *http.Response) {
				t.Helper()
				if body := bodyOf(page); page.StatusCode != http.StatusOK || body != r.mina.id {
					t.Errorf("%s: got %s %q, %v", what, page.Status, body, s.err)
				}
			}
			allow := func(v *view) *view {
				if v.location == nil {
					v = s.answer(v.mustStep("consent", 200), "consent", "decision", "allow")
				}
				return v
			}

			v := s.toServer(s.visit("GET", "/list")).mustStep("login", 200)
			_, page := s.back(allow(s.answer(v, "password", "username", "mina", "password", r.mina.password)))
			shows("a password, to list", page)

			asked := s.visit("GET", "/pay?item=1")
			location, err := url.Parse(asked.Header.Get("Location"))
			r.must(err)
			q := location.Query()
			if !strings.Contains(q.Get("claims"), `"essential":true,"values":["urn:sallyport:acr:2fa"]`) || q.Get("max_age") != "600" {
				t.Errorf("the request is %v", q)
			}
			v = s.toServer(asked).mustStep("second_factor", 200)
			path, page := s.back(allow(s.answer(v, "totp", "code", r.code(r.mina.totp, 0))))
			shows("two factors, to pay", page)
			if path != "/pay?item=1" {
				t.Errorf("got back to %q", path)
			}

			r.clock.advance(11 * time.Minute)
			shows("refreshed, to list", s.visit("GET", "/list"))
			_, page = s.back(allow(s.signIn(r.mina, s.toServer(s.visit("GET", "/pay")))))
			shows("two factors again, to pay", page)

			s.visit("POST", shopOrigin+"/logout")
			s.toServer(s.visit("GET", "/pay"))
		})
	}
}
