package sqlstore

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/sallyport-id/sallyport/internal/store"
)

// statement is a write with its arguments.
type statement struct {
	query string
	args  []any
}

func q(query string, args ...any) statement { return statement{query, args} }

// all runs the statements in order.
func (t *tx) all(list ...statement) error {
	for _, s := range list {
		if err := t.exec(s.query, s.args...); err != nil {
			return err
		}
	}
	return nil
}

// then records the events of a verb that succeeded.
func (t *tx) then(err error, events []store.Event) error {
	if err != nil {
		return err
	}
	for _, e := range events {
		err := t.exec(`INSERT INTO audit (id, at, type, user_id, client_id, session, interaction, address, request_id, detail)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)`,
			store.NewID(), ms(e.At), e.Type, e.UserID, e.ClientID, e.Session, e.Interaction, e.Address, e.RequestID, e.Detail)
		if err != nil {
			return err
		}
	}
	return nil
}

// Session implements store.Sessions.
func (s *Store) Session(ctx context.Context, id string, secretHash []byte, now time.Time) (*store.Session, error) {
	found := &store.Session{}
	err := s.row(ctx, `SELECT s.id, s.secret_hash, s.user_id, s.user_epoch, s.version, s.created_at, s.last_seen_at, s.expires_at
		FROM sessions s JOIN users u ON u.id = s.user_id
		WHERE s.id = $1 AND s.secret_hash = $2 AND s.ended_at = 0 AND s.expires_at > $3 AND u.epoch = s.user_epoch AND u.disabled = 0`,
		[]any{id, secretHash, ms(now)},
		&found.ID, &found.SecretHash, &found.UserID, &found.UserEpoch, &found.Version,
		at{&found.CreatedAt}, at{&found.LastSeenAt}, at{&found.ExpiresAt})
	if err != nil {
		return nil, err
	}
	err = s.rows(ctx, `SELECT body FROM proofs WHERE session_id = $1 ORDER BY id`, []any{id}, func(r *sql.Rows) error {
		var p store.Proof
		err := r.Scan(fromJSON{&p})
		found.Proofs = append(found.Proofs, p)
		return err
	})
	return found, err
}

// StartSession implements store.Sessions.
func (s *Store) StartSession(ctx context.Context, n *store.Session, replaces, interaction string, settle store.Settle, known *store.KnownBrowser, events ...store.Event) error {
	return s.update(ctx, func(t *tx) error {
		err := t.decide(store.ErrStale, `UPDATE users SET epoch = epoch WHERE id = $1 AND epoch = $2 AND disabled = 0`, n.UserID, n.UserEpoch)
		if err != nil {
			return err
		}
		err = t.decide(store.ErrStale, `UPDATE interactions SET session_id = $2 WHERE id = $1 AND taken_at = 0 AND expires_at > $3`,
			interaction, n.ID, ms(n.CreatedAt))
		if err != nil {
			return err
		}
		if err := t.endSession(replaces, n.CreatedAt); err != nil {
			return err
		}
		err = t.exec(`INSERT INTO sessions (id, secret_hash, user_id, user_epoch, version, created_at, last_seen_at, expires_at, ended_at)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 0)`,
			n.ID, n.SecretHash, n.UserID, n.UserEpoch, n.Version, ms(n.CreatedAt), ms(n.LastSeenAt), ms(n.ExpiresAt))
		if err != nil {
			return err
		}
		for _, p := range n.Proofs {
			if err := t.appendProof(n.ID, p); err != nil {
				return err
			}
		}
		return t.then(t.settleWith(settle, known), events)
	})
}

func (t *tx) appendProof(sessionID string, p store.Proof) error {
	p.At = time.UnixMilli(p.At.UnixMilli()).UTC()
	return t.exec(`INSERT INTO proofs (id, session_id, body) VALUES ($1, $2, $3)`, store.NewID(), sessionID, asJSON(p))
}

// AddProof implements store.Sessions.
func (s *Store) AddProof(ctx context.Context, p store.AddProof) error {
	return s.update(ctx, func(t *tx) error { return t.addProof(p) })
}

// addProof appends to a live session of that user. The secret is rotated by
// whoever has its version; the proof of the others is kept all the same.
func (t *tx) addProof(p store.AddProof) error {
	var secretHash []byte
	err := t.row(`UPDATE sessions SET version = version + 1, last_seen_at = $6,
		secret_hash = CASE WHEN version = $3 THEN $4 ELSE secret_hash END
		WHERE id = $1 AND user_id = $2 AND ended_at = 0 AND expires_at > $5
		AND EXISTS (SELECT 1 FROM users u WHERE u.id = $2 AND u.epoch = sessions.user_epoch AND u.disabled = 0)
		RETURNING secret_hash`,
		[]any{p.SessionID, p.UserID, p.Version, p.NewSecretHash, ms(p.Now), ms(p.Now)}, &secretHash)
	if errors.Is(err, store.ErrNotFound) {
		return t.anothersOr(err, p.SessionID, p.UserID)
	}
	if err != nil {
		return err
	}
	if p.Rotated != nil {
		*p.Rotated = bytes.Equal(secretHash, p.NewSecretHash)
	}
	if err := t.appendProof(p.SessionID, p.Proof); err != nil {
		return err
	}
	err = t.exec(`UPDATE interactions SET session_id = $2 WHERE id = $1 AND taken_at = 0`, p.Interaction, p.SessionID)
	if err != nil {
		return err
	}
	return t.then(t.settleWith(p.Settle, p.KnownBrowser), p.Events)
}

// anothersOr is ErrStale if the session is another user's.
func (t *tx) anothersOr(otherwise error, sessionID, userID string) error {
	var owner string
	err := t.row(`SELECT user_id FROM sessions WHERE id = $1 AND ended_at = 0`, []any{sessionID}, &owner)
	switch {
	case err == nil && owner != userID:
		return store.ErrStale
	case err == nil || errors.Is(err, store.ErrNotFound):
		return otherwise
	}
	return err
}

// EndSession implements store.Sessions.
func (s *Store) EndSession(ctx context.Context, id string, now time.Time, events ...store.Event) error {
	return s.update(ctx, func(t *tx) error { return t.then(t.endSession(id, now), events) })
}

// endSession ends a session and what does not outlive it. Its unredeemed codes
// end with it, because redeeming asks for a live session.
func (t *tx) endSession(id string, now time.Time) error {
	if id == "" {
		return nil
	}
	return t.all(
		q(`UPDATE sessions SET ended_at = $2 WHERE id = $1 AND ended_at = 0`, id, ms(now)),
		q(`UPDATE interactions SET taken_at = $2 WHERE session_id = $1 AND taken_at = 0`, id, ms(now)),
		q(`UPDATE grants SET revoked_at = $2 WHERE session_id = $1 AND offline = 0 AND revoked_at = 0`, id, ms(now)),
	)
}

// CreateInteraction implements store.Interactions.
func (s *Store) CreateInteraction(ctx context.Context, i *store.Interaction) error {
	return s.update(ctx, func(t *tx) error {
		return t.exec(`INSERT INTO interactions (id, browser_hash, client_id, session_id, request, progress, version, created_at, expires_at, taken_at)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, 0)`,
			i.ID, i.BrowserHash, i.ClientID, i.SessionID, asJSON(i.Request), asJSON(i.Progress), i.Version, ms(i.CreatedAt), ms(i.ExpiresAt))
	})
}

// Interaction implements store.Interactions.
func (s *Store) Interaction(ctx context.Context, id string, browserHash []byte, now time.Time) (*store.Interaction, error) {
	i := &store.Interaction{}
	err := s.row(ctx, `SELECT id, browser_hash, client_id, session_id, request, progress, version, created_at, expires_at
		FROM interactions WHERE id = $1 AND browser_hash = $2 AND taken_at = 0 AND expires_at > $3`,
		[]any{id, browserHash, ms(now)},
		&i.ID, &i.BrowserHash, &i.ClientID, &i.SessionID, fromJSON{&i.Request}, fromJSON{&i.Progress}, &i.Version, at{&i.CreatedAt}, at{&i.ExpiresAt})
	if err != nil {
		return nil, err
	}
	return i, nil
}

// UpdateInteraction implements store.Interactions.
func (s *Store) UpdateInteraction(ctx context.Context, i *store.Interaction, now time.Time) error {
	changed := *i
	err := s.update(ctx, func(t *tx) error { return t.updateInteraction(&changed, now) })
	if err == nil {
		i.Version++
	}
	return err
}

func (t *tx) updateInteraction(i *store.Interaction, now time.Time) error {
	return t.decide(store.ErrStale, `UPDATE interactions SET session_id = $3, progress = $4, version = version + 1
		WHERE id = $1 AND version = $2 AND taken_at = 0 AND expires_at > $5`,
		i.ID, i.Version, i.SessionID, asJSON(i.Progress), ms(now))
}

// FinishInteraction implements store.Interactions.
func (s *Store) FinishInteraction(ctx context.Context, f store.Finish) error {
	return s.update(ctx, func(t *tx) error {
		if f.InteractionID != "" {
			if err := t.takeInteraction(f.InteractionID, f.InteractionVersion, f.Now); err != nil {
				return err
			}
		}
		seen := int64(0)
		if f.TouchSession {
			seen = ms(f.Now)
		}
		g := f.Grant
		err := t.decide(store.ErrStale, `UPDATE sessions SET last_seen_at = CASE WHEN last_seen_at < $6 THEN $6 ELSE last_seen_at END
			WHERE id = $1 AND version = $2 AND user_id = $3 AND user_epoch = $4 AND ended_at = 0 AND expires_at > $5
			AND EXISTS (SELECT 1 FROM users u WHERE u.id = $3 AND u.epoch = $4 AND u.disabled = 0)`,
			g.SessionID, f.SessionVersion, g.UserID, g.UserEpoch, ms(f.Now), seen)
		if err != nil {
			return err
		}
		if err := t.createGrant(g, f.Code); err != nil {
			return err
		}
		return t.then(t.remember(f.Consent), f.Events)
	})
}

func (t *tx) takeInteraction(id string, version int64, now time.Time) error {
	return t.decide(store.ErrStale, `UPDATE interactions SET taken_at = $3 WHERE id = $1 AND version = $2 AND taken_at = 0 AND expires_at > $3`,
		id, version, ms(now))
}

// RefuseInteraction implements store.Interactions.
func (s *Store) RefuseInteraction(ctx context.Context, id string, version int64, now time.Time, events ...store.Event) error {
	return s.update(ctx, func(t *tx) error { return t.then(t.takeInteraction(id, version, now), events) })
}

func (t *tx) remember(c *store.Consent) error {
	if c == nil {
		return nil
	}
	return t.exec(`INSERT INTO consents (user_id, client_id, scope, updated_at, client_hash) VALUES ($1, $2, $3, $4, $5)
		ON CONFLICT (user_id, client_id) DO UPDATE SET scope = excluded.scope, updated_at = excluded.updated_at, client_hash = excluded.client_hash`,
		c.UserID, c.ClientID, asJSON(c.Scope), ms(c.UpdatedAt), c.ClientHash)
}

// Consent implements store.Consents.
func (s *Store) Consent(ctx context.Context, userID, clientID string) (*store.Consent, error) {
	c := &store.Consent{}
	err := s.row(ctx, `SELECT user_id, client_id, scope, updated_at, client_hash FROM consents WHERE user_id = $1 AND client_id = $2`,
		[]any{userID, clientID}, &c.UserID, &c.ClientID, fromJSON{&c.Scope}, at{&c.UpdatedAt}, &c.ClientHash)
	if err != nil {
		return nil, err
	}
	return c, nil
}

// Enrolling returns the authenticator that a user is about to enrol, for
// "sallyport dev code" alone; ErrNotFound if there is none.
func (s *Store) Enrolling(ctx context.Context, userID string) (*store.Enrolling, error) {
	var latest *store.Enrolling
	err := s.rows(ctx, `SELECT progress FROM interactions WHERE taken_at = 0 ORDER BY id`, nil, func(r *sql.Rows) error {
		var p store.Progress
		err := r.Scan(fromJSON{&p})
		if p.Enrolling != nil && p.Enrolling.UserID == userID {
			latest = p.Enrolling
		}
		return err
	})
	if err == nil && latest == nil {
		err = store.ErrNotFound
	}
	return latest, err
}
