package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/sallyport-id/sallyport/internal/admin"
	"github.com/sallyport-id/sallyport/internal/store/sqlstore"
)

type userGroupsCmd struct {
	configFlag
	loginArg
	Groups []string `arg:"" optional:"" help:"The groups one is in from now on, all of them."`
	None   bool     `help:"One is in no group."`
}

// Run replaces the groups.
func (c *userGroupsCmd) Run() error {
	if c.None == (len(c.Groups) > 0) {
		return errors.New("name the groups, or say --none")
	}
	return c.operate(func(ctx context.Context, _ *sqlstore.Store, a *admin.Admin) error {
		u, err := c.find(ctx, a)
		if err != nil {
			return err
		}
		return a.SetGroups(ctx, u.ID, c.Groups)
	})
}

type userGraceCmd struct {
	configFlag
	loginArg
	Until string `help:"The last day, like 2026-12-31, on which one may still go on without a second factor." xor:"end" required:""`
	End   bool   `help:"From now on one may not." xor:"end" required:""`
}

// Run moves the end of the time in which a second factor may be put off.
func (c *userGraceCmd) Run() error {
	until := time.Now()
	if !c.End {
		day, err := time.Parse(time.DateOnly, c.Until)
		if err != nil {
			return fmt.Errorf("--until %q is no day like 2026-12-31", c.Until)
		}
		until = day.Add(24*time.Hour - time.Second) // its last second, UTC, as the page says it
	}
	return c.operate(func(ctx context.Context, _ *sqlstore.Store, a *admin.Admin) error {
		u, err := c.find(ctx, a)
		if err != nil {
			return err
		}
		return a.SetGrace(ctx, u.ID, until)
	})
}
