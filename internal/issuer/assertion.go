package issuer

import (
	"crypto"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/cryptosigner"
)

const assertionLifetime = time.Minute

// An Asserter signs who a client is, in place of a secret.
type Asserter struct {
	Issuer, ClientID string
	Key              crypto.Signer
	KeyID, Alg       string // KeyID may be ""
}

// Assert adds an assertion to a form, which is good once, for this server (RFC 7523
// §2.2, §3, OpenID Connect Core §9). The audience is the issuer alone: one that names
// an endpoint could be asked for by another server that the client uses.
func (a Asserter) Assert(form url.Values, now time.Time) error {
	options := (&jose.SignerOptions{}).WithType("JWT")
	if a.KeyID != "" {
		options.WithHeader("kid", a.KeyID)
	}
	assertion, err := Sign(a.Key, a.Alg, options, map[string]any{
		"iss": a.ClientID, "sub": a.ClientID, "aud": a.Issuer,
		"jti": rand.Text(), "iat": now.Unix(), "exp": now.Add(assertionLifetime).Unix(),
	})
	if err != nil {
		return err
	}
	form.Set("client_id", a.ClientID)
	form.Set("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer")
	form.Set("client_assertion", assertion)
	return nil
}

// Sign makes a signed JWT.
func Sign(key crypto.Signer, alg string, options *jose.SignerOptions, claims map[string]any) (string, error) {
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

// KeyAlgorithm is the algorithm of a private key, unless want is another one that fits
// it.
func KeyAlgorithm(key crypto.Signer, want string) (string, error) {
	algs := Algorithms(jose.JSONWebKey{Key: key.Public()})
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
