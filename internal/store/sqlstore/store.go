// Package sqlstore keeps the promises of package store in a SQL database: SQLite
// or PostgreSQL. Every query has one text for both; only the types of the tables
// are written per dialect.
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
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sallyport-id/sallyport/internal/store"
)

// Config says where the database is: Path or URL.
type Config struct {
	// Path of the SQLite file; made, with mode 0600, if it does not exist. Further
	// files lie beside it: -wal, -shm and .lock.
	Path string
	// URL of a PostgreSQL database: postgres://user:password@host:port/name. Its
	// password is in no error. Options follow as a query, e.g. ?sslmode=disable;
	// what it leaves out comes from PostgreSQL's environment variables. The server
	// must not be behind a pooler that gives a session's connection to others.
	URL string
}

// At is the database of a URL or, without "://" in it, of a path.
func At(database string) Config {
	if strings.Contains(database, "://") {
		return Config{URL: database}
	}
	return Config{Path: database}
}

// Check says, without connecting, whether there is one place, and a URL that can
// be read. Its error does not show the URL.
func (c Config) Check() error {
	switch {
	case c.Path != "" && c.URL != "":
		return errors.New("sqlstore: a path and a URL, want one database")
	case c.URL != "":
		_, err := parseURL(c.URL)
		return err
	case c.Path == "":
		return errors.New("sqlstore: the path or URL of the database is missing")
	}
	return nil
}

// Store is a database. It is safe for concurrent use. On SQLite every write
// fails once one commit has failed: see Failed.
type Store struct {
	database

	decoded  decoded
	refused  atomic.Bool // the last write failed for want of the database
	sweeping sync.Mutex
	swept    string // the last grant that a sweep has looked at; under sweeping

	logoutsWait chan struct{} // holds one
}

var _ store.Store = (*Store)(nil)

// database is where verbs and queries run.
type database interface {
	// write runs a verb and returns when it is durable.
	write(ctx context.Context, l lane, do step) error
	// read calls scan for each row of a query. A context that has ended is noticed
	// before the query.
	read(ctx context.Context, query string, args []any, scan func(*sql.Rows) error) error
	close() error
	// clock returns the time that the database's machine has.
	clock(ctx context.Context) (time.Time, error)

	// Stats returns what was done since Open, and what waits.
	Stats() Stats
	// Commits returns how many transactions were committed since Open.
	Commits() int64
	// Writes returns how many verbs were committed in them.
	Writes() int64
	// Failed is closed when a commit has failed and nothing more can be written:
	// the process should end, and Err says why.
	Failed() <-chan struct{}
	// Err is nil, or the reason why Failed is closed.
	Err() error
}

// Stats says what a database has done, and what waits for it.
type Stats struct {
	Commits, Writes int64
	// Waiting and WaitingTokens are the writes in line for SQLite's one writer, in
	// the ordinary lane and in that of the token endpoint.
	Waiting, WaitingTokens int
	// Connections are all of PostgreSQL's, and those of SQLite that read.
	Connections sql.DBStats
}

// Open opens the database and brings its tables up to date. ctx bounds the
// opening only.
func Open(ctx context.Context, c Config) (*Store, error) {
	db, err := openDatabase(ctx, c)
	if err != nil {
		return nil, err
	}
	return &Store{database: db, logoutsWait: make(chan struct{}, 1)}, nil
}

func openDatabase(ctx context.Context, c Config) (database, error) {
	if err := c.Check(); err != nil {
		return nil, err
	}
	if c.URL != "" {
		return openPostgres(ctx, c.URL)
	}
	return openSQLite(ctx, "sqlite", c.Path)
}

// Clock returns the time of the machine that the database is on: PostgreSQL's, and
// this one's for SQLite.
func (s *Store) Clock(ctx context.Context) (time.Time, error) { return s.clock(ctx) }

// Close closes the database. Writes under way end before; on SQLite, so do those
// that wait for their turn.
func (s *Store) Close() error {
	return s.close()
}

// update runs a verb; see database.write. After one that brought messages of logouts
// it wakes who sends them.
func (s *Store) update(ctx context.Context, steps ...step) error {
	told, do := false, all(steps...)
	err := s.note(s.write(ctx, ordinary, func(t *tx) error {
		err := do(t)
		told = t.told
		return err
	}))
	if err == nil && told {
		select {
		case s.logoutsWait <- struct{}{}:
		default: // it is awake
		}
	}
	return err
}

// updateToken is update in the lane of the token endpoint.
func (s *Store) updateToken(ctx context.Context, steps ...step) error {
	return s.note(s.write(ctx, tokens, all(steps...)))
}

// note remembers for Ready whether the database takes writes.
func (s *Store) note(err error) error {
	switch {
	case errors.Is(err, store.ErrUnavailable), errors.Is(err, context.DeadlineExceeded):
		s.refused.Store(true)
	case err == nil && s.refused.Load():
		s.refused.Store(false)
	}
	return err
}

// Ready is nil if the database answers and takes writes. Where the last write failed
// for want of it, one is made that needs room on the disk.
func (s *Store) Ready(ctx context.Context) error {
	if _, err := s.Meta(ctx, "ready"); err != nil || !s.refused.Load() {
		return err
	}
	const room = 16 << 10 // bytes: a few pages
	return s.update(ctx, setMeta("ready", strings.Repeat("-", room)), setMeta("ready", ""))
}

// row reads one row; store.ErrNotFound if there is none.
func (s *Store) row(ctx context.Context, query string, args []any, into ...any) error {
	found := false
	err := s.read(ctx, query, args, func(r *sql.Rows) error {
		found = true
		return r.Scan(into...)
	})
	if err == nil && !found {
		return store.ErrNotFound
	}
	return err
}
