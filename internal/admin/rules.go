package admin

import (
	"context"
	"fmt"

	"github.com/sallyport-id/sallyport/internal/policy"
	"github.com/sallyport-id/sallyport/internal/store"
)

// SetRules replaces the rules that the version has, all at once, and returns the new
// version. Servers take them up within a second. store.ErrStale: somebody else changed
// them since; any other error of rules that cannot work says why.
func (a *Admin) SetRules(ctx context.Context, rules []policy.Rule, version int64) (int64, error) {
	text, err := policy.Format(rules)
	if err != nil {
		return 0, err
	}
	version++
	return version, a.Store.SetRules(ctx, text, version-1, a.event(store.EventPolicyChanged, "", fmt.Sprintf("version %d", version)))
}
