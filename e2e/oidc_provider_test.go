package e2e

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"golang.org/x/oauth2"

	"github.com/sallyport-id/sallyport/rp"
	"github.com/sallyport-id/sallyport/rs"
	"github.com/sallyport-id/sallyport/rs/rstest"
)

const (
	deviceGrant = "urn:ietf:params:oauth:grant-type:device_code"
	strongACR   = "urn:sallyport:acr:2fa"
)

// oidcProvider starts oidc-provider, over TLS if it is given the files of a certificate and
// its key, and returns its issuer identifier. E2E_NODE, which ./test sets, is a Node.js
// beside an installed node/.
func oidcProvider(t *testing.T, files ...string) (issuer string) {
	t.Helper()
	node := os.Getenv("E2E_NODE")
	if node == "" {
		leaveOut(t, "E2E_NODE names no Node.js beside an installed node/; ./test makes one")
	}
	log := &lockedBuffer{}
	cmd := exec.Command(node, append([]string{"node/oidc-provider.mjs"}, files...)...)
	cmd.Stderr = log
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("oidc-provider: %s", log)
		}
	})
	var said struct{ Issuer string }
	lines := bufio.NewScanner(out)
	for said.Issuer == "" && lines.Scan() {
		_ = json.Unmarshal(lines.Bytes(), &said) // other lines are warnings
	}
	if said.Issuer == "" {
		t.Fatalf("oidc-provider ends: %v\n%s", lines.Err(), log)
	}
	return said.Issuer
}

// registers makes a change of a party's configuration that registers it.
func registers(t *testing.T, issuer string, metadata map[string]any, change func(*rp.Config)) func(*rp.Config) {
	return func(c *rp.Config) {
		t.Helper()
		c.Issuer = issuer
		if change != nil {
			change(c)
		}
		all := map[string]any{}
		if origin, there := strings.CutSuffix(c.RedirectURL, "/callback"); there {
			all["post_logout_redirect_uris"] = []string{origin + "/bye"}
			all["backchannel_logout_uri"], all["backchannel_logout_session_required"] = origin+"/backchannel-logout", true
		}
		for name, value := range metadata {
			all[name] = value
		}
		registered, err := rp.Register(t.Context(), *c, all, "initial")
		if err != nil {
			t.Fatal(err)
		}
		*c = registered.Config
	}
}

// TestRPWithOIDCProvider: rp signs somebody in at oidc-provider, in each way that both
// know, uses and refreshes the tokens, revokes them, and signs out.
func TestRPWithOIDCProvider(t *testing.T) {
	t.Parallel()
	issuer := oidcProvider(t)
	for name, change := range map[string]func(*rp.Config){
		"secret":        nil,
		"in the body":   func(c *rp.Config) { c.AuthMethod = rp.AuthPost },
		"public":        func(c *rp.Config) { c.AuthMethod = rp.AuthNone },
		"key":           func(c *rp.Config) { c.PrivateKey, c.KeyID = newP256(), "1" },
		"pushed":        func(c *rp.Config) { c.PushRequests = true },
		"dpop":          func(c *rp.Config) { c.DPoPKey = newP256() },
		"all of it":     func(c *rp.Config) { c.PrivateKey, c.KeyID, c.DPoPKey, c.PushRequests = newP256(), "1", newP256(), true },
		"second factor": func(c *rp.Config) { c.Require = rp.MFA },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newParty(t, registers(t, issuer, nil, func(c *rp.Config) {
				c.UserInfo, c.Scopes = true, []string{"openid", "profile", "email", "offline_access"}
				if change != nil {
					change(c)
				}
			}))
			v := newVisitor(t)
			home := v.open(p.url)
			home.wants("hello sora")
			id := p.identity
			if id.Subject != "sora" || id.Name != "Sora" || id.Email != "sora@example.com" || !id.EmailVerified || id.Token.RefreshToken == "" {
				t.Errorf("got %v with %+v", id, id.Token)
			}
			first := id.Token.RefreshToken
			id.Token.Expiry = time.Now() // as if it were
			fresh, err := p.TokenSource(t.Context(), id, nil).Token()
			if err != nil || fresh.RefreshToken == first || fresh.AccessToken == "" {
				t.Fatalf("refreshing: got %+v, %v", fresh, err)
			}
			id.Token = fresh
			if _, err := p.UserInfo(t.Context(), id); err != nil {
				t.Errorf("userinfo after the refresh: %v", err)
			}
			if err := p.Revoke(t.Context(), fresh); err != nil {
				t.Errorf("revoking: %v", err)
			}
			id.Token.Expiry = time.Now()
			if _, err := p.TokenSource(t.Context(), id, nil).Token(); !errors.Is(err, rp.ErrEnded) {
				t.Errorf("refreshing what is revoked: got %v", err)
			}
			home.submit().submit("logout", "yes").wants("bye")
			if v.open(p.url); p.identity == id {
				t.Error("the session goes on after the logout")
			}
		})
	}
}

// TestRPWithOIDCProviderCertificate: the client is known by its certificate, and its tokens
// are bound to it, at userinfo and at an API of ours.
func TestRPWithOIDCProviderCertificate(t *testing.T) {
	t.Parallel()
	issuer := oidcProvider(t, ca.cert, ca.key)
	own, thief := rstest.NewCertificate(), rstest.NewCertificate()
	api := httptest.NewUnstartedServer(nil)
	api.TLS = &tls.Config{ClientAuth: tls.RequestClientCert}
	api.StartTLS()
	t.Cleanup(api.Close)
	resource := api.URL + "/jwt"
	s, err := rs.New(t.Context(), rs.Config{Issuer: issuer, Resource: resource, CertificateRequired: true})
	if err != nil {
		t.Fatal(err)
	}
	api.Config.Handler = s.Protect(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {}), rs.Scope("read"))
	roots := x509.NewCertPool()
	roots.AddCert(api.Certificate())
	bundle, err := os.ReadFile(ca.bundle)
	if err != nil || !roots.AppendCertsFromPEM(bundle) {
		t.Fatal(err)
	}
	certified := func(c *rp.Config) {
		c.AuthMethod, c.Certificate = rp.AuthSelfSignedTLS, func() (*tls.Certificate, error) { return &own, nil }
		c.HTTPClient = &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}}}
	}
	p := newParty(t, registers(t, issuer, nil, func(c *rp.Config) { certified(c); c.UserInfo, c.Require = true, rp.MFA }))
	newVisitor(t).open(p.url).wants("hello sora")

	var config rp.Config
	registers(t, issuer, nil, certified)(&config)
	with := func(certificate tls.Certificate) *rp.Client {
		t.Helper()
		config := config
		config.Certificate = func() (*tls.Certificate, error) { return &certificate, nil }
		c, err := rp.New(t.Context(), config)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	token, err := with(own).ClientCredentials(t.Context(), resource, "read").Token()
	if err != nil {
		t.Fatal(err)
	}
	for status, certificate := range map[int]tls.Certificate{http.StatusOK: own, http.StatusUnauthorized: thief} {
		res, err := with(certificate).HTTPClient(oauth2.StaticTokenSource(token)).Get(api.URL)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if res.StatusCode != status {
			t.Errorf("at the API: got %s, want %d", res.Status, status)
		}
	}
	var response *rp.ResponseError
	if _, err := with(thief).ClientCredentials(t.Context(), resource, "read").Token(); !errors.As(err, &response) || response.Code != "invalid_client" {
		t.Errorf("a token for a thief's certificate: got %v", err)
	}
}

// TestRPWithOIDCProviderWeak: who had a password alone is refused where more is needed,
// and none the wiser where not.
func TestRPWithOIDCProviderWeak(t *testing.T) {
	t.Parallel()
	issuer := oidcProvider(t)
	weak := map[string]any{"client_name": "weak"}
	p := newParty(t, registers(t, issuer, weak, func(c *rp.Config) { c.Require = rp.MFA }))
	if got := newVisitor(t).open(p.url); got.status != http.StatusForbidden || rp.ReasonCode(p.err) != rp.CodeWeak {
		t.Errorf("got %d, %v", got.status, p.err)
	}
	p = newParty(t, registers(t, issuer, weak, func(c *rp.Config) { c.Require = rp.Requirement{AMR: []string{"mfa"}} }))
	var unmet *rp.UnmetError
	if got := newVisitor(t).open(p.url); got.status != http.StatusForbidden || !errors.As(p.err, &unmet) {
		t.Errorf("by amr: got %d, %v", got.status, p.err)
	}
	newVisitor(t).open(newParty(t, registers(t, issuer, weak, nil)).url).wants("hello sora")
}

// TestRPWithOIDCProviderLogout: a logout from one application ends the session at the
// other, by the back channel.
func TestRPWithOIDCProviderLogout(t *testing.T) {
	t.Parallel()
	issuer := oidcProvider(t)
	one, other := newParty(t, registers(t, issuer, nil, nil)), newParty(t, registers(t, issuer, nil, nil))
	v := newVisitor(t)
	v.open(other.url).wants("hello sora")
	before := other.identity
	home := v.open(one.url)
	home.wants("hello sora")
	home.submit().submit("logout", "yes").wants("bye")
	select {
	case status := <-other.ended:
		if status != http.StatusOK {
			t.Fatalf("the logout token: got %d", status)
		}
	case <-time.After(20 * time.Second):
		t.Fatal("the other application was told nothing")
	}
	if v.open(other.url); other.identity == before {
		t.Error("the session at the other application goes on")
	}
}

// TestRPWithOIDCProviderDevice: a device, with and without a key to bind its tokens to.
func TestRPWithOIDCProviderDevice(t *testing.T) {
	t.Parallel()
	issuer := oidcProvider(t)
	for name, key := range map[string]*ecdsa.PrivateKey{"bearer": nil, "dpop": newP256()} {
		t.Run(name, func(t *testing.T) {
			t.Parallel() // each waits for five seconds
			var config rp.Config
			registers(t, issuer, map[string]any{"grant_types": []string{deviceGrant, "refresh_token"}}, func(c *rp.Config) {
				c.AuthMethod, c.Require = rp.AuthNone, rp.MFA
				if key != nil {
					c.DPoPKey = key
				}
			})(&config)
			tool, err := rp.New(t.Context(), config)
			if err != nil {
				t.Fatal(err)
			}
			device, err := tool.DeviceAuthorization(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			newVisitor(t).open(device.VerificationURI).submit("user_code", device.UserCode).submit().wants("Sign-in Success")
			id, err := tool.Poll(t.Context(), device)
			if err != nil || id.Subject != "sora" || id.ACR != strongACR {
				t.Errorf("got %v, %v", id, err)
			}
		})
	}
}

// TestRSWithOIDCProvider: an API takes the tokens of oidc-provider: JWTs (RFC 9068) that
// it verifies, opaque ones that it asks about, bound to a key or not. Of its own opaque
// tokens, those of machines, oidc-provider tells no subject; they are refused.
func TestRSWithOIDCProvider(t *testing.T) {
	t.Parallel()
	issuer := oidcProvider(t)
	var api http.Handler
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { api.ServeHTTP(w, r) }))
	t.Cleanup(server.Close)
	get := func(c *http.Client) (int, string) {
		t.Helper()
		res, err := c.Get(server.URL + "/list")
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		body, _ := io.ReadAll(res.Body)
		return res.StatusCode, string(body)
	}
	var asks rp.Config
	registers(t, issuer, nil, nil)(&asks)
	for _, kind := range []string{"jwt", "opaque"} {
		resource := server.URL + "/" + kind
		s, err := rs.New(t.Context(), rs.Config{
			Issuer: issuer, Resource: resource, ClientID: asks.ClientID, ClientSecret: asks.ClientSecret,
			DPoP: rs.DPoPAllowed, NonceKey: make([]byte, 32), ExternalURL: server.URL,
		})
		if err != nil {
			t.Fatal(err)
		}
		subject := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, rs.FromContext(r.Context()).Subject) })
		for name, key := range map[string]*ecdsa.PrivateKey{"bearer": nil, "dpop": newP256()} {
			change := func(c *rp.Config) {
				c.Scopes, c.Resource = []string{"openid", "read"}, resource
				if key != nil {
					c.DPoPKey = key
				}
			}
			p := newParty(t, registers(t, issuer, nil, change))
			newVisitor(t).open(p.url).wants("hello sora")
			person := p.HTTPClient(p.TokenSource(t.Context(), p.identity, nil))
			api = s.Protect(subject, rs.Scope("read"), rs.ACR(rs.ACR2FA, time.Minute))
			if status, body := get(person); status != http.StatusOK || body != "sora" {
				t.Errorf("%s %s: got %d %s", kind, name, status, body)
			}
			api = s.Protect(subject, rs.ACR(rs.ACRPHR, time.Minute))
			if status, body := get(person); status != http.StatusUnauthorized || !strings.Contains(body, "insufficient_user_authentication") {
				t.Errorf("%s %s, phr: got %d %s", kind, name, status, body)
			}
			machine := newMachine(t, issuer, change)
			api = s.Protect(subject, rs.Scope("read"))
			status, body := get(machine.HTTPClient(machine.ClientCredentials(t.Context(), resource, "read")))
			if kind == "jwt" && status != http.StatusOK || kind == "opaque" && !strings.Contains(body, "has no subject") {
				t.Errorf("%s %s, a machine: got %d %s", kind, name, status, body)
			}
			status, body = get(machine.HTTPClient(machine.ClientCredentials(t.Context(), resource)))
			if kind == "jwt" && (status != http.StatusForbidden || !strings.Contains(body, "insufficient_scope")) {
				t.Errorf("%s %s, a machine without the scope: got %d %s", kind, name, status, body)
			}
		}
	}
	machine := newMachine(t, issuer, nil)
	token, err := machine.ClientCredentials(t.Context(), server.URL+"/opaque", "read").Token()
	if err != nil {
		t.Fatal(err)
	}
	if about, err := machine.Introspect(t.Context(), token.AccessToken); err != nil || !about.Active || !about.HasScope("read") || about.Audience[0] != server.URL+"/opaque" {
		t.Errorf("introspection: got %+v, %v", about, err)
	}
}

// newMachine registers a client that signs nobody in.
func newMachine(t *testing.T, issuer string, change func(*rp.Config)) *rp.Client {
	t.Helper()
	var config rp.Config
	registers(t, issuer, nil, change)(&config)
	c, err := rp.New(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// TestRegisterAtOIDCProvider: the registration is read, changed and ended.
func TestRegisterAtOIDCProvider(t *testing.T) {
	t.Parallel()
	config := rp.Config{Issuer: oidcProvider(t), RedirectURL: "https://shop.example.com/callback", CookieKey: []byte(strings.Repeat("k", 32))}
	if _, err := rp.Register(t.Context(), config, nil, "wrong"); err == nil {
		t.Error("registered without the initial access token")
	}
	registered, err := rp.Register(t.Context(), config, map[string]any{"client_name": "Shop"}, "initial")
	if err != nil {
		t.Fatal(err)
	}
	if registered, err = registered.Read(t.Context()); err != nil {
		t.Fatal(err)
	}
	if registered, err = registered.Update(t.Context(), map[string]any{"client_name": "Market"}); err != nil {
		t.Fatal(err)
	}
	var name string
	if _, err := registered.Metadata.Decode("client_name", &name); err != nil || name != "Market" {
		t.Errorf("got %q, %v", name, err)
	}
	if err := registered.Delete(t.Context()); err != nil {
		t.Error(err)
	}
	var response *rp.ResponseError
	if _, err := registered.Read(t.Context()); !errors.As(err, &response) {
		t.Errorf("reading what ended: got %v", err)
	}
}
