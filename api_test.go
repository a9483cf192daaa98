package sallyport_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/sallyport-id/sallyport"
	"github.com/sallyport-id/sallyport/internal/admin"
	"github.com/sallyport-id/sallyport/internal/oidc"
	"github.com/sallyport-id/sallyport/internal/store"
)

// clientToken is a client's own token.
func (r *rig) clientToken(client string, extra ...string) tokens {
	r.t.Helper()
	form := url.Values{"grant_type": {"client_credentials"}}
	for i := 0; i < len(extra); i += 2 {
		form.Add(extra[i], extra[i+1])
	}
	return r.token(client, form)
}

// introspect asks as a client what a token is worth.
func (r *rig) introspect(client, token string) map[string]any {
	r.t.Helper()
	status, answer := r.postForm("/introspect", client, url.Values{"token": {token}})
	if status != http.StatusOK {
		r.t.Fatalf("introspection: got %d %v", status, answer)
	}
	return answer
}

// postForm posts a form as a client; the answer's JSON is nil if it has none.
func (r *rig) postForm(path, client string, form url.Values) (status int, answer map[string]any) {
	r.t.Helper()
	req, err := http.NewRequest("POST", r.issuer+path, strings.NewReader(form.Encode()))
	r.must(err)
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if client != "" {
		req.SetBasicAuth(client, r.secret[client])
	}
	resp, err := http.DefaultClient.Do(req)
	r.must(err)
	defer resp.Body.Close()
	_ = json.NewDecoder(resp.Body).Decode(&answer)
	return resp.StatusCode, answer
}

// mustBeInactive wants the answer that says nothing.
func mustBeInactive(t *testing.T, what string, answer map[string]any) {
	t.Helper()
	if len(answer) != 1 || answer["active"] != false {
		t.Errorf("%s: got %v, want active false and no more", what, answer)
	}
}

// changeClient writes a client as it is after a change.
func (r *rig) changeClient(id string, change func(*oidc.Client)) {
	r.t.Helper()
	c, err := r.Store().Client(r.t.Context(), id)
	r.must(err)
	old := c.Clone()
	change(c)
	r.must(r.Store().UpdateClient(r.t.Context(), old, c))
}

// TestClientCredentials: a token for the one API that the client may use, which
// says nothing of a user.
func TestClientCredentials(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	got := r.clientToken("worker")
	if got.status != 200 || got.Type != "Bearer" || got.Expires != 600 || got.Scope != "orders:read" || got.Refresh != "" || got.ID != "" {
		t.Fatalf("got %+v, want an access token of orders:read and nothing else", got)
	}
	want := map[string]any{"active": true, "iss": r.issuer, "sub": "worker", "client_id": "worker", "aud": orders, "scope": "orders:read", "token_type": "Bearer"}
	answer := r.introspect("orders", got.Access)
	for name, value := range want {
		if answer[name] != value {
			t.Errorf("%s: got %v, want %v", name, answer[name], value)
		}
	}
	if life := answer["exp"].(float64) - answer["iat"].(float64); life != 600 || len(answer) != len(want)+2 {
		t.Errorf("got a life of %v, and %v; want 600 s and no acr, amr, auth_time", life, answer)
	}
	if status, _ := r.userinfo(got.Access); status != http.StatusUnauthorized {
		t.Errorf("userinfo: got %d, want 401", status)
	}
	r.clock.advance(10 * time.Minute)
	mustBeInactive(t, "expired", r.introspect("orders", got.Access))
}

// TestClientCredentialsAreForWhatIsAllowed: an API and its scopes are the client's
// or refused; the client's own lifetime makes the API's shorter, never longer.
func TestClientCredentialsAreForWhatIsAllowed(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	both := admin.Machine("both", "Both")
	r.must(r.Admin().Allow(t.Context(), both, orders))
	r.must(r.Admin().Allow(t.Context(), both, billing))
	r.addClient(t.Context(), both)
	for name, c := range map[string]struct {
		extra       []string
		code, scope string
	}{
		"no API named":            {nil, oidc.InvalidTarget, ""},
		"one":                     {[]string{"resource", billing}, "", "bills:read"},
		"the other":               {[]string{"resource", orders}, "", "orders:read orders:write"},
		"fewer scopes":            {[]string{"resource", orders, "scope", "orders:write"}, "", "orders:write"},
		"the other one's scope":   {[]string{"resource", billing, "scope", "orders:read"}, oidc.InvalidScope, ""},
		"two at once":             {[]string{"resource", orders, "resource", billing}, oidc.InvalidTarget, ""},
		"the same, twice":         {[]string{"resource", orders, "resource", orders}, "", "orders:read orders:write"},
		"one that is none":        {[]string{"resource", "https://none.example.com/"}, oidc.InvalidTarget, ""},
		"almost the same":         {[]string{"resource", strings.TrimSuffix(orders, "/")}, oidc.InvalidTarget, ""},
		"with a fragment":         {[]string{"resource", orders + "#a"}, oidc.InvalidTarget, ""},
		"this server":             {[]string{"resource", r.issuer}, oidc.InvalidTarget, ""},
		"openid":                  {[]string{"resource", orders, "scope", "openid"}, oidc.InvalidScope, ""},
		"a user's refresh scopes": {[]string{"resource", orders, "scope", "orders:read offline_access"}, oidc.InvalidScope, ""},
	} {
		if got := r.clientToken("both", c.extra...); got.Error != c.code || got.Scope != c.scope || (got.Access != "") != (c.code == "") {
			t.Errorf("%s: got %+v, want %q, %q", name, got, c.code, c.scope)
		}
	}
	r.changeClient("both", func(c *oidc.Client) { c.AccessTokenTTL = time.Minute })
	if got := r.clientToken("both", "resource", orders); got.Expires != 60 {
		t.Errorf("a shorter life of the client's: got %d s", got.Expires)
	}
	r.changeClient("both", func(c *oidc.Client) { c.AccessTokenTTL = time.Hour })
	if got := r.clientToken("both", "resource", orders); got.Expires != 600 {
		t.Errorf("a longer life of the client's: got %d s", got.Expires)
	}
}

// TestIntrospectionIsForTheAPI: the client that is the API's own hears what the
// token says; every other hears nothing, and one that is no API's is refused.
func TestIntrospectionIsForTheAPI(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	token := r.clientToken("worker").Access
	if r.introspect("orders", token)["active"] != true {
		t.Error("the API was not told")
	}
	mustBeInactive(t, "another API", r.introspect("billing", token))
	for _, wrong := range []string{"x", token + "x", token[:len(token)-1], strings.Replace(token, "ct_", "at_", 1), r.userToken("web")} {
		mustBeInactive(t, "a token that is not", r.introspect("orders", wrong))
	}
	for client, want := range map[string]int{"worker": http.StatusForbidden, "web": http.StatusForbidden, "nobody": http.StatusUnauthorized} {
		if status, answer := r.postForm("/introspect", client, url.Values{"token": {token}}); status != want || answer["active"] != nil {
			t.Errorf("%s: got %d %v, want %d", client, status, answer, want)
		}
	}
	if status, _ := r.postForm("/introspect", "", url.Values{"token": {token}, "client_id": {"spa"}}); status != http.StatusUnauthorized {
		t.Errorf("a public client: got %d", status)
	}
}

// userToken is a user's token of this server, from a sign-in of its own.
func (r *rig) userToken(client string) string {
	b := r.browser()
	return r.redeem(client, b.signIn(r.mina, b.authorize(client)).mustCode()).Access
}

// TestRule6ClientTokensStopAtOnce: with the client disabled, its permission taken,
// the client removed, or the API removed; and what comes later under the same name
// inherits nothing.
func TestRule6ClientTokensStopAtOnce(t *testing.T) {
	t.Parallel()
	for name, stop := range map[string]func(*rig){
		"client disabled":  func(r *rig) { r.changeClient("worker", func(c *oidc.Client) { c.Disabled = true }) },
		"permission taken": func(r *rig) { r.changeClient("worker", func(c *oidc.Client) { c.Resources = nil }) },
		"client removed":   func(r *rig) { r.must(r.Admin().RemoveClient(r.t.Context(), "worker")) },
		"API removed":      func(r *rig) { r.must(r.Admin().RemoveResource(r.t.Context(), orders)) },
		"client made anew": func(r *rig) {
			c, err := r.Store().Client(r.t.Context(), "worker")
			r.must(err)
			r.must(r.Admin().RemoveClient(r.t.Context(), "worker"))
			r.must(r.Store().CreateClient(r.t.Context(), c))
		},
		"API made anew": func(r *rig) {
			r.must(r.Admin().RemoveResource(r.t.Context(), orders))
			r.must(r.Admin().AddResource(r.t.Context(), &oidc.Resource{URI: orders, Name: "heir", Scopes: []string{"orders:read"}}))
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			token := r.clientToken("worker").Access
			if r.introspect("orders", token)["active"] != true {
				t.Fatal("the token is worth nothing to begin with")
			}
			stop(r)
			mustBeInactive(t, name, r.introspect("orders", token))
			if got := r.clientToken("worker"); name != "client made anew" && got.Error == "" {
				t.Errorf("a new token: got %+v", got)
			}
		})
	}
}

// TestMachinesSignNobodyIn: the client of a machine is refused wherever a user
// would be needed, and can be given nothing that is for one.
func TestMachinesSignNobodyIn(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	b := r.browser()
	if v := b.authorize("worker"); v.location != nil || v.status != http.StatusBadRequest {
		t.Errorf("authorize: got %d %v", v.status, v.location)
	}
	for _, grant := range []url.Values{
		{"grant_type": {"authorization_code"}, "code": {"ac_a.b"}},
		{"grant_type": {"refresh_token"}, "refresh_token": {"rt_a.b"}},
	} {
		if got := r.token("worker", grant); got.Error != oidc.UnauthorizedClient {
			t.Errorf("%v: got %+v", grant, got)
		}
	}
	if got := r.clientToken("web"); got.Error != oidc.UnauthorizedClient {
		t.Errorf("client credentials of a client for users: got %+v", got)
	}
	if got := r.token("", url.Values{"grant_type": {"client_credentials"}, "client_id": {"worker"}}); got.Error != oidc.InvalidClient {
		t.Errorf("client credentials without a secret: got %+v", got)
	}
	for what, change := range map[string]func(*oidc.Client){
		"public":         func(c *oidc.Client) { c.AuthMethod, c.SecretHashes = oidc.AuthNone, nil },
		"redirect URI":   func(c *oidc.Client) { c.RedirectURIs = []string{callback} },
		"refresh tokens": func(c *oidc.Client) { c.GrantTypes = append(c.GrantTypes, oidc.GrantRefreshToken) },
		"codes":          func(c *oidc.Client) { c.GrantTypes = append(c.GrantTypes, oidc.GrantAuthorizationCode) },
		"user scopes":    func(c *oidc.Client) { c.Scopes = []string{oidc.ScopeOpenID} },
		"openid at an API": func(c *oidc.Client) {
			c.Resources = []oidc.ResourceAccess{{ResourceID: "x", URI: orders, Scopes: []string{oidc.ScopeOpenID}}}
		},
		"a user's subject as its id": func(c *oidc.Client) { c.ID = r.mina.id },
	} {
		c := admin.Machine("loose", "Loose")
		change(c)
		if _, err := r.Admin().AddClient(t.Context(), c); err == nil {
			t.Errorf("%s: the preset was loosened", what)
		}
	}
}

// TestRule23WrongSecretOfAClientToken: an id from a log opens nothing, and closes
// nothing.
func TestRule23WrongSecretOfAClientToken(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	token := r.clientToken("worker").Access
	id, _, _ := strings.Cut(token, ".")
	mustBeInactive(t, "wrong secret", r.introspect("orders", fmt.Sprintf("%s.%s", id, strings.Repeat("A", 43))))
	if r.introspect("orders", token)["active"] != true {
		t.Error("guessing ended the token")
	}
}

// revoke ends a token as its client, which is told nothing.
func (r *rig) revoke(client, token string) {
	r.t.Helper()
	if status, answer := r.postForm("/revoke", client, url.Values{"token": {token}}); status != http.StatusOK || answer != nil {
		r.t.Fatalf("revocation: got %d %v, want 200 and nothing", status, answer)
	}
}

// TestRevocation: an access token ends alone, a refresh token with its family; what
// is nothing, or no more, is no error.
func TestRevocation(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	b := r.browser()
	first := r.redeem("web", b.signIn(r.mina, b.authorize("web")).mustCode())
	works := func(token string) bool { status, _ := r.userinfo(token); return status == http.StatusOK }
	refresh := func() tokens {
		return r.token("web", url.Values{"grant_type": {"refresh_token"}, "refresh_token": {first.Refresh}})
	}
	for _, none := range []string{"x", first.Access + "x", first.Access[:len(first.Access)-1], first.Refresh + "x", "ct_a.b", "at_", "rt_.", first.ID} {
		r.revoke("web", none)
	}
	if !works(first.Access) {
		t.Fatal("a token was ended that was not named")
	}
	r.revoke("web", first.Access)
	r.revoke("web", first.Access)
	second := refresh()
	if works(first.Access) || !works(second.Access) {
		t.Errorf("after the access token: got %v, %v; want it to end alone", works(first.Access), works(second.Access))
	}
	other := r.redeem("web", b.authorize("web").mustCode())
	r.revoke("web", first.Refresh)
	if got := refresh(); works(second.Access) || got.Error != oidc.InvalidGrant {
		t.Errorf("after the refresh token: the access token %v, a refresh %+v", works(second.Access), got)
	}
	if !works(other.Access) {
		t.Error("another grant ended, too")
	}
	own := r.clientToken("worker").Access
	r.revoke("worker", own)
	mustBeInactive(t, "revoked", r.introspect("orders", own))
	events, err := r.Store().Events(t.Context(), store.EventQuery{Limit: 20})
	r.must(err)
	seen := map[string]int{}
	for _, e := range events {
		seen[e.Type]++
	}
	if seen["token.access.revoked"] != 1 || seen["token.revoked"] != 1 || seen["token.client.revoked"] != 1 {
		t.Errorf("got the events %v, want one of each", seen)
	}
}

// TestRevocationOfAFamily: of a public client each token of the family ends all of
// it, the ones that were rotated away, too.
func TestRevocationOfAFamily(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	b := r.browser()
	public := func(form url.Values) tokens {
		form.Set("client_id", "spa")
		return r.token("", form)
	}
	code := b.signIn(r.mina, b.authorize("spa")).mustCode()
	first := public(url.Values{"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {callback}, "code_verifier": {verifier}})
	second := public(url.Values{"grant_type": {"refresh_token"}, "refresh_token": {first.Refresh}})
	if status, _ := r.postForm("/revoke", "", url.Values{"token": {first.Refresh}, "client_id": {"spa"}}); status != http.StatusOK {
		t.Fatalf("got %d", status)
	}
	if status, _ := r.userinfo(second.Access); status != http.StatusUnauthorized {
		t.Errorf("the access token: got %d", status)
	}
	if got := public(url.Values{"grant_type": {"refresh_token"}, "refresh_token": {second.Refresh}}); got.Error != oidc.InvalidGrant {
		t.Errorf("the refresh token: got %+v", got)
	}
}

// TestRevocationIsForTheOwner: no client ends another's tokens, and nobody's without
// saying who it is.
func TestRevocationIsForTheOwner(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	b := r.browser()
	got := r.redeem("web", b.signIn(r.mina, b.authorize("web")).mustCode())
	own := r.clientToken("worker").Access
	for _, token := range []string{got.Access, got.Refresh, own} {
		for _, client := range []string{"asks", "orders"} {
			if status, answer := r.postForm("/revoke", client, url.Values{"token": {token}}); status != http.StatusBadRequest || answer["error"] != oidc.InvalidGrant {
				t.Errorf("%s: got %d %v", client, status, answer)
			}
		}
		if status, _ := r.postForm("/revoke", "", url.Values{"token": {token}, "client_id": {"spa"}}); status != http.StatusBadRequest {
			t.Errorf("a public client: got %d", status)
		}
		if status, _ := r.postForm("/revoke", "nobody", url.Values{"token": {token}}); status != http.StatusUnauthorized {
			t.Errorf("an unknown client: got %d", status)
		}
		if status, _ := r.postForm("/revoke", "", url.Values{"token": {token}, "client_id": {"web"}}); status != http.StatusBadRequest {
			t.Errorf("a client without its secret: got %d", status)
		}
	}
	if status, _ := r.userinfo(got.Access); status != http.StatusOK {
		t.Errorf("the access token: got %d", status)
	}
	if again := r.token("web", url.Values{"grant_type": {"refresh_token"}, "refresh_token": {got.Refresh}}); again.Error != "" {
		t.Errorf("the refresh token: got %+v", again)
	}
	if r.introspect("orders", own)["active"] != true {
		t.Error("the client's own token ended")
	}
}

// allowed signs mina in and lets the portal have what it asks for.
func (b *browser) allowed(extra ...string) string {
	b.t.Helper()
	return b.answer(b.signIn(b.mina, b.authorize("portal", extra...)).mustStep("consent", 200), "consent", "decision", "allow").mustCode()
}

// TestResourceInTheCodeFlow: the user is shown where the application wants to go;
// the access token is for that API and opens nothing here; the ID token comes as
// ever.
func TestResourceInTheCodeFlow(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	b := r.browser()
	v := b.signIn(r.mina, b.authorize("portal", "resource", orders, "scope", "openid email orders:read")).mustStep("consent", 200)
	if !strings.Contains(v.body, orders) || !strings.Contains(v.body, "<code>orders:read</code>") || strings.Contains(v.body, "orders:write") {
		t.Errorf("the page does not say what is asked:\n%s", v.body)
	}
	got := r.redeem("portal", b.answer(v, "consent", "decision", "allow").mustCode())
	if got.status != 200 || got.Scope != "orders:read" || got.Refresh == "" || got.Expires != 600 {
		t.Fatalf("got %+v", got)
	}
	id := claims(t, got.ID)
	if id["aud"] != "portal" || id["sub"] != r.mina.id {
		t.Errorf("id token: %v", id)
	}
	answer := r.introspect("orders", got.Access)
	for name, want := range map[string]any{"active": true, "iss": r.issuer, "sub": r.mina.id, "client_id": "portal", "aud": orders, "scope": "orders:read",
		"acr": id["acr"], "auth_time": id["auth_time"], "token_type": "Bearer"} {
		if answer[name] != want {
			t.Errorf("introspection: %s: got %v, want %v", name, answer[name], want)
		}
	}
	if fmt.Sprint(answer["amr"]) != "[pwd otp mfa]" || len(answer) != 12 {
		t.Errorf("introspection: got %v", answer)
	}
	mustBeInactive(t, "another API", r.introspect("billing", got.Access))
	if status, info := r.userinfo(got.Access); status != http.StatusUnauthorized {
		t.Errorf("userinfo with a token for an API: got %d %v", status, info)
	}
	own := r.redeem("portal", b.authorize("portal", "scope", "openid email").mustCode())
	mustBeInactive(t, "a token for this server", r.introspect("orders", own.Access))
	if status, _ := r.userinfo(own.Access); status != http.StatusOK {
		t.Errorf("userinfo with a token for this server: got %d", status)
	}
	// Rule 25: allowed once, it is remembered, at this API and no other.
	b.authorize("portal", "resource", orders, "scope", "openid orders:read").mustCode()
	b.authorize("portal", "resource", orders, "scope", "openid orders:write").mustStep("consent", 200)
	b.authorize("portal", "resource", billing, "scope", "openid bills:read").mustStep("consent", 200)
}

// TestResourceIsNarrowed: of a grant for two APIs each access token is for one, with
// that one's scopes, at the code and at every refresh.
func TestResourceIsNarrowed(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	b := r.browser()
	both := []string{"resource", orders, "resource", billing, "scope", "openid orders:read orders:write bills:read"}
	code := b.allowed(both...)
	redeem := func(extra ...string) tokens {
		form := url.Values{"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {callback}, "code_verifier": {verifier}}
		for i := 0; i < len(extra); i += 2 {
			form.Add(extra[i], extra[i+1])
		}
		return r.token("portal", form)
	}
	for what, extra := range map[string][]string{
		"none named": nil, "both": {"resource", orders, "resource", billing}, "another": {"resource", "https://none.example.com/"}, "this server": {"resource", r.issuer},
		"no URI": {"resource", "orders"},
	} {
		if got := redeem(extra...); got.Error != oidc.InvalidTarget {
			t.Errorf("%s: got %+v, want invalid_target", what, got)
		}
	}
	first := redeem("resource", orders)
	if first.Scope != "orders:read orders:write" || r.introspect("orders", first.Access)["aud"] != orders {
		t.Fatalf("got %+v", first)
	}
	refresh := func(extra ...string) tokens {
		form := url.Values{"grant_type": {"refresh_token"}, "refresh_token": {first.Refresh}}
		for i := 0; i < len(extra); i += 2 {
			form.Add(extra[i], extra[i+1])
		}
		return r.token("portal", form)
	}
	for what, c := range map[string]struct {
		extra       []string
		code, scope string
	}{
		"none named":             {nil, oidc.InvalidTarget, ""},
		"both":                   {[]string{"resource", orders, "resource", billing}, oidc.InvalidTarget, ""},
		"another":                {[]string{"resource", "https://none.example.com/"}, oidc.InvalidTarget, ""},
		"the other":              {[]string{"resource", billing}, "", "bills:read"},
		"fewer scopes":           {[]string{"resource", orders, "scope", "orders:read bills:read"}, "", "orders:read"},
		"nothing of that API":    {[]string{"resource", billing, "scope", "openid orders:read"}, oidc.InvalidScope, ""},
		"more than was granted":  {[]string{"resource", billing, "scope", "bills:read profile"}, oidc.InvalidScope, ""},
		"all of it, once more":   {[]string{"resource", orders}, "", "orders:read orders:write"},
		"an API's URI, not same": {[]string{"resource", orders + "?"}, oidc.InvalidTarget, ""},
	} {
		got := refresh(c.extra...)
		if got.Error != c.code || got.Scope != c.scope {
			t.Errorf("%s: got %+v, want %q, %q", what, got, c.code, c.scope)
		}
	}
	second := refresh("resource", billing)
	mustBeInactive(t, "the other API", r.introspect("orders", second.Access))
	if r.introspect("billing", second.Access)["scope"] != "bills:read" {
		t.Error("the API was not told")
	}
	if one := r.redeem("portal", b.authorize("portal", "resource", billing, "scope", "openid bills:read").mustCode()); one.Scope != "bills:read" {
		t.Errorf("a grant for one API, none named: got %+v", one)
	}
	if got := r.token("portal", url.Values{"grant_type": {"authorization_code"}, "code": {b.authorize("portal", "scope", "openid").mustCode()},
		"redirect_uri": {callback}, "code_verifier": {verifier}, "resource": {orders}}); got.Error != oidc.InvalidTarget {
		t.Errorf("a grant for none, one named: got %+v", got)
	}
}

// TestRule6UserTokensAtAPIsStopAtOnce: with the user disabled, the client disabled,
// removed or deprived, the session ended, the grant revoked, or the API removed;
// and a refresh brings nothing new.
func TestRule6UserTokensAtAPIsStopAtOnce(t *testing.T) {
	t.Parallel()
	for name, stop := range map[string]func(*browser, tokens){
		"user disabled":    func(b *browser, _ tokens) { b.must(b.Admin().DisableUser(b.t.Context(), b.mina.id)) },
		"client disabled":  func(b *browser, _ tokens) { b.changeClient("portal", func(c *oidc.Client) { c.Disabled = true }) },
		"client removed":   func(b *browser, _ tokens) { b.must(b.Admin().RemoveClient(b.t.Context(), "portal")) },
		"permission taken": func(b *browser, _ tokens) { b.changeClient("portal", func(c *oidc.Client) { c.Resources = nil }) },
		"a stricter floor": func(b *browser, _ tokens) {
			b.changeClient("portal", func(c *oidc.Client) { c.MinLevel = oidc.LevelPHR })
		},
		"session ended": func(b *browser, got tokens) {
			v := b.get("/end_session?id_token_hint=" + got.ID)
			if v.status != http.StatusOK {
				b.t.Fatalf("signing out: got %d", v.status)
			}
		},
		"revoked":     func(b *browser, got tokens) { b.revoke("portal", got.Refresh) },
		"API removed": func(b *browser, _ tokens) { b.must(b.Admin().RemoveResource(b.t.Context(), orders)) },
		"API made anew, and allowed": func(b *browser, _ tokens) {
			b.must(b.Admin().RemoveResource(b.t.Context(), orders))
			b.must(b.Admin().AddResource(b.t.Context(), &oidc.Resource{URI: orders, Name: "heir", Scopes: []string{"orders:read"}}))
			b.must(b.Admin().AllowClient(b.t.Context(), "portal", orders, nil, false))
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newRig(t).browser()
			got := b.redeem("portal", b.allowed("resource", orders, "scope", "openid orders:read"))
			if b.introspect("orders", got.Access)["active"] != true {
				t.Fatal("the token is worth nothing to begin with")
			}
			stop(b, got)
			mustBeInactive(t, name, b.introspect("orders", got.Access))
			if again := b.token("portal", url.Values{"grant_type": {"refresh_token"}, "refresh_token": {got.Refresh}}); again.Error == "" {
				t.Errorf("a refresh: got %+v", again)
			}
		})
	}
}

// TestFloorOfAnAPI: where one factor would do, a token for an API that wants two
// makes the user prove the second; without the API none is asked for.
func TestFloorOfAnAPI(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(c *sallyport.Config) { c.Policy = []sallyport.Rule{{Require: sallyport.Off}} })
	const vault = "https://vault.example.com/"
	r.must(r.Admin().AddResource(t.Context(), &oidc.Resource{URI: vault, Name: "Vault", Scopes: []string{"vault:open"}, MinLevel: oidc.Level2FA}))
	app := admin.Web("app", "App", callback)
	r.must(r.Admin().Allow(t.Context(), app, vault))
	r.must(r.Admin().Allow(t.Context(), app, orders))
	r.addClient(t.Context(), app)
	b := r.browser()
	password := []string{"username", "mina", "password", r.mina.password}
	b.answer(b.authorize("app", "resource", orders, "scope", "openid orders:read"), "password", password...).mustCode()
	b.authorize("app", "resource", vault, "scope", "openid vault:open", "prompt", "none").mustRefuse(oidc.InteractionRequired)
	v := b.authorize("app", "resource", vault, "scope", "openid vault:open").mustStep("second_factor", 200)
	got := r.redeem("app", b.answer(v, "totp", "code", r.code(r.mina.totp, 0)).mustCode())
	if got.Scope != "vault:open" || claims(t, got.ID)["acr"] != oidc.ACR2FA {
		t.Errorf("got %+v", got)
	}
}

// TestAPIRemovedWhileSigningIn: the request is refused before the user is asked for
// anything more.
func TestAPIRemovedWhileSigningIn(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	b := r.browser()
	v := b.authorize("portal", "resource", orders, "scope", "openid orders:read").mustStep("login", 200)
	r.must(r.Admin().RemoveResource(t.Context(), orders))
	b.answer(v, "password", "username", "mina", "password", r.mina.password).mustRefuse(oidc.InvalidTarget)
}

const signer = "https://signer.example.com/"

// addJWTAPI registers an API that checks tokens by itself, its own client "signer",
// and a machine that may use it.
func (r *rig) addJWTAPI(uri, alg, client string) {
	r.t.Helper()
	ctx := r.t.Context()
	r.must(r.Admin().AddResource(ctx, &oidc.Resource{URI: uri, Name: "Signer", Scopes: []string{"sign"}, TokenFormat: oidc.FormatJWT, SigningAlg: alg}))
	own, robot := admin.Machine("signer", "Signer"), admin.Machine(client, "Robot")
	r.must(r.Admin().AllowIntrospection(ctx, own, uri))
	r.must(r.Admin().Allow(ctx, robot, uri))
	r.addClient(ctx, own)
	r.addClient(ctx, robot)
}

// verified checks an access token as an API does: by its type, and the published
// keys (RFC 9068 §4).
func (r *rig) verified(token, alg string) map[string]any {
	r.t.Helper()
	return r.verifiedType(token, alg, "at+jwt")
}

func (r *rig) verifiedType(token, alg, want string) map[string]any {
	r.t.Helper()
	var set jose.JSONWebKeySet
	r.must(json.Unmarshal(r.serve(httptest.NewRequest("GET", "/jwks.json", nil)).Body.Bytes(), &set))
	jws, err := jose.ParseSignedCompact(token, []jose.SignatureAlgorithm{jose.SignatureAlgorithm(alg)})
	r.must(err)
	if typ := jws.Signatures[0].Protected.ExtraHeaders[jose.HeaderType]; typ != want {
		r.t.Errorf("got typ %v, want %s", typ, want)
	}
	payload, err := jws.Verify(set.Key(jws.Signatures[0].Protected.KeyID)[0])
	r.must(err)
	c := map[string]any{}
	r.must(json.Unmarshal(payload, &c))
	return c
}

// TestJWTAccessTokens: an API that checks by itself gets a JWT, of a user or of a
// client, that says what introspection says; it lives 5 minutes and no longer.
func TestJWTAccessTokens(t *testing.T) {
	t.Parallel()
	for _, alg := range []string{"", "ES256", "EdDSA"} {
		t.Run(alg, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			r.addJWTAPI(signer, alg, "robot")
			app := admin.Web("app", "App", callback)
			r.must(r.Admin().Allow(t.Context(), app, signer))
			r.addClient(t.Context(), app)
			b := r.browser()
			users := r.redeem("app", b.signIn(r.mina, b.authorize("app", "resource", signer, "scope", "openid sign")).mustCode())
			id := claims(t, users.ID)
			clients := r.clientToken("robot")
			if alg == "" {
				alg = "RS256"
			}
			jtis := map[any]bool{}
			for sub, got := range map[string]tokens{r.mina.id: users, "robot": clients} {
				c := r.verified(got.Access, alg)
				if got.Expires != 300 || c["exp"].(float64)-c["iat"].(float64) != 300 {
					t.Errorf("got a life of %v s, want 300", got.Expires)
				}
				client := "robot"
				if sub == r.mina.id {
					client = "app"
				}
				for name, want := range map[string]any{"iss": r.issuer, "sub": sub, "aud": signer, "client_id": client, "scope": "sign"} {
					if c[name] != want {
						t.Errorf("%s: got %v, want %v", name, c[name], want)
					}
				}
				jtis[c["jti"]] = true
				delete(c, "jti")
				answer := r.introspect("signer", got.Access)
				c["active"], c["token_type"] = true, "Bearer"
				if fmt.Sprint(answer) != fmt.Sprint(c) {
					t.Errorf("introspection says %v, the token %v", answer, c)
				}
				mustBeInactive(t, "another API", r.introspect("orders", got.Access))
				if status, _ := r.userinfo(got.Access); status != http.StatusUnauthorized {
					t.Errorf("userinfo: got %d", status)
				}
			}
			c := r.verified(users.Access, alg)
			if c["acr"] != id["acr"] || c["auth_time"] != id["auth_time"] || fmt.Sprint(c["amr"]) != fmt.Sprint(id["amr"]) {
				t.Errorf("got %v, want what the ID token says: %v", c, id)
			}
			if c := r.verified(clients.Access, alg); c["acr"] != nil || c["amr"] != nil || c["auth_time"] != nil {
				t.Errorf("a client's own token says that somebody signed in: %v", c)
			}
			if len(jtis) != 2 || jtis[nil] {
				t.Errorf("got the names %v", jtis)
			}
		})
	}
}

// TestJWTIsNotBelieved: what is signed by our keys and of another type, or changed,
// or of which there is no row any more, is nothing to introspection; and an access
// token is no ID token.
func TestJWTIsNotBelieved(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.addJWTAPI(signer, "ES256", "robot")
	b := r.browser()
	id := r.redeem("web", b.signIn(r.mina, b.authorize("web")).mustCode()).ID
	token := r.clientToken("robot").Access
	parts := strings.Split(token, ".")
	other := strings.Split(r.clientToken("robot").Access, ".")
	for what, wrong := range map[string]string{
		"an ID token":         id,
		"another's signature": parts[0] + "." + parts[1] + "." + other[2],
		"no signature":        parts[0] + "." + parts[1] + ".",
		"alg none":            "eyJhbGciOiJub25lIiwidHlwIjoiYXQrand0In0." + parts[1] + ".",
		"one more part":       token + ".x",
	} {
		mustBeInactive(t, what, r.introspect("signer", wrong))
	}
	b.authorize("web", "id_token_hint", token).mustRefuse(oidc.InvalidRequest)
	if status, answer := r.postForm("/revoke", "web", url.Values{"token": {token}}); status != http.StatusBadRequest || answer["error"] != oidc.InvalidGrant {
		t.Errorf("another client revokes it: got %d %v", status, answer)
	}
	r.revoke("robot", token)
	mustBeInactive(t, "revoked", r.introspect("signer", token))
	rest := strings.Join(other, ".")
	r.changeClient("robot", func(c *oidc.Client) { c.AccessTokenTTL = time.Minute })
	if got := r.clientToken("robot"); got.Expires != 60 {
		t.Errorf("a shorter life of the client's: got %d s", got.Expires)
	}
	r.changeClient("robot", func(c *oidc.Client) { c.Disabled = true })
	mustBeInactive(t, "client disabled", r.introspect("signer", rest))
}
