package token

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"strings"

	"github.com/sallyport-id/sallyport/internal/oidc"
	"github.com/sallyport-id/sallyport/internal/store"
)

// Userinfo returns the claims that an access token opens (OpenID Connect Core
// §5.3), sent with a method beside these DPoP headers. It writes nothing but that a
// proof was used. Errors are *oidc.Error for the client, anything else
// for the log.
func (s *Service) Userinfo(ctx context.Context, token oidc.Presented, method string, dpop []string) (map[string]any, error) {
	invalid := oidc.Errorf(oidc.InvalidToken, "the access token is invalid, expired or revoked")
	id, hash, ok := parse(AccessPrefix, token.Token)
	if !ok {
		return nil, invalid
	}
	access, grant, user, err := s.Store.AccessToken(ctx, id, hash, s.Now())
	if err != nil {
		return nil, notFoundIs(invalid, err)
	}
	if access.Resource != nil {
		return nil, invalid // it is for an API, which must not get at more with it (RFC 9700 §2.3)
	}
	c, err := s.Store.Client(ctx, grant.ClientID)
	if errors.Is(err, store.ErrNotFound) {
		return nil, invalid
	}
	if err != nil {
		return nil, fmt.Errorf("load client: %w", err)
	}
	if err := s.presented(ctx, c, token, dpop, method, access.JKT); err != nil {
		return nil, err
	}
	if _, err := s.allow(ctx, c, nil, user, grant); err != nil {
		return nil, refusedIs(invalid, err)
	}
	if !oidc.HasScope(access.Scope, oidc.ScopeOpenID) {
		return nil, oidc.Errorf(oidc.InsufficientScope, "the access token has no scope openid")
	}
	claims := oidc.UserClaims(within(access.Scope, c.Scopes), c.MayAsk(grant.UserInfo), profile(user))
	claims["sub"] = s.Subjects.Of(c, user.ID)
	return claims, nil
}

// profile is all that is known of a user, by the names of OpenID Connect Core
// §5.1.
func profile(u *store.User) map[string]any {
	all := map[string]any{}
	if len(u.Claims) > 0 {
		_ = json.Unmarshal(u.Claims, &all) // checked when it was stored
	}
	// A claim of that name, however written, may have been stored before it was the server's.
	maps.DeleteFunc(all, func(name string, _ any) bool { return strings.EqualFold(name, oidc.ClaimGroups) })
	own := map[string]any{"preferred_username": u.Login, oidc.ClaimGroups: append([]string{}, u.Groups...)}
	if all["updated_at"] == nil {
		own["updated_at"] = u.CreatedAt.Unix()
	}
	for name, value := range map[string]string{"name": u.Name, "email": u.Email, "locale": u.Locale} {
		if value != "" {
			own[name] = value
		}
	}
	if u.Email != "" {
		own["email_verified"] = u.EmailVerified
	}
	maps.Copy(all, own)
	return all
}
