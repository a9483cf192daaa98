package main

import (
	"bytes"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-id/sallyport/internal/store/storetest"
)

// TestBench: everything is measured, for moments, so that the program does not
// rot. What it measured is not looked at.
func TestBench(t *testing.T) {
	for name, database := range map[string]func(t *testing.T) string{
		"SQLite":     func(*testing.T) string { return "" },
		"PostgreSQL": func(t *testing.T) string { return storetest.FindPostgres(t, 1).Schema(t) },
	} {
		t.Run(name, func(t *testing.T) { briefly(t, database(t)) })
	}
}

func briefly(t *testing.T, postgres string) {
	t.Setenv("TMPDIR", t.TempDir())
	var progress bytes.Buffer
	o := options{
		Postgres: postgres, Clients: 4, WarmUp: 10 * time.Millisecond, Duration: 200 * time.Millisecond, Rounds: 1,
		Users: 50, Restarts: 1, Progress: &progress,
	}
	r, err := run(t.Context(), o)
	if err != nil {
		t.Fatalf("%v\n%s", err, progress.String())
	}
	if len(r.Operations) != len(operations) || len(r.Full) == 0 || len(r.Rows) == 0 {
		t.Errorf("measured %d operations, %d in a full database, %d tables", len(r.Operations), len(r.Full), len(r.Rows))
	}
	var text strings.Builder
	if err := r.markdown(&text); err != nil {
		t.Fatal(err)
	}
	for _, op := range operations {
		if !strings.Contains(text.String(), "| "+op.name+" |") {
			t.Errorf("%q is not in the report:\n%s", op.name, text.String())
		}
	}
	if left, err := os.ReadDir(os.Getenv("TMPDIR")); err != nil || len(left) != 0 {
		t.Errorf("left %v %v", left, err)
	}
}
