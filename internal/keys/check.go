package keys

import (
	"context"
	"fmt"

	"github.com/sallyport-id/sallyport/internal/store"
)

// Check returns how many signing keys are stored; an error if one of them cannot
// be opened.
func Check(ctx context.Context, st store.Keys, sealer *Sealer) (int, error) {
	stored, err := st.SigningKeys(ctx)
	if err != nil {
		return 0, fmt.Errorf("keys: load: %w", err)
	}
	if _, err := openSet(stored, sealer); err != nil {
		return 0, err
	}
	return len(stored), nil
}
