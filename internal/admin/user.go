package admin

import (
	"context"
	"fmt"

	"github.com/sallyport-id/sallyport/internal/authn"
	"github.com/sallyport-id/sallyport/internal/store"
)

// UserByLogin finds a user by what is signed in with, in any spelling that is
// the same. store.ErrNotFound if there is none.
func (a *Admin) UserByLogin(ctx context.Context, login string) (*store.User, error) {
	key, err := authn.LoginKey(login)
	if err != nil {
		return nil, err
	}
	return a.Store.UserByLogin(ctx, key)
}

// DisableUser ends everything that was issued to a user, who cannot sign in until
// EnableUser. store.ErrNotFound if there is no such user; so for all that follow.
func (a *Admin) DisableUser(ctx context.Context, id string) error {
	return a.Store.DisableUser(ctx, id, a.Now(), a.event(store.EventUserDisabled, id, ""))
}

// EnableUser lets a user sign in again, with the authenticators of before.
func (a *Admin) EnableUser(ctx context.Context, id string) error {
	return a.Store.EnableUser(ctx, id, a.event(store.EventUserEnabled, id, ""))
}

// RemoveUser ends everything and forgets the person; neither login nor subject
// are given to another.
func (a *Admin) RemoveUser(ctx context.Context, id string) error {
	if err := a.Store.RemoveUser(ctx, id, a.Now(), a.event(store.EventUserRemoved, id, "")); err != nil {
		return fmt.Errorf("remove user: %w", err)
	}
	return nil
}

// Unlock forgets the wrong passwords and codes that were counted against the user,
// whose authenticators list are. What ended because of them stays ended.
func (a *Admin) Unlock(ctx context.Context, c *authn.Checker, u *store.User, list []store.Authenticator) error {
	return c.Lift(ctx, u, list, a.event(store.EventUserUnlocked, u.ID, ""))
}
