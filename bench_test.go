package sallyport_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-id/sallyport/internal/oidc"
)

// serve answers a request without a socket.
func (r *rig) serve(req *http.Request) *httptest.ResponseRecorder {
	req.Host = strings.TrimPrefix(r.issuer, "http://")
	w := httptest.NewRecorder()
	r.ServeHTTP(w, req)
	return w
}

func (r *rig) formRequest(client, form string) *http.Request {
	req := httptest.NewRequest("POST", "/token", strings.NewReader(form))
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.SetBasicAuth(client, r.secret[client])
	return req
}

// perOp reports the commits of each operation.
func (r *rig) perOp(b *testing.B, before int64) {
	b.ReportMetric(float64(r.Commits()-before)/float64(b.N), "commits/op")
}

// BenchmarkCodeFlow is authorize and token with a session already there.
func BenchmarkCodeFlow(b *testing.B) {
	for _, alg := range []string{"ES256", "RS256"} {
		b.Run(alg, func(b *testing.B) {
			r := newRig(b)
			r.changeClient("web", func(c *oidc.Client) { c.IDTokenAlg = alg })
			signedIn := r.browser()
			signedIn.signIn(r.mina, signedIn.authorize("web")).mustCode()
			cookie := signedIn.session()
			query := url.Values{"response_type": {"code"}, "client_id": {"web"}, "redirect_uri": {callback}, "state": {"st"}, "scope": {"openid"}, "code_challenge": {challenge}, "code_challenge_method": {"S256"}}.Encode()
			before := r.Commits()
			b.ReportAllocs()
			for b.Loop() {
				req := httptest.NewRequest("GET", "/authorize?"+query, nil)
				req.AddCookie(cookie)
				to, err := url.Parse(r.serve(req).Header().Get("Location"))
				if err != nil || to.Query().Get("code") == "" {
					b.Fatal(to, err)
				}
				form := url.Values{"grant_type": {"authorization_code"}, "code": {to.Query().Get("code")}, "redirect_uri": {callback}, "code_verifier": {verifier}}
				if w := r.serve(r.formRequest("web", form.Encode())); w.Code != 200 {
					b.Fatal(w.Body)
				}
			}
			r.perOp(b, before)
		})
	}
}

// benchTokens are tokens to work with.
func (r *rig) benchTokens(b *testing.B, client string) tokens {
	signedIn := r.browser()
	code := signedIn.signIn(r.mina, signedIn.authorize(client)).mustCode()
	if r.secret[client] != "" {
		return r.redeem(client, code)
	}
	return r.token("", url.Values{"grant_type": {"authorization_code"}, "client_id": {client}, "code": {code}, "redirect_uri": {callback}, "code_verifier": {verifier}})
}

// BenchmarkRefresh is a confidential client's refresh, signed RS256.
func BenchmarkRefresh(b *testing.B) {
	r := newRig(b)
	form := url.Values{"grant_type": {"refresh_token"}, "refresh_token": {r.benchTokens(b, "web").Refresh}}.Encode()
	before := r.Commits()
	b.ReportAllocs()
	for b.Loop() {
		if w := r.serve(r.formRequest("web", form)); w.Code != 200 {
			b.Fatal(w.Body)
		}
	}
	r.perOp(b, before)
}

// BenchmarkRefreshRotation is a public client's refresh, signed ES256.
func BenchmarkRefreshRotation(b *testing.B) {
	r := newRig(b)
	token := r.benchTokens(b, "spa").Refresh
	before := r.Commits()
	b.ReportAllocs()
	for b.Loop() {
		req := httptest.NewRequest("POST", "/token", strings.NewReader("grant_type=refresh_token&client_id=spa&refresh_token="+token))
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		w := r.serve(req)
		var got tokens
		if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil || got.Refresh == "" {
			b.Fatal(w.Body, err)
		}
		token = got.Refresh
	}
	r.perOp(b, before)
}

// BenchmarkUserinfo writes nothing.
func BenchmarkUserinfo(b *testing.B) {
	r := newRig(b)
	token := r.benchTokens(b, "web").Access
	before := r.Commits()
	b.ReportAllocs()
	for b.Loop() {
		req := httptest.NewRequest("GET", "/userinfo", nil)
		req.Header.Set("Authorization", "Bearer "+token)
		if w := r.serve(req); w.Code != 200 {
			b.Fatal(w.Body)
		}
	}
	r.perOp(b, before)
}

// BenchmarkClientCredentials is a token without a signature, and with one.
func BenchmarkClientCredentials(b *testing.B) {
	r := newRig(b)
	r.addJWTAPI(signer, "ES256", "robot")
	for name, client := range map[string]string{"opaque": "worker", "jwt": "robot"} {
		b.Run(name, func(b *testing.B) {
			before := r.Commits()
			b.ReportAllocs()
			for b.Loop() {
				if w := r.serve(r.formRequest(client, "grant_type=client_credentials")); w.Code != 200 {
					b.Fatal(w.Body)
				}
			}
			r.perOp(b, before)
		})
	}
}

// BenchmarkIntrospection writes nothing.
func BenchmarkIntrospection(b *testing.B) {
	r := newRig(b)
	signedIn := r.browser()
	user := r.redeem("portal", signedIn.allowed("resource", orders, "scope", "openid orders:read")).Access
	r.addJWTAPI(signer, "RS256", "robot")
	for name, token := range map[string]string{
		"client": r.clientToken("worker").Access, "user": user, "jwt": r.clientToken("robot").Access,
	} {
		b.Run(name, func(b *testing.B) {
			before := r.Commits()
			b.ReportAllocs()
			for b.Loop() {
				api := "orders"
				if name == "jwt" {
					api = "signer"
				}
				req := r.formRequest(api, "token="+token)
				req.URL.Path = "/introspect"
				if w := r.serve(req); w.Code != 200 || !strings.Contains(w.Body.String(), `"active":true`) {
					b.Fatal(w.Body)
				}
			}
			r.perOp(b, before)
		})
	}
}

// proving are requests that are good once each: with an assertion, a proof of a key, or
// both. Each call makes one.
func (r *rig) proving() map[string]func() *http.Request {
	r.t.Helper()
	web, worker, h := r.signs("web"), r.signs("worker"), r.holder()
	r.clock.advance(time.Minute) // to another TOTP step, if mina has signed in before
	session := r.browser()
	bound, _ := h.sends("spa", redeeming(session.signIn(r.mina, session.authorize("spa")).mustCode()), h.proof("POST", "/token"))
	if bound.Type != "DPoP" {
		r.t.Fatalf("got %+v, want tokens that are bound", bound)
	}
	post := func(path string, s *signing, form url.Values) *http.Request {
		form.Set("client_assertion_type", oidc.AssertionType)
		form.Set("client_assertion", s.assertion())
		req := httptest.NewRequest("POST", path, strings.NewReader(form.Encode()))
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		return req
	}
	return map[string]func() *http.Request{
		"PAR":                           func() *http.Request { return post("/par", web, wanted("web")) },
		"PAR, signed":                   func() *http.Request { return post("/par", web, url.Values{"request": {web.object()}}) },
		"client credentials, assertion": func() *http.Request { return post("/token", worker, url.Values{"grant_type": {"client_credentials"}}) },
		"client credentials, DPoP": func() *http.Request {
			req := post("/token", worker, url.Values{"grant_type": {"client_credentials"}})
			req.Header.Set("DPoP", h.proof("POST", "/token"))
			return req
		},
		"userinfo, DPoP": func() *http.Request {
			req := httptest.NewRequest("GET", "/userinfo", nil)
			req.Header.Set("Authorization", "DPoP "+bound.Access)
			req.Header.Set("DPoP", h.proof("GET", "/userinfo", "ath", ath(bound.Access)))
			return req
		},
	}
}

// BenchmarkProving is what assertions, proofs and request objects cost the server; that
// the client makes them is not in it.
func BenchmarkProving(b *testing.B) {
	r := newRig(b)
	for name, request := range r.proving() {
		b.Run(name, func(b *testing.B) {
			before := r.Commits()
			b.ReportAllocs()
			for b.Loop() {
				b.StopTimer()
				req := request()
				b.StartTimer()
				if w := r.serve(req); w.Code/100 != 2 {
					b.Fatal(w.Body)
				}
			}
			r.perOp(b, before)
		})
	}
}

// BenchmarkDiscovery serves what was made once.
func BenchmarkDiscovery(b *testing.B) {
	r := newRig(b)
	b.ReportAllocs()
	for b.Loop() {
		if w := r.serve(httptest.NewRequest("GET", "/.well-known/openid-configuration", nil)); w.Code != 200 {
			b.Fatal(w.Body)
		}
	}
}

// TestCommits counts what design promises: two for a code flow with a session,
// one for a refresh, none for userinfo; and seven for a whole sign-in: begin,
// count, session, count, proof, finish, redeem. What is good once costs one to
// remember: an assertion, a proof of a key.
func TestCommits(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	b := r.browser()
	got := r.redeem("web", b.signIn(r.mina, b.authorize("web", "scope", oidc.ScopeOpenID)).mustCode())
	own, jwt := r.clientToken("worker").Access, ""
	r.addJWTAPI(signer, "ES256", "robot")
	for _, c := range []struct {
		what string
		do   func()
		want int64
	}{
		{"code flow with a session", func() { r.redeem("web", b.authorize("web").mustCode()) }, 2},
		{"refresh", func() {
			r.token("web", url.Values{"grant_type": {"refresh_token"}, "refresh_token": {got.Refresh}})
		}, 1},
		{"userinfo", func() { r.userinfo(got.Access) }, 0},
		{"client credentials", func() { r.clientToken("worker") }, 1},
		{"introspection", func() { r.introspect("orders", own) }, 0},
		{"client credentials, a JWT", func() { jwt = r.clientToken("robot").Access }, 1},
		{"introspection of a JWT", func() { r.introspect("signer", jwt) }, 0},
		{"a whole sign-in", func() {
			fresh := r.browser()
			r.clock.advance(time.Minute)
			r.redeem("web", fresh.signIn(r.mina, fresh.authorize("web")).mustCode())
		}, 7},
		{"revocation of a client's own token", func() { r.revoke("worker", own) }, 1},
		{"revocation, again", func() { r.revoke("worker", own) }, 0},
		{"revocation of a refresh token", func() { r.revoke("web", got.Refresh) }, 1},
		{"revocation, again", func() { r.revoke("web", got.Refresh) }, 0},
		{"prompt=none without a session", func() { r.browser().authorize("web", "prompt", "none").mustRefuse(oidc.LoginRequired) }, 0},
	} {
		before := r.Commits()
		c.do()
		if n := r.Commits() - before; n != c.want {
			t.Errorf("%s: got %d commits, want %d", c.what, n, c.want)
		}
	}
	want := map[string]int64{"PAR": 2, "PAR, signed": 2, "client credentials, assertion": 2, "client credentials, DPoP": 3, "userinfo, DPoP": 1}
	for what, request := range r.proving() {
		before := r.Commits()
		if w := r.serve(request()); w.Code/100 != 2 {
			t.Errorf("%s: got %d %s", what, w.Code, w.Body)
		}
		if n := r.Commits() - before; n != want[what] {
			t.Errorf("%s: got %d commits, want %d", what, n, want[what])
		}
	}
}
