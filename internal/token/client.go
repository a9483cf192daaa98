package token

import (
	"context"
	"fmt"
	"slices"

	"github.com/sallyport-id/sallyport/internal/oidc"
)

// errTarget: whether it is none, another client's or no longer the client's is not
// told.
var errTarget = oidc.Errorf(oidc.InvalidTarget, "resource is not an API that the client may use")

// clientCredentials is the grant client_credentials (RFC 6749 §4.4): a token for
// an API that the client was allowed. Without resource it is for the only one;
// without scope it has all that the client may have there.
func (s *Service) clientCredentials(ctx context.Context, r *call) (*Response, error) {
	uri, refusal := r.target()
	if refusal != nil {
		return nil, refusal
	}
	api, err := s.Store.Resource(ctx, uri)
	if err != nil {
		return nil, notFoundIs(errTarget, fmt.Errorf("load resource: %w", err))
	}
	allowed := r.client.ScopesAt(api)
	if len(allowed) == 0 {
		return nil, errTarget
	}
	scope, refusal := narrowed(allowed, r.Scope)
	if refusal != nil {
		return nil, oidc.Errorf(oidc.InvalidScope, "scope has more than the client may have at this API")
	}
	return s.issueToClient(ctx, r, api, scope)
}

// target is the URI of the one API that a client asks for itself.
func (r *call) target() (string, *oidc.Error) {
	if len(r.Resources) == 1 {
		return r.Resources[0], nil
	}
	if len(r.Resources) > 1 {
		return "", errOneTarget
	}
	var uris []string
	for _, a := range r.client.Resources {
		if len(a.Scopes) > 0 && !slices.Contains(uris, a.URI) {
			uris = append(uris, a.URI)
		}
	}
	switch len(uris) {
	case 0:
		return "", oidc.Errorf(oidc.InvalidTarget, "the client may use no API")
	case 1:
		return uris[0], nil
	}
	return "", oidc.Errorf(oidc.InvalidTarget, "the client may use several APIs: name one with resource")
}

var errOneTarget = oidc.Errorf(oidc.InvalidTarget, "an access token is for one resource: name one")
