package issuer

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/go-jose/go-jose/v4"
)

const (
	mostKeys    = 64
	shortestRSA = 2048 // bits
	longestRSA  = 8192 // bits: verifying with longer ones is a way to keep us busy
)

// A key verifies signatures of the algorithms that fit its type: what a token
// says of itself only chooses among them (RFC 8725 §3.1).
type key struct {
	id     string
	algs   []jose.SignatureAlgorithm
	public any
}

type keySet []key

// SigningAlgorithms are those that may sign tokens. A key allows those of them
// that fit its type.
var SigningAlgorithms = []jose.SignatureAlgorithm{jose.RS256, jose.PS256, jose.ES256, jose.EdDSA}

// Keys are the keys that a server publishes, kept and fetched again.
type Keys struct {
	cache *Cache[keySet]
}

// NewKeys returns the keys behind an address that uri finds out. It fetches
// nothing before the first Find.
func NewKeys(now func() time.Time, client *Client, uri func(ctx context.Context) (string, error)) *Keys {
	fetch := func(ctx context.Context, etag string) (keySet, Version, error) {
		address, err := uri(ctx)
		if err != nil {
			return nil, Version{}, err
		}
		a, err := client.Get(ctx, address, etag)
		if err != nil {
			return nil, Version{}, err
		}
		keys, err := parseKeys(a.Body)
		if err != nil {
			return nil, Version{}, fmt.Errorf("GET %s: %w", address, err)
		}
		return keys, VersionOf(a.Header), nil
	}
	return &Keys{NewCache(now, fetch)}
}

// ErrNoKey says that the server has no key of that name for that algorithm.
var ErrNoKey = errors.New("the server has no such key")

// Find returns the public key that a token's header names, and asks the server
// again if it is not there. The error is ErrNoKey, or that of a fetch: while the
// server is away, nobody knows whether it has a key that is new to us.
func (k *Keys) Find(ctx context.Context, id string, alg jose.SignatureAlgorithm) (crypto.PublicKey, error) {
	for _, load := range []func(context.Context) (keySet, error){k.cache.Get, k.cache.Refetch} {
		set, err := load(ctx)
		if err != nil {
			return nil, err
		}
		if found, ok := set.find(id, alg); ok {
			return found.public, nil
		}
	}
	if err := k.cache.failure(); err != nil {
		return nil, err
	}
	return nil, ErrNoKey
}

// parseKeys reads a key set key by key: those of unknown types, sizes or uses
// are left out, for they may be meant for others (RFC 7517 §5).
func parseKeys(data []byte) (keySet, error) {
	object, err := ParseObject(data)
	if err != nil {
		return nil, err
	}
	var raw []json.RawMessage
	if ok, err := object.Decode("keys", &raw); err != nil || !ok {
		return nil, errors.New("not a key set")
	}
	if len(raw) > mostKeys {
		return nil, fmt.Errorf("%d keys are too many", len(raw))
	}
	var keys keySet
	for _, text := range raw {
		var jwk jose.JSONWebKey
		if jwk.UnmarshalJSON(text) != nil || jwk.Use != "" && jwk.Use != "sig" {
			continue
		}
		if algs := Algorithms(jwk); len(algs) > 0 {
			keys = append(keys, key{jwk.KeyID, algs, jwk.Key})
		}
	}
	return keys, nil
}

// Algorithms lists what a key may verify; nothing for private and symmetric keys.
func Algorithms(jwk jose.JSONWebKey) []jose.SignatureAlgorithm {
	var algs []jose.SignatureAlgorithm
	switch k := jwk.Key.(type) {
	case *rsa.PublicKey:
		if bits := k.N.BitLen(); bits >= shortestRSA && bits <= longestRSA {
			algs = []jose.SignatureAlgorithm{jose.RS256, jose.PS256}
		}
	case *ecdsa.PublicKey:
		if k.Curve == elliptic.P256() {
			algs = []jose.SignatureAlgorithm{jose.ES256}
		}
	case ed25519.PublicKey:
		algs = []jose.SignatureAlgorithm{jose.EdDSA}
	}
	if jwk.Algorithm == "" {
		return algs
	}
	return slices.DeleteFunc(algs, func(a jose.SignatureAlgorithm) bool { return string(a) != jwk.Algorithm })
}

// find returns the key that a header names. Without a name there must be just
// one that fits (OpenID Connect Core §10.1).
func (s keySet) find(id string, alg jose.SignatureAlgorithm) (key, bool) {
	var found []key
	for _, k := range s {
		if (id == "" || k.id == id) && slices.Contains(k.algs, alg) {
			found = append(found, k)
		}
	}
	if len(found) != 1 {
		return key{}, false
	}
	return found[0], true
}
