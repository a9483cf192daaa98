package main

import (
	"os"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/sallyport-id/sallyport/internal/authn/authntest"
)

// scriptMetadata makes the metadata of one make, and the root of their authority:
// "metadata FILE ROOTS NEXT-UPDATE".
func scriptMetadata(ts *testscript.TestScript, _ bool, args []string) {
	next, err := time.Parse(time.DateOnly, args[2])
	ts.Check(err)
	t := scriptT{ts}
	authority := authntest.NewAuthority(t, "MDS")
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), authority.Blob(t, 1, next, authntest.NewMaker(t, "Seoul Key 1").Entry()), 0o600))
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), authority.PEM(), 0o600))
}

// scriptT lets a script stand for a test.
type scriptT struct{ ts *testscript.TestScript }

func (t scriptT) Helper() {}

func (t scriptT) Fatal(args ...any) { t.ts.Fatalf("%v", args) }
