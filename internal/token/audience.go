package token

import (
	"context"
	"fmt"
	"slices"

	"github.com/sallyport-id/sallyport/internal/oidc"
	"github.com/sallyport-id/sallyport/internal/store"
)

// audience returns the API that a user's access token is for: the one of the
// grant's that the request names, or the only one; nil, for this server itself, if
// the grant has none (RFC 8707 §2.2).
func (s *Service) audience(ctx context.Context, r *call, g *store.Grant) (*oidc.Resource, error) {
	granted, refusal := narrowedTarget(g.Resources, r.Resources)
	if refusal != nil {
		return nil, refusal
	}
	if granted == nil {
		return nil, nil
	}
	api, err := s.Store.Resource(ctx, granted.URI)
	if err != nil {
		return nil, notFoundIs(errTarget, fmt.Errorf("load resource: %w", err))
	}
	if api.ID != granted.ID {
		return nil, errTarget
	}
	return api, nil
}

// scopesAt are what the client may have at an API of the grant's: there today, and when
// the user allowed it.
func scopesAt(c *oidc.Client, api *oidc.Resource, g *store.Grant) []string {
	scopes := c.ScopesAt(api)
	for _, granted := range g.Resources {
		if granted.ID == api.ID && len(granted.Scopes) > 0 {
			return within(scopes, granted.Scopes)
		}
	}
	return scopes
}

func narrowedTarget(granted []store.GrantedResource, asked []string) (*store.GrantedResource, *oidc.Error) {
	switch {
	case len(asked) > 1:
		return nil, errOneTarget
	case len(asked) == 1:
		i := slices.IndexFunc(granted, func(g store.GrantedResource) bool { return g.URI == asked[0] })
		if i < 0 {
			return nil, oidc.Errorf(oidc.InvalidTarget, "resource is none of what was granted")
		}
		return &granted[i], nil
	case len(granted) > 1:
		return nil, oidc.Errorf(oidc.InvalidTarget, "the grant is for several resources: name one")
	case len(granted) == 1:
		return &granted[0], nil
	}
	return nil, nil
}
