package oidc_test

import (
	"encoding/json"
	"net/url"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-id/sallyport/internal/oidc"
)

const (
	challenge = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM" // RFC 7636 App. B
	verifier  = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
)

// shop is a confidential client that passes Validate.
func shop() *oidc.Client {
	return &oidc.Client{
		ID: "shop", Name: "The shop",
		SecretHashes:           [][]byte{hashOf("s3cret")},
		RedirectURIs:           []string{"https://shop.example/cb"},
		PostLogoutRedirectURIs: []string{"https://shop.example/bye"},
		GrantTypes:             []string{oidc.GrantAuthorizationCode, oidc.GrantRefreshToken},
		ResponseTypes:          []string{oidc.ResponseTypeCode},
		ResponseModes:          []string{oidc.ResponseModeQuery, oidc.ResponseModeFormPost},
		Scopes:                 []string{oidc.ScopeOpenID, oidc.ScopeProfile, oidc.ScopeEmail, oidc.ScopeOfflineAccess},
		MinLevel:               oidc.Level1FA,
	}
}

// asks is shop's usual request with some parameters set, "-" for not sent.
func asks(changes ...string) url.Values {
	v := url.Values{
		"response_type": {"code"}, "client_id": {"shop"}, "redirect_uri": {"https://shop.example/cb"},
		"scope": {"openid profile"}, "state": {"xyz"}, "nonce": {"n-0S6_WzA2Mj"},
		"code_challenge": {challenge}, "code_challenge_method": {"S256"},
	}
	for i := 0; i < len(changes); i += 2 {
		if v.Set(changes[i], changes[i+1]); changes[i+1] == "-" {
			v.Del(changes[i])
		}
	}
	return v
}

func parseQuery(t *testing.T, query string) url.Values {
	t.Helper()
	v, err := url.ParseQuery(query)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// codeOf is an error's code, "" for none.
func codeOf(err *oidc.Error) string {
	if err == nil {
		return ""
	}
	return err.Code
}

// answer walks the way of the authorization endpoint: what is shown here, and
// what the client gets; both "" if the request is good.
func answer(c *oidc.Client, v url.Values) (r *oidc.AuthorizationRequest, shown, redirected string) {
	r, unproven, refusal := oidc.ParseAuthorizationRequest(v)
	if unproven == nil {
		unproven = r.CheckRedirectURI(c)
	}
	if unproven != nil {
		return r, codeOf(unproven), ""
	}
	if refusal == nil {
		refusal = r.Check(c)
	}
	return r, "", codeOf(refusal)
}

func TestAuthorizationRequestOfTheRFCs(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		section, query string
		want           oidc.AuthorizationRequest
	}{
		{"RFC 6749 §4.1.1", "response_type=code&client_id=s6BhdRkqt3&state=xyz&redirect_uri=https%3A%2F%2Fclient%2Eexample%2Ecom%2Fcb",
			oidc.AuthorizationRequest{ResponseType: "code", ClientID: "s6BhdRkqt3", State: "xyz", RedirectURI: "https://client.example.com/cb", RedirectSent: true}},
		{"OpenID Connect Core §3.1.2.1", "response_type=code&scope=openid%20profile%20email&client_id=s6BhdRkqt3&state=af0ifjsldkj&redirect_uri=https%3A%2F%2Fclient.example.org%2Fcb",
			oidc.AuthorizationRequest{ResponseType: "code", ClientID: "s6BhdRkqt3", State: "af0ifjsldkj", RedirectURI: "https://client.example.org/cb", RedirectSent: true,
				Scope: []string{"openid", "profile", "email"}}},
	} {
		got, shown, redirected := oidc.ParseAuthorizationRequest(parseQuery(t, tt.query))
		if shown != nil || redirected != nil {
			t.Errorf("%s: got errors %v, %v, want none", tt.section, shown, redirected)
		}
		if !reflect.DeepEqual(*got, tt.want) {
			t.Errorf("%s:\n got %+v\nwant %+v", tt.section, *got, tt.want)
		}
	}
}

func TestAuthorizationRequestParameters(t *testing.T) {
	t.Parallel()
	age := 3600 * time.Second
	r, shown, redirected := oidc.ParseAuthorizationRequest(asks(
		"scope", "openid  email openid", "prompt", "login consent", "max_age", "3600", "acr_values", "phr urn:sallyport:acr:2fa",
		"login_hint", "김철수", "ui_locales", "ko en", "display", "popup", "id_token_hint", "a.b.c", "response_mode", "form_post",
		"claims", `{"id_token":{"acr":{"essential":true,"values":["phr"]}}}`, "claims_locales", "ko", "resource", "https://api.example"))
	if shown != nil || redirected != nil {
		t.Fatalf("got errors %v, %v, want none", shown, redirected)
	}
	want := &oidc.AuthorizationRequest{
		ClientID: "shop", RedirectURI: "https://shop.example/cb", RedirectSent: true, ResponseType: "code", ResponseMode: "form_post",
		Scope: []string{"openid", "email"}, State: "xyz", Nonce: "n-0S6_WzA2Mj",
		CodeChallenge: challenge, CodeChallengeMethod: "S256", Prompt: oidc.PromptSet{Login: true, Consent: true},
		MaxAge: &age, ACRValues: []string{"phr", "urn:sallyport:acr:2fa"}, LoginHint: "김철수", UILocales: []string{"ko", "en"},
		IDTokenHint: "a.b.c", Display: "popup", Resources: []string{"https://api.example"},
		Claims: oidc.ClaimsRequest{IDToken: map[string]oidc.ClaimRequest{"acr": {Essential: true, Values: []string{"phr"}}}},
	}
	if !reflect.DeepEqual(r, want) {
		t.Errorf("\n got %+v\nwant %+v", r, want)
	}
}

// What an interaction keeps is what was asked.
func TestAuthorizationRequestSurvivesJSON(t *testing.T) {
	t.Parallel()
	r, _, _ := oidc.ParseAuthorizationRequest(asks("prompt", "select_account", "max_age", "0", "claims", `{"userinfo":{"email":null}}`))
	body, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	got := new(oidc.AuthorizationRequest)
	if err := json.Unmarshal(body, got); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, r) {
		t.Errorf("\n got %+v\nwant %+v", got, r)
	}
}

func TestAuthorizationErrors(t *testing.T) {
	t.Parallel()
	long := func(n int) string { return strings.Repeat("a", n) }
	for _, tt := range []struct {
		name              string
		changes           []string
		shown, redirected string
	}{
		{"good", nil, "", ""},
		{"empty is omitted", []string{"prompt", "", "max_age", "", "request", "", "claims", "", "display", ""}, "", ""},
		{"unknown parameter", []string{"foo", "bar"}, "", ""},

		{"no client_id", []string{"client_id", "-"}, "invalid_request", ""},
		{"long client_id", []string{"client_id", long(257)}, "invalid_request", ""},
		{"NUL in client_id", []string{"client_id", "shop\x00"}, "invalid_request", ""},
		{"no redirect_uri", []string{"redirect_uri", "-"}, "invalid_request", ""},
		{"no redirect_uri, OAuth only", []string{"redirect_uri", "-", "scope", "profile"}, "", ""},
		{"foreign redirect_uri", []string{"redirect_uri", "https://evil.example/cb"}, "invalid_request", ""},
		{"foreign redirect_uri and another error", []string{"redirect_uri", "https://evil.example/cb", "prompt", "create"}, "invalid_request", ""},
		{"redirect_uri not UTF-8", []string{"redirect_uri", "https://shop.example/cb\xff"}, "invalid_request", ""},

		{"no response_type", []string{"response_type", "-"}, "", "invalid_request"},
		{"response_type token", []string{"response_type", "token"}, "", "unsupported_response_type"},
		{"response_type id_token", []string{"response_type", "code id_token"}, "", "unsupported_response_type"},
		{"response_mode fragment", []string{"response_mode", "fragment"}, "", "invalid_request"},
		{"response_mode jwt", []string{"response_mode", "jwt"}, "", "invalid_request"},
		{"request", []string{"request", "e30.e30."}, "", "request_not_supported"},
		{"request_uri", []string{"request_uri", "https://shop.example/r"}, "", "request_uri_not_supported"},
		{"registration", []string{"registration", "{}"}, "", "registration_not_supported"},

		{"state of 4096 bytes", []string{"state", long(4096)}, "", ""},
		{"state too long", []string{"state", long(4097)}, "", "invalid_request"},
		{"state with a line break", []string{"state", "a\r\nSet-Cookie: x=y"}, "", "invalid_request"},
		{"state not UTF-8", []string{"state", "\xc3\x28"}, "", "invalid_request"},
		{"nonce of 1024 bytes", []string{"nonce", long(1024)}, "", ""},
		{"nonce too long", []string{"nonce", long(1025)}, "", "invalid_request"},

		{"scope foreign", []string{"scope", "openid admin"}, "", "invalid_scope"},
		{"scope with a quote", []string{"scope", `openid "`}, "", "invalid_scope"},
		{"scope not ASCII", []string{"scope", "openid\u3000profile"}, "", "invalid_scope"},
		{"scope with a tab", []string{"scope", "openid\tprofile"}, "", "invalid_request"},
		{"scopes too many", []string{"scope", strings.Repeat("a ", 129)}, "", "invalid_request"},
		{"no scope, no default", []string{"scope", "-"}, "", "invalid_scope"},
		{"only offline_access, without consent", []string{"scope", "offline_access"}, "", "invalid_scope"},

		{"prompt none", []string{"prompt", "none"}, "", ""},
		{"prompt none and more", []string{"prompt", "none login"}, "", "invalid_request"},
		{"prompt create", []string{"prompt", "create"}, "", "invalid_request"},
		{"prompt in capitals", []string{"prompt", "LOGIN"}, "", "invalid_request"},

		{"max_age 0", []string{"max_age", "0"}, "", ""},
		{"max_age negative", []string{"max_age", "-1"}, "", "invalid_request"},
		{"max_age with a sign", []string{"max_age", "+1"}, "", "invalid_request"},
		{"max_age a fraction", []string{"max_age", "1.5"}, "", "invalid_request"},
		{"max_age of ten years", []string{"max_age", "315360000"}, "", ""},
		{"max_age of more", []string{"max_age", "315360001"}, "", "invalid_request"},
		{"max_age that would overflow", []string{"max_age", "9223372037"}, "", "invalid_request"},

		{"no PKCE", []string{"code_challenge", "-", "code_challenge_method", "-"}, "", "invalid_request"},
		{"PKCE plain", []string{"code_challenge_method", "plain"}, "", "invalid_request"},
		{"PKCE plain by omission", []string{"code_challenge_method", "-"}, "", "invalid_request"},
		{"PKCE method alone", []string{"code_challenge", "-"}, "", "invalid_request"},
		{"challenge too short", []string{"code_challenge", challenge[1:]}, "", "invalid_request"},
		{"challenge with padding", []string{"code_challenge", challenge[:42] + "="}, "", "invalid_request"},
		{"challenge in the other base64", []string{"code_challenge", challenge[:42] + "+"}, "", "invalid_request"},

		{"claims no JSON", []string{"claims", "{"}, "", "invalid_request"},
		{"id_token_hint too long", []string{"id_token_hint", long(16<<10 + 1)}, "", "invalid_request"},
	} {
		_, shown, redirected := answer(shop(), asks(tt.changes...))
		if shown != tt.shown || redirected != tt.redirected {
			t.Errorf("%s: got shown %q, redirected %q, want %q, %q", tt.name, shown, redirected, tt.shown, tt.redirected)
		}
	}
}

// Every parameter that is read is refused when it is sent twice, even with the
// same value; by name, and not redirected where the redirect rests on it
// (RFC 6749 §3.1).
func TestParametersSentTwice(t *testing.T) {
	t.Parallel()
	for _, name := range []string{
		"client_id", "redirect_uri", "response_type", "response_mode", "scope", "state", "nonce", "prompt", "max_age", "claims",
		"acr_values", "login_hint", "ui_locales", "display", "id_token_hint", "code_challenge", "code_challenge_method", "claims_locales",
	} {
		for _, second := range []string{"same", "", "other"} {
			v := asks()
			first := v.Get(name)
			if first == "" {
				first = "1"
			}
			v[name] = []string{first, map[string]string{"same": first, "other": "2"}[second]}
			_, unproven, refusal := oidc.ParseAuthorizationRequest(v)
			got := refusal
			if name == "client_id" || name == "redirect_uri" {
				got = unproven
			}
			if want := name + " is sent more than once"; got == nil || got.Code != oidc.InvalidRequest || got.Description != want {
				t.Errorf("%s twice (%q): got %v, want %q", name, second, got, want)
			}
		}
	}
	v := asks()
	v["foo"] = []string{"a", "b"}
	if _, shown, redirected := answer(shop(), v); shown != "" || redirected != "" {
		t.Errorf("unknown parameter twice: got %q, %q, want none", shown, redirected)
	}
}

// A parameter that is not supported is not to be hidden behind an empty one.
func TestRequestObjectNotHidden(t *testing.T) {
	t.Parallel()
	v := asks()
	v["request"] = []string{"", "e30.e30."}
	if _, _, got := answer(shop(), v); got != oidc.RequestNotSupported {
		t.Errorf("got %q, want %q", got, oidc.RequestNotSupported)
	}
}

// The first error in the order of reading, every time.
func TestAuthorizationErrorIsTheSameEachTime(t *testing.T) {
	t.Parallel()
	v := asks("request", "x", "request_uri", "y", "registration", "z", "prompt", "create")
	for range 50 {
		if _, _, got := answer(shop(), v); got != oidc.RequestNotSupported {
			t.Fatalf("got %q, want %q", got, oidc.RequestNotSupported)
		}
	}
}

// An error about one parameter leaves readable what its redirect needs.
func TestErrorKeepsStateAndMode(t *testing.T) {
	t.Parallel()
	r, shown, redirected := oidc.ParseAuthorizationRequest(asks("response_mode", "form_post", "prompt", "none login", "scope", `"`))
	if shown != nil || redirected == nil {
		t.Fatalf("got errors %v, %v, want only the second", shown, redirected)
	}
	if r.ClientID != "shop" || r.RedirectURI != "https://shop.example/cb" || r.State != "xyz" || r.ResponseMode != "form_post" {
		t.Errorf("got %+v, want client, redirect URI, state and mode as sent", r)
	}
}

func TestCheckClient(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		client func(*oidc.Client)
		ask    []string
		want   string
	}{
		{"no code grant", func(c *oidc.Client) { c.GrantTypes = nil }, nil, "unauthorized_client"},
		{"no response type", func(c *oidc.Client) { c.ResponseTypes = nil }, nil, "unauthorized_client"},
		{"mode not allowed", func(c *oidc.Client) { c.ResponseModes = []string{"query"} }, []string{"response_mode", "form_post"}, "invalid_request"},
		{"PKCE left out by a public client", func(c *oidc.Client) { c.AuthMethod, c.InsecureOptionalPKCE = oidc.AuthNone, true },
			[]string{"code_challenge", "-", "code_challenge_method", "-"}, "invalid_request"},
		{"PKCE left out by an exempted client", func(c *oidc.Client) { c.InsecureOptionalPKCE = true },
			[]string{"code_challenge", "-", "code_challenge_method", "-"}, ""},
		{"plain of an exempted client", func(c *oidc.Client) { c.InsecureOptionalPKCE = true }, []string{"code_challenge_method", "plain"}, "invalid_request"},
		{"default scope", func(c *oidc.Client) { c.DefaultScope = []string{"profile"} }, []string{"scope", "-"}, ""},
	} {
		c := shop()
		tt.client(c)
		if _, shown, got := answer(c, asks(tt.ask...)); shown != "" || got != tt.want {
			t.Errorf("%s: got shown %q, redirected %q, want %q", tt.name, shown, got, tt.want)
		}
	}
}

func TestCheckPutsDefaults(t *testing.T) {
	t.Parallel()
	age := time.Hour
	c := shop()
	c.DefaultScope, c.DefaultMaxAge, c.DefaultACRValues = []string{"profile"}, &age, []string{"phr"}
	r, shown, redirected := answer(c, asks("scope", "-"))
	if shown != "" || redirected != "" {
		t.Fatalf("got errors %q, %q, want none", shown, redirected)
	}
	if !reflect.DeepEqual(r.Scope, []string{"profile"}) || r.ResponseMode != "query" || *r.MaxAge != age || !reflect.DeepEqual(r.ACRValues, []string{"phr"}) {
		t.Errorf("got %+v, want the client's defaults", r)
	}
	r.Scope[0] = "changed"
	if c.DefaultScope[0] != "profile" {
		t.Error("the request shares its scope with the client")
	}
	r, _, _ = answer(c, asks("max_age", "7", "acr_values", "phrh"))
	if *r.MaxAge != 7*time.Second || !reflect.DeepEqual(r.ACRValues, []string{"phrh"}) {
		t.Errorf("got max_age %v and acr_values %v, want what was asked", *r.MaxAge, r.ACRValues)
	}
	r, _, _ = answer(c, asks("claims", `{"id_token":{"acr":{"essential":true,"value":"phrh"}}}`))
	if names, essential := r.RequestedACR(); !essential || !reflect.DeepEqual(names, []string{"phrh"}) || r.ACRValues != nil {
		t.Errorf("got %v, essential %v, and acr_values %v, want only the claim", names, essential, r.ACRValues)
	}
}

// OpenID Connect Core §11.
func TestOfflineAccess(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		client func(*oidc.Client)
		prompt string
		want   bool
	}{
		{"without consent", func(*oidc.Client) {}, "login", false},
		{"with consent", func(*oidc.Client) {}, "consent", true},
		{"of an application that skips consent", func(c *oidc.Client) { c.SkipConsent = true }, "-", true},
		{"without the refresh grant", func(c *oidc.Client) { c.GrantTypes = c.GrantTypes[:1] }, "consent", false},
	} {
		c := shop()
		tt.client(c)
		r, shown, redirected := answer(c, asks("scope", "openid offline_access", "prompt", tt.prompt))
		if shown != "" || redirected != "" {
			t.Errorf("%s: got errors %q, %q, want none", tt.name, shown, redirected)
		}
		if got := oidc.HasScope(r.Scope, oidc.ScopeOfflineAccess); got != tt.want || !oidc.HasScope(r.Scope, oidc.ScopeOpenID) {
			t.Errorf("%s: got scope %v, want offline_access %v", tt.name, r.Scope, tt.want)
		}
	}
}

func TestRequestedACR(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name      string
		ask       []string
		want      []string
		essential bool
	}{
		{"nothing", nil, nil, false},
		{"acr_values", []string{"acr_values", "phrh phr"}, []string{"phrh", "phr"}, false},
		{"essential claim", []string{"claims", `{"id_token":{"acr":{"essential":true,"values":["phr","phrh"]}}}`}, []string{"phr", "phrh"}, true},
		{"claim before acr_values", []string{"acr_values", "phrh", "claims", `{"id_token":{"acr":{"value":"phr"}}}`}, []string{"phr"}, false},
		{"claim without values", []string{"acr_values", "phrh", "claims", `{"id_token":{"acr":{"essential":true}}}`}, []string{"phrh"}, false},
		{"claim of userinfo", []string{"claims", `{"userinfo":{"acr":{"essential":true,"value":"phr"}}}`}, nil, false},
	} {
		r, _, err := oidc.ParseAuthorizationRequest(asks(tt.ask...))
		got, essential := r.RequestedACR()
		if err != nil || !reflect.DeepEqual(got, tt.want) || essential != tt.essential {
			t.Errorf("%s: got %v, %v (%v), want %v, %v", tt.name, got, essential, err, tt.want, tt.essential)
		}
	}
}

func BenchmarkParseAuthorizationRequest(b *testing.B) {
	v := asks("acr_values", "phr", "ui_locales", "ko en", "prompt", "login")
	b.ReportAllocs()
	for b.Loop() {
		if _, shown, redirected := oidc.ParseAuthorizationRequest(v); shown != nil || redirected != nil {
			b.Fatal(shown, redirected)
		}
	}
}
