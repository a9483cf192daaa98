package oidc

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/json"
)

// ClientAlgs are the algorithms in which clients sign what they send: assertions and
// request objects.
var ClientAlgs = []string{"ES256", "EdDSA", "PS256", "RS256"}

// assertionAlgs are those of assertions: a secret signs nothing else.
var assertionAlgs = append(slices.Clone(ClientAlgs), SecretAlg)

// LongestKeys is how long a client's JWK Set may be, in bytes.
const LongestKeys = 64 << 10

const (
	mostKeys      = 16
	longestSigned = 16 << 10 // an assertion or a request object
)

// ClientKeys are the public keys in which a client signs (RFC 7517 §5).
type ClientKeys struct{ keys []jose.JSONWebKey }

// ParseClientKeys reads a JWK Set: keys of P-256, Ed25519 and RSA of 2048 bits and more
// for signing; it ignores keys for other things. At least one must be left.
// Private and symmetric keys are an error, wherever they stand: whoever sends one has
// told a secret.
func ParseClientKeys(text []byte) (*ClientKeys, error) {
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if len(text) > LongestKeys {
		return nil, errors.New("jwks is longer than 64 KiB")
	}
	if err := decodeObject(text, &set); err != nil {
		return nil, errors.New("jwks is not a JWK Set: one JSON object with the member keys")
	}
	if len(set.Keys) > mostKeys {
		return nil, fmt.Errorf("jwks has more than %d keys", mostKeys)
	}
	k := &ClientKeys{}
	for i, text := range set.Keys {
		key, err := parseClientKey(text)
		if err != nil {
			return nil, fmt.Errorf("jwks, key %d: %w", i+1, err)
		}
		if key == nil {
			continue
		}
		if key.KeyID != "" && slices.ContainsFunc(k.keys, func(other jose.JSONWebKey) bool { return other.KeyID == key.KeyID }) {
			return nil, fmt.Errorf("jwks, key %d: kid is another key's, too", i+1)
		}
		k.keys = append(k.keys, *key)
	}
	if len(k.keys) == 0 {
		return nil, errors.New("jwks has no key for signing")
	}
	return k, nil
}

// parseClientKey returns nil for a key that is for something else.
func parseClientKey(text []byte) (*jose.JSONWebKey, error) {
	var head struct {
		Type string   `json:"kty"`
		Use  string   `json:"use"`
		Ops  []string `json:"key_ops"`
		Alg  string   `json:"alg"`
	}
	members := map[string]any{}
	if err := decodeObject(text, &members); err != nil {
		return nil, errors.New("is not one JSON object")
	}
	for _, secret := range []string{"d", "p", "q", "dp", "dq", "qi", "oth", "k"} {
		if _, has := members[secret]; has {
			return nil, errors.New("is private or symmetric: keep it, make another, and register its public half")
		}
	}
	if err := json.Unmarshal(text, &head); err != nil {
		return nil, errors.New("kty, use, key_ops or alg cannot be read")
	}
	switch {
	case !slices.Contains([]string{"EC", "OKP", "RSA"}, head.Type), head.Use != "" && head.Use != "sig",
		len(head.Ops) > 0 && !slices.Contains(head.Ops, "verify"), head.Alg != "" && !slices.Contains(ClientAlgs, head.Alg):
		return nil, nil
	}
	key := &jose.JSONWebKey{}
	if err := key.UnmarshalJSON(text); err != nil || !key.IsPublic() || !key.Valid() {
		return nil, errors.New("cannot be read")
	}
	switch {
	case !strongKey(key.Key):
		return nil, errors.New("must be P-256, Ed25519, or RSA of 2048 to 8192 bits")
	case key.Algorithm != "" && !signs(key.Key, key.Algorithm):
		return nil, errors.New("alg is not of its type")
	case len(key.KeyID) > 256 || !printable(key.KeyID):
		return nil, errors.New("kid must be at most 256 visible characters")
	}
	return key, nil
}

// signs: whether a key of this type can sign so.
func signs(key any, alg string) bool {
	switch key.(type) {
	case *ecdsa.PublicKey:
		return alg == "ES256"
	case ed25519.PublicKey:
		return alg == "EdDSA"
	case *rsa.PublicKey:
		return alg == "PS256" || alg == "RS256"
	}
	return false
}

// SignsWith reports whether one of the keys can sign so; "" is any of ClientAlgs.
func (k *ClientKeys) SignsWith(alg string) bool {
	return slices.ContainsFunc(k.keys, func(key jose.JSONWebKey) bool {
		return alg == "" || signs(key.Key, alg) && (key.Algorithm == "" || key.Algorithm == alg)
	})
}

// Has reports whether a key can be the one that kid names; "" can be any.
func (k *ClientKeys) Has(kid string) bool {
	return kid == "" || slices.ContainsFunc(k.keys, func(key jose.JSONWebKey) bool { return key.KeyID == kid })
}

// UnprovenKeyID is the kid of a compact JWS that nobody has checked; "" for none.
func UnprovenKeyID(text string) string {
	var header struct {
		KeyID string `json:"kid"`
	}
	first, _, _ := strings.Cut(text, ".")
	if len(text) > longestSigned {
		return ""
	}
	raw, err := base64.RawURLEncoding.DecodeString(first)
	if err != nil || decodeObject(raw, &header) != nil {
		return ""
	}
	return header.KeyID
}

var errSignature = errors.New("it is not signed by a key of the client's")

// open checks the signature of a compact JWS: by the key that kid names, or without
// one by any; in the algorithm alg, "" for any of ClientAlgs.
func (k *ClientKeys) open(text, alg string) (payload []byte, typ string, err error) {
	algs := []jose.SignatureAlgorithm{jose.SignatureAlgorithm(alg)}
	if alg == "" {
		algs = []jose.SignatureAlgorithm{jose.ES256, jose.EdDSA, jose.PS256, jose.RS256}
	}
	jws, err := parseCompact(text, algs...)
	if err != nil {
		return nil, "", err
	}
	header := jws.Signatures[0].Protected
	for _, key := range k.keys {
		if header.KeyID != "" && header.KeyID != key.KeyID || key.Algorithm != "" && key.Algorithm != header.Algorithm || !signs(key.Key, header.Algorithm) {
			continue
		}
		if payload, err := jws.Verify(key.Key); err == nil {
			return payload, typOf(jws), nil
		}
	}
	return nil, "", errSignature
}

// decodeObject reads one JSON object: names have their exact case and stand once, at
// every depth.
func decodeObject(text []byte, into any) error {
	if !utf8.Valid(text) || !bytes.HasPrefix(bytes.TrimLeft(text, " \t\r\n"), []byte("{")) {
		return errors.New("no JSON object")
	}
	var all map[string]any // sees the names that into has no field for
	if err := json.Unmarshal(text, &all); err != nil {
		return err
	}
	return json.Unmarshal(text, into)
}

// times are the claims of time of what a client signs, in seconds.
type times struct {
	Expires   *float64 `json:"exp"`
	NotBefore *float64 `json:"nbf"`
	IssuedAt  *float64 `json:"iat"`
}

func (t times) valid() bool {
	for _, at := range []*float64{t.Expires, t.NotBefore, t.IssuedAt} {
		if at != nil && (*at < 0 || *at > 1<<40) {
			return false
		}
	}
	return true
}

// audience is aud: one string, or a list.
type audience struct {
	list []string
	one  bool
}

// UnmarshalJSON reads both forms.
func (a *audience) UnmarshalJSON(text []byte) error {
	var one string
	if json.Unmarshal(text, &one) == nil {
		a.list, a.one = []string{one}, true
		return nil
	}
	return json.Unmarshal(text, &a.list)
}
