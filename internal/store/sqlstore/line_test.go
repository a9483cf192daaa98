package sqlstore

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/sallyport-id/sallyport/internal/store"
	"github.com/sallyport-id/sallyport/internal/store/storetest"
)

// online is a store that is connected by a line.
func online(t *testing.T) (*Store, *storetest.Line) {
	t.Helper()
	line := storetest.NewLine(t, postgresConfig(t).URL)
	return openStore(t, Config{URL: line.URL}), line
}

// wantUnavailable for a read, a write and Ready.
func wantUnavailable(t *testing.T, s *Store) {
	t.Helper()
	_, read := s.Meta(t.Context(), "n0")
	for what, err := range map[string]error{"read": read, "write": s.update(t.Context(), set(0)), "Ready": s.Ready(t.Context())} {
		if !errors.Is(err, store.ErrUnavailable) {
			t.Errorf("%s: got %v, want %v", what, err, store.ErrUnavailable)
		}
	}
}

// wantAvailable for the very next read and write.
func wantAvailable(t *testing.T, s *Store, row int) {
	t.Helper()
	_, read := s.Meta(t.Context(), "n0")
	if err := errors.Join(read, s.update(t.Context(), set(row)), s.Ready(t.Context())); err != nil {
		t.Errorf("afterwards: %v", err)
	}
}

// TestPostgresAway: while it is away everything fails at once; when it is back,
// everything works at once.
func TestPostgresAway(t *testing.T) {
	t.Parallel()
	s, line := online(t)
	for i := range 3 {
		wantAvailable(t, s, i+1)
		line.Cut()
		wantUnavailable(t, s)
		line.Mend()
	}
	wantAvailable(t, s, 10)
}

// TestPostgresStopped: the server ends the connections, as it does when it stops.
func TestPostgresStopped(t *testing.T) {
	t.Parallel()
	c := postgresConfig(t)
	c.URL += "&application_name=" + store.NewID()
	s := openStore(t, c)
	for range 2 { // connections that were not used before are looked at
		var meet, done sync.WaitGroup
		meet.Add(4)
		for range 4 {
			done.Go(func() {
				_ = s.update(t.Context(), func(*tx) error { meet.Done(); meet.Wait(); return nil })
			})
		}
		done.Wait()
	}
	err := s.update(t.Context(), exec(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity
		WHERE application_name = current_setting('application_name')`))
	if !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("got %v, want %v", err, store.ErrUnavailable)
	}
	wantAvailable(t, s, 1)
}

// TestPostgresStalled: whoever waits for a database that says nothing waits a
// bounded time, and is in nobody's way afterwards.
func TestPostgresStalled(t *testing.T) {
	t.Parallel()
	s, line := online(t)
	db := s.database.(*postgres)
	db.line, db.patience = 100*time.Millisecond, 200*time.Millisecond
	line.Stall()
	var done sync.WaitGroup
	var errs [4 * postgresConns]error
	for i := range errs {
		done.Go(func() {
			if errs[i] = s.update(t.Context(), set(i)); i%2 == 0 {
				_, errs[i] = s.Meta(t.Context(), "n0")
			}
		})
	}
	done.Wait()
	for i, err := range errs {
		if !errors.Is(err, store.ErrUnavailable) {
			t.Errorf("%d: got %v, want %v", i, err, store.ErrUnavailable)
		}
	}
	if open := db.db.Stats().OpenConnections; open > postgresConns {
		t.Errorf("got %d connections, want at most %d", open, postgresConns)
	}
	db.line, db.patience = postgresLine, postgresPatience
	line.Mend()
	wantAvailable(t, s, 100)
}

// TestConnectionLostAtCommit: the verb fails, whether it happened or not, runs no
// second time, and the next one works.
func TestConnectionLostAtCommit(t *testing.T) {
	t.Parallel()
	s, line := online(t)
	for i, c := range []struct {
		name     string
		lose     func(int)
		happened bool
	}{
		{"the server did not get it", line.LoseCommit, false},
		{"its answer was lost", line.LoseAnswer, true},
	} {
		runs := 0
		c.lose(1)
		err := s.update(t.Context(), set(i), func(*tx) error { runs++; return nil })
		if !errors.Is(err, store.ErrUnavailable) || runs != 1 {
			t.Errorf("%s: got %v after %d runs, want %v after 1", c.name, err, runs, store.ErrUnavailable)
		}
		if value, err := s.Meta(t.Context(), fmt.Sprint("n", i)); err != nil || (value != "") != c.happened {
			t.Errorf("%s: the row: got %q, %v, want it there: %v", c.name, value, err, c.happened)
		}
	}
}
