package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"path/filepath"
	"strconv"
	"strings"
)

// ErrReadOnly is the error of every write to a store of OpenToRead.
var ErrReadOnly = errors.New("sqlstore: opened to read only")

// OpenToRead opens a database that a Store has made, to look at what is in it
// while servers work with it. It changes nothing: no table is brought up to date,
// and a database that is older than this program is an error.
func OpenToRead(ctx context.Context, c Config) (*Store, error) {
	if err := c.Check(); err != nil {
		return nil, err
	}
	db, err := openToRead(c)
	if err != nil {
		return nil, err
	}
	if err := upToDate(ctx, db); err != nil {
		return nil, errors.Join(err, db.close())
	}
	return &Store{database: db}, nil
}

func openToRead(c Config) (database, error) {
	if c.URL != "" {
		config, err := parseURL(c.URL)
		if err != nil {
			return nil, err
		}
		config.RuntimeParams["default_transaction_read_only"] = "on"
		db := newPostgres(config)
		return readOnly{db, db.close}, nil
	}
	source, err := readOnlyDSN(c.Path)
	if err != nil {
		return nil, err
	}
	db, err := sql.Open("sqlite", source)
	if err != nil {
		return nil, fmt.Errorf("sqlstore: open: %w", err)
	}
	f := &sqliteFile{writer: &writer{}, db: db, reads: statements{db: db}}
	return readOnly{f, func() error { return errors.Join(f.reads.close(), db.Close()) }}, nil
}

// readOnlyDSN is the data source name of a file that is there and stays as it is.
func readOnlyDSN(path string) (string, error) {
	absolute, err := filepath.Abs(path)
	if err != nil {
		return "", fmt.Errorf("sqlstore: %w", err)
	}
	q := url.Values{"mode": {"ro"}, "_pragma": {"busy_timeout(10000)"}}
	return "file:" + (&url.URL{Path: filepath.ToSlash(absolute)}).EscapedPath() + "?" + q.Encode(), nil
}

// readOnly is a database without its writes.
type readOnly struct {
	database
	end func() error
}

func (readOnly) write(context.Context, lane, step) error { return ErrReadOnly }

func (r readOnly) close() error { return r.end() }

// upToDate: the tables have all that the queries of this program ask for.
func upToDate(ctx context.Context, db database) error {
	var applied, newest int64
	err := db.read(ctx, `SELECT max(version_id) FROM goose_db_version`, nil, func(r *sql.Rows) error { return r.Scan(&applied) })
	if err != nil {
		return err
	}
	files, err := fs.ReadDir(migrations, "migrations")
	if err != nil {
		return fmt.Errorf("sqlstore: migrations: %w", err)
	}
	for _, f := range files {
		number, _, _ := strings.Cut(f.Name(), "_")
		if n, err := strconv.ParseInt(number, 10, 64); err == nil {
			newest = max(newest, n)
		}
	}
	if applied < newest {
		return errors.New("sqlstore: the database is an older release's: the server brings it up to date when it starts")
	}
	return nil
}
