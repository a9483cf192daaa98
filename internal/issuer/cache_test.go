package issuer

import (
	"context"
	"errors"
	"net/http"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// A fixture is a cache with a clock, whose fetches answer what the test says.
type fixture struct {
	Cache[string]
	clock   time.Time
	fetches atomic.Int32
	value   string
	err     error
	etag    string // as the last fetch got it
	age     time.Duration
}

func newFixture() *fixture {
	f := &fixture{clock: time.Unix(1e9, 0), value: "first"}
	f.now = func() time.Time { return f.clock }
	f.fetch = func(_ context.Context, etag string) (string, Version, error) {
		f.fetches.Add(1)
		f.etag = etag
		return f.value, Version{"tag", f.age}, f.err
	}
	return f
}

func (f *fixture) expect(t *testing.T, what, value string, fetches int32) {
	t.Helper()
	got, err := f.Get(t.Context())
	if value == "" && err == nil || got != value || f.fetches.Load() != fetches {
		t.Errorf("%s: got %q, %v after %d fetches, want %q after %d", what, got, err, f.fetches.Load(), value, fetches)
	}
}

func TestCacheKeepsWhatTheServerSaid(t *testing.T) {
	t.Parallel()
	f := newFixture()
	f.expect(t, "first", "first", 1)
	f.clock, f.value = f.clock.Add(59*time.Minute), "second"
	f.expect(t, "before an hour", "first", 1)
	f.clock = f.clock.Add(time.Minute)
	f.expect(t, "after an hour", "second", 2)
	if f.etag != "tag" {
		t.Errorf("got ETag %q, want the one that came", f.etag)
	}
	f.clock, f.err = f.clock.Add(time.Hour), ErrNotModified
	f.expect(t, "not modified", "second", 3)
	f.expect(t, "not modified, again", "second", 3)
}

// What the server says about the age of its document is believed between a minute
// and an hour.
func TestCacheGoesByMaxAge(t *testing.T) {
	t.Parallel()
	for age, want := range map[time.Duration]time.Duration{5 * time.Minute: 5 * time.Minute, 24 * time.Hour: time.Hour} {
		f := newFixture()
		f.age = age
		f.expect(t, "first", "first", 1)
		f.clock, f.value = f.clock.Add(want-time.Second), "second"
		f.expect(t, "before its end", "first", 1)
		f.clock, f.err = f.clock.Add(time.Second), errors.New("down")
		f.expect(t, "at its end, down", "first", 2)
		f.clock, f.err = f.clock.Add(retryStale), nil
		f.expect(t, "up again", "second", 3)
	}
	for header, want := range map[string]time.Duration{
		"": 0, "public": 0, "max-age=x": 0, "max-age=-1": 0, "max-age": 0, "max-age=99999999999": 0, "s-maxage=300": 0,
		"max-age=300": 5 * time.Minute, "public, MAX-AGE=300 , immutable": 5 * time.Minute, "max-age=0": time.Minute, "max-age=59": time.Minute,
		"no-store": time.Minute, "max-age=300, no-cache": time.Minute,
	} {
		if got := VersionOf(http.Header{"Cache-Control": {header}}).MaxAge; got != want {
			t.Errorf("%q: got %v, want %v", header, got, want)
		}
	}
}

func TestCacheOutlivesAnOutage(t *testing.T) {
	t.Parallel()
	f := newFixture()
	f.expect(t, "first", "first", 1)
	f.clock, f.err = f.clock.Add(time.Hour), errors.New("down")
	f.expect(t, "down", "first", 2)
	f.expect(t, "down, at once", "first", 2)
	f.clock = f.clock.Add(retryStale)
	f.expect(t, "down, 30 s later", "first", 3)
	f.clock = f.clock.Add(cacheLongest)
	f.expect(t, "a day later", "", 4)
	f.clock, f.err, f.value = f.clock.Add(retryStale), nil, "second"
	f.expect(t, "up again", "second", 5)
}

func TestCacheRetriesSoonWithoutAValue(t *testing.T) {
	t.Parallel()
	f := newFixture()
	f.err = errors.New("down")
	f.expect(t, "down", "", 1)
	f.expect(t, "down, at once", "", 1)
	f.clock, f.err = f.clock.Add(retryMissing), nil
	f.expect(t, "a second later", "first", 2)
}

// Tokens with made-up key ids must not make us flood the server.
func TestCacheRefetchesRarely(t *testing.T) {
	t.Parallel()
	f := newFixture()
	f.expect(t, "first", "first", 1)
	for range 10 {
		f.Refetch(t.Context())
	}
	f.expect(t, "refetched at once", "first", 1)
	f.clock, f.value = f.clock.Add(refetchPeriod), "second"
	for range 10 {
		f.Refetch(t.Context())
	}
	f.expect(t, "refetched later", "second", 2)
}

func TestCacheFetchesOnceForAll(t *testing.T) {
	t.Parallel()
	f := newFixture()
	release := make(chan struct{})
	inner := f.fetch
	f.fetch = func(ctx context.Context, etag string) (string, Version, error) {
		<-release
		if ctx.Err() != nil {
			return "", Version{}, ctx.Err()
		}
		return inner(ctx, etag)
	}
	gone, leave := context.WithCancel(t.Context())
	left := make(chan error)
	go func() {
		_, err := f.Get(gone)
		left <- err
	}()
	for started := false; !started; runtime.Gosched() {
		f.mu.Lock()
		started = f.flight != nil
		f.mu.Unlock()
	}
	leave() // the caller that started the fetch goes away
	if err := <-left; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want canceled", err)
	}
	var wait sync.WaitGroup
	for range 50 {
		wait.Go(func() {
			if got, err := f.Get(t.Context()); got != "first" || err != nil {
				t.Errorf("got %q, %v", got, err)
			}
		})
	}
	close(release)
	wait.Wait()
	if got := f.fetches.Load(); got != 1 {
		t.Errorf("got %d fetches, want 1", got)
	}
}
