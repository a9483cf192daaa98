package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/sallyport-id/sallyport/internal/admin"
	"github.com/sallyport-id/sallyport/internal/store"
	"github.com/sallyport-id/sallyport/internal/store/sqlstore"
)

type userSetCmd struct {
	configFlag
	loginArg
	Name    *string  `help:"What is shown of one, and told to applications."`
	Email   *string  `help:"Told to applications; another than before is not verified."`
	Locale  *string  `help:"en, ko or empty."`
	Claim   []string `sep:"none" placeholder:"NAME=VALUE" help:"A further claim: one of the standard ones, like given_name=Mina, or one of your own, whose value is JSON or text. May be repeated."`
	NoClaim []string `name:"no-claim" sep:"none" placeholder:"NAME" help:"Take a further claim away. May be repeated."`
}

// Run changes what is told of the user.
func (c *userSetCmd) Run() error {
	change, err := c.change()
	if err != nil {
		return err
	}
	return c.operate(func(ctx context.Context, _ *sqlstore.Store, a *admin.Admin) error {
		u, err := c.find(ctx, a)
		if err != nil {
			return err
		}
		err = a.SetProfile(ctx, u, change)
		if errors.Is(err, store.ErrStale) {
			err = errors.New("somebody else has just changed it; look, and try again")
		}
		if err != nil {
			return fmt.Errorf("user %q: %w", c.Login, err)
		}
		return nil
	})
}

func (c *userSetCmd) change() (admin.ProfileChange, error) {
	change := admin.ProfileChange{Name: c.Name, Email: c.Email, Locale: c.Locale, Claims: map[string]string{}, Without: c.NoClaim}
	if l := c.Locale; l != nil && *l != "" && *l != "en" && *l != "ko" {
		return change, errors.New("--locale must be en, ko or empty")
	}
	for _, claim := range c.Claim {
		name, value, ok := strings.Cut(claim, "=")
		if !ok {
			return change, fmt.Errorf("--claim %s: want NAME=VALUE", claim)
		}
		if _, twice := change.Claims[name]; twice {
			return change, fmt.Errorf("--claim %s stands twice", name)
		}
		change.Claims[name] = value
	}
	if c.Name == nil && c.Email == nil && c.Locale == nil && len(c.Claim)+len(c.NoClaim) == 0 {
		return change, errors.New("nothing to change: see --help")
	}
	return change, nil
}
