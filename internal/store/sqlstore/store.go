// Package sqlstore keeps the promises of package store in a SQL database:
// SQLite now. Every query has one text that other databases understand, too;
// only the types of the tables are written per dialect.
package sqlstore

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"runtime"
	"sync"
	"time"

	_ "modernc.org/sqlite" // the driver "sqlite"

	"github.com/sallyport-id/sallyport/internal/store"
)

// Config says where the database is.
type Config struct {
	// Path of the SQLite file; made if it does not exist.
	Path string
}

// Store is a database. It is safe for concurrent use.
type Store struct {
	*writer
	read  *sql.DB
	write *sql.DB
	reads statements
}

var _ store.Store = (*Store)(nil)

// Open opens the database and brings its tables up to date.
func Open(ctx context.Context, c Config) (*Store, error) {
	if c.Path == "" {
		return nil, errors.New("sqlstore: no path")
	}
	if err := migrate(ctx, c.Path); err != nil {
		return nil, err
	}
	write, err := sql.Open("sqlite", dsn(c.Path, "synchronous(FULL)"))
	if err != nil {
		return nil, fmt.Errorf("sqlstore: open: %w", err)
	}
	w, err := newWriter(ctx, write)
	if err != nil {
		return nil, errors.Join(err, write.Close())
	}
	read, err := sql.Open("sqlite", dsn(c.Path, "query_only(1)"))
	if err != nil {
		return nil, errors.Join(fmt.Errorf("sqlstore: open: %w", err), w.close(), write.Close())
	}
	readers := max(4, 2*runtime.GOMAXPROCS(0))
	read.SetMaxOpenConns(readers)
	read.SetMaxIdleConns(readers)
	return &Store{writer: w, read: read, write: write, reads: statements{db: read}}, nil
}

// dsn is the data source name. A write transaction takes the lock at its start;
// nothing ever waits for a lock that it cannot get.
func dsn(path string, pragmas ...string) string {
	q := url.Values{"_txlock": {"immediate"}, "_pragma": append([]string{"busy_timeout(10000)", "journal_mode(WAL)", "foreign_keys(1)"}, pragmas...)}
	return (&url.URL{Scheme: "file", Opaque: url.PathEscape(path), RawQuery: q.Encode()}).String()
}

// Close ends the writer after what it has begun and closes the database.
func (s *Store) Close() error {
	return errors.Join(s.writer.close(), s.reads.close(), s.read.Close(), s.write.Close())
}

// statements prepares each query once.
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
		return nil, fmt.Errorf("sqlstore: prepare: %w", err)
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

// row reads at most one row into what scan points to; ErrNotFound if there is
// none.
func (s *Store) row(ctx context.Context, query string, args []any, into ...any) error {
	stmt, err := s.reads.get(ctx, query)
	if err != nil {
		return err
	}
	return one(stmt.QueryRowContext(ctx, args...).Scan(into...))
}

// rows calls scan for each row.
func (s *Store) rows(ctx context.Context, query string, args []any, scan func(*sql.Rows) error) error {
	stmt, err := s.reads.get(ctx, query)
	if err != nil {
		return err
	}
	rows, err := stmt.QueryContext(ctx, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := scan(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}

func one(err error) error {
	if errors.Is(err, sql.ErrNoRows) {
		return store.ErrNotFound
	}
	return err
}

// ms is a time as it is kept: Unix milliseconds, 0 for the zero time.
func ms(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

// at scans a time that ms made.
type at struct{ *time.Time }

// Scan implements sql.Scanner.
func (a at) Scan(v any) error {
	n, ok := v.(int64)
	if !ok {
		return fmt.Errorf("sqlstore: a time is %T", v)
	}
	*a.Time = time.Time{}
	if n != 0 {
		*a.Time = time.UnixMilli(n).UTC()
	}
	return nil
}

// asJSON is a value as it is kept. Our own structs cannot fail to marshal.
func asJSON(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		panic("sqlstore: marshal: " + err.Error())
	}
	return string(b)
}

// fromJSON scans what asJSON made.
type fromJSON struct{ into any }

// Scan implements sql.Scanner.
func (j fromJSON) Scan(v any) error {
	switch text := v.(type) {
	case string:
		return json.Unmarshal([]byte(text), j.into)
	case []byte:
		return json.Unmarshal(text, j.into)
	}
	return fmt.Errorf("sqlstore: JSON is %T", v)
}

func bit(b bool) int64 {
	if b {
		return 1
	}
	return 0
}
