package oidc_test

import (
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-id/sallyport/internal/oidc"
)

func api() *oidc.Resource {
	return &oidc.Resource{ID: "r1", URI: "https://api.example/", Name: "API", Scopes: []string{"read", "write"}}
}

func TestValidateResource(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		change func(*oidc.Resource)
		want   string // part of the error, "" for none
	}{
		{"good", func(*oidc.Resource) {}, ""},
		{"a URN", func(r *oidc.Resource) { r.URI = "urn:example:orders" }, ""},
		{"with a query", func(r *oidc.Resource) { r.URI = "https://api.example/?tenant=1" }, ""},
		{"on this machine", func(r *oidc.Resource) { r.URI = "http://localhost:8080" }, ""},
		{"a day", func(r *oidc.Resource) { r.AccessTokenTTL = 24 * time.Hour }, ""},

		{"no id", func(r *oidc.Resource) { r.ID = "" }, "id"},
		{"no URI", func(r *oidc.Resource) { r.URI = "" }, "absolute"},
		{"relative", func(r *oidc.Resource) { r.URI = "/orders" }, "absolute"},
		{"scheme alone", func(r *oidc.Resource) { r.URI = "https:" }, "absolute"},
		{"fragment", func(r *oidc.Resource) { r.URI += "#a" }, "fragment"},
		{"empty fragment", func(r *oidc.Resource) { r.URI += "#" }, "fragment"},
		{"credentials", func(r *oidc.Resource) { r.URI = "https://a:b@api.example/" }, "credentials"},
		{"space", func(r *oidc.Resource) { r.URI += " a" }, "not a URI"},
		{"line break", func(r *oidc.Resource) { r.URI += "\n" }, "not a URI"},
		{"long", func(r *oidc.Resource) { r.URI += strings.Repeat("a", 2048) }, "not a URI"},
		{"no name", func(r *oidc.Resource) { r.Name = "" }, "resource_name"},
		{"name that turns round", func(r *oidc.Resource) { r.Name = "a\u202eb" }, "resource_name"},
		{"no scope", func(r *oidc.Resource) { r.Scopes = nil }, "scopes"},
		{"scope with a space", func(r *oidc.Resource) { r.Scopes = []string{"a b"} }, "scopes"},
		{"openid", func(r *oidc.Resource) { r.Scopes = []string{"openid"} }, "own"},
		{"offline_access", func(r *oidc.Resource) { r.Scopes = []string{"read", "offline_access"} }, "own"},
		{"JWT", func(r *oidc.Resource) { r.TokenFormat, r.AccessTokenTTL = oidc.FormatJWT, 5*time.Minute }, ""},
		{"JWT, ES256", func(r *oidc.Resource) { r.TokenFormat, r.SigningAlg = oidc.FormatJWT, "ES256" }, ""},

		{"JWT that outlives the user for longer", func(r *oidc.Resource) {
			r.TokenFormat, r.AccessTokenTTL = oidc.FormatJWT, 5*time.Minute+time.Second
		}, "5 minutes"},
		{"JWT, HS256", func(r *oidc.Resource) { r.TokenFormat, r.SigningAlg = oidc.FormatJWT, "HS256" }, "token_signing_alg"},
		{"JWT, none", func(r *oidc.Resource) { r.TokenFormat, r.SigningAlg = oidc.FormatJWT, "none" }, "token_signing_alg"},
		{"opaque, signed", func(r *oidc.Resource) { r.SigningAlg = "ES256" }, "token_signing_alg"},
		{"another format", func(r *oidc.Resource) { r.TokenFormat = "saml" }, "token_format"},
		{"longer than a day", func(r *oidc.Resource) { r.AccessTokenTTL = 24*time.Hour + time.Second }, "access_token_ttl"},
		{"parts of a second", func(r *oidc.Resource) { r.AccessTokenTTL = time.Millisecond }, "access_token_ttl"},
		{"negative", func(r *oidc.Resource) { r.AccessTokenTTL = -time.Second }, "access_token_ttl"},
		{"level 5", func(r *oidc.Resource) { r.MinLevel = 5 }, "min_level"},
	} {
		r := api()
		tt.change(r)
		if err := r.Validate(); (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got %v, want an error with %q", tt.name, err, tt.want)
		}
	}
}

// machine is a client that may read one API and is another.
func machine() *oidc.Client {
	return &oidc.Client{
		ID: "worker", Name: "Worker", SecretHashes: [][]byte{hashOf("s3cret")}, GrantTypes: []string{oidc.GrantClientCredentials},
		Resources: []oidc.ResourceAccess{
			{ResourceID: "r1", URI: "https://api.example/", Scopes: []string{"read"}},
			{ResourceID: "r2", URI: "https://own.example/", Introspect: true},
		},
	}
}

func TestValidateMachine(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		change func(*oidc.Client)
		want   string
	}{
		{"good", func(*oidc.Client) {}, ""},
		{"no API yet", func(c *oidc.Client) { c.Resources = nil }, ""},
		{"a user's subject", func(c *oidc.Client) { c.ID = "06h1yta9ng00165yzcsb1rbwfm" }, "subject"},
		{"almost a user's subject", func(c *oidc.Client) { c.ID = "06h1yta9ng00165yzcsb1rbwfL" }, ""},
		{"public", func(c *oidc.Client) { c.AuthMethod, c.SecretHashes = oidc.AuthNone, nil }, "needs a secret"},
		{"with codes", func(c *oidc.Client) { c.GrantTypes = append(c.GrantTypes, oidc.GrantAuthorizationCode) }, "alone"},
		{"with refresh tokens", func(c *oidc.Client) { c.GrantTypes = append(c.GrantTypes, oidc.GrantRefreshToken) }, "alone"},
		{"redirect URI", func(c *oidc.Client) { c.RedirectURIs = []string{"https://a.example/cb"} }, "no redirect URIs"},
		{"URI after the logout", func(c *oidc.Client) { c.PostLogoutRedirectURIs = []string{"https://a.example/"} }, "no redirect URIs"},
		{"response type", func(c *oidc.Client) { c.ResponseTypes = []string{oidc.ResponseTypeCode} }, "no redirect URIs"},
		{"openid", func(c *oidc.Client) { c.Scopes = []string{oidc.ScopeOpenID} }, "scopes of APIs alone"},
		{"openid at an API", func(c *oidc.Client) { c.Resources[0].Scopes = []string{oidc.ScopeOpenID} }, "own"},
		{"an API twice", func(c *oidc.Client) { c.Resources = append(c.Resources, c.Resources[0]) }, "twice"},
		{"an API without an id", func(c *oidc.Client) { c.Resources[0].ResourceID = "" }, "no API"},
		{"an API for nothing", func(c *oidc.Client) { c.Resources[0].Scopes = nil }, "nothing"},
	} {
		c := machine()
		tt.change(c)
		if err := c.Validate(); (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got %v, want an error with %q", tt.name, err, tt.want)
		}
	}
	public := shop()
	public.AuthMethod, public.SecretHashes = oidc.AuthNone, nil
	public.Resources = machine().Resources[1:]
	if err := public.Validate(); err == nil || !strings.Contains(err.Error(), "introspect") {
		t.Errorf("a public client that introspects: got %v", err)
	}
}

// An API is its id: one that got the URI later is another.
func TestAccessIsByID(t *testing.T) {
	t.Parallel()
	c, r := machine(), api()
	heir := api()
	heir.ID = "r9"
	if got := c.ScopesAt(r); !slices.Equal(got, []string{"read"}) {
		t.Errorf("got %v, want read", got)
	}
	if got := c.ScopesAt(heir); len(got) != 0 {
		t.Errorf("an heir: got %v, want none", got)
	}
	r.Scopes = []string{"write"}
	if got := c.ScopesAt(r); len(got) != 0 {
		t.Errorf("a scope that the API no longer has: got %v", got)
	}
	own := &oidc.Resource{ID: "r2", URI: "https://own.example/", Scopes: []string{"a"}}
	if c.Introspects(r) || c.Introspects(heir) || !c.Introspects(own) || !c.Introspects(nil) || shop().Introspects(nil) {
		t.Error("introspection is not of the client's own API alone")
	}
}

// RFC 8707 §2: absolute, no fragment; the one parameter that may come again.
func TestResourceParameter(t *testing.T) {
	t.Parallel()
	eight, nine := "", ""
	for i := range 9 {
		nine += "&resource=https://api.example/" + string(rune('a'+i))
		if i < 8 {
			eight = nine
		}
	}
	for _, tt := range []struct {
		query string
		want  int
		code  string
	}{
		{"", 0, ""},
		{"&resource=", 0, ""},
		{"&resource=https://api.example/", 1, ""},
		{"&resource=urn:example:api", 1, ""},
		{"&resource=https://api.example/&resource=https://api.example/", 1, ""},
		{"&resource=https://api.example/&resource=https://other.example/", 2, ""},
		{eight, 8, ""},
		{nine, 0, oidc.InvalidTarget},
		{"&resource=api", 0, oidc.InvalidTarget},
		{"&resource=https://api.example/%23", 0, oidc.InvalidTarget},
		{"&resource=https://api.example/%00", 0, oidc.InvalidTarget},
		{"&resource=https://api.example/&resource=%ff", 0, oidc.InvalidTarget},
	} {
		r, err := oidc.ParseTokenRequest(header(basic("shop:s3cret")), parseQuery(t, "grant_type=client_credentials"+tt.query))
		if codeOf(err) != tt.code || err == nil && len(r.Resources) != tt.want {
			t.Errorf("%.60s: got %+v, %v, want %d, %q", tt.query, r, err, tt.want, tt.code)
		}
	}
}

// RFC 8707 §2.1: an API is the client's, and asked for something; its scopes are
// scopes beside it alone.
func TestAuthorizationRequestForAPIs(t *testing.T) {
	t.Parallel()
	const uri, other = "https://api.example/", "https://other.example/"
	c := shop()
	c.Resources = []oidc.ResourceAccess{
		{ResourceID: "r1", URI: uri, Scopes: []string{"read"}},
		{ResourceID: "r2", URI: other, Introspect: true},
	}
	heir := api()
	heir.ID = "r9"
	for _, tt := range []struct {
		name      string
		resources []string
		scope     string
		apis      []*oidc.Resource
		want      string
	}{
		{"one", []string{uri}, "openid read", []*oidc.Resource{api()}, ""},
		{"without openid", []string{uri}, "read", []*oidc.Resource{api()}, ""},
		{"none", nil, "openid", nil, ""},
		{"its scope without it", nil, "openid read", nil, oidc.InvalidScope},
		{"a scope that the client may not have", []string{uri}, "read write", []*oidc.Resource{api()}, oidc.InvalidScope},
		{"nothing of it asked", []string{uri}, "openid", []*oidc.Resource{api()}, oidc.InvalidScope},
		{"not registered", []string{uri}, "openid read", nil, oidc.InvalidTarget},
		{"an heir", []string{uri}, "openid read", []*oidc.Resource{heir}, oidc.InvalidTarget},
		{"one that the client is, and may not use", []string{other}, "openid a", []*oidc.Resource{{ID: "r2", URI: other, Scopes: []string{"a"}}}, oidc.InvalidTarget},
		{"a good one and one that is none", []string{uri, other}, "openid read", []*oidc.Resource{api()}, oidc.InvalidTarget},
	} {
		v := asks("scope", tt.scope)
		v["resource"] = tt.resources
		r, unproven, refusal := oidc.ParseAuthorizationRequest(v)
		if unproven != nil || refusal != nil {
			t.Fatalf("%s: got %v, %v", tt.name, unproven, refusal)
		}
		if err := r.Check(c, tt.apis...); codeOf(err) != tt.want {
			t.Errorf("%s: got %v, want %q", tt.name, err, tt.want)
		}
	}
}

// RFC 7662 §2.1; who asks is read as at the token endpoint.
func TestParseTokenQuery(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		header, body, want string
	}{
		{basic("orders:s3cret"), "token=ct_a.b", ""},
		{basic("orders:s3cret"), "token=ct_a.b&token_type_hint=anything", ""},
		{"", "token=ct_a.b&client_id=orders&client_secret=s3cret", ""},
		{basic("orders:s3cret"), "", oidc.InvalidRequest},
		{basic("orders:s3cret"), "token=a&token=b", oidc.InvalidRequest},
		{basic("orders:s3cret"), "token=a&token_type_hint=b&token_type_hint=c", oidc.InvalidRequest},
		{basic("orders:s3cret"), "token=" + strings.Repeat("a", 4097), oidc.InvalidRequest},
		{basic("orders:s3cret"), "token=%00", oidc.InvalidRequest},
		{"", "token=a", oidc.InvalidClient},
		{"Bearer a", "token=a", oidc.InvalidClient},
		{basic("orders:s3cret"), "token=a&client_secret=x", oidc.InvalidRequest},
	} {
		q, err := oidc.ParseTokenQuery(header(tt.header), parseQuery(t, tt.body))
		if codeOf(err) != tt.want || err == nil && (q.Token != "ct_a.b" || q.Auth.ID != "orders") {
			t.Errorf("%.40s: got %#v, %v, want %q", tt.body, q, err, tt.want)
		}
	}
}

// An answer about nothing has one member; of a client's own token none says that
// somebody signed in.
func TestIntrospectionJSON(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		answer oidc.Introspection
		want   string
	}{
		{oidc.Introspection{}, `{"active":false}`},
		{oidc.Introspection{Active: true, TokenType: "Bearer", AccessToken: &oidc.AccessToken{Issuer: "i", Subject: "c", Audience: "a", ClientID: "c", Expiry: 2, IssuedAt: 1, Scope: "s"}},
			`{"active":true,"iss":"i","sub":"c","aud":"a","client_id":"c","exp":2,"iat":1,"scope":"s","token_type":"Bearer"}`},
		{oidc.Introspection{Active: true, TokenType: "Bearer", AccessToken: &oidc.AccessToken{Issuer: "i", Subject: "u", Audience: "a", ClientID: "c", Expiry: 2, IssuedAt: 1, Scope: "s",
			Authentication: &oidc.Authentication{ACR: "phr", AMR: []string{"pwd"}, AuthTime: 1}}},
			`{"active":true,"iss":"i","sub":"u","aud":"a","client_id":"c","exp":2,"iat":1,"scope":"s","acr":"phr","amr":["pwd"],"auth_time":1,"token_type":"Bearer"}`},
		{oidc.Introspection{Active: true, TokenType: "DPoP", AccessToken: &oidc.AccessToken{Issuer: "i", Subject: "c", Audience: "a", ClientID: "c", Expiry: 2, IssuedAt: 1, Scope: "s",
			Confirmation: &oidc.Confirmation{Thumbprint: "t"}}},
			`{"active":true,"iss":"i","sub":"c","aud":"a","client_id":"c","exp":2,"iat":1,"scope":"s","cnf":{"jkt":"t"},"token_type":"DPoP"}`},
	} {
		got, err := json.Marshal(tt.answer)
		if err != nil || string(got) != tt.want {
			t.Errorf("got %s, %v, want %s", got, err, tt.want)
		}
	}
	if reflect.TypeFor[oidc.AccessToken]().NumField() != 9 {
		t.Error("the claims have grown: look at what these answers say")
	}
}
