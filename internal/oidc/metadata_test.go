package oidc_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/sallyport-id/sallyport/internal/oidc"
)

func metadata(t *testing.T, issuer string) map[string]any {
	t.Helper()
	body, err := json.Marshal(oidc.NewMetadata(issuer))
	if err != nil {
		t.Fatal(err)
	}
	var m map[string]any
	if err := json.Unmarshal(body, &m); err != nil {
		t.Fatal(err)
	}
	return m
}

// testdata/metadata.json is the document as clients see it.
func TestMetadataGolden(t *testing.T) {
	t.Parallel()
	body, err := json.MarshalIndent(oidc.NewMetadata("https://id.example.com/tenant"), "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	got, file := string(body)+"\n", filepath.Join("testdata", "metadata.json")
	if os.Getenv("UPDATE_GOLDEN") != "" {
		if err := os.WriteFile(file, []byte(got), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("got %s\nwant %s\n(UPDATE_GOLDEN=1 rewrites it)", got, want)
	}
}

// Authlib takes each member of the document for a setting of the client: these
// would raise an error there, or turn something on or off.
func TestMetadataHasNoClientSettings(t *testing.T) {
	t.Parallel()
	for name := range metadata(t, "https://id.example.com") {
		if slices.Contains([]string{"client_id", "client_secret", "scope", "state", "redirect_uri", "response_type", "response_mode", "nonce",
			"prompt", "login_hint", "grant_type", "code_challenge_method", "token_endpoint_auth_method", "token", "leeway", "verify", "proxies"}, name) {
			t.Errorf("%s is a setting of clients", name)
		}
	}
}

// Members that default to true, or whose absence means something else, are said
// (OpenID Connect Discovery §3); lists are not empty (RFC 8414 §3.2).
func TestMetadataSaysWhatWouldBeAssumed(t *testing.T) {
	t.Parallel()
	m := metadata(t, "https://id.example.com")
	for name, want := range map[string]any{
		"issuer":                      "https://id.example.com",
		"request_parameter_supported": true, "request_uri_parameter_supported": false,
		"claims_parameter_supported": true, "authorization_response_iss_parameter_supported": true,
	} {
		if m[name] != want {
			t.Errorf("%s: got %v, want %v", name, m[name], want)
		}
	}
	for name, value := range m {
		switch value := value.(type) {
		case nil:
			t.Errorf("%s is null", name)
		case []any:
			if len(value) == 0 {
				t.Errorf("%s is empty", name)
			}
		case string:
			if !strings.HasPrefix(value, "https://id.example.com") {
				t.Errorf("%s: got %q, want the issuer before it", name, value)
			}
		}
	}
}

// What is advertised is accepted, and nothing else is.
func TestMetadataIsHonoured(t *testing.T) {
	t.Parallel()
	m := oidc.NewMetadata("https://id.example.com")
	c := shop()
	c.Scopes = append(c.Scopes, oidc.ScopeAddress, oidc.ScopePhone, oidc.ScopeGroups)
	for _, tt := range []struct {
		parameter string
		values    []string
	}{
		{"response_type", m.ResponseTypesSupported}, {"response_mode", m.ResponseModesSupported}, {"prompt", m.PromptValuesSupported},
		{"code_challenge_method", m.CodeChallengeMethodsSupported}, {"scope", m.ScopesSupported},
		{"acr_values", []string{strings.Join(m.ACRValuesSupported, " ")}}, {"ui_locales", m.UILocalesSupported},
	} {
		for _, value := range tt.values {
			if _, shown, redirected := answer(c, asks("prompt", "consent", tt.parameter, value)); shown != "" || redirected != "" {
				t.Errorf("%s=%s: got %q, %q, want none", tt.parameter, value, shown, redirected)
			}
		}
	}
	for _, name := range m.ACRValuesSupported {
		if _, ok := oidc.ACRNames(nil).Level(name); !ok {
			t.Errorf("acr %s is advertised and not known", name)
		}
	}
	c = shop()
	for _, c.AuthMethod = range m.TokenEndpointAuthMethodsSupported {
		if c.SecretHashes, c.JWKS = [][]byte{hashOf("a")}, nil; !c.HasSecret() {
			c.SecretHashes = nil
		}
		if c.SealedSecrets = nil; c.SignsWithSecret() {
			c.SecretHashes, c.SealedSecrets = nil, []string{"s"}
		}
		if c.AuthMethod == oidc.AuthPrivateKeyJWT {
			c.JWKS = keySet(t, public(newKey(t, "ES256", "k")))
		}
		for _, c.IDTokenAlg = range m.IDTokenSigningAlgValuesSupported {
			if err := c.Validate(); err != nil {
				t.Errorf("%s, %s: %v", c.AuthMethod, c.IDTokenAlg, err)
			}
			if oidc.ATHash(c.IDTokenAlg, "t") == "" {
				t.Errorf("%s has no at_hash", c.IDTokenAlg)
			}
		}
	}
}
