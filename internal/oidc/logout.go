package oidc

import (
	"net/url"
	"slices"
)

// EndSessionParameters are the parameters of an end session request that are
// read.
var EndSessionParameters = []string{"id_token_hint", "client_id", "post_logout_redirect_uri", "state", "ui_locales", "logout_hint"}

// EndSessionRequest is a parsed logout request (OpenID Connect RP-Initiated
// Logout §2).
type EndSessionRequest struct {
	IDTokenHint           string
	ClientID              string
	PostLogoutRedirectURI string
	State                 string
	UILocales             []string
	LogoutHint            string
}

// ParseEndSessionRequest reads a logout request. No error of it is redirected:
// the hint, which proves where to, is not looked at here.
func ParseEndSessionRequest(v url.Values) (*EndSessionRequest, *Error) {
	p := params{values: v}
	r := &EndSessionRequest{
		IDTokenHint:           p.text("id_token_hint", longestHint),
		ClientID:              p.text("client_id", longestID),
		PostLogoutRedirectURI: p.text("post_logout_redirect_uri", longestURI),
		State:                 p.text("state", longestParam),
		UILocales:             p.words("ui_locales"),
		LogoutHint:            p.text("logout_hint", 512),
	}
	return r, p.err
}

// Check proves where the user may be sent afterwards: to exactly a registered
// URI of the client that the hint was issued to (RP-Initiated Logout §3).
func (r *EndSessionRequest) Check(c *Client) *Error {
	if r.PostLogoutRedirectURI == "" {
		return nil
	}
	if c == nil || !slices.Contains(c.PostLogoutRedirectURIs, r.PostLogoutRedirectURI) {
		return Errorf(InvalidRequest, "post_logout_redirect_uri is not registered for the client")
	}
	return nil
}

// ReturnURL is where the user goes afterwards, with the state
// (RP-Initiated Logout §3). Check proves it before.
func (r *EndSessionRequest) ReturnURL() string {
	if r.State == "" {
		return r.PostLogoutRedirectURI
	}
	return withQuery(r.PostLogoutRedirectURI, []Field{{"state", r.State}})
}
