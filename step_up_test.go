package sallyport_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"testing"
	"time"

	"github.com/sallyport-id/sallyport"
	"github.com/sallyport-id/sallyport/internal/admin"
	"github.com/sallyport-id/sallyport/internal/oidc"
	"github.com/sallyport-id/sallyport/rs"
)

// protectedAPI is an API in Go behind rs: its path /list takes any token with a
// scope, /pay a second factor of the last ten minutes.
func (r *rig) protectedAPI(resource, client, scope string) http.Handler {
	r.t.Helper()
	s, err := rs.New(r.t.Context(), rs.Config{
		Issuer: r.issuer, Resource: resource, ClientID: client, ClientSecret: r.secret[client], Now: r.clock.Now,
	})
	r.must(err)
	who := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, rs.FromContext(r.Context()).Subject) })
	mux := http.NewServeMux()
	mux.Handle("/list", s.Protect(who, rs.Scope(scope)))
	mux.Handle("/pay", s.Protect(who, rs.Scope(scope), rs.ACR(rs.ACR2FA, 10*time.Minute)))
	return mux
}

// callAPI sends a token to an API. challenge has the parameters of what it answers.
func callAPI(api http.Handler, path, token string) (status int, who string, challenge map[string]string) {
	req := httptest.NewRequest("POST", path, nil)
	req.Header.Set("Authorization", "Bearer "+token)
	w := httptest.NewRecorder()
	api.ServeHTTP(w, req)
	challenge = map[string]string{}
	for _, m := range regexp.MustCompile(`([a-z_]+)="([^"]*)"`).FindAllStringSubmatch(w.Header().Get("WWW-Authenticate"), -1) {
		challenge[m[1]] = m[2]
	}
	return w.Code, w.Body.String(), challenge
}

// TestStepUp: an application that does what the API's challenge says gets a token
// that will do, whether the API asks about tokens or verifies them. A refresh does
// not make an old sign-in new.
func TestStepUp(t *testing.T) {
	t.Parallel()
	for resource, c := range map[string]struct{ client, scope string }{orders: {"orders", "orders:read"}, signer: {"signer", "sign"}} {
		t.Run(c.client, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, func(c *sallyport.Config) { c.Policy = []sallyport.Rule{{Require: sallyport.Off}} })
			r.addJWTAPI(signer, "ES256", "robot")
			app := admin.Web("app", "App", callback)
			r.must(r.Admin().Allow(t.Context(), app, resource))
			r.addClient(t.Context(), app)
			api, b := r.protectedAPI(resource, c.client, c.scope), r.browser()
			ask := func(extra ...string) *view {
				return b.authorize("app", append([]string{"resource", resource, "scope", "openid offline_access " + c.scope, "prompt", "consent"}, extra...)...)
			}
			finish := func(v *view) tokens {
				return r.redeem("app", b.answer(v.mustStep("consent", 200), "consent", "decision", "allow").mustCode())
			}
			accepted := func(what, path, token string) {
				t.Helper()
				if status, who, challenge := callAPI(api, path, token); status != http.StatusOK || who != r.mina.id {
					t.Errorf("%s: got %d %q %v", what, status, who, challenge)
				}
			}
			refused := func(what, token string) (challenge map[string]string) {
				t.Helper()
				status, who, challenge := callAPI(api, "/pay", token)
				if status != http.StatusUnauthorized || challenge["error"] != "insufficient_user_authentication" || challenge["acr_values"] != oidc.ACR2FA || challenge["max_age"] != "600" {
					t.Errorf("%s: got %d %q %v", what, status, who, challenge)
				}
				return challenge
			}

			password := []string{"username", "mina", "password", r.mina.password}
			weak := finish(b.answer(ask(), "password", password...))
			accepted("a password, to list", "/list", weak.Access)
			todo := refused("a password, to pay", weak.Access)

			v := ask("acr_values", todo["acr_values"], "max_age", todo["max_age"]).mustStep("second_factor", 200)
			strong := finish(b.answer(v, "totp", "code", r.code(r.mina.totp, 0)))
			accepted("two factors, to pay", "/pay", strong.Access)

			r.clock.advance(11 * time.Minute)
			again := r.token("app", url.Values{"grant_type": {"refresh_token"}, "refresh_token": {strong.Refresh}})
			accepted("refreshed, to list", "/list", again.Access)
			todo = refused("refreshed, to pay", again.Access)

			v = b.signIn(r.mina, ask("acr_values", todo["acr_values"], "max_age", todo["max_age"]))
			accepted("two factors again, to pay", "/pay", finish(v).Access)
		})
	}
}

// TestMachinesDoNotStepUp: a program's own token opens what takes no person, and
// nothing else.
func TestMachinesDoNotStepUp(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.addJWTAPI(signer, "", "robot")
	for resource, c := range map[string]struct{ api, client, scope string }{orders: {"orders", "worker", "orders:read"}, signer: {"signer", "robot", "sign"}} {
		api, token := r.protectedAPI(resource, c.api, c.scope), r.clientToken(c.client).Access
		if status, who, _ := callAPI(api, "/list", token); status != http.StatusOK || who != c.client {
			t.Errorf("%s lists: got %d %q", c.client, status, who)
		}
		if status, _, challenge := callAPI(api, "/pay", token); status != http.StatusUnauthorized || challenge["error"] != "insufficient_user_authentication" {
			t.Errorf("%s pays: got %d %v", c.client, status, challenge)
		}
	}
}

// TestRule13APIsLearnSoon: a disabled user's token stops at an API that asks within
// 30 s, and within its five minutes at one that verifies by itself.
func TestRule13APIsLearnSoon(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.addJWTAPI(signer, "", "robot")
	app := admin.Web("app", "App", callback)
	r.must(r.Admin().Allow(t.Context(), app, orders))
	r.must(r.Admin().Allow(t.Context(), app, signer))
	r.addClient(t.Context(), app)
	b := r.browser()
	opaque := r.redeem("app", b.signIn(r.mina, b.authorize("app", "resource", orders, "scope", "openid orders:read")).mustCode()).Access
	jwt := r.redeem("app", b.authorize("app", "resource", signer, "scope", "openid sign").mustCode()).Access
	asks, verifies := r.protectedAPI(orders, "orders", "orders:read"), r.protectedAPI(signer, "signer", "sign")
	want := func(what string, api http.Handler, token string, want int) {
		t.Helper()
		if status, _, challenge := callAPI(api, "/list", token); status != want {
			t.Errorf("%s: got %d %v, want %d", what, status, challenge, want)
		}
	}
	want("asks, before", asks, opaque, http.StatusOK)
	want("verifies, before", verifies, jwt, http.StatusOK)
	want("asks, about a token for another API", asks, jwt, http.StatusUnauthorized)
	r.must(r.Admin().DisableUser(t.Context(), r.mina.id))
	r.clock.advance(30 * time.Second)
	want("asks, 30 s later", asks, opaque, http.StatusUnauthorized)
	r.clock.advance(5 * time.Minute)
	want("verifies, five minutes later", verifies, jwt, http.StatusUnauthorized)
}
