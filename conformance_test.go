package sallyport_test

import (
	"maps"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/sallyport-id/sallyport"
	"github.com/sallyport-id/sallyport/internal/admin"
	"github.com/sallyport-id/sallyport/internal/oidc"
)

// The modules of the OpenID Foundation's conformance suite, by its names. Each is a
// test here of what the suite demands of a server, with the real server: its warnings
// are failures. What the suite skips for a server like this one is a test that the
// metadata say why.
var plans = []plan{
	{"oidcc-config", "", basic, []string{
		"oidcc-discovery-endpoint-verification",
	}, configModules},
	{"oidcc-basic", "", basic, basicNames, basicModules},
	{"oidcc-formpost-basic", oidc.ResponseModeFormPost, basic, basicNames, basicModules},
}

var basicNames = []string{
	"oidcc-server", "oidcc-response-type-missing", "oidcc-idtoken-signature", "oidcc-idtoken-unsigned",
	"oidcc-userinfo-get", "oidcc-userinfo-post-header", "oidcc-userinfo-post-body",
	"oidcc-ensure-request-without-nonce-succeeds-for-code-flow",
	"oidcc-scope-profile", "oidcc-scope-email", "oidcc-scope-address", "oidcc-scope-phone", "oidcc-scope-all",
	"oidcc-alternate-happy-flow", "oidcc-display-page", "oidcc-display-popup",
	"oidcc-prompt-login", "oidcc-prompt-none-not-logged-in", "oidcc-prompt-none-logged-in", "oidcc-max-age-1", "oidcc-max-age-10000",
	"oidcc-ensure-request-with-unknown-parameter-succeeds", "oidcc-id-token-hint", "oidcc-login-hint", "oidcc-ui-locales", "oidcc-claims-locales",
	"oidcc-ensure-request-with-acr-values-succeeds", "oidcc-codereuse", "oidcc-codereuse-30seconds",
	"oidcc-ensure-registered-redirect-uri", "oidcc-ensure-post-request-succeeds", "oidcc-server-client-secret-post",
	"oidcc-request-uri-unsigned-supported-correctly-or-rejected-as-unsupported",
	"oidcc-unsigned-request-object-supported-correctly-or-rejected-as-unsupported",
	"oidcc-claims-essential", "oidcc-ensure-request-object-with-redirect-uri", "oidcc-refresh-token",
	"oidcc-ensure-request-with-valid-pkce-succeeds",
}

type plan struct {
	name    string
	mode    string // response_mode of its requests
	setUp   func(*rig)
	modules []string
	tests   map[string]func(*suite)
}

// suite is what a module runs with: the suite's browser, which fills in forms and runs no
// script, and its user, who has all claims and no second factor.
type suite struct {
	*browser
	user person
	mode string
}

// TestOIDF runs each module of each plan, those of a plan one after another: some move
// its clock.
func TestOIDF(t *testing.T) {
	t.Parallel()
	for _, p := range plans {
		t.Run(p.name, func(t *testing.T) {
			t.Parallel()
			r := emptyRig(t, func(c *sallyport.Config) { c.Policy = []sallyport.Rule{{Require: sallyport.Off}} })
			user := r.addPerson(t.Context(), "oidf", false)
			locale := "ko-KR"
			r.must(r.Admin().SetProfile(t.Context(), r.user("oidf"), admin.ProfileChange{Locale: &locale, Claims: everyClaim}))
			p.setUp(r)
			for _, name := range p.modules {
				t.Run(name, func(t *testing.T) {
					own := *r
					own.t = t
					s := &suite{own.browser(), user, p.mode}
					s.discovery()
					p.tests[name](s)
				})
			}
		})
	}
}

// Each module has a test, and each test is of a module.
func TestOIDFIsComplete(t *testing.T) {
	t.Parallel()
	for _, p := range plans {
		if got, want := slices.Sorted(maps.Keys(p.tests)), slices.Sorted(slices.Values(p.modules)); !slices.Equal(got, want) {
			t.Errorf("%s: got tests of\n%s\nwant\n%s", p.name, strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
	}
}

// through fills in page after page, until the browser is at the client.
func (s *suite) through(v *view) *view {
	s.t.Helper()
	for range 5 {
		switch v.step() {
		case "login":
			v = s.answer(v, "password", "username", s.user.login, "password", s.user.password)
		case "consent":
			v = s.answer(v, "consent", "decision", "allow")
		default:
			return v
		}
	}
	s.t.Fatalf("page after page, the last: %s", v.body)
	return nil
}

func (s *suite) open(request url.Values) *view {
	s.t.Helper()
	return s.get("/authorize?" + request.Encode())
}

// changed is a form with pairs of names and values in the place of its own; "" takes
// one away.
func changed(form url.Values, change ...string) url.Values {
	form = maps.Clone(form)
	for i := 0; i < len(change); i += 2 {
		if form.Set(change[i], change[i+1]); change[i+1] == "" {
			form.Del(change[i])
		}
	}
	return form
}
