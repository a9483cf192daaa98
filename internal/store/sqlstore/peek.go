package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5/stdlib"
)

// Peek reads one fact about a database (store.Meta) without changing anything in
// it: it makes no file and no table. made says whether a Store has ever opened it;
// value is "" if it has not, or there is no such fact. The error of a file that is
// no database says so.
func Peek(ctx context.Context, c Config, name string) (value string, made bool, err error) {
	db, hasMeta, err := c.openToPeek()
	if err != nil {
		return "", false, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	if err := db.QueryRowContext(ctx, hasMeta).Scan(&made); err != nil {
		return "", false, fmt.Errorf("sqlstore: connect: %w", err)
	}
	if !made {
		return "", false, nil
	}
	err = db.QueryRowContext(ctx, `SELECT value FROM meta WHERE name = $1`, name).Scan(&value)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return "", true, fmt.Errorf("sqlstore: %w", err)
	}
	return value, true, nil
}

// openToPeek also returns the question whether there is a table of facts.
func (c Config) openToPeek() (db *sql.DB, hasMeta string, err error) {
	if err := c.Check(); err != nil {
		return nil, "", err
	}
	if c.URL != "" {
		config, err := parseURL(c.URL)
		if err != nil {
			return nil, "", err
		}
		return stdlib.OpenDB(*config), postgresDialect.hasMeta, nil
	}
	source, err := readOnlyDSN(c.Path)
	if err != nil {
		return nil, "", err
	}
	db, err = sql.Open("sqlite", source)
	if err != nil {
		return nil, "", fmt.Errorf("sqlstore: open: %w", err)
	}
	return db, sqliteDialect.hasMeta, nil
}
