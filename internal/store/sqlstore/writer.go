package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
	"sync/atomic"
)

// writer is the one that writes. Callers wait in a queue; what waits is
// committed together, so that many share one fsync.
//
//	verb ──┐            ┌ BEGIN
//	verb ──┼── queue ──►│ SAVEPOINT, verb, RELEASE   (or ROLLBACK TO, and its error)
//	verb ──┘            │ SAVEPOINT, verb, RELEASE
//	                    └ COMMIT ──► every caller is answered
//
// A verb that fails takes back its own savepoint and nothing else. If the
// transaction is gone, or its commit fails, every caller of the batch fails and
// nothing more is written: what is on disk is no longer known.
type writer struct {
	conn       *sql.Conn
	prepared   statements
	queue      chan *operation
	tokens     chan *operation // a lane of its own: sign-ins do not hold up tokens
	stop       chan struct{}
	stopped    chan struct{}
	stopOnce   sync.Once
	failed     atomic.Pointer[error]
	failedOnce chan struct{}

	commits, writes atomic.Int64
}

// mostTogether bounds the operations of one transaction.
const mostTogether = 128

// operation is a verb that waits.
type operation struct {
	do   func(*tx) error
	ctx  context.Context // only until it begins
	err  error
	done chan struct{}
}

// ErrClosed is the error of writes after Close.
var ErrClosed = errors.New("sqlstore: closed")

func newWriter(ctx context.Context, db *sql.DB) (*writer, error) {
	db.SetMaxOpenConns(1)
	conn, err := db.Conn(ctx)
	if err != nil {
		return nil, fmt.Errorf("sqlstore: connect: %w", err)
	}
	var synchronous int
	if err := conn.QueryRowContext(ctx, "PRAGMA synchronous").Scan(&synchronous); err != nil || synchronous != 2 {
		return nil, errors.Join(fmt.Errorf("sqlstore: synchronous is %d, not 2 (FULL)", synchronous), err, conn.Close())
	}
	w := &writer{
		conn: conn, prepared: statements{db: conn},
		queue: make(chan *operation, mostTogether), tokens: make(chan *operation, mostTogether),
		stop: make(chan struct{}), stopped: make(chan struct{}), failedOnce: make(chan struct{}),
	}
	go w.run()
	return w, nil
}

// Commits and Writes count transactions and verbs since the start.
func (w *writer) Commits() int64 { return w.commits.Load() }

// Writes counts the verbs that were committed.
func (w *writer) Writes() int64 { return w.writes.Load() }

// Failed is closed when a commit has failed: the process should end.
func (w *writer) Failed() <-chan struct{} { return w.failedOnce }

// update runs a verb in a transaction and returns when it is durable. If ctx
// ends before the verb begins it does not happen; later it may.
func (w *writer) update(ctx context.Context, do func(*tx) error) error {
	return w.enqueue(ctx, w.queue, do)
}

// updateToken is update in the lane of the token endpoint.
func (w *writer) updateToken(ctx context.Context, do func(*tx) error) error {
	return w.enqueue(ctx, w.tokens, do)
}

func (w *writer) enqueue(ctx context.Context, lane chan<- *operation, do func(*tx) error) error {
	op := &operation{do: do, ctx: ctx, done: make(chan struct{})}
	select {
	case lane <- op:
	case <-ctx.Done():
		return ctx.Err()
	case <-w.stopped:
		return w.whyStopped()
	}
	select {
	case <-op.done:
		return op.err
	case <-ctx.Done():
		return ctx.Err()
	case <-w.stopped:
		select {
		case <-op.done:
			return op.err
		default:
			return w.whyStopped()
		}
	}
}

func (w *writer) whyStopped() error {
	if err := w.failed.Load(); err != nil {
		return *err
	}
	return ErrClosed
}

// run gathers and commits until it is stopped or a commit fails. Its context is
// its own: no caller can cancel a transaction that others share.
func (w *writer) run() {
	defer close(w.stopped)
	batch := make([]*operation, 0, mostTogether)
	for {
		batch = w.gather(batch[:0])
		if len(batch) == 0 {
			return
		}
		if err := w.commit(batch); err != nil {
			err = fmt.Errorf("sqlstore: a commit failed, nothing more is written: %w", err)
			w.failed.Store(&err)
			close(w.failedOnce)
			for _, op := range batch {
				op.err = err
				close(op.done)
			}
			return
		}
		for _, op := range batch {
			close(op.done)
		}
	}
}

// gather waits for one operation and takes what else waits, tokens first.
func (w *writer) gather(batch []*operation) []*operation {
	select {
	case op := <-w.tokens:
		batch = append(batch, op)
	case op := <-w.queue:
		batch = append(batch, op)
	case <-w.stop:
	}
	for len(batch) < mostTogether {
		select {
		case op := <-w.tokens:
			batch = append(batch, op)
			continue
		default:
		}
		select {
		case op := <-w.tokens:
			batch = append(batch, op)
		case op := <-w.queue:
			batch = append(batch, op)
		default:
			return batch
		}
	}
	return batch
}

// commit runs a batch in one transaction. An error means that the transaction
// is lost; the operations' own errors stand in them.
func (w *writer) commit(batch []*operation) error {
	t := &tx{w: w, ctx: context.Background()}
	if err := t.exec("BEGIN IMMEDIATE"); err != nil {
		return err
	}
	kept := int64(0)
	for _, op := range batch {
		lost := t.one(op)
		if lost != nil {
			_ = t.exec("ROLLBACK")
			return lost
		}
		if op.err == nil {
			kept++
		}
	}
	if kept == 0 {
		return t.exec("ROLLBACK")
	}
	if err := t.exec("COMMIT"); err != nil {
		_ = t.exec("ROLLBACK")
		return err
	}
	w.commits.Add(1)
	w.writes.Add(kept)
	return nil
}

// one runs an operation in its savepoint. It returns an error only if the
// transaction around it is lost.
func (t *tx) one(op *operation) (lost error) {
	if op.err = op.ctx.Err(); op.err != nil {
		return nil
	}
	if err := t.exec("SAVEPOINT one"); err != nil {
		return err
	}
	if op.err = t.guarded(op.do); op.err == nil {
		return t.exec("RELEASE one")
	}
	if err := t.exec("ROLLBACK TO one"); err != nil {
		return err
	}
	return t.exec("RELEASE one")
}

// guarded turns a panic into the operation's error: the others go on.
func (t *tx) guarded(do func(*tx) error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("sqlstore: panic in a write: %v\n%s", p, debug.Stack())
		}
	}()
	return do(t)
}

// close ends the writer after the batch that it has begun.
func (w *writer) close() error {
	w.stopOnce.Do(func() { close(w.stop) })
	<-w.stopped
	return errors.Join(w.prepared.close(), w.conn.Close())
}

// tx is the transaction that an operation writes in.
type tx struct {
	w   *writer
	ctx context.Context
}

func (t *tx) exec(query string, args ...any) error {
	_, err := t.count(query, args...)
	return err
}

// count returns how many rows were changed.
func (t *tx) count(query string, args ...any) (int64, error) {
	stmt, err := t.w.prepared.get(t.ctx, query)
	if err != nil {
		return 0, err
	}
	result, err := stmt.ExecContext(t.ctx, args...)
	if err != nil {
		return 0, fmt.Errorf("sqlstore: %w", err)
	}
	return result.RowsAffected()
}

// decide is the conditional write that a verb hangs on: otherwise if it changes
// no row.
func (t *tx) decide(otherwise error, query string, args ...any) error {
	n, err := t.count(query, args...)
	if err != nil {
		return err
	}
	if n == 0 {
		return otherwise
	}
	return nil
}

// row reads one row; store.ErrNotFound if there is none.
func (t *tx) row(query string, args []any, into ...any) error {
	stmt, err := t.w.prepared.get(t.ctx, query)
	if err != nil {
		return err
	}
	return one(stmt.QueryRowContext(t.ctx, args...).Scan(into...))
}
