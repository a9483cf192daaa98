package sqlstore

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"slices"
	"time"

	"github.com/sallyport-id/sallyport/internal/store"
)

// errRefused takes back the counts of an attempt that one bucket refused.
var errRefused = errors.New("sqlstore: refused")

// Attempt implements store.Throttle.
func (s *Store) Attempt(ctx context.Context, buckets []store.Bucket, now time.Time) (store.Verdict, error) {
	a := &attempt{buckets: slices.Clone(buckets), now: now}
	slices.SortFunc(a.buckets, func(x, y store.Bucket) int { return cmp.Compare(x.Key, y.Key) }) // one order of locks
	err := s.update(ctx, a.step)
	if err != nil && !errors.Is(err, errRefused) {
		return store.Verdict{}, err
	}
	a.verdict.Allowed = err == nil
	return a.verdict, nil
}

// attempt is one attempt on its way through its buckets.
type attempt struct {
	buckets []store.Bucket
	now     time.Time
	verdict store.Verdict
}

func (a *attempt) step(t *tx) error {
	states := make([]bucketState, len(a.buckets))
	refused := false
	for i, b := range a.buckets {
		err := t.countIn(b, a.now, &states[i])
		if errors.Is(err, store.ErrNotFound) {
			refused = true
			err = t.row(`SELECT failures, retry_at, ends_at, total FROM throttle WHERE key = $1`, []any{b.Key}, states[i].fields()...)
		}
		if err != nil {
			return err
		}
	}
	a.verdict = verdict(a.buckets, states, a.now)
	if refused {
		return errRefused
	}
	return nil
}

// bucketState is a row of the table.
type bucketState struct {
	failures, total int
	retryAt, endsAt time.Time
}

func (b *bucketState) fields() []any {
	return []any{&b.failures, at{&b.retryAt}, at{&b.endsAt}, &b.total}
}

// The conditions and values of an attempt: over, the count starts again; delay,
// the wait in milliseconds that follows it if it fails, too: none before the
// fifth, then 30 s, twice as long each time, at most an hour.
const (
	over  = ` (throttle.ends_at > 0 AND throttle.ends_at <= $2 OR throttle.idle_at > 0 AND throttle.idle_at <= $2)`
	delay = ` CASE WHEN throttle.failures < 4 THEN 0 WHEN throttle.failures > 10 THEN 3600000
		ELSE 30000 << CAST(throttle.failures - 4 AS INTEGER) END`
)

// countIn counts one attempt in a bucket; store.ErrNotFound if the bucket refuses.
func (t *tx) countIn(b store.Bucket, now time.Time, state *bucketState) error {
	ends, idle := int64(0), int64(0)
	if b.Window > 0 {
		ends = ms(now.Add(b.Window))
	}
	if b.Idle > 0 {
		idle = ms(now.Add(b.Idle))
		if !b.Owned {
			ends = idle // Sweep forgets it
		}
	}
	return t.row(`INSERT INTO throttle (key, failures, retry_at, ends_at, idle_at, total) VALUES ($1, 1, 0, $3, $6, $7)
		ON CONFLICT (key) DO UPDATE SET
			failures = CASE WHEN`+over+` THEN 1 ELSE throttle.failures + 1 END,
			retry_at = CASE WHEN`+over+` OR $5 = 0 THEN 0 ELSE $2 +`+delay+` END,
			ends_at = CASE WHEN`+over+` OR $6 > 0 THEN $3 ELSE throttle.ends_at END,
			idle_at = $6,
			total = CASE WHEN $7 = 0 THEN 0 WHEN throttle.total < throttle.failures THEN throttle.failures + 1 ELSE throttle.total + 1 END
		WHERE`+over+` OR (throttle.failures < $4 AND throttle.retry_at <= $2)
		RETURNING failures, retry_at, ends_at, total`,
		[]any{b.Key, ms(now), ends, b.Limit, bit(b.Delays), idle, bit(b.Owned)}, state.fields()...)
}

// verdict says what the fullest bucket counts, and when all of them take the next
// attempt.
func verdict(buckets []store.Bucket, states []bucketState, now time.Time) store.Verdict {
	v := store.Verdict{RetryAt: kept(now)}
	for i, b := range buckets {
		v.Failures = max(v.Failures, states[i].failures)
		v.Total = max(v.Total, states[i].total)
		next := states[i].retryAt
		if states[i].failures >= b.Limit {
			next = states[i].endsAt
			if next.IsZero() || b.Idle > 0 {
				return store.Verdict{Failures: v.Failures, Total: v.Total} // time does not help
			}
		}
		if next.After(v.RetryAt) {
			v.RetryAt = next
		}
	}
	return v
}

// LookAt implements store.Throttle.
func (s *Store) LookAt(ctx context.Context, b store.Bucket, now time.Time) (store.Verdict, error) {
	var state bucketState
	err := s.row(ctx, `SELECT CASE WHEN`+over+` THEN 0 ELSE failures END, CASE WHEN`+over+` THEN 0 ELSE retry_at END, ends_at, total
		FROM throttle WHERE key = $1`, []any{b.Key, ms(now)}, state.fields()...)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return store.Verdict{}, err
	}
	v := verdict([]store.Bucket{b}, []bucketState{state}, now)
	v.Allowed = state.failures < b.Limit && !v.RetryAt.After(now)
	return v, nil
}

// SettleAttempt implements store.Throttle.
func (s *Store) SettleAttempt(ctx context.Context, settle store.Settle, events ...store.Event) error {
	return s.update(ctx, settled(settle), record(events))
}

func settled(s store.Settle) step {
	var steps []step
	for _, key := range s.Reset {
		steps = append(steps, exec(`DELETE FROM throttle WHERE key = $1`, key))
	}
	for _, key := range s.Refund {
		steps = append(steps,
			exec(`UPDATE throttle SET failures = failures - 1, retry_at = 0 WHERE key = $1`, key),
			exec(`DELETE FROM throttle WHERE key = $1 AND failures <= 0`, key))
	}
	return all(steps...)
}

// mostKnown is how many browsers of a user are remembered.
const mostKnown = 5

// remember keeps a known browser, nil for none, and forgets the oldest.
func remember(b *store.KnownBrowser) step {
	if b == nil {
		return nil
	}
	return all(
		exec(`INSERT INTO known_browsers (id, user_id, created_at) VALUES ($1, $2, $3) ON CONFLICT (id) DO NOTHING`, b.ID, b.UserID, ms(b.CreatedAt)),
		exec(`DELETE FROM known_browsers WHERE user_id = $1 AND id NOT IN
			(SELECT k.id FROM known_browsers k WHERE k.user_id = $1 ORDER BY k.created_at DESC, k.id DESC LIMIT $2)`, b.UserID, mostKnown))
}

// KnownBrowser implements store.Throttle.
func (s *Store) KnownBrowser(ctx context.Context, id, userID string) (bool, error) {
	err := s.row(ctx, `SELECT id FROM known_browsers WHERE id = $1 AND user_id = $2`, []any{id, userID}, &id)
	if errors.Is(err, store.ErrNotFound) {
		return false, nil
	}
	return err == nil, err
}

// KnownBrowsers implements store.Throttle.
func (s *Store) KnownBrowsers(ctx context.Context, userID string) (list []store.KnownBrowser, err error) {
	err = s.read(ctx, `SELECT id, user_id, created_at FROM known_browsers WHERE user_id = $1 ORDER BY created_at, id`, []any{userID},
		func(r *sql.Rows) error {
			var b store.KnownBrowser
			err := r.Scan(&b.ID, &b.UserID, at{&b.CreatedAt})
			list = append(list, b)
			return err
		})
	return list, err
}
