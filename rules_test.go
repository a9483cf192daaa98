package sallyport_test

import (
	"errors"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-id/sallyport"
	"github.com/sallyport-id/sallyport/internal/policy"
)

// setRules replaces the rules in the database, as an operator's command does.
func (r *rig) setRules(rules ...policy.Rule) {
	r.t.Helper()
	_, version, err := r.Store().Rules(r.t.Context())
	r.must(err)
	_, err = r.Admin().SetRules(r.t.Context(), rules, version)
	r.must(err)
}

// beside is another server on the rig's database, with its clock.
func (r *rig) beside(database string) *rig {
	r.t.Helper()
	other := emptyRig(r.t, func(c *sallyport.Config) { c.Database, c.Now = database, r.clock.Now })
	other.mina, other.joon, other.secret = r.mina, r.joon, r.secret
	return other
}

// before are tokens of an offline grant of web, and one of portal for an API.
type before struct{ access, refresh, api string }

func (b before) again() url.Values {
	return url.Values{"grant_type": {"refresh_token"}, "refresh_token": {b.refresh}} // web's is not rotated
}

func (r *rig) grants() (got before) {
	r.t.Helper()
	b := r.browser()
	web := r.redeem("web", b.signIn(r.mina, b.authorize("web", "scope", "openid offline_access", "prompt", "consent")).mustConsent(b).mustCode())
	v := b.authorize("portal", "resource", orders, "scope", "openid orders:read").mustConsent(b)
	return before{web.Access, web.Refresh, r.redeem("portal", v.mustCode()).Access}
}

// opens says which doors the server opens to tokens of before.
func (r *rig) opens(got before) string {
	r.t.Helper()
	var open []string
	if status, _ := r.userinfo(got.access); status == 200 {
		open = append(open, "userinfo")
	}
	if r.introspect("orders", got.api)["active"] == true {
		open = append(open, "introspection")
	}
	if r.token("web", got.again()).status == 200 {
		open = append(open, "refresh")
	}
	return strings.Join(open, " ")
}

// TestRule13RulesOfTheDatabaseStopOldGrants: at every server of a database, a second
// after they were set, as they do at a sign-in; and laxer ones make nothing worth more.
func TestRule13RulesOfTheDatabaseStopOldGrants(t *testing.T) {
	t.Parallel()
	const all = "userinfo introspection refresh"
	database := newDatabase(t)
	r := newRig(t, func(c *sallyport.Config) { c.Database = database })
	other := r.beside(database)
	got := r.grants()
	for _, c := range []struct {
		what  string
		rules []policy.Rule
		open  string
		step  string // after the password
	}{
		{"none yet", nil, all, "second_factor"},
		{"a stricter one", []policy.Rule{{Require: policy.PhishingResistant}}, "", "refuse"},
		{"without the method", []policy.Rule{{Methods: []string{"webauthn"}}}, "", "refuse"},
		{"for another client", []policy.Rule{{Clients: []string{"spa"}, Require: policy.PhishingResistant}}, all, "second_factor"},
		{"a laxer one", []policy.Rule{{Require: policy.Off}}, all, ""},
		{"none again", nil, all, "second_factor"},
	} {
		if c.what != "none yet" {
			r.setRules(c.rules...)
		}
		r.clock.advance(time.Second)
		for at, server := range map[string]*rig{"where they were set": r, "beside": other} {
			if open := server.opens(got); open != c.open {
				t.Errorf("%s, %s: %q opens to old tokens, want %q", c.what, at, open, c.open)
			}
			b := server.browser()
			v := b.answer(b.authorize("web"), "password", "username", "mina", "password", r.mina.password)
			if c.step == "" {
				v.mustCode()
				continue
			}
			v.mustStep(c.step, 200)
		}
	}
	if next := r.token("web", got.again()); proven(t, next) != "urn:sallyport:acr:2fa [pwd otp mfa]" {
		t.Errorf("got %s", proven(t, next))
	}
}

// TestConfiguredRulesAreNotTheDatabases: where the configuration has rules, be they
// none, the database's do not apply.
func TestConfiguredRulesAreNotTheDatabases(t *testing.T) {
	t.Parallel()
	for name, rules := range map[string][]sallyport.Rule{"some": {{Require: sallyport.Required}}, "an empty list": {}} {
		r := newRig(t, func(c *sallyport.Config) { c.Policy = rules })
		r.setRules(policy.Rule{Require: policy.Off})
		r.clock.advance(time.Second)
		b := r.browser()
		if v := b.answer(b.authorize("web"), "password", "username", "mina", "password", r.mina.password); v.step() != "second_factor" {
			t.Errorf("%s: got step %q, want second_factor", name, v.step())
		}
	}
}

// TestPasswordsFollowTheRules: one that may be all that is asked for is longer, from
// the moment at which it may be.
func TestPasswordsFollowTheRules(t *testing.T) {
	t.Parallel()
	const short = "otter-vowel-9"
	r := newRig(t)
	in := r.invite("sora")
	r.setRules(policy.Rule{GraceDays: 7})
	r.clock.advance(time.Second)
	b := r.browser()
	if v := b.choose(b.get(in.path), short); v.status != 422 {
		t.Errorf("a password of 13 characters, which may be all that is asked for: got %d", v.status)
	}
	r.setRules()
	r.clock.advance(time.Second)
	b.choose(b.get(in.path), short).mustStep("enroll", 200)
}

// TestRulesThatNobodyUnderstands: a server that runs keeps its last ones and is not
// ready; none starts on them.
func TestRulesThatNobodyUnderstands(t *testing.T) {
	t.Parallel()
	database := newDatabase(t)
	r := newRig(t, func(c *sallyport.Config) { c.Database = database })
	r.setRules(policy.Rule{Require: policy.PhishingResistant})
	r.clock.advance(time.Second)
	mustAsk := func(what, want string) {
		t.Helper()
		b := r.browser()
		if v := b.answer(b.authorize("web"), "password", "username", "mina", "password", r.mina.password); v.step() != want {
			t.Errorf("%s: got step %q, want %q", what, v.step(), want)
		}
	}
	mustAsk("before", "refuse")
	r.must(r.Store().SetRules(t.Context(), `[{"require":"off","unless":"attacked"}]`, 1))
	r.clock.advance(time.Second)
	mustAsk("with a word that is not known", "refuse")
	if err := r.Ready(t.Context()); !errors.Is(err, sallyport.ErrPolicy) {
		t.Errorf("ready: got %v, want ErrPolicy", err)
	}
	_, err := sallyport.New(t.Context(), sallyport.Config{Issuer: r.issuer, Database: database, MasterKey: make([]byte, 32), Now: r.clock.Now})
	if err == nil || !strings.Contains(err.Error(), "newer release") {
		t.Errorf("another starts: got %v", err)
	}
	r.must(r.Store().SetRules(t.Context(), `[]`, 2))
	r.clock.advance(time.Second)
	if err := r.Ready(t.Context()); errors.Is(err, sallyport.ErrPolicy) {
		t.Errorf("ready again: got %v", err)
	}
	mustAsk("with rules again", "second_factor")
}
