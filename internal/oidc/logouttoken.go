package oidc

// LogoutEvent is the member of events that makes a JWT a logout token (OpenID Connect
// Back-Channel Logout §2.4).
const LogoutEvent = "http://schemas.openid.net/event/backchannel-logout"

// LogoutToken are the claims of a logout token (OpenID Connect Back-Channel Logout
// §2.4). Times are Unix seconds. There never is a nonce, so that it cannot be taken for
// an ID token.
type LogoutToken struct {
	Issuer    string              `json:"iss"`
	Subject   string              `json:"sub"`
	Audience  string              `json:"aud"` // always one
	IssuedAt  int64               `json:"iat"`
	Expiry    int64               `json:"exp"`
	ID        string              `json:"jti"`
	SessionID string              `json:"sid"`
	Events    map[string]struct{} `json:"events"`
}
