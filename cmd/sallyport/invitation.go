package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/sallyport-id/sallyport/internal/admin"
	"github.com/sallyport-id/sallyport/internal/store"
	"github.com/sallyport-id/sallyport/internal/store/sqlstore"
)

type userInviteCmd struct {
	configFlag
	outputFlag
	loginArg
}

// Run makes a new invitation.
func (c *userInviteCmd) Run() error {
	return c.operate(func(ctx context.Context, _ *sqlstore.Store, a *admin.Admin) error {
		u, err := c.find(ctx, a)
		if err != nil {
			return err
		}
		in, err := a.InviteAgain(ctx, u)
		if err != nil {
			return fmt.Errorf("user %q: %w", c.Login, err)
		}
		return c.printInvited(os.Stdout, u, in)
	})
}

type userResetCmd struct {
	configFlag
	outputFlag
	yesFlag
	loginArg
	KeepPassword bool `help:"The password was not lost: it stays, and is asked for with the link."`
}

// Run resets the user.
func (c *userResetCmd) Run() error {
	what := "takes password and second factor"
	if c.KeepPassword {
		what = "takes the second factor"
	}
	if err := c.check("ends all that was issued to " + c.Login + ", " + what); err != nil {
		return err
	}
	return c.operate(func(ctx context.Context, db *sqlstore.Store, a *admin.Admin) error {
		u, err := c.find(ctx, a)
		if err != nil {
			return err
		}
		in, err := a.ResetUser(ctx, u, c.KeepPassword)
		if err != nil {
			return fmt.Errorf("user %q: %w", c.Login, err)
		}
		if u, err = db.User(ctx, u.ID); err != nil {
			return err
		}
		return c.printInvited(os.Stdout, u, in)
	})
}

// printInvited prints the one time that the link is seen.
func (o outputFlag) printInvited(w io.Writer, u *store.User, in admin.Invitation) error {
	v := shownUser(u, nil)
	v.Invitation = &inviteView{URL: in.URL, ExpiresAt: in.ExpiresAt}
	return o.print(w, v, func(w io.Writer) error {
		does := "chooses a password and sets up a second factor"
		if v.HasPassword {
			does = "sets up a second factor again"
		}
		_, err := fmt.Fprintf(w, `%s %s with this link, once, until %s:

  %s

Whoever has it can be %[1]s: hand it over where nobody else reads.
`, u.Login, does, in.ExpiresAt.Format(time.RFC3339), in.URL)
		return err
	})
}
