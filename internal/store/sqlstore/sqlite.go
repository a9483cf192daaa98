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
	"slices"
	"strings"
	"time"

	"modernc.org/sqlite"

	"github.com/sallyport-id/sallyport/internal/store"
)

// Result codes of SQLite.
const (
	sqliteBusy    = 5
	sqliteIOError = 10
	sqliteFull    = 13
	sqliteNoOpen  = 14
)

// isSQLite reports whether the error is SQLite's, with one of the codes.
func isSQLite(err error, codes ...int) bool {
	var e *sqlite.Error
	return errors.As(err, &e) && slices.Contains(codes, e.Code()&0xff)
}

// sqliteFile is a SQLite database: one writer, and connections for reading.
type sqliteFile struct {
	*writer
	db    *sql.DB // for reading
	reads statements
}

func openSQLite(ctx context.Context, driver, path string) (*sqliteFile, error) {
	path, err := touch(path)
	if err != nil {
		return nil, fmt.Errorf("sqlstore: %w", err)
	}
	if err := migrateSQLite(ctx, path); err != nil {
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
	return &sqliteFile{writer: w, db: read, reads: statements{db: read}}, nil
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
	return fileURI(path) + "?" + q.Encode()
}

// fileURI names the file of an absolute path to SQLite.
func fileURI(path string) string {
	path = "/" + strings.TrimPrefix(filepath.ToSlash(path), "/") // "/C:/…", too
	return "file:" + (&url.URL{Path: path}).EscapedPath()
}

// read does not watch the context during the query: that takes microseconds, and
// to watch it would cost a goroutine each time.
func (f *sqliteFile) read(ctx context.Context, query string, args []any, scan func(*sql.Rows) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	err := scanRows(context.WithoutCancel(ctx), &f.reads, query, args, scan)
	if isSQLite(err, sqliteBusy, sqliteIOError, sqliteFull, sqliteNoOpen) {
		return fmt.Errorf("%w: %w", store.ErrUnavailable, err)
	}
	return err
}

func (f *sqliteFile) clock(context.Context) (time.Time, error) { return time.Now(), nil }

func (f *sqliteFile) Stats() Stats {
	s := Stats{Commits: f.Commits(), Writes: f.Writes(), Connections: f.db.Stats()}
	s.Waiting, s.WaitingTokens = f.queue.waiting()
	return s
}

// close lets the writes that wait have their turn.
func (f *sqliteFile) close() error {
	return errors.Join(f.writer.close(), f.reads.close(), f.db.Close())
}
