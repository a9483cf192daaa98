package rstest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// A Key signs tokens, or the DPoP proofs of a client.
type Key struct {
	Alg string // ES256, RS256, PS256 or EdDSA
	ID  string // its kid

	private crypto.Signer
}

// NewKey makes a key. It panics if there is no such algorithm; the errors of
// crypto/rand are none.
func NewKey(alg string) Key {
	k := Key{Alg: alg, ID: rand.Text()}
	switch alg {
	case "ES256":
		k.private, _ = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case "EdDSA":
		_, k.private, _ = ed25519.GenerateKey(rand.Reader)
	case "RS256", "PS256":
		k.private, _ = rsa.GenerateKey(rand.Reader, 2048)
	default:
		panic("rstest: no such algorithm: " + alg)
	}
	return k
}

// Public is the public key.
func (k Key) Public() crypto.PublicKey { return k.private.Public() }

// Thumbprint is what the cnf claim of a token that is bound to the key has as jkt
// (RFC 7638, RFC 9449 §6.1):
//
//	claims["cnf"] = map[string]any{"jkt": key.Thumbprint()}
func (k Key) Thumbprint() string {
	jwk := jose.JSONWebKey{Key: k.Public()}
	sum, _ := jwk.Thumbprint(crypto.SHA256) // of a good key there is one
	return encode(sum)
}

// Proof makes a DPoP proof for a request with an access token (RFC 9449 §4.2).
func (k Key) Proof(method, url, token string, now time.Time) string {
	return k.ProofWithNonce(method, url, token, "", now)
}

// ProofWithNonce is Proof with a nonce that the API gave (RFC 9449 §9); "" for none.
func (k Key) ProofWithNonce(method, url, token, nonce string, now time.Time) string {
	sum := sha256.Sum256([]byte(token))
	claims := map[string]any{"jti": rand.Text(), "htm": method, "htu": url, "iat": now.Unix(), "ath": encode(sum[:])}
	if nonce != "" {
		claims["nonce"] = nonce
	}
	payload, _ := json.Marshal(claims)
	return k.Sign(map[string]any{"alg": k.Alg, "typ": "dpop+jwt", "jwk": jose.JSONWebKey{Key: k.Public()}}, payload)
}

// Sign signs a payload under any header, also one that no library would write.
func (k Key) Sign(header map[string]any, payload []byte) string {
	head, _ := json.Marshal(header)
	input := encode(head) + "." + encode(payload)
	return input + "." + encode(k.signature(input))
}

func (k Key) signature(input string) []byte {
	sum := sha256.Sum256([]byte(input))
	switch private := k.private.(type) {
	case ed25519.PrivateKey:
		return ed25519.Sign(private, []byte(input))
	case *ecdsa.PrivateKey:
		r, s, _ := ecdsa.Sign(rand.Reader, private, sum[:])
		return append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...)
	}
	var options crypto.SignerOpts = crypto.SHA256
	if k.Alg == "PS256" {
		options = &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: crypto.SHA256}
	}
	signature, _ := k.private.Sign(rand.Reader, sum[:], options)
	return signature
}

func encode(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }
