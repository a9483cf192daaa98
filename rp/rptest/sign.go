package rptest

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"strings"

	"github.com/go-jose/go-jose/v4"
)

type signingKey struct {
	id      string
	private crypto.Signer
}

// newSigningKey makes a key; its errors are those of crypto/rand, which has none.
func newSigningKey(alg string) signingKey {
	k := signingKey{id: rand.Text()}
	switch alg {
	case "ES256":
		k.private, _ = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case "EdDSA":
		_, k.private, _ = ed25519.GenerateKey(rand.Reader)
	case "RS256", "PS256":
		k.private, _ = rsa.GenerateKey(rand.Reader, 2048)
	default:
		panic("rptest: no such algorithm: " + alg)
	}
	return k
}

func (p *Provider) signing() (alg string, key signingKey) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.alg, p.key
}

// sign signs claims as a token of a type, "" for none, with whatever faults are
// on.
func (p *Provider) sign(typ string, claims map[string]any) string {
	payload, _ := json.Marshal(claims)
	if p.is(DuplicateClaims) {
		payload = append([]byte(`{"sub":"admin",`), payload[1:]...)
	}
	if p.is(EncryptedRSA15) {
		return encrypt(jose.RSA1_5, payload, jose.NONE)
	}
	if p.is(EncryptedBomb) {
		return encrypt(jose.RSA_OAEP, append(payload, bytes.Repeat([]byte(" "), 1<<20)...), jose.DEFLATE)
	}
	alg, key := p.signing()
	head := map[string]any{"alg": alg, "kid": key.id}
	if typ != "" {
		head["typ"] = typ
	}
	if p.is(OwnKey) || p.is(OwnKeyAddress) {
		key = newSigningKey(alg)
	}
	p.breakHeader(head, key)
	text, _ := json.Marshal(head)
	input := encode(text) + "." + encode(payload)
	switch {
	case p.is(AlgNone):
		return input + "."
	case p.is(HMACPublicKey):
		der, _ := x509.MarshalPKIXPublicKey(key.private.Public())
		mac := hmac.New(sha256.New, der)
		mac.Write([]byte(input))
		return input + "." + encode(mac.Sum(nil))
	case p.is(BadSignature):
		key = newSigningKey(alg)
	}
	return input + "." + encode(signature(alg, key.private, input))
}

func (p *Provider) breakHeader(head map[string]any, key signingKey) {
	changes := map[Fault][2]string{
		AlgNone:         {"alg", "none"},
		UnknownAlg:      {"alg", "XS256"},
		OwnKeyAddress:   {"jku", p.Issuer + "/other-keys.json"},
		HMACPublicKey:   {"alg", "HS256"},
		UnknownKey:      {"kid", "unknown"},
		WrongKeyAlg:     {"alg", "RS256"},
		AccessTokenType: {"typ", "at+jwt"},
		LogoutTokenType: {"typ", "logout+jwt"},
	}
	for fault, change := range changes {
		if p.is(fault) {
			head[change[0]] = change[1]
		}
	}
	if p.is(OwnKey) {
		head["jwk"] = jose.JSONWebKey{Key: key.private.Public()}
	}
	if p.is(CriticalHeader) {
		head["crit"], head["exp"] = []string{"exp"}, 1
	}
}

// encrypt encrypts for a key that the client does not have either. Its errors are
// those of crypto/rand, which has none.
func encrypt(alg jose.KeyAlgorithm, payload []byte, zip jose.CompressionAlgorithm) string {
	private, _ := rsa.GenerateKey(rand.Reader, 2048)
	encrypter, _ := jose.NewEncrypter(jose.A128CBC_HS256, jose.Recipient{Algorithm: alg, Key: private.Public()}, &jose.EncrypterOptions{Compression: zip})
	jwe, _ := encrypter.Encrypt(payload)
	text, _ := jwe.CompactSerialize()
	return text
}

func encode(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

// signature signs by hand: a signer of go-jose would refuse the faults.
func signature(alg string, key crypto.Signer, input string) []byte {
	sum := sha256.Sum256([]byte(input))
	switch k := key.(type) {
	case ed25519.PrivateKey:
		return ed25519.Sign(k, []byte(input))
	case *ecdsa.PrivateKey:
		r, s, _ := ecdsa.Sign(rand.Reader, k, sum[:])
		return append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...)
	}
	var options crypto.SignerOpts = crypto.SHA256
	if alg == "PS256" {
		options = &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: crypto.SHA256}
	}
	sig, _ := key.Sign(rand.Reader, sum[:], options)
	return sig
}

func tokenHash(alg, token string) string {
	if alg == "EdDSA" {
		sum := sha512.Sum512([]byte(token))
		return encode(sum[:32])
	}
	sum := sha256.Sum256([]byte(token))
	return encode(sum[:16])
}

// keySet is the key set, behind a key of a type that nobody knows: clients must
// step over it.
func (p *Provider) keySet() string {
	alg, key := p.signing()
	text, _ := json.Marshal(jose.JSONWebKey{Key: key.private.Public(), KeyID: key.id, Use: "sig", Algorithm: alg})
	return strings.Join([]string{`{"keys":[{"kty":"AKP","alg":"ML-DSA-44","kid":"new","pub":"AAAA"},`, string(text), `]}`}, "")
}
