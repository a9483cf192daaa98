package sqlstore

import (
	"bytes"
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"
)

//go:embed migrations/*.sql
var migrations embed.FS

// dialect is what differs between databases: the types of the tables, and no
// query but the one whether there is a table of facts yet.
type dialect struct {
	goose   goose.Dialect
	types   *strings.Replacer
	hasMeta string
}

// sqliteDialect: STRICT refuses a value of another type. A {{keyed}} table keeps
// its rows in its key (short rows only), so that an insert touches one tree.
var sqliteDialect = dialect{goose.DialectSQLite3, strings.NewReplacer(
	"{{text}}", "TEXT",
	"{{int64}}", "INTEGER",
	"{{bytes}}", "BLOB",
	"{{serial}}", "INTEGER PRIMARY KEY",
	"{{strict}}", "STRICT",
	"{{keyed}}", "STRICT, WITHOUT ROWID",
), `SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name = 'meta'`}

// postgresDialect: text is compared by its bytes, as SQLite does, so that no update
// of the system's locales can put an index out of order.
var postgresDialect = dialect{goose.DialectPostgres, strings.NewReplacer(
	"{{text}}", `TEXT COLLATE "C"`,
	"{{int64}}", "BIGINT",
	"{{bytes}}", "BYTEA",
	"{{serial}}", "BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY",
	"{{strict}}", "",
	"{{keyed}}", "",
), `SELECT to_regclass('meta') IS NOT NULL`}

// migrateSQLite brings the tables up to date. Processes that do so at once take turns.
func migrateSQLite(ctx context.Context, path string) error {
	unlock, err := lockFile(ctx, path+".lock")
	if err != nil {
		return fmt.Errorf("sqlstore: lock for migration: %w", err)
	}
	defer unlock()
	db, err := sql.Open("sqlite", dsn(path, "synchronous(FULL)"))
	if err != nil {
		return fmt.Errorf("sqlstore: open: %w", err)
	}
	db.SetMaxOpenConns(1)
	return errors.Join(sqliteDialect.up(ctx, db), db.Close())
}

// migratePostgres brings the tables up to date, on connections whose statements may
// take as long as they need. Processes that do so at once in one schema take turns.
func migratePostgres(ctx context.Context, config *pgx.ConnConfig) error {
	config = config.Copy()
	delete(config.RuntimeParams, "statement_timeout")
	db := stdlib.OpenDB(*config)
	return errors.Join(upPostgres(ctx, db), db.Close())
}

func upPostgres(ctx context.Context, db *sql.DB) error {
	var id *int64
	err := db.QueryRowContext(ctx, `SELECT hashtextextended('sallyport ' || current_schema(), 0)`).Scan(&id)
	if err != nil {
		return fmt.Errorf("sqlstore: connect: %w", err)
	}
	if id == nil {
		return errors.New("sqlstore: the database has no schema for the tables: see search_path")
	}
	const everySecond, forMinutes = 1, 10 * 60
	turns, err := lock.NewPostgresSessionLocker(lock.WithLockID(*id), lock.WithLockTimeout(everySecond, forMinutes))
	if err != nil {
		return fmt.Errorf("sqlstore: lock for migration: %w", err)
	}
	return postgresDialect.up(ctx, db, goose.WithSessionLocker(turns))
}

func (d dialect) up(ctx context.Context, db *sql.DB, options ...goose.ProviderOption) error {
	timeline, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return fmt.Errorf("sqlstore: migrations: %w", err)
	}
	options = append(options, goose.WithDisableGlobalRegistry(true))
	provider, err := goose.NewProvider(d.goose, db, typed{timeline, d.types}, options...)
	if err != nil {
		return fmt.Errorf("sqlstore: migrations: %w", err)
	}
	sources := provider.ListSources() // the oldest first
	if err := d.checkReadable(ctx, db, sources[len(sources)-1].Version); err != nil {
		return err
	}
	if _, err := provider.Up(ctx); err != nil {
		return fmt.Errorf("sqlstore: migrate: %w", err)
	}
	return nil
}

// readableFrom is the fact (store.Meta) which migration a release must know, by
// its number, to work with the tables. A migration that takes something away sets
// it; one that adds, and so leaves the release before it working, does not.
const readableFrom = "readable_from"

// checkReadable refuses tables from which something was taken that this release
// needs. It lets tables be that a later release has only added to.
func (d dialect) checkReadable(ctx context.Context, db *sql.DB, newest int64) error {
	var made bool
	if err := db.QueryRowContext(ctx, d.hasMeta).Scan(&made); err != nil {
		return fmt.Errorf("sqlstore: connect: %w", err)
	}
	if !made {
		return nil
	}
	var number string
	err := db.QueryRowContext(ctx, `SELECT value FROM meta WHERE name = $1`, readableFrom).Scan(&number)
	if errors.Is(err, sql.ErrNoRows) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("sqlstore: %w", err)
	}
	if needed, err := strconv.ParseInt(number, 10, 64); err != nil || needed > newest {
		return fmt.Errorf("sqlstore: a later release has changed the database, and this one cannot work with it: it knows migrations up to %05d, and %s is needed; run the later release, or restore a backup of before", newest, number)
	}
	return nil
}

// typed is the timeline with a dialect's types written in.
type typed struct {
	fs.FS
	types *strings.Replacer
}

// Open implements fs.FS.
func (t typed) Open(name string) (fs.File, error) {
	f, err := t.FS.Open(name)
	if err != nil || !strings.HasSuffix(name, ".sql") {
		return f, err
	}
	defer f.Close()
	text, err := fs.ReadFile(t.FS, name)
	return &typedFile{f, bytes.NewReader([]byte(t.types.Replace(string(text))))}, err
}

// ReadDir implements fs.ReadDirFS.
func (t typed) ReadDir(name string) ([]fs.DirEntry, error) { return fs.ReadDir(t.FS, name) }

// typedFile reads the text instead of the file's.
type typedFile struct {
	fs.File
	text *bytes.Reader
}

// Read implements fs.File.
func (f *typedFile) Read(p []byte) (int, error) { return f.text.Read(p) }
