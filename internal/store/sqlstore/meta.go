package sqlstore

import (
	"context"
	"errors"

	"github.com/sallyport-id/sallyport/internal/store"
)

// Meta implements store.Meta.
func (s *Store) Meta(ctx context.Context, name string) (value string, err error) {
	err = s.row(ctx, `SELECT value FROM meta WHERE name = $1`, []any{name}, &value)
	if errors.Is(err, store.ErrNotFound) {
		return "", nil
	}
	return value, err
}

// SetMeta implements store.Meta.
func (s *Store) SetMeta(ctx context.Context, name, value string) error {
	return s.update(ctx, setMeta(name, value))
}

func setMeta(name, value string) step {
	return exec(`INSERT INTO meta (name, value) VALUES ($1, $2)
		ON CONFLICT (name) DO UPDATE SET value = excluded.value`, name, value)
}
