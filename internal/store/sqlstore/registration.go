package sqlstore

import (
	"context"
	"errors"
	"strings"

	"github.com/sallyport-id/sallyport/internal/store"
)

const userByEmail = `SELECT ` + userColumns + ` FROM users u WHERE lower(u.email) = $1 AND u.removed_at = 0 ORDER BY u.id LIMIT 1`

// UserByEmail implements store.Registrations.
func (s *Store) UserByEmail(ctx context.Context, email string) (*store.User, error) {
	return s.user(ctx, userByEmail, strings.ToLower(email))
}

// LoginTaken implements store.Registrations.
func (s *Store) LoginTaken(ctx context.Context, loginKey string) (bool, error) {
	var id string
	err := s.row(ctx, `SELECT id FROM users WHERE login_key = $1`, []any{loginKey}, &id)
	if errors.Is(err, store.ErrNotFound) {
		return false, nil
	}
	return err == nil, err
}

// BeginRegistration implements store.Registrations.
func (s *Store) BeginRegistration(ctx context.Context, m store.Mail, i *store.Interaction, events ...store.Event) error {
	return s.update(ctx, createInteraction(i), addMail(m), record(events))
}

// Register implements store.Registrations.
func (s *Store) Register(ctx context.Context, r store.Registration) error {
	u := *r.User
	if r.Authenticator.UserID != u.ID || r.Recovery.UserID != u.ID {
		return errors.New("sqlstore: a registration of several users")
	}
	return s.update(ctx,
		oneRegistration,
		freeAddress(u.Email),
		otherwise(createUser(&u), store.ErrExists, store.ErrUsed),
		createAuthenticator(r.Authenticator, nil),
		replaceRecovery(r.Recovery, r.CodeHashes),
		orStale(updateInteraction(&r.Interaction, r.Now)),
		record(r.Events))
}

// oneRegistration lets whoever registers wait for whoever does so at this moment: an
// address is nobody's until a row says whose it is, and there is none to lock.
var oneRegistration = exec(`INSERT INTO meta (name, value) VALUES ('registration', '') ON CONFLICT (name) DO UPDATE SET value = ''`)

// freeAddress is a statement of its own, so that it sees what was committed while the
// one before waited.
func freeAddress(email string) step {
	return func(t *tx) error {
		var id string
		err := t.row(`SELECT id FROM users WHERE lower(email) = $1 AND removed_at = 0 LIMIT 1`, []any{strings.ToLower(email)}, &id)
		switch {
		case err == nil:
			return store.ErrUsed
		case errors.Is(err, store.ErrNotFound):
			return nil
		}
		return err
	}
}

// otherwise gives one of a step's errors another name.
func otherwise(s step, is, becomes error) step {
	return func(t *tx) error {
		err := s(t)
		if errors.Is(err, is) {
			return becomes
		}
		return err
	}
}
