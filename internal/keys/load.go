package keys

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/sallyport-id/sallyport/internal/store"
)

// LoadRing loads the signing keys and makes the first of each algorithm that has
// none. Several processes may do so at once: one of them makes the key.
func LoadRing(ctx context.Context, st store.Keys, sealer *Sealer, now time.Time) (*Ring, error) {
	stored, err := st.SigningKeys(ctx)
	if err != nil {
		return nil, fmt.Errorf("keys: load: %w", err)
	}
	made := false
	for _, alg := range algs {
		if slices.ContainsFunc(stored, func(k store.SigningKey) bool { return k.Alg == alg }) {
			continue
		}
		if err := makeFirst(ctx, st, sealer, alg, now); err != nil {
			return nil, err
		}
		made = true
	}
	if made {
		if stored, err = st.SigningKeys(ctx); err != nil {
			return nil, fmt.Errorf("keys: load: %w", err)
		}
	}
	set, err := openSet(stored, sealer)
	if err != nil {
		return nil, err
	}
	ring := &Ring{}
	ring.Replace(set)
	return ring, nil
}

func makeFirst(ctx context.Context, st store.Keys, sealer *Sealer, alg string, now time.Time) error {
	k, err := GenerateKey(alg)
	if err != nil {
		return err
	}
	der, err := k.MarshalPrivate()
	if err != nil {
		return fmt.Errorf("keys: marshal: %w", err)
	}
	sealed, err := sealer.Seal(der, keyPlace(k.ID))
	if err != nil {
		return fmt.Errorf("keys: seal: %w", err)
	}
	err = st.AddSigningKey(ctx, store.SigningKey{ID: k.ID, Alg: alg, Sealed: sealed, CreatedAt: now}, true)
	if err != nil && !errors.Is(err, store.ErrExists) {
		return fmt.Errorf("keys: store: %w", err)
	}
	return nil
}

func keyPlace(id string) Place { return Place{Table: "signing_keys", Column: "sealed", Row: id} }

// openSet opens the stored keys, the newest first.
func openSet(stored []store.SigningKey, sealer *Sealer) (*Set, error) {
	slices.SortFunc(stored, func(a, b store.SigningKey) int { return b.CreatedAt.Compare(a.CreatedAt) })
	var list []*Key
	for _, sk := range stored {
		der, err := sealer.Open(sk.Sealed, keyPlace(sk.ID))
		if err != nil {
			return nil, fmt.Errorf("keys: signing key %s: %w", sk.ID, err)
		}
		k, err := ParsePrivate(sk.Alg, der)
		if err != nil {
			return nil, err
		}
		list = append(list, k)
	}
	return NewSet(list)
}
