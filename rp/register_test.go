package rp_test

import (
	"context"
	"crypto/tls"
	"encoding/base64"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/sallyport-id/sallyport/rp"
	"github.com/sallyport-id/sallyport/rp/rptest"
)

// unregistered is the configuration of a client that the provider does not know.
func unregistered(p *rptest.Provider) rp.Config {
	config := p.Config(origin + "/callback")
	config.ClientID, config.ClientSecret = "", ""
	return config
}

// TestRegister: what comes back signs people in; then it is read, changed and ended.
func TestRegister(t *testing.T) {
	t.Parallel()
	p := rptest.NewProvider(t)
	reg, err := rp.Register(t.Context(), unregistered(p), map[string]any{"client_name": "Shop"}, rptest.InitialAccessToken)
	if err != nil {
		t.Fatal(err)
	}
	var name string
	if _, err := reg.Metadata.Decode("client_name", &name); err != nil || name != "Shop" || !reg.SecretExpires.IsZero() {
		t.Errorf("got %v, %v", reg.Metadata, err)
	}
	if got := fmt.Sprintf("%v %+v %#v", reg, *reg, reg); strings.Contains(got, reg.AccessToken) || strings.Contains(got, reg.Config.ClientSecret) {
		t.Errorf("secrets are printed: %s", got)
	}
	if _, err := newApp(t, p, func(c *rp.Config) { *c = reg.Config }).signIn(); err != nil {
		t.Errorf("signing in: %v", err)
	}
	first := reg.AccessToken
	if reg, err = reg.Read(t.Context()); err != nil || reg.AccessToken == first {
		t.Fatalf("reading: got %v, %v", reg, err)
	}
	if reg, err = reg.Update(t.Context(), map[string]any{"client_name": "Market"}); err != nil {
		t.Fatal(err)
	}
	got := p.Registered()
	if got["client_name"] != "Market" || got["client_id"] != p.ClientID || got["client_secret"] != p.ClientSecret || got["registration_access_token"] != nil {
		t.Errorf("changing: got %v", got)
	}
	if err := reg.Delete(t.Context()); err != nil || p.Registered() != nil {
		t.Errorf("ending: got %v, %v", p.Registered(), err)
	}
	if _, err := reg.Read(t.Context()); about(err) != "invalid_token" {
		t.Errorf("reading what ended: got %v", err)
	}
	if err := reg.Delete(t.Context()); about(err) != "invalid_token" {
		t.Errorf("ending what ended: got %v", err)
	}
}

// TestRegisterSaysWhatTheConfigSays: in the words of RFC 7591.
func TestRegisterSaysWhatTheConfigSays(t *testing.T) {
	t.Parallel()
	some := showing(rptest.NewCertificate())
	for what, test := range map[string]struct {
		change   func(*rp.Config)
		metadata map[string]any
		want     map[string]any // a part of what is sent
	}{
		"a secret": {nil, nil, map[string]any{"token_endpoint_auth_method": "client_secret_basic", "redirect_uris": []any{origin + "/callback"},
			"response_types": []any{"code"}, "grant_types": []any{"authorization_code", "refresh_token"}, "jwks": nil}},
		"in the body": {func(c *rp.Config) { c.AuthMethod = rp.AuthPost }, nil, map[string]any{"token_endpoint_auth_method": "client_secret_post"}},
		"nothing":     {func(c *rp.Config) { c.AuthMethod = rp.AuthNone }, nil, map[string]any{"token_endpoint_auth_method": "none"}},
		"keys": {func(c *rp.Config) { c.PrivateKey, c.KeyID, c.DPoPKey = p256(), "2026", p256() }, nil, map[string]any{
			"token_endpoint_auth_method": "private_key_jwt", "token_endpoint_auth_signing_alg": "ES256", "dpop_bound_access_tokens": true}},
		"a certificate as well": {func(c *rp.Config) { c.Certificate, c.AuthMethod = some, rp.AuthBasic }, nil, map[string]any{
			"token_endpoint_auth_method": "client_secret_basic", "tls_client_certificate_bound_access_tokens": true}},
		"pushed requests": {func(c *rp.Config) { c.PushRequests = true }, nil, map[string]any{"require_pushed_authorization_requests": true}},
		"no browser": {func(c *rp.Config) { c.RedirectURL, c.CookieKey = "", nil }, nil, map[string]any{
			"redirect_uris": []any{}, "response_types": []any{}, "grant_types": []any{"client_credentials"}}},
		"others": {nil, map[string]any{"software_statement": "e30.e30.", "redirect_uris": []string{origin + "/callback", origin + "/other"}}, map[string]any{
			"software_statement": "e30.e30.", "redirect_uris": []any{origin + "/callback", origin + "/other"}}},
	} {
		p := rptest.NewProvider(t)
		config := unregistered(p)
		if test.change != nil {
			test.change(&config)
		}
		reg, err := rp.Register(t.Context(), config, test.metadata, rptest.InitialAccessToken)
		if err != nil {
			t.Errorf("%s: %v", what, err)
			continue
		}
		if _, err := rp.New(t.Context(), reg.Config); err != nil {
			t.Errorf("%s: the configuration is not good: %v", what, err)
		}
		got := p.Registered()
		for name, want := range test.want {
			if !reflect.DeepEqual(got[name], want) {
				t.Errorf("%s: %s is %v, want %v", what, name, got[name], want)
			}
		}
		if jwks, _ := got["jwks"].(map[string]any); config.PrivateKey != nil {
			key := jwks["keys"].([]any)[0].(map[string]any)
			if key["kid"] != "2026" || key["alg"] != "ES256" || key["d"] != nil {
				t.Errorf("%s: got the key %v", what, key)
			}
		}
	}
}

// TestRegisterTheCertificate: one that is signed by itself goes with its key.
func TestRegisterTheCertificate(t *testing.T) {
	t.Parallel()
	p := rptest.NewTLSProvider(t)
	config := unregistered(p)
	reg, err := rp.Register(t.Context(), config, nil, rptest.InitialAccessToken)
	if err != nil {
		t.Fatal(err)
	}
	certificate, _ := config.Certificate()
	key := p.Registered()["jwks"].(map[string]any)["keys"].([]any)[0].(map[string]any)
	if want := base64.StdEncoding.EncodeToString(certificate.Certificate[0]); key["x5c"].([]any)[0] != want || key["kty"] != "EC" || key["d"] != nil {
		t.Errorf("got %v", key)
	}
	a := newTLSApp(t, p, func(c *rp.Config) { *c = reg.Config })
	if _, err := a.signIn(); err != nil {
		t.Errorf("signing in: %v", err)
	}
	config.Certificate = func() (*tls.Certificate, error) { return nil, nil }
	if _, err := rp.Register(t.Context(), config, nil, rptest.InitialAccessToken); err == nil || !strings.Contains(err.Error(), "Config.Certificate") {
		t.Errorf("no certificate: got %v", err)
	}
}

// TestRegisterRefuses: a client that is less safe than was asked for, or another one.
func TestRegisterRefuses(t *testing.T) {
	t.Parallel()
	p := rptest.NewProvider(t)
	config := unregistered(p)
	for _, test := range []struct {
		claim string
		value any
		want  string
	}{
		{"token_endpoint_auth_method", "none", "token_endpoint_auth_method"},
		{"token_endpoint_auth_method", []string{"client_secret_basic"}, "registration"},
		{"redirect_uris", []string{"https://evil.example/callback"}, "redirect_uris"},
		{"redirect_uris", nil, "redirect_uris"},
		{"client_id", nil, "client_id"},
		{"client_secret", nil, "client_secret"},
		{"registration_client_uri", "http://evil.example/", "registration_client_uri"},
		{"registration_client_uri", "/register", "registration_client_uri"},
		{"client_secret_expires_at", "never", "registration"},
	} {
		p.SetClaims(map[string]any{test.claim: test.value})
		if got, err := rp.Register(t.Context(), config, nil, rptest.InitialAccessToken); about(err) != test.want {
			t.Errorf("%s is %v: got %v, %v", test.claim, test.value, got, err)
		}
	}
	p.SetClaims(map[string]any{"token_endpoint_auth_method": nil})
	public := config
	public.AuthMethod = rp.AuthNone
	if got, err := rp.Register(t.Context(), public, nil, rptest.InitialAccessToken); about(err) != "token_endpoint_auth_method" {
		t.Errorf("a public client, by a server that says nothing: got %v, %v", got, err)
	}
	p.SetClaims(nil)
	reg, err := rp.Register(t.Context(), config, nil, rptest.InitialAccessToken)
	if err != nil {
		t.Fatal(err)
	}
	p.SetClaims(map[string]any{"client_secret": nil}) // by who keeps its hash alone
	if again, err := reg.Read(t.Context()); err != nil || again.Config.ClientSecret != reg.Config.ClientSecret {
		t.Errorf("reading without the secret: got %v, %v", again, err)
	} else {
		reg = again
	}
	p.SetClaims(map[string]any{"client_id": "another"})
	if _, err := reg.Read(t.Context()); about(err) != "client_id" {
		t.Errorf("reading another client: got %v", err)
	}
	stranger := rp.Registration{Config: reg.Config, URI: "http://evil.example/", AccessToken: "secret"}
	if _, err := stranger.Read(t.Context()); err == nil || !strings.Contains(err.Error(), "Registration.URI") {
		t.Errorf("a URI that is not safe: got %v", err)
	}
}

func TestRegisterSaysWhatWentWrong(t *testing.T) {
	t.Parallel()
	p := rptest.NewProvider(t)
	config := unregistered(p)
	register := func(metadata map[string]any, token string) error {
		_, err := rp.Register(t.Context(), config, metadata, token)
		return err
	}
	if err := register(nil, ""); about(err) != "invalid_token" {
		t.Errorf("no token: got %v", err)
	}
	if err := register(map[string]any{"client_name": "evil"}, rptest.InitialAccessToken); about(err) != "invalid_client_metadata" {
		t.Errorf("bad metadata: got %v", err)
	}
	config.ClientID = "shop"
	if err := register(nil, rptest.InitialAccessToken); err == nil || !strings.Contains(err.Error(), "Config.ClientID") {
		t.Errorf("a client that is registered: got %v", err)
	}
	config.ClientID, config.CookieKey = "", []byte("short")
	if err := register(nil, rptest.InitialAccessToken); err == nil || !strings.Contains(err.Error(), "Config.CookieKey") {
		t.Errorf("a bad configuration: got %v", err)
	}
	config = unregistered(p)
	p.Misbehave(rptest.NoRegistration)
	if err := register(nil, ""); rp.ReasonCode(err) != rp.CodeUnavailable {
		t.Errorf("no endpoint: got %v", err)
	}
	p.Misbehave(rptest.Down)
	if err := register(nil, ""); rp.ReasonCode(err) != rp.CodeUnavailable {
		t.Errorf("server down: got %v", err)
	}
	unmanaged := rp.Registration{Config: p.Config(origin + "/callback")}
	if err := unmanaged.Delete(context.Background()); rp.ReasonCode(err) != rp.CodeUnavailable {
		t.Errorf("no management: got %v", err)
	}
}
