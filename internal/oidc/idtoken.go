package oidc

import (
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/json"
	"maps"
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
	Nonce     string   `json:"nonce,omitempty"` // not after a refresh (OpenID Connect Core §12.2)
	ACR       string   `json:"acr,omitempty"`
	AMR       []string `json:"amr,omitempty"` // null would be none of the types that it may have
	SessionID string   `json:"sid,omitempty"`
	ATHash    string   `json:"at_hash,omitempty"`
	// Extra are further claims. Those with a name of the protocol's are left out.
	Extra map[string]any `json:"-"`
}

// MarshalJSON writes the claims in the order of the fields, then the further
// ones by name.
func (t IDToken) MarshalJSON() ([]byte, error) {
	type plain IDToken
	body, err := json.Marshal(plain(t))
	if err != nil {
		return nil, err
	}
	further := maps.Clone(t.Extra)
	maps.DeleteFunc(further, func(name string, _ any) bool { return isProtocolClaim(name) })
	if len(further) == 0 {
		return body, nil
	}
	extra, err := json.Marshal(further)
	if err != nil {
		return nil, err
	}
	return append(append(body[:len(body)-1], ','), extra[1:]...), nil
}

// ATHash is the at_hash of an access token in an ID token signed with alg: the
// left half of the hash that the algorithm uses (OpenID Connect Core §3.1.3.6).
// It is "" for an algorithm that Sallyport does not sign with.
func ATHash(alg, accessToken string) string {
	switch alg {
	case "RS256", "ES256":
		sum := sha256.Sum256([]byte(accessToken))
		return base64.RawURLEncoding.EncodeToString(sum[:16])
	case "EdDSA": // Ed25519 hashes with SHA-512
		sum := sha512.Sum512([]byte(accessToken))
		return base64.RawURLEncoding.EncodeToString(sum[:32])
	}
	return ""
}
