package sallyport_test

import (
	"crypto/ecdsa"
	"crypto/x509"
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
	{"oidcc-rp-initiated-logout", "", basic, []string{
		"oidcc-rp-initiated-logout-discovery-endpoint-verification", "oidcc-rp-initiated-logout", "oidcc-rp-initiated-logout-no-state",
		"oidcc-rp-initiated-logout-bad-post-logout-redirect-uri", "oidcc-rp-initiated-logout-query-added-to-post-logout-redirect-uri",
		"oidcc-rp-initiated-logout-modified-id-token-hint", "oidcc-rp-initiated-logout-bad-id-token-hint", "oidcc-rp-initiated-logout-no-id-token-hint",
		"oidcc-rp-initiated-logout-no-params", "oidcc-rp-initiated-logout-no-post-logout-redirect-uri", "oidcc-rp-initiated-logout-only-state",
	}, logoutModules},
	{"oidcc-backchannel-rp-initiated-logout", "", backChannel, []string{
		"oidcc-backchannel-logout-discovery-endpoint-verification", "oidcc-backchannel-rp-initiated-logout",
	}, backChannelModules},
	{"fapi2-security-profile-final", "", fapi2, []string{ // private_key_jwt, dpop, openid_connect
		"discovery-end-point-verification", "happy-flow", "user-rejects-authentication",
		"ensure-authorization-request-without-state-success", "ensure-authorization-request-without-nonce-success",
		"ensure-authorization-request-with-64-char-nonce-success", "ensure-other-scope-order-succeeds", "test-claims-parameter-identity-claims",
		"access-token-type-header-case-sensitivity", "check-dpop-proof-nbf-exp",
		"ensure-dpopproof-with-iat-10seconds-before-succeeds", "ensure-dpopproof-with-iat-10seconds-after-succeeds",
		"ensure-mismatched-dpop-jkt-fails", "ensure-token-endpoint-fails-with-mismatched-dpop-proof-jkt",
		"ensure-token-endpoint-fails-with-mismatched-dpop-jkt", "ensure-dpopproof-at-par-endpoint-binding-success",
		"ensure-dpop-auth-code-binding-success", "ensure-different-nonce-inside-and-outside-request-object",
		"ensure-different-state-inside-and-outside-request-object", "ensure-authorization-request-with-long-nonce",
		"ensure-authorization-request-with-long-state", "state-only-outside-request-object-not-used",
		"ensure-request-object-without-redirect-uri-fails", "ensure-redirect-uri-in-authorization-request",
		"plain-fapi-tolerate-unregistered-redirect-uri", "ensure-unsigned-authorization-request-without-using-par-fails",
		"ensure-response-type-code-idtoken-fails", "ensure-response-type-token-fails", "ensure-client-id-in-token-endpoint",
		"ensure-holder-of-key-required", "ensure-authorization-code-is-bound-to-client", "attempt-reuse-authorization-code-after-one-second",
		"ensure-token-endpoint-fails-with-expired-auth-code", "ensure-signed-client-assertion-with-RS256-fails",
		"ensure-client-assertion-in-token-endpoint", "ensure-client-assertion-with-exp-is-5-minutes-in-past-fails",
		"ensure-client-assertion-with-wrong-aud-fails", "ensure-client-assertion-with-no-sub-fails", "dpop-negative-tests", "refresh-token",
		"par-ensure-reused-request-uri-prior-to-auth-completion-succeeds", "par-attempt-reuse-request_uri", "par-attempt-to-use-expired-request_uri",
		"par-ensure-jwt-client-assertions-nbf-8-seconds-in-the-future-is-accepted",
		"par-ensure-jwt-client-assertions-nbf-over-60-seconds-in-the-future-fails", "par-attempt-to-use-request_uri-for-different-client",
		"par-authorization-request-containing-request_uri-form-param", "par-attempt-invalid-http-method", "par-ensure-pkce-required",
		"par-plain-pkce-rejected", "ensure-pkce-code-verifier-required", "incorrect-pkce-code-verifier-rejected",
		"par-without-duplicate-parameters", "par-test-array-as-audience-fails", "par-test-par-endpoint-url-as-audience-fails",
		"par-test-token-endpoint-url-as-audience-fails",
	}, fapi2Modules},
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
	setUp   func(*suite)
	modules []string
	tests   map[string]func(*suite)
}

// suite is what a module runs with: the suite's browser, which fills in forms and runs no
// script, and its user, who has all claims and no second factor.
type suite struct {
	*browser
	user person
	mode string
	keys map[string]*ecdsa.PrivateKey // of clients that have one
	pool *x509.CertPool               // of certificates that the server trusts
	told *listener                    // of logouts, nil: none
}

// TestOIDF runs each module of each plan, those of a plan one after another: some move
// its clock.
func TestOIDF(t *testing.T) {
	t.Parallel()
	for _, p := range plans {
		t.Run(p.name, func(t *testing.T) {
			t.Parallel()
			pool := x509.NewCertPool()
			r := emptyRig(t, func(c *sallyport.Config) { c.Policy = []sallyport.Rule{{Require: sallyport.Off}} },
				func(c *sallyport.Config) { sallyport.ReachLoopback(c, pool) }, sallyport.LogoutsByHand)
			user := r.addPerson(t.Context(), "oidf", false)
			locale := "ko-KR"
			r.must(r.Admin().SetProfile(t.Context(), r.user("oidf"), admin.ProfileChange{Locale: &locale, Claims: everyClaim}))
			all := suite{r.browser(), user, p.mode, map[string]*ecdsa.PrivateKey{}, pool, nil}
			p.setUp(&all)
			for _, name := range p.modules {
				t.Run(name, func(t *testing.T) {
					own := *r
					own.t = t
					s := all
					s.browser = own.browser()
					s.discovery()
					p.tests[name](&s)
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
			v.mustHave(`id="username" name="username"`, `id="password" name="password"`, `<button id="login"`, `<button id="cancel"`)
			v = s.answer(v, "password", "username", s.user.login, "password", s.user.password)
		case "consent":
			v.mustHave(`<button id="allow"`, `<button id="deny"`)
			v = s.answer(v, "consent", "decision", "allow")
		default:
			return v
		}
	}
	s.t.Fatalf("page after page, the last: %s", v.body)
	return nil
}

// mustHave: a scripted browser finds what it needs by names that stay.
func (v *view) mustHave(parts ...string) {
	v.t.Helper()
	for _, part := range parts {
		if !strings.Contains(v.body, part) {
			v.t.Errorf("the page has no %s", part)
		}
	}
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
