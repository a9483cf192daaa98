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
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/big"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/go-jose/go-jose/v4"
)

// The algorithms of signatures (RFC 7518 §3.1, RFC 8037 §3.1).
const (
	RS256 = "RS256"
	ES256 = "ES256"
	EdDSA = "EdDSA"
)

// Algs are the algorithms that a server has a key for.
var algs = []string{RS256, ES256, EdDSA}

// Key is a signing key.
type Key struct {
	ID      string // kid: the JWK thumbprint (RFC 7638)
	Alg     string
	Private crypto.Signer
	public  jose.JSONWebKey
}

// LogValue keeps the private key out of logs.
func (k *Key) LogValue() slog.Value { return slog.StringValue(k.Alg + " key " + k.ID) }

// String keeps the private key out of messages.
func (k *Key) String() string { return k.Alg + " key " + k.ID }

// GenerateKey makes a new key for an algorithm.
func GenerateKey(alg string) (*Key, error) {
	var private crypto.Signer
	var err error
	switch alg {
	case RS256:
		private, err = rsa.GenerateKey(rand.Reader, 2048)
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

// MarshalPrivate returns the private key as PKCS #8, to be sealed.
func (k *Key) MarshalPrivate() ([]byte, error) { return x509.MarshalPKCS8PrivateKey(k.Private) }

// ParsePrivate reads a PKCS #8 private key; the key must fit the algorithm.
func ParsePrivate(alg string, der []byte) (*Key, error) {
	parsed, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		return nil, fmt.Errorf("keys: parse private key: %w", err)
	}
	fits := false
	switch k := parsed.(type) {
	case *rsa.PrivateKey:
		fits = alg == RS256 && k.N.BitLen() >= 2048
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

// Set is a snapshot of the keys that are published; the newest of an algorithm
// signs. It never changes.
type Set struct {
	keys    []*Key
	signers map[string]signer
	jwks    []byte
	etag    string
}

// signer is a key with its protected header made.
type signer struct {
	*Key
	headers map[string]string // typ → base64url(header) + "."
}

// types are the values of typ that are signed.
var types = []string{"JWT", "at+jwt", "logout+jwt"}

// NewSet makes a set of keys, the newest first.
func NewSet(list []*Key) (*Set, error) {
	s := &Set{keys: list, signers: map[string]signer{}}
	published := jose.JSONWebKeySet{Keys: []jose.JSONWebKey{}}
	for _, k := range list {
		published.Keys = append(published.Keys, k.public)
		if _, ok := s.signers[k.Alg]; !ok {
			s.signers[k.Alg] = signer{Key: k, headers: headers(k)}
		}
	}
	var err error
	if s.jwks, err = json.Marshal(published); err != nil {
		return nil, fmt.Errorf("keys: marshal jwks: %w", err)
	}
	s.etag = ETag(s.jwks)
	return s, nil
}

func headers(k *Key) map[string]string {
	made := make(map[string]string, len(types))
	for _, typ := range types {
		header := fmt.Sprintf(`{"alg":%q,"kid":%q,"typ":%q}`, k.Alg, k.ID, typ)
		made[typ] = base64.RawURLEncoding.EncodeToString([]byte(header)) + "."
	}
	return made
}

// ETag is an entity tag over a document.
func ETag(body []byte) string {
	sum := sha256.Sum256(body)
	return `"` + base64.RawURLEncoding.EncodeToString(sum[:12]) + `"`
}

// JWKS is the published key set (RFC 7517 §5) and its entity tag.
func (s *Set) JWKS() (body []byte, etag string) { return s.jwks, s.etag }

// Sign returns the claims as a compact JWS with the algorithm's newest key
// (RFC 7515 §3.1). typ is one of JWT, at+jwt and logout+jwt.
func (s *Set) Sign(alg, typ string, claims []byte) (string, error) {
	k, ok := s.signers[alg]
	header, known := k.headers[typ]
	if !ok || !known {
		return "", fmt.Errorf("keys: no key for %s %s", alg, typ)
	}
	n := len(header) + base64.RawURLEncoding.EncodedLen(len(claims))
	jws := make([]byte, 0, n+1+base64.RawURLEncoding.EncodedLen(256))
	jws = base64.RawURLEncoding.AppendEncode(append(jws, header...), claims)
	signature, err := k.signature(jws)
	if err != nil {
		return "", fmt.Errorf("keys: sign: %w", err)
	}
	return string(base64.RawURLEncoding.AppendEncode(append(jws, '.'), signature)), nil
}

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

// rawECDSA turns the ASN.1 form into r || s (RFC 7518 §3.4).
func rawECDSA(der []byte) ([]byte, error) {
	var rs struct{ R, S *big.Int }
	if _, err := asn1.Unmarshal(der, &rs); err != nil {
		return nil, err
	}
	raw := make([]byte, 64)
	rs.R.FillBytes(raw[:32])
	rs.S.FillBytes(raw[32:])
	return raw, nil
}

// longestJWS bounds what Verify reads, in bytes.
const longestJWS = 16 << 10

// ErrSignature: it is not a token that a key of this set signed.
var ErrSignature = errors.New("keys: not signed by a key of this server")

// Verify returns the payload of a compact JWS that one of the set's keys signed
// with one of the algorithms. Neither is taken from the token: the kid looks up
// a key, and the key says the algorithm (RFC 8725 §3.1).
func (s *Set) Verify(compact string, allowed ...string) ([]byte, error) {
	if len(compact) > longestJWS || strings.Count(compact, ".") != 2 {
		return nil, ErrSignature
	}
	accepted := make([]jose.SignatureAlgorithm, len(allowed))
	for i, alg := range allowed {
		accepted[i] = jose.SignatureAlgorithm(alg)
	}
	jws, err := jose.ParseSignedCompact(compact, accepted)
	if err != nil {
		return nil, ErrSignature
	}
	header := jws.Signatures[0].Header
	i := slices.IndexFunc(s.keys, func(k *Key) bool { return k.ID == header.KeyID && k.Alg == header.Algorithm })
	if i < 0 {
		return nil, ErrSignature
	}
	payload, err := jws.Verify(s.keys[i].public)
	if err != nil {
		return nil, ErrSignature
	}
	return payload, nil
}

// Ring is the current set, replaced as a whole.
type Ring struct{ current atomic.Pointer[Set] }

// Load returns the current set.
func (r *Ring) Load() *Set { return r.current.Load() }

// Replace makes a set the current one.
func (r *Ring) Replace(s *Set) { r.current.Store(s) }
