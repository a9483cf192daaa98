package sallyport_test

import (
	"net/http"
	"net/netip"
	"net/url"
	"path/filepath"
	"testing"
	"time"

	"github.com/sallyport-id/sallyport"
	"github.com/sallyport-id/sallyport/internal/oidc"
)

// under is a rig with rules; database is "" for one of its own.
func under(t *testing.T, database string, rules ...sallyport.Rule) *rig {
	t.Helper()
	change := func(c *sallyport.Config) {
		c.Policy = rules
		if database != "" {
			c.Database = database
		}
	}
	return newRig(t, change)
}

// again is another server on the rig's database, with other rules, after the first
// has ended.
func (r *rig) again(t *testing.T, database string, rules ...sallyport.Rule) *rig {
	t.Helper()
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	next := emptyRig(t, func(c *sallyport.Config) { c.Database, c.Policy = database, rules })
	next.mina, next.joon, next.secret = r.mina, r.joon, r.secret
	return next
}

// TestRequirementsAtTheServer: each requirement, of who has a second factor and of who
// has none.
func TestRequirementsAtTheServer(t *testing.T) {
	t.Parallel()
	for require, want := range map[sallyport.Requirement]struct{ mina, joon string }{
		"":                          {"second_factor", "enroll"},
		sallyport.Required:          {"second_factor", "enroll"},
		sallyport.Off:               {"", ""},
		sallyport.Optional:          {"second_factor", ""},
		sallyport.PhishingResistant: {"refused", "refused"},
		sallyport.HardwareBound:     {"refused", "refused"},
	} {
		t.Run(string(require), func(t *testing.T) {
			t.Parallel()
			r := newRig(t, func(c *sallyport.Config) {
				c.Policy = []sallyport.Rule{{Require: require}}
				if require == sallyport.HardwareBound {
					c.Metadata = &newMakes(t).config
				}
			})
			for p, want := range map[*person]string{&r.mina: want.mina, &r.joon: want.joon} {
				b := r.browser()
				v := b.answer(b.authorize("web"), "password", "username", p.login, "password", p.password)
				switch want {
				case "":
					if got := proven(t, r.redeem("web", v.mustCode())); got != "urn:sallyport:acr:1fa [pwd]" {
						t.Errorf("%s: got %s", p.login, got)
					}
				case "refused":
					v.mustStep("refuse", 200)
				default:
					v.mustStep(want, 200)
				}
				b = r.browser() // the tutorial's client has a floor under every rule
				v = b.authorize("tutorial", "scope", "openid", "code_challenge", "", "code_challenge_method", "")
				if v = b.answer(v, "password", "username", p.login, "password", p.password); v.location != nil {
					t.Errorf("%s at the tutorial's client: got %v after a password", p.login, v.location)
				}
			}
		})
	}
}

// TestRulesByGroupAndNetwork: groups count at the next request, and of the network
// only what the connection, or a trusted proxy, says.
func TestRulesByGroupAndNetwork(t *testing.T) {
	t.Parallel()
	r := under(t, "",
		sallyport.Rule{Groups: []string{"admins"}},
		sallyport.Rule{Clients: []string{"asks"}},
		sallyport.Rule{Networks: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}},
		sallyport.Rule{Require: sallyport.Off})
	b := r.browser()
	got := r.redeem("web", b.answer(b.authorize("web", "scope", "openid offline_access", "prompt", "consent"), "password", "username", "mina", "password", r.mina.password).mustConsent(b).mustCode())
	b.authorize("asks").mustStep("second_factor", 200)
	b.authorize("web").mustCode()
	r.must(r.Store().SetGroups(t.Context(), r.mina.id, []string{"staff", "admins"}))
	b.authorize("web").mustStep("second_factor", 200)
	if status, _ := r.userinfo(got.Access); status != 401 {
		t.Errorf("the token of before: got %d, want 401: the user is an admin now", status)
	}
	refresh := url.Values{"grant_type": {"refresh_token"}, "refresh_token": {got.Refresh}}
	if got := r.token("web", refresh); got.Error != oidc.InvalidGrant {
		t.Errorf("the refresh token of before: got %+v", got)
	}
	r.must(r.Store().SetGroups(t.Context(), r.mina.id, nil))
	if got := r.token("web", refresh); got.status != 200 {
		t.Errorf("no admin any more: got %+v", got)
	}
}

// forwarded is a way to the server on which an address is claimed.
type forwarded string

// RoundTrip implements http.RoundTripper.
func (f forwarded) RoundTrip(r *http.Request) (*http.Response, error) {
	r.Header.Set("X-Forwarded-For", string(f))
	return http.DefaultTransport.RoundTrip(r)
}

// TestRulesByNetworkBehindAProxy: an address that the browser makes up is none.
func TestRulesByNetworkBehindAProxy(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		trusted []netip.Prefix
		asked   bool
	}{
		"from a trusted proxy": {[]netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}, false},
		"from anybody":         {nil, true},
	} {
		r := newRig(t, func(config *sallyport.Config) {
			config.TrustedProxies = c.trusted
			config.Policy = []sallyport.Rule{{Networks: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}, Require: sallyport.Off}}
		})
		b := r.browser()
		b.http.Transport = forwarded("10.1.2.3")
		v := b.answer(b.authorize("web"), "password", "username", "mina", "password", r.mina.password)
		if c.asked {
			v.mustStep("second_factor", 200)
			continue
		}
		got := r.redeem("web", v.mustCode())
		if status, _ := r.userinfo(got.Access); status != 200 {
			t.Errorf("%s: a token of the office, used elsewhere: got %d", name, status)
		}
	}
}

// TestRule13StricterRulesStopOldGrants: requirement, methods and floor, one at a time;
// a laxer rule makes none worth more.
func TestRule13StricterRulesStopOldGrants(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		rule sallyport.Rule
		good bool
	}{
		"the same":                     {sallyport.Rule{}, true},
		"a laxer one":                  {sallyport.Rule{Require: sallyport.Off}, true},
		"another requirement":          {sallyport.Rule{Require: sallyport.PhishingResistant}, false},
		"without the method":           {sallyport.Rule{Methods: []string{"webauthn"}}, false},
		"with the method":              {sallyport.Rule{Methods: []string{"totp"}}, true},
		"an age, which is of sign-ins": {sallyport.Rule{MaxAge: time.Minute}, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			database := newDatabase(t)
			r := under(t, database)
			b := r.browser()
			v := b.signIn(r.mina, b.authorize("web", "scope", "openid offline_access", "prompt", "consent"))
			before := r.redeem("web", v.mustConsent(b).mustCode())
			r = r.again(t, database, c.rule)
			r.clock.advance(5 * time.Minute)
			status, _ := r.userinfo(before.Access)
			got := r.token("web", url.Values{"grant_type": {"refresh_token"}, "refresh_token": {before.Refresh}})
			if (status == 200) != c.good || (got.status == 200) != c.good {
				t.Errorf("got %d at userinfo and %+v", status, got)
			}
			if c.good && proven(t, got) != "urn:sallyport:acr:2fa [pwd otp mfa]" {
				t.Errorf("got %s", proven(t, got))
			}
		})
	}
}

// TestRule1ExcludedFactorIsStillOne: who has a factor that the rule does not accept is
// not somebody who has none.
func TestRule1ExcludedFactorIsStillOne(t *testing.T) {
	t.Parallel()
	r := under(t, "", sallyport.Rule{Methods: []string{"webauthn"}})
	b := r.browser()
	v := b.answer(b.authorize("web"), "password", "username", "mina", "password", r.mina.password)
	v.mustStep("refuse", 200)
	v = b.post(v.page()+"/register", url.Values{"answer": {"{}"}})
	if v.location != nil || v.step() == "save_codes" {
		t.Errorf("a registration all the same: got step %q %v", v.step(), v.location)
	}
	joons := r.browser()
	v = joons.answer(joons.authorize("web"), "password", "username", "joon", "password", r.joon.password).mustStep("enroll", 200)
	v = joons.get(v.page()+"?method=totp").mustStep("enroll", 200) // not offered
	if !optionsOnPage.MatchString(v.body) {
		t.Error("the page offers the app, which the rule does not accept")
	}
}

// TestMaxAgeOfARule: older proofs do not count at a sign-in.
func TestMaxAgeOfARule(t *testing.T) {
	t.Parallel()
	r := under(t, "", sallyport.Rule{Clients: []string{"web"}, MaxAge: 10 * time.Minute})
	b := r.browser()
	b.signIn(r.mina, b.authorize("web")).mustCode()
	r.clock.advance(9 * time.Minute)
	b.authorize("web", "prompt", "none").mustCode()
	r.clock.advance(2 * time.Minute)
	b.authorize("web", "prompt", "none").mustRefuse(oidc.LoginRequired)
	b.authorize("eddsa").mustCode() // no rule of another client
	b.signIn(r.mina, b.authorize("web")).mustCode()
}

// TestRule22Grace: a first second factor may be put off, once in a life, where nobody
// asks for more than a password; it makes nothing worth more, and it ends.
func TestRule22Grace(t *testing.T) {
	t.Parallel()
	r := under(t, "", sallyport.Rule{GraceDays: 7})
	b := r.browser()
	v := b.answer(b.authorize("web", "scope", "openid offline_access", "prompt", "consent"), "password", "username", "joon", "password", r.joon.password).mustStep("enroll", 200)
	got := r.redeem("web", b.answer(v, "later").mustConsent(b).mustCode())
	if proven(t, got) != "urn:sallyport:acr:1fa [pwd]" {
		t.Errorf("got %s, want one factor", proven(t, got))
	}
	until := r.user("joon").GraceUntil
	if want := r.clock.Now().Add(7 * 24 * time.Hour); until.After(want) || until.Before(want.Add(-time.Minute)) {
		t.Errorf("got grace until %v, want %v", until, want)
	}
	// Each sign-in asks again, and putting it off again moves nothing.
	b.authorize("web", "prompt", "none").mustRefuse(oidc.LoginRequired)
	r.clock.advance(24 * time.Hour)
	b = r.browser()
	v = b.answer(b.authorize("web"), "password", "username", "joon", "password", r.joon.password).mustStep("enroll", 200)
	b.answer(v, "later").mustCode()
	if again := r.user("joon").GraceUntil; !again.Equal(until) {
		t.Errorf("got grace until %v, want %v still", again, until)
	}
	// Who asks for more is not put off.
	for _, ask := range [][]string{{"acr_values", oidc.ACR1FA}, {"acr_values", oidc.ACR2FA}, {"max_age", "3600"}, {"prompt", "login"}} {
		b := r.browser()
		v := b.answer(b.authorize("web", ask...), "password", "username", "joon", "password", r.joon.password).mustStep("enroll", 200)
		fields := v.fields("register")
		if v := b.post(v.page()+"/later", fields); v.location != nil {
			t.Errorf("%v: put off all the same: %v", ask, v.location)
		}
	}
	b = r.browser()
	v = b.authorize("tutorial", "scope", "openid", "code_challenge", "", "code_challenge_method", "")
	v = b.answer(v, "password", "username", "joon", "password", r.joon.password).mustStep("enroll", 200)
	if v := b.post(v.page()+"/later", v.fields("register")); v.location != nil {
		t.Errorf("at the tutorial's client: put off all the same: %v", v.location)
	}
	refresh := url.Values{"grant_type": {"refresh_token"}, "refresh_token": {got.Refresh}}
	if got := r.token("web", refresh); got.status != 200 {
		t.Errorf("refresh in the grace: got %+v", got)
	}
	// It ends, for what was granted, too, and is no reason to start it anew.
	r.clock.advance(7 * 24 * time.Hour)
	if got := r.token("web", refresh); got.Error != oidc.InvalidGrant {
		t.Errorf("refresh after the grace: got %+v", got)
	}
	b = r.browser()
	v = b.answer(b.authorize("web"), "password", "username", "joon", "password", r.joon.password).mustStep("enroll", 200)
	if v := b.post(v.page()+"/later", v.fields("register")); v.location != nil {
		t.Errorf("after the grace: put off all the same: %v", v.location)
	}
}

// TestRule22GraceEndsWithTheFactor: and with what was granted in it.
func TestRule22GraceEndsWithTheFactor(t *testing.T) {
	t.Parallel()
	r := under(t, "", sallyport.Rule{GraceDays: 7})
	b := r.browser()
	v := b.answer(b.authorize("web", "scope", "openid offline_access", "prompt", "consent"), "password", "username", "joon", "password", r.joon.password)
	got := r.redeem("web", b.answer(v.mustStep("enroll", 200), "later").mustConsent(b).mustCode())
	other := r.browser()
	v = other.app(other.answer(other.authorize("web"), "password", "username", "joon", "password", r.joon.password))
	other.answer(v, "enroll", "code", r.code(shownKey(t, v), 0)).mustStep("save_codes", 200)
	if got := r.token("web", url.Values{"grant_type": {"refresh_token"}, "refresh_token": {got.Refresh}}); got.Error != oidc.InvalidGrant {
		t.Errorf("what was granted with one factor, after the second: got %+v", got)
	}
	b.authorize("web").mustStep("second_factor", 200)
}

// TestRulesAreChecked: a server with a rule that cannot work does not start.
func TestRulesAreChecked(t *testing.T) {
	t.Parallel()
	_, err := sallyport.New(t.Context(), sallyport.Config{
		Issuer: "https://id.example.com", Database: filepath.Join(t.TempDir(), "x.db"), MasterKey: make([]byte, 32),
		Policy: []sallyport.Rule{{Name: "staff", Require: "much"}},
	})
	if err == nil || err.Error() != `sallyport: policy: rule staff: require is "much", and must be off, optional, required, phishing-resistant or hardware-bound` {
		t.Errorf("got %v", err)
	}
}
