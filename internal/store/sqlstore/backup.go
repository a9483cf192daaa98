package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
)

// Backup writes a SQLite database, as it is at one moment, into a new file that
// only its owner can read, and returns when that is on the disk and sound. Others
// may write to the database meanwhile. The facts (store.Meta) are written into
// the copy. It overwrites nothing: fs.ErrExist.
//
// The copy has no trace of rows that were deleted, and no file beside it.
func Backup(ctx context.Context, path, to string, facts map[string]string) (err error) {
	path, err = filepath.Abs(path)
	if err == nil {
		to, err = filepath.Abs(to)
	}
	if err != nil {
		return fmt.Errorf("sqlstore: %w", err)
	}
	partial := to + ".partial"
	if err := reserve(to); err != nil { // the name is ours
		return fmt.Errorf("sqlstore: %w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(to), remove(partial))
		}
	}()
	if err := reserve(partial); err != nil {
		return fmt.Errorf("sqlstore: %w", err)
	}
	if err := run(ctx, plain(path, "mode=ro"), func(conn *sql.Conn) error {
		_, err := conn.ExecContext(ctx, `VACUUM INTO $1`, partial)
		return err
	}); err != nil {
		return fmt.Errorf("sqlstore: copy: %w", err)
	}
	if err := run(ctx, plain(partial, ""), func(conn *sql.Conn) error {
		for name, value := range facts {
			if _, err := conn.ExecContext(ctx, `INSERT INTO meta (name, value) VALUES ($1, $2)
				ON CONFLICT (name) DO UPDATE SET value = excluded.value`, name, value); err != nil {
				return err
			}
		}
		return checkSound(ctx, conn)
	}); err != nil {
		return fmt.Errorf("sqlstore: the copy: %w", err)
	}
	return moveDurably(partial, to)
}

// checkSound reads the whole database.
func checkSound(ctx context.Context, conn *sql.Conn) error {
	tx := &tx{ctx: ctx, querier: conn}
	found, err := tx.texts(`PRAGMA integrity_check`)
	if err != nil {
		return err
	}
	if len(found) != 1 || found[0] != "ok" {
		return fmt.Errorf("the database is damaged: %s", strings.Join(found, "; "))
	}
	broken, err := tx.texts(`SELECT DISTINCT "table" FROM pragma_foreign_key_check`)
	if err != nil {
		return err
	}
	if len(broken) > 0 {
		return fmt.Errorf("the database is damaged: rows without what they belong to in %s", strings.Join(broken, ", "))
	}
	return nil
}

// plain is the data source name of a file as it is, whatever its journal.
func plain(path, options string) string {
	q := url.Values{"_pragma": {"busy_timeout(10000)", "synchronous(EXTRA)", "temp_store(MEMORY)"}}
	return fileURI(path) + "?" + q.Encode() + "&" + options
}

// run opens a file, does something and closes it.
func run(ctx context.Context, dsn string, do func(*sql.Conn) error) (err error) {
	db, err := sql.Open("sqlite", dsn)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	conn, err := db.Conn(ctx)
	if err != nil {
		return err
	}
	return errors.Join(do(conn), conn.Close())
}

// reserve makes an empty file of a name that nobody has.
func reserve(path string) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	return f.Close()
}

// remove is not bothered if there is no such file.
func remove(path string) error {
	if err := os.Remove(path); !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}

// moveDurably moves a file, whose content is on the disk then, in one directory.
func moveDurably(from, to string) error {
	f, err := os.OpenFile(from, os.O_RDWR, 0)
	if err != nil {
		return fmt.Errorf("sqlstore: %w", err)
	}
	if err := errors.Join(f.Sync(), f.Close(), os.Rename(from, to), syncDir(filepath.Dir(to))); err != nil {
		return fmt.Errorf("sqlstore: %w", err)
	}
	return nil
}

// syncDir makes new names in a directory durable.
func syncDir(path string) error {
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}
