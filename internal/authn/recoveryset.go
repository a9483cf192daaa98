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
// set, and the hashes for the store. All are hashed in one turn: who enrols waits
// once, not for each. Errors as for Hash.
func (h *Hasher) NewRecoverySet(ctx context.Context, userID string, now time.Time) (codes []string, set store.Authenticator, hashes [][]byte, err error) {
	if codes, err = NewRecoveryCodes(recoveryCodes); err != nil {
		return nil, set, nil, err
	}
	turn, err := h.Turn(ctx, false)
	if err != nil {
		return nil, set, nil, fmt.Errorf("hash recovery codes: %w", err)
	}
	defer turn.End()
	set = store.Authenticator{ID: store.NewID(), UserID: userID, Kind: store.KindRecovery, Secret: NewSalt(), CodesLeft: len(codes), CreatedAt: now}
	for _, code := range codes {
		hashes = append(hashes, turn.HashRecovery(set.Secret, code))
	}
	return codes, set, hashes, nil
}
