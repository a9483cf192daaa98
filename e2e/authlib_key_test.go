package e2e

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"math/big"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestAuthlibSigns: the program of docs/operate/clients.md, as it stands there, gets a
// token with a key in the place of a secret, from each Authlib.
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
		req, err := http.NewRequest("POST", in.issuer+"/introspect", strings.NewReader(url.Values{"token": {strings.TrimSpace(string(out))}}.Encode()))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		req.SetBasicAuth("orders", api.Secret)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		var said struct {
			Active bool
			Sub    string
		}
		err = json.NewDecoder(resp.Body).Decode(&said)
		resp.Body.Close()
		if err != nil || !said.Active || said.Sub != "nightly" {
			t.Errorf("Authlib %s: its token is %+v, %v", version, said, err)
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
