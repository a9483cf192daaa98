package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"

	"github.com/sallyport-id/sallyport/internal/store"
)

// querier is where statements are sent.
type querier interface {
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

// tx is the transaction that a verb writes in.
type tx struct {
	ctx context.Context // never a caller's, who may cancel it
	querier
	// broken is the first error of the database itself. What follows it in the verb
	// is not sent: SQLite may have ended the transaction, and each statement would
	// be durable by itself.
	broken error
	// told: the verb has written messages of logouts.
	told bool
}

// step is a part of a verb, ready to run. Its arguments were copied from what the
// caller gave when it was made: a caller whose context has ended is gone by then.
type step func(*tx) error

// all is steps in order; the first error ends them. A nil step does nothing.
func all(steps ...step) step {
	return func(t *tx) error {
		for _, s := range steps {
			if s == nil {
				continue
			}
			if err := s(t); err != nil {
				return err
			}
		}
		return nil
	}
}

// exec is a write that may change no row.
func exec(query string, args ...any) step {
	return func(t *tx) error {
		_, err := t.count(query, args...)
		return err
	}
}

// must is the conditional write that a verb hangs on: if it changes no row the
// verb ends with otherwise.
func must(otherwise error, query string, args ...any) step {
	return mustOr(func(*tx) error { return otherwise }, query, args...)
}

// mustOr is must where the error needs a second look.
func mustOr(why step, query string, args ...any) step {
	return func(t *tx) error {
		n, err := t.count(query, args...)
		if err != nil || n > 0 {
			return err
		}
		return why(t)
	}
}

// write is a statement that says how many rows it has changed.
type write func(*tx) (int64, error)

func counted(query string, args ...any) write {
	return func(t *tx) (int64, error) { return t.count(query, args...) }
}

// anyOf runs all of the writes; otherwise if none of them changes a row.
func anyOf(otherwise error, writes ...write) step {
	return func(t *tx) error {
		changed := int64(0)
		for _, w := range writes {
			n, err := w(t)
			if err != nil {
				return err
			}
			changed += n
		}
		if changed == 0 {
			return otherwise
		}
		return nil
	}
}

// ifSet is ErrUsed if the query finds a time that is set, else otherwise.
func ifSet(otherwise error, query string, args ...any) step {
	return func(t *tx) error {
		var at int64
		err := t.row(query, args, &at)
		switch {
		case err == nil && at != 0:
			return store.ErrUsed
		case err == nil, errors.Is(err, store.ErrNotFound):
			return otherwise
		}
		return err
	}
}

// count runs a statement and returns how many rows it changed.
func (t *tx) count(query string, args ...any) (int64, error) {
	if t.broken != nil {
		return 0, t.broken
	}
	n, err := t.send(query, args)
	return n, t.note(err)
}

func (t *tx) send(query string, args []any) (int64, error) {
	result, err := t.ExecContext(t.ctx, query, args...)
	if err != nil {
		return 0, fmt.Errorf("sqlstore: %w", err)
	}
	return result.RowsAffected()
}

// row reads one row; store.ErrNotFound if there is none.
func (t *tx) row(query string, args []any, into ...any) error {
	if t.broken != nil {
		return t.broken
	}
	found := false
	err := scanRows(t.ctx, t, query, args, func(r *sql.Rows) error {
		found = true
		return r.Scan(into...)
	})
	if err == nil && !found {
		return store.ErrNotFound
	}
	return t.note(err)
}

// rows calls scan for each row of a query.
func (t *tx) rows(query string, args []any, scan func(*sql.Rows) error) error {
	if t.broken != nil {
		return t.broken
	}
	return t.note(scanRows(t.ctx, t, query, args, scan))
}

func (t *tx) note(err error) error {
	t.broken = err
	return err
}

// scanRows calls scan for each row.
func scanRows(ctx context.Context, db querier, query string, args []any, scan func(*sql.Rows) error) error {
	rows, err := db.QueryContext(ctx, query, args...)
	if err != nil {
		return fmt.Errorf("sqlstore: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		if err := scan(rows); err != nil {
			return fmt.Errorf("sqlstore: %w", err)
		}
	}
	if err := rows.Err(); err != nil {
		return fmt.Errorf("sqlstore: %w", err)
	}
	return nil
}

// try runs a verb. A panic in it becomes its error, and others go on.
func (t *tx) try(do step) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("sqlstore: panic in a verb: %v\n%s", p, debug.Stack())
		}
	}()
	if err := do(t); err != nil {
		return err
	}
	return t.broken
}

// statements prepares each query once. The queries are all in this package, so
// their number is bounded.
type statements struct {
	db interface {
		PrepareContext(context.Context, string) (*sql.Stmt, error)
	}
	prepared sync.Map // query → *sql.Stmt
}

// ExecContext implements querier.
func (p *statements) ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error) {
	stmt, err := p.get(ctx, query)
	if err != nil {
		return nil, err
	}
	return stmt.ExecContext(ctx, args...)
}

// QueryContext implements querier.
func (p *statements) QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	stmt, err := p.get(ctx, query)
	if err != nil {
		return nil, err
	}
	return stmt.QueryContext(ctx, args...)
}

func (p *statements) get(ctx context.Context, query string) (*sql.Stmt, error) {
	if stmt, ok := p.prepared.Load(query); ok {
		return stmt.(*sql.Stmt), nil
	}
	stmt, err := p.db.PrepareContext(ctx, query)
	if err != nil {
		return nil, fmt.Errorf("prepare: %w", err)
	}
	if first, ok := p.prepared.LoadOrStore(query, stmt); ok {
		return first.(*sql.Stmt), stmt.Close()
	}
	return stmt, nil
}

func (p *statements) close() (err error) {
	p.prepared.Range(func(_, stmt any) bool {
		err = errors.Join(err, stmt.(*sql.Stmt).Close())
		return true
	})
	return err
}
