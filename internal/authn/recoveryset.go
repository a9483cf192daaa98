package authn

import (
	"context"
	"fmt"
	"time"

	"github.com/sallyport-id/sallyport/internal/store"
)

// recoveryCodes is how many codes a set has.
const recoveryCodes = 10

// NewRecoverySet makes a set of recovery codes: the codes, to be shown once, the
// set, and the hashes for the store.
func (h *Hasher) NewRecoverySet(ctx context.Context, userID string, now time.Time) (codes []string, set store.Authenticator, hashes [][]byte, err error) {
	if codes, err = NewRecoveryCodes(recoveryCodes); err != nil {
		return nil, set, nil, err
	}
	set = store.Authenticator{ID: store.NewID(), UserID: userID, Kind: store.KindRecovery, Secret: NewSalt(), CodesLeft: len(codes), CreatedAt: now}
	for _, code := range codes {
		hash, err := h.HashRecovery(ctx, set.Secret, code)
		if err != nil {
			return nil, set, nil, fmt.Errorf("hash recovery code: %w", err)
		}
		hashes = append(hashes, hash)
	}
	return codes, set, hashes, nil
}
