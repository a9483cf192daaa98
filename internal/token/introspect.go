package token

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/sallyport-id/sallyport/internal/flow"
	"github.com/sallyport-id/sallyport/internal/keys"
	"github.com/sallyport-id/sallyport/internal/oidc"
	"github.com/sallyport-id/sallyport/internal/store"
)

// Introspect says what an access token is worth at this moment to the API that
// asks, by the client that is its own (RFC 7662 §2). It writes nothing. Of a token
// for another API, or of anything else that is not good, the answer is the same.
// Errors are *oidc.Error for the client, anything else for the log.
func (s *Service) Introspect(ctx context.Context, q *oidc.TokenQuery, o flow.Origin) (*oidc.Introspection, error) {
	c, err := s.authenticate(ctx, q.Auth, o)
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
	return &oidc.Introspection{Active: true, AccessToken: claims, TokenType: tokenType(claims.Thumbprint())}, nil
}

// worth returns what a token says to the API of the client that asks; nil if that
// is nothing.
func (s *Service) worth(ctx context.Context, asks *oidc.Client, token string) (claims *oidc.AccessToken, err error) {
	switch kind, id, hash := s.parseAccess(token); kind {
	case AccessPrefix:
		claims, err = s.userWorth(ctx, asks, id, hash)
	case ClientPrefix:
		claims, err = s.clientWorth(ctx, asks, id, hash)
	}
	if errors.Is(err, store.ErrNotFound) {
		return nil, nil
	}
	return claims, err
}

// parseAccess returns the kind of an access token, "" if it is none of ours, its id
// and the hash that is stored of it. Nothing in a JWT is believed before its
// signature, and nothing but its name then: what it is worth is read.
func (s *Service) parseAccess(token string) (kind, id string, hash []byte) {
	for _, kind := range []string{AccessPrefix, ClientPrefix} {
		if id, hash, ok := parse(kind, token); ok {
			return kind, id, hash
		}
	}
	payload, _, err := s.Keys.Load().VerifyType(token, keys.TypeAccessToken, keys.RS256, keys.ES256, keys.EdDSA)
	if err != nil {
		return "", "", nil
	}
	var claims struct {
		ID string `json:"jti"`
	}
	if err := keys.DecodeClaims(payload, &claims); err != nil {
		return "", "", nil
	}
	for _, kind := range []string{AccessPrefix, ClientPrefix} {
		if id, ok := strings.CutPrefix(claims.ID, kind); ok {
			return kind, id, store.HashSecret(token)
		}
	}
	return "", "", nil
}

// userWorth asks what issue asked, again: today's policy, and the user, the client
// and its permission as they are now.
func (s *Service) userWorth(ctx context.Context, asks *oidc.Client, id string, hash []byte) (*oidc.AccessToken, error) {
	t, grant, user, err := s.Store.AccessToken(ctx, id, hash, s.Now())
	if err != nil {
		return nil, fmt.Errorf("load access token: %w", err)
	}
	if t.Resource == nil || !asks.Introspects(t.Resource) {
		return nil, nil
	}
	owner, err := s.Store.Client(ctx, grant.ClientID)
	if err != nil {
		return nil, fmt.Errorf("load client: %w", err)
	}
	proven, err := s.allow(ctx, owner, floors(t.Resource), user, grant)
	if err != nil {
		return nil, refusedIs(store.ErrNotFound, err)
	}
	scope := within(t.Scope, owner.ScopesAt(t.Resource))
	if len(scope) == 0 {
		return nil, nil
	}
	return s.userClaims(t, grant, s.subjectAt(t.Resource, asks, owner, user.ID), scope, proven), nil
}

func (s *Service) clientWorth(ctx context.Context, asks *oidc.Client, id string, hash []byte) (*oidc.AccessToken, error) {
	t, owner, err := s.Store.ClientToken(ctx, id, hash, s.Now())
	if err != nil {
		return nil, fmt.Errorf("load token: %w", err)
	}
	scope := within(t.Scope, owner.ScopesAt(t.Resource))
	if owner.Disabled || !asks.Introspects(t.Resource) || len(scope) == 0 {
		return nil, nil
	}
	return s.clientClaims(t, scope), nil
}

// subjectAt is what the user is called at an API: what the client that is the API knows,
// so that every application's token says the same there, or what the JWT says, which the
// application has read (RFC 9068 §6).
func (s *Service) subjectAt(api *oidc.Resource, asks, owner *oidc.Client, userID string) string {
	if api.JWT() {
		return s.Subjects.Of(owner, userID)
	}
	return s.Subjects.Of(asks, userID)
}

// userClaims are what a user's token says at an API.
func (s *Service) userClaims(t *store.AccessToken, g *store.Grant, subject string, scope []string, proven *oidc.Authentication) *oidc.AccessToken {
	return &oidc.AccessToken{
		Issuer: s.Issuer, Subject: subject, Audience: t.Resource.URI, ClientID: g.ClientID,
		Expiry: t.ExpiresAt.Unix(), IssuedAt: t.CreatedAt.Unix(), Scope: strings.Join(scope, " "), Confirmation: confirmation(t.JKT),
		Authentication: proven,
	}
}

// clientClaims are what a client's own token says. There is no authentication in
// it: whoever asks for a level refuses it.
func (s *Service) clientClaims(t *store.ClientToken, scope []string) *oidc.AccessToken {
	return &oidc.AccessToken{
		Issuer: s.Issuer, Subject: t.ClientID, Audience: t.Resource.URI, ClientID: t.ClientID,
		Expiry: t.ExpiresAt.Unix(), IssuedAt: t.CreatedAt.Unix(), Scope: strings.Join(scope, " "), Confirmation: confirmation(t.JKT),
	}
}

// within returns those of a list that are in another.
func within(list, other []string) []string {
	return slices.DeleteFunc(slices.Clone(list), func(s string) bool { return !slices.Contains(other, s) })
}
