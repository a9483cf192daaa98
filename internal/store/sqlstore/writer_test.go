package sqlstore

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sallyport-id/sallyport/internal/store"
)

func openTest(t testing.TB, path string) *Store {
	t.Helper()
	s, err := Open(context.Background(), Config{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// hold keeps the writer busy until the returned function is called, so that what
// comes meanwhile shares the next transaction.
func hold(t *testing.T, s *Store) (release func()) {
	t.Helper()
	began, wait := make(chan struct{}), make(chan struct{})
	go func() {
		_ = s.update(context.Background(), func(*tx) error {
			close(began)
			<-wait
			return nil
		})
	}()
	<-began
	return sync.OnceFunc(func() { close(wait) })
}

// together runs operations in one transaction and returns their errors.
func together(t *testing.T, s *Store, n int, do func(i int) error) []error {
	t.Helper()
	release := hold(t, s)
	errs := make([]error, n)
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() { errs[i] = do(i) })
	}
	for len(s.queue) < n-1 { // one caller may end without waiting
		time.Sleep(time.Millisecond)
	}
	release()
	all.Wait()
	return errs
}

func set(i int) func(*tx) error {
	return func(t *tx) error {
		return t.exec(`INSERT INTO meta (name, value) VALUES ($1, $2)`, fmt.Sprint("n", i), "v")
	}
}

// TestBatchSharesACommit: what waits together is committed together.
func TestBatchSharesACommit(t *testing.T) {
	t.Parallel()
	s := openTest(t, filepath.Join(t.TempDir(), "test.db"))
	before := s.Commits()
	for _, err := range together(t, s, 64, func(i int) error { return s.update(context.Background(), set(i)) }) {
		if err != nil {
			t.Error(err)
		}
	}
	if n := s.Commits() - before; n > 3 {
		t.Errorf("64 writes took %d commits", n)
	}
}

var errOwn = errors.New("its own")

// TestOneOfABatchHurtsNobody: one is cancelled, one duplicates another, one
// fails after a write, one panics; the others are durable.
func TestOneOfABatchHurtsNobody(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "test.db")
	s := openTest(t, path)
	cancelled, cancel := context.WithCancel(context.Background())
	cancel()
	errs := together(t, s, 64, func(i int) error {
		switch i {
		case 10:
			return s.update(cancelled, set(i))
		case 20:
			return s.update(context.Background(), func(t *tx) error { return errors.Join(set(i)(t), errOwn) })
		case 30:
			return s.update(context.Background(), func(t *tx) error { _ = set(i)(t); panic("on purpose") })
		case 40:
			return s.update(context.Background(), set(41))
		}
		return s.update(context.Background(), set(i))
	})
	for i, err := range errs {
		switch i {
		case 10, 20, 30:
			if err == nil {
				t.Errorf("operation %d did not fail", i)
			}
		case 40, 41: // one of the two, whichever came second
		default:
			if err != nil {
				t.Errorf("operation %d: %v", i, err)
			}
		}
	}
	if (errs[40] == nil) == (errs[41] == nil) {
		t.Errorf("the duplicates: got %v and %v, want one failure", errs[40], errs[41])
	}
	if !errors.Is(errs[20], errOwn) || !strings.Contains(errs[30].Error(), "panic") {
		t.Errorf("got %v and %v", errs[20], errs[30])
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	again := openTest(t, path)
	for i := range 64 {
		value, err := again.Meta(context.Background(), fmt.Sprint("n", i))
		want := "v"
		if i == 10 || i == 20 || i == 30 || i == 40 {
			want = ""
		}
		if err != nil || value != want {
			t.Errorf("n%d: got %q %v, want %q", i, value, err, want)
		}
	}
}

// TestLostTransactionFailsEveryWaiter, and nothing more is written afterwards.
func TestLostTransactionFailsEveryWaiter(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "test.db")
	s := openTest(t, path)
	for i, err := range together(t, s, 64, func(i int) error {
		if i == 32 {
			return s.update(context.Background(), func(t *tx) error { return t.exec("ROLLBACK") })
		}
		return s.update(context.Background(), set(i))
	}) {
		if err == nil {
			t.Errorf("operation %d was answered although the transaction was lost", i)
		}
	}
	select {
	case <-s.Failed():
	case <-time.After(10 * time.Second):
		t.Fatal("Failed was not closed")
	}
	if err := s.SetMeta(context.Background(), "later", "v"); err == nil || errors.Is(err, ErrClosed) {
		t.Errorf("a write afterwards: got %v, want why", err)
	}
	_ = s.Close()
	again := openTest(t, path)
	for i := range 64 {
		if value, err := again.Meta(context.Background(), fmt.Sprint("n", i)); err != nil || value != "" {
			t.Errorf("n%d: got %q %v, want nothing", i, value, err)
		}
	}
}

// TestFullDiskIsNoAnswer: what was answered is there, what was not is an error.
func TestFullDiskIsNoAnswer(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "test.db")
	s := openTest(t, path)
	var pages int
	if err := s.row(context.Background(), "PRAGMA page_count", nil, &pages); err != nil {
		t.Fatal(err)
	}
	if _, err := s.conn.ExecContext(context.Background(), fmt.Sprintf("PRAGMA max_page_count = %d", pages+20)); err != nil {
		t.Fatal(err)
	}
	answered := map[string]bool{}
	failed := 0
	for i := range 200 {
		name := fmt.Sprint("n", i)
		err := s.SetMeta(context.Background(), name, strings.Repeat("x", 2000))
		answered[name] = err == nil
		if err != nil {
			failed++
		}
	}
	if failed == 0 {
		t.Fatal("the disk never filled")
	}
	_ = s.Close()
	again := openTest(t, path)
	for name, ok := range answered {
		value, err := again.Meta(context.Background(), name)
		if err != nil || (value != "") != ok {
			t.Errorf("%s: answered %v, there %v, %v", name, ok, value != "", err)
		}
	}
}

// TestCloseEndsWaiters: nobody waits for ever.
func TestCloseEndsWaiters(t *testing.T) {
	t.Parallel()
	s := openTest(t, filepath.Join(t.TempDir(), "test.db"))
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := s.SetMeta(context.Background(), "n", "v"); !errors.Is(err, ErrClosed) {
		t.Errorf("got %v, want ErrClosed", err)
	}
}

// TestSynchronousIsFull: an answer is given after fsync.
func TestSynchronousIsFull(t *testing.T) {
	t.Parallel()
	s := openTest(t, filepath.Join(t.TempDir(), "test.db"))
	var synchronous, journal string
	if err := s.conn.QueryRowContext(context.Background(), "PRAGMA synchronous").Scan(&synchronous); err != nil || synchronous != "2" {
		t.Errorf("synchronous: got %s %v, want 2", synchronous, err)
	}
	if err := s.conn.QueryRowContext(context.Background(), "PRAGMA journal_mode").Scan(&journal); err != nil || journal != "wal" {
		t.Errorf("journal_mode: got %s %v, want wal", journal, err)
	}
}

// TestOpenAtOnce: four processes' worth of migrations on one file.
func TestOpenAtOnce(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "test.db")
	var all sync.WaitGroup
	for i := range 4 {
		all.Go(func() {
			s, err := Open(context.Background(), Config{Path: path})
			if err != nil {
				t.Error(err)
				return
			}
			defer s.Close()
			if err := s.SetMeta(context.Background(), fmt.Sprint("n", i), "v"); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
}

// BenchmarkWrite is a small write by one caller, and by 64 at once.
func BenchmarkWrite(b *testing.B) {
	write := func(s *Store) {
		if err := s.Record(context.Background(), store.Event{Type: "bench"}); err != nil {
			b.Error(err)
		}
	}
	b.Run("1", func(b *testing.B) {
		s := openTest(b, filepath.Join(b.TempDir(), "test.db"))
		before := s.Commits()
		b.ReportAllocs()
		for b.Loop() {
			write(s)
		}
		b.ReportMetric(float64(s.Commits()-before)/float64(b.N), "commits/op")
	})
	b.Run("64", func(b *testing.B) {
		s := openTest(b, filepath.Join(b.TempDir(), "test.db"))
		before := s.Commits()
		b.ReportAllocs()
		b.SetParallelism(64)
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				write(s)
			}
		})
		b.ReportMetric(float64(s.Commits()-before)/float64(b.N), "commits/op")
	})
}
