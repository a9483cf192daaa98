package rp

import (
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

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

// fetchKeys gets the server's keys.
func (c *Client) fetchKeys(ctx context.Context, etag string) (keySet, string, error) {
	m, err := c.metadata.get(ctx)
	if err != nil {
		return nil, "", err
	}
	a, err := c.get(ctx, m.jwksURI, etag)
	if err != nil {
		return nil, "", err
	}
	keys, err := parseKeys(a.body)
	if err != nil {
		return nil, "", fmt.Errorf("GET %s: %w", m.jwksURI, err)
	}
	return keys, a.header.Get("ETag"), nil
}

// parseKeys reads a key set key by key: those of unknown types, sizes or uses
// are left out, for they may be meant for others (RFC 7517 §5).
func parseKeys(data []byte) (keySet, error) {
	object, err := parseObject(data)
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
		if algs := algsOf(jwk); len(algs) > 0 {
			keys = append(keys, key{jwk.KeyID, algs, jwk.Key})
		}
	}
	return keys, nil
}

// algsOf lists what a key may verify; nothing for private and symmetric keys.
func algsOf(jwk jose.JSONWebKey) []jose.SignatureAlgorithm {
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

// verificationKey finds a key, and asks the server again if it is not there.
func (c *Client) verificationKey(ctx context.Context, id string, alg jose.SignatureAlgorithm) (key, error) {
	for _, load := range []func(context.Context) (keySet, error){c.keys.get, c.keys.refetch} {
		set, err := load(ctx)
		if err != nil {
			return key{}, &UnavailableError{Doing: "fetching the server's keys", Err: err}
		}
		if k, ok := set.find(id, alg); ok {
			return k, nil
		}
	}
	return key{}, &CheckError{What: "kid", Problem: "the server has no such key"}
}
