package authn

import (
	"context"
	"fmt"
	"time"

	"github.com/sallyport-id/sallyport/internal/keys"
	"github.com/sallyport-id/sallyport/internal/store"
)

// ThrottleKey is the key for the counters of an installation, to whoever has its
// master key.
func ThrottleKey(s *keys.Sealer) []byte { return s.Derive("throttle") }

// Guesses are the failed attempts at one thing that a user has, for an operator.
type Guesses struct {
	// Authenticator is its id; "" for the password.
	Authenticator string
	// KnownBrowser is the browser that they came from, one that the user had signed in
	// with before; "" for codes, and for passwords from all other browsers.
	KnownBrowser string
	// Failures is how many there were since the last success.
	Failures int
	// RetryAt is when the next attempt is accepted; zero: now, if not Stopped.
	RetryAt time.Time
	// Stopped: nothing is right any more until an operator lifts it.
	Stopped bool
}

// guessed is something that can be guessed at: its buckets, of which the first counts
// in a row.
type guessed struct {
	Guesses
	buckets []store.Bucket
}

// Guesses returns where somebody has failed at what the user has.
func (c *Checker) Guesses(ctx context.Context, u *store.User, list []store.Authenticator) ([]Guesses, error) {
	all, err := c.guessed(ctx, u, list)
	if err != nil {
		return nil, err
	}
	var found []Guesses
	for _, g := range all {
		for i, b := range g.buckets {
			v, err := c.Store.LookAt(ctx, b, c.Now())
			if err != nil {
				return nil, fmt.Errorf("look at attempts: %w", err)
			}
			g.add(v, i == 0)
		}
		if g.Failures > 0 || g.Stopped || !g.RetryAt.IsZero() {
			found = append(found, g.Guesses)
		}
	}
	return found, nil
}

// add takes in what one bucket says.
func (g *guessed) add(v store.Verdict, inRow bool) {
	if inRow {
		g.Failures = max(v.Failures, v.Total)
	}
	g.Stopped = g.Stopped || !v.Allowed && v.RetryAt.IsZero() || g.Authenticator == "" && v.Total > limitStrangers
	if !v.Allowed && v.RetryAt.After(g.RetryAt) {
		g.RetryAt = v.RetryAt
	}
}

// Lift forgets all of them, so that the user can try again.
func (c *Checker) Lift(ctx context.Context, u *store.User, list []store.Authenticator, events ...store.Event) error {
	all, err := c.guessed(ctx, u, list)
	if err != nil {
		return err
	}
	var settle store.Settle
	for _, g := range all {
		for _, b := range g.buckets {
			settle.Reset = append(settle.Reset, b.Key)
		}
	}
	if err := c.Store.SettleAttempt(ctx, settle, events...); err != nil {
		return fmt.Errorf("lift: %w", err)
	}
	return nil
}

// guessed is all of the user's that can be guessed at.
func (c *Checker) guessed(ctx context.Context, u *store.User, list []store.Authenticator) ([]guessed, error) {
	known, err := c.Store.KnownBrowsers(ctx, u.ID)
	if err != nil {
		return nil, fmt.Errorf("load known browsers: %w", err)
	}
	buckets, _ := c.passwordBuckets(u.LoginKey, "", true)
	all := []guessed{{buckets: buckets}}
	for _, b := range known {
		buckets, _ := c.passwordBuckets(u.LoginKey, b.ID, true)
		all = append(all, guessed{Guesses{KnownBrowser: b.ID}, buckets})
	}
	for _, a := range list {
		if buckets, _ := c.codeBuckets([]store.Authenticator{a}, a.Kind); len(buckets) > 0 {
			all = append(all, guessed{Guesses{Authenticator: a.ID}, buckets})
		}
	}
	return all, nil
}
