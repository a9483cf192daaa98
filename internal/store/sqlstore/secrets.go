package sqlstore

import (
	"context"

	"github.com/sallyport-id/sallyport/internal/store"
)

// Secret implements store.Secrets.
func (s *Store) Secret(ctx context.Context, purpose string) (sealed []byte, err error) {
	err = s.row(ctx, `SELECT sealed FROM server_secrets WHERE id = $1`, []any{purpose}, &sealed)
	return sealed, err
}

// AddSecret implements store.Secrets.
func (s *Store) AddSecret(ctx context.Context, purpose string, sealed []byte) error {
	return s.update(ctx, must(store.ErrExists, `INSERT INTO server_secrets (id, sealed) VALUES ($1, $2) ON CONFLICT DO NOTHING`, purpose, sealed))
}
