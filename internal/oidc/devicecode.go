package oidc

import (
	"net/url"
	"slices"
	"strings"
	"unicode"
)

// DeviceAuthorizationRequest is a parsed device authorization request (RFC 8628
// §3.1): a device that has no browser asks for a code that its user types elsewhere.
type DeviceAuthorizationRequest struct {
	Auth      ClientAuth
	Scope     []string
	Resources []string // URIs of APIs, each once (RFC 8707 §2.1)
}

// ParseDeviceAuthorizationRequest reads one from its Authorization headers and its
// body. It proves nothing: see CheckSecret.
func ParseDeviceAuthorizationRequest(authorization []string, form url.Values) (*DeviceAuthorizationRequest, *Error) {
	p := params{values: form}
	r := &DeviceAuthorizationRequest{Scope: p.scope(), Resources: p.resources(), Auth: p.clientAuth(authorization)}
	if p.err != nil {
		return nil, p.err
	}
	return r, nil
}

// AuthorizationRequest is what the user is asked: always for consent, because nobody
// but the user knows whose device it is (RFC 8628 §5.4).
func (r *DeviceAuthorizationRequest) AuthorizationRequest() *AuthorizationRequest {
	return &AuthorizationRequest{ClientID: r.Auth.ID, Scope: slices.Clone(r.Scope), Resources: r.Resources, Prompt: PromptSet{Consent: true}}
}

// CheckDevice is Check for the request of a device: it has no redirect URI and no
// PKCE. It is asked again when the user comes.
func (r *AuthorizationRequest) CheckDevice(c *Client, apis ...*Resource) *Error {
	if !slices.Contains(c.GrantTypes, GrantDeviceCode) {
		return Errorf(UnauthorizedClient, "the client may not use the device flow")
	}
	if len(r.Scope) == 0 {
		r.Scope = slices.Clone(c.DefaultScope)
	}
	r.dropOfflineAccess(c)
	if err := r.CheckResources(c, apis); err != nil {
		return err
	}
	return r.checkScope(c, apis)
}

// DeviceAuthorization is the answer to a device (RFC 8628 §3.2). A
// verification_uri_complete is not among it: the user must type the code, or a
// link that somebody sends would be enough to ask for an approval.
type DeviceAuthorization struct {
	DeviceCode      string `json:"device_code"`
	UserCode        string `json:"user_code"`
	VerificationURI string `json:"verification_uri"`
	ExpiresIn       int64  `json:"expires_in"` // seconds
	Interval        int64  `json:"interval"`   // seconds between two questions
}

// UserCodeLetters are those of user codes: no vowels, so that no words come of them,
// and nothing that looks like a digit (RFC 8628 §6.1).
const UserCodeLetters = "BCDFGHJKLMNPQRSTVWXZ"

// UserCodeLength is how many letters a user code has: 34 bits, for ten minutes.
const UserCodeLength = 8

// ParseUserCode returns the letters of a user code as it was typed: in small letters
// or with spaces and dashes, too; false if it is none.
func ParseUserCode(typed string) (string, bool) {
	if len(typed) > 64 {
		return "", false
	}
	code := strings.Map(func(r rune) rune {
		if r == '-' || unicode.IsSpace(r) {
			return -1
		}
		return unicode.ToUpper(r)
	}, typed)
	wrong := func(r rune) bool { return !strings.ContainsRune(UserCodeLetters, r) }
	if len(code) != UserCodeLength || strings.ContainsFunc(code, wrong) {
		return "", false
	}
	return code, true
}

// FormatUserCode is how a device shows a user code.
func FormatUserCode(code string) string {
	return code[:UserCodeLength/2] + "-" + code[UserCodeLength/2:]
}
