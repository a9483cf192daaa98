package sqlstore

import (
	"context"
	"database/sql"
	"time"

	"github.com/sallyport-id/sallyport/internal/store"
)

// A sweep works in small pieces, each a write of its own, so that nobody waits
// long behind it; and it looks at no more grants than this each time, going on
// where the last one stopped.
const (
	sweepPiece  = 200
	sweepGrants = 100_000
)

// Sweep implements store.Sweeper.
func (s *Store) Sweep(ctx context.Context, now time.Time) error {
	for _, query := range []string{
		`DELETE FROM interactions WHERE id IN (SELECT id FROM interactions WHERE expires_at <= $1 ORDER BY expires_at LIMIT $2)`,
		`DELETE FROM sessions WHERE id IN (SELECT id FROM sessions WHERE expires_at <= $1 ORDER BY expires_at LIMIT $2)`,
		`DELETE FROM links WHERE id IN (SELECT id FROM links WHERE expires_at <= $1 ORDER BY expires_at LIMIT $2)`,
		`DELETE FROM trusted_devices WHERE id IN (SELECT id FROM trusted_devices WHERE expires_at <= $1 ORDER BY expires_at LIMIT $2)`,
		`DELETE FROM bypass_codes WHERE user_id IN (SELECT user_id FROM bypass_codes WHERE expires_at <= $1 ORDER BY expires_at LIMIT $2)`,
		`DELETE FROM access_tokens WHERE id IN (SELECT id FROM access_tokens WHERE expires_at <= $1 ORDER BY expires_at LIMIT $2)`,
		`DELETE FROM device_codes WHERE id IN (SELECT id FROM device_codes WHERE needed_until <= $1 ORDER BY needed_until LIMIT $2)`,
		`DELETE FROM pushed_requests WHERE id IN (SELECT id FROM pushed_requests WHERE needed_until <= $1 ORDER BY needed_until LIMIT $2)`,
		`DELETE FROM used_once WHERE name IN (SELECT name FROM used_once WHERE ends_at <= $1 ORDER BY ends_at LIMIT $2)`,
		`DELETE FROM client_tokens WHERE id IN (SELECT id FROM client_tokens WHERE expires_at <= $1 ORDER BY expires_at LIMIT $2)`,
		`DELETE FROM throttle WHERE key IN (SELECT key FROM throttle WHERE ends_at > 0 AND ends_at <= $1 ORDER BY ends_at LIMIT $2)`,
	} {
		if err := s.sweepRows(ctx, query, now); err != nil {
			return err
		}
	}
	err := s.sweepRows(ctx, `DELETE FROM outbox WHERE id IN (SELECT id FROM outbox WHERE at <= $1 ORDER BY at LIMIT $2)`, now.Add(-store.MailKept))
	if err == nil { // who sends them gives them up before
		err = s.sweepRows(ctx, `DELETE FROM logouts WHERE id IN (SELECT id FROM logouts WHERE at <= $1 ORDER BY at LIMIT $2)`, now.Add(-2*store.LogoutKept))
	}
	if err != nil {
		return err
	}
	if err := s.sweepKeys(ctx, now); err != nil {
		return err
	}
	return s.sweepGrants(ctx, now)
}

// sweepRows repeats a deletion until there is nothing left for it.
func (s *Store) sweepRows(ctx context.Context, query string, now time.Time) error {
	for {
		n, err := s.sweepSome(ctx, query, now)
		if err != nil || n < sweepPiece {
			return err
		}
	}
}

// sweepSome deletes at most so many rows, in a write of its own.
func (s *Store) sweepSome(ctx context.Context, query string, until time.Time) (n int64, err error) {
	err = s.update(ctx, func(t *tx) (err error) {
		n, err = t.count(query, ms(until), sweepPiece)
		return err
	})
	return n, err
}

// ended: nothing can come of a grant any more. With it go its code, if it is not a
// device's, and its
// refresh tokens, which are kept until then to recognise a second use.
const ended = ` (g.revoked_at > 0 OR u.disabled = 1 OR u.epoch <> g.user_epoch OR g.offline = 0 AND s.id IS NULL
	OR NOT EXISTS (SELECT 1 FROM codes c WHERE c.grant_id = g.id AND c.needed_until > $2)
		AND NOT EXISTS (SELECT 1 FROM device_codes d WHERE d.grant_id = g.id AND d.needed_until > $2)
		AND NOT EXISTS (SELECT 1 FROM refresh_tokens r WHERE r.grant_id = g.id AND r.needed_until > $2))`

// sweepGrants goes on where the last sweep stopped, until it has looked at enough
// or at all.
func (s *Store) sweepGrants(ctx context.Context, now time.Time) error {
	s.sweeping.Lock()
	defer s.sweeping.Unlock()
	for range sweepGrants / sweepPiece {
		gone, err := s.endedGrants(ctx, now)
		if err != nil {
			return err
		}
		if err := s.removeGrants(ctx, gone, now); err != nil {
			return err
		}
		if s.swept == "" {
			return nil
		}
	}
	return nil
}

// endedGrants looks at the next grants without holding the writer up.
func (s *Store) endedGrants(ctx context.Context, now time.Time) (gone []string, err error) {
	looked, last := 0, ""
	err = s.read(ctx, `SELECT g.id, CASE WHEN`+ended+` THEN 1 ELSE 0 END FROM grants g`+ofGrant+`
		WHERE g.id > $1 ORDER BY g.id LIMIT $3`, []any{s.swept, ms(now), sweepPiece}, func(r *sql.Rows) error {
		var over bool
		err := r.Scan(&last, &over)
		if looked++; over {
			gone = append(gone, last)
		}
		return err
	})
	if s.swept = last; looked < sweepPiece {
		s.swept = ""
	}
	return gone, err
}

func (s *Store) removeGrants(ctx context.Context, gone []string, now time.Time) error {
	if len(gone) == 0 {
		return nil
	}
	var steps []step
	for _, id := range gone {
		steps = append(steps, exec(`DELETE FROM grants WHERE id = $1 AND EXISTS
			(SELECT 1 FROM grants g`+ofGrant+` WHERE g.id = $1 AND`+ended+`)`, id, ms(now)))
	}
	return s.update(ctx, steps...)
}
