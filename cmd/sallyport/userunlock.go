package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/sallyport-id/sallyport/internal/admin"
	"github.com/sallyport-id/sallyport/internal/authn"
	"github.com/sallyport-id/sallyport/internal/store"
	"github.com/sallyport-id/sallyport/internal/store/sqlstore"
)

// guessView is where somebody has failed at what a user has.
type guessView struct {
	At       string     `json:"at"` // "password", "password, known browser" or an authenticator
	Failures int        `json:"failures"`
	RetryAt  *time.Time `json:"retry_at,omitempty"`
	Stopped  bool       `json:"stopped"`
}

func (g guessView) String() string {
	text := fmt.Sprintf("%s: %d wrong in a row", g.At, g.Failures)
	switch {
	case g.Stopped:
		return text + ", nothing is accepted until it is lifted: sallyport user unlock"
	case g.RetryAt != nil:
		return text + ", the next is accepted at " + g.RetryAt.Format(time.RFC3339)
	}
	return text
}

func guesses(ctx context.Context, checker *authn.Checker, u *store.User, list []store.Authenticator) ([]guessView, error) {
	found, err := checker.Guesses(ctx, u, list)
	if err != nil {
		return nil, err
	}
	kinds := map[string]string{}
	for _, a := range list {
		kinds[a.ID] = string(a.Kind)
	}
	var shown []guessView
	for _, g := range found {
		v := guessView{At: "password", Failures: g.Failures, Stopped: g.Stopped}
		switch {
		case g.KnownBrowser != "":
			v.At = "password, with a known browser"
		case g.Authenticator != "":
			v.At = kinds[g.Authenticator]
		}
		if !g.RetryAt.IsZero() {
			v.RetryAt = &g.RetryAt
		}
		shown = append(shown, v)
	}
	return shown, nil
}

// checker needs the master key: the table of counters does not tell whose one is.
func (c configFlag) checker(db *sqlstore.Store) (*authn.Checker, error) {
	sealer, err := c.sealer()
	if err != nil {
		return nil, err
	}
	return &authn.Checker{Store: db, Sealer: sealer, ThrottleKey: authn.ThrottleKey(sealer), Now: time.Now}, nil
}

type userUnlockCmd struct {
	configFlag
	outputFlag
	loginArg
}

// Run forgets what was counted, and says what that was.
func (c *userUnlockCmd) Run() error {
	return c.operate(func(ctx context.Context, db *sqlstore.Store, a *admin.Admin) error {
		u, err := c.find(ctx, a)
		if err != nil {
			return err
		}
		list, err := db.Authenticators(ctx, u.ID)
		if err != nil {
			return err
		}
		checker, err := c.checker(db)
		if err != nil {
			return err
		}
		lifted, err := guesses(ctx, checker, u, list)
		if err != nil {
			return err
		}
		if err := a.Unlock(ctx, checker, u, list); err != nil {
			return err
		}
		return c.print(os.Stdout, lifted, func(w io.Writer) error {
			if len(lifted) == 0 {
				_, err := fmt.Fprintf(w, "Nobody has guessed at what %s has since the last success.\n", u.Login)
				return err
			}
			for _, g := range lifted {
				fmt.Fprintf(w, "forgotten: %d wrong in a row at the %s\n", g.Failures, g.At)
			}
			return nil
		})
	})
}
