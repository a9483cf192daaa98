package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"text/tabwriter"
	"time"

	"github.com/sallyport-id/sallyport/internal/admin"
	"github.com/sallyport-id/sallyport/internal/store/sqlstore"
)

type keyCommands struct {
	List keyListCmd `cmd:"" help:"List the signing keys."`
}

type keyListCmd struct {
	configFlag
	outputFlag
}

type listedKey struct {
	ID        string    `json:"kid"`
	Alg       string    `json:"alg"`
	CreatedAt time.Time `json:"created_at"`
	Signs     bool      `json:"signs"` // else it is only published
}

// Run lists the keys. What is secret of them is sealed, and not looked at.
func (c *keyListCmd) Run() error {
	return c.operate(func(ctx context.Context, db *sqlstore.Store, _ *admin.Admin) error {
		stored, err := db.SigningKeys(ctx)
		if err != nil {
			return err
		}
		list, seen := []listedKey{}, map[string]bool{}
		for _, k := range stored { // the newest first
			list = append(list, listedKey{k.ID, k.Alg, k.CreatedAt, !seen[k.Alg]})
			seen[k.Alg] = true
		}
		return c.print(os.Stdout, list, func(w io.Writer) error {
			t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
			fmt.Fprintln(t, "KID\tALG\tCREATED\tSIGNS")
			for _, k := range list {
				fmt.Fprintf(t, "%s\t%s\t%s\t%s\n", k.ID, k.Alg, k.CreatedAt.Format(time.RFC3339), yesNo(k.Signs))
			}
			return t.Flush()
		})
	})
}
