package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"modernc.org/sqlite"
)

// ErrInUse is the error of what needs a database that nobody has open.
var ErrInUse = errors.New("the database is in use: stop the server first")

// Restore is how a copy takes the place of a SQLite database.
type Restore struct {
	From, To string
	// Replace: there may be a database at To. It is kept, under another name.
	Replace bool
	// Prepare has the copy, with its tables brought up to date, before it is put in
	// place. If it fails nothing has happened.
	Prepare func(*Store) error
	Now     time.Time
}

// Run returns where the database is kept that was in the place; "" if there was
// none. fs.ErrExist if there is one and Replace is not set, ErrInUse if somebody
// has it open. A process that is just starting waits.
func (r Restore) Run(ctx context.Context) (before string, err error) {
	to, err := filepath.Abs(r.To)
	if err != nil {
		return "", fmt.Errorf("sqlstore: %w", err)
	}
	unlock, err := lockFile(ctx, to+".lock")
	if err != nil {
		return "", fmt.Errorf("sqlstore: lock for restore: %w", err)
	}
	defer unlock()
	there, err := r.look(ctx, to)
	if err != nil {
		return "", err
	}
	staged := to + ".restoring"
	defer func() { err = errors.Join(err, removeAll(staged)) }()
	if err := r.stage(ctx, staged); err != nil {
		return "", err
	}
	if !there {
		return "", moveDurably(staged, to)
	}
	before = to + ".before-restore-" + r.Now.UTC().Format("20060102T150405Z")
	return before, swap(staged, to, before)
}

// swap puts a database in the place of another, which is kept; or all is as it was.
func swap(staged, to, before string) error {
	if _, err := os.Lstat(before); !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("sqlstore: %s is there already", before)
	}
	for _, move := range [][2]string{{to, before}, {staged, to}} {
		if err := moveDurably(move[0], move[1]); err != nil {
			if back := os.Rename(before, to); !errors.Is(back, os.ErrNotExist) {
				err = errors.Join(err, back)
			}
			return err
		}
	}
	return nil
}

// look says whether there is a database, which then lies in one file and is open
// nowhere. What is left beside one that is gone would become part of the new one.
func (r Restore) look(ctx context.Context, to string) (there bool, err error) {
	_, err = os.Lstat(to)
	there = err == nil
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return false, fmt.Errorf("sqlstore: %w", err)
	}
	if there && !r.Replace {
		return true, fmt.Errorf("sqlstore: %s: %w", to, os.ErrExist)
	}
	if there {
		return true, settle(ctx, to)
	}
	for _, beside := range []string{to + "-wal", to + "-shm"} {
		if _, err := os.Lstat(beside); !errors.Is(err, os.ErrNotExist) {
			return false, fmt.Errorf("sqlstore: %s is left of a database that is gone: move it away first", beside)
		}
	}
	return false, nil
}

// stage makes the copy ready, in one file.
func (r Restore) stage(ctx context.Context, staged string) error {
	if err := removeAll(staged); err != nil { // of a restore that was cut off
		return fmt.Errorf("sqlstore: %w", err)
	}
	if err := copyFile(r.From, staged); err != nil {
		return fmt.Errorf("sqlstore: copy the backup: %w", err)
	}
	err := run(ctx, plain(staged, ""), func(conn *sql.Conn) error { return checkSound(ctx, conn) })
	if err != nil {
		return fmt.Errorf("sqlstore: the backup: %w", err)
	}
	s, err := Open(ctx, Config{Path: staged})
	if err != nil {
		return err
	}
	if err := errors.Join(r.Prepare(s), s.Close()); err != nil {
		return err
	}
	return settle(ctx, staged)
}

// CheckUnused is ErrInUse if a process has a SQLite database open.
func CheckUnused(ctx context.Context, path string) error {
	absolute, err := filepath.Abs(path)
	if err != nil {
		return fmt.Errorf("sqlstore: %w", err)
	}
	unlock, err := lockFile(ctx, absolute+".lock")
	if err != nil {
		return fmt.Errorf("sqlstore: lock: %w", err)
	}
	defer unlock()
	return settle(ctx, absolute)
}

// settle brings a database into its one file. SQLite leaves the write-ahead log
// only for who is alone with a database: each connection keeps a lock on it.
func settle(ctx context.Context, path string) error {
	const busy = 5 // SQLITE_BUSY
	mode := ""
	err := run(ctx, fileURI(path)+"?_pragma=busy_timeout(1000)", func(conn *sql.Conn) error {
		return conn.QueryRowContext(ctx, `PRAGMA journal_mode = DELETE`).Scan(&mode)
	})
	if code := (*sqlite.Error)(nil); errors.As(err, &code) && code.Code()&0xff == busy || err == nil && mode != "delete" {
		return fmt.Errorf("sqlstore: %s: %w", path, ErrInUse)
	}
	if err != nil {
		return fmt.Errorf("sqlstore: %s: %w", path, err)
	}
	return nil
}

func copyFile(from, to string) (err error) {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Sync(), out.Close())
}

// removeAll takes away a database that nobody needs.
func removeAll(path string) (err error) {
	for _, suffix := range []string{"", "-wal", "-shm", "-journal", ".lock"} {
		err = errors.Join(err, remove(path+suffix))
	}
	return err
}
