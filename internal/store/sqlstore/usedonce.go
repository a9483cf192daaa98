package sqlstore

import (
	"context"
	"crypto/sha256"
	"time"

	"github.com/sallyport-id/sallyport/internal/store"
)

// UseOnce implements store.Replay. The row of a name that has ended may still be
// there: whoever comes then is the first again.
func (s *Store) UseOnce(ctx context.Context, kind, name string, until, now time.Time) error {
	sum := sha256.Sum256([]byte(kind + "\x00" + name))
	return s.updateToken(ctx, must(store.ErrUsed, `INSERT INTO used_once (name, ends_at) VALUES ($1, $2)
		ON CONFLICT (name) DO UPDATE SET ends_at = excluded.ends_at WHERE used_once.ends_at <= $3`, sum[:], ms(until), ms(now)))
}
