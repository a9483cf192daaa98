package token

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/sallyport-id/sallyport/internal/flow"
	"github.com/sallyport-id/sallyport/internal/oidc"
	"github.com/sallyport-id/sallyport/internal/store"
)

// Revoke ends a token of the client's own (RFC 7009 §2): an access token alone, a
// refresh token with its grant and all tokens of it, even if it was rotated away. A
// token that is worth nothing is no error; one of another client is. Errors are
// *oidc.Error for the client, anything else for the log.
func (s *Service) Revoke(ctx context.Context, q *oidc.TokenQuery, o flow.Origin) error {
	c, err := s.authenticate(ctx, q.Auth, o)
	if err != nil {
		return err
	}
	r := &call{client: c, origin: o, now: s.Now()}
	token := string(q.Token)
	switch {
	case strings.HasPrefix(token, RefreshPrefix):
		err = s.revokeRefresh(ctx, r, token)
	case strings.HasPrefix(token, ClientPrefix):
		err = s.revokeOwn(ctx, r, token)
	default:
		err = s.revokeAccess(ctx, r, token)
	}
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	return err
}

// errForeign: RFC 7009 §2.1 has the client told, in the words of RFC 6749 §5.2.
var errForeign = oidc.Errorf(oidc.InvalidGrant, "the token is another client's")

func (s *Service) revokeRefresh(ctx context.Context, r *call, token string) error {
	id, hash, ok := parse(RefreshPrefix, token)
	if !ok {
		return store.ErrNotFound
	}
	_, grant, _, err := s.Store.RefreshToken(ctx, id, hash, r.now)
	if err != nil {
		return fmt.Errorf("load refresh token: %w", err)
	}
	if grant.ClientID != r.client.ID {
		return errForeign
	}
	return s.Store.RevokeGrant(ctx, grant.ID, r.now, r.event(store.EventTokenRevoked, grant))
}

func (s *Service) revokeAccess(ctx context.Context, r *call, token string) error {
	id, hash, ok := parse(AccessPrefix, token)
	if !ok {
		return store.ErrNotFound
	}
	_, grant, _, err := s.Store.AccessToken(ctx, id, hash, r.now)
	if err != nil {
		return fmt.Errorf("load access token: %w", err)
	}
	if grant.ClientID != r.client.ID {
		return errForeign
	}
	return s.Store.RevokeAccessToken(ctx, id, hash, r.event(store.EventTokenAccessRevoked, grant))
}

func (s *Service) revokeOwn(ctx context.Context, r *call, token string) error {
	id, hash, ok := parse(ClientPrefix, token)
	if !ok {
		return store.ErrNotFound
	}
	t, _, err := s.Store.ClientToken(ctx, id, hash, r.now)
	if err != nil {
		return fmt.Errorf("load token: %w", err)
	}
	if t.ClientID != r.client.ID {
		return errForeign
	}
	return s.Store.RevokeClientToken(ctx, id, hash, r.ownEvent(store.EventTokenClientRevoked, t.Resource.URI))
}
