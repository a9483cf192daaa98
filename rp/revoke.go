package rp

import (
	"context"
	"errors"
	"net/http"
	"net/url"

	"golang.org/x/oauth2"
)

// Revoke makes tokens useless at the server, as at the end of a session (RFC 7009
// §2.1): the refresh token, with which servers end the access tokens of the same
// sign-in, or the access token if there is no other. Tokens that are useless
// already are no error. APIs that verify tokens by themselves notice nothing
// before the access token expires.
//
// Errors: *UnavailableError, also if the server has no such endpoint;
// *ResponseError.
func (c *Client) Revoke(ctx context.Context, token *oauth2.Token) error {
	const doing = "revoking the tokens"
	m, err := c.serverMetadata(ctx)
	if err != nil {
		return err
	}
	if m.revocationEndpoint == "" {
		return &UnavailableError{Doing: doing, Err: errors.New("the server has no revocation endpoint")}
	}
	form := url.Values{"token": {token.RefreshToken}, "token_type_hint": {"refresh_token"}}
	if token.RefreshToken == "" {
		form = url.Values{"token": {token.AccessToken}, "token_type_hint": {"access_token"}}
	}
	a, err := c.postForm(ctx, m.revocationEndpoint, form)
	if err != nil {
		return &UnavailableError{Doing: doing, Err: err}
	}
	if a.Status != http.StatusOK {
		return answerError(doing, a)
	}
	return nil
}
