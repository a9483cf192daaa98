package sqlstore

import (
	"context"
	"database/sql"

	"github.com/sallyport-id/sallyport/internal/store"
)

// SigningKeys implements store.Keys, the newest first.
func (s *Store) SigningKeys(ctx context.Context) (list []store.SigningKey, err error) {
	err = s.read(ctx, `SELECT id, alg, sealed, created_at FROM signing_keys ORDER BY created_at DESC, id DESC`, nil, func(r *sql.Rows) error {
		var k store.SigningKey
		err := r.Scan(&k.ID, &k.Alg, &k.Sealed, at{&k.CreatedAt})
		list = append(list, k)
		return err
	})
	return list, err
}

// AddSigningKey implements store.Keys.
func (s *Store) AddSigningKey(ctx context.Context, k store.SigningKey, onlyFirst bool) error {
	return s.update(ctx, must(store.ErrExists, `INSERT INTO signing_keys (id, alg, sealed, created_at, only_first)
		SELECT $1, $2, $3, CAST($4 AS BIGINT), CAST($5 AS BIGINT)
		WHERE CAST($5 AS BIGINT) = 0 OR NOT EXISTS (SELECT 1 FROM signing_keys WHERE alg = $2)
		ON CONFLICT DO NOTHING`,
		k.ID, k.Alg, k.Sealed, ms(k.CreatedAt), bit(onlyFirst)))
}
