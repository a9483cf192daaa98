package oidc

import (
	"errors"
	"strings"

	"github.com/go-jose/go-jose/v4"
)

// SecretAlg is the algorithm in which clients sign with a secret (RFC 7518 §3.2).
const SecretAlg = "HS256"

// AssertionKeys are what a client's assertion is checked by: ClientKeys or SecretKeys, each
// for the clients of its method alone, so that nothing public is ever taken as a secret.
type AssertionKeys interface {
	method() string
	open(text, alg string) (payload []byte, typ string, err error)
}

// SecretKeys are the secrets in which a client signs (RFC 7523 §2.2, OpenID Connect
// Core §9, §10.1). They do not print themselves.
type SecretKeys []Secret

func (SecretKeys) method() string  { return AuthSecretJWT }
func (*ClientKeys) method() string { return AuthPrivateKeyJWT }

// open checks the HMAC of a compact JWS by each of the secrets. A kid says nothing here.
func (k SecretKeys) open(text, _ string) (payload []byte, typ string, err error) {
	jws, err := parseCompact(text, SecretAlg)
	if err != nil {
		return nil, "", err
	}
	for _, secret := range k {
		if payload, err := jws.Verify([]byte(secret)); err == nil {
			return payload, typOf(jws), nil
		}
	}
	return nil, "", errSignature
}

// parseCompact reads a compact JWS of one of these algorithms, without believing it.
func parseCompact(text string, algs ...jose.SignatureAlgorithm) (*jose.JSONWebSignature, error) {
	if len(text) > longestSigned || strings.ContainsAny(text, "\r\n ") {
		return nil, errors.New("it is too long, or no compact JWS")
	}
	jws, err := jose.ParseSignedCompact(text, algs)
	if err != nil {
		return nil, errors.New("it is no compact JWS of an algorithm that the client may use")
	}
	return jws, nil
}

func typOf(jws *jose.JSONWebSignature) string {
	typ, _ := jws.Signatures[0].Protected.ExtraHeaders[jose.HeaderType].(string)
	return typ
}
