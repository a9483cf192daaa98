package sqlstore

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sallyport-id/sallyport/internal/store"
)

// addUser makes a user and, in the same verb, an event.
func addUser(ctx context.Context, s *Store) error {
	id := store.NewID()
	return s.CreateUser(ctx, &store.User{ID: id, Login: id, LoginKey: id, CreatedAt: time.Now()}, store.Event{At: time.Now(), Type: "made", UserID: id})
}

func countRows(t *testing.T, s *Store, table string) (n int) {
	t.Helper()
	if err := s.row(t.Context(), `SELECT count(*) FROM `+table, nil, &n); err != nil {
		t.Fatal(err)
	}
	return n
}

// TestBackupWhileOthersWrite: the copy is the database as it was at one moment,
// with whole verbs, in one file that is its owner's.
func TestBackupWhileOthersWrite(t *testing.T) {
	t.Parallel()
	path := tempPath(t)
	s := openStore(t, Config{Path: path})
	for range 50 {
		if err := addUser(t.Context(), s); err != nil {
			t.Fatal(err)
		}
	}
	ctx, stop := context.WithCancel(t.Context())
	var writers sync.WaitGroup
	for range 8 {
		writers.Go(func() {
			for ctx.Err() == nil {
				if err := addUser(ctx, s); err != nil && ctx.Err() == nil {
					t.Error(err)
				}
			}
		})
	}
	to := filepath.Join(t.TempDir(), "copy")
	before := s.Writes()
	err := Backup(t.Context(), path, to, map[string]string{"mode": "backup"})
	after := s.Writes()
	stop()
	writers.Wait()
	if err != nil {
		t.Fatal(err)
	}
	if after == before {
		t.Error("nothing was written during the backup: the test shows nothing")
	}
	entries, err := os.ReadDir(filepath.Dir(to))
	if err != nil || len(entries) != 1 {
		t.Errorf("got %v %v, want the copy alone", entries, err)
	}
	if info, err := os.Stat(to); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("got %v %v, want mode 0600", info.Mode(), err)
	}
	if mode, _, err := Peek(t.Context(), Config{Path: to}, "mode"); err != nil || mode != "backup" {
		t.Errorf("got mode %q %v", mode, err)
	}
	kept := openStore(t, Config{Path: to})
	users, events := countRows(t, kept, "users"), countRows(t, kept, "audit")
	if users < 50 || users != events || users > countRows(t, s, "users") {
		t.Errorf("got %d users and %d events, want as many of both, 50 at least", users, events)
	}
	if mode, err := s.Meta(t.Context(), "mode"); err != nil || mode != "" {
		t.Errorf("the database itself: got mode %q %v, want none", mode, err)
	}
}

// TestBackupHasNoTraceOfWhatWasDeleted.
func TestBackupHasNoTraceOfWhatWasDeleted(t *testing.T) {
	t.Parallel()
	path := tempPath(t)
	s := openStore(t, Config{Path: path})
	const trace = "somebody-who-left@example.com"
	u := &store.User{ID: "u", Login: "u", LoginKey: "u", Email: trace}
	if err := errors.Join(s.CreateUser(t.Context(), u), s.RemoveUser(t.Context(), u.ID, time.Now())); err != nil {
		t.Fatal(err)
	}
	to := filepath.Join(t.TempDir(), "copy")
	if err := Backup(t.Context(), path, to, nil); err != nil {
		t.Fatal(err)
	}
	if text, err := os.ReadFile(to); err != nil || bytes.Contains(text, []byte(trace)) {
		t.Errorf("the copy knows who left, or %v", err)
	}
}

// TestBackupOverwritesNothing, and leaves nothing of a backup that failed.
func TestBackupOverwritesNothing(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path, taken, missing := tempPath(t), filepath.Join(dir, "taken"), filepath.Join(dir, "missing")
	openStore(t, Config{Path: path})
	if err := os.WriteFile(taken, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := Backup(t.Context(), path, taken, nil); !errors.Is(err, fs.ErrExist) {
		t.Errorf("got %v, want %v", err, fs.ErrExist)
	}
	if text, err := os.ReadFile(taken); err != nil || string(text) != "precious" {
		t.Errorf("got %q %v", text, err)
	}
	for _, from := range []string{missing, taken} {
		if err := Backup(t.Context(), from, filepath.Join(dir, "copy"), nil); err == nil {
			t.Errorf("a backup of %s succeeded", from)
		}
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 1 {
		t.Errorf("got %v %v, want one file", entries, err)
	}
}

// TestBackupFindsDamage before anybody relies on the copy.
func TestBackupFindsDamage(t *testing.T) {
	t.Parallel()
	path := tempPath(t)
	s, err := Open(t.Context(), Config{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	err = run(t.Context(), plain(path, ""), func(conn *sql.Conn) error {
		_, err := conn.ExecContext(t.Context(), `INSERT INTO proofs (session_id, seq, body) VALUES ('nobody', 1, '')`)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	err = Backup(t.Context(), path, filepath.Join(t.TempDir(), "copy"), nil)
	if err == nil || !strings.Contains(err.Error(), "damaged: rows without what they belong to in proofs") {
		t.Errorf("got %v, want the damage named", err)
	}
}

// backedUp is a database with so many users, and a copy of it.
func backedUp(t *testing.T, users int) (path, backup string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "db")
	s, err := Open(t.Context(), Config{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	for range users {
		err = errors.Join(err, addUser(t.Context(), s))
	}
	backup = filepath.Join(t.TempDir(), "copy")
	if err := errors.Join(err, s.Close(), Backup(t.Context(), path, backup, nil)); err != nil {
		t.Fatal(err)
	}
	return path, backup
}

func unchanged(*Store) error { return nil }

// TestRestoreReplaces a database, which is kept, and everything in it.
func TestRestoreReplaces(t *testing.T) {
	t.Parallel()
	path, backup := backedUp(t, 3)
	s, err := Open(t.Context(), Config{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(addUser(t.Context(), s), s.Close()); err != nil {
		t.Fatal(err)
	}
	prepared := false
	before, err := Restore{From: backup, To: path, Replace: true, Now: time.Unix(0, 0), Prepare: func(s *Store) error {
		prepared = true
		return s.SetMeta(t.Context(), "mode", "restored")
	}}.Run(t.Context())
	if err != nil || !prepared || before != path+".before-restore-19700101T000000Z" {
		t.Fatalf("got %q %v, prepared %v", before, err, prepared)
	}
	var names []string
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	if want := []string{"db", filepath.Base(before), "db.lock"}; !slices.Equal(names, want) {
		t.Errorf("got the files %q, want %q", names, want)
	}
	now, old := openStore(t, Config{Path: path}), openStore(t, Config{Path: before})
	if got := countRows(t, now, "users"); got != 3 {
		t.Errorf("got %d users, want the 3 of the backup", got)
	}
	if got := countRows(t, old, "users"); got != 4 {
		t.Errorf("the database before: got %d users, want 4", got)
	}
	if mode, err := now.Meta(t.Context(), "mode"); err != nil || mode != "restored" {
		t.Errorf("got %q %v, want what Prepare wrote", mode, err)
	}
}

// TestRestoreRefuses, and then nothing has changed.
func TestRestoreRefuses(t *testing.T) {
	t.Parallel()
	errPrepare := errors.New("not this one")
	for name, c := range map[string]struct {
		arrange func(t *testing.T, r *Restore)
		want    error  // or:
		says    string // what the error says
	}{
		"a database that is there": {func(t *testing.T, r *Restore) { r.Replace = false }, fs.ErrExist, ""},
		"one that is in use":       {func(t *testing.T, r *Restore) { openStore(t, Config{Path: r.To}) }, ErrInUse, ""},
		"what Prepare refuses": {func(t *testing.T, r *Restore) {
			r.Prepare = func(*Store) error { return errPrepare }
		}, errPrepare, ""},
		"no backup":  {func(t *testing.T, r *Restore) { r.From += "no" }, fs.ErrNotExist, ""},
		"a torn one": {func(t *testing.T, r *Restore) { tear(t, r.From) }, nil, "malformed"},
		"a file of something else": {func(t *testing.T, r *Restore) {
			if err := os.WriteFile(r.From, []byte(strings.Repeat("words ", 1000)), 0o600); err != nil {
				t.Fatal(err)
			}
		}, nil, "not a database"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path, backup := backedUp(t, 1)
			was, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			r := Restore{From: backup, To: path, Replace: true, Prepare: unchanged}
			c.arrange(t, &r)
			_, err = r.Run(t.Context())
			if err == nil || c.want != nil && !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.says) {
				t.Errorf("got %v, want %v %q", err, c.want, c.says)
			}
			if is, err := os.ReadFile(path); err != nil || len(is) != len(was) {
				t.Errorf("the database has %d bytes, had %d, %v", len(is), len(was), err)
			}
			if left, err := filepath.Glob(path + ".restoring*"); err != nil || len(left) > 0 {
				t.Errorf("left behind: %q %v", left, err)
			}
		})
	}
}

// tear cuts the last pages off.
func tear(t *testing.T, path string) {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(path, info.Size()-3*4096); err != nil {
		t.Fatal(err)
	}
}

// TestRestoreIntoAnEmptyPlace, unless part of a database is left there: SQLite
// would take it for the new one's.
func TestRestoreIntoAnEmptyPlace(t *testing.T) {
	t.Parallel()
	_, backup := backedUp(t, 1)
	path := filepath.Join(t.TempDir(), "db")
	r := Restore{From: backup, To: path, Prepare: unchanged}
	if err := os.WriteFile(path+"-wal", []byte("left"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Run(t.Context()); err == nil || !strings.Contains(err.Error(), "-wal is left of a database that is gone") {
		t.Errorf("got %v, want a refusal", err)
	}
	if err := os.Remove(path + "-wal"); err != nil {
		t.Fatal(err)
	}
	if before, err := r.Run(t.Context()); err != nil || before != "" {
		t.Fatalf("got %q %v", before, err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("got %v %v, want mode 0600", info, err)
	}
	if got := countRows(t, openStore(t, Config{Path: path}), "users"); got != 1 {
		t.Errorf("got %d users, want 1", got)
	}
}

// TestCheckUnused: whoever has a database open is noticed, and nobody else.
func TestCheckUnused(t *testing.T) {
	t.Parallel()
	path, _ := backedUp(t, 1)
	s, err := Open(t.Context(), Config{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	if err := CheckUnused(t.Context(), path); !errors.Is(err, ErrInUse) {
		t.Errorf("got %v, want %v", err, ErrInUse)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := CheckUnused(t.Context(), path); err != nil {
		t.Errorf("got %v, want none", err)
	}
}

// TestSwapOrNothing: what cannot be put in place leaves the other there.
func TestSwapOrNothing(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	to, before := filepath.Join(dir, "db"), filepath.Join(dir, "before")
	if err := os.WriteFile(to, []byte("old"), 0o600); err != nil {
		t.Fatal(err)
	}
	check := func(err error) {
		t.Helper()
		if text, readErr := os.ReadFile(to); err == nil || readErr != nil || string(text) != "old" {
			t.Errorf("got %v, and then %q %v", err, text, readErr)
		}
	}
	check(swap(filepath.Join(dir, "missing"), to, before))
	if _, err := os.Lstat(before); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("left behind: %v", err)
	}
	if err := os.WriteFile(before, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	check(swap(to, to, before))
}
