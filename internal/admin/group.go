package admin

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/sallyport-id/sallyport/internal/store"
)

const (
	mostGroups   = 100
	longestGroup = 64 // bytes
)

// SetGroups replaces the user's groups, which rules of the policy know from the next
// request on.
func (a *Admin) SetGroups(ctx context.Context, id string, groups []string) error {
	if len(groups) > mostGroups {
		return fmt.Errorf("%d groups are more than %d", len(groups), mostGroups)
	}
	for _, g := range groups {
		if err := checkGroup(g); err != nil {
			return err
		}
	}
	groups = slices.Compact(slices.Sorted(slices.Values(groups)))
	return a.Store.SetGroups(ctx, id, groups, a.event(store.EventUserGroups, id, strings.Join(groups, ", ")))
}

// checkGroup refuses names that people would take for others.
func checkGroup(name string) error {
	switch {
	case name == "" || name != strings.TrimSpace(name):
		return fmt.Errorf("%q is no name of a group", name)
	case len(name) > longestGroup:
		return fmt.Errorf("the name of a group has at most %d bytes", longestGroup)
	case strings.ContainsFunc(name, func(r rune) bool { return !unicode.IsPrint(r) || r == ',' }):
		return errors.New("the name of a group has neither control characters nor commas")
	}
	return nil
}

// SetGrace moves the end of the time in which the user may put a first second factor
// off.
func (a *Admin) SetGrace(ctx context.Context, id string, until time.Time) error {
	return a.Store.SetGrace(ctx, id, until, a.event(store.EventUserGrace, id, until.UTC().Format(time.RFC3339)))
}
