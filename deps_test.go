package sallyport_test

import (
	"fmt"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"
)

const module = "github.com/sallyport-id/sallyport"

// allowedImports is the architecture: which of our packages a package may
// import, itself excepted. The arrows go down; "." is package sallyport.
var allowedImports = map[string][]string{
	"bench": {"internal/admin", "internal/authn", "internal/keys", "internal/store", "internal/store/sqlstore", "internal/oidc"},

	"cmd/sallyport": {".", "internal/admin", "internal/authn", "internal/clientkey", "internal/fetch", "internal/keys", "internal/logout", "internal/mail", "internal/store", "internal/store/sqlstore", "internal/oidc", "internal/policy", "rp"},

	".": {"internal/web", "internal/web/page", "internal/admin", "internal/mail", "internal/metric", "internal/clientkey", "internal/fetch", "internal/logout", "internal/flow", "internal/token", "internal/policy", "internal/rulebook",
		"internal/authn", "internal/keys", "internal/store", "internal/store/sqlstore", "internal/oidc"},

	"internal/web": {"internal/web/page", "internal/metric", "internal/admin", "internal/flow", "internal/token",
		"internal/authn", "internal/keys", "internal/store", "internal/oidc"},
	"internal/web/page": {},
	"internal/metric":   {},

	"internal/fetch":     {"internal/oidc"},
	"internal/clientkey": {"internal/fetch", "internal/oidc"},
	"internal/logout":    {"internal/keys", "internal/store", "internal/oidc"},

	"internal/mail":          {"internal/store"},
	"internal/mail/smtptest": {},

	"internal/admin": {"internal/policy", "internal/authn", "internal/keys", "internal/store", "internal/oidc"},

	"internal/flow":            {"internal/policy", "internal/authn", "internal/keys", "internal/store", "internal/oidc"},
	"internal/token":           {"internal/clientkey", "internal/flow", "internal/policy", "internal/authn", "internal/keys", "internal/store", "internal/oidc"},
	"internal/rulebook":        {"internal/policy", "internal/store"},
	"internal/policy":          {"internal/authn", "internal/store", "internal/oidc"},
	"internal/authn":           {"internal/keys", "internal/store", "internal/oidc"},
	"internal/authn/authntest": {},
	"internal/keys":            {"internal/store", "internal/oidc"},

	"internal/store/sqlstore":  {"internal/store", "internal/oidc"},
	"internal/store/storetest": {"internal/store", "internal/oidc"},
	"internal/store":           {"internal/oidc"},
	"internal/oidc":            {},

	"internal/issuer": {},
	"rp":              {"internal/issuer"},
	"rp/rptest":       {"rp"},
	"rs":              {"internal/issuer"},
	"rs/rstest":       {"rs"},
}

// onlyTestsImport are packages that no program may link.
var onlyTestsImport = []string{"internal/store/storetest", "internal/authn/authntest", "internal/mail/smtptest", "rp/rptest", "rs/rstest"}

// noTestImports: a test may import any of our packages, except that those of
// the client libraries know nothing of the server: the two readings of the
// protocol meet in the demo application, in the server's tests and in e2e.
var noTestImports = map[string][]string{
	"rp":        {".", "internal/"},
	"rp/rptest": {".", "internal/"},
	"rs":        {".", "internal/"},
	"rs/rstest": {".", "internal/"},
}

// TestImports: our packages import each other only as the architecture says.
func TestImports(t *testing.T) {
	for _, problem := range checkImports(t, os.DirFS(".")) {
		t.Error(problem)
	}
}

// TestImportsBites: the check sees what it is there for.
func TestImportsBites(t *testing.T) {
	source := func(pkg string, imports ...string) *fstest.MapFile {
		text := "package " + pkg + "\n"
		for _, i := range imports {
			text += "import _ " + strconv.Quote(path.Join(module, i)) + "\n"
		}
		return &fstest.MapFile{Data: []byte(text)}
	}
	for _, c := range []struct {
		name string
		tree fstest.MapFS
		want string // "" for no complaint
	}{
		{"down", fstest.MapFS{"internal/flow/flow.go": source("flow", "internal/policy", "internal/store")}, ""},
		{"up", fstest.MapFS{"internal/oidc/x.go": source("oidc", "internal/store")}, "internal/oidc must not import internal/store"},
		{"web from below", fstest.MapFS{"internal/flow/x.go": source("flow", "internal/web")}, "internal/flow must not import internal/web"},
		{"past the interfaces", fstest.MapFS{"internal/flow/x.go": source("flow", "internal/store/sqlstore")}, "internal/flow must not import internal/store/sqlstore"},
		{"server from rp", fstest.MapFS{"rp/x.go": source("rp", "internal/oidc")}, "rp must not import internal/oidc"},
		{"server from a test of rp", fstest.MapFS{"rp/x_test.go": source("rp_test", "")}, "tests of rp must not import ."},
		{"what rp shares with rs from a test of rp", fstest.MapFS{"rp/x_test.go": source("rp_test", "internal/issuer")}, ""},
		{"rp from the server", fstest.MapFS{"sallyport.go": source("sallyport", "rp")}, ". must not import rp"},
		{"rp from a test of the server", fstest.MapFS{"server_test.go": source("sallyport_test", "rp")}, ""},
		{"suite in a program", fstest.MapFS{"internal/store/sqlstore/x.go": source("sqlstore", "internal/store/storetest")}, "internal/store/sqlstore must not import internal/store/storetest"},
		{"suite in a test", fstest.MapFS{"internal/store/sqlstore/x_test.go": source("sqlstore", "internal/store/storetest")}, ""},
		{"new package", fstest.MapFS{"internal/util/x.go": source("util")}, "internal/util is not in the picture"},
		{"new package of tests alone", fstest.MapFS{"internal/util/x_test.go": source("util")}, "internal/util is not in the picture"},
		{"unknown import", fstest.MapFS{"internal/web/x.go": source("web", "internal/util")}, "internal/web must not import internal/util"},
		{"another module", fstest.MapFS{"e2e/go.mod": {}, "e2e/x.go": source("e2e", "internal/oidc")}, ""},
		{"test data", fstest.MapFS{"internal/oidc/testdata/x.go": source("x", "internal/web")}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := strings.Join(checkImports(t, c.tree), "\n")
			if (c.want == "") != (got == "") || !strings.Contains(got, c.want) {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

// checkImports parses every Go file of the module in the tree. It asks no
// command: a test that does keeps passing from the cache.
func checkImports(t *testing.T, tree fs.FS) (problems []string) {
	t.Helper()
	err := fs.WalkDir(tree, ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir():
			return skipDir(tree, name)
		case filepath.Ext(name) == ".go":
			found, err := checkFile(tree, name)
			problems = append(problems, found...)
			return err
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return slices.Compact(problems)
}

// skipDir leaves out what the go command does: test data, hidden directories
// and other modules.
func skipDir(tree fs.FS, dir string) error {
	base := path.Base(dir)
	if dir == "." {
		return nil
	}
	if base == "testdata" || strings.HasPrefix(base, ".") || strings.HasPrefix(base, "_") {
		return fs.SkipDir
	}
	if _, err := fs.Stat(tree, path.Join(dir, "go.mod")); err == nil {
		return fs.SkipDir
	}
	return nil
}

func checkFile(tree fs.FS, name string) (problems []string, err error) {
	pkg := path.Dir(name)
	allowed, known := allowedImports[pkg]
	if !known {
		return []string{pkg + " is not in the picture: add it to allowedImports"}, nil
	}
	text, err := fs.ReadFile(tree, name)
	if err != nil {
		return nil, err
	}
	file, err := parser.ParseFile(token.NewFileSet(), name, text, parser.ImportsOnly)
	if err != nil {
		return nil, err
	}
	isTest := strings.HasSuffix(name, "_test.go")
	for _, spec := range file.Imports {
		imported, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			return nil, err
		}
		to, ours := ourPackage(imported)
		switch {
		case !ours || to == pkg:
		case isTest && testMayImport(pkg, to):
		case isTest:
			problems = append(problems, fmt.Sprintf("tests of %s must not import %s (%s)", pkg, to, name))
		case !slices.Contains(allowed, to) || slices.Contains(onlyTestsImport, to):
			problems = append(problems, fmt.Sprintf("%s must not import %s (%s)", pkg, to, name))
		}
	}
	return problems, nil
}

func ourPackage(imported string) (pkg string, ours bool) {
	if imported == module {
		return ".", true
	}
	return strings.CutPrefix(imported, module+"/")
}

func testMayImport(pkg, to string) bool {
	if _, known := allowedImports[to]; !known {
		return false
	}
	if slices.Contains(allowedImports[pkg], to) {
		return true
	}
	return !slices.ContainsFunc(noTestImports[pkg], func(f string) bool {
		return to == f || strings.HasSuffix(f, "/") && strings.HasPrefix(to, f)
	})
}
