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
func (Secret) LogValue() slog.Value { return slog.StringValue(redacted) }

// String keeps the secret out of messages.
func (Secret) String() string { return redacted }

// GoString keeps the secret out of %#v.
func (Secret) GoString() string { return redacted }

// MarshalText keeps the secret out of JSON.
func (Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }

const redacted = "[redacted]"

// ClientAuth is how a client says who it is (RFC 6749 §2.3).
type ClientAuth struct {
	Method    string // client_secret_basic, client_secret_post, private_key_jwt (any assertion) or none
	ID        string
	Secret    Secret
	Assertion Secret // unread: see CheckAssertion
}

// TokenRequest is a parsed token request (RFC 6749 §4.1.3, §6).
type TokenRequest struct {
	Auth         ClientAuth
	GrantType    string
	Code         string
	RedirectURI  string
	CodeVerifier string
	RefreshToken string
	DeviceCode   string
	Scope        []string
	Resources    []string // URIs of APIs, each once (RFC 8707 §2.2)
	// DPoP are the request's headers of that name, unread: ParseDPoPProof reads them.
	DPoP []string
}

// LogValue leaves out the code, the verifier and the token.
func (r TokenRequest) LogValue() slog.Value {
	return slog.GroupValue(slog.String("client_id", r.Auth.ID), slog.String("grant_type", r.GrantType))
}

// String leaves out the code, the verifier and the token.
func (r TokenRequest) String() string { return r.GrantType + " of " + r.Auth.ID }

// ParseTokenRequest reads a token request from its Authorization headers and its
// body (never the query). It proves nothing: see CheckSecret and CheckAssertion. An unknown
// grant_type is not its business.
func ParseTokenRequest(authorization []string, form url.Values) (*TokenRequest, *Error) {
	p := params{values: form}
	r := &TokenRequest{
		GrantType:    p.text("grant_type", 256),
		Code:         p.text("code", 512),
		RedirectURI:  p.text("redirect_uri", longestURI),
		CodeVerifier: p.text("code_verifier", 256),
		RefreshToken: p.text("refresh_token", 512),
		DeviceCode:   p.text("device_code", 512),
		Scope:        p.scope(),
		Resources:    p.resources(),
	}
	r.Auth = p.clientAuth(authorization)
	if p.err == nil {
		p.err = r.missing()
	}
	if p.err != nil {
		return nil, p.err
	}
	return r, nil
}

// missing: what each grant cannot do without (RFC 6749 §4.1.3, §6).
func (r *TokenRequest) missing() *Error {
	switch {
	case r.GrantType == "":
		return Errorf(InvalidRequest, "grant_type is missing")
	case r.GrantType == GrantAuthorizationCode && r.Code == "":
		return Errorf(InvalidRequest, "code is missing")
	case r.GrantType == GrantRefreshToken && r.RefreshToken == "":
		return Errorf(InvalidRequest, "refresh_token is missing")
	case r.GrantType == GrantDeviceCode && r.DeviceCode == "":
		return Errorf(InvalidRequest, "device_code is missing")
	case r.CodeVerifier != "" && !verifierForm(r.CodeVerifier):
		return Errorf(InvalidGrant, "code_verifier is not a verifier")
	}
	return nil
}

// clientAuth reads exactly one way of client authentication (RFC 6749 §2.3).
func (p *params) clientAuth(authorization []string) ClientAuth {
	id, secret := p.text("client_id", longestID), p.text("client_secret", longestSecret)
	assertion := p.text("client_assertion", longestSigned) != "" || p.text("client_assertion_type", longestParam) != ""
	header := len(authorization) > 0
	switch {
	case len(authorization) > 1 || header && secret != "" || assertion && (header || secret != ""):
		p.fail(Errorf(InvalidRequest, "the client authenticates in more than one way"))
	case assertion:
		return p.assertion(id)
	case header:
		return p.basic(authorization[0], id)
	case id == "":
		p.fail(Errorf(InvalidClient, "client authentication is missing"))
	case secret != "":
		return ClientAuth{Method: AuthPost, ID: id, Secret: Secret(secret)}
	}
	return ClientAuth{Method: AuthNone, ID: id}
}

// basic reads the header; a client_id in the body must say the same.
func (p *params) basic(header, id string) ClientAuth {
	auth, ok := ParseBasic(header)
	switch {
	case !ok:
		p.fail(Errorf(InvalidClient, "the Authorization header is not Basic credentials"))
	case id != "" && id != auth.ID:
		p.fail(Errorf(InvalidClient, "client_id is not the authenticated client's"))
	}
	return auth
}

const (
	longestID     = 256
	longestSecret = 512
)

// ParseBasic reads a Basic Authorization header (RFC 6749 §2.3.1). Ids and
// secrets of Sallyport's are the same bytes form-encoded and raw, so both are
// read: what cannot be decoded is taken as it is.
func ParseBasic(header string) (ClientAuth, bool) {
	scheme, encoded, ok := strings.Cut(header, " ")
	if !ok || !strings.EqualFold(scheme, "Basic") || len(encoded) > longestParam {
		return ClientAuth{}, false
	}
	plain, err := base64.StdEncoding.DecodeString(strings.TrimSpace(encoded))
	if err != nil {
		return ClientAuth{}, false
	}
	id, secret, ok := strings.Cut(string(plain), ":")
	id, secret = formDecoded(id), formDecoded(secret)
	if !ok || id == "" || len(id) > longestID || len(secret) > longestSecret || !printable(id) || !printable(secret) {
		return ClientAuth{}, false
	}
	return ClientAuth{Method: AuthBasic, ID: id, Secret: Secret(secret)}, true
}

func formDecoded(s string) string {
	if decoded, err := url.QueryUnescape(s); err == nil {
		return decoded
	}
	return s
}

// CheckSecret checks the authentication of a client that signs nothing: by its registered method and no
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
