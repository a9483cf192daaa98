package oidc

import (
	"maps"
	"net/url"
	"strings"
)

// PushedRequest is a parsed pushed authorization request (RFC 9126 §2.1): an
// authorization request that the client sends itself, ahead of its user.
type PushedRequest struct {
	Auth   ClientAuth
	Wanted *AuthorizationRequest // nil: it is in a request object
	// Form has the request object: see OpenRequestObject.
	Form url.Values
	// DPoP are the request's headers of that name, unread: ParseDPoPProof reads them.
	DPoP []string
}

// ParsePushedRequest reads one from its Authorization headers and its body. It proves
// nothing: see CheckSecret and CheckAssertion; and Wanted is unchecked.
func ParsePushedRequest(authorization []string, form url.Values) (*PushedRequest, *Error) {
	p := params{values: form}
	r := &PushedRequest{Auth: p.clientAuth(authorization)}
	if p.text("request_uri", longestParam) != "" {
		p.fail(Errorf(InvalidRequest, "a pushed request has no request_uri"))
	}
	if p.err != nil {
		return nil, p.err
	}
	if form.Get("client_id") == "" { // it is the authenticated one's
		form = maps.Clone(form)
		form.Set("client_id", r.Auth.ID)
	}
	if HasRequestObject(form) {
		r.Form = form
		return r, nil
	}
	if r.Wanted, p.err = parseWhole(form); p.err != nil {
		return nil, p.err
	}
	return r, nil
}

// parseWhole reads a request that is answered by JSON, whatever is wrong with it.
func parseWhole(v url.Values) (*AuthorizationRequest, *Error) {
	r, shown, redirected := ParseAuthorizationRequest(v)
	switch {
	case shown != nil:
		return nil, shown
	case redirected != nil:
		return nil, redirected
	}
	return r, nil
}

// Open reads the request of a client that was proven, out of its request object if it is
// in one: inside are the parameters that it was signed with, nil for a client that has
// no keys.
func (r *PushedRequest) Open(inside url.Values) (*AuthorizationRequest, *Error) {
	switch {
	case r.Wanted != nil:
		return r.Wanted, nil
	case inside == nil:
		return parseWhole(r.Form)
	}
	wanted, refusal := parseWhole(inside)
	if refusal != nil {
		return nil, refusal
	}
	wanted.Signed = true
	return wanted, nil
}

// BindKey binds the request to the key that was proven beside it, jkt; "" for none. A
// dpop_jkt must be that key's (RFC 9449 §10.1).
func (r *AuthorizationRequest) BindKey(jkt string) *Error {
	if jkt != "" && r.DPoPJKT != "" && r.DPoPJKT != jkt {
		return Errorf(InvalidDPoPProof, "the DPoP proof is not of the key of dpop_jkt")
	}
	if jkt != "" {
		r.DPoPJKT = jkt
	}
	return nil
}

// RequestURIPrefix begins the request_uri of a pushed request (RFC 9126 §2.2).
const RequestURIPrefix = "urn:ietf:params:oauth:request_uri:"

// PushedResponse is the answer to a pushed request (RFC 9126 §2.2).
type PushedResponse struct {
	RequestURI string `json:"request_uri"`
	ExpiresIn  int64  `json:"expires_in"` // seconds
}

// ParsePushedReference reads an authorization request that names a pushed one: whatever
// is beside is not looked at (RFC 9126 §4, RFC 9101 §5). The URI is "" for a request that
// names none.
func ParsePushedReference(v url.Values) (clientID, requestURI string, refusal *Error) {
	p := params{values: v}
	requestURI = p.text("request_uri", longestParam)
	if p.err == nil && !strings.HasPrefix(requestURI, RequestURIPrefix) {
		return "", "", nil
	}
	if p.text("request", longestSigned) != "" {
		p.fail(Errorf(InvalidRequest, "request and request_uri are sent together"))
	}
	if clientID = p.text("client_id", longestID); clientID == "" {
		p.fail(Errorf(InvalidRequest, "client_id is missing"))
	}
	return clientID, requestURI, p.err
}
