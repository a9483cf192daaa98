package rp

import (
	"context"
	"net/url"
	"strings"
	"sync"

	"golang.org/x/oauth2"
)

// ClientCredentials is a source of the client's own tokens, for what it does for
// no user (RFC 6749 §4.4). A token is asked for when the one at hand expires within
// Config.Leeway, once for all who wait. resource names the API (RFC 8707 §2), "" for
// the only one that the client may use; no scopes ask for what it may have.
//
// ctx goes with the requests. Errors: *ResponseError, *CheckError,
// *UnavailableError.
func (c *Client) ClientCredentials(ctx context.Context, resource string, scopes ...string) oauth2.TokenSource {
	form := url.Values{"grant_type": {"client_credentials"}}
	if resource != "" {
		form.Set("resource", resource)
	}
	if len(scopes) > 0 {
		form.Set("scope", strings.Join(scopes, " "))
	}
	return &ownTokens{ctx: ctx, client: c, form: form}
}

// ownTokens has the token of the client itself.
type ownTokens struct {
	ctx    context.Context
	client *Client

	mu   sync.Mutex
	form url.Values
	held *oauth2.Token
}

func (s *ownTokens) Token() (*oauth2.Token, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.held != nil && s.client.fresh(s.held) {
		return s.held, nil
	}
	m, err := s.client.serverMetadata(s.ctx)
	if err != nil {
		return nil, err
	}
	t, err := s.client.grant(s.ctx, m, "asking for a token", s.form)
	if err != nil {
		return nil, err
	}
	s.held = t.oauth2
	return s.held, nil
}
