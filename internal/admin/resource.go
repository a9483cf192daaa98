package admin

import (
	"context"
	"fmt"
	"slices"

	"github.com/sallyport-id/sallyport/internal/oidc"
	"github.com/sallyport-id/sallyport/internal/store"
)

// AddResource registers an API and gives it its id. store.ErrExists if the URI is
// taken.
func (a *Admin) AddResource(ctx context.Context, r *oidc.Resource) error {
	r.ID = store.NewID()
	if err := r.Validate(); err != nil {
		return err
	}
	return a.Store.CreateResource(ctx, r, a.event(store.EventResourceCreated, "", r.URI))
}

// RemoveResource forgets an API and ends the tokens for it.
func (a *Admin) RemoveResource(ctx context.Context, uri string) error {
	err := a.Store.RemoveResource(ctx, uri, a.event(store.EventResourceRemoved, "", uri))
	if err != nil {
		return fmt.Errorf("API %q: %w", uri, err)
	}
	return nil
}

// Allow lets a client that is not yet registered ask for tokens for an API: with
// these scopes, or with none given with all that the API has now.
func (a *Admin) Allow(ctx context.Context, c *oidc.Client, uri string, scopes ...string) error {
	r, err := a.Store.Resource(ctx, uri)
	if err != nil {
		return fmt.Errorf("API %q: %w", uri, err)
	}
	if len(scopes) == 0 {
		scopes = r.Scopes
	}
	for _, scope := range scopes {
		if !slices.Contains(r.Scopes, scope) {
			return fmt.Errorf("API %q has no scope %q", uri, scope)
		}
	}
	access(c, r).Scopes = scopes
	return nil
}

// AllowIntrospection makes a client that is not yet registered an API's own: it
// may ask what tokens for the API are worth.
func (a *Admin) AllowIntrospection(ctx context.Context, c *oidc.Client, uri string) error {
	r, err := a.Store.Resource(ctx, uri)
	if err != nil {
		return fmt.Errorf("API %q: %w", uri, err)
	}
	access(c, r).Introspect = true
	return nil
}

// AllowClient lets a registered client use an API with these scopes, in place of
// those that it had there, with none given with all; or it makes the client the
// API's own, too.
func (a *Admin) AllowClient(ctx context.Context, id, uri string, scopes []string, introspect bool) error {
	return a.changeAccess(ctx, id, store.EventClientAllowed, uri, func(c *oidc.Client) error {
		if introspect {
			return a.AllowIntrospection(ctx, c, uri)
		}
		return a.Allow(ctx, c, uri, scopes...)
	})
}

// DenyClient takes from a registered client all that it may do at an API, or at one
// that is no more. The tokens that it has for it are worth nothing from then on.
func (a *Admin) DenyClient(ctx context.Context, id, uri string) error {
	return a.changeAccess(ctx, id, store.EventClientDenied, uri, func(c *oidc.Client) error {
		before := len(c.Resources)
		c.Resources = slices.DeleteFunc(c.Resources, func(a oidc.ResourceAccess) bool { return a.URI == uri })
		if len(c.Resources) == before {
			return fmt.Errorf("may do nothing at %q", uri)
		}
		return nil
	})
}

func (a *Admin) changeAccess(ctx context.Context, id, event, uri string, change func(*oidc.Client) error) error {
	_, err := a.changeClient(ctx, id, func(c *oidc.Client) (store.Event, error) {
		return a.clientEvent(event, id, uri), change(c)
	})
	return err
}

// access returns what the client may do with the API, to be changed.
func access(c *oidc.Client, r *oidc.Resource) *oidc.ResourceAccess {
	for i := range c.Resources {
		if c.Resources[i].ResourceID == r.ID {
			return &c.Resources[i]
		}
	}
	c.Resources = append(c.Resources, oidc.ResourceAccess{ResourceID: r.ID, URI: r.URI})
	return &c.Resources[len(c.Resources)-1]
}
