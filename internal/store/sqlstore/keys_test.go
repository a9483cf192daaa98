package sqlstore

import (
	"testing"
	"time"

	"github.com/sallyport-id/sallyport/internal/store"
)

// TestKeysOfTheFirstSchema: a key that was stored before keys had a plan, or by a
// process that knows of none, signs at once and stays; and it can be rotated.
func TestKeysOfTheFirstSchema(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 28, 9, 0, 0, 0, time.UTC)
	for name, config := range databases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := openStore(t, config(t))
			err := s.update(t.Context(), exec(`INSERT INTO signing_keys (id, alg, sealed, created_at, only_first) VALUES ($1, $2, $3, $4, 1)`,
				"k1", "RS256", []byte{1}, ms(now)))
			if err != nil {
				t.Fatal(err)
			}
			list, err := s.SigningKeys(t.Context())
			if err != nil || len(list) != 1 || !list[0].NotBefore.IsZero() || !list[0].Retire.IsZero() {
				t.Errorf("got %+v, %v; want one key with no plan", list, err)
			}
			next := store.SigningKey{ID: "k2", Alg: "RS256", Sealed: []byte{2}, CreatedAt: now, NotBefore: now.Add(time.Hour)}
			if err := s.RotateSigningKey(t.Context(), store.Rotation{Next: next, Replaces: "k1", Retire: now.Add(2 * time.Hour), Now: now}); err != nil {
				t.Errorf("rotate it: %v", err)
			}
		})
	}
}
