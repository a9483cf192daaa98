package admin

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode"

	"github.com/sallyport-id/sallyport/internal/oidc"
	"github.com/sallyport-id/sallyport/internal/store"
)

// ProfileChange is what is to be different about a user; nil fields stay.
type ProfileChange struct {
	Name, Email, Locale *string
	// Claims are further claims by name, as oidc.ParseUserClaim takes them; Without
	// are the names of those to be taken away.
	Claims  map[string]string
	Without []string
}

// SetProfile changes what applications are told of a user, at their next request. An
// e-mail that is another is not verified. The error of a value says what is wrong with
// it; store.ErrStale: somebody else has just changed it.
func (a *Admin) SetProfile(ctx context.Context, u *store.User, c ProfileChange) error {
	p, changed := store.Profile{Name: u.Name, Email: u.Email, Locale: u.Locale}, []string{}
	for _, f := range []struct {
		name     string
		old, new *string
	}{{"name", &p.Name, c.Name}, {"email", &p.Email, c.Email}, {"locale", &p.Locale, c.Locale}} {
		if f.new == nil {
			continue
		}
		if len(*f.new) > 256 || strings.ContainsFunc(*f.new, unicode.IsControl) {
			return fmt.Errorf("%s must be at most 256 bytes, without control characters", f.name)
		}
		*f.old, changed = *f.new, append(changed, f.name)
	}
	claims, err := a.changedClaims(u.Claims, c)
	if err != nil {
		return err
	}
	p.Claims = claims
	changed = append(append(changed, slices.Sorted(maps.Keys(c.Claims))...), c.Without...)
	return a.Store.SetProfile(ctx, u.ID, u.Claims, p, a.Now(), a.event(store.EventUserProfile, u.ID, strings.Join(changed, " ")))
}

func (a *Admin) changedClaims(old json.RawMessage, c ProfileChange) (json.RawMessage, error) {
	claims := map[string]json.RawMessage{}
	if len(old) > 0 {
		if err := json.Unmarshal(old, &claims); err != nil {
			return nil, fmt.Errorf("read claims: %w", err)
		}
	}
	for name, text := range c.Claims {
		value, err := oidc.ParseUserClaim(name, text)
		if err != nil {
			return nil, fmt.Errorf("claim %q %w", name, err)
		}
		claims[name] = value
	}
	for _, name := range c.Without {
		if _, ok := claims[name]; !ok {
			return nil, fmt.Errorf("claim %q is not there", name)
		}
		delete(claims, name)
	}
	claims["updated_at"] = json.RawMessage(fmt.Sprint(a.Now().Unix()))
	kept, err := json.Marshal(claims)
	if err != nil {
		return nil, fmt.Errorf("marshal claims: %w", err)
	}
	return kept, oidc.CheckProfile(kept)
}
