package keys

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/sallyport-id/sallyport/internal/store"
)

// resealBatch is how many values are read, and written in one transaction.
const resealBatch = 100

// Reseal seals anew, under the current master key, what is sealed under an older
// one, and returns how many values it was. It works in batches: if it is stopped
// it goes on where it was when it is called again. What others change meanwhile
// they seal themselves. A value that cannot be opened stays, and is an error, but
// keeps no other from being sealed.
func Reseal(ctx context.Context, st store.Sealed, sealer *Sealer) (done int, err error) {
	var lost error
	err = eachBatch(ctx, st, func(list []store.SealedValue) error {
		old, fresh, failed := sealer.reseal(list)
		lost = errors.Join(lost, failed)
		if len(old) == 0 {
			return nil
		}
		n, err := st.ReplaceSealed(ctx, old, fresh)
		done += n
		return err
	})
	return done, errors.Join(err, lost)
}

func (s *Sealer) reseal(list []store.SealedValue) (old []store.SealedValue, fresh [][]byte, failed error) {
	for _, v := range list {
		if !s.Outdated(v.Sealed) {
			continue
		}
		where := Place{v.Table, v.Column, v.Row, v.Owner}
		plain, err := s.Open(v.Sealed, where)
		if err != nil {
			failed = errors.Join(failed, fmt.Errorf("%s.%s of %s: %w", v.Table, v.Column, v.Row, err))
			continue
		}
		sealed, err := s.Seal(plain, where)
		if err != nil {
			failed = errors.Join(failed, err)
			continue
		}
		old, fresh = append(old, v), append(fresh, sealed)
	}
	return old, fresh, failed
}

// CountOld counts what is sealed under the older master keys that the sealer has:
// those kept, and those passing, which live interactions hold until their end.
func CountOld(ctx context.Context, st store.Sealed, sealer *Sealer, now time.Time) (kept, passing int, err error) {
	// First what passes: it may become what is kept, and never the other way round.
	held, err := st.PassingSealed(ctx, now)
	if err != nil {
		return 0, 0, fmt.Errorf("keys: read what interactions hold: %w", err)
	}
	for _, sealed := range held {
		if sealer.old(sealed) {
			passing++
		}
	}
	err = eachBatch(ctx, st, func(list []store.SealedValue) error {
		for _, v := range list {
			if sealer.old(v.Sealed) {
				kept++
			}
		}
		return nil
	})
	return kept, passing, err
}

func eachBatch(ctx context.Context, st store.Sealed, do func([]store.SealedValue) error) error {
	after := store.SealedValue{}
	for {
		list, err := st.SealedValues(ctx, after, resealBatch)
		if err != nil {
			return fmt.Errorf("keys: read sealed values: %w", err)
		}
		if len(list) == 0 {
			return nil
		}
		if err := do(list); err != nil {
			return fmt.Errorf("keys: %w", err)
		}
		after = list[len(list)-1]
	}
}
