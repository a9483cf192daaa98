// Package clientkey has the keys in which clients sign: as they are registered, or as
// they stand at the client's jwks_uri. It knows nothing of what is signed.
//
// Anybody can send what names a client and a key, so a caller proves nothing by asking
// here. What that can cost is bounded: for each client one request at a time and one in
// 15 seconds, a few requests at once for all of them, and few callers that wait.
package clientkey

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/sallyport-id/sallyport/internal/fetch"
	"github.com/sallyport-id/sallyport/internal/oidc"
)

const (
	// retryPeriod is the time between two requests to one jwks_uri, whatever the first
	// brought: a key that is not known, nothing, or too little for whoever asks.
	retryPeriod = 15 * time.Second
	// staleFor is how long after they were fetched keys are used if they cannot be
	// fetched again.
	staleFor = 24 * time.Hour

	mostClients   = 1000 // whose keys are kept, of each kind
	mostFetches   = 32   // requests under way
	mostWaiting   = 64   // callers that wait for them, beside those that send them
	mostWaitingAt = 16   // of them, at one client's
)

// ErrUnavailable: there are no keys of the client's to go by. Why was logged when it
// showed. It may be different soon.
var ErrUnavailable = errors.New("clientkey: the client's keys cannot be had")

// Cache keeps keys in memory, parsed. It is for concurrent use.
type Cache struct {
	Fetch *fetch.Client
	Log   *slog.Logger
	Now   func() time.Time

	mu      sync.Mutex
	inline  map[string]registered // by client_id
	remote  map[string]*remote    // by client_id
	running int                   // requests under way
	waiting int

	fetched, failed int64
}

// registered are keys that stand in the client's registration.
type registered struct {
	text []byte
	keys *oidc.ClientKeys
}

// remote is what is known of a jwks_uri.
type remote struct {
	uri     string
	keys    *oidc.ClientKeys // nil: none were had, ever
	fetched time.Time        // when keys were had
	fresh   time.Time        // until then they are not asked for again
	tried   time.Time        // when the last request began
	ended   chan struct{}    // closed when the request that is under way has ended; nil: none is
	waiting int
	failure string // of the last request; "": none
}

// usable: whether there are keys that may be gone by.
func (r *remote) usable(now time.Time) bool {
	return r.keys != nil && (now.Before(r.fresh) || now.Before(r.fetched.Add(staleFor)))
}

// Of returns the keys of a client that has some, for something that names the key kid;
// "" for none. It fetches them if there are none, if they are old or if kid is not among
// them (OpenID Connect Core §10.1.1), but not too often: then, and if that fails, they
// are those of before. Who signed may still be nobody. ErrUnavailable if there is nothing to go by; another
// error is about keys that are registered.
func (c *Cache) Of(ctx context.Context, client *oidc.Client, kid string) (*oidc.ClientKeys, error) {
	if client.JWKSURI == "" {
		return c.registered(client)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.Now()
	r := c.entry(client, now)
	if r == nil {
		return nil, ErrUnavailable
	}
	has := r.usable(now) && r.keys.Has(kid)
	switch {
	case has && now.Before(r.fresh):
	case r.ended != nil && !has:
		if err := c.wait(ctx, r); err != nil {
			return nil, err
		}
	case r.ended == nil && now.Sub(r.tried) >= retryPeriod && c.running < mostFetches:
		c.renew(ctx, client.ID, r)
	}
	if !r.usable(c.Now()) {
		return nil, ErrUnavailable
	}
	return r.keys, nil
}

// registered returns the keys in a client's registration, which are read once.
func (c *Cache) registered(client *oidc.Client) (*oidc.ClientKeys, error) {
	c.mu.Lock()
	known := c.inline[client.ID]
	c.mu.Unlock()
	if known.keys != nil && bytes.Equal(known.text, client.JWKS) {
		return known.keys, nil
	}
	keys, err := oidc.ParseClientKeys(client.JWKS)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.inline == nil || len(c.inline) >= mostClients {
		c.inline = map[string]registered{}
	}
	c.inline[client.ID] = registered{bytes.Clone(client.JWKS), keys}
	return keys, nil
}

// entry returns what is known of a client's jwks_uri. If there is no room for another
// it forgets one that may be asked again now; nil if there is none: forgetting must
// not be a way to ask more often.
func (c *Cache) entry(client *oidc.Client, now time.Time) *remote {
	r := c.remote[client.ID]
	if r != nil && r.uri == client.JWKSURI {
		return r
	}
	if r == nil && len(c.remote) >= mostClients && !c.forget(now) {
		return nil
	}
	if c.remote == nil {
		c.remote = map[string]*remote{}
	}
	r = &remote{uri: client.JWKSURI}
	c.remote[client.ID] = r
	return r
}

// forget makes room for one.
func (c *Cache) forget(now time.Time) bool {
	for id, r := range c.remote { // in no order
		if r.ended == nil && now.Sub(r.tried) >= retryPeriod {
			delete(c.remote, id)
			return true
		}
	}
	return false
}

// wait waits for the request under way, if not too many do; with the lock.
func (c *Cache) wait(ctx context.Context, r *remote) (err error) {
	if c.waiting >= mostWaiting || r.waiting >= mostWaitingAt {
		return nil
	}
	ended := r.ended
	c.waiting++
	r.waiting++
	c.unlocked(func() {
		select {
		case <-ended:
		case <-ctx.Done():
			err = ctx.Err()
		}
	})
	c.waiting--
	r.waiting--
	return err
}

// renew fetches the keys; with the lock. It goes on when its caller leaves: others wait
// for what it brings, and the next would only begin again.
func (c *Cache) renew(ctx context.Context, clientID string, r *remote) {
	r.tried, r.ended = c.Now(), make(chan struct{})
	c.running++
	defer func() {
		c.running--
		close(r.ended)
		r.ended = nil
	}()
	var keys *oidc.ClientKeys
	var fresh time.Duration
	var err error
	c.unlocked(func() { keys, fresh, err = Fetch(context.WithoutCancel(ctx), c.Fetch, r.uri) })
	if err != nil {
		c.failed++
		if r.failure != err.Error() { // said once
			c.Log.WarnContext(ctx, "client's keys cannot be fetched", "client_id", clientID, "error", err)
		}
		r.failure = err.Error()
		return
	}
	c.fetched++
	now := c.Now()
	r.keys, r.fetched, r.fresh = keys, now, now.Add(fresh)
	if r.failure != "" {
		c.Log.InfoContext(ctx, "client's keys are fetched again", "client_id", clientID)
	}
	r.failure = ""
}

// unlocked does something without the lock, and has it again when that has ended,
// however it has.
func (c *Cache) unlocked(do func()) {
	c.mu.Unlock()
	defer c.mu.Lock()
	do()
}

// Stats are the requests to clients' jwks_uris since the start: those that brought keys,
// and the others.
type Stats struct{ Fetched, Failed int64 }

// Stats returns them.
func (c *Cache) Stats() Stats {
	c.mu.Lock()
	defer c.mu.Unlock()
	return Stats{c.fetched, c.failed}
}
