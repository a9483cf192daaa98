package sqlstore

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"time"

	"github.com/sallyport-id/sallyport/internal/store"
)

const userColumns = `u.id, u.login, u.login_key, u.name, u.email, u.email_verified, u.locale, u.password_hash, u.claims,
	u.disabled, u.may_enroll, u.epoch, u.created_at, u.handle, u.member_of, u.grace_until, u.registered`

// userFields are where userColumns go.
func userFields(u *store.User) []any {
	return []any{&u.ID, &u.Login, &u.LoginKey, &u.Name, &u.Email, &u.EmailVerified, &u.Locale, &u.PasswordHash, raw{&u.Claims},
		&u.Disabled, &u.MayEnroll, &u.Epoch, at{&u.CreatedAt}, &u.Handle, fromJSON{&u.Groups}, at{&u.GraceUntil}, &u.Registered}
}

// User implements store.Users.
func (s *Store) User(ctx context.Context, id string) (*store.User, error) {
	return s.user(ctx, `SELECT `+userColumns+` FROM users u WHERE u.id = $1 AND u.removed_at = 0`, id)
}

// UserByLogin implements store.Users.
func (s *Store) UserByLogin(ctx context.Context, loginKey string) (*store.User, error) {
	return s.user(ctx, `SELECT `+userColumns+` FROM users u WHERE u.login_key = $1 AND u.removed_at = 0`, loginKey)
}

func (s *Store) user(ctx context.Context, query, key string) (*store.User, error) {
	u := &store.User{}
	if err := s.row(ctx, query, []any{key}, userFields(u)...); err != nil {
		return nil, err
	}
	return u, nil
}

// Users implements store.Users.
func (s *Store) Users(ctx context.Context, after string, limit int) (list []*store.User, err error) {
	err = s.read(ctx, `SELECT `+userColumns+` FROM users u WHERE u.id > $1 AND u.removed_at = 0 ORDER BY u.id LIMIT $2`,
		[]any{after, limit}, func(r *sql.Rows) error {
			u := &store.User{}
			list = append(list, u)
			return r.Scan(userFields(u)...)
		})
	return list, err
}

// CreateUser implements store.Users.
func (s *Store) CreateUser(ctx context.Context, u *store.User, events ...store.Event) error {
	return s.update(ctx, createUser(u), record(events))
}

func createUser(u *store.User) step {
	return must(store.ErrExists, `INSERT INTO users (id, login, login_key, name, email, email_verified, locale, password_hash,
			claims, disabled, may_enroll, epoch, created_at, handle, member_of, grace_until, registered, removed_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, 0) ON CONFLICT DO NOTHING`,
		u.ID, u.Login, u.LoginKey, u.Name, u.Email, bit(u.EmailVerified), u.Locale, u.PasswordHash,
		string(u.Claims), bit(u.Disabled), bit(u.MayEnroll), u.Epoch, ms(u.CreatedAt), u.Handle, asJSON(u.Groups), ms(u.GraceUntil), bit(u.Registered))
}

// SetPasswordHash implements store.Users.
func (s *Store) SetPasswordHash(ctx context.Context, userID, old, new string) error {
	return s.update(ctx,
		must(store.ErrStale, `UPDATE users SET password_hash = $3 WHERE id = $1 AND password_hash = $2 AND removed_at = 0`, userID, old, new))
}

// SetGroups implements store.Users.
func (s *Store) SetGroups(ctx context.Context, userID string, groups []string, events ...store.Event) error {
	return s.update(ctx,
		must(store.ErrNotFound, `UPDATE users SET member_of = $2 WHERE id = $1 AND removed_at = 0`, userID, asJSON(groups)),
		record(events))
}

// StartGrace implements store.Users.
func (s *Store) StartGrace(ctx context.Context, userID string, until time.Time, events ...store.Event) error {
	return s.update(ctx,
		must(store.ErrUsed, `UPDATE users SET grace_until = $2 WHERE id = $1 AND grace_until = 0 AND may_enroll = 1 AND disabled = 0 AND removed_at = 0`, userID, ms(until)),
		record(events))
}

// SetGrace implements store.Users.
func (s *Store) SetGrace(ctx context.Context, userID string, until time.Time, events ...store.Event) error {
	return s.update(ctx,
		must(store.ErrNotFound, `UPDATE users SET grace_until = $2 WHERE id = $1 AND removed_at = 0`, userID, ms(until)),
		record(events))
}

// SetProfile implements store.Users.
func (s *Store) SetProfile(ctx context.Context, userID string, old json.RawMessage, p store.Profile, now time.Time, events ...store.Event) error {
	return s.update(ctx,
		must(store.ErrNotFound, `UPDATE users SET epoch = epoch WHERE id = $1 AND removed_at = 0`, userID),
		tellOldAddress(userID, p.Email, events),
		endCodesTo(userID, p.Email, now),
		must(store.ErrStale, `UPDATE users SET email_verified = CASE WHEN email = $4 THEN email_verified ELSE 0 END,
			name = $3, email = $4, locale = $5, claims = $6 WHERE id = $1 AND claims = $2`,
			userID, string(old), p.Name, p.Email, p.Locale, string(p.Claims)),
		record(events))
}

// endCodesTo ends what was issued to a user who proved it with codes to the address
// until now, if there will be another.
func endCodesTo(userID, next string, now time.Time) step {
	return func(t *tx) error {
		var id string
		err := t.row(`SELECT a.id FROM authenticators a JOIN users u ON u.id = a.user_id WHERE u.id = $1 AND a.kind = $2 AND u.email <> $3 LIMIT 1`,
			[]any{userID, string(store.KindEmail), next}, &id)
		if errors.Is(err, store.ErrNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		return revoke(userID, "", now)(t)
	}
}

// tellOldAddress writes what the events bring to the address that the user has until
// now, if there will be another: the new one is told when they are recorded.
func tellOldAddress(userID, next string, events []store.Event) step {
	return func(t *tx) error {
		var old string
		if err := t.row(`SELECT email FROM users WHERE id = $1`, []any{userID}, &old); err != nil || old == next {
			return err
		}
		for _, e := range events {
			if write := notice(e); write != nil {
				if err := write(t); err != nil {
					return err
				}
			}
		}
		return nil
	}
}

// DisableUser implements store.Users.
func (s *Store) DisableUser(ctx context.Context, userID string, now time.Time, events ...store.Event) error {
	return s.update(ctx,
		must(store.ErrNotFound, `UPDATE users SET disabled = 1 WHERE id = $1 AND removed_at = 0`, userID),
		revoke(userID, "", now),
		record(events))
}

// EnableUser implements store.Users.
func (s *Store) EnableUser(ctx context.Context, userID string, events ...store.Event) error {
	return s.update(ctx,
		must(store.ErrNotFound, `UPDATE users SET disabled = 0 WHERE id = $1 AND removed_at = 0`, userID),
		record(events))
}

// RemoveUser implements store.Users.
func (s *Store) RemoveUser(ctx context.Context, userID string, now time.Time, events ...store.Event) error {
	return s.update(ctx,
		must(store.ErrNotFound, `UPDATE users SET removed_at = $2, disabled = 1, may_enroll = 0, handle = '', login = '', name = '', email = '',
				email_verified = 0, locale = '', password_hash = '', claims = '', member_of = 'null'
			WHERE id = $1 AND removed_at = 0`, userID, ms(now)),
		exec(`DELETE FROM authenticators WHERE user_id = $1`, userID),
		revoke(userID, "", now),
		exec(`DELETE FROM consents WHERE user_id = $1`, userID),
		exec(`DELETE FROM outbox WHERE user_id = $1`, userID),
		exec(`DELETE FROM mail_counts WHERE user_id = $1`, userID),
		record(events))
}

// RevokeUser implements store.Users.
func (s *Store) RevokeUser(ctx context.Context, userID, except string, now time.Time, events ...store.Event) error {
	return s.update(ctx, revoke(userID, except, now), record(events))
}

// revoke ends everything issued to a user but one session. Codes, grants and
// tokens end with the epoch that they carry: each use compares it.
func revoke(userID, except string, now time.Time) step {
	return all(
		must(store.ErrNotFound, `UPDATE users SET epoch = epoch + 1 WHERE id = $1`, userID),
		endIssued(userID, except, now))
}

// endIssued ends what was issued in the epoch before, when the epoch has just risen.
// All sessions are written before their interactions go: that is the order of locks.
func endIssued(userID, except string, now time.Time) step {
	return all(
		exec(`UPDATE sessions SET user_epoch = user_epoch + CASE WHEN id = $2
				AND user_epoch + 1 = (SELECT epoch FROM users WHERE id = $1) THEN 1 ELSE 0 END WHERE user_id = $1`, userID, except),
		exec(`DELETE FROM interactions WHERE session_id IN (SELECT id FROM sessions WHERE user_id = $1 AND id <> $2)`, userID, except),
		tell(now, otherSessions, userID, except),
		exec(`DELETE FROM sessions WHERE user_id = $1 AND id <> $2`, userID, except),
		exec(`DELETE FROM known_browsers WHERE user_id = $1`, userID),
		exec(`DELETE FROM trusted_devices WHERE user_id = $1`, userID),
	)
}
