package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"text/tabwriter"
	"time"

	"github.com/sallyport-id/sallyport/internal/admin"
	"github.com/sallyport-id/sallyport/internal/store"
	"github.com/sallyport-id/sallyport/internal/store/sqlstore"
)

type userDevicesCmd struct {
	configFlag
	outputFlag
	loginArg
	End string `help:"End the trust in the browser with this id, and what was granted because of it." placeholder:"ID" xor:"end"`
	All bool   `help:"End the trust in every browser." xor:"end"`
}

// deviceView is a browser that a user trusts.
type deviceView struct {
	ID         string    `json:"id"`
	UserAgent  string    `json:"user_agent"`
	Address    string    `json:"address"`
	CreatedAt  time.Time `json:"created_at"`
	LastUsedAt time.Time `json:"last_used_at"`
	ExpiresAt  time.Time `json:"expires_at"`
}

// Run lists the browsers, or ends the trust.
func (c *userDevicesCmd) Run() error {
	return c.operate(func(ctx context.Context, db *sqlstore.Store, a *admin.Admin) error {
		u, err := c.find(ctx, a)
		if err != nil {
			return err
		}
		switch {
		case c.All:
			return a.EndTrustedDevices(ctx, u.ID)
		case c.End != "":
			err := a.EndTrustedDevice(ctx, u.ID, c.End)
			if errors.Is(err, store.ErrNotFound) {
				return fmt.Errorf("user %q: trusts no browser with the id %q", c.Login, c.End)
			}
			return err
		}
		list, err := db.TrustedDevices(ctx, u.ID, a.Now())
		if err != nil {
			return err
		}
		return c.show(list)
	})
}

func (c *userDevicesCmd) show(list []store.TrustedDevice) error {
	views := []deviceView{}
	for _, d := range list {
		views = append(views, deviceView{d.ID, d.UserAgent, d.Address, d.CreatedAt, d.LastUsedAt, d.ExpiresAt})
	}
	return c.print(os.Stdout, views, func(w io.Writer) error {
		t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
		fmt.Fprintln(t, "ID\tSINCE\tLAST USED\tUNTIL\tADDRESS\tBROWSER")
		for _, d := range views {
			fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\n", d.ID, d.CreatedAt.Format(time.DateOnly), d.LastUsedAt.Format(time.RFC3339),
				d.ExpiresAt.Format(time.DateOnly), d.Address, d.UserAgent)
		}
		return t.Flush()
	})
}
