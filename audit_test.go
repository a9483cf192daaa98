package sallyport_test

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"net/url"
	"os"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-id/sallyport/internal/store"
)

// eventConstants are the constants of package store that name a type.
func eventConstants(t *testing.T) (types []string) {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "internal/store/events.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok {
			return true
		}
		for i, name := range spec.Names {
			if value, ok := spec.Values[i].(*ast.BasicLit); ok && strings.HasPrefix(name.Name, "Event") {
				text, err := strconv.Unquote(value.Value)
				if err != nil {
					t.Fatal(err)
				}
				types = append(types, text)
			}
		}
		return true
	})
	return types
}

// TestEventTypesAreDocumented: the constants, what the command line takes, and the
// table of the document are one list.
func TestEventTypesAreDocumented(t *testing.T) {
	text, err := os.ReadFile("docs/operate/audit.md")
	if err != nil {
		t.Fatal(err)
	}
	_, table, _ := strings.Cut(string(text), "\n## Types\n")
	var documented []string
	for _, m := range regexp.MustCompile("(?m)^\\| `([^`]+)` \\|").FindAllStringSubmatch(table, -1) {
		documented = append(documented, m[1])
	}
	if constants := eventConstants(t); !slices.Equal(constants, store.EventTypes()) {
		t.Errorf("the constants are %q, EventTypes %q", constants, store.EventTypes())
	}
	sorted := slices.Sorted(slices.Values(store.EventTypes()))
	if slices.Sort(documented); !slices.Equal(documented, sorted) {
		t.Errorf("docs/operate/audit.md has %q, want %q", documented, sorted)
	}
}

// TestEventTypesAreConstants: no type is written where it is used.
func TestEventTypesAreConstants(t *testing.T) {
	families := map[string]bool{}
	for _, kind := range store.EventTypes() {
		family, _, _ := strings.Cut(kind, ".")
		families[family] = true
	}
	literal := regexp.MustCompile(`"([a-z]+)\.[a-z]+(?:\.[a-z]+)*"`)
	walkFiles(t, ".go", func(name, text string) {
		switch dir := path.Dir(name); {
		case strings.HasSuffix(name, "_test.go"), name == "internal/store/events.go", dir == "internal/store/storetest":
			return
		case !strings.HasPrefix(dir, "internal/"), dir == "internal/web/page":
			return
		}
		for _, m := range literal.FindAllStringSubmatch(text, -1) {
			if families[m[1]] {
				t.Errorf("%s: %s belongs into internal/store/events.go, and into docs/operate/audit.md", name, m[0])
			}
		}
	})
}

// trail is the audit log without what differs from run to run, the oldest first.
func (r *rig) trail(since store.Event, sora string) (lines []string, last store.Event) {
	r.t.Helper()
	events, err := r.Store().Events(r.t.Context(), store.EventQuery{OldestFirst: true, After: since, Limit: 1000})
	if err != nil {
		r.t.Fatal(err)
	}
	names := map[string]string{r.mina.id: "mina", r.joon.id: "joon", sora: "sora"}
	names[""] = "-"
	for _, e := range events {
		last = e
		detail := e.Detail
		if strings.HasPrefix(e.Type, "token.") {
			detail = "-" // the grant's id
		}
		if detail != "" && strings.HasPrefix(e.Type, "invitation.") {
			detail = "-" // the link's
		}
		if operator := e.Type == store.EventUserCreated || e.Type == store.EventInvitationMade; operator != (e.RequestID == "") || operator == (e.Address == "127.0.0.1") {
			r.t.Errorf("%s: got address %q, request %q", e.Type, e.Address, e.RequestID)
		}
		lines = append(lines, fmt.Sprintf("%s user=%s client=%s session=%t detail=%q", e.Type, names[e.UserID], e.ClientID, e.Session != "", detail))
	}
	return lines, last
}

// TestAuditTrail: what people and clients do is recorded, each thing once.
func TestAuditTrail(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	all, err := r.Store().Events(t.Context(), store.EventQuery{Limit: 1})
	if err != nil {
		t.Fatal(err)
	}
	at := all[0] // behind what made the rig
	var got bytes.Buffer
	var sora invited
	step := func(what string, do func()) {
		t.Helper()
		do()
		lines, last := r.trail(at, sora.id)
		if last.ID != 0 {
			at = last
		}
		fmt.Fprintf(&got, "# %s\n%s\n\n", what, strings.Join(lines, "\n"))
	}
	b := r.browser()
	var v *view
	var issued tokens
	used := ""
	step("wrong passwords, of nobody and of mina", func() {
		v = b.authorize("asks")
		v = b.answer(v, "password", "username", "nobody", "password", "wrong").mustStep("login", 422)
		v = b.answer(v, "password", "username", "mina", "password", "wrong").mustStep("login", 422)
	})
	step("the right one", func() { v = b.answer(v, "password", "username", "mina", "password", r.mina.password) })
	step("a wrong code", func() { v = b.answer(v, "totp", "code", r.code(r.mina.totp, 9)).mustStep("second_factor", 422) })
	step("the right one, and consent", func() {
		used = r.code(r.mina.totp, 0)
		v = b.answer(v, "totp", "code", used).mustStep("consent", 200)
		v = b.answer(v, "consent", "decision", "allow")
	})
	step("the code, twice", func() {
		code := v.mustCode()
		r.redeem("asks", code)
		r.redeem("asks", code)
	})
	step("a refresh, rotated, and the old token again", func() {
		issued = r.token("", url.Values{"grant_type": {"authorization_code"}, "client_id": {"spa"}, "code": {b.authorize("spa").mustCode()},
			"redirect_uri": {callback}, "code_verifier": {verifier}})
		refresh := url.Values{"grant_type": {"refresh_token"}, "client_id": {"spa"}, "refresh_token": {issued.Refresh}}
		next := r.token("", refresh)
		r.token("", url.Values{"grant_type": {"refresh_token"}, "client_id": {"spa"}, "refresh_token": {next.Refresh}})
		r.token("", refresh)
	})
	step("a client's wrong secret, and nobody's", func() {
		r.secret["nobody"] = "x"
		was := r.secret["web"]
		r.secret["web"] = "wrong"
		r.token("web", url.Values{"grant_type": {"refresh_token"}, "refresh_token": {"x"}})
		r.token("nobody", url.Values{"grant_type": {"refresh_token"}, "refresh_token": {"x"}})
		r.secret["web"] = was
	})
	step("the used code in another browser, and a recovery code", func() {
		other := r.browser()
		v = other.answer(other.authorize("web"), "password", "username", "mina", "password", r.mina.password)
		other.answer(v, "totp", "code", used).mustStep("second_factor", 422)
		other.recover(v, r.mina.recovery[0]).mustCode()
	})
	var issuedToWeb tokens
	step("joon enrols", func() {
		b = r.browser()
		v = b.answer(b.authorize("web"), "password", "username", "joon", "password", r.joon.password)
		v = b.app(v)
		secret := shownKey(t, v)
		b.answer(v, "enroll", "code", "000000").mustStep("enroll", 422)
		v = b.answer(v, "enroll", "code", r.code(secret, 0)).mustStep("save_codes", 200)
		issuedToWeb = r.redeem("web", b.answer(v, "saved", "saved", "1").mustCode())
	})
	step("a client ends what it has", func() { r.revoke("web", issuedToWeb.Refresh) })
	step("mina signs in where joon is", func() {
		r.clock.advance(time.Minute)
		v = b.authorize("web", "prompt", "login")
		v = b.answer(v, "password", "username", "mina", "password", r.mina.password).mustStep("second_factor", 200)
	})
	step("and cancels", func() { b.answer(v, "cancel").mustRefuse("access_denied") })
	step("sora is invited, mistypes the code, and sets up the account", func() {
		sora = r.invite("sora")
		b = r.browser()
		v := b.app(b.choose(b.get(sora.path), sora.password))
		b.answer(v, "enroll", "code", "000000").mustStep("enroll", 422)
		b.answer(v, "enroll", "code", r.code(shownKey(t, v), 0)).mustStep("save_codes", 200)
	})
	step("nobody is asked", func() { r.browser().authorize("web", "prompt", "none").mustRefuse("login_required") })
	golden(t, "audit.txt", got.Bytes())
}
