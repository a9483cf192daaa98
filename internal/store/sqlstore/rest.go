package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/sallyport-id/sallyport/internal/store"
)

// errRefused takes an attempt back that a bucket refused.
var errRefused = errors.New("sqlstore: throttled")

// Attempt implements store.Throttle.
func (s *Store) Attempt(ctx context.Context, buckets []store.Bucket, now time.Time) (v store.Verdict, err error) {
	err = s.update(ctx, func(t *tx) error {
		v = store.Verdict{Allowed: true}
		for _, b := range buckets {
			failures, err := t.countAttempt(b, now)
			if errors.Is(err, store.ErrNotFound) {
				if v, err = t.refusal(b); err != nil {
					return err
				}
				return errRefused
			}
			if err != nil {
				return err
			}
			v.Failures = max(v.Failures, failures)
		}
		return nil
	})
	if errors.Is(err, errRefused) {
		err = nil
	}
	return v, err
}

// delay is the wait after so many failures in a row, in milliseconds: none
// before the fifth, then 30 s, twice as long each time, at most an hour.
const delay = ` CASE throttle.failures + 1 WHEN 1 THEN 0 WHEN 2 THEN 0 WHEN 3 THEN 0 WHEN 4 THEN 0 WHEN 5 THEN 30000 WHEN 6 THEN 60000
	WHEN 7 THEN 120000 WHEN 8 THEN 240000 WHEN 9 THEN 480000 WHEN 10 THEN 960000 WHEN 11 THEN 1920000 ELSE 3600000 END`

// countAttempt counts one attempt if the bucket takes one; ErrNotFound if not.
func (t *tx) countAttempt(b store.Bucket, now time.Time) (failures int, err error) {
	const over = ` ($4 > 0 AND throttle.since + $4 <= $2)` // the window has passed
	err = t.row(`INSERT INTO throttle (key, failures, since, blocked_until) VALUES ($1, 1, $2, 0)
		ON CONFLICT (key) DO UPDATE SET
			failures = CASE WHEN`+over+` THEN 1 ELSE throttle.failures + 1 END,
			since = CASE WHEN`+over+` THEN $2 ELSE throttle.since END,
			blocked_until = $2 + $5 *`+delay+`
		WHERE throttle.blocked_until <= $2 AND (throttle.failures < $3 OR`+over+`)
		RETURNING failures`,
		[]any{b.Key, ms(now), b.Limit, b.Window.Milliseconds(), bit(b.Delays)}, &failures)
	return failures, err
}

// refusal says why a bucket takes no attempt, and until when.
func (t *tx) refusal(b store.Bucket) (store.Verdict, error) {
	var v store.Verdict
	var since, until time.Time
	if err := t.row(`SELECT failures, since, blocked_until FROM throttle WHERE key = $1`, []any{b.Key}, &v.Failures, at{&since}, at{&until}); err != nil {
		return v, err
	}
	switch {
	case v.Failures < b.Limit:
		v.RetryAt = until
	case b.Window > 0:
		v.RetryAt = since.Add(b.Window)
	}
	return v, nil
}

// SettleAttempt implements store.Throttle.
func (s *Store) SettleAttempt(ctx context.Context, settle store.Settle) error {
	return s.update(ctx, func(t *tx) error { return t.settleWith(settle, nil) })
}

// mostKnown is how many browsers a user can have known.
const mostKnown = 5

// settleWith does what a success brings along.
func (t *tx) settleWith(settle store.Settle, known *store.KnownBrowser) error {
	for _, key := range settle.Reset {
		if err := t.exec(`DELETE FROM throttle WHERE key = $1`, key); err != nil {
			return err
		}
	}
	for _, key := range settle.Refund {
		if err := t.exec(`UPDATE throttle SET failures = failures - 1 WHERE key = $1 AND failures > 0`, key); err != nil {
			return err
		}
	}
	if known == nil {
		return nil
	}
	return t.all(
		q(`INSERT INTO known_browsers (id, user_id, created_at) VALUES ($1, $2, $3) ON CONFLICT (id) DO NOTHING`, known.ID, known.UserID, ms(known.CreatedAt)),
		q(`DELETE FROM known_browsers WHERE user_id = $1 AND id NOT IN
			(SELECT k.id FROM known_browsers k WHERE k.user_id = $1 ORDER BY k.created_at DESC, k.id DESC LIMIT $2)`, known.UserID, mostKnown),
	)
}

// KnownBrowser implements store.Throttle.
func (s *Store) KnownBrowser(ctx context.Context, id, userID string) (bool, error) {
	var n int
	err := s.row(ctx, `SELECT count(*) FROM known_browsers WHERE id = $1 AND user_id = $2`, []any{id, userID}, &n)
	return n == 1, err
}

// SigningKeys implements store.Keys.
func (s *Store) SigningKeys(ctx context.Context) (list []store.SigningKey, err error) {
	err = s.rows(ctx, `SELECT id, alg, sealed, created_at FROM signing_keys ORDER BY created_at DESC, id`, nil, func(r *sql.Rows) error {
		var k store.SigningKey
		err := r.Scan(&k.ID, &k.Alg, &k.Sealed, at{&k.CreatedAt})
		list = append(list, k)
		return err
	})
	return list, err
}

// AddSigningKey implements store.Keys.
func (s *Store) AddSigningKey(ctx context.Context, k store.SigningKey, onlyFirst bool) error {
	return s.update(ctx, func(t *tx) error {
		return t.decide(store.ErrExists, `INSERT INTO signing_keys (id, alg, sealed, created_at)
			SELECT $1, $2, $3, $4 WHERE $5 = 0 OR NOT EXISTS (SELECT 1 FROM signing_keys WHERE alg = $2) ON CONFLICT (id) DO NOTHING`,
			k.ID, k.Alg, k.Sealed, ms(k.CreatedAt), bit(onlyFirst))
	})
}

// Record implements store.Audit.
func (s *Store) Record(ctx context.Context, events ...store.Event) error {
	return s.update(ctx, func(t *tx) error { return t.then(nil, events) })
}

// Events implements store.Audit.
func (s *Store) Events(ctx context.Context, limit int) (list []store.Event, err error) {
	err = s.rows(ctx, `SELECT at, type, user_id, client_id, session, interaction, address, request_id, detail
		FROM audit ORDER BY id DESC LIMIT $1`, []any{limit}, func(r *sql.Rows) error {
		var e store.Event
		err := r.Scan(at{&e.At}, &e.Type, &e.UserID, &e.ClientID, &e.Session, &e.Interaction, &e.Address, &e.RequestID, &e.Detail)
		list = append(list, e)
		return err
	})
	return list, err
}

// Meta implements store.Meta.
func (s *Store) Meta(ctx context.Context, name string) (value string, err error) {
	err = s.row(ctx, `SELECT value FROM meta WHERE name = $1`, []any{name}, &value)
	if errors.Is(err, store.ErrNotFound) {
		err = nil
	}
	return value, err
}

// SetMeta implements store.Meta.
func (s *Store) SetMeta(ctx context.Context, name, value string) error {
	return s.update(ctx, func(t *tx) error {
		return t.exec(`INSERT INTO meta (name, value) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET value = excluded.value`, name, value)
	})
}

// Sweep implements store.Sweeper. Used codes and refresh tokens stay until their
// grant goes, so that a second use is still recognised; a grant goes when
// nothing of it is left that could be used.
func (s *Store) Sweep(ctx context.Context, now time.Time) error {
	n := ms(now)
	return s.update(ctx, func(t *tx) error {
		return t.all(
			q(`DELETE FROM interactions WHERE expires_at <= $1`, n),
			q(`DELETE FROM proofs WHERE session_id IN (SELECT id FROM sessions WHERE expires_at <= $1)`, n),
			q(`DELETE FROM sessions WHERE expires_at <= $1`, n),
			q(`DELETE FROM access_tokens WHERE expires_at <= $1`, n),
			q(`DELETE FROM grants WHERE NOT EXISTS (SELECT 1 FROM codes c WHERE c.grant_id = grants.id AND c.expires_at > $1)
				AND NOT EXISTS (SELECT 1 FROM access_tokens a WHERE a.grant_id = grants.id)
				AND NOT EXISTS (SELECT 1 FROM refresh_tokens r WHERE r.grant_id = grants.id AND r.expires_at > $1)`, n),
			q(`DELETE FROM codes WHERE expires_at <= $1 AND NOT EXISTS (SELECT 1 FROM grants g WHERE g.id = codes.grant_id)`, n),
			q(`DELETE FROM refresh_tokens WHERE NOT EXISTS (SELECT 1 FROM grants g WHERE g.id = refresh_tokens.grant_id)`),
			q(`DELETE FROM throttle WHERE failures = 0`),
		)
	})
}
