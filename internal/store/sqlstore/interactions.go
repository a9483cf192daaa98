package sqlstore

import (
	"context"
	"database/sql"
	"time"

	"github.com/sallyport-id/sallyport/internal/store"
)

// CreateInteraction implements store.Interactions.
func (s *Store) CreateInteraction(ctx context.Context, i *store.Interaction) error {
	return s.update(ctx, createInteraction(i))
}

func createInteraction(i *store.Interaction) step {
	return must(store.ErrExists, `INSERT INTO interactions (id, browser_hash, client_id, session_id, request, progress, version, created_at, expires_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT (id) DO NOTHING`,
		i.ID, i.BrowserHash, i.ClientID, i.SessionID, asJSON(i.Request), progress(i.Progress), i.Version, ms(i.CreatedAt), ms(i.ExpiresAt))
}

func progress(p store.Progress) string {
	p.NotBefore = kept(p.NotBefore)
	return asJSON(p)
}

// Interaction implements store.Interactions.
func (s *Store) Interaction(ctx context.Context, id string, browserHash []byte, now time.Time) (*store.Interaction, error) {
	i := &store.Interaction{}
	err := s.row(ctx, `SELECT id, browser_hash, client_id, session_id, request, progress, version, created_at, expires_at
		FROM interactions WHERE id = $1 AND browser_hash = $2 AND expires_at > $3`,
		[]any{id, browserHash, ms(now)}, &i.ID, &i.BrowserHash, &i.ClientID, &i.SessionID,
		fromJSON{&i.Request}, fromJSON{&i.Progress}, &i.Version, at{&i.CreatedAt}, at{&i.ExpiresAt})
	if err != nil {
		return nil, err
	}
	return i, nil
}

// UpdateInteraction implements store.Interactions.
func (s *Store) UpdateInteraction(ctx context.Context, i *store.Interaction, now time.Time, events ...store.Event) error {
	err := s.update(ctx, updateInteraction(i, now), record(events))
	if err == nil {
		i.Version++
	}
	return err
}

func updateInteraction(i *store.Interaction, now time.Time) step {
	return must(store.ErrStale, `UPDATE interactions SET session_id = $3, progress = $4, version = version + 1
		WHERE id = $1 AND version = $2 AND expires_at > $5`, i.ID, i.Version, i.SessionID, progress(i.Progress), ms(now))
}

// FinishInteraction implements store.Interactions. The session is written even
// where its idle time stays, so that it cannot end in between.
func (s *Store) FinishInteraction(ctx context.Context, f store.Finish) error {
	g, seen := f.Grant, int64(0)
	if f.TouchSession {
		seen = ms(f.Now)
	}
	steps := []step{
		must(store.ErrStale, `UPDATE sessions SET last_seen_at = CASE WHEN last_seen_at < $6 THEN $6 ELSE last_seen_at END
			WHERE id = $1 AND version = $2 AND user_id = $3 AND user_epoch = $4 AND expires_at > $5
				AND EXISTS (SELECT 1 FROM users u WHERE u.id = $3 AND u.epoch = $4 AND u.disabled = 0)`,
			g.SessionID, f.SessionVersion, g.UserID, g.UserEpoch, ms(f.Now), seen),
	}
	if f.InteractionID != "" {
		steps = append(steps, must(store.ErrStale, `DELETE FROM interactions
			WHERE id = $1 AND version = $2 AND expires_at > $3 AND session_id IN ('', $4)`,
			f.InteractionID, f.InteractionVersion, ms(f.Now), g.SessionID))
	}
	answer := createCode(f.Code)
	if f.DeviceCode != "" {
		answer = allowDevice(f.DeviceCode, g, f.Now)
	}
	return s.update(ctx, append(steps, answerPushed(f.PushedRequest), useDevice(f.Device, g, f.Now), createGrant(g), hearsOfEnd(g), answer, rememberConsent(f.Consent), remember(f.KnownBrowser), record(f.Events))...)
}

// RefuseInteraction implements store.Interactions.
func (s *Store) RefuseInteraction(ctx context.Context, id string, version int64, now time.Time, events ...store.Event) error {
	return s.update(ctx,
		must(store.ErrStale, `DELETE FROM interactions WHERE id = $1 AND version = $2 AND expires_at > $3`, id, version, ms(now)),
		record(events))
}

// Enrolling returns the authenticator that a user is about to enrol, for
// "sallyport dev code" alone; store.ErrNotFound if there is none.
func (s *Store) Enrolling(ctx context.Context, userID string) (*store.Enrolling, error) {
	var latest *store.Enrolling
	err := s.read(ctx, `SELECT progress FROM interactions ORDER BY id`, nil, func(r *sql.Rows) error {
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
