package oidc_test

import (
	"reflect"
	"strings"
	"testing"

	"github.com/sallyport-id/sallyport/internal/oidc"
)

// The parts of the OpenID Foundation's conformance modules that need no server,
// each named after its module. client is shop if nil; shown and redirected are
// the error codes that the module wants, "" for none.
func TestConformanceAuthorization(t *testing.T) {
	t.Parallel()
	two := shop()
	two.RedirectURIs = append(two.RedirectURIs, "https://shop.example/cb2")
	query := shop()
	query.RedirectURIs = []string{"https://shop.example/cb?a=b"}
	lenient := shop() // the suite's clients of the Basic plan send no PKCE
	lenient.InsecureOptionalPKCE = true
	for _, tt := range []struct {
		module            string
		client            *oidc.Client
		ask               []string
		shown, redirected string
	}{
		{"oidcc-server", lenient, []string{"code_challenge", "-", "code_challenge_method", "-"}, "", ""},
		{"oidcc-response-type-missing", nil, []string{"response_type", "-"}, "", "invalid_request"},
		{"oidcc-ensure-request-without-nonce-succeeds-for-code-flow", nil, []string{"nonce", "-"}, "", ""},
		{"oidcc-scope-profile", nil, []string{"scope", "openid profile"}, "", ""},
		{"oidcc-scope-email", nil, []string{"scope", "openid email"}, "", ""},
		{"oidcc-alternate-happy-flow", nil, []string{"scope", "email openid profile"}, "", ""},
		{"oidcc-display-page", nil, []string{"display", "page"}, "", ""},
		{"oidcc-display-popup", nil, []string{"display", "popup"}, "", ""},
		{"oidcc-prompt-login", nil, []string{"prompt", "login"}, "", ""},
		{"oidcc-prompt-none-logged-in", nil, []string{"prompt", "none"}, "", ""},
		{"oidcc-max-age-1", nil, []string{"max_age", "1"}, "", ""},
		{"oidcc-max-age-10000", nil, []string{"max_age", "15000"}, "", ""},
		{"oidcc-ensure-request-with-unknown-parameter-succeeds", nil, []string{"extra", "foobar"}, "", ""},
		{"oidcc-id-token-hint", nil, []string{"prompt", "none", "id_token_hint", "e30.e30.AA"}, "", ""},
		{"oidcc-login-hint", nil, []string{"login_hint", "bob@example.com"}, "", ""},
		{"oidcc-ui-locales", nil, []string{"ui_locales", "se"}, "", ""},
		{"oidcc-claims-locales", nil, []string{"claims_locales", "se"}, "", ""},
		{"oidcc-ensure-request-with-acr-values-succeeds", nil, []string{"acr_values", strings.Join(oidc.NewMetadata("https://a").ACRValuesSupported, " ")}, "", ""},
		{"oidcc-ensure-registered-redirect-uri", nil, []string{"redirect_uri", "https://shop.example/cb/foo"}, "invalid_request", ""},
		{"oidcc-request-uri-unsigned-supported-correctly-or-rejected-as-unsupported", nil, []string{"request_uri", "https://shop.example/r"}, "", "request_uri_not_supported"},
		{"oidcc-unsigned-request-object-supported-correctly-or-rejected-as-unsupported", nil, []string{"request", "e30.e30."}, "", "request_not_supported"},
		{"oidcc-claims-essential", nil, []string{"claims", `{"userinfo":{"name":{"essential":true}}}`}, "", ""},
		{"oidcc-refresh-token", nil, []string{"scope", "openid offline_access", "prompt", "consent"}, "", ""},
		{"oidcc-ensure-request-with-valid-pkce-succeeds", lenient, nil, "", ""},
		{"oidcc-ensure-redirect-uri-in-authorization-request", two, []string{"redirect_uri", "-"}, "invalid_request", ""},
		{"oidcc-redirect-uri-query-OK", query, []string{"redirect_uri", "https://shop.example/cb?a=b"}, "", ""},
		{"oidcc-redirect-uri-query-mismatch", query, []string{"redirect_uri", "https://shop.example/cb?a=c"}, "invalid_request", ""},
		{"oidcc-redirect-uri-query-added", nil, []string{"redirect_uri", "https://shop.example/cb?a=b"}, "invalid_request", ""},
		{"fapi2-ensure-authorization-request-without-state-success", nil, []string{"state", "-"}, "", ""},
		{"fapi2-ensure-authorization-request-without-nonce-success", nil, []string{"nonce", "-"}, "", ""},
		{"fapi2-ensure-response-type-code-idtoken-fails", nil, []string{"response_type", "code id_token"}, "", "unsupported_response_type"},
		{"fapi2-ensure-response-type-token-fails", nil, []string{"response_type", "token"}, "", "unsupported_response_type"},
		{"fapi2-par-ensure-pkce-required", nil, []string{"code_challenge", "-", "code_challenge_method", "-"}, "", "invalid_request"},
		{"fapi2-par-plain-pkce-rejected", nil, []string{"code_challenge_method", "plain", "code_challenge", verifier}, "", "invalid_request"},
	} {
		t.Run(tt.module, func(t *testing.T) {
			t.Parallel()
			c := tt.client
			if c == nil {
				c = shop()
			}
			_, shown, redirected := answer(c, asks(tt.ask...))
			if shown != tt.shown || redirected != tt.redirected {
				t.Errorf("got shown %q, redirected %q, want %q, %q", shown, redirected, tt.shown, tt.redirected)
			}
		})
	}
}

// State and nonce of every module are kept whole: 128 and 384 characters, and
// the nonces of 43 and 64.
func TestConformanceValuesKeptWhole(t *testing.T) {
	t.Parallel()
	for module, length := range map[string]int{
		"oidcc-prompt-none-not-logged-in": 128,
		"fapi2-happy-flow":                43,
		"fapi2-ensure-authorization-request-with-64-char-nonce-success": 64,
		"fapi2-ensure-authorization-request-with-long-nonce":            384,
		"fapi2-ensure-authorization-request-with-long-state":            1024,
	} {
		want := strings.Repeat("~", length)
		r, _, _ := answer(shop(), asks("state", want, "nonce", want))
		if r.State != want || r.Nonce != want {
			t.Errorf("%s: got state %q, nonce %q, want %d characters", module, r.State, r.Nonce, length)
		}
	}
}

// Every claim that is advertised, in several forms, and some that are unknown.
func TestConformanceClaimsParameter(t *testing.T) {
	t.Parallel()
	for _, form := range []string{`null`, `{"essential":true}`, `{"essential":false}`, `{"value":"x"}`, `{"values":["x","y"]}`} {
		var members []string
		for _, name := range append(oidc.NewMetadata("https://a").ClaimsSupported, "unknown", "urn:unknown") {
			if name == "sub" && strings.Contains(form, "values") {
				continue // of two users at once
			}
			members = append(members, `"`+name+`":`+form)
		}
		set := "{" + strings.Join(members, ",") + "}"
		got, err := oidc.ParseClaims(`{"userinfo":` + set + `,"id_token":` + set + `}`)
		if err != nil || len(got.UserInfo) != len(members) || !reflect.DeepEqual(got.UserInfo, got.IDToken) {
			t.Errorf("fapi2-test-claims-parameter-identity-claims, %s: got %d claims, %v, want %d", form, len(got.UserInfo), err, len(members))
		}
	}
}

func TestConformanceToken(t *testing.T) {
	t.Parallel()
	good := "grant_type=authorization_code&code=c&redirect_uri=https%3A%2F%2Fshop.example%2Fcb"
	for _, tt := range []struct {
		module, header, body, want string
	}{
		{"oidcc-server", basic("shop:s3cret"), good, ""},
		{"oidcc-server-client-secret-post", "", good + "&client_id=shop&client_secret=s3cret", ""},
		{"fapi2-ensure-client-id-in-token-endpoint", basic("shop:s3cret"), good + "&client_id=other", "invalid_client"},
		{"fapi2-ensure-client-assertion-in-token-endpoint", "", good, "invalid_client"},
		{"fapi2-incorrect-pkce-code-verifier-rejected", basic("shop:s3cret"), good + "&code_verifier=wrong", "invalid_grant"},
	} {
		if _, err := oidc.ParseTokenRequest(header(tt.header), parseQuery(t, tt.body)); codeOf(err) != tt.want {
			t.Errorf("%s: got %v, want %q", tt.module, err, tt.want)
		}
	}
	if oidc.CheckVerifier(challenge, "") {
		t.Error("fapi2-ensure-pkce-code-verifier-required: got true, want false")
	}
}

func TestConformanceUserinfo(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		module, header, body, want string
	}{
		{"oidcc-userinfo-get", "Bearer abc", "", "abc"},
		{"oidcc-userinfo-post-header", "Bearer abc", "", "abc"},
		{"oidcc-userinfo-post-body", "", "access_token=abc", "abc"},
		{"fapi2-access-token-type-header-case-sensitivity", "bEaRer abc", "", "abc"},
	} {
		if got, err := oidc.ParseBearer(header(tt.header), parseQuery(t, tt.body)); err != nil || got.Token != tt.want {
			t.Errorf("%s: got %+v, %v, want %q", tt.module, got, err, tt.want)
		}
	}
}

// oidcc-redirect-uri-regfrag.
func TestConformanceRegistration(t *testing.T) {
	t.Parallel()
	c := shop()
	c.RedirectURIs = []string{"https://shop.example/cb#fragment"}
	if c.Validate() == nil {
		t.Error("oidcc-redirect-uri-regfrag: got no error, want one")
	}
}

// The modules of RP-initiated logout, without those about the hint, which is
// checked where the keys are. proven says whether a hint proved the client.
func TestConformanceLogout(t *testing.T) {
	t.Parallel()
	state := strings.Repeat("s", 128)
	const bye = "post_logout_redirect_uri=https%3A%2F%2Fshop.example%2Fbye"
	for _, tt := range []struct {
		module, query string
		proven        bool
		back          string // "": the user stays here
		bad           bool
	}{
		{"oidcc-rp-initiated-logout", bye + "&state=" + state, true, "https://shop.example/bye?state=" + state, false},
		{"oidcc-rp-initiated-logout-no-state", bye, true, "https://shop.example/bye", false},
		{"oidcc-rp-initiated-logout-bad-post-logout-redirect-uri", bye + "foo", true, "", true},
		{"oidcc-rp-initiated-logout-query-added-to-post-logout-redirect-uri", bye + "%3Ffoo%3Dbar", true, "", true},
		{"oidcc-rp-initiated-logout-no-id-token-hint", bye, false, "", true},
		{"oidcc-rp-initiated-logout-no-params", "", false, "", false},
		{"oidcc-rp-initiated-logout-no-post-logout-redirect-uri", "", true, "", false},
		{"oidcc-rp-initiated-logout-only-state", "state=" + state, false, "", false},
	} {
		r, err := oidc.ParseEndSessionRequest(parseQuery(t, tt.query))
		if err != nil {
			t.Errorf("%s: %v", tt.module, err)
			continue
		}
		var c *oidc.Client
		if tt.proven {
			c = shop()
		}
		if err := r.Check(c); (err != nil) != tt.bad {
			t.Errorf("%s: got %v, want bad %v", tt.module, err, tt.bad)
		}
		if tt.back != "" && r.ReturnURL() != tt.back {
			t.Errorf("%s: got %s, want %s", tt.module, r.ReturnURL(), tt.back)
		}
	}
}

func TestConformanceDiscovery(t *testing.T) {
	t.Parallel()
	m := metadata(t, "https://id.example.com")
	for name, want := range map[string]string{
		"id_token_signing_alg_values_supported": "RS256", "subject_types_supported": "public", "response_types_supported": "code",
		"scopes_supported": "openid", "claims_supported": "sub", "code_challenge_methods_supported": "S256",
		"grant_types_supported": "authorization_code", "ui_locales_supported": "ko", "response_modes_supported": "form_post",
	} {
		list, _ := m[name].([]any)
		found := false
		for _, value := range list {
			found = found || value == want
		}
		if !found {
			t.Errorf("oidcc-discovery-endpoint-verification: %s: got %v, want %s among them", name, m[name], want)
		}
	}
	if m["end_session_endpoint"] == nil {
		t.Error("oidcc-rp-initiated-logout-discovery-endpoint-verification: got no end_session_endpoint, want one")
	}
}
