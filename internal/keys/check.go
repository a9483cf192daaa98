package keys

import (
	"context"
	"fmt"

	"github.com/sallyport-id/sallyport/internal/store"
)

// Check opens everything that is sealed and kept, and returns how many values it
// was and how many of them are sealed under an older master key. The error names
// the first that cannot be opened.
func Check(ctx context.Context, st store.Sealed, sealer *Sealer) (opened, old int, err error) {
	err = eachBatch(ctx, st, func(list []store.SealedValue) error {
		for _, v := range list {
			_, err := sealer.Open(v.Sealed, Place{v.Table, v.Column, v.Row, v.Owner})
			if err != nil {
				return fmt.Errorf("%s.%s of %s: %w", v.Table, v.Column, v.Row, err)
			}
			if opened++; sealer.old(v.Sealed) {
				old++
			}
		}
		return nil
	})
	return opened, old, err
}
