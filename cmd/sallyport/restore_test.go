package main

import (
	"io"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-id/sallyport/internal/store/storetest"
)

// TestRestoreOnPostgres: PostgreSQL's own tools copy and put back; what must not
// live twice restore ends in place.
func TestRestoreOnPostgres(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	address := freeAddress(t)
	database, password := withoutPassword(t, storetest.FindPostgres(t, 1).Schema(t))
	first := initCmd{Dir: dir, Issuer: "http://" + address, Listen: address, Database: database, DatabasePasswordFile: password}
	if err := first.run(t.Context(), io.Discard); err != nil {
		t.Fatal(err)
	}
	config := configFlag{filepath.Join(dir, "sallyport.yaml")}
	s, _, err := config.load()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := backup(t.Context(), s, filepath.Join(dir, "copy"), time.Now()); err == nil || !strings.Contains(err.Error(), "pg_dump makes its backup") {
		t.Errorf("backup: got %v", err)
	}
	if _, err := restore(t.Context(), s, "copy", true, time.Now); err == nil || !strings.Contains(err.Error(), "pg_restore puts its backup in place") {
		t.Errorf("restore: got %v", err)
	}
	for range 2 {
		did, err := restoreInPlace(t.Context(), config, s)
		if err != nil || did.Sessions != 0 {
			t.Errorf("restore in place: got %+v %v", did, err)
		}
	}
}

// TestRestoreNamesPeople: twenty at most, and says that there are more.
func TestRestoreNamesPeople(t *testing.T) {
	t.Parallel()
	var few, many strings.Builder
	if err := (didRestore{WithoutCodes: []string{"mina"}}).print(&few); err != nil {
		t.Fatal(err)
	}
	if err := (didRestore{WithoutCodes: make([]string, 21)}).print(&many); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(few.String(), "(1):\n    mina\n") || strings.Contains(few.String(), "and more") {
		t.Errorf("got\n%s", few.String())
	}
	if !strings.Contains(many.String(), "(21):\n") || !strings.Contains(many.String(), "and more: --output json names all") {
		t.Errorf("got\n%s", many.String())
	}
}
