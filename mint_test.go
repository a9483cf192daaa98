package sallyport_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path"
	"slices"
	"strings"
	"testing"
)

// minters are the functions that make a token durable or sign one, and the only
// ones that may call each. A user's token is made by issue alone, behind
// policy.Allows; a client's own by issueToClient alone, which knows no user.
var minters = map[string][]string{
	"RedeemCode":       {"internal/token redeemCode"}, // as the write that issue does
	"IssueAccess":      {"internal/token refresh"},
	"RotateRefresh":    {"internal/token refresh"},
	"RedeemDeviceCode": {"internal/token redeemDevice"},
	"issue":            {"internal/token redeemCode", "internal/token redeemDevice", "internal/token refresh"},
	"IssueClientToken": {"internal/token issueToClient"},
	"issueToClient":    {"internal/token clientCredentials"},
	"mint":             {"internal/token issueToClient", "internal/token newAccess"},
	"newAccess":        {"internal/token issue"},
	"newRefresh":       {"internal/token issue"},
	"logoutToken":      {"internal/logout Send"},
}

// TestEveryMinterIsKnown lists every caller that makes a token.
func TestEveryMinterIsKnown(t *testing.T) {
	t.Parallel()
	got := map[string][]string{}
	walkFiles(t, ".go", func(name, text string) {
		dir := path.Dir(name)
		if strings.HasSuffix(name, "_test.go") || dir == "internal/store/storetest" || !strings.HasPrefix(dir+"/", "internal/") && dir != "." {
			return
		}
		for _, c := range callers(t, name, text) {
			if _, mints := minters[c.called]; mints && !slices.Contains(got[c.called], dir+" "+c.by) {
				got[c.called] = append(got[c.called], dir+" "+c.by)
			}
		}
	})
	for _, called := range slices.Sorted(maps.Keys(minters)) {
		if slices.Sort(got[called]); !slices.Equal(got[called], minters[called]) {
			t.Errorf("%s is called by %q, want %q", called, got[called], minters[called])
		}
	}
}

// TestEveryUserTokenPassesThePolicy: issue asks it before anything else, of the rules
// of that moment.
func TestEveryUserTokenPassesThePolicy(t *testing.T) {
	t.Parallel()
	text, err := fs.ReadFile(os.DirFS("."), "internal/token/issue.go")
	if err != nil {
		t.Fatal(err)
	}
	calls := map[string][]string{}
	for _, c := range callers(t, "issue.go", string(text)) {
		calls[c.by] = append(calls[c.by], c.called)
	}
	if first := calls["issue"][0]; first != "allow" {
		t.Errorf("issue calls %s first, want allow", first)
	}
	if got := calls["allow"]; got[0] != "Policy" || !slices.Contains(got, "Allows") {
		t.Errorf("allow calls %q, want Policy first, and Allows", got)
	}
}

type call struct{ by, called string }

// callers are the calls in a file, in order, each with the function around it.
func callers(t *testing.T, name, text string) (calls []call) {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), name, text, 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range file.Decls {
		f, ok := d.(*ast.FuncDecl)
		if !ok {
			continue
		}
		ast.Inspect(f, func(n ast.Node) bool {
			if c, ok := n.(*ast.CallExpr); ok {
				calls = append(calls, call{f.Name.Name, calledName(c.Fun)})
			}
			return true
		})
	}
	return calls
}

func calledName(fun ast.Expr) string {
	switch f := fun.(type) {
	case *ast.SelectorExpr:
		return f.Sel.Name
	case *ast.Ident:
		return f.Name
	}
	return ""
}
