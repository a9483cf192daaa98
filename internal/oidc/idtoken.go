package oidc

import (
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/json"
)

// IDToken are the claims of an ID token (OpenID Connect Core §2). Times are Unix
// seconds.
type IDToken struct {
	Issuer    string   `json:"iss"`
	Subject   string   `json:"sub"`
	Audience  string   `json:"aud"` // always one
	Expiry    int64    `json:"exp"`
	IssuedAt  int64    `json:"iat"`
	AuthTime  int64    `json:"auth_time"`
	Nonce     string   `json:"nonce,omitempty"`
	ACR       string   `json:"acr"`
	AMR       []string `json:"amr"`
	SessionID string   `json:"sid,omitempty"`
	ATHash    string   `json:"at_hash,omitempty"`
	// Extra are further claims; none of the protocol's names is among them.
	Extra map[string]any `json:"-"`
}

// MarshalJSON appends the further claims.
func (t IDToken) MarshalJSON() ([]byte, error) {
	type plain IDToken
	body, err := json.Marshal(plain(t))
	if err != nil || len(t.Extra) == 0 {
		return body, err
	}
	extra, err := json.Marshal(t.Extra)
	if err != nil {
		return nil, err
	}
	return append(append(body[:len(body)-1], ','), extra[1:]...), nil
}

// ATHash is the at_hash of an access token: the left half of its hash
// (OpenID Connect Core §3.1.3.6).
func ATHash(alg, accessToken string) string {
	if alg == "EdDSA" {
		sum := sha512.Sum512([]byte(accessToken)) // Ed25519 hashes with SHA-512
		return base64.RawURLEncoding.EncodeToString(sum[:32])
	}
	sum := sha256.Sum256([]byte(accessToken))
	return base64.RawURLEncoding.EncodeToString(sum[:16])
}
