package oidc

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"strings"
)

// challengeForm: the base64url of a SHA-256, without padding (RFC 7636 §4.2).
func challengeForm(challenge string) bool {
	return len(challenge) == 43 && !strings.ContainsFunc(challenge, notBase64URL)
}

// verifierForm: 43 to 128 unreserved characters (RFC 7636 §4.1).
func verifierForm(verifier string) bool {
	return len(verifier) >= 43 && len(verifier) <= 128 && !strings.ContainsFunc(verifier, func(r rune) bool {
		return notBase64URL(r) && r != '.' && r != '~'
	})
}

func notBase64URL(r rune) bool {
	return !(r >= 'A' && r <= 'Z' || r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r == '-' || r == '_')
}

// CheckVerifier reports whether a code verifier fits the S256 challenge of the
// authorization request. Neither is good without the other: a verifier for a
// request that had no challenge is a downgrade (RFC 7636 §4.6, RFC 9700 §4.8.2).
func CheckVerifier(challenge, verifier string) bool {
	if challenge == "" || verifier == "" {
		return challenge == verifier
	}
	sum := sha256.Sum256([]byte(verifier))
	return subtle.ConstantTimeCompare([]byte(base64.RawURLEncoding.EncodeToString(sum[:])), []byte(challenge)) == 1
}
