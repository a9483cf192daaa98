package oidc

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"log/slog"
	"net/url"
	"strings"
)

// Secret is a client secret as it was sent. It does not print itself.
type Secret string

// LogValue keeps the secret out of logs.
func (Secret) LogValue() slog.Value { return slog.StringValue("[redacted]") }

// String keeps the secret out of messages.
func (Secret) String() string { return "[redacted]" }

// GoString keeps the secret out of %#v.
func (Secret) GoString() string { return "[redacted]" }

// ClientAuth is how a client says who it is (RFC 6749 §2.3).
type ClientAuth struct {
	Method string // client_secret_basic, client_secret_post or none
	ID     string
	Secret Secret
}

// TokenRequest is a parsed token request (RFC 6749 §4.1.3, §6).
type TokenRequest struct {
	Auth         ClientAuth
	GrantType    string
	Code         string
	RedirectURI  string
	CodeVerifier string
	RefreshToken string
	Scope        []string
}

// ParseTokenRequest reads a token request from its Authorization headers and its
// body.
func ParseTokenRequest(authorization []string, form url.Values) (*TokenRequest, *Error) {
	p := params{values: form}
	r := &TokenRequest{
		GrantType:    p.text("grant_type", 256),
		Code:         p.text("code", 512),
		RedirectURI:  p.text("redirect_uri", 2048),
		CodeVerifier: p.text("code_verifier", 256),
		RefreshToken: p.text("refresh_token", 512),
		Scope:        p.scope(),
	}
	r.Auth = p.clientAuth(authorization)
	if p.err != nil {
		return nil, p.err
	}
	return r, r.missing()
}

func (r *TokenRequest) missing() *Error {
	switch {
	case r.GrantType == "":
		return Errorf(InvalidRequest, "grant_type is missing")
	case r.GrantType == GrantAuthorizationCode && r.Code == "":
		return Errorf(InvalidRequest, "code is missing")
	case r.GrantType == GrantRefreshToken && r.RefreshToken == "":
		return Errorf(InvalidRequest, "refresh_token is missing")
	case r.CodeVerifier != "" && !verifierForm(r.CodeVerifier):
		return Errorf(InvalidGrant, "code_verifier is not a verifier")
	}
	return nil
}

// clientAuth reads exactly one way of client authentication.
func (p *params) clientAuth(authorization []string) ClientAuth {
	id, secret := p.text("client_id", 256), p.text("client_secret", 512)
	if len(authorization) == 0 {
		switch {
		case id == "":
			p.fail(Errorf(InvalidClient, "client authentication is missing"))
		case secret == "":
			return ClientAuth{Method: AuthNone, ID: id}
		}
		return ClientAuth{Method: AuthPost, ID: id, Secret: Secret(secret)}
	}
	auth, ok := ParseBasic(authorization[0])
	switch {
	case len(authorization) > 1:
		p.fail(Errorf(InvalidRequest, "Authorization is sent more than once"))
	case !ok:
		p.fail(Errorf(InvalidClient, "the Authorization header is not Basic credentials"))
	case secret != "":
		p.fail(Errorf(InvalidRequest, "the client authenticates in two ways"))
	case id != "" && id != auth.ID:
		p.fail(Errorf(InvalidClient, "client_id is not the authenticated client's"))
	}
	return auth
}

// ParseBasic reads a Basic Authorization header (RFC 6749 §2.3.1). Ids and
// secrets of ours are the same bytes form-encoded and raw, so both are read.
func ParseBasic(header string) (ClientAuth, bool) {
	scheme, encoded, ok := strings.Cut(header, " ")
	if !ok || !strings.EqualFold(scheme, "Basic") || len(encoded) > 1024 {
		return ClientAuth{}, false
	}
	plain, err := base64.StdEncoding.DecodeString(strings.TrimSpace(encoded))
	if err != nil {
		return ClientAuth{}, false
	}
	id, secret, ok := strings.Cut(string(plain), ":")
	if !ok || id == "" || !printable(string(plain)) {
		return ClientAuth{}, false
	}
	return ClientAuth{Method: AuthBasic, ID: formDecoded(id), Secret: Secret(formDecoded(secret))}, true
}

func formDecoded(s string) string {
	if decoded, err := url.QueryUnescape(s); err == nil {
		return decoded
	}
	return s
}

// CheckSecret checks a client's authentication: by its registered method and no
// other (RFC 6749 §2.3), against all of its secrets.
func CheckSecret(c *Client, auth ClientAuth) *Error {
	failed := Errorf(InvalidClient, "client authentication failed")
	method := c.AuthMethod
	if method == "" {
		method = AuthBasic
	}
	if auth.Method != method {
		return failed
	}
	if c.Public() {
		return nil
	}
	sum := sha256.Sum256([]byte(auth.Secret))
	match := 0
	for _, hash := range c.SecretHashes {
		match |= subtle.ConstantTimeCompare(sum[:], hash)
	}
	if match != 1 {
		return failed
	}
	return nil
}
