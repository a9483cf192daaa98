package e2e

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// authlibAsks is an API that asks what a token is worth.
const authlibAsks = `
import sys
from authlib.integrations.requests_client import OAuth2Session

issuer, secret, token = sys.argv[1:]
print(OAuth2Session("orders", secret).introspect_token(issuer + "/introspect", token=token).text)
`

// TestAuthlibSigns: the program of docs/operate/clients.md, as it stands there, gets a
// token with a key in the place of a secret, and another asks what it is worth, from each
// Authlib.
func TestAuthlibSigns(t *testing.T) {
	t.Parallel()
	in := install(t)
	dir := t.TempDir()
	jwks := writeKeys(t, dir)
	const orders = "https://orders.example.com/"
	in.sallyport("api", "add", orders, "--scope", "read", "--config", in.config())
	in.sallyport("client", "add", "nightly", "--preset", "machine", "--jwks", jwks, "--api", orders, "--config", in.config())
	var api struct {
		Secret string `json:"client_secret"`
	}
	in.decode(&api, "client", "add", "orders", "--preset", "machine", "--introspect", orders, "--output", "json")

	text, err := os.ReadFile("../docs/operate/clients.md")
	if err != nil {
		t.Fatal(err)
	}
	_, program, _ := strings.Cut(string(text), "```python\n")
	program, _, ok := strings.Cut(program, "```")
	if !ok {
		t.Fatal("no program in docs/operate/clients.md")
	}
	program = strings.ReplaceAll(program, "https://id.example.com", in.issuer) + "print(token['access_token'])\n"
	for version, python := range authlibs(t) {
		cmd := exec.Command(python, "-c", program)
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "PYTHONDONTWRITEBYTECODE=1")
		out, err := cmd.Output()
		if err != nil {
			t.Errorf("Authlib %s: %v\n%s", version, err, err.(*exec.ExitError).Stderr)
			continue
		}
		ask := exec.Command(python, "-c", authlibAsks, in.issuer, api.Secret, strings.TrimSpace(string(out)))
		if out, err = ask.Output(); err != nil {
			t.Errorf("Authlib %s: %v\n%s", version, err, err.(*exec.ExitError).Stderr)
			continue
		}
		var said struct {
			Active bool
			Sub    string
		}
		err = json.Unmarshal(out, &said)
		if err != nil || !said.Active || said.Sub != "nightly" {
			t.Errorf("Authlib %s: its token is %+v, %v", version, said, err)
		}
	}
}

// authlibSigns gets a token with a secret that is not sent.
const authlibSigns = `
import sys
from authlib.integrations.requests_client import OAuth2Session
from authlib.oauth2.rfc7523 import ClientSecretJWT

issuer, secret = sys.argv[1:]
session = OAuth2Session("nightly", secret, token_endpoint_auth_method="client_secret_jwt")
session.register_client_auth_method(ClientSecretJWT(issuer))
print(session.fetch_token(issuer + "/token", grant_type="client_credentials")["token_type"])
`

// TestAuthlibSignsWithSecret: client_secret_jwt, from each Authlib.
func TestAuthlibSignsWithSecret(t *testing.T) {
	t.Parallel()
	in := install(t)
	const orders = "https://orders.example.com/"
	in.sallyport("api", "add", orders, "--scope", "read", "--config", in.config())
	var made struct {
		Secret string `json:"client_secret"`
	}
	in.decode(&made, "client", "add", "nightly", "--preset", "machine", "--auth-method", "client_secret_jwt", "--api", orders, "--output", "json")
	for version, python := range authlibs(t) {
		cmd := exec.Command(python, "-c", authlibSigns, in.issuer, made.Secret)
		cmd.Env = append(os.Environ(), "PYTHONDONTWRITEBYTECODE=1")
		if out, err := cmd.CombinedOutput(); err != nil || !strings.HasSuffix(strings.TrimSpace(string(out)), "Bearer") {
			t.Errorf("Authlib %s: %v\n%s", version, err, out)
		}
	}
}

// writeKeys makes private.pem, and returns the file of the public key.
func writeKeys(t *testing.T, dir string) (jwks string) {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	number := func(n *big.Int) string { return base64.RawURLEncoding.EncodeToString(n.Bytes()) }
	public, err := json.Marshal(map[string]any{"keys": []map[string]string{{"kty": "RSA", "n": number(key.N), "e": number(big.NewInt(int64(key.E)))}}})
	if err != nil {
		t.Fatal(err)
	}
	jwks = filepath.Join(dir, "keys.json")
	for name, text := range map[string][]byte{filepath.Join(dir, "private.pem"): pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}), jwks: public} {
		if err := os.WriteFile(name, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return jwks
}
