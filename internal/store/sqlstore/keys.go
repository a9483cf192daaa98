package sqlstore

import (
	"context"
	"database/sql"
	"time"

	"github.com/sallyport-id/sallyport/internal/store"
)

// retiredKept is how long a signing key that is no longer published can still be
// looked at.
const retiredKept = 7 * 24 * time.Hour

// SigningKeys implements store.Keys.
func (s *Store) SigningKeys(ctx context.Context) (list []store.SigningKey, err error) {
	err = s.read(ctx, `SELECT id, alg, sealed, created_at, not_before, retire FROM signing_keys ORDER BY created_at DESC, id DESC`, nil, func(r *sql.Rows) error {
		var k store.SigningKey
		err := r.Scan(&k.ID, &k.Alg, &k.Sealed, at{&k.CreatedAt}, at{&k.NotBefore}, at{&k.Retire})
		list = append(list, k)
		return err
	})
	return list, err
}

// AddFirstSigningKey implements store.Keys. The index signing_keys_first decides
// between those who do it at once.
func (s *Store) AddFirstSigningKey(ctx context.Context, k store.SigningKey, events ...store.Event) error {
	return s.update(ctx, must(store.ErrExists, `INSERT INTO signing_keys (id, alg, sealed, created_at, not_before, retire, only_first)
		SELECT $1, $2, $3, CAST($4 AS BIGINT), CAST($5 AS BIGINT), CAST($6 AS BIGINT), 1
		WHERE NOT EXISTS (SELECT 1 FROM signing_keys WHERE alg = $2)
		ON CONFLICT DO NOTHING`,
		k.ID, k.Alg, k.Sealed, ms(k.CreatedAt), ms(k.NotBefore), ms(k.Retire)), record(events))
}

// RotateSigningKey implements store.Keys. The end of the newest key is planned
// once: whoever does that makes its successor.
func (s *Store) RotateSigningKey(ctx context.Context, r store.Rotation) error {
	k := r.Next
	return s.update(ctx,
		must(store.ErrStale, `UPDATE signing_keys SET retire = $3
			WHERE id = $1 AND alg = $2 AND retire = 0 AND (not_before <= $4 OR CAST($5 AS BIGINT) = 1)`,
			r.Replaces, k.Alg, ms(r.Retire), ms(r.Now), bit(r.Emergency)),
		exec(`UPDATE signing_keys SET retire = $2 WHERE alg = $1 AND (retire = 0 OR retire > $2)`, k.Alg, ms(r.Retire)),
		must(store.ErrExists, `INSERT INTO signing_keys (id, alg, sealed, created_at, not_before, retire, only_first)
			VALUES ($1, $2, $3, $4, $5, $6, 0) ON CONFLICT DO NOTHING`,
			k.ID, k.Alg, k.Sealed, ms(k.CreatedAt), ms(k.NotBefore), ms(k.Retire)),
		record(r.Events))
}

// sweepKeys deletes signing keys some time after they were retired.
func (s *Store) sweepKeys(ctx context.Context, now time.Time) error {
	return s.update(ctx, exec(`DELETE FROM signing_keys WHERE retire > 0 AND retire <= $1`, ms(now.Add(-retiredKept))))
}
