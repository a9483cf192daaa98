package sqlstore_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/sallyport-id/sallyport/internal/store/sqlstore"
	"github.com/sallyport-id/sallyport/internal/store/storetest"
)

// TestPeekChangesNothing: neither the database of somebody else nor an empty file.
func TestPeekChangesNothing(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := func(name string) string { return filepath.Join(dir, name) }
	db, err := sqlstore.Open(t.Context(), sqlstore.Config{Path: path("a b#?.db")})
	if err != nil {
		t.Fatal(err)
	}
	if err := db.SetMeta(t.Context(), "mode", "dev"); err != nil {
		t.Fatal(err)
	}
	peek := func(name, fact, want string) {
		t.Helper()
		got, made, err := sqlstore.Peek(t.Context(), sqlstore.At(path(name)), fact)
		if err != nil || got != want || made == (name == "empty") {
			t.Errorf("%s of %s: got %q %v %v, want %q", fact, name, got, made, err, want)
		}
	}
	peek("a b#?.db", "mode", "dev") // in use
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	peek("a b#?.db", "mode", "dev")
	peek("a b#?.db", "other", "")
	if err := errors.Join(os.WriteFile(path("empty"), nil, 0o600), os.WriteFile(path("text"), []byte("this is no database at all"), 0o600)); err != nil {
		t.Fatal(err)
	}
	peek("empty", "mode", "")
	if info, err := os.Stat(path("empty")); err != nil || info.Size() != 0 {
		t.Errorf("the empty file: %v %v", info, err)
	}
	if _, _, err := sqlstore.Peek(t.Context(), sqlstore.At(path("text")), "mode"); err == nil {
		t.Error("text is a database")
	}
	if _, _, err := sqlstore.Peek(t.Context(), sqlstore.At(path("missing")), "mode"); err == nil {
		t.Error("a missing file is a database")
	}
	if _, err := os.Stat(path("missing")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("it made the missing file: %v", err)
	}
}

// TestPeekPostgres: it makes no table there, either.
func TestPeekPostgres(t *testing.T) {
	t.Parallel()
	at := sqlstore.At(storetest.FindPostgres(t, 1).Schema(t))
	for range 2 {
		if got, made, err := sqlstore.Peek(t.Context(), at, "mode"); err != nil || got != "" || made {
			t.Fatalf("empty: got %q %v %v", got, made, err)
		}
	}
	db, err := sqlstore.Open(t.Context(), at)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if got, made, err := sqlstore.Peek(t.Context(), at, "mode"); err != nil || got != "" || !made {
		t.Errorf("without a mark: got %q %v %v", got, made, err)
	}
	if err := db.SetMeta(t.Context(), "mode", "installed"); err != nil {
		t.Fatal(err)
	}
	if got, made, err := sqlstore.Peek(t.Context(), at, "mode"); err != nil || got != "installed" || !made {
		t.Errorf("marked: got %q %v %v", got, made, err)
	}
}
