package keys

import (
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// The values of typ that are signed.
const (
	TypeJWT         = "JWT"        // an ID token (RFC 7519 §5.1)
	TypeAccessToken = "at+jwt"     // RFC 9068 §2.1
	TypeLogoutToken = "logout+jwt" // OpenID Connect Back-Channel Logout §2.4
)

var types = []string{TypeJWT, TypeAccessToken, TypeLogoutToken}

// Set is a snapshot of the keys that are published, and of those that sign. It
// never changes.
type Set struct {
	keys    []*Key
	signers map[string]signer // by algorithm
	jwks    []byte
	etag    string
}

// signer is a key with its protected headers made.
type signer struct {
	*Key
	headers map[string]string // typ → base64url(header) + "."
}

// NewSet makes a set of keys, the newest first: the first of an algorithm signs.
// It does not look at their times; SetAt does.
func NewSet(list []*Key) (*Set, error) { return newSet(list, func(*Key) bool { return true }) }

// SetAt makes the set of a moment from keys, the newest first: those not retired
// are published, and of each algorithm the first whose time has come signs. An
// algorithm may be left without one.
func SetAt(list []*Key, now time.Time) (*Set, error) {
	published := slices.DeleteFunc(slices.Clone(list), func(k *Key) bool { return k.stateAt(now) == StateRetired })
	return newSet(published, func(k *Key) bool { return k.stateAt(now) == StateSigning })
}

func newSet(list []*Key, signs func(*Key) bool) (*Set, error) {
	s := &Set{keys: slices.Clone(list), signers: map[string]signer{}}
	for _, k := range list {
		if _, ok := s.signers[k.Alg]; !ok && signs(k) {
			s.signers[k.Alg] = signer{k, headers(k)}
		}
	}
	var err error
	if s.jwks, err = publish(list); err != nil {
		return nil, fmt.Errorf("keys: publish: %w", err)
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

// JWKS is the published key set (RFC 7517 §5) and its entity tag. The caller must
// not change the bytes.
func (s *Set) JWKS() (body []byte, etag string) { return s.jwks, s.etag }

// Signer returns the key that signs with an algorithm now.
func (s *Set) Signer(alg string) (k *Key, ok bool) {
	signer, ok := s.signers[alg]
	return signer.Key, ok
}

// Sign returns the claims, a JSON object, as a compact JWS with the algorithm's
// key (RFC 7515 §3.1). typ is one of the types above. An error if there is no key
// for the algorithm, the typ is another, or the key's holder fails.
func (s *Set) Sign(alg, typ string, claims []byte) (string, error) {
	k, ok := s.signers[alg]
	header, known := k.headers[typ]
	if !ok || !known {
		return "", fmt.Errorf("keys: no key for %s %s", alg, typ)
	}
	b64 := base64.RawURLEncoding
	jws := make([]byte, 0, len(header)+b64.EncodedLen(len(claims))+1+b64.EncodedLen(256))
	jws = b64.AppendEncode(append(jws, header...), claims)
	signature, err := k.signature(jws)
	if err != nil {
		return "", fmt.Errorf("keys: sign: %w", err)
	}
	return string(b64.AppendEncode(append(jws, '.'), signature)), nil
}

// longestJWS bounds what Verify reads, in bytes.
const longestJWS = 16 << 10

// ErrSignature: it is not a token that a key of this set signed.
var ErrSignature = errors.New("keys: not signed by a key of this server")

// Header is what a verified token says about itself.
type Header struct{ KeyID, Alg, Type string }

// Verify returns the payload of an ID token that comes back, an id_token_hint.
// It is VerifyType for TypeJWT.
func (s *Set) Verify(compact string, allowed ...string) ([]byte, error) {
	payload, _, err := s.VerifyType(compact, TypeJWT, allowed...)
	return payload, err
}

// VerifyType returns the payload and the header of a compact JWS of at most 16
// KiB that a published key signed, with one of the algorithms and of the typ:
// an access token is no ID token (RFC 8725 §3.11). None of them is taken from the
// token: its kid looks up a key, and the key says the algorithm (RFC 8725 §3.1).
// ErrSignature otherwise. The claims are not looked at: it may have expired.
func (s *Set) VerifyType(compact, typ string, allowed ...string) (payload []byte, h Header, err error) {
	if len(compact) > longestJWS || strings.Count(compact, ".") != 2 || strings.ContainsAny(compact, "\r\n") {
		return nil, h, ErrSignature
	}
	accepted := make([]jose.SignatureAlgorithm, len(allowed))
	for i, alg := range allowed {
		accepted[i] = jose.SignatureAlgorithm(alg)
	}
	jws, err := jose.ParseSignedCompact(compact, accepted)
	if err != nil {
		return nil, h, ErrSignature
	}
	header := jws.Signatures[0].Protected
	said, _ := header.ExtraHeaders[jose.HeaderType].(string)
	i := slices.IndexFunc(s.keys, func(k *Key) bool { return k.ID == header.KeyID && k.Alg == header.Algorithm })
	if i < 0 || said != typ {
		return nil, h, ErrSignature
	}
	if payload, err = jws.Verify(s.keys[i].public); err != nil {
		return nil, h, ErrSignature
	}
	return payload, Header{header.KeyID, header.Algorithm, said}, nil
}

// Ring is the current set, replaced as a whole. The zero Ring has none. It is
// safe for concurrent use.
type Ring struct{ current atomic.Pointer[Set] }

// Load returns the current set, nil if there is none yet.
func (r *Ring) Load() *Set { return r.current.Load() }

// Replace makes a set the current one.
func (r *Ring) Replace(s *Set) { r.current.Store(s) }
