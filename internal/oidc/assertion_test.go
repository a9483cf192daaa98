package oidc_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/sallyport-id/sallyport/internal/oidc"
)

const issuer = "https://id.example.com"

var rsaKey = sync.OnceValues(func() (*rsa.PrivateKey, error) { return rsa.GenerateKey(rand.Reader, 2048) })

// newKey makes a private key for an algorithm.
func newKey(t testing.TB, alg, kid string) jose.JSONWebKey {
	t.Helper()
	var key crypto.Signer
	var err error
	switch alg {
	case "ES256":
		key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case "EdDSA":
		_, key, err = ed25519.GenerateKey(rand.Reader)
	default:
		key, err = rsaKey()
	}
	if err != nil {
		t.Fatal(err)
	}
	return jose.JSONWebKey{Key: key, KeyID: kid, Algorithm: alg, Use: "sig"}
}

func keySet(t testing.TB, keys ...jose.JSONWebKey) []byte {
	t.Helper()
	text, err := json.Marshal(jose.JSONWebKeySet{Keys: keys})
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// sign signs claims with a key, in a header with these members.
func sign(t testing.TB, key jose.JSONWebKey, claims map[string]any, header map[jose.HeaderKey]any) string {
	t.Helper()
	s, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.SignatureAlgorithm(key.Algorithm), Key: key}, &jose.SignerOptions{ExtraHeaders: header})
	if err != nil {
		t.Fatal(err)
	}
	payload, err := json.Marshal(claims)
	if err != nil {
		t.Fatal(err)
	}
	jws, err := s.Sign(payload)
	if err != nil {
		t.Fatal(err)
	}
	text, err := jws.CompactSerialize()
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func signer(t testing.TB, keys ...jose.JSONWebKey) *oidc.Client {
	c := shop()
	c.AuthMethod, c.SecretHashes = oidc.AuthPrivateKeyJWT, nil
	public := []jose.JSONWebKey{}
	for _, key := range keys {
		public = append(public, key.Public())
	}
	c.JWKS = keySet(t, public...)
	if err := c.Validate(); err != nil {
		t.Fatal(err)
	}
	return c
}

// assertion claims, good now, changed by pairs; a nil takes one away.
func assertionClaims(now time.Time, change ...any) map[string]any {
	claims := map[string]any{"iss": "shop", "sub": "shop", "aud": issuer, "jti": "1", "exp": now.Add(time.Minute).Unix(), "iat": now.Unix()}
	for i := 0; i < len(change); i += 2 {
		if claims[change[i].(string)] = change[i+1]; change[i+1] == nil {
			delete(claims, change[i].(string))
		}
	}
	return claims
}

func authenticates(t testing.TB, c *oidc.Client, text string, now time.Time) *oidc.Error {
	return proves(c, keysOf(t, c), text, now)
}

// keysOf are a client's registered keys.
func keysOf(t testing.TB, c *oidc.Client) *oidc.ClientKeys {
	t.Helper()
	keys, err := oidc.ParseClientKeys(c.JWKS)
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

// proves sends the assertion of a client that has these keys.
func proves(c *oidc.Client, keys oidc.AssertionKeys, text string, now time.Time) *oidc.Error {
	r, refusal := oidc.ParseTokenRequest(nil, url.Values{"grant_type": {"refresh_token"}, "refresh_token": {"x"},
		"client_assertion_type": {oidc.AssertionType}, "client_assertion": {text}})
	if refusal != nil {
		return refusal
	}
	_, refusal = oidc.CheckAssertion(c, keys, r.Auth, issuer, now)
	return refusal
}

func TestClientAssertion(t *testing.T) {
	t.Parallel()
	now := time.Unix(1_800_000_000, 0)
	key := newKey(t, "ES256", "k")
	other := newKey(t, "ES256", "k")
	seconds := func(d time.Duration) int64 { return now.Add(d).Unix() }
	old := signer(t, key)
	old.InsecureTokenEndpointAudience = true
	pinned := signer(t, key, newKey(t, "PS256", "r"))
	pinned.AssertionAlg = "PS256"
	withSecret := signer(t, key)
	withSecret.AuthMethod, withSecret.SecretHashes = oidc.AuthBasic, [][]byte{make([]byte, 32)}
	type header = map[jose.HeaderKey]any
	for _, tt := range []struct {
		name string
		c    *oidc.Client
		text string
		want string // in the description; "" for good
	}{
		{"good", signer(t, key), sign(t, key, assertionClaims(now), nil), ""},
		{"typ JWT", signer(t, key), sign(t, key, assertionClaims(now), header{"typ": "JWT"}), ""},
		{"one hour", signer(t, key), sign(t, key, assertionClaims(now, "exp", seconds(time.Hour)), nil), ""},
		{"nbf 8 seconds ahead", signer(t, key), sign(t, key, assertionClaims(now, "nbf", seconds(8*time.Second)), nil), ""},
		{"signed by another", signer(t, key), sign(t, other, assertionClaims(now), nil), "not signed"},
		{"no iss", signer(t, key), sign(t, key, assertionClaims(now, "iss", nil), nil), "iss and sub"},
		{"iss of another", signer(t, key), sign(t, key, assertionClaims(now, "iss", "bank"), nil), "iss and sub"},
		{"no sub", signer(t, key), sign(t, key, assertionClaims(now, "sub", nil), nil), "no sub"},
		{"no aud", signer(t, key), sign(t, key, assertionClaims(now, "aud", nil), nil), "aud"},
		{"aud is a list", signer(t, key), sign(t, key, assertionClaims(now, "aud", []string{issuer}), nil), "aud"},
		{"aud is the token endpoint", signer(t, key), sign(t, key, assertionClaims(now, "aud", issuer+"/token"), nil), "aud"},
		{"aud is the token endpoint, allowed", old, sign(t, key, assertionClaims(now, "aud", issuer+"/token"), nil), ""},
		{"aud is the PAR endpoint", old, sign(t, key, assertionClaims(now, "aud", issuer+"/par"), nil), "aud"},
		{"no jti", signer(t, key), sign(t, key, assertionClaims(now, "jti", nil), nil), "jti"},
		{"long jti", signer(t, key), sign(t, key, assertionClaims(now, "jti", strings.Repeat("x", 129)), nil), "jti"},
		{"no exp", signer(t, key), sign(t, key, assertionClaims(now, "exp", nil), nil), "exp is missing"},
		{"expired", signer(t, key), sign(t, key, assertionClaims(now, "exp", seconds(-5*time.Minute)), nil), "expired"},
		{"two hours", signer(t, key), sign(t, key, assertionClaims(now, "exp", seconds(2*time.Hour)), nil), "too far"},
		{"nbf 61 seconds ahead", signer(t, key), sign(t, key, assertionClaims(now, "nbf", seconds(61*time.Second)), nil), "nbf"},
		{"iat 61 seconds ahead", signer(t, key), sign(t, key, assertionClaims(now, "iat", seconds(61*time.Second)), nil), "iat"},
		{"a request object", signer(t, key), sign(t, key, assertionClaims(now), header{"typ": "oauth-authz-req+jwt"}), "typ"},
		{"another algorithm", pinned, sign(t, key, assertionClaims(now), nil), "algorithm"},
		{"alg none", signer(t, key), "eyJhbGciOiJub25lIn0." + strings.Split(sign(t, key, assertionClaims(now), nil), ".")[1] + ".", "algorithm"},
		{"of a client with a secret", withSecret, sign(t, key, assertionClaims(now), nil), "authentication failed"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got := authenticates(t, tt.c, tt.text, now)
			if (got == nil) != (tt.want == "") || got != nil && (got.Code != oidc.InvalidClient || !strings.Contains(got.Description, tt.want)) {
				t.Errorf("got %v, want invalid_client with %q", got, tt.want)
			}
		})
	}
	for _, alg := range oidc.ClientAlgs {
		key := newKey(t, alg, "k")
		if refusal := authenticates(t, signer(t, key), sign(t, key, assertionClaims(now), nil), now); refusal != nil {
			t.Errorf("%s: got %v, want none", alg, refusal)
		}
	}
}

// A MAC whose secret is the public key, which everybody knows, is no signature
// (RFC 8725 §2.1).
func TestClientAssertionIsNoMAC(t *testing.T) {
	t.Parallel()
	now := time.Unix(1_800_000_000, 0)
	key := newKey(t, "RS256", "k")
	secret, err := json.Marshal(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	mac := sign(t, jose.JSONWebKey{Key: secret, KeyID: "k", Algorithm: "HS256"}, assertionClaims(now), nil)
	if refusal := authenticates(t, signer(t, key), mac, now); refusal == nil || refusal.Code != oidc.InvalidClient {
		t.Errorf("got %v, want invalid_client", refusal)
	}
}

func TestClientKeys(t *testing.T) {
	t.Parallel()
	ec, ed := newKey(t, "ES256", "k"), newKey(t, "EdDSA", "k")
	weak, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	encrypts := public(newKey(t, "ES256", "e"))
	encrypts.Use = "enc"
	member := func(key, with string) string {
		return `{"keys":[` + strings.TrimSuffix(key, "}") + with + `}]}`
	}
	text, err := ec.Public().MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name, set, want string
	}{
		{"good", string(keySet(t, ec.Public())), ""},
		{"one is for encryption", string(keySet(t, ec.Public(), encrypts)), ""},
		{"a member twice", member(string(text), `,"x":1`), "not a JWK Set"},
		{"unknown members", member(string(text), `,"note":"ours","x5t#S256":""`), ""},
		{"none", `{"keys":[]}`, "no key"},
		{"encryption alone", string(keySet(t, encrypts)), "no key"},
		{"not a set", `[]`, "not a JWK Set"},
		{"private", string(keySet(t, ec)), "private"},
		{"symmetric", `{"keys":[{"kty":"oct","k":"c2VjcmV0"}]}`, "private"},
		{"weak", string(keySet(t, jose.JSONWebKey{Key: &weak.PublicKey, KeyID: "w"})), "2048"},
		{"doubled kid", string(keySet(t, ec.Public(), ed.Public())), "another key's"},
		{"alg of another type", string(keySet(t, jose.JSONWebKey{Key: ec.Public().Key, Algorithm: "EdDSA"})), "type"},
		{"long", `{"keys":[],"x":"` + strings.Repeat("x", 64<<10) + `"}`, "64 KiB"},
	} {
		if _, err := oidc.ParseClientKeys([]byte(tt.set)); (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got %v, want %q", tt.name, err, tt.want)
		}
	}
}

// A client's keys are registered, or are at an address that is registered; not both.
func TestClientJWKSURI(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, uri, want string }{
		{"https", "https://shop.example/keys?a=b", ""},
		{"this machine", "http://127.0.0.1:8080/keys", ""},
		{"http", "http://shop.example/keys", "jwks_uri must be https"},
		{"file", "file:///etc/passwd", "jwks_uri must be https"},
		{"credentials", "https://u:p@shop.example/keys", "credentials"},
		{"fragment", "https://shop.example/keys#1", "fragment"},
		{"relative", "/keys", "absolute"},
	} {
		c := signer(t, newKey(t, "ES256", "k"))
		registered := c.JWKS
		c.JWKS, c.JWKSURI, c.RequireSigned = nil, tt.uri, true
		if err := c.Validate(); (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got %v, want %q", tt.name, err, tt.want)
		}
		c.JWKS = registered
		if err := c.Validate(); err == nil || !strings.Contains(err.Error(), "exclude each other") {
			t.Errorf("%s, and keys: got %v", tt.name, err)
		}
	}
}

// kid is read of what nobody has checked, whatever that is.
func TestUnprovenKeyID(t *testing.T) {
	t.Parallel()
	key := newKey(t, "ES256", "k")
	text := sign(t, key, assertionClaims(time.Now()), nil)
	for of, want := range map[string]string{
		text: "k", "": "", "e30.e30.": "", "x": "", "eyJraWQiOjF9.e30.": "", "eyJraWQiOiJhIiwia2lkIjoiYiJ9.e30.": "", text + strings.Repeat("x", 16<<10): "",
	} {
		if got := oidc.UnprovenKeyID(of); got != want {
			t.Errorf("%.40q: got %q, want %q", of, got, want)
		}
	}
	keys := keysOf(t, signer(t, key))
	if !keys.Has("") || !keys.Has("k") || keys.Has("K") {
		t.Error("the keys have others than theirs")
	}
}

func FuzzParseClientKeys(f *testing.F) {
	f.Add(keySet(f, public(newKey(f, "ES256", "k")), public(newKey(f, "EdDSA", "e"))))
	f.Add([]byte(`{"keys":[{"kty":"oct","k":"AA"}]}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		if k, err := oidc.ParseClientKeys(text); (k == nil) == (err == nil) {
			t.Errorf("got %v and %v, want one of them", k, err)
		}
	})
}

func secretSigner(t testing.TB) *oidc.Client {
	c := shop()
	c.AuthMethod, c.SecretHashes, c.SealedSecrets = oidc.AuthSecretJWT, nil, []string{"s"}
	if err := c.Validate(); err != nil {
		t.Fatal(err)
	}
	return c
}

func signSecret(t testing.TB, alg jose.SignatureAlgorithm, secret string, claims map[string]any) string {
	return sign(t, jose.JSONWebKey{Key: []byte(secret), Algorithm: string(alg)}, claims, nil)
}

// TestSecretAssertion: HS256 with a secret of the client's, and nothing else; and what keys
// check is not for secrets, nor the other way round.
func TestSecretAssertion(t *testing.T) {
	t.Parallel()
	now := time.Unix(1_800_000_000, 0)
	const secret, next, foreign = "0123456789012345678901234567890123456789012", "1123456789012345678901234567890123456789012", "2123456789012345678901234567890123456789012"
	c, secrets := secretSigner(t), oidc.SecretKeys{secret, next}
	key := newKey(t, "ES256", "k")
	withKey := signer(t, key)
	old := secretSigner(t)
	old.InsecureTokenEndpointAudience = true
	hmac := func(s string, change ...any) string {
		return signSecret(t, jose.HS256, s, assertionClaims(now, change...))
	}
	for _, tt := range []struct {
		name   string
		client *oidc.Client
		keys   oidc.AssertionKeys
		text   string
		want   string
	}{
		{"good", c, secrets, hmac(secret), ""},
		{"while a rotation lasts", c, secrets, hmac(next), ""},
		{"token endpoint, if it was said so", old, secrets, hmac(secret, "aud", issuer+"/token"), ""},
		{"token endpoint", c, secrets, hmac(secret, "aud", issuer+"/token"), "aud"},
		{"another secret", c, secrets, hmac(foreign), "not signed"},
		{"without secrets", c, oidc.SecretKeys(nil), hmac(secret), "not signed"},
		{"HS512", c, secrets, signSecret(t, jose.HS512, secret+secret, assertionClaims(now)), "algorithm"},
		{"a key", c, secrets, sign(t, key, assertionClaims(now), nil), "algorithm"},
		{"a key, checked by keys", c, keysOf(t, withKey), sign(t, key, assertionClaims(now), nil), "authentication failed"},
		{"a client with keys, by secrets", withKey, secrets, hmac(secret), "authentication failed"},
		{"a client with keys, its public key as the secret", withKey, keysOf(t, withKey), hmac(string(withKey.JWKS)), "algorithm"},
		{"expired", c, secrets, hmac(secret, "exp", now.Add(-time.Minute).Unix()), "expired"},
		{"no jti", c, secrets, hmac(secret, "jti", nil), "jti"},
		{"iss", c, secrets, hmac(secret, "iss", "other"), "iss and sub"},
	} {
		refusal := proves(tt.client, tt.keys, tt.text, now)
		if (refusal == nil) != (tt.want == "") || refusal != nil && !strings.Contains(refusal.Error(), tt.want) {
			t.Errorf("%s: got %v, want %q", tt.name, refusal, tt.want)
		}
	}
}

func FuzzCheckAssertion(f *testing.F) {
	now := time.Unix(1_800_000_000, 0)
	key := newKey(f, "ES256", "k")
	c := signer(f, key)
	good := sign(f, key, assertionClaims(now), nil)
	f.Add(good)
	f.Add("e30.e30.")
	withSecret, secrets := secretSigner(f), oidc.SecretKeys{"0123456789012345678901234567890123456789012"}
	hmac := signSecret(f, jose.HS256, string(secrets[0]), assertionClaims(now))
	f.Add(hmac)
	f.Fuzz(func(t *testing.T, text string) {
		if refusal := proves(withSecret, secrets, text, now); refusal == nil && text != hmac {
			t.Errorf("%q is good, and nobody has signed it with the secret", text)
		}
		if kid := oidc.UnprovenKeyID(text); len(kid) > len(text) {
			t.Errorf("kid %q is longer than %q", kid, text)
		}
		if refusal := authenticates(t, c, text, now); refusal == nil && text != good {
			t.Errorf("%q is good, and nobody has signed it", text)
		}
	})
}

func BenchmarkPrivateKeyJWT(b *testing.B) {
	now := time.Now()
	key := newKey(b, "ES256", "k")
	c := signer(b, key)
	keys := keysOf(b, c)
	text := sign(b, key, assertionClaims(now), nil)
	for b.Loop() {
		if refusal := proves(c, keys, text, now); refusal != nil {
			b.Fatal(refusal)
		}
	}
}

func public(key jose.JSONWebKey) jose.JSONWebKey { return key.Public() }
