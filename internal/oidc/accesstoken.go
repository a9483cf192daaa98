package oidc

import (
	"log/slog"
	"net/url"
)

// AccessToken is what an access token says to the API that it is for, by a JWT
// (RFC 9068 §2.2) or in answer to an introspection request (RFC 7662 §2.2). Times
// are Unix seconds.
type AccessToken struct {
	Issuer   string `json:"iss"`
	Subject  string `json:"sub"` // the user; of a client's own token the client
	Audience string `json:"aud"` // always one
	ClientID string `json:"client_id"`
	Expiry   int64  `json:"exp"`
	IssuedAt int64  `json:"iat"`
	Scope    string `json:"scope"`
	// Confirmation is what whoever sends the token must have, too; nil: nothing.
	Confirmation *Confirmation `json:"cnf,omitempty"`
	// Authentication is nil in a client's own token: nobody signed in.
	*Authentication
}

// Thumbprint is that of the key that the token is bound to; "" for none.
func (t *AccessToken) Thumbprint() string {
	if t.Confirmation == nil {
		return ""
	}
	return t.Confirmation.Thumbprint
}

// Confirmation names the key that a token is bound to (RFC 9449 §6).
type Confirmation struct {
	Thumbprint string `json:"jkt"`
}

// JWTAccessToken are the claims of a JWT access token (RFC 9068 §2.2).
type JWTAccessToken struct {
	AccessToken
	ID string `json:"jti"`
}

// Authentication says how and when the user signed in (RFC 9470 §6).
type Authentication struct {
	ACR      string   `json:"acr"`
	AMR      []string `json:"amr"`
	AuthTime int64    `json:"auth_time"`
}

// Introspection is the answer about an access token (RFC 7662 §2.2). The zero
// value says that there is none that is worth anything, and no more.
type Introspection struct {
	Active bool `json:"active"`
	*AccessToken
	TokenType string `json:"token_type,omitempty"`
}

// TokenQuery is a parsed introspection or revocation request: a token and whose
// request it is (RFC 7662 §2.1, RFC 7009 §2.1).
type TokenQuery struct {
	Auth  ClientAuth
	Token Secret
}

// LogValue leaves out the token.
func (q TokenQuery) LogValue() slog.Value {
	return slog.GroupValue(slog.String("client_id", q.Auth.ID))
}

// ParseTokenQuery reads an introspection or revocation request from its
// Authorization headers and its body. It proves nothing: see CheckSecret.
// token_type_hint is read and changes nothing: a token says what it is.
func ParseTokenQuery(authorization []string, form url.Values) (*TokenQuery, *Error) {
	p := params{values: form}
	q := &TokenQuery{Token: Secret(p.text("token", longestToken))}
	p.text("token_type_hint", 64)
	q.Auth = p.clientAuth(authorization)
	if p.err == nil && q.Token == "" {
		p.fail(Errorf(InvalidRequest, "token is missing"))
	}
	if p.err != nil {
		return nil, p.err
	}
	return q, nil
}
