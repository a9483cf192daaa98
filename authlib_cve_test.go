package sallyport_test

import (
	"bytes"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/sallyport-id/sallyport/internal/oidc"
	"github.com/sallyport-id/sallyport/internal/store"
	"github.com/sallyport-id/sallyport/rs/rstest"
)

// What went wrong in a library for the same purpose, Authlib, and must not here, by
// the names of the advisories: for the tokens that come to the server, which are the
// clients' assertions, and requests.

// TestEveryAuthlibCVEIsCovered: each advisory has a test in the packages that it
// could be about.
func TestEveryAuthlibCVEIsCovered(t *testing.T) {
	t.Parallel()
	for cve, packages := range map[string][]string{
		"CVE-2024-37568": {".", "rp", "rs"}, // the public key as a MAC's secret
		"CVE-2025-59420": {".", "rp", "rs"}, // unknown crit
		"CVE-2025-61920": {".", "rp", "rs"}, // tokens without a limit
		"CVE-2025-62706": {".", "rp", "rs"}, // encrypted bombs
		"CVE-2025-68158": {"rp"},            // state that is not the browser's
		"CVE-2026-27962": {".", "rp", "rs"}, // keys out of the header
		"CVE-2026-28490": {".", "rp", "rs"}, // RSA1_5
		"CVE-2026-28498": {"rp"},            // at_hash of an unknown algorithm
		"CVE-2026-28802": {".", "rp", "rs"}, // alg none
		"CVE-2026-41425": {"rp"},            // state that is another login's
		"CVE-2026-44681": {".", "rp"},       // redirects to anywhere
	} {
		name := "func Test" + strings.NewReplacer("CVE-", "CVE", "-", "_").Replace(cve) + "("
		for _, dir := range packages {
			text, err := os.ReadFile(filepath.Join(dir, "authlib_cve_test.go"))
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Contains(text, []byte(name)) {
				t.Errorf("%s has no %s)", dir, name)
			}
		}
		threats, err := os.ReadFile("docs/threat-model.md")
		if err != nil || !bytes.Contains(threats, []byte(cve)) {
			t.Errorf("docs/threat-model.md does not name %s (%v)", cve, err)
		}
	}
	files, err := filepath.Glob("*/authlib_cve_test.go")
	if err != nil || !slices.Equal(files, []string{"rp/authlib_cve_test.go", "rs/authlib_cve_test.go"}) {
		t.Errorf("got %v, %v", files, err)
	}
}

// A forger has what is public of a client that signs, and its good claims.
type forger struct {
	*signing
	key rstest.Key // its own
}

func newForger(t *testing.T) forger {
	r := newRig(t)
	f := forger{r.signs("worker"), rstest.NewKey("ES256")}
	if status, answer := f.presents(f.assertion()); status != http.StatusOK {
		t.Fatalf("a good assertion: got %d %v", status, answer)
	}
	return f
}

func (f forger) presents(assertion string) (int, map[string]any) {
	return f.post("/token", assertion, url.Values{"grant_type": {"client_credentials"}})
}

func (f forger) mustRefuse(what, assertion string) {
	f.t.Helper()
	if status, answer := f.presents(assertion); status != http.StatusBadRequest && status != http.StatusUnauthorized || answer["error"] != oidc.InvalidClient {
		f.t.Errorf("%s: got %d %v, want invalid_client", what, status, answer)
	}
}

// parts are a header, with changes, and good claims.
func (f forger) parts(changes ...any) (header map[string]any, payload []byte) {
	header = map[string]any{"alg": "ES256", "kid": f.signing.key.KeyID, "typ": "JWT"}
	for i := 0; i < len(changes); i += 2 {
		header[changes[i].(string)] = changes[i+1]
	}
	now := f.clock.Now()
	payload, _ = json.Marshal(map[string]any{
		"iss": f.id, "sub": f.id, "aud": f.issuer, "jti": store.NewID(), "iat": now.Unix(), "exp": now.Add(time.Minute).Unix(),
	})
	return header, payload
}

func (f forger) input(changes ...any) string {
	header, payload := f.parts(changes...)
	text, err := json.Marshal(header)
	f.must(err)
	return base64.RawURLEncoding.EncodeToString(text) + "." + base64.RawURLEncoding.EncodeToString(payload)
}

// sealed signs with the client's key under any header.
func (f forger) sealed(changes ...any) string {
	header, payload := f.parts(changes...)
	options := &jose.SignerOptions{ExtraHeaders: map[jose.HeaderKey]any{}}
	for name, value := range header {
		if name != "alg" && name != "kid" {
			options.ExtraHeaders[jose.HeaderKey(name)] = value
		}
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: f.signing.key}, options)
	f.must(err)
	jws, err := signer.Sign(payload)
	f.must(err)
	text, err := jws.CompactSerialize()
	f.must(err)
	return text
}

func (f forger) encrypted(alg jose.KeyAlgorithm, zip jose.CompressionAlgorithm, more int) string {
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	f.must(err)
	encrypter, err := jose.NewEncrypter(jose.A128CBC_HS256, jose.Recipient{Algorithm: alg, Key: private.Public()}, &jose.EncrypterOptions{Compression: zip})
	f.must(err)
	_, payload := f.parts()
	jwe, err := encrypter.Encrypt(append(payload, bytes.Repeat([]byte(" "), more)...))
	f.must(err)
	text, err := jwe.CompactSerialize()
	f.must(err)
	return text
}

// The public key as the secret of a MAC.
func TestCVE2024_37568(t *testing.T) {
	t.Parallel()
	f := newForger(t)
	public := f.signing.key.Public()
	der, err := x509.MarshalPKIXPublicKey(public.Key)
	f.must(err)
	jwk, err := public.MarshalJSON()
	f.must(err)
	for name, secret := range map[string][]byte{
		"DER": der, "PEM": pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}), "JWK": jwk,
	} {
		input := f.input("alg", "HS256")
		mac := hmac.New(sha256.New, secret)
		mac.Write([]byte(input))
		f.mustRefuse(name, input+"."+base64.RawURLEncoding.EncodeToString(mac.Sum(nil)))
	}
}

// Extensions that are critical and unknown.
func TestCVE2025_59420(t *testing.T) {
	t.Parallel()
	f := newForger(t)
	if status, answer := f.presents(f.sealed()); status != http.StatusOK {
		t.Fatalf("without: got %d %v", status, answer)
	}
	f.mustRefuse("crit", f.sealed("crit", []string{"bork"}, "bork", "x"))
	f.mustRefuse("crit of what is known", f.sealed("crit", []string{"kid"}))
}

// Tokens without a limit.
func TestCVE2025_61920(t *testing.T) {
	t.Parallel()
	f := newForger(t)
	for what, assertion := range map[string]string{
		"header": f.sealed("pad", strings.Repeat("A", 200<<10)), "signature": f.input() + "." + strings.Repeat("A", 200<<10),
	} {
		if status, answer := f.presents(assertion); status < 400 || status >= 500 {
			t.Errorf("%s: got %d %v", what, status, answer)
		}
	}
}

// Encrypted tokens that are a thousand times as long when they are unpacked.
func TestCVE2025_62706(t *testing.T) {
	t.Parallel()
	f := newForger(t)
	f.mustRefuse("a bomb", f.encrypted(jose.RSA_OAEP, jose.DEFLATE, 4<<20))
}

// A key that comes in the token which it is to verify.
func TestCVE2026_27962(t *testing.T) {
	t.Parallel()
	f := newForger(t)
	own := jose.JSONWebKey{Key: f.key.Public(), KeyID: "1"}
	for what, changes := range map[string][]any{
		"jwk": {"jwk", own}, "jwk, no kid": {"jwk", own, "kid", nil}, "jku": {"jku", "https://evil.example/"}, "x5u": {"x5u", "https://evil.example/"},
	} {
		f.mustRefuse(what, f.key.Sign(f.parts(changes...)))
	}
}

// RSA1_5, which answers whether the padding was good.
func TestCVE2026_28490(t *testing.T) {
	t.Parallel()
	f := newForger(t)
	f.mustRefuse("encrypted", f.encrypted(jose.RSA1_5, jose.NONE, 0))
}

// Tokens that say that they are not signed.
func TestCVE2026_28802(t *testing.T) {
	t.Parallel()
	f := newForger(t)
	for _, alg := range []any{"none", "None", "", nil} {
		f.mustRefuse("none", f.input("alg", alg)+".")
	}
	web := f.signs("web")
	object := regexp.MustCompile(`^[^.]*\.([^.]*)\.`).FindStringSubmatch(web.object())
	header := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none","typ":"oauth-authz-req+jwt"}`))
	query := url.Values{"client_id": {"web"}, "request": {header + "." + object[1] + "."}}
	if v := f.browser().get("/authorize?" + query.Encode()); v.location != nil || v.status != http.StatusBadRequest {
		t.Errorf("a request: got %d, %v", v.status, v.location)
	}
}

// Errors that are redirected to where a request says, before anybody knows whether
// it may.
func TestCVE2026_44681(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	b := r.browser()
	for what, change := range map[string][]string{
		"nothing else":            {},
		"no response type":        {"response_type", ""},
		"a response type of none": {"response_type", "x"},
		"no scope":                {"scope", ""},
		"prompt none":             {"prompt", "none"},
		"a request by address":    {"request_uri", "https://evil.example/r"},
		"no PKCE":                 {"code_challenge", "", "code_challenge_method", ""},
		"no client":               {"client_id", ""},
		"a client of none":        {"client_id", "nobody"},
	} {
		for _, evil := range []string{"https://evil.example/", callback + "@evil.example/", "javascript:alert(1)", "//evil.example/"} {
			v := b.authorize("web", append([]string{"redirect_uri", evil}, change...)...)
			if v.location != nil || v.status != http.StatusBadRequest || strings.Contains(v.body, `href="`+evil) {
				t.Errorf("%s, to %s: got %d %v", what, evil, v.status, v.location)
			}
		}
	}
}
