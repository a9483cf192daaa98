package token

import (
	"context"
	"errors"
	"slices"

	"github.com/sallyport-id/sallyport/internal/oidc"
	"github.com/sallyport-id/sallyport/internal/store"
)

// refresh is the grant refresh_token (RFC 6749 §6). Confidential clients keep
// their token (FAPI 2.0 Security Profile §5.3.2.1), and so does who has a key for it;
// other public ones get a new one each time (RFC 9700 §2.2.2).
func (s *Service) refresh(ctx context.Context, r *call) (*Response, error) {
	id, hash, ok := parse(RefreshPrefix, r.RefreshToken)
	if !ok {
		return nil, errGrant
	}
	old, grant, user, err := s.Store.RefreshToken(ctx, id, hash, r.now)
	if err != nil {
		return nil, notFoundIs(errGrant, err)
	}
	if grant.ClientID != r.client.ID || oidc.HasScope(grant.Scope, oidc.ScopeOfflineAccess) && !slices.Contains(r.client.Scopes, oidc.ScopeOfflineAccess) {
		return nil, errGrant // another client's, or of one that has lost the right to outlive sessions
	}
	if old.JKT != "" && old.JKT != r.jkt {
		return nil, oidc.Errorf(oidc.InvalidGrant, "the refresh token is bound to another key")
	}
	scope, refusal := narrowed(old.Scope, r.Scope)
	if refusal != nil {
		return nil, refusal
	}
	api, err := s.audience(ctx, r, grant)
	if err != nil {
		return nil, err
	}
	i := issuance{grant: grant, user: user, api: api, scope: scope, event: store.EventTokenRefresh}
	if r.client.Public() && old.JKT == "" {
		i.refresh, i.refreshExpires = true, old.ExpiresAt
		i.write = func(t store.Tokens) error { return s.Store.RotateRefresh(ctx, id, r.now, retryGrace, t) }
	} else {
		i.write = func(t store.Tokens) error { return s.Store.IssueAccess(ctx, id, r.now, r.idleAt(), t) }
	}
	resp, err := s.issue(ctx, r, i)
	if errors.Is(err, store.ErrUsed) {
		return nil, s.reused(ctx, r, grant, store.EventTokenRefreshReused)
	}
	return resp, err
}

// narrowed returns the asked scope if it lies within the granted one; nothing
// asked is all of it.
func narrowed(granted, asked []string) ([]string, *oidc.Error) {
	if len(asked) == 0 {
		return granted, nil
	}
	for _, scope := range asked {
		if !slices.Contains(granted, scope) {
			return nil, oidc.Errorf(oidc.InvalidScope, "scope is wider than what was granted")
		}
	}
	return asked, nil
}
