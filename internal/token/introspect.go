package token

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/sallyport-id/sallyport/internal/oidc"
	"github.com/sallyport-id/sallyport/internal/store"
)

// Introspect says what an access token is worth at this moment to the API that
// asks, by the client that is its own (RFC 7662 §2). It writes nothing. Of a token
// for another API, or of anything else that is not good, the answer is the same.
// Errors are *oidc.Error for the client, anything else for the log.
func (s *Service) Introspect(ctx context.Context, q *oidc.TokenQuery) (*oidc.Introspection, error) {
	c, err := s.authenticate(ctx, q.Auth)
	switch {
	case err != nil:
		return nil, err
	case c.Public():
		return nil, oidc.Errorf(oidc.InvalidClient, "a public client cannot introspect")
	case !c.Introspects(nil):
		return nil, oidc.Errorf(oidc.UnauthorizedClient, "the client is no API's and may not introspect")
	}
	claims, err := s.worth(ctx, c, string(q.Token))
	if err != nil || claims == nil {
		return &oidc.Introspection{}, err
	}
	return &oidc.Introspection{Active: true, AccessToken: claims, TokenType: "Bearer"}, nil
}

// worth returns what a token says to the API of the client that asks; nil if that
// is nothing.
func (s *Service) worth(ctx context.Context, asks *oidc.Client, token string) (*oidc.AccessToken, error) {
	id, hash, ok := parse(ClientPrefix, token)
	if !ok {
		return nil, nil
	}
	t, owner, err := s.Store.ClientToken(ctx, id, hash, s.Now())
	if errors.Is(err, store.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("load token: %w", err)
	}
	scope := within(t.Scope, owner.ScopesAt(t.Resource))
	if owner.Disabled || !asks.Introspects(t.Resource) || len(scope) == 0 {
		return nil, nil
	}
	return s.clientClaims(t, scope), nil
}

// clientClaims are what a client's own token says. There is no authentication in
// it: whoever asks for a level refuses it.
func (s *Service) clientClaims(t *store.ClientToken, scope []string) *oidc.AccessToken {
	return &oidc.AccessToken{
		Issuer: s.Issuer, Subject: t.ClientID, Audience: t.Resource.URI, ClientID: t.ClientID,
		Expiry: t.ExpiresAt.Unix(), IssuedAt: t.CreatedAt.Unix(), Scope: strings.Join(scope, " "),
	}
}

// within returns those of a list that are in another.
func within(list, other []string) []string {
	return slices.DeleteFunc(slices.Clone(list), func(s string) bool { return !slices.Contains(other, s) })
}
