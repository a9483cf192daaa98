package rulebook_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sallyport-id/sallyport/internal/oidc"
	"github.com/sallyport-id/sallyport/internal/policy"
	"github.com/sallyport-id/sallyport/internal/rulebook"
	"github.com/sallyport-id/sallyport/internal/store"
)

// shelf is a store's rules, a clock and a log.
type shelf struct {
	mu      sync.Mutex
	text    string
	version int64
	err     error
	now     time.Time
	reads   atomic.Int64
	log     bytes.Buffer
	book    *rulebook.Book
}

func newShelf() *shelf {
	s := &shelf{now: time.Date(2026, 11, 28, 9, 0, 0, 0, time.UTC)}
	s.book = rulebook.New(s, func() time.Time { s.mu.Lock(); defer s.mu.Unlock(); return s.now }, slog.New(slog.NewTextHandler(&s.log, nil)))
	return s
}

// Rules implements store.Rules.
func (s *shelf) Rules(context.Context) (string, int64, error) {
	s.reads.Add(1)
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text, s.version, s.err
}

// SetRules implements store.Rules.
func (s *shelf) SetRules(context.Context, string, int64, ...store.Event) error { return nil }

func (s *shelf) has(text string) {
	s.text, s.version, s.err = text, s.version+1, nil
	s.now = s.now.Add(time.Second)
}

// level is what is required of anybody.
func (s *shelf) level(t *testing.T) oidc.Level {
	t.Helper()
	p, err := s.book.Policy(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return p.Required(policy.Case{Client: &oidc.Client{}})
}

func (s *shelf) mustLevel(t *testing.T, what string, want oidc.Level) {
	t.Helper()
	if got := s.level(t); got != want {
		t.Errorf("%s: got level %d, want %d", what, got, want)
	}
}

// TestRulesHoldForASecond: a change is known a second later, and the store is asked no
// oftener, whatever the clock does.
func TestRulesHoldForASecond(t *testing.T) {
	t.Parallel()
	s := newShelf()
	s.mustLevel(t, "before any were set", oidc.Level2FA)
	s.has(`[{"require":"off"}]`)
	s.mustLevel(t, "a second later", oidc.Level1FA)
	s.text, s.version = `[{"require":"phishing-resistant"}]`, 2
	s.now = s.now.Add(time.Second - 1)
	s.mustLevel(t, "within the second", oidc.Level1FA)
	if got := s.reads.Load(); got != 2 {
		t.Errorf("got %d readings, want 2", got)
	}
	s.now = s.now.Add(1)
	s.mustLevel(t, "after it", oidc.LevelPHR)
	s.text, s.version = "[]", 3
	s.now = s.now.Add(-time.Hour)
	s.mustLevel(t, "with the clock set back", oidc.Level2FA)
}

// TestOneReadsForAll: of many who ask at once one reads.
func TestOneReadsForAll(t *testing.T) {
	t.Parallel()
	s := newShelf()
	s.text = `[{"require":"off"}]`
	for round := range int64(20) {
		var all sync.WaitGroup
		for range 64 {
			all.Go(func() {
				if p, err := s.book.Policy(t.Context()); err != nil || len(p.Rules) != 1 {
					t.Errorf("got %+v, %v", p, err)
				}
			})
		}
		all.Wait()
		if got := s.reads.Load(); got != round+1 {
			t.Fatalf("got %d readings, want %d", got, round+1)
		}
		s.now = s.now.Add(time.Second)
	}
}

// TestUnknownRulesAreNoDefault: before any were read nothing can be decided.
func TestUnknownRulesAreNoDefault(t *testing.T) {
	t.Parallel()
	for name, prepare := range map[string]func(*shelf){
		"away":       func(s *shelf) { s.err = store.ErrUnavailable },
		"unreadable": func(s *shelf) { s.text, s.version = `[{"require":"blood"}]`, 7 },
	} {
		s := newShelf()
		prepare(s)
		for range 3 {
			if p, err := s.book.Policy(t.Context()); err == nil {
				t.Errorf("%s: got %+v, want an error", name, p)
			}
		}
		if got := s.reads.Load(); got != 1 {
			t.Errorf("%s: got %d readings in a second, want 1", name, got)
		}
		if _, err := rulebook.Open(t.Context(), s, time.Now, slog.New(slog.DiscardHandler)); err == nil {
			t.Errorf("%s: opened", name)
		}
		s.has(`[{"require":"off"}]`)
		s.mustLevel(t, name+", and back", oidc.Level1FA)
	}
}

// TestLastRulesStand: a store that is away, and rules that cannot be read, change
// nothing, are said once, and are no readiness.
func TestLastRulesStand(t *testing.T) {
	t.Parallel()
	s := newShelf()
	s.has(`[{"require":"phishing-resistant"}]`)
	s.mustLevel(t, "at first", oidc.LevelPHR)
	for what, change := range map[string]func(){
		"away":       func() { s.has("[]"); s.err = store.ErrUnavailable },
		"unreadable": func() { s.has(`[{"require":"off","beyond":1}]`) },
	} {
		s.log.Reset()
		for range 3 {
			change()
			s.mustLevel(t, what, oidc.LevelPHR)
		}
		err := s.book.Check(t.Context())
		if errors.Is(err, store.ErrUnavailable) != (what == "away") || errors.Is(err, rulebook.ErrUnreadable) != (what == "unreadable") {
			t.Errorf("%s: got %v", what, err)
		}
		s.has(`[{"require":"phishing-resistant"}]`)
		if err := s.book.Check(t.Context()); err != nil {
			t.Errorf("%s, and back: got %v", what, err)
		}
		if log := s.log.String(); strings.Count(log, "level=ERROR") != 1 || strings.Count(log, "level=INFO") != 1 {
			t.Errorf("%s: got the log %s", what, log)
		}
	}
}

// stalls answers nobody who does not wait for ever.
type stalls struct {
	*shelf
	asked chan struct{}
}

// Rules implements store.Rules.
func (s stalls) Rules(ctx context.Context) (string, int64, error) {
	s.asked <- struct{}{}
	<-ctx.Done()
	return "", 0, ctx.Err()
}

// TestWhoGoesTakesNobodyAlong: a request that ends while it reads the rules says nothing
// of the store to those who wait, and who waits may go, too.
func TestWhoGoesTakesNobodyAlong(t *testing.T) {
	t.Parallel()
	s := stalls{newShelf(), make(chan struct{})}
	book := rulebook.New(s, func() time.Time { return s.now }, slog.New(slog.NewTextHandler(&s.log, nil)))
	first, leave := context.WithCancel(t.Context())
	gone := make(chan error)
	go func() { _, err := book.Policy(first); gone <- err }()
	<-s.asked
	impatient, leaveToo := context.WithCancel(t.Context())
	leaveToo()
	if _, err := book.Policy(impatient); !errors.Is(err, context.Canceled) {
		t.Errorf("who does not wait: got %v", err)
	}
	leave()
	if err := <-gone; !errors.Is(err, context.Canceled) {
		t.Errorf("who went: got %v", err)
	}
	second, leave := context.WithCancel(t.Context())
	go func() { _, err := book.Policy(second); gone <- err }()
	select { // the next reads for itself, in the same second
	case <-s.asked:
	case err := <-gone:
		t.Fatalf("who came next: got %v, and nobody read", err)
	}
	leave()
	<-gone
	if s.log.Len() > 0 {
		t.Errorf("got the log %s", s.log.String())
	}
}
