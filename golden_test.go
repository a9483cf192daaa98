package sallyport_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// golden compares with a file of testdata, or rewrites it with UPDATE_GOLDEN=1.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if os.Getenv("UPDATE_GOLDEN") != "" {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s differs; UPDATE_GOLDEN=1 rewrites it\ngot:\n%s\nwant:\n%s", path, got, want)
	}
}

// neutral takes out what differs from run to run.
func (r *rig) neutral(b []byte) []byte {
	return bytes.ReplaceAll(b, []byte(r.issuer), []byte("https://id.example.com"))
}

// TestDiscoveryGolden: the metadata, at both places, and nothing in it that
// clients take for their own settings.
func TestDiscoveryGolden(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	openid := r.serve(httptest.NewRequest("GET", "/.well-known/openid-configuration", nil))
	oauth := r.serve(httptest.NewRequest("GET", "/.well-known/oauth-authorization-server", nil))
	if !bytes.Equal(openid.Body.Bytes(), oauth.Body.Bytes()) {
		t.Error("the two documents differ")
	}
	if got := openid.Header().Get("Content-Length"); got != fmt.Sprint(openid.Body.Len()) {
		t.Errorf("Content-Length: got %q", got)
	}
	var indented bytes.Buffer
	if err := json.Indent(&indented, r.neutral(openid.Body.Bytes()), "", "  "); err != nil {
		t.Fatal(err)
	}
	golden(t, "discovery.json", indented.Bytes())

	var members map[string]any
	if err := json.Unmarshal(openid.Body.Bytes(), &members); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"client_id", "client_secret", "scope", "state", "redirect_uri", "response_type", "response_mode", "nonce", "prompt",
		"login_hint", "grant_type", "code_challenge_method", "token_endpoint_auth_method", "token", "leeway", "verify", "proxies"} {
		if _, ok := members[name]; ok {
			t.Errorf("the metadata has %s, which Authlib takes for a setting", name)
		}
	}
	for name, value := range members {
		if to, ok := value.(string); ok && (strings.HasSuffix(name, "_endpoint") || name == "jwks_uri") {
			method := "GET"
			if slices.Contains([]string{"token_endpoint", "introspection_endpoint", "revocation_endpoint", "device_authorization_endpoint", "pushed_authorization_request_endpoint"}, name) {
				method = "POST"
			}
			if w := r.serve(httptest.NewRequest(method, strings.TrimPrefix(to, r.issuer), nil)); w.Code == 404 || w.Code == 405 {
				t.Errorf("%s is %s, which answers %d", name, to, w.Code)
			}
		}
	}
	req := httptest.NewRequest("GET", "/.well-known/openid-configuration", nil)
	req.Header.Set("If-None-Match", openid.Header().Get("ETag"))
	if w := r.serve(req); w.Code != 304 {
		t.Errorf("with its ETag: got %d, want 304", w.Code)
	}
}

// TestJWKSHoldsPublicKeysAlone: of types that every client knows, with kid, use
// and alg.
func TestJWKSHoldsPublicKeysAlone(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	var set struct{ Keys []map[string]any }
	if err := json.Unmarshal(r.serve(httptest.NewRequest("GET", "/jwks.json", nil)).Body.Bytes(), &set); err != nil {
		t.Fatal(err)
	}
	types := map[string]bool{}
	for _, k := range set.Keys {
		types[fmt.Sprint(k["kty"], " ", k["alg"])] = true
		if k["kid"] == "" || k["use"] != "sig" {
			t.Errorf("got %v", k)
		}
		for _, private := range []string{"d", "p", "q", "dp", "dq", "qi", "k", "oth"} {
			if _, ok := k[private]; ok {
				t.Errorf("the set has the private member %s", private)
			}
		}
	}
	if len(types) != 3 || !types["RSA RS256"] || !types["EC ES256"] || !types["OKP EdDSA"] {
		t.Errorf("got %v", types)
	}
}

// TestErrorsGolden: what machines are answered, word by word.
func TestErrorsGolden(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	var all bytes.Buffer
	for _, c := range []struct{ name, auth, form string }{
		{"no body", "web", ""},
		{"no grant type", "web", "code=x"},
		{"unknown grant type", "web", "grant_type=password&username=mina&password=x"},
		{"grant type not its own", "tutorial", "grant_type=refresh_token&refresh_token=x"},
		{"no client", "", "grant_type=authorization_code&code=x"},
		{"unknown client", "nobody", "grant_type=authorization_code&code=x"},
		{"confidential client without a secret", "", "grant_type=authorization_code&code=x&client_id=web"},
		{"two ways at once", "web", "grant_type=authorization_code&code=x&client_id=web&client_secret=y"},
		{"another client's id", "web", "grant_type=authorization_code&code=x&client_id=spa"},
		{"a code that is none", "web", "grant_type=authorization_code&code=x"},
		{"a parameter twice", "web", "grant_type=authorization_code&code=x&code=y"},
		{"a refresh token that is none", "web", "grant_type=refresh_token&refresh_token=x"},
		{"a scope that is none", "web", "grant_type=refresh_token&refresh_token=x&scope=%22"},
		{"client credentials of a client for users", "web", "grant_type=client_credentials"},
		{"client credentials, no API", "orders", "grant_type=client_credentials"},
		{"client credentials, an API that is none", "worker", "grant_type=client_credentials&resource=https://none.example.com/"},
		{"client credentials, an API of others", "worker", "grant_type=client_credentials&resource=" + billing},
		{"client credentials, two APIs", "worker", "grant_type=client_credentials&resource=" + orders + "&resource=" + billing},
		{"client credentials, no URI", "worker", "grant_type=client_credentials&resource=orders"},
		{"client credentials, a scope of others", "worker", "grant_type=client_credentials&scope=orders:write"},
		{"client credentials, openid", "worker", "grant_type=client_credentials&scope=openid"},
		{"client credentials, a client of a user", "worker", "grant_type=authorization_code&code=x"},
	} {
		req := r.formRequest(c.auth, c.form)
		if c.auth == "" {
			req.Header.Del("Authorization")
		}
		w := r.serve(req)
		fmt.Fprintf(&all, "POST /token: %s\n%d %s %s\n%s\n\n", c.name, w.Code, w.Header().Get("Content-Type"), w.Header().Get("WWW-Authenticate"), w.Body)
	}
	for _, c := range []struct{ name, auth, form string }{
		{"no token", "orders", ""},
		{"a token that is none", "orders", "token=x"},
		{"two tokens", "orders", "token=x&token=y"},
		{"no client", "", "token=x"},
		{"unknown client", "nobody", "token=x"},
		{"public client", "", "token=x&client_id=spa"},
		{"a client that is no API's", "worker", "token=x"},
	} {
		req := r.formRequest(c.auth, c.form)
		req.URL.Path = "/introspect"
		if c.auth == "" {
			req.Header.Del("Authorization")
		}
		w := r.serve(req)
		fmt.Fprintf(&all, "POST /introspect: %s\n%d %s %s\n%s\n\n", c.name, w.Code, w.Header().Get("Content-Type"), w.Header().Get("WWW-Authenticate"), w.Body)
	}
	for _, c := range []struct{ name, auth, form string }{
		{"no token", "web", ""},
		{"a token that is none", "web", "token=x"},
		{"a token of a kind that is none", "web", "token=x&token_type_hint=saml"},
		{"no client", "", "token=x"},
		{"unknown client", "nobody", "token=x"},
		{"public client", "", "token=x&client_id=spa"},
		{"confidential client without a secret", "", "token=x&client_id=web"},
		{"another client's token", "web", "token=" + r.clientToken("worker").Access},
	} {
		req := r.formRequest(c.auth, c.form)
		req.URL.Path = "/revoke"
		if c.auth == "" {
			req.Header.Del("Authorization")
		}
		w := r.serve(req)
		fmt.Fprintf(&all, "POST /revoke: %s\n%d %s %s\n%s\n\n", c.name, w.Code, w.Header().Get("Content-Type"), w.Header().Get("WWW-Authenticate"), w.Body)
	}
	for _, c := range []struct{ name, header string }{{"no token", ""}, {"another scheme", "Basic eDp5"}, {"a token that is none", "Bearer x"}, {"an empty token", "Bearer "}} {
		req := httptest.NewRequest("GET", "/userinfo", nil)
		if c.header != "" {
			req.Header.Set("Authorization", c.header)
		}
		w := r.serve(req)
		fmt.Fprintf(&all, "GET /userinfo: %s\n%d %s\n%s\n\n", c.name, w.Code, w.Header().Get("WWW-Authenticate"), w.Body)
	}
	golden(t, "errors.txt", all.Bytes())
}

// TestUserinfoByEveryWay: GET and POST, in the header and in the body, never in
// the query.
func TestUserinfoByEveryWay(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	b := r.browser()
	token := r.redeem("web", b.signIn(r.mina, b.authorize("web")).mustCode()).Access
	for name, c := range map[string]struct {
		method, header, query, body string
		want                        int
	}{
		"header":           {"GET", "Bearer " + token, "", "", 200},
		"header, any case": {"GET", "bEaReR " + token, "", "", 200},
		"POST, header":     {"POST", "Bearer " + token, "", "", 200},
		"POST, body":       {"POST", "", "", "access_token=" + url.QueryEscape(token), 200},
		"query":            {"GET", "", "?access_token=" + url.QueryEscape(token), "", 401},
		"twice":            {"POST", "Bearer " + token, "", "access_token=" + url.QueryEscape(token), 400},
	} {
		req := httptest.NewRequest(c.method, "/userinfo"+c.query, strings.NewReader(c.body))
		if c.header != "" {
			req.Header.Set("Authorization", c.header)
		}
		if c.body != "" {
			req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		}
		if w := r.serve(req); w.Code != c.want {
			t.Errorf("%s: got %d %s, want %d", name, w.Code, w.Body, c.want)
		}
	}
}
