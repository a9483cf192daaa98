package keys

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"encoding/base64"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// The algorithms of signatures (RFC 7518 §3.1, RFC 8037 §3.1).
const (
	RS256 = "RS256"
	ES256 = "ES256"
	EdDSA = "EdDSA"
)

// Algs are the algorithms that a server has a key for.
func Algs() []string { return slices.Clone(algs) }

var algs = []string{RS256, ES256, EdDSA}

// smallestRSA is the shortest modulus that is used, in bits (RFC 7518 §3.3).
const smallestRSA = 2048

// Key is a signing key. Its life is: published, then it also signs, then it is
// only published, then gone. It prints as [redacted].
type Key struct {
	redacted
	ID      string // kid: the JWK thumbprint (RFC 7638 §3)
	Alg     string // RS256, ES256 or EdDSA
	Private crypto.Signer
	// CreatedAt is when a server made it. Zero: it has not said.
	CreatedAt time.Time
	// NotBefore is when it begins to sign: later than every cached JWKS without it
	// has expired. Zero: at once.
	NotBefore time.Time
	// Retire is when it is no longer published: later than every token that it
	// signed has expired. Zero: never.
	Retire time.Time
	public jose.JSONWebKey
}

// GenerateKey makes a key for an algorithm: RSA with 2048 bits, P-256 or
// Ed25519. RSA takes tens of milliseconds, now and then some hundred.
func GenerateKey(alg string) (*Key, error) {
	var private crypto.Signer
	var err error
	switch alg {
	case RS256:
		private, err = rsa.GenerateKey(rand.Reader, smallestRSA)
	case ES256:
		private, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case EdDSA:
		_, private, err = ed25519.GenerateKey(rand.Reader)
	default:
		return nil, fmt.Errorf("keys: no algorithm %q", alg)
	}
	if err != nil {
		return nil, fmt.Errorf("keys: generate: %w", err)
	}
	return newKey(alg, private)
}

func newKey(alg string, private crypto.Signer) (*Key, error) {
	public := jose.JSONWebKey{Key: private.Public(), Algorithm: alg, Use: "sig"}
	thumbprint, err := public.Thumbprint(crypto.SHA256)
	if err != nil {
		return nil, fmt.Errorf("keys: thumbprint: %w", err)
	}
	public.KeyID = base64.RawURLEncoding.EncodeToString(thumbprint)
	return &Key{ID: public.KeyID, Alg: alg, Private: private, public: public}, nil
}

// stateAt does not know of newer keys: the first one of several signs.
func (k *Key) stateAt(now time.Time) State { return stateOf(k.NotBefore, k.Retire, now) }

// MarshalPrivate returns the private key as PKCS #8 (RFC 5208 §5), to be sealed.
func (k *Key) MarshalPrivate() ([]byte, error) { return x509.MarshalPKCS8PrivateKey(k.Private) }

// ParsePrivate reads a PKCS #8 private key. A key that does not fit the
// algorithm, or an RSA key of fewer than 2048 bits, is an error.
func ParsePrivate(alg string, der []byte) (*Key, error) {
	parsed, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		return nil, fmt.Errorf("keys: parse private key: %w", err)
	}
	fits := false
	switch k := parsed.(type) {
	case *rsa.PrivateKey:
		fits = alg == RS256 && k.N.BitLen() >= smallestRSA
	case *ecdsa.PrivateKey:
		fits = alg == ES256 && k.Curve == elliptic.P256()
	case ed25519.PrivateKey:
		fits = alg == EdDSA
	}
	if !fits {
		return nil, fmt.Errorf("keys: the key does not fit %s", alg)
	}
	return newKey(alg, parsed.(crypto.Signer))
}

// signature signs the input of a JWS (RFC 7518 §3, RFC 8037 §3.1).
func (k *Key) signature(input []byte) ([]byte, error) {
	if k.Alg == EdDSA {
		return k.Private.Sign(rand.Reader, input, crypto.Hash(0))
	}
	digest := sha256.Sum256(input)
	signature, err := k.Private.Sign(rand.Reader, digest[:], crypto.SHA256)
	if err != nil || k.Alg != ES256 {
		return signature, err
	}
	return rawECDSA(signature)
}

// rawECDSA turns the ASN.1 form into r || s of P-256 (RFC 7518 §3.4).
func rawECDSA(der []byte) ([]byte, error) {
	var rs struct{ R, S *big.Int }
	if rest, err := asn1.Unmarshal(der, &rs); err != nil || len(rest) != 0 {
		return nil, errors.New("not an ECDSA signature")
	}
	if rs.R.Sign() <= 0 || rs.S.Sign() <= 0 || rs.R.BitLen() > 256 || rs.S.BitLen() > 256 {
		return nil, errors.New("not an ECDSA signature of P-256")
	}
	raw := make([]byte, 64)
	rs.R.FillBytes(raw[:32])
	rs.S.FillBytes(raw[32:])
	return raw, nil
}
