package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"os/user"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/sallyport-id/sallyport/internal/admin"
	"github.com/sallyport-id/sallyport/internal/authn"
	"github.com/sallyport-id/sallyport/internal/keys"
	"github.com/sallyport-id/sallyport/internal/store"
	"github.com/sallyport-id/sallyport/internal/store/sqlstore"
)

// metaMode is the name of the database's mark: what it was made for.
const metaMode = "mode"

// installedMark is set by init, in the last moment of it. Without it nothing but
// init touches a database.
const installedMark = "installed"

// checkInstalled proves that a database, a path or a URL, is one that init has
// made. It changes nothing in it, whatever it is.
func checkInstalled(ctx context.Context, database string) error {
	at, name := sqlstore.At(database), databaseName(database)
	if _, err := os.Stat(at.Path); at.Path != "" && errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("there is no database %s: \"sallyport init\" makes one", name)
	}
	switch mode, _, err := sqlstore.Peek(ctx, at, metaMode); {
	case err != nil:
		return fmt.Errorf("look into database %s: %w", name, err)
	case mode == devMark:
		return fmt.Errorf("%s is the database of a \"sallyport dev\", and stays that: \"sallyport init\" makes another", name)
	case mode == backupMark:
		return fmt.Errorf("%s is a backup, and only \"sallyport restore\" puts one in place", name)
	case mode != installedMark:
		return fmt.Errorf("the database %s was not made by \"sallyport init\"", name)
	}
	return nil
}

// openInstallation opens the database of an installation for an operator's
// command. The server may be running: it sees what changes at its next request.
// The master key is not needed, and not read.
func (c configFlag) openInstallation(ctx context.Context) (*sqlstore.Store, *admin.Admin, error) {
	s, _, err := c.load()
	if err != nil {
		return nil, nil, err
	}
	database, err := s.databaseAt()
	if err != nil {
		return nil, nil, err
	}
	if err := checkInstalled(ctx, database); err != nil {
		return nil, nil, err
	}
	db, err := sqlstore.Open(ctx, sqlstore.At(database))
	if err != nil {
		return nil, nil, err
	}
	return db, &admin.Admin{
		Store: db, Hasher: authn.NewHasher(authn.HasherConfig{}), Issuer: s.Issuer, Operator: operator(), Now: time.Now,
	}, nil
}

// operator is who runs the command, as the system knows it and, if sudo tells, who
// that was before. The second is a hint and no proof.
func operator() string {
	name := "uid " + strconv.Itoa(os.Getuid())
	if u, err := user.Current(); err == nil {
		name = u.Username
	}
	if by := os.Getenv("SUDO_USER"); by != "" && by != name && len(by) <= 64 {
		name += " (sudo: " + by + ")"
	}
	return name
}

// sealer has the master keys of the installation.
func (c configFlag) sealer() (*keys.Sealer, error) {
	s, _, err := c.load()
	if err != nil {
		return nil, err
	}
	return openKeyFile(s.KeyFile)
}

// openKeyFile reads the master keys.
func openKeyFile(path string) (*keys.Sealer, error) {
	masters, err := keys.ReadKeyFile(path)
	if err != nil {
		return nil, err
	}
	return keys.NewSealer(masters[0], masters[1:]...)
}

// operate opens the installation, does something in it and closes it.
func (c configFlag) operate(do func(ctx context.Context, db *sqlstore.Store, a *admin.Admin) error) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	db, a, err := c.openInstallation(ctx)
	if err != nil {
		return err
	}
	return errors.Join(plainStore(do(ctx, db, a)), db.Close())
}

// plainStore says what the store's sentinels mean to an operator.
func plainStore(err error) error {
	switch {
	case errors.Is(err, store.ErrNotFound):
		return fmt.Errorf("%s: there is none", strings.TrimSuffix(err.Error(), ": "+store.ErrNotFound.Error()))
	case errors.Is(err, store.ErrExists):
		return fmt.Errorf("%s: is taken", strings.TrimSuffix(err.Error(), ": "+store.ErrExists.Error()))
	}
	return err
}

// yesFlag is asked for by what cannot be taken back.
type yesFlag struct {
	Yes bool `help:"Do it: this cannot be taken back."`
}

func (y yesFlag) check(what string) error {
	if !y.Yes {
		return fmt.Errorf("this %s, and cannot be taken back: say --yes to do it", what)
	}
	return nil
}
