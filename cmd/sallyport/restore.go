package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/sallyport-id/sallyport/internal/admin"
	"github.com/sallyport-id/sallyport/internal/keys"
	"github.com/sallyport-id/sallyport/internal/store"
	"github.com/sallyport-id/sallyport/internal/store/sqlstore"
)

type restoreCmd struct {
	configFlag
	outputFlag
	yesFlag
	File    string `arg:"" optional:"" help:"The backup."`
	Replace bool   `help:"Put it in the place of the database that is there, which is kept under another name."`
	InPlace bool   `help:"The database has been put back already, by pg_restore or with a snapshot: only end in it what must not live twice."`
}

// didRestore is what restore says.
type didRestore struct {
	Database string `json:"database"`
	AsOf     string `json:"as_of,omitempty"`
	// Before is where the database is that was there.
	Before       string   `json:"before,omitempty"`
	Sessions     int      `json:"sessions_ended"`
	Grants       int      `json:"grants_ended"`
	WithoutCodes []string `json:"need_new_recovery_codes"`
	WithoutRight []string `json:"need_new_invitation"`
}

// Run puts a backup in place, or cleans up what is in place.
func (c *restoreCmd) Run() error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	s, _, err := c.load()
	if err != nil {
		return err
	}
	var did didRestore
	switch {
	case c.InPlace == (c.File != ""):
		return errors.New("either name the backup, or say --in-place")
	case c.InPlace:
		if err := c.check("ends all sessions and tokens of the database, and voids recovery codes"); err != nil {
			return err
		}
		did, err = restoreInPlace(ctx, c.configFlag, s)
	default:
		did, err = restore(ctx, s, c.File, c.Replace, time.Now)
	}
	if err != nil {
		return err
	}
	return c.print(os.Stdout, did, did.print)
}

// restore puts a backup in place. It has been cleaned up by then.
func restore(ctx context.Context, s settings, file string, replace bool, now func() time.Time) (did didRestore, err error) {
	if s.onPostgres() {
		return did, errors.New("the database is on PostgreSQL: pg_restore puts its backup in place, and then comes \"sallyport restore --in-place\"")
	}
	if err := checkBackup(ctx, file); err != nil {
		return did, err
	}
	masters, err := keys.ReadKeyFile(s.KeyFile)
	if err != nil {
		return did, err
	}
	before, err := sqlstore.Restore{From: file, To: s.Database, Replace: replace, Now: now(), Prepare: func(db *sqlstore.Store) error {
		if err := opens(ctx, db, masters); err != nil {
			return err
		}
		did, err = cleanUp(ctx, db, now)
		return err
	}}.Run(ctx)
	if errors.Is(err, fs.ErrExist) {
		return did, fmt.Errorf("%s exists: --replace puts the backup in its place, and keeps it under another name", s.Database)
	}
	did.Database, did.Before = s.Database, before
	return did, err
}

// checkBackup proves that a file was made by backup, and changes nothing in it.
func checkBackup(ctx context.Context, file string) error {
	if _, err := os.Stat(file); err != nil {
		return err
	}
	mode, _, err := sqlstore.Peek(ctx, sqlstore.Config{Path: file}, metaMode)
	if err != nil {
		return fmt.Errorf("look into %s: %w", file, err)
	}
	if mode != backupMark {
		return fmt.Errorf("%s was not made by \"sallyport backup\": whatever else is put in the database's place needs \"sallyport restore --in-place\"", file)
	}
	return nil
}

// opens proves that the key is the database's.
func opens(ctx context.Context, db *sqlstore.Store, masters []keys.MasterKey) error {
	sealer, err := keys.NewSealer(masters[0], masters[1:]...)
	if err != nil {
		return err
	}
	if _, _, err := keys.Check(ctx, db, sealer); err != nil {
		return fmt.Errorf("key_file does not open the backup: it needs the master key that it was made under: %w", err)
	}
	return nil
}

// restoreInPlace cleans up a database that something else has put back.
func restoreInPlace(ctx context.Context, c configFlag, s settings) (did didRestore, err error) {
	if !s.onPostgres() {
		if err := checkInstalled(ctx, s.Database); err != nil {
			return did, err
		}
		if err := sqlstore.CheckUnused(ctx, s.Database); err != nil {
			return did, err
		}
	}
	err = c.operate(func(ctx context.Context, db *sqlstore.Store, _ *admin.Admin) (err error) {
		did, err = cleanUp(ctx, db, time.Now)
		return err
	})
	return did, err
}

// cleanUp ends what must not live twice, and makes the database one to be served.
func cleanUp(ctx context.Context, db *sqlstore.Store, now func() time.Time) (did didRestore, err error) {
	asOf, err := db.Meta(ctx, metaAsOf)
	if err != nil {
		return did, err
	}
	done, err := (&admin.Admin{Store: db, Operator: operator(), Now: now}).AfterRestore(ctx, asOf)
	if err != nil {
		return did, err
	}
	if err := errors.Join(db.SetMeta(ctx, metaAsOf, ""), db.SetMeta(ctx, metaMode, installedMark)); err != nil {
		return did, err
	}
	return told(asOf, done), nil
}

func told(asOf string, done store.Restored) didRestore {
	return didRestore{AsOf: asOf, Sessions: done.Sessions, Grants: done.Grants,
		WithoutCodes: append([]string{}, done.WithoutCodes...), WithoutRight: append([]string{}, done.WithoutRight...)}
}

func (d didRestore) print(w io.Writer) error {
	var b strings.Builder
	if d.Database != "" {
		fmt.Fprintf(&b, "Restored\n  %s\n    as of %s\n", d.Database, cmp.Or(d.AsOf, "an unknown moment"))
	}
	if d.Before != "" {
		fmt.Fprintf(&b, "  %s\n    the database that was there\n", d.Before)
	}
	fmt.Fprintf(&b, "Ended\n  %d sessions and %d grants with their tokens: everybody signs in again\n", d.Sessions, d.Grants)
	fmt.Fprintf(&b, "  codes of authenticator apps up to the next one: signing in can take a minute\n")
	d.people(&b, d.WithoutCodes, "recovery codes, which may have been used since then; these people have their authenticator app alone")
	d.people(&b, d.WithoutRight, "links and rights to set up an account, which may have been used since then;\n"+
		"  \"sallyport user invite\" or, for who has a password, \"user reset\" makes new ones")
	b.WriteString("Do again what was done since then\n" +
		"  disable and remove users and clients, reset passwords and second factors, rotate secrets and signing keys:\n" +
		"  what you took away then is back\n")
	_, err := io.WriteString(w, b.String())
	return err
}

// people lists the first of them.
func (d didRestore) people(b *strings.Builder, logins []string, what string) {
	if len(logins) == 0 {
		return
	}
	const most = 20
	fmt.Fprintf(b, "  %s (%d):\n", what, len(logins))
	for _, login := range logins[:min(len(logins), most)] {
		fmt.Fprintf(b, "    %s\n", login)
	}
	if len(logins) > most {
		b.WriteString("    and more: --output json names all\n")
	}
}
