package rs_test

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
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"

	"github.com/sallyport-id/sallyport/rs/rstest"
)

// What went wrong in a library for the same purpose, Authlib, and must not here, by
// the names of the advisories. TestJWTForgeries has more of the kind.

// A forger has the claims of a good token and what is public.
type forger struct {
	api
	header  map[string]any
	payload []byte
}

func newForger(t *testing.T) forger {
	a := newAPI(t)
	_, kid := issuerKey(t, a)
	payload, _ := json.Marshal(a.Claims(orders, "orders:read"))
	f := forger{a, map[string]any{"alg": "ES256", "kid": kid, "typ": "at+jwt"}, payload}
	f.wantAccepted("as it should be", f.bearer(f.Sign(f.header, payload)))
	return f
}

// input is what is signed.
func (f forger) input() string {
	header, _ := json.Marshal(f.header)
	return base64.RawURLEncoding.EncodeToString(header) + "." + base64.RawURLEncoding.EncodeToString(f.payload)
}

func (f forger) encrypted(alg jose.KeyAlgorithm, zip jose.CompressionAlgorithm, payload []byte) string {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		f.t.Fatal(err)
	}
	encrypter, err := jose.NewEncrypter(jose.A128CBC_HS256, jose.Recipient{Algorithm: alg, Key: key.Public()}, (&jose.EncrypterOptions{Compression: zip}).WithType("at+jwt"))
	if err != nil {
		f.t.Fatal(err)
	}
	jwe, err := encrypter.Encrypt(payload)
	if err != nil {
		f.t.Fatal(err)
	}
	text, err := jwe.CompactSerialize()
	if err != nil {
		f.t.Fatal(err)
	}
	return text
}

// The public key as the secret of a MAC.
func TestCVE2024_37568(t *testing.T) {
	t.Parallel()
	f := newForger(t)
	key, _ := issuerKey(t, f.api)
	der, _ := x509.MarshalPKIXPublicKey(key.Key)
	jwk, _ := key.MarshalJSON()
	for name, secret := range map[string][]byte{
		"DER": der, "PEM": pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}), "JWK": jwk,
	} {
		f.header["alg"] = "HS256"
		mac := hmac.New(sha256.New, secret)
		mac.Write([]byte(f.input()))
		f.wantInvalid(name, f.bearer(f.input()+"."+base64.RawURLEncoding.EncodeToString(mac.Sum(nil))))
	}
}

// Extensions that are critical and unknown.
func TestCVE2025_59420(t *testing.T) {
	t.Parallel()
	f := newForger(t)
	f.header["crit"], f.header["bork"] = []string{"bork"}, "x"
	f.wantInvalid("unknown", f.bearer(f.Sign(f.header, f.payload)))
	f.header["crit"] = []string{"kid"}
	f.wantInvalid("known", f.bearer(f.Sign(f.header, f.payload)))
}

// Tokens without a limit.
func TestCVE2025_61920(t *testing.T) {
	t.Parallel()
	f := newForger(t)
	padding := strings.Repeat("A", 1<<20)
	f.wantInvalid("claims", f.bearer(f.Sign(f.header, []byte(`{"pad":"`+padding+`"}`))))
	f.header["pad"] = padding
	f.wantInvalid("header", f.bearer(f.Sign(f.header, f.payload)))
	f.wantInvalid("signature", f.bearer(f.input()+"."+padding))
}

// Encrypted tokens that are a thousand times as long when they are unpacked.
func TestCVE2025_62706(t *testing.T) {
	t.Parallel()
	f := newForger(t)
	bomb := f.encrypted(jose.RSA_OAEP, jose.DEFLATE, append(f.payload, bytes.Repeat([]byte(" "), 4<<20)...))
	if len(bomb) > 16<<10 {
		t.Fatalf("the bomb has %d bytes", len(bomb))
	}
	f.wantInvalid("a bomb", f.bearer(bomb))
}

// A key that comes in the token which it is to verify.
func TestCVE2026_27962(t *testing.T) {
	t.Parallel()
	f := newForger(t)
	own := rstest.NewKey("ES256")
	f.header["jwk"] = jose.JSONWebKey{Key: own.Public()}
	f.wantInvalid("with the server's kid", f.bearer(own.Sign(f.header, f.payload)))
	delete(f.header, "kid")
	f.wantInvalid("without a kid", f.bearer(own.Sign(f.header, f.payload)))
}

// RSA1_5, which answers whether the padding was good: the same answer to all, since
// nothing is decrypted.
func TestCVE2026_28490(t *testing.T) {
	t.Parallel()
	f := newForger(t)
	good := f.encrypted(jose.RSA1_5, jose.NONE, f.payload)
	parts := strings.Split(good, ".")
	parts[1] = strings.Repeat("A", len(parts[1]))
	first, second := f.bearer(good), f.bearer(strings.Join(parts, "."))
	f.wantInvalid("good padding", first)
	f.wantInvalid("bad padding", second)
	if first.Body.String() != second.Body.String() {
		t.Errorf("got %s and %s", first.Body, second.Body)
	}
}

// Tokens that say that they are not signed.
func TestCVE2026_28802(t *testing.T) {
	t.Parallel()
	f := newForger(t)
	for _, alg := range []any{"none", "None", "NONE", "", nil} {
		f.header["alg"] = alg
		f.wantInvalid("none", f.bearer(f.input()+"."))
	}
}
