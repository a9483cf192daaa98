package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync"

	"github.com/sallyport-id/sallyport/internal/store"
)

// tx is the transaction that a verb writes in.
type tx struct {
	prepared *statements
	// broken is the first error of the database itself. What follows it in the verb
	// is not sent: SQLite may have ended the transaction, and each statement would
	// be durable by itself.
	broken error
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
	// The writer's own context: no caller can cancel what others share.
	stmt, err := t.prepared.get(context.Background(), query)
	if err != nil {
		return 0, err
	}
	result, err := stmt.Exec(args...)
	if err != nil {
		return 0, err
	}
	return result.RowsAffected()
}

// row reads one row; store.ErrNotFound if there is none.
func (t *tx) row(query string, args []any, into ...any) error {
	if t.broken != nil {
		return t.broken
	}
	stmt, err := t.prepared.get(context.Background(), query)
	if err != nil {
		return t.note(err)
	}
	err = stmt.QueryRow(args...).Scan(into...)
	if errors.Is(err, sql.ErrNoRows) {
		return store.ErrNotFound
	}
	return t.note(err)
}

func (t *tx) note(err error) error {
	if err != nil {
		t.broken = fmt.Errorf("sqlstore: %w", err)
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
