package issuer

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
)

const (
	cacheTTL      = time.Hour        // unless the server says less
	cacheShortest = time.Minute      // whatever the server says
	cacheLongest  = 24 * time.Hour   // how long a value is used when the server does not answer
	retryMissing  = time.Second      // after a failure without anything to fall back to
	retryStale    = 30 * time.Second // after a failure with an older value at hand
	refetchPeriod = 15 * time.Second // between fetches for a key that is not known
)

// A Cache holds one document of the server: fetched when it is first needed, by
// one caller for all, again after an hour or what the server says, and kept for a
// day if that fails.
type Cache[T any] struct {
	now   func() time.Time
	fetch func(ctx context.Context, etag string) (value T, version Version, err error)

	mu      sync.Mutex
	value   T
	version Version
	fetched time.Time // when the value was last known to be right; zero if there is none
	tried   time.Time // when a fetch last ended
	err     error     // how the last fetch ended
	flight  chan struct{}
}

// A Version says what the server told about a document beside it.
type Version struct {
	ETag   string        // "" for none
	MaxAge time.Duration // how long it is good; zero if the server does not tell
}

// VersionOf reads the headers of an answer (RFC 9110 §8.8.3, RFC 9111 §5.2.2).
func VersionOf(h http.Header) Version {
	v := Version{ETag: h.Get("ETag")}
	for directive := range strings.SplitSeq(strings.ToLower(strings.Join(h.Values("Cache-Control"), ",")), ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(directive), "=")
		switch name {
		case "no-store", "no-cache":
			v.MaxAge = cacheShortest
			return v
		case "max-age":
			if seconds, err := strconv.ParseUint(value, 10, 31); err == nil {
				v.MaxAge = max(time.Duration(seconds)*time.Second, cacheShortest)
			}
		}
	}
	return v
}

func (v Version) lifetime() time.Duration {
	if v.MaxAge == 0 {
		return cacheTTL
	}
	return min(v.MaxAge, cacheTTL)
}

// NewCache returns an empty cache. fetch gets the entity tag of the value at hand,
// "" if there is none, and may answer ErrNotModified.
func NewCache[T any](now func() time.Time, fetch func(ctx context.Context, etag string) (T, Version, error)) *Cache[T] {
	return &Cache[T]{now: now, fetch: fetch}
}

// Get returns the document, not older than it may be if the server answers.
func (c *Cache[T]) Get(ctx context.Context) (T, error) {
	return c.load(ctx, func(now time.Time) bool {
		wait := retryStale
		if c.fetched.IsZero() {
			wait = retryMissing
		}
		expired := c.fetched.IsZero() || now.Sub(c.fetched) >= c.version.lifetime()
		return expired && (c.err == nil || now.Sub(c.tried) >= wait)
	})
}

// Refetch returns the document, fetched anew unless that just happened.
func (c *Cache[T]) Refetch(ctx context.Context) (T, error) {
	return c.load(ctx, func(now time.Time) bool { return now.Sub(c.tried) >= refetchPeriod })
}

func (c *Cache[T]) load(ctx context.Context, due func(now time.Time) bool) (T, error) {
	c.mu.Lock()
	if c.flight == nil && due(c.now()) {
		c.flight = make(chan struct{})
		// A browser that goes away must not fail the others that wait.
		go c.run(context.WithoutCancel(ctx), c.version.ETag, c.flight)
	}
	flight := c.flight
	c.mu.Unlock()
	if flight != nil {
		select {
		case <-flight:
		case <-ctx.Done():
			var none T
			return none, ctx.Err()
		}
	}
	return c.current()
}

// run fetches once; the client's timeout bounds it.
func (c *Cache[T]) run(ctx context.Context, etag string, flight chan struct{}) {
	value, version, err := c.fetch(ctx, etag)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.tried = c.now()
	switch {
	case errors.Is(err, ErrNotModified):
		c.fetched, c.err = c.tried, nil
	case err != nil:
		c.err = err
	default:
		c.value, c.version, c.fetched, c.err = value, version, c.tried, nil
	}
	c.flight = nil
	close(flight)
}

// current returns the value at hand, unless it is too old to be believed.
func (c *Cache[T]) current() (T, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.fetched.IsZero() || c.err != nil && c.now().Sub(c.fetched) >= cacheLongest {
		var none T
		return none, c.err
	}
	return c.value, nil
}

// failure is the error of the last fetch, nil if it went well.
func (c *Cache[T]) failure() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}
