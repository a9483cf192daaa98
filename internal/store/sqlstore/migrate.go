package sqlstore

import (
	"context"
	"database/sql"
	"embed"
	"fmt"
	"io/fs"
	"strings"
	"testing/fstest"

	"github.com/pressly/goose/v3"
)

//go:embed migrations/*.sql
var migrations embed.FS

// sqliteTypes are the types of the tables.
var sqliteTypes = strings.NewReplacer("{{int64}}", "INTEGER", "{{bytes}}", "BLOB", "{{strict}}", "STRICT")

// migrate brings the tables up to date. Processes that do so at once take turns.
func migrate(ctx context.Context, path string) error {
	unlock, err := lockFile(path + ".lock")
	if err != nil {
		return fmt.Errorf("sqlstore: lock for migration: %w", err)
	}
	defer unlock()
	db, err := sql.Open("sqlite", dsn(path, "synchronous(FULL)"))
	if err != nil {
		return fmt.Errorf("sqlstore: open: %w", err)
	}
	defer db.Close()
	expanded, err := expand(sqliteTypes)
	if err != nil {
		return fmt.Errorf("sqlstore: migrations: %w", err)
	}
	provider, err := goose.NewProvider(goose.DialectSQLite3, db, expanded)
	if err != nil {
		return fmt.Errorf("sqlstore: migrations: %w", err)
	}
	if _, err := provider.Up(ctx); err != nil {
		return fmt.Errorf("sqlstore: migrate: %w", err)
	}
	return nil
}

// expand writes a dialect's types into the timeline.
func expand(types *strings.Replacer) (fs.FS, error) {
	expanded := fstest.MapFS{}
	names, err := fs.Glob(migrations, "migrations/*.sql")
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		text, err := migrations.ReadFile(name)
		if err != nil {
			return nil, err
		}
		expanded[strings.TrimPrefix(name, "migrations/")] = &fstest.MapFile{Data: []byte(types.Replace(string(text)))}
	}
	return expanded, nil
}
