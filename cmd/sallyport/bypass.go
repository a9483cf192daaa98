package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/sallyport-id/sallyport/internal/admin"
	"github.com/sallyport-id/sallyport/internal/store"
	"github.com/sallyport-id/sallyport/internal/store/sqlstore"
)

type userBypassCmd struct {
	configFlag
	outputFlag
	loginArg
	Valid   time.Duration `help:"How long the code may wait to be used, 24h at most." default:"1h"`
	Replace bool          `help:"What was lost may be found by others: setting up the new factor takes all others away."`
}

// bypassView is a bypass code. The code itself is shown when it is made, and never
// again.
type bypassView struct {
	Code      string     `json:"code,omitempty"`
	Replaces  bool       `json:"replaces"`
	MadeBy    string     `json:"made_by,omitempty"`
	CreatedAt *time.Time `json:"created_at,omitempty"`
	ExpiresAt time.Time  `json:"expires_at"`
}

// Run makes a bypass code.
func (c *userBypassCmd) Run() error {
	return c.operate(func(ctx context.Context, _ *sqlstore.Store, a *admin.Admin) error {
		u, err := c.find(ctx, a)
		if err != nil {
			return err
		}
		made, err := a.MakeBypass(ctx, u, c.Valid, c.Replace)
		if err != nil {
			return fmt.Errorf("user %q: %w", c.Login, err)
		}
		v := shownUser(u, nil)
		v.Bypass = &bypassView{Code: made.Code, Replaces: c.Replace, ExpiresAt: made.ExpiresAt}
		return c.print(os.Stdout, v, func(w io.Writer) error { return v.printBypass(w) })
	})
}

// printBypass prints the one time that the code is seen.
func (v userView) printBypass(w io.Writer) error {
	others := "the others stay as they are"
	if v.Bypass.Replaces {
		others = "all others are taken away then"
	}
	_, err := fmt.Fprintf(w, `%s sets up a new second factor with this code, once, until %s; %s:

  %s

It goes where the second factor is asked for, under "Try another way", after the password. Whoever has
both can be %[1]s: hand it over where nobody else reads, to whom you know.
`, v.Login, v.Bypass.ExpiresAt.Format(time.RFC3339), others, v.Bypass.Code)
	return err
}

// openBypass is the user's open code, nil for none.
func openBypass(ctx context.Context, db *sqlstore.Store, a *admin.Admin, u *store.User) (*bypassView, error) {
	b, err := db.Bypass(ctx, u.ID, a.Now())
	if errors.Is(err, store.ErrNotFound) || err == nil && b.UsedIn != "" {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return &bypassView{Replaces: b.Replaces, MadeBy: b.MadeBy, CreatedAt: &b.CreatedAt, ExpiresAt: b.ExpiresAt}, nil
}
