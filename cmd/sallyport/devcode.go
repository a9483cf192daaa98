package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/sallyport-id/sallyport/internal/authn"
	"github.com/sallyport-id/sallyport/internal/keys"
	"github.com/sallyport-id/sallyport/internal/store"
	"github.com/sallyport-id/sallyport/internal/store/sqlstore"
)

type codeCmd struct {
	Login string `arg:"" help:"The user's login."`
	Dir   string `help:"Directory of the dev server; the one started last if empty."`
	Next  bool   `help:"The code of the next 30 seconds."`
}

// Run prints the code. It works on dev databases alone.
func (c *codeCmd) Run() error {
	ctx := context.Background()
	dir := c.Dir
	if dir == "" {
		note, err := devNote()
		if err != nil {
			return err
		}
		noted, err := os.ReadFile(note)
		if err != nil {
			return fmt.Errorf("no dev server was started: %w", err)
		}
		dir = string(noted)
	}
	secret, err := devSecret(ctx, dir, c.Login)
	if err != nil {
		return err
	}
	step := time.Now().Unix() / 30
	if c.Next {
		step++
	}
	_, err = fmt.Println(authn.TOTPCode(secret, step, 6))
	return err
}

// openDev opens the database and the key of a dev server, and of no other.
func openDev(ctx context.Context, dir string) (*sqlstore.Store, *keys.Sealer, error) {
	if _, err := os.Stat(databasePath(dir)); err != nil {
		return nil, nil, fmt.Errorf("no dev server is running: %w", err)
	}
	sealer, err := openKeyFile(keyPath(dir))
	if err != nil {
		return nil, nil, err
	}
	db, err := sqlstore.Open(ctx, sqlstore.Config{Path: databasePath(dir)})
	if err != nil {
		return nil, nil, err
	}
	if mode, err := db.Meta(ctx, metaMode); err != nil || mode != devMark {
		return nil, nil, errors.Join(errors.New("this is not the database of a dev server"), err, db.Close())
	}
	return db, sealer, nil
}

// devSecret reads a user's TOTP secret, enrolled or under enrolment.
func devSecret(ctx context.Context, dir, login string) ([]byte, error) {
	db, sealer, err := openDev(ctx, dir)
	if err != nil {
		return nil, err
	}
	defer db.Close()
	key, err := authn.LoginKey(login)
	if err != nil {
		return nil, err
	}
	u, err := db.UserByLogin(ctx, key)
	if err != nil {
		return nil, fmt.Errorf("user %q: %w", login, err)
	}
	list, err := db.Authenticators(ctx, u.ID)
	if err != nil {
		return nil, err
	}
	for _, a := range list {
		if a.Kind == store.KindTOTP && !a.Disabled {
			return sealer.Open(a.Secret, authn.SecretPlace(a.ID, u.ID))
		}
	}
	w, err := db.Enrolling(ctx, u.ID)
	if err != nil {
		return nil, fmt.Errorf("user %q has no authenticator app and is not setting one up: %w", login, err)
	}
	return sealer.Open(w.Secret, authn.SecretPlace(w.ID, u.ID))
}
