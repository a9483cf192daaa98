package sqlstore

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"slices"
	"time"

	"github.com/sallyport-id/sallyport/internal/store"
)

// The verbs of store.Accounts lock in one order: the user, whose row makes them wait
// for each other, then what is changed, the sessions, the interaction.

// ending is a change that ends everything else. after comes when that has ended.
func (s *Store) ending(ctx context.Context, c store.Change, do step, after ...step) error {
	return s.update(ctx, atEpoch(c, 1), do, endIssued(c.UserID, c.SessionID, c.Now), moveOn(c, c.UserEpoch+1), all(after...), record(c.Events))
}

// keeping is a change that ends nothing by itself.
func (s *Store) keeping(ctx context.Context, c store.Change, do step) error {
	return s.update(ctx, atEpoch(c, 0), do, moveOn(c, c.UserEpoch), record(c.Events))
}

// atEpoch writes the user, if the epoch is still the one that was decided on.
func atEpoch(c store.Change, rise int64) step {
	return must(store.ErrStale, `UPDATE users SET epoch = epoch + $3 WHERE id = $1 AND epoch = $2 AND disabled = 0 AND removed_at = 0`,
		c.UserID, c.UserEpoch, rise)
}

// moveOn asks for the live session, and moves its interaction on.
func moveOn(c store.Change, epoch int64) step {
	return all(
		must(store.ErrStale, `UPDATE sessions SET version = version WHERE id = $1 AND user_id = $2 AND user_epoch = $3 AND expires_at > $4`,
			c.SessionID, c.UserID, epoch, ms(c.Now)),
		updateInteraction(&c.Interaction, c.Now))
}

// AddAuthenticator implements store.Accounts.
func (s *Store) AddAuthenticator(ctx context.Context, c store.Change, a store.Addition) error {
	if a.Authenticator.UserID != c.UserID || a.Proof.UserID != c.UserID || a.Proof.SessionID != c.SessionID {
		return errors.New("sqlstore: an authenticator of several users")
	}
	proof := newProof(a.Proof)
	err := s.ending(ctx, c, all(
		must(store.ErrUsed, `UPDATE users SET may_enroll = 0 WHERE id = $1
			AND EXISTS (SELECT 1 FROM authenticators a WHERE a.user_id = $1 AND a.disabled = 0)`, c.UserID),
		giveHandle(c.UserID, a.Handle),
		createAuthenticator(a.Authenticator, nil)),
		orStale(proof.step))
	return proof.tell(err)
}

// RemoveAuthenticator implements store.Accounts.
func (s *Store) RemoveAuthenticator(ctx context.Context, c store.Change, id string, leave ...store.AuthenticatorKind) error {
	if len(leave) == 0 || len(leave) > 3 {
		return errors.New("sqlstore: to be left are one kind, two or three")
	}
	last := leave[len(leave)-1]
	kinds := append(slices.Clone(leave), last, last)
	return s.ending(ctx, c, mustOr(ownAuthenticator(c.UserID, id),
		`DELETE FROM authenticators WHERE id = $1 AND user_id = $2 AND kind <> $3
			AND EXISTS (SELECT 1 FROM authenticators o WHERE o.user_id = $2 AND o.id <> $1 AND o.disabled = 0 AND o.kind IN ($4, $5, $6))`,
		id, c.UserID, string(store.KindRecovery), string(kinds[0]), string(kinds[1]), string(kinds[2])))
}

// ownAuthenticator is why one was not removed: ErrUsed if it is there.
func ownAuthenticator(userID, id string) step {
	return func(t *tx) error {
		var found int64
		err := t.row(`SELECT 1 FROM authenticators WHERE id = $1 AND user_id = $2 AND kind <> $3`, []any{id, userID, string(store.KindRecovery)}, &found)
		if err == nil {
			return store.ErrUsed
		}
		return err
	}
}

// RenameAuthenticator implements store.Accounts.
func (s *Store) RenameAuthenticator(ctx context.Context, c store.Change, id, name string) error {
	return s.keeping(ctx, c, must(store.ErrNotFound, `UPDATE authenticators SET name = $3 WHERE id = $1 AND user_id = $2 AND kind <> $4`,
		id, c.UserID, name, string(store.KindRecovery)))
}

// RenewRecoveryCodes implements store.Accounts.
func (s *Store) RenewRecoveryCodes(ctx context.Context, c store.Change, a store.Authenticator, codeHashes [][]byte) error {
	if a.UserID != c.UserID {
		return errors.New("sqlstore: recovery codes of another user")
	}
	return s.ending(ctx, c, replaceRecovery(a, codeHashes))
}

// ChangePassword implements store.Accounts.
func (s *Store) ChangePassword(ctx context.Context, c store.Change, old, new string, settle store.Settle) error {
	return s.ending(ctx, c, all(
		must(store.ErrStale, `UPDATE users SET password_hash = $3 WHERE id = $1 AND password_hash = $2`, c.UserID, old, new),
		noneAlone(c.UserID),
		settled(settle)))
}

// EndOwnSession implements store.Accounts. Of two that end each other one is refused:
// its own session is gone.
func (s *Store) EndOwnSession(ctx context.Context, c store.Change, id string) error {
	if id == c.SessionID {
		return store.ErrNotFound
	}
	return s.keeping(ctx, c, all(
		must(store.ErrNotFound, `UPDATE sessions SET version = version WHERE id = $1 AND user_id = $2`, id, c.UserID),
		endSession(id, "", c.Now)))
}

// EndOthers implements store.Accounts.
func (s *Store) EndOthers(ctx context.Context, c store.Change) error {
	return s.ending(ctx, c, nil)
}

// revokeGrantsOf ends what a user granted a client.
const revokeGrantsOf = `UPDATE grants SET revoked_at = $3 WHERE user_id = $1 AND client_id = $2 AND revoked_at = 0`

// RevokeConsent implements store.Accounts. A grant's tokens end with it: each use asks.
func (s *Store) RevokeConsent(ctx context.Context, c store.Change, clientID string) error {
	return s.keeping(ctx, c, all(
		anyOf(store.ErrNotFound,
			counted(`DELETE FROM consents WHERE user_id = $1 AND client_id = $2`, c.UserID, clientID),
			counted(revokeGrantsOf, c.UserID, clientID, ms(c.Now))),
		exec(`DELETE FROM interactions WHERE client_id = $2 AND id <> $3 AND session_id IN (SELECT id FROM sessions WHERE user_id = $1)`,
			c.UserID, clientID, c.Interaction.ID)))
}

// SetLocale implements store.Accounts.
func (s *Store) SetLocale(ctx context.Context, c store.Change, locale string) error {
	return s.keeping(ctx, c, exec(`UPDATE users SET locale = $2 WHERE id = $1`, c.UserID, locale))
}

// UserSessions implements store.Accounts.
func (s *Store) UserSessions(ctx context.Context, userID string, now time.Time) (list []store.Session, err error) {
	err = s.read(ctx, `SELECT s.id, s.user_id, s.user_epoch, s.version, s.created_at, s.last_seen_at, s.expires_at, s.user_agent, s.address
		FROM sessions s JOIN users u ON u.id = s.user_id
		WHERE s.user_id = $1 AND s.expires_at > $2 AND u.epoch = s.user_epoch AND u.disabled = 0 ORDER BY s.id`,
		[]any{userID, ms(now)}, func(r *sql.Rows) error {
			var n store.Session
			err := r.Scan(&n.ID, &n.UserID, &n.UserEpoch, &n.Version, at{&n.CreatedAt}, at{&n.LastSeenAt}, at{&n.ExpiresAt}, &n.UserAgent, &n.Address)
			list = append(list, n)
			return err
		})
	return list, err
}

// UserClients implements store.Accounts. An offline grant is live as long as it can be
// refreshed.
func (s *Store) UserClients(ctx context.Context, userID string, now time.Time) (list []store.UserClient, err error) {
	err = s.read(ctx, `SELECT client_id, MAX(scope), MAX(allowed_at), MAX(granted_at), MAX(stays) FROM (
			SELECT client_id, scope, updated_at AS allowed_at, 0 AS granted_at, 0 AS stays FROM consents WHERE user_id = $1
			UNION ALL
			SELECT g.client_id, '', 0, g.created_at, g.offline FROM grants g`+ofGrant+` WHERE g.user_id = $1 AND`+live+`
				AND (g.offline = 0 OR EXISTS (SELECT 1 FROM refresh_tokens r WHERE r.grant_id = g.id AND r.used_at = 0 AND r.expires_at > $2
					AND (r.idle_at = 0 OR r.idle_at > $2)))
		) AS has GROUP BY client_id ORDER BY client_id`, []any{userID, ms(now)}, func(r *sql.Rows) error {
		var c store.UserClient
		var scope string
		err := r.Scan(&c.ClientID, &scope, at{&c.AllowedAt}, at{&c.LastGrant}, &c.Stays)
		if err == nil && scope != "" {
			err = json.Unmarshal([]byte(scope), &c.Scope)
		}
		list = append(list, c)
		return err
	})
	return list, err
}
