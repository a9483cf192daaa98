package admin

import (
	"context"
	"fmt"

	"github.com/sallyport-id/sallyport/internal/authn"
	"github.com/sallyport-id/sallyport/internal/store"
)

// AfterRestore ends what must not live twice in a database that has gone back in
// time, and says of which moment it is; "" if nobody knows. No TOTP code that may
// have been used until now is accepted again.
func (a *Admin) AfterRestore(ctx context.Context, asOf string) (store.Restored, error) {
	now := a.Now()
	done, err := a.Store.AfterRestore(ctx, authn.LatestTOTPStep(now), now, a.event(store.EventDatabaseRestored, "", asOf))
	if err != nil {
		return done, fmt.Errorf("clean up after the restore: %w", err)
	}
	return done, nil
}
