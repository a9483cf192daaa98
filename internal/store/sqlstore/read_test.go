package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sallyport-id/sallyport/internal/store"
)

// TestStats: what was written and what waits for the writer, by lane.
func TestStats(t *testing.T) {
	t.Parallel()
	s := openTest(t, tempPath(t))
	before := s.Stats()
	begun, finish := make(chan struct{}), make(chan struct{})
	var done sync.WaitGroup
	done.Go(func() {
		_ = s.update(t.Context(), func(*tx) error { close(begun); <-finish; return nil })
	})
	<-begun
	for range 3 {
		done.Go(func() { _ = s.update(t.Context()) })
	}
	done.Go(func() { _ = s.updateToken(t.Context()) })
	for got := s.Stats(); got.Waiting != 3 || got.WaitingTokens != 1; got = s.Stats() {
		runtime.Gosched() // until all are in line; the test's own time bounds it
	}
	close(finish)
	done.Wait()
	after := s.Stats()
	if after.Waiting+after.WaitingTokens != 0 || after.Writes-before.Writes != 5 || after.Commits-before.Commits != 2 {
		t.Errorf("got %+v after %+v, want 5 writes in 2 commits, and nobody in line", after, before)
	}
}

// TestOpenToReadWhileServing: it sees what was committed a moment ago, and writes
// nothing.
func TestOpenToReadWhileServing(t *testing.T) {
	t.Parallel()
	path := tempPath(t)
	s := openTest(t, path)
	r, err := OpenToRead(t.Context(), Config{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	for n := 1; n <= 3; n++ {
		if err := s.Record(t.Context(), store.Event{At: time.Now(), Type: "e"}); err != nil {
			t.Fatal(err)
		}
		list, err := r.Events(t.Context(), store.EventQuery{Limit: 10})
		if err != nil || len(list) != n {
			t.Errorf("got %d events %v, want %d", len(list), err, n)
		}
	}
	if err := r.Record(t.Context(), store.Event{Type: "e"}); !errors.Is(err, ErrReadOnly) {
		t.Errorf("a write: got %v, want ErrReadOnly", err)
	}
	if r.Commits() != 0 || r.Err() != nil {
		t.Errorf("got %d commits, error %v", r.Commits(), r.Err())
	}
}

// TestOpenToReadChangesNothing: neither an older database nor a file that is not
// there.
func TestOpenToReadChangesNothing(t *testing.T) {
	t.Parallel()
	none := filepath.Join(t.TempDir(), "none.db")
	if r, err := OpenToRead(t.Context(), Config{Path: none}); err == nil {
		r.Close()
		t.Error("a file that is not there: got no error")
	}
	if _, err := os.Stat(none); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the file was made: %v", err)
	}
	path := tempPath(t)
	if err := openTest(t, path).Close(); err != nil {
		t.Fatal(err)
	}
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.ExecContext(context.Background(), `DELETE FROM goose_db_version WHERE version_id > 1`); err != nil {
		t.Fatal(err)
	}
	if r, err := OpenToRead(t.Context(), Config{Path: path}); err == nil || !strings.Contains(err.Error(), "older release") {
		r.Close()
		t.Errorf("an older database: got %v, want that it is older", err)
	}
}

// TestOpenToReadPostgres: the server itself refuses what writes.
func TestOpenToReadPostgres(t *testing.T) {
	t.Parallel()
	c := postgresConfig(t)
	s := openStore(t, c)
	if err := s.Record(t.Context(), store.Event{At: time.Now(), Type: "e"}); err != nil {
		t.Fatal(err)
	}
	r, err := OpenToRead(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if list, err := r.Events(t.Context(), store.EventQuery{Limit: 10}); err != nil || len(list) != 1 {
		t.Errorf("got %d events %v, want 1", len(list), err)
	}
	err = r.read(t.Context(), `INSERT INTO meta (name, value) VALUES ('a', 'b') RETURNING name`, nil, func(*sql.Rows) error { return nil })
	if sqlState(err) != "25006" { // read_only_sql_transaction
		t.Errorf("a write: got %v", err)
	}
}

// TestEventsByIndex: a time's events are found and put in order by an index, in
// both directions and from page to page.
func TestEventsByIndex(t *testing.T) {
	t.Parallel()
	s := openTest(t, tempPath(t))
	for name, q := range map[string]store.EventQuery{
		"the newest": {Limit: 1},
		"since":      {Since: time.Now(), UserID: "u", Limit: 1},
		"a page":     {Since: time.Now(), Until: time.Now(), OldestFirst: true, After: store.Event{ID: 1, At: time.Now()}, Limit: 1},
	} {
		query, args := selectEvents(q)
		if got := plan(t, s, query, args...); !strings.Contains(got, "USING INDEX audit_time") || strings.Contains(got, "TEMP B-TREE") {
			t.Errorf("%s: got %s", name, got)
		}
	}
}

// TestOwnThingsByIndex: what a user sees and ends is found without a look at what is
// others'.
func TestOwnThingsByIndex(t *testing.T) {
	t.Parallel()
	s := openTest(t, tempPath(t))
	for index, query := range map[string]string{"audit_user": userEvents, "grants_user": revokeGrantsOf} {
		got := plan(t, s, query, "u", "c", 1)
		if !strings.Contains(got, "USING INDEX "+index) && !strings.Contains(got, "USING COVERING INDEX "+index) || strings.Contains(got, "TEMP B-TREE") {
			t.Errorf("%s: got %s", index, got)
		}
	}
}

func plan(t *testing.T, s *Store, query string, args ...any) string {
	t.Helper()
	var lines []string
	err := s.read(t.Context(), "EXPLAIN QUERY PLAN "+query, args, func(r *sql.Rows) error {
		var number, parent, unused int
		var line string
		err := r.Scan(&number, &parent, &unused, &line)
		lines = append(lines, line)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(lines, "; ")
}
