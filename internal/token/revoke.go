package token

import (
	"context"
	"errors"
	"fmt"

	"github.com/sallyport-id/sallyport/internal/flow"
	"github.com/sallyport-id/sallyport/internal/oidc"
	"github.com/sallyport-id/sallyport/internal/store"
)

// Revoke ends a token of the client's own (RFC 7009 §2): an access token alone, a
// refresh token with its grant and all tokens of it, even if it was rotated away. An
// API that checks JWTs by itself takes one until it expires, at most 5 minutes. A
// token that is worth nothing is no error; one of another client is. Errors are
// *oidc.Error for the client, anything else for the log.
func (s *Service) Revoke(ctx context.Context, q *oidc.TokenQuery, o flow.Origin) error {
	c, err := s.authenticate(ctx, q.Auth, o)
	if err != nil {
		return err
	}
	r := &call{client: c, origin: o, now: s.Now()}
	if id, hash, ok := parse(RefreshPrefix, string(q.Token)); ok {
		err = s.revokeRefresh(ctx, r, id, hash)
	} else {
		err = s.revokeAccess(ctx, r, string(q.Token))
	}
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	return err
}

// errForeign: RFC 7009 §2.1 has the client told, in the words of RFC 6749 §5.2.
var errForeign = oidc.Errorf(oidc.InvalidGrant, "the token is another client's")

func (s *Service) revokeRefresh(ctx context.Context, r *call, id string, hash []byte) error {
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
	switch kind, id, hash := s.parseAccess(token); kind {
	case AccessPrefix:
		return s.revokeUsers(ctx, r, id, hash)
	case ClientPrefix:
		return s.revokeClients(ctx, r, id, hash)
	}
	return nil
}

func (s *Service) revokeUsers(ctx context.Context, r *call, id string, hash []byte) error {
	_, grant, _, err := s.Store.AccessToken(ctx, id, hash, r.now)
	if err != nil {
		return fmt.Errorf("load access token: %w", err)
	}
	if grant.ClientID != r.client.ID {
		return errForeign
	}
	return s.Store.RevokeAccessToken(ctx, id, hash, r.event(store.EventTokenAccessRevoked, grant))
}

func (s *Service) revokeClients(ctx context.Context, r *call, id string, hash []byte) error {
	t, _, err := s.Store.ClientToken(ctx, id, hash, r.now)
	if err != nil {
		return fmt.Errorf("load token: %w", err)
	}
	if t.ClientID != r.client.ID {
		return errForeign
	}
	return s.Store.RevokeClientToken(ctx, id, hash, r.ownEvent(store.EventTokenClientRevoked, t.Resource.URI))
}
