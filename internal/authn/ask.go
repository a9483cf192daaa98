package authn

import (
	"context"
	"fmt"
	"net/netip"
	"time"

	"github.com/sallyport-id/sallyport/internal/store"
)

// How many links to a new password may be asked for in an hour: for one login, and
// from one network address.
const (
	limitAsked        = 3
	limitAskedAddress = 20
	windowAsked       = time.Hour
)

// AskForPassword counts that somebody asked for a new password for a login, and
// returns the id of the user whose it is, "" for nobody's. allowed is false beyond
// what an hour bears. The work is the same for a login that is nobody's.
func (c *Checker) AskForPassword(ctx context.Context, login string, from netip.Addr) (userID string, allowed bool, err error) {
	key, err := LoginKey(login)
	if err != nil {
		key = "\x00" + login
	}
	v, err := c.Store.Attempt(ctx, []store.Bucket{
		{Key: c.bucketKey("ask", key), Limit: limitAsked, Window: windowAsked},
		{Key: c.bucketKey("ask-address", network(from)), Limit: limitAskedAddress, Window: windowAsked},
	}, c.Now())
	if err != nil {
		return "", false, fmt.Errorf("count request: %w", err)
	}
	_, u, err := c.lookUp(ctx, key, "")
	if err != nil || u == nil {
		return "", v.Allowed, err
	}
	return u.ID, v.Allowed, nil
}

// network is whose an address is: one customer has a /64 of IPv6.
func network(a netip.Addr) string {
	bits := 32
	if a.Is6() {
		bits = 64
	}
	p, err := a.Prefix(bits)
	if err != nil {
		return a.String()
	}
	return p.String()
}
