package sqlstore

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"time"

	"github.com/sallyport-id/sallyport/internal/oidc"
	"github.com/sallyport-id/sallyport/internal/store"
)

// Client implements store.Clients.
func (s *Store) Client(ctx context.Context, id string) (*oidc.Client, error) {
	c := &oidc.Client{}
	return c, s.row(ctx, `SELECT body FROM clients WHERE id = $1`, []any{id}, fromJSON{c})
}

// Clients implements store.Clients.
func (s *Store) Clients(ctx context.Context) (list []*oidc.Client, err error) {
	err = s.rows(ctx, `SELECT body FROM clients ORDER BY id`, nil, func(r *sql.Rows) error {
		c := &oidc.Client{}
		list = append(list, c)
		return r.Scan(fromJSON{c})
	})
	return list, err
}

// CreateClient implements store.Clients.
func (s *Store) CreateClient(ctx context.Context, c *oidc.Client, events ...store.Event) error {
	return s.update(ctx, func(t *tx) error {
		err := t.decide(store.ErrExists, `INSERT INTO clients (id, body) VALUES ($1, $2) ON CONFLICT (id) DO NOTHING`, c.ID, asJSON(c))
		return t.then(err, events)
	})
}

// UpdateClient implements store.Clients.
func (s *Store) UpdateClient(ctx context.Context, c *oidc.Client, events ...store.Event) error {
	return s.update(ctx, func(t *tx) error {
		return t.then(t.decide(store.ErrNotFound, `UPDATE clients SET body = $2 WHERE id = $1`, c.ID, asJSON(c)), events)
	})
}

// RemoveClient implements store.Clients.
func (s *Store) RemoveClient(ctx context.Context, id string, events ...store.Event) error {
	return s.update(ctx, func(t *tx) error {
		return t.then(t.decide(store.ErrNotFound, `DELETE FROM clients WHERE id = $1`, id), events)
	})
}

const userColumns = `u.id, u.login, u.login_key, u.name, u.email, u.email_verified, u.locale, u.password_hash, u.claims,
	u.disabled, u.may_enroll, u.epoch, u.created_at`

// userFields are where userColumns are scanned to; claims by way of text.
func userFields(u *store.User, claims *string) []any {
	return []any{&u.ID, &u.Login, &u.LoginKey, &u.Name, &u.Email, &u.EmailVerified, &u.Locale, &u.PasswordHash, claims,
		&u.Disabled, &u.MayEnroll, &u.Epoch, at{&u.CreatedAt}}
}

func (s *Store) user(ctx context.Context, where string, arg string) (*store.User, error) {
	u, claims := &store.User{}, ""
	if err := s.row(ctx, `SELECT `+userColumns+` FROM users u WHERE `+where, []any{arg}, userFields(u, &claims)...); err != nil {
		return nil, err
	}
	u.Claims = rawClaims(claims)
	return u, nil
}

func rawClaims(text string) json.RawMessage {
	if text == "" {
		return nil
	}
	return json.RawMessage(text)
}

// User implements store.Users.
func (s *Store) User(ctx context.Context, id string) (*store.User, error) {
	return s.user(ctx, `u.id = $1`, id)
}

// UserByLogin implements store.Users.
func (s *Store) UserByLogin(ctx context.Context, loginKey string) (*store.User, error) {
	return s.user(ctx, `u.login_key = $1`, loginKey)
}

// CreateUser implements store.Users.
func (s *Store) CreateUser(ctx context.Context, u *store.User, events ...store.Event) error {
	return s.update(ctx, func(t *tx) error {
		err := t.decide(store.ErrExists, `INSERT INTO users (id, login, login_key, name, email, email_verified, locale,
			password_hash, claims, disabled, may_enroll, epoch, created_at)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13) ON CONFLICT DO NOTHING`,
			u.ID, u.Login, u.LoginKey, u.Name, u.Email, bit(u.EmailVerified), u.Locale,
			u.PasswordHash, string(u.Claims), bit(u.Disabled), bit(u.MayEnroll), u.Epoch, ms(u.CreatedAt))
		return t.then(err, events)
	})
}

// SetPasswordHash implements store.Users.
func (s *Store) SetPasswordHash(ctx context.Context, userID, old, new string) error {
	return s.update(ctx, func(t *tx) error {
		return t.decide(store.ErrStale, `UPDATE users SET password_hash = $3 WHERE id = $1 AND password_hash = $2`, userID, old, new)
	})
}

// DisableUser implements store.Users.
func (s *Store) DisableUser(ctx context.Context, userID string, now time.Time, events ...store.Event) error {
	return s.update(ctx, func(t *tx) error {
		if err := t.decide(store.ErrNotFound, `UPDATE users SET disabled = 1 WHERE id = $1`, userID); err != nil {
			return err
		}
		return t.then(t.revokeUser(userID, "", now), events)
	})
}

// RevokeUser implements store.Users.
func (s *Store) RevokeUser(ctx context.Context, userID, except string, now time.Time, events ...store.Event) error {
	return s.update(ctx, func(t *tx) error { return t.then(t.revokeUser(userID, except, now), events) })
}

// revokeUser raises the epoch, which ends everything by itself, and ends the
// rows too, so that they read as what they are.
func (t *tx) revokeUser(userID, except string, now time.Time) error {
	if err := t.decide(store.ErrNotFound, `UPDATE users SET epoch = epoch + 1 WHERE id = $1`, userID); err != nil {
		return err
	}
	return t.all(
		q(`UPDATE sessions SET user_epoch = (SELECT epoch FROM users WHERE id = $1) WHERE id = $2 AND user_id = $1`, userID, except),
		q(`UPDATE sessions SET ended_at = $3 WHERE user_id = $1 AND id <> $2 AND ended_at = 0`, userID, except, ms(now)),
		q(`UPDATE interactions SET taken_at = $3 WHERE taken_at = 0 AND session_id <> $2
			AND session_id IN (SELECT id FROM sessions WHERE user_id = $1)`, userID, except, ms(now)),
		q(`UPDATE grants SET revoked_at = $2 WHERE user_id = $1 AND revoked_at = 0`, userID, ms(now)),
		q(`DELETE FROM known_browsers WHERE user_id = $1`, userID),
	)
}

// Authenticators implements store.Authenticators.
func (s *Store) Authenticators(ctx context.Context, userID string) (list []store.Authenticator, err error) {
	err = s.rows(ctx, `SELECT a.id, a.user_id, a.kind, a.name, a.secret, a.last_step, a.disabled, a.created_at, a.last_used_at,
		(SELECT count(*) FROM recovery_codes c WHERE c.authenticator_id = a.id AND c.used_at = 0)
		FROM authenticators a WHERE a.user_id = $1 ORDER BY a.id`, []any{userID}, func(r *sql.Rows) error {
		var a store.Authenticator
		err := r.Scan(&a.ID, &a.UserID, &a.Kind, &a.Name, &a.Secret, &a.LastStep, &a.Disabled, at{&a.CreatedAt}, at{&a.LastUsedAt}, &a.CodesLeft)
		list = append(list, a)
		return err
	})
	return list, err
}

// EnrollFirst implements store.Authenticators.
func (s *Store) EnrollFirst(ctx context.Context, e store.Enrollment) error {
	return s.update(ctx, func(t *tx) error {
		err := t.decide(store.ErrUsed, `UPDATE users SET may_enroll = 0 WHERE id = $1 AND may_enroll = 1`, e.Authenticator.UserID)
		if err != nil {
			return err
		}
		if err := t.updateInteraction(&e.Interaction, e.Proof.Now); err != nil {
			return err
		}
		if err := t.addProof(e.Proof); err != nil {
			return err
		}
		if err := t.createAuthenticator(e.Authenticator, nil); err != nil {
			return err
		}
		return t.createAuthenticator(e.Recovery, e.CodeHashes)
	})
}

// CreateAuthenticator implements store.Authenticators.
func (s *Store) CreateAuthenticator(ctx context.Context, a store.Authenticator, codeHashes [][]byte, events ...store.Event) error {
	return s.update(ctx, func(t *tx) error {
		if err := t.decide(store.ErrNotFound, `UPDATE users SET may_enroll = 0 WHERE id = $1`, a.UserID); err != nil {
			return err
		}
		return t.then(t.createAuthenticator(a, codeHashes), events)
	})
}

// ReplaceRecoveryCodes implements store.Authenticators.
func (s *Store) ReplaceRecoveryCodes(ctx context.Context, a store.Authenticator, codeHashes [][]byte, events ...store.Event) error {
	return s.update(ctx, func(t *tx) error {
		err := t.all(
			q(`DELETE FROM recovery_codes WHERE authenticator_id IN
				(SELECT id FROM authenticators WHERE user_id = $1 AND kind = $2)`, a.UserID, store.KindRecovery),
			q(`DELETE FROM authenticators WHERE user_id = $1 AND kind = $2`, a.UserID, store.KindRecovery))
		if err != nil {
			return err
		}
		return t.then(t.createAuthenticator(a, codeHashes), events)
	})
}

func (t *tx) createAuthenticator(a store.Authenticator, codeHashes [][]byte) error {
	err := t.decide(store.ErrExists, `INSERT INTO authenticators (id, user_id, kind, name, secret, last_step, disabled, created_at, last_used_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT (id) DO NOTHING`,
		a.ID, a.UserID, a.Kind, a.Name, a.Secret, a.LastStep, bit(a.Disabled), ms(a.CreatedAt), ms(a.LastUsedAt))
	if err != nil {
		return err
	}
	for _, hash := range codeHashes {
		if err := t.exec(`INSERT INTO recovery_codes (authenticator_id, hash, used_at) VALUES ($1, $2, 0)`, a.ID, hash); err != nil {
			return err
		}
	}
	return nil
}

// UseTOTPStep implements store.Authenticators.
func (s *Store) UseTOTPStep(ctx context.Context, id string, step int64, p store.AddProof) error {
	return s.update(ctx, func(t *tx) error {
		err := t.decide(store.ErrUsed, `UPDATE authenticators SET last_step = $2, last_used_at = $3
			WHERE id = $1 AND user_id = $4 AND kind = $5 AND disabled = 0 AND last_step < $2`,
			id, step, ms(p.Now), p.UserID, store.KindTOTP)
		if err != nil {
			return err
		}
		return t.addProof(p)
	})
}

// UseRecoveryCode implements store.Authenticators.
func (s *Store) UseRecoveryCode(ctx context.Context, id string, hash []byte, p store.AddProof) error {
	return s.update(ctx, func(t *tx) error {
		err := t.decide(store.ErrNotFound, `UPDATE recovery_codes SET used_at = $3 WHERE authenticator_id = $1 AND hash = $2 AND used_at = 0
			AND EXISTS (SELECT 1 FROM authenticators a WHERE a.id = $1 AND a.user_id = $4 AND a.kind = $5 AND a.disabled = 0)`,
			id, hash, ms(p.Now), p.UserID, store.KindRecovery)
		if errors.Is(err, store.ErrNotFound) {
			return t.usedOr(err, `SELECT used_at FROM recovery_codes WHERE authenticator_id = $1 AND hash = $2`, id, hash)
		}
		if err != nil {
			return err
		}
		if err := t.exec(`UPDATE authenticators SET last_used_at = $2 WHERE id = $1`, id, ms(p.Now)); err != nil {
			return err
		}
		if err := t.revokeUser(p.UserID, p.SessionID, p.Now); err != nil {
			return err
		}
		return t.addProof(p)
	})
}

// usedOr is ErrUsed if the row is there and was used, else the other error.
func (t *tx) usedOr(otherwise error, query string, args ...any) error {
	var usedAt int64
	err := t.row(query, args, &usedAt)
	switch {
	case err == nil && usedAt != 0:
		return store.ErrUsed
	case err == nil || errors.Is(err, store.ErrNotFound):
		return otherwise
	}
	return err
}
