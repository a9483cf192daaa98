// Package sqlstore keeps the promises of package store in a SQL database:
// SQLite now. Every query has one text that PostgreSQL understands, too; only
// the types of the tables are written per dialect.
//
// A verb is a list of steps whose first one decides: a conditional write that
// changes a row or ends the verb with a sentinel. Rows are locked in one order,
// so that no two verbs can wait for each other: users, authenticators, sessions,
// interactions, grants and their tokens, throttle, the rest.
package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"

	"github.com/sallyport-id/sallyport/internal/store"
)

// Config says where the database is.
type Config struct {
	// Path of the SQLite file; made, with mode 0600, if it does not exist. Further
	// files lie beside it: -wal, -shm and .lock.
	Path string
}

// Store is a database. It is safe for concurrent use. Every write fails once one
// commit has failed: see Failed.
type Store struct {
	*writer
	db    *sql.DB // for reading
	reads statements

	sweeping sync.Mutex
	swept    string // the last grant that a sweep has looked at; under sweeping
}

var _ store.Store = (*Store)(nil)

// Open opens the database and brings its tables up to date. ctx bounds the
// opening only.
func Open(ctx context.Context, c Config) (*Store, error) {
	if c.Path == "" {
		return nil, errors.New("sqlstore: the path of the database is missing")
	}
	return open(ctx, "sqlite", c.Path)
}

func open(ctx context.Context, driver, path string) (*Store, error) {
	path, err := touch(path)
	if err != nil {
		return nil, fmt.Errorf("sqlstore: %w", err)
	}
	if err := migrate(ctx, path); err != nil {
		return nil, err
	}
	write, err := sql.Open(driver, dsn(path, "synchronous(FULL)", "fullfsync(1)"))
	if err != nil {
		return nil, fmt.Errorf("sqlstore: open: %w", err)
	}
	w, err := newWriter(ctx, write)
	if err != nil {
		return nil, err
	}
	read, err := sql.Open(driver, dsn(path, "query_only(1)"))
	if err != nil {
		return nil, errors.Join(fmt.Errorf("sqlstore: open: %w", err), w.close())
	}
	readers := max(4, runtime.GOMAXPROCS(0))
	read.SetMaxOpenConns(readers)
	read.SetMaxIdleConns(readers)
	return &Store{writer: w, db: read, reads: statements{db: read}}, nil
}

// touch makes the file before SQLite would, which knows no mode.
func touch(path string) (absolute string, err error) {
	if absolute, err = filepath.Abs(path); err != nil {
		return "", err
	}
	f, err := os.OpenFile(absolute, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return "", err
	}
	return absolute, f.Close()
}

// dsn is the data source name. A write transaction takes the lock when it begins,
// so that it never has to wait for one while it holds another.
func dsn(path string, pragmas ...string) string {
	q := url.Values{"_txlock": {"immediate"}, "_pragma": append(pragmas,
		"busy_timeout(10000)", "journal_mode(WAL)", "foreign_keys(1)", "temp_store(MEMORY)")}
	path = "/" + strings.TrimPrefix(filepath.ToSlash(path), "/") // "/C:/…", too
	return "file:" + (&url.URL{Path: path}).EscapedPath() + "?" + q.Encode()
}

// Close lets the writes that wait have their turn and closes the database.
func (s *Store) Close() error {
	return errors.Join(s.writer.close(), s.reads.close(), s.db.Close())
}

// update runs a verb; see writer.write.
func (s *Store) update(ctx context.Context, steps ...step) error {
	return s.write(ctx, ordinary, all(steps...))
}

// updateToken is update in the lane of the token endpoint.
func (s *Store) updateToken(ctx context.Context, steps ...step) error {
	return s.write(ctx, tokens, all(steps...))
}

// row reads one row; store.ErrNotFound if there is none.
func (s *Store) row(ctx context.Context, query string, args []any, into ...any) error {
	found := false
	err := s.rows(ctx, query, args, func(r *sql.Rows) error {
		found = true
		return r.Scan(into...)
	})
	if err == nil && !found {
		return store.ErrNotFound
	}
	return err
}

// rows calls scan for each row. A context that has ended is noticed before the
// query, not during it: a read takes microseconds, and to watch it would cost a
// goroutine each time.
func (s *Store) rows(ctx context.Context, query string, args []any, scan func(*sql.Rows) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	stmt, err := s.reads.get(context.WithoutCancel(ctx), query)
	if err != nil {
		return fmt.Errorf("sqlstore: %w", err)
	}
	rows, err := stmt.QueryContext(context.WithoutCancel(ctx), args...)
	if err != nil {
		return fmt.Errorf("sqlstore: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		if err := scan(rows); err != nil {
			return fmt.Errorf("sqlstore: %w", err)
		}
	}
	return rows.Err()
}
