package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
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

func openFaulty(t testing.TB, driver, path string) *Store {
	t.Helper()
	db, err := openSQLite(context.Background(), driver, path)
	if err != nil {
		t.Fatal(err)
	}
	return &Store{database: db}
}

func writing(s *Store) *writer { return s.database.(*sqliteFile).writer }

func tempPath(t testing.TB) string { return filepath.Join(t.TempDir(), "test.db") }

// hold keeps the writer busy until the returned function is called, so that what
// comes meanwhile shares the next transaction.
func hold(s *Store) (release func()) {
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

// waiting returns how many operations wait.
func waiting(s *Store) int {
	writing(s).queue.mu.Lock()
	defer writing(s).queue.mu.Unlock()
	return len(writing(s).queue.lanes[ordinary]) + len(writing(s).queue.lanes[tokens])
}

// batch is how many operations the tests put into one transaction.
const batch = 64

// together runs operations in one transaction and returns their errors.
func together(s *Store, do func(i int) error) []error {
	release := hold(s)
	errs := make([]error, batch)
	var all sync.WaitGroup
	for i := range errs {
		all.Go(func() { errs[i] = do(i) })
	}
	for waiting(s) < batch {
		time.Sleep(time.Millisecond)
	}
	release()
	all.Wait()
	return errs
}

// set writes a row of its own; twice the same is an error of the database.
func set(i int) step {
	return exec(`INSERT INTO meta (name, value) VALUES ($1, 'v')`, fmt.Sprint("n", i))
}

// kept says which rows of set there are after the database was opened anew.
func keptRows(t *testing.T, s *Store, path string) (there [batch]bool) {
	t.Helper()
	_ = s.Close()
	again := openTest(t, path)
	for i := range there {
		value, err := again.Meta(context.Background(), fmt.Sprint("n", i))
		if err != nil {
			t.Fatal(err)
		}
		there[i] = value == "v"
	}
	return there
}

// TestBatchSharesACommit: what waits together is committed together.
func TestBatchSharesACommit(t *testing.T) {
	t.Parallel()
	s := openTest(t, tempPath(t))
	commits, writes := s.Commits(), s.Writes()
	for _, err := range together(s, func(i int) error { return s.update(t.Context(), set(i)) }) {
		if err != nil {
			t.Error(err)
		}
	}
	if got := s.Commits() - commits; got != 2 { // the one that held the writer, and the batch
		t.Errorf("got %d commits, want 2", got)
	}
	if got := s.Writes() - writes; got != batch+1 {
		t.Errorf("got %d writes, want %d", got, batch+1)
	}
}

// TestOneOfABatchHurtsNobody: one is cancelled, one duplicates another, one fails
// after a write, one panics after a write, one hides an error of the database; the
// others are durable.
func TestOneOfABatchHurtsNobody(t *testing.T) {
	t.Parallel()
	path := tempPath(t)
	s := openTest(t, path)
	own := errors.New("its own")
	ctx, cancel := context.WithCancel(t.Context())
	release := hold(s)
	defer release()
	odd := map[int]step{
		10: set(10),
		20: all(set(20), func(*tx) error { return own }),
		30: all(set(30), func(*tx) error { panic("on purpose") }),
		40: set(41),
		50: func(tx *tx) error { _ = set(-1)(tx); _ = set(-1)(tx); _ = set(50)(tx); return nil },
	}
	var done sync.WaitGroup
	var errs [batch]error
	for i := range errs {
		do, caller := odd[i], t.Context()
		if do == nil {
			do = set(i)
		}
		if i == 10 {
			caller = ctx
		}
		done.Go(func() { errs[i] = s.update(caller, do) })
	}
	for waiting(s) < batch {
		time.Sleep(time.Millisecond)
	}
	cancel()
	release()
	done.Wait()
	there := keptRows(t, s, path)
	for i, err := range errs {
		switch i {
		case 40, 41: // one of the two, whichever came second
		case 10, 20, 30, 50:
			if err == nil || there[i] {
				t.Errorf("operation %d: got %v and its row %v, want an error and no row", i, err, there[i])
			}
		default:
			if err != nil || !there[i] {
				t.Errorf("operation %d: got %v and its row %v, want success", i, err, there[i])
			}
		}
	}
	if (errs[40] == nil) == (errs[41] == nil) || !there[41] {
		t.Errorf("the duplicates: got %v and %v, want one failure", errs[40], errs[41])
	}
	if !errors.Is(errs[10], context.Canceled) || !errors.Is(errs[20], own) || !strings.Contains(errs[30].Error(), "on purpose") {
		t.Errorf("got %v, %v, %v", errs[10], errs[20], errs[30])
	}
}

// wantFailed wants every waiter to have failed, every later write to fail, and
// nothing of the batch on disk.
func wantFailed(t *testing.T, s *Store, path string, errs []error) {
	t.Helper()
	for i, err := range errs {
		if err == nil {
			t.Errorf("operation %d was answered", i)
		}
	}
	select {
	case <-s.Failed():
	case <-time.After(10 * time.Second):
		t.Fatal("Failed is not closed")
	}
	if err := s.SetMeta(t.Context(), "later", "v"); err == nil || !errors.Is(err, s.Err()) {
		t.Errorf("a write afterwards: got %v, want %v", err, s.Err())
	}
	if _, err := s.Meta(t.Context(), "later"); err != nil {
		t.Errorf("a read afterwards: %v", err)
	}
	for i, there := range keptRows(t, s, path) {
		if there {
			t.Errorf("operation %d failed, and its row is there", i)
		}
	}
}

// TestLostTransactionFailsEveryWaiter, and nothing more is written afterwards.
func TestLostTransactionFailsEveryWaiter(t *testing.T) {
	t.Parallel()
	path := tempPath(t)
	s := openTest(t, path)
	errs := together(s, func(i int) error {
		if i == 32 {
			return s.update(t.Context(), exec("ROLLBACK"))
		}
		return s.update(t.Context(), set(i))
	})
	wantFailed(t, s, path, errs)
}

// TestFailedCommitFailsEveryWaiter, and nothing is sent after it.
func TestFailedCommitFailsEveryWaiter(t *testing.T) {
	t.Parallel()
	path := tempPath(t)
	d := registerFaulty(t)
	s := openFaulty(t, d.name, path)
	d.failAt(s.Commits() + 2) // after the commit that holds the writer
	errs := together(s, func(i int) error { return s.update(t.Context(), set(i)) })
	for _, err := range errs {
		if !errors.Is(err, errDisk) {
			t.Errorf("got %v, want %v", err, errDisk)
		}
	}
	wantFailed(t, s, path, errs)
	if sent := d.sentAfter(); len(sent) > 0 {
		t.Errorf("sent after the failed commit: %q", sent)
	}
}

// TestFailedCommitGivesTheLockBack: the next process can write.
func TestFailedCommitGivesTheLockBack(t *testing.T) {
	t.Parallel()
	path := tempPath(t)
	d := registerFaulty(t)
	s := openFaulty(t, d.name, path)
	defer s.Close()
	d.failAt(1)
	if err := s.SetMeta(t.Context(), "n", "v"); !errors.Is(err, errDisk) {
		t.Fatalf("got %v, want %v", err, errDisk)
	}
	<-writing(s).stopped
	if err := openTest(t, path).SetMeta(t.Context(), "n", "v"); err != nil {
		t.Error(err)
	}
}

// roomFor lets the file grow by so many pages more, as on a disk that is nearly full.
func roomFor(t *testing.T, s *Store, pages int) {
	t.Helper()
	var now int
	if err := s.row(t.Context(), "PRAGMA page_count", nil, &now); err != nil {
		t.Fatal(err)
	}
	if _, err := writing(s).conn.ExecContext(t.Context(), fmt.Sprintf("PRAGMA max_page_count = %d", now+pages)); err != nil {
		t.Fatal(err)
	}
}

// TestFullDiskIsNoAnswer: what was answered is there, what was not is not. When
// there is room again, everything goes on.
func TestFullDiskIsNoAnswer(t *testing.T) {
	t.Parallel()
	path := tempPath(t)
	s := openTest(t, path)
	if err := s.SetMeta(t.Context(), "before", "v"); err != nil {
		t.Fatal(err)
	}
	roomFor(t, s, 20)
	errs := together(s, func(i int) error { return s.SetMeta(t.Context(), fmt.Sprint("n", i), strings.Repeat("x", 2000)) })
	full := 0
	for i, err := range errs {
		if err != nil {
			full++
		}
		if err != nil && !errors.Is(err, store.ErrUnavailable) {
			t.Errorf("n%d: got %v, want %v", i, err, store.ErrUnavailable)
		}
	}
	if full == 0 {
		t.Error("the disk never filled")
	}
	roomFor(t, s, 0)
	if err := s.Ready(t.Context()); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("Ready on a full disk: got %v, want %v", err, store.ErrUnavailable)
	}
	roomFor(t, s, 1000)
	if err := errors.Join(s.Ready(t.Context()), s.SetMeta(t.Context(), "after", "v"), s.Err()); err != nil {
		t.Errorf("when there is room again: %v", err)
	}
	_ = s.Close()
	again := openTest(t, path)
	for i, err := range errs {
		value, readErr := again.Meta(t.Context(), fmt.Sprint("n", i))
		if readErr != nil || (value != "") != (err == nil) {
			t.Errorf("n%d: answered %v, there %v, %v", i, err, value != "", readErr)
		}
	}
}

// TestTooManyWaiting: nobody lines up where the wait would be in vain.
func TestTooManyWaiting(t *testing.T) {
	t.Parallel()
	var q queue
	q.init()
	for range mostWaiting {
		if err := q.put(ordinary, &operation{}); err != nil {
			t.Fatal(err)
		}
	}
	if err := q.put(ordinary, &operation{}); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("one more: got %v, want %v", err, store.ErrUnavailable)
	}
	if err := q.put(tokens, &operation{}); err != nil {
		t.Errorf("in the other lane: %v", err)
	}
}

// TestLockedDatabaseFailsOneBatchOnly: nothing was sent, so nothing is unknown.
func TestLockedDatabaseFailsOneBatchOnly(t *testing.T) {
	t.Parallel()
	path := tempPath(t)
	s := openTest(t, path)
	if _, err := writing(s).conn.ExecContext(t.Context(), "PRAGMA busy_timeout = 10"); err != nil {
		t.Fatal(err)
	}
	other, err := sql.Open("sqlite", dsn(path))
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	tx, err := other.Begin()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.SetMeta(t.Context(), "n", "v"); err == nil || s.Err() != nil {
		t.Errorf("while locked: got %v, failed for good %v; want an error, and no", err, s.Err())
	}
	if err := tx.Rollback(); err != nil {
		t.Fatal(err)
	}
	if err := s.SetMeta(t.Context(), "n", "v"); err != nil {
		t.Errorf("afterwards: %v", err)
	}
}

// TestCancelledWhileWaiting: the caller is told at once, and what has not begun
// does not happen.
func TestCancelledWhileWaiting(t *testing.T) {
	t.Parallel()
	s := openTest(t, tempPath(t))
	release := hold(s)
	ctx, cancel := context.WithCancel(t.Context())
	answer := make(chan error)
	go func() { answer <- s.SetMeta(ctx, "n", "v") }()
	for waiting(s) < 1 {
		time.Sleep(time.Millisecond)
	}
	cancel()
	if err := <-answer; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want %v", err, context.Canceled)
	}
	release()
	if err := s.SetMeta(t.Context(), "after", "v"); err != nil {
		t.Fatal(err)
	}
	if value, err := s.Meta(t.Context(), "n"); err != nil || value != "" {
		t.Errorf("got %q, %v; want nothing", value, err)
	}
}

// TestTokensHaveALaneOfTheirOwn (security rule 21): a flood of other writes does
// not keep a token from the next batch, nor the other way round.
func TestTokensHaveALaneOfTheirOwn(t *testing.T) {
	t.Parallel()
	var q queue
	q.init()
	put := func(l lane, n int) {
		for range n {
			if err := q.put(l, &operation{}); err != nil {
				t.Fatal(err)
			}
		}
	}
	last := func(l lane) *operation { return q.lanes[l][len(q.lanes[l])-1] }
	put(ordinary, 10*mostTogether)
	put(tokens, 1)
	token := last(tokens)
	if got := q.take(); len(got) != mostTogether || got[0] != token {
		t.Errorf("got %d operations, the token first: %v; want %d, true", len(got), got[0] == token, mostTogether)
	}
	put(tokens, 10*mostTogether)
	q.take()
	if got, want := len(q.lanes[ordinary]), 10*mostTogether-(mostTogether-1)-mostTogether/4; got != want {
		t.Errorf("others that wait beside a flood of tokens: got %d, want %d", got, want)
	}
}

// TestCloseEndsWaiters: what waits has its turn, what comes later is refused.
func TestCloseEndsWaiters(t *testing.T) {
	t.Parallel()
	path := tempPath(t)
	s := openTest(t, path)
	release := hold(s)
	answer := make(chan error)
	go func() { answer <- s.update(t.Context(), set(1)) }()
	for waiting(s) < 1 {
		time.Sleep(time.Millisecond)
	}
	closed := make(chan error)
	go func() { closed <- s.Close() }()
	release()
	if err := errors.Join(<-answer, <-closed); err != nil {
		t.Error(err)
	}
	if err := s.SetMeta(t.Context(), "n", "v"); !errors.Is(err, ErrClosed) {
		t.Errorf("got %v, want %v", err, ErrClosed)
	}
	if !keptRows(t, s, path)[1] {
		t.Error("what waited was answered and is not there")
	}
}

// TestSynchronousIsFull (security rule 24): an answer is given after fsync, and a
// connection that does otherwise is refused.
func TestSynchronousIsFull(t *testing.T) {
	t.Parallel()
	path := tempPath(t)
	s := openTest(t, path)
	if err := checkDurable(t.Context(), writing(s).conn); err != nil {
		t.Error(err)
	}
	lazy, err := sql.Open("sqlite", dsn(path, "synchronous(NORMAL)"))
	if err != nil {
		t.Fatal(err)
	}
	if w, err := newWriter(t.Context(), lazy); err == nil {
		t.Errorf("a writer with synchronous=NORMAL was started")
		_ = w.close()
	}
}

// TestOpenAtOnce: several processes' migrations of one file take turns.
func TestOpenAtOnce(t *testing.T) {
	t.Parallel()
	path := tempPath(t)
	var done sync.WaitGroup
	for i := range 4 {
		done.Go(func() {
			s, err := Open(t.Context(), Config{Path: path})
			if err != nil {
				t.Error(err)
				return
			}
			if err := errors.Join(s.update(t.Context(), set(i)), s.Close()); err != nil {
				t.Error(err)
			}
		})
	}
	done.Wait()
	if got := keptRows(t, openTest(t, path), path); !got[0] || !got[1] || !got[2] || !got[3] {
		t.Errorf("got %v, want the first four", got[:4])
	}
}

// TestDatabaseFileIsPrivate, with a name that would mean something in a URL.
func TestDatabaseFileIsPrivate(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "50% a?b#c.db")
	s := openTest(t, path)
	if err := s.SetMeta(t.Context(), "n", "v"); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{path, path + "-wal", path + ".lock"} {
		info, err := os.Stat(name)
		if err != nil {
			t.Error(err)
		} else if mode := info.Mode().Perm(); mode&0o077 != 0 {
			t.Errorf("%s: got mode %v, want nothing for others", filepath.Base(name), mode)
		}
	}
	if _, err := Open(t.Context(), Config{}); err == nil {
		t.Error("a store without a path was opened")
	}
}

// TestSweepGoesOn: more rows than one piece, and grants behind the first piece.
func TestSweepGoesOn(t *testing.T) {
	t.Parallel()
	s := openTest(t, tempPath(t))
	now := time.Date(2026, 11, 25, 9, 0, 0, 0, time.UTC)
	var steps []step
	for range 2*sweepPiece + 1 {
		i := &store.Interaction{ID: store.NewID(), BrowserHash: []byte{}, Version: 1, ExpiresAt: now}
		g := &store.Grant{ID: store.NewID(), UserID: "u", SessionID: "gone"}
		steps = append(steps, createInteraction(i), createGrant(g))
	}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(s.CreateUser(t.Context(), &store.User{ID: "u"}))
	must(s.update(t.Context(), steps...))
	must(s.Sweep(t.Context(), now))
	for _, table := range []string{"interactions", "grants"} {
		var n int
		must(s.row(t.Context(), "SELECT count(*) FROM "+table, nil, &n))
		if n != 0 {
			t.Errorf("%s: %d are left", table, n)
		}
	}
}
