package rp

import (
	"crypto"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/cryptosigner"

	"github.com/sallyport-id/sallyport/internal/issuer"
)

const (
	assertionType     = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
	assertionLifetime = time.Minute
)

// assertion says who the client is, once (RFC 7523 §3, OpenID Connect Core §9).
// The audience is the issuer alone: one that names an endpoint could be asked for
// by another server that the client uses.
func (c *Client) assertion() (string, error) {
	now := c.config.Now()
	options := (&jose.SignerOptions{}).WithType("JWT")
	if c.config.KeyID != "" {
		options.WithHeader("kid", c.config.KeyID)
	}
	return sign(c.config.PrivateKey, c.config.KeyAlg, options, map[string]any{
		"iss": c.config.ClientID, "sub": c.config.ClientID, "aud": c.config.Issuer,
		"jti": rand.Text(), "iat": now.Unix(), "exp": now.Add(assertionLifetime).Unix(),
	})
}

// sign makes a signed JWT.
func sign(key crypto.Signer, alg string, options *jose.SignerOptions, claims map[string]any) (string, error) {
	signing := jose.SigningKey{Algorithm: jose.SignatureAlgorithm(alg), Key: cryptosigner.Opaque(key)}
	signer, err := jose.NewSigner(signing, options)
	if err != nil {
		return "", fmt.Errorf("signing: %w", err)
	}
	payload, err := json.Marshal(claims)
	if err != nil {
		return "", err
	}
	jws, err := signer.Sign(payload)
	if err != nil {
		return "", fmt.Errorf("signing: %w", err)
	}
	return jws.CompactSerialize()
}

// keyAlg is the algorithm of a key, unless want is another one that fits it.
func keyAlg(key crypto.Signer, want string) (string, error) {
	algs := issuer.Algorithms(jose.JSONWebKey{Key: key.Public()})
	switch {
	case len(algs) == 0:
		return "", errors.New("it takes a key of P-256, Ed25519 or RSA with 2048 to 8192 bits")
	case want == "":
		return string(algs[len(algs)-1]), nil // PS256 rather than RS256
	case !slices.Contains(algs, jose.SignatureAlgorithm(want)):
		return "", fmt.Errorf("the key does not sign with %q", want)
	}
	return want, nil
}
