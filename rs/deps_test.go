package rs_test

import (
	"go/parser"
	"go/token"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// TestDependencies lists the packages of other modules that a program links with rs, and the package
// that rs shares with rp, besides the standard library. It imports nothing but the
// standard library itself, in the packages used here.
func TestDependencies(t *testing.T) {
	t.Parallel()
	want := []string{"github.com/go-jose/go-jose/v4", "github.com/go-jose/go-jose/v4/cryptosigner"}
	const shared = "github.com/sallyport-id/sallyport/internal/issuer"
	var files []string
	for _, dir := range []string{".", "../internal/issuer"} {
		here, err := filepath.Glob(filepath.Join(dir, "*.go"))
		if err != nil || here == nil {
			t.Fatal(dir, err)
		}
		files = append(files, here...)
	}
	found := map[string]bool{}
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		tree, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ImportsOnly)
		if err != nil {
			t.Fatal(err)
		}
		for _, spec := range tree.Imports {
			path, _ := strconv.Unquote(spec.Path.Value)
			if first, _, _ := strings.Cut(path, "/"); strings.Contains(first, ".") && path != shared {
				found[path] = true
			}
		}
	}
	if got := slices.Sorted(maps.Keys(found)); !slices.Equal(got, want) {
		t.Errorf("rs imports %q, want %q", got, want)
	}
}
