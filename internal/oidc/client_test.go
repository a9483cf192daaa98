package oidc_test

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-id/sallyport/internal/oidc"
)

func TestValidateClient(t *testing.T) {
	t.Parallel()
	negative, tooLong := -time.Second, 20*365*24*time.Hour
	for _, tt := range []struct {
		name   string
		change func(*oidc.Client)
		want   string // part of the error, "" for none
	}{
		{"good", func(*oidc.Client) {}, ""},
		{"public", func(c *oidc.Client) { c.AuthMethod, c.SecretHashes = oidc.AuthNone, nil }, ""},
		{"native", func(c *oidc.Client) { c.NativeApp, c.RedirectURIs = true, []string{"com.example.app:/cb"} }, ""},
		{"name in Korean", func(c *oidc.Client) { c.Name = strings.Repeat("가", 64) }, ""},
		{"EdDSA", func(c *oidc.Client) { c.IDTokenAlg = "EdDSA" }, ""},
		{"default scope", func(c *oidc.Client) { c.DefaultScope = []string{"profile"} }, ""},

		{"no id", func(c *oidc.Client) { c.ID = "" }, "client_id"},
		{"id with a colon", func(c *oidc.Client) { c.ID = "a:b" }, "client_id"},
		{"id with a percent sign", func(c *oidc.Client) { c.ID = "a%41" }, "client_id"},
		{"long id", func(c *oidc.Client) { c.ID = strings.Repeat("a", 129) }, "client_id"},
		{"no name", func(c *oidc.Client) { c.Name = " " }, "client_name"},
		{"long name", func(c *oidc.Client) { c.Name = strings.Repeat("가", 65) }, "client_name"},
		{"name with a line break", func(c *oidc.Client) { c.Name = "a\nb" }, "client_name"},
		{"name that turns round", func(c *oidc.Client) { c.Name = "shop\u202egro.knab" }, "client_name"},
		{"name with no width", func(c *oidc.Client) { c.Name = "sh\u200bop" }, "client_name"},

		{"mTLS", func(c *oidc.Client) { c.AuthMethod = "tls_client_auth" }, "token_endpoint_auth_method"},
		{"signs, with a secret", func(c *oidc.Client) { c.AuthMethod = oidc.AuthPrivateKeyJWT }, "one that is public or signs"},
		{"signs, without keys", func(c *oidc.Client) { c.AuthMethod, c.SecretHashes = oidc.AuthPrivateKeyJWT, nil }, "needs jwks"},
		{"algorithm of assertions, with a secret", func(c *oidc.Client) { c.AssertionAlg = "ES256" }, "needs private_key_jwt"},
		{"signs with a secret", func(c *oidc.Client) {
			c.AuthMethod, c.SecretHashes, c.SealedSecrets = oidc.AuthSecretJWT, nil, []string{"s"}
		}, ""},
		{"signs with a secret, without one", func(c *oidc.Client) { c.AuthMethod, c.SecretHashes = oidc.AuthSecretJWT, nil }, "secret"},
		{"signs with a secret that can be sent", func(c *oidc.Client) { c.AuthMethod = oidc.AuthSecretJWT }, "never for both"},
		{"sends a secret that signs", func(c *oidc.Client) { c.SecretHashes, c.SealedSecrets = nil, []string{"s"} }, "never for both"},
		{"signs with a secret, in an algorithm of keys", func(c *oidc.Client) {
			c.AuthMethod, c.SecretHashes, c.SealedSecrets, c.AssertionAlg = oidc.AuthSecretJWT, nil, []string{"s"}, "ES256"
		}, "needs private_key_jwt"},
		{"no secret", func(c *oidc.Client) { c.SecretHashes = nil }, "secret"},
		{"public with a secret", func(c *oidc.Client) { c.AuthMethod = oidc.AuthNone }, "secret"},
		{"hash cut", func(c *oidc.Client) { c.SecretHashes = [][]byte{hashOf("a")[:16]} }, "SHA-256"},
		{"public without PKCE", func(c *oidc.Client) {
			c.AuthMethod, c.SecretHashes, c.InsecureOptionalPKCE = oidc.AuthNone, nil, true
		}, "PKCE"},

		{"no redirect URI", func(c *oidc.Client) { c.RedirectURIs = nil }, "redirect_uris"},
		{"bad redirect URI", func(c *oidc.Client) { c.RedirectURIs = append(c.RedirectURIs, "http://shop.example/") }, "https"},
		{"bad URI after the logout", func(c *oidc.Client) { c.PostLogoutRedirectURIs = []string{"https://shop.example/#a"} }, "fragment"},
		{"private-use scheme of a web client", func(c *oidc.Client) { c.RedirectURIs = []string{"com.example.app:/cb"} }, "https"},

		{"no grant", func(c *oidc.Client) { c.GrantTypes = nil }, "grant_types"},
		{"password grant", func(c *oidc.Client) { c.GrantTypes = append(c.GrantTypes, "password") }, "grant_types"},
		{"refresh alone", func(c *oidc.Client) { c.GrantTypes = []string{oidc.GrantRefreshToken} }, "authorization_code"},
		{"response type token", func(c *oidc.Client) { c.ResponseTypes = []string{"token"} }, "response_types"},
		{"no response mode", func(c *oidc.Client) { c.ResponseModes = nil }, "response_modes"},
		{"fragment", func(c *oidc.Client) { c.ResponseModes = []string{"fragment"} }, "response_modes"},
		{"scope with a space", func(c *oidc.Client) { c.Scopes = []string{"a b"} }, "scopes"},
		{"empty scope", func(c *oidc.Client) { c.Scopes = []string{""} }, "scopes"},
		{"default scope not allowed", func(c *oidc.Client) { c.DefaultScope = []string{"admin"} }, "default_scope"},

		{"HS256", func(c *oidc.Client) { c.IDTokenAlg = "HS256" }, "id_token_signed_response_alg"},
		{"alg none", func(c *oidc.Client) { c.IDTokenAlg = "none" }, "id_token_signed_response_alg"},
		{"level 5", func(c *oidc.Client) { c.MinLevel = 5 }, "min_level"},
		{"negative level", func(c *oidc.Client) { c.MinLevel = -1 }, "min_level"},
		{"negative max_age", func(c *oidc.Client) { c.DefaultMaxAge = &negative }, "default_max_age"},
		{"endless max_age", func(c *oidc.Client) { c.DefaultMaxAge = &tooLong }, "default_max_age"},
		{"acr with a space", func(c *oidc.Client) { c.DefaultACRValues = []string{"phr phrh"} }, "default_acr_values"},
		{"negative lifetime", func(c *oidc.Client) { c.AccessTokenTTL = negative }, "lifetime"},
	} {
		c := shop()
		tt.change(c)
		if err := c.Validate(); (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got %v, want an error with %q", tt.name, err, tt.want)
		}
	}
}

// fapi2-security-profile-final: a client of the profile cannot be loosened either.
func TestFAPI2ClientIsPinned(t *testing.T) {
	t.Parallel()
	const jwks = `{"keys":[{"kty":"EC","crv":"P-256","x":"l8tFrhx-34tV3hRICRDY9zCkDlpBhF42UQUfWVAWBFs","y":"9VE4jf_Ok_o64zbTTlcuNJajHmt6v9TDVrU0CdvGRDA"}]}`
	funds := func() *oidc.Client {
		c := shop()
		c.Preset, c.AuthMethod, c.SecretHashes, c.JWKS, c.AssertionAlg = "fapi2", oidc.AuthPrivateKeyJWT, nil, []byte(jwks), "ES256"
		c.DPoPBound, c.RequirePushed, c.IDTokenAlg, c.ResponseModes = true, true, "ES256", []string{oidc.ResponseModeQuery}
		return c
	}
	if err := funds().Validate(); err != nil {
		t.Errorf("got %v, want none", err)
	}
	for name, loosen := range map[string]func(*oidc.Client){
		"a secret": func(c *oidc.Client) {
			c.AuthMethod, c.SecretHashes, c.JWKS = oidc.AuthBasic, [][]byte{make([]byte, 32)}, nil
		},
		"a secret to sign with": func(c *oidc.Client) {
			c.AuthMethod, c.SealedSecrets, c.JWKS, c.AssertionAlg = oidc.AuthSecretJWT, []string{"x"}, nil, ""
		},
		"another audience":           func(c *oidc.Client) { c.InsecureTokenEndpointAudience = true },
		"any algorithm":              func(c *oidc.Client) { c.AssertionAlg = "" },
		"an ID token in RS256":       func(c *oidc.Client) { c.IDTokenAlg = "" },
		"tokens of anybody":          func(c *oidc.Client) { c.DPoPBound = false },
		"requests through a browser": func(c *oidc.Client) { c.RequirePushed = false },
		"no PKCE":                    func(c *oidc.Client) { c.InsecureOptionalPKCE = true },
		"devices":                    func(c *oidc.Client) { c.GrantTypes = append(c.GrantTypes, oidc.GrantDeviceCode) },
		"form_post":                  func(c *oidc.Client) { c.ResponseModes = append(c.ResponseModes, oidc.ResponseModeFormPost) },
	} {
		c := funds()
		if loosen(c); c.Validate() == nil {
			t.Errorf("%s: got none, want an error", name)
		}
	}
}

// The tutorial's page takes any token for a second factor. So its preset cannot
// be loosened.
func TestTutorialClientIsPinned(t *testing.T) {
	t.Parallel()
	tutorial := func() *oidc.Client {
		c := shop()
		c.Preset, c.MinLevel, c.InsecureOptionalPKCE = "tutorial", oidc.Level2FA, true
		c.GrantTypes, c.RedirectURIs = []string{oidc.GrantAuthorizationCode}, []string{"http://localhost:5000/callback"}
		return c
	}
	if err := tutorial().Validate(); err != nil {
		t.Errorf("got %v, want none", err)
	}
	for name, loosen := range map[string]func(*oidc.Client){
		"one factor":        func(c *oidc.Client) { c.MinLevel = oidc.Level1FA },
		"no level":          func(c *oidc.Client) { c.MinLevel = oidc.LevelNone },
		"two redirect URIs": func(c *oidc.Client) { c.RedirectURIs = append(c.RedirectURIs, "http://127.0.0.1/cb") },
		"on the network":    func(c *oidc.Client) { c.RedirectURIs[0] = "https://shop.example/cb" },
		"refresh tokens":    func(c *oidc.Client) { c.GrantTypes = append(c.GrantTypes, oidc.GrantRefreshToken) },
	} {
		c := tutorial()
		if loosen(c); c.Validate() == nil {
			t.Errorf("%s: got no error, want one", name)
		}
	}
}

func TestACRNames(t *testing.T) {
	t.Parallel()
	names := oidc.ACRNames{"https://refeds.org/profile/mfa": oidc.Level2FA, "phr": oidc.Level1FA}
	for _, tt := range []struct {
		name      string
		reached   oidc.Level
		requested []string
		want      string
	}{
		{"nothing asked", oidc.Level2FA, nil, oidc.ACR2FA},
		{"first that is reached", oidc.Level2FA, []string{"phr", "https://refeds.org/profile/mfa", oidc.ACR2FA}, "https://refeds.org/profile/mfa"},
		{"none is reached", oidc.Level1FA, []string{"phr"}, oidc.ACR1FA},
		{"less than reached", oidc.LevelPHRH, []string{oidc.ACR1FA}, oidc.ACR1FA},
		{"never an echo of what is unknown", oidc.LevelPHR, []string{"urn:x"}, oidc.ACRPHR},
		{"phr stays what it is", oidc.Level1FA, []string{"phr"}, oidc.ACR1FA},
		{"nothing reached", oidc.LevelNone, []string{"urn:x", "phr"}, ""},
	} {
		if got := names.Name(tt.reached, tt.requested); got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.name, got, tt.want)
		}
	}
	for level := oidc.Level1FA; level <= oidc.LevelPHRH; level++ {
		if got, ok := oidc.ACRNames(nil).Level(level.ACR()); !ok || got != level {
			t.Errorf("%v: got %v, %v back from %q", level, got, ok, level.ACR())
		}
	}
}

// TestCloneSharesNothing: of a client with something in every field.
func TestCloneSharesNothing(t *testing.T) {
	t.Parallel()
	c := &oidc.Client{}
	fillWith(reflect.ValueOf(c).Elem())
	own := c.Clone()
	if !reflect.DeepEqual(own, c) {
		t.Fatalf("got %+v, want %+v", own, c)
	}
	seen := map[uintptr]string{}
	pointers(reflect.ValueOf(c).Elem(), "Client", func(p uintptr, path string) { seen[p] = path })
	pointers(reflect.ValueOf(own).Elem(), "Client", func(p uintptr, path string) {
		if of, shared := seen[p]; shared {
			t.Errorf("%s is %s of the original", path, of)
		}
	})
	if len(seen) < 12 {
		t.Errorf("looked at %d slices and pointers, want all", len(seen))
	}
}

// fillWith puts something into a value and all that is in it.
func fillWith(v reflect.Value) {
	switch v.Kind() {
	case reflect.Struct:
		for _, field := range v.Fields() {
			fillWith(field)
		}
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		fillWith(v.Index(0))
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fillWith(v.Elem())
	case reflect.String:
		v.SetString("x")
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Uint8:
		v.SetUint(1)
	default:
		v.SetInt(1)
	}
}

// pointers tells of each slice and pointer in a value.
func pointers(v reflect.Value, path string, tell func(p uintptr, path string)) {
	switch v.Kind() {
	case reflect.Struct:
		for f, field := range v.Fields() {
			pointers(field, path+"."+f.Name, tell)
		}
	case reflect.Slice:
		tell(v.Pointer(), path)
		for i := range v.Len() {
			pointers(v.Index(i), path+"[]", tell)
		}
	case reflect.Pointer:
		tell(v.Pointer(), path)
		pointers(v.Elem(), path, tell)
	}
}
