package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/sallyport-id/sallyport/internal/store"
)

// writer is the only one that writes. Verbs wait in a queue; what waits is
// committed together, so that many share one fsync.
//
//	verb ──┐             ┌ BEGIN IMMEDIATE
//	verb ──┼── queue ──► │ SAVEPOINT, verb, RELEASE
//	verb ──┘             │ SAVEPOINT, verb fails, ROLLBACK TO: the others go on
//	                     │ …
//	                     └ COMMIT, fsync ──► every caller is answered
//
// No caller's context reaches the database: a cancelled one would take the
// transaction of all others with it.
//
// If the transaction is gone, or its commit or fsync fails, what is on disk is no
// longer known. Then every caller of the batch fails, and so does every later
// one: nothing more is sent, and the process should end. A disk that is full before
// the commit is no such case: nothing is durable, and the next batch is tried.
type writer struct {
	db       *sql.DB
	conn     *sql.Conn
	prepared statements
	queue    queue
	stopped  chan struct{} // closed when run has ended
	failed   chan struct{} // closed when a commit has failed
	failure  error         // why; written before failed is closed
	once     sync.Once     // of disconnect
	closed   error         // its answer

	commits, writes atomic.Int64
}

// operation is a verb that waits for its turn.
type operation struct {
	ctx  context.Context // its caller's: asked once, before it begins
	do   step
	err  error
	done chan struct{}
}

func (op *operation) answer(err error) {
	op.err = err
	close(op.done)
}

// ErrClosed is the error of writes after Close.
var ErrClosed = fmt.Errorf("sqlstore: closed: %w", store.ErrUnavailable)

// newWriter starts the writer on a connection of its own, and takes the database
// over: close closes it.
func newWriter(ctx context.Context, db *sql.DB) (*writer, error) {
	db.SetMaxOpenConns(1)
	conn, err := db.Conn(ctx)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("sqlstore: connect: %w", err), db.Close())
	}
	if err := checkDurable(ctx, conn); err != nil {
		return nil, errors.Join(err, conn.Close(), db.Close())
	}
	w := &writer{
		db: db, conn: conn, prepared: statements{db: conn},
		stopped: make(chan struct{}), failed: make(chan struct{}),
	}
	w.queue.init()
	go w.run()
	return w, nil
}

// checkDurable asks the connection itself: a pragma with a typing error in it is
// ignored without a word.
func checkDurable(ctx context.Context, conn *sql.Conn) error {
	var synchronous int
	var journal string
	err := errors.Join(
		conn.QueryRowContext(ctx, "PRAGMA synchronous").Scan(&synchronous),
		conn.QueryRowContext(ctx, "PRAGMA journal_mode").Scan(&journal))
	if err != nil {
		return fmt.Errorf("sqlstore: read pragmas: %w", err)
	}
	if synchronous != 2 || journal != "wal" {
		return fmt.Errorf("sqlstore: synchronous is %d and journal_mode %q, want 2 (FULL) and wal", synchronous, journal)
	}
	return nil
}

// Commits returns how many transactions were committed since Open.
func (w *writer) Commits() int64 { return w.commits.Load() }

// Writes returns how many verbs were committed in them.
func (w *writer) Writes() int64 { return w.writes.Load() }

// Failed is closed when a commit has failed. Every write fails from then on, and
// the process should end; Err says why.
func (w *writer) Failed() <-chan struct{} { return w.failed }

// Err is nil, or the reason why Failed is closed.
func (w *writer) Err() error {
	select {
	case <-w.failed:
		return w.failure
	default:
		return nil
	}
}

// write runs a verb and returns when it is durable. If ctx ends before the verb
// begins it does not happen; if ctx ends later it may happen all the same, and
// the caller is told ctx.Err().
func (w *writer) write(ctx context.Context, l lane, do step) error {
	op := &operation{ctx: ctx, do: do, done: make(chan struct{})}
	if err := w.queue.put(l, op); err != nil {
		return err
	}
	select {
	case <-op.done:
		return op.err
	case <-ctx.Done():
	}
	select {
	case <-op.done:
		return op.err
	default:
		return ctx.Err()
	}
}

// run commits what waits until the queue is closed and empty, or a commit fails.
func (w *writer) run() {
	defer close(w.stopped)
	for batch := w.queue.take(); len(batch) > 0; batch = w.queue.take() {
		if err := w.commit(batch); err != nil {
			w.fail(batch, err)
			return
		}
		for _, op := range batch {
			close(op.done)
		}
	}
}

// fail answers everyone who waits. The connection is closed, which gives the lock
// back and rolls back what is left of the transaction.
func (w *writer) fail(batch []*operation, err error) {
	w.failure = fmt.Errorf("sqlstore: a commit failed, and nothing more is written: %w: %w", store.ErrUnavailable, err)
	close(w.failed)
	_ = w.disconnect() // the failure has been told already
	for _, op := range append(batch, w.queue.close(w.failure)...) {
		op.answer(w.failure)
	}
}

// commit runs a batch in one transaction. It returns an error if the transaction
// is lost; the operations' own errors stand in them.
func (w *writer) commit(batch []*operation) error {
	if err := w.send("BEGIN IMMEDIATE"); err != nil {
		return notBegun(batch, err)
	}
	kept := int64(0)
	for _, op := range batch {
		if err := w.savepoint(op); isSQLite(err, sqliteFull) {
			return w.takeBack(batch, err)
		} else if err != nil {
			return err
		}
		if op.err == nil {
			kept++
		}
	}
	if kept == 0 {
		return w.send("ROLLBACK")
	}
	if err := w.send("COMMIT"); err != nil {
		return err
	}
	w.commits.Add(1)
	w.writes.Add(kept)
	return nil
}

// notBegun lets a batch fail, and no more, where another process keeps the
// database locked: nothing has been sent.
func notBegun(batch []*operation, err error) error {
	if !isSQLite(err, sqliteBusy, sqliteFull) {
		return err
	}
	for _, op := range batch {
		op.err = fmt.Errorf("sqlstore: a transaction cannot begin: %w: %w", store.ErrUnavailable, err)
	}
	return nil
}

// takeBack lets a batch fail, and no more, where the disk is full before the
// commit. Whoever was refused in it may have been so by what is taken back.
func (w *writer) takeBack(batch []*operation, err error) error {
	_ = w.send("ROLLBACK") // fails if SQLite has done it already; if neither has, the next BEGIN fails
	for _, op := range batch {
		op.err = fmt.Errorf("sqlstore: nothing of this transaction is kept: %w: %w", store.ErrUnavailable, err)
	}
	return nil
}

// savepoint runs one operation so that it can fail alone. It returns an error if
// the transaction around it is lost, or the disk is full: SQLite may have rolled all
// of it back then.
func (w *writer) savepoint(op *operation) error {
	if op.err = op.ctx.Err(); op.err != nil {
		return nil
	}
	if err := w.send("SAVEPOINT verb"); err != nil {
		return err
	}
	if op.err = w.begin().try(op.do); isSQLite(op.err, sqliteFull) {
		return op.err
	}
	if op.err != nil {
		if err := w.send("ROLLBACK TO verb"); err != nil {
			return errors.Join(err, op.err)
		}
	}
	return w.send("RELEASE verb")
}

// send runs a statement of the transaction itself.
func (w *writer) send(query string) error {
	_, err := w.begin().count(query)
	return err
}

// begin is a verb's part of the transaction.
func (w *writer) begin() *tx { return &tx{ctx: context.Background(), querier: &w.prepared} }

// close ends the writer after what waits, and closes its database.
func (w *writer) close() error {
	w.queue.close(nil)
	<-w.stopped
	return w.disconnect()
}

func (w *writer) disconnect() error {
	w.once.Do(func() { w.closed = errors.Join(w.prepared.close(), w.conn.Close(), w.db.Close()) })
	return w.closed
}
