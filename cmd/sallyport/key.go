package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"text/tabwriter"
	"time"

	"github.com/sallyport-id/sallyport/internal/admin"
	"github.com/sallyport-id/sallyport/internal/keys"
	"github.com/sallyport-id/sallyport/internal/store"
	"github.com/sallyport-id/sallyport/internal/store/sqlstore"
)

type keyCommands struct {
	List   keyListCmd        `cmd:"" help:"List the signing keys."`
	Rotate keyRotateCmd      `cmd:"" help:"Publish the next signing keys, or replace them at once."`
	Reseal keyResealCmd      `cmd:"" help:"Seal what the database keeps anew, under the key file's first key."`
	Master masterKeyCommands `cmd:"" help:"Change the master key, which is in the key file."`
}

type keyListCmd struct {
	configFlag
	outputFlag
}

// listedKey is a signing key as it is shown.
type listedKey struct {
	ID        string     `json:"kid"`
	Alg       string     `json:"alg"`
	State     keys.State `json:"state"`
	CreatedAt time.Time  `json:"created_at"`
	SignsFrom time.Time  `json:"signs_from"`
	Retires   time.Time  `json:"retires,omitzero"` // no longer published then
}

func shownKey(k store.SigningKey, state keys.State) listedKey {
	shown := listedKey{k.ID, k.Alg, state, k.CreatedAt, k.CreatedAt, k.Retire}
	if k.NotBefore.After(k.CreatedAt) {
		shown.SignsFrom = k.NotBefore
	}
	return shown
}

// Run lists the keys. What is secret of them is sealed, and not looked at.
func (c *keyListCmd) Run() error {
	return c.operate(func(ctx context.Context, db *sqlstore.Store, _ *admin.Admin) error {
		stored, err := db.SigningKeys(ctx)
		if err != nil {
			return err
		}
		list := []listedKey{}
		for _, k := range keys.List(stored, time.Now()) {
			list = append(list, shownKey(k.SigningKey, k.State))
		}
		return c.print(os.Stdout, list, func(w io.Writer) error { return printKeys(w, list) })
	})
}

func printKeys(w io.Writer, list []listedKey) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "KID\tALG\tSTATE\tCREATED\tSIGNS FROM\tRETIRES")
	for _, k := range list {
		retires := "-"
		if !k.Retires.IsZero() {
			retires = k.Retires.Format(time.RFC3339)
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\n", k.ID, k.Alg, k.State, k.CreatedAt.Format(time.RFC3339), k.SignsFrom.Format(time.RFC3339), retires)
	}
	return t.Flush()
}

type keyRotateCmd struct {
	configFlag
	outputFlag
	Alg       string `enum:"all,RS256,ES256,EdDSA" default:"all" help:"Of this algorithm alone."`
	Emergency bool   `help:"A key is in other hands: take every older one away at once. What they signed verifies no more."`
}

// Run rotates. Running servers take it up within a second.
func (c *keyRotateCmd) Run() error {
	s, _, err := c.load()
	if err != nil {
		return err
	}
	sealer, err := openKeyFile(s.KeyFile)
	if err != nil {
		return err
	}
	return c.operate(func(ctx context.Context, db *sqlstore.Store, _ *admin.Admin) error {
		// The database's clock, which servers follow: this one may be any machine.
		at, err := db.Clock(ctx)
		if err != nil {
			return err
		}
		now := func() time.Time { return at.UTC().Truncate(time.Millisecond) } // as it is kept
		made, err := c.rotate(ctx, &keys.Keeper{Store: db, Sealer: sealer, Plan: keys.NewPlan(s.KeyRotation, s.SessionTTL), Operator: operator(), Now: now})
		if len(made) == 0 {
			return err
		}
		return errors.Join(c.print(os.Stdout, made, func(w io.Writer) error { return c.printMade(w, made) }), err)
	})
}

// rotate goes on when the next key of one algorithm is published already.
func (c *keyRotateCmd) rotate(ctx context.Context, k *keys.Keeper) (made []listedKey, err error) {
	for _, alg := range keys.Algs() {
		if c.Alg != "all" && c.Alg != alg {
			continue
		}
		rotate, state := k.Rotate, keys.StateNext
		if c.Emergency {
			rotate, state = k.RotateAtOnce, keys.StateSigning
		}
		next, failed := rotate(ctx, alg)
		if failed != nil {
			err = errors.Join(err, fmt.Errorf("%s: %w", alg, failed))
			continue
		}
		made = append(made, shownKey(next, state))
	}
	return made, err
}

func (c *keyRotateCmd) printMade(w io.Writer, made []listedKey) error {
	err := printKeys(w, made)
	if c.Emergency {
		_, said := io.WriteString(w, `
Every older key is gone from the key set, and these sign. Running servers know it
within a second. What that breaks:
  - ID tokens that older keys signed verify no more. Who is in the middle of a
    sign-in may have to begin anew, and signing out with such a token as
    id_token_hint is refused.
  - Applications that still keep the old key set believe the old keys until they
    fetch it again: after 5 minutes if they heed what we say. Restart those that
    do not.
Sessions, access tokens and refresh tokens are not signed: they live on.
If the master key may be in other hands, too, change it: see docs/operate/rotate.md.
`)
		return errors.Join(err, said)
	}
	_, said := io.WriteString(w, `
Published, so that applications know them by the time they sign. Until then the
keys before them sign, and stay published for what they signed.
`)
	return errors.Join(err, said)
}

type keyResealCmd struct {
	configFlag
	outputFlag
}

// resealed is what was done, and what still needs an older key.
type resealed struct {
	Resealed int `json:"resealed"`
	Left     int `json:"left"`
	Passing  int `json:"passing"` // held by sign-ins under way
}

// Run seals anew what is sealed under an older key.
func (c *keyResealCmd) Run() error {
	s, _, err := c.load()
	if err != nil {
		return err
	}
	sealer, err := openKeyFile(s.KeyFile)
	if err != nil {
		return err
	}
	return c.operate(func(ctx context.Context, db *sqlstore.Store, _ *admin.Admin) error {
		n, failed := keys.Reseal(ctx, db, sealer)
		if n > 0 {
			failed = errors.Join(failed, db.Record(ctx, store.Event{At: time.Now(), Type: store.EventKeyResealed, Actor: operator(), Detail: strconv.Itoa(n)}))
		}
		left, passing, err := keys.CountOld(ctx, db, sealer, time.Now())
		if err != nil {
			return errors.Join(failed, err)
		}
		return errors.Join(c.print(os.Stdout, resealed{n, left, passing}, func(w io.Writer) error {
			if passing > 0 {
				fmt.Fprintln(w, "Sign-ins under way hold values under older keys. They end within ten minutes: run this again then.")
			}
			_, err := fmt.Fprintf(w, "resealed  %d\nleft      %d\npassing   %d\n", n, left, passing)
			return err
		}), failed)
	})
}

type masterKeyCommands struct {
	Add  masterAddCmd  `cmd:"" help:"Add a new key, which seals after a restart. The older ones open what they sealed."`
	Use  masterUseCmd  `cmd:"" help:"Let the key that was added with --standby seal after a restart."`
	Drop masterDropCmd `cmd:"" help:"Keep the first key alone, once nothing is sealed under the others."`
}

// editKeyFile changes the key file that the configuration names.
func (c configFlag) editKeyFile(change func([]keys.MasterKey) ([]keys.MasterKey, error)) error {
	s, _, err := c.load()
	if err != nil {
		return err
	}
	return keys.EditKeyFile(s.KeyFile, change)
}

type masterAddCmd struct {
	configFlag
	Standby bool `help:"Do not seal with it yet: with several servers, until all of them have it."`
}

// Run adds a key at the top, or at the end.
func (c *masterAddCmd) Run() error {
	err := c.editKeyFile(func(masters []keys.MasterKey) ([]keys.MasterKey, error) {
		if c.Standby {
			return append(masters, keys.NewMasterKey()), nil
		}
		return slices.Insert(masters, 0, keys.NewMasterKey()), nil
	})
	if err != nil {
		return err
	}
	next := "Next: keep a copy of the key file, restart the server, sallyport key reseal, sallyport key master drop."
	if c.Standby {
		next = "Next: copy the key file to every server, restart each, sallyport key master use."
	}
	_, err = fmt.Println(next)
	return err
}

type masterUseCmd struct{ configFlag }

// Run puts the last key first.
func (c *masterUseCmd) Run() error {
	err := c.editKeyFile(func(masters []keys.MasterKey) ([]keys.MasterKey, error) {
		if len(masters) == 1 {
			return nil, errors.New("the key file has one key: sallyport key master add --standby adds another")
		}
		last := len(masters) - 1
		return slices.Insert(masters[:last:last], 0, masters[last]), nil
	})
	if err != nil {
		return err
	}
	_, err = fmt.Println("Next: copy the key file to every server, restart each, sallyport key reseal, sallyport key master drop.")
	return err
}

type masterDropCmd struct{ configFlag }

// Run moves the older keys into a file of their own, if nothing in the database
// needs them. Backups of the database may.
func (c *masterDropCmd) Run() error {
	s, _, err := c.load()
	if err != nil {
		return err
	}
	dropped := s.KeyFile + ".dropped"
	err = c.operate(func(ctx context.Context, db *sqlstore.Store, _ *admin.Admin) error {
		return keys.EditKeyFile(s.KeyFile, func(masters []keys.MasterKey) ([]keys.MasterKey, error) {
			if err := checkUnused(ctx, db, masters); err != nil {
				return nil, err
			}
			return masters[:1], keys.WriteKeyFile(dropped, masters[1:]...)
		})
	})
	if err != nil {
		return err
	}
	_, err = fmt.Printf("The key file has one key. The older ones are in %s: backups of the database need them. Keep it with those, or delete both.\n", dropped)
	return err
}

func checkUnused(ctx context.Context, db *sqlstore.Store, masters []keys.MasterKey) error {
	if len(masters) == 1 {
		return errors.New("the key file has one key: there is none to drop")
	}
	sealer, err := keys.NewSealer(masters[0], masters[1:]...)
	if err != nil {
		return err
	}
	kept, passing, err := keys.CountOld(ctx, db, sealer, time.Now())
	switch {
	case err != nil:
		return err
	case kept > 0:
		return fmt.Errorf("%d values are still sealed under older keys: sallyport key reseal", kept)
	case passing > 0:
		return fmt.Errorf("sign-ins under way hold %d values under older keys: they end within ten minutes", passing)
	}
	return nil
}
