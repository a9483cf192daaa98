package e2e

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// openidClient is openid-client (Node.js), on its way.
type openidClient struct {
	t     *testing.T
	lines *bufio.Scanner
	log   *lockedBuffer
}

// openIDClient starts the program with something to do. E2E_NODE, which ./test sets, is a
// Node.js beside an installed node/.
func openIDClient(t *testing.T, todo map[string]any) *openidClient {
	t.Helper()
	node := os.Getenv("E2E_NODE")
	if node == "" {
		leaveOut(t, "E2E_NODE names no Node.js beside an installed node/; ./test makes one")
	}
	text, err := json.Marshal(todo)
	if err != nil {
		t.Fatal(err)
	}
	c := &openidClient{t: t, log: &lockedBuffer{}}
	cmd := exec.Command(node, "node/openid-client.mjs", string(text))
	cmd.Stderr = c.log
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
	})
	c.lines = bufio.NewScanner(out)
	return c
}

// report is a line of what the program says.
type report struct {
	URL, UserCode       string
	Private             json.RawMessage
	JWKS                json.RawMessage
	Type, ACR, Name     string
	AMR                 []string
	Refreshed           string
	Rotated             bool
	Revoked, Ended, End string
	Said                struct {
		Active     bool
		Iss, Scope string
		Sub, Aud   string
		TokenType  string `json:"token_type"`
		Cnf        map[string]string
	}
}

func (c *openidClient) says() (line report) {
	c.t.Helper()
	if !c.lines.Scan() {
		c.t.Fatalf("openid-client ends: %v\n%s", c.lines.Err(), c.log)
	}
	if err := json.Unmarshal(c.lines.Bytes(), &line); err != nil {
		c.t.Fatal(err)
	}
	return line
}

// TestOpenIDClient: the library goes with us through all that it can: PKCE, DPoP with
// nonces, requests sent ahead and signed, a key in the place of a secret, devices,
// machines, refresh, revocation and introspection.
func TestOpenIDClient(t *testing.T) {
	t.Parallel()
	needBrowser(t)
	in := install(t)
	b := newBrowser(t, "en")
	keys := openIDClient(t, map[string]any{"do": "keys"}).says()
	jwks := filepath.Join(t.TempDir(), "jwks.json")
	if err := os.WriteFile(jwks, keys.JWKS, 0o600); err != nil {
		t.Fatal(err)
	}
	b.open(in.link("user", "add", "sora"))
	b.choose("quiet lantern otter")
	b.app()
	key := b.textOf("dd code")
	b.code(totp(t, key, -1))
	b.save()

	add := func(id string, flags ...string) (secret string) {
		t.Helper()
		var made struct {
			Secret string `json:"client_secret"`
		}
		in.decode(&made, append([]string{"client", "add", id, "--output", "json"}, flags...)...)
		return made.Secret
	}
	first := true
	for _, c := range []struct {
		name    string
		flags   []string
		todo    map[string]any
		bearer  string
		rotates bool
	}{
		{"secret", nil, nil, "bearer", false},
		{"spa", []string{"--preset", "spa"}, map[string]any{"scope": "openid profile"}, "bearer", true},
		{"dpop", []string{"--dpop"}, map[string]any{"dpop": true}, "dpop", false},
		{"nonce", []string{"--dpop", "--dpop-nonce"}, map[string]any{"dpop": true}, "dpop", false},
		{"par", []string{"--require-par"}, map[string]any{"par": true}, "bearer", false},
		{"key", []string{"--jwks", jwks, "--auth-alg", "ES256", "--require-par", "--dpop", "--dpop-nonce"}, map[string]any{"private": keys.Private, "par": true, "dpop": true}, "dpop", false},
		{"fapi2", []string{"--preset", "fapi2", "--jwks", jwks, "--auth-alg", "ES256"}, map[string]any{"private": keys.Private, "par": true, "dpop": true}, "dpop", false},
		{"jar", []string{"--jwks", jwks, "--auth-alg", "ES256", "--require-signed-request"}, map[string]any{"private": keys.Private, "jar": true}, "bearer", false},
	} {
		redirect := fmt.Sprintf("http://localhost:%d/callback", freePort(t))
		secret := add(c.name, append([]string{"--redirect-uri", redirect}, c.flags...)...)
		todo := map[string]any{"do": "code", "issuer": in.issuer, "clientId": c.name, "redirectUri": redirect}
		if secret != "" {
			todo["secret"] = secret
		}
		for name, value := range c.todo {
			todo[name] = value
		}
		run := openIDClient(t, todo)
		b.open(run.says().URL)
		if first {
			b.password("sora", "quiet lantern otter")
			b.code(totp(t, key, 0))
			first = false
		}
		b.mustBeAt(redirect)
		got := run.says()
		if got.Type != c.bearer || got.Refreshed != c.bearer || got.Rotated != c.rotates || got.ACR != "urn:sallyport:acr:2fa" || !slices.Equal(got.AMR, []string{"pwd", "otp", "mfa"}) ||
			got.Name != "sora" || got.Revoked != "invalid_token" || got.Ended != "invalid_grant" || !strings.HasPrefix(got.End, in.issuer+"/end_session?") {
			t.Errorf("%s: got %+v\n%s", c.name, got, run.log)
		}
	}

	add("tv", "--preset", "device")
	run := openIDClient(t, map[string]any{"do": "device", "issuer": in.issuer, "clientId": "tv"})
	asked := run.says()
	b.open(asked.URL)
	b.fill("#user_code", strings.ToLower(asked.UserCode))
	b.press("#continue")
	b.password("sora", "quiet lantern otter")
	b.code(totp(t, key, 1))
	b.mustStep("consent")
	b.press("#allow")
	b.mustText("The device is connected")
	if got := run.says(); got.Type != "bearer" || got.Name != "sora" || got.ACR != "urn:sallyport:acr:2fa" {
		t.Errorf("the device: got %+v\n%s", got, run.log)
	}

	const orders = "https://orders.example.com/"
	in.sallyport("api", "add", orders, "--scope", "read", "--config", in.config())
	worker := add("worker", "--preset", "machine", "--api", orders, "--dpop")
	api := add("orders", "--preset", "machine", "--introspect", orders)
	got := openIDClient(t, map[string]any{"do": "machine", "issuer": in.issuer, "clientId": "worker", "secret": worker, "dpop": true, "resource": orders,
		"api": map[string]string{"id": "orders", "secret": api}}).says()
	if s := got.Said; got.Type != "dpop" || !s.Active || s.Sub != "worker" || s.Aud != orders || s.Scope != "read" || s.TokenType != "DPoP" || s.Cnf["jkt"] == "" {
		t.Errorf("the machine: got %+v", got)
	}
}
