package policy_test

import (
	"errors"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-id/sallyport/internal/oidc"
	"github.com/sallyport-id/sallyport/internal/policy"
	"github.com/sallyport-id/sallyport/internal/store"
)

// TestFirstRuleThatAppliesDecides: all conditions of a rule must hold, and what comes
// after the first such rule does not matter.
func TestFirstRuleThatAppliesDecides(t *testing.T) {
	t.Parallel()
	office := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("2001:db8::/32")}
	p := policy.Policy{Rules: []policy.Rule{
		{Name: "console", Clients: []string{"console", "vault"}, Groups: []string{"admins"}, Require: policy.HardwareBound},
		{Name: "admins", Groups: []string{"admins", "root"}, Require: policy.PhishingResistant},
		{Name: "office", Clients: []string{"wiki"}, Networks: office, Require: policy.Off},
	}}
	in := func(groups ...string) *store.User { return &store.User{Groups: groups} }
	for name, c := range map[string]struct {
		client, address string
		user            *store.User
		want            string
	}{
		"both conditions hold":                 {"vault", "192.0.2.1", in("staff", "admins"), "console"},
		"one of two holds":                     {"wiki", "10.1.2.3", in("root"), "admins"},
		"nobody is known yet":                  {"console", "192.0.2.1", nil, ""},
		"in the office":                        {"wiki", "10.1.2.3", in("staff"), "office"},
		"in the office, as a socket writes it": {"wiki", "::ffff:10.1.2.3", in(), "office"},
		"in the office by IPv6":                {"wiki", "2001:db8::7", in(), "office"},
		"at home":                              {"wiki", "192.0.2.1", in("staff"), ""},
		"nobody knows where":                   {"wiki", "", in("staff"), ""},
		"another client in the office":         {"shop", "10.1.2.3", in("staff"), ""},
	} {
		at, _ := netip.ParseAddr(c.address)
		of := policy.Case{Client: &oidc.Client{ID: c.client}, User: c.user, Address: at}
		if got := p.Rule(of).Name; got != c.want {
			t.Errorf("%s: got rule %q, want %q", name, got, c.want)
		}
		tried, applies := p.Explain(of)
		if applies != (c.want != "") || applies && (tried[len(tried)-1].Label != c.want || tried[len(tried)-1].Misses != "") {
			t.Errorf("%s: explained as %+v", name, tried)
		}
		for i, r := range tried {
			if r.Misses == "" && i < len(tried)-1 {
				t.Errorf("%s: rule %s applies, and others were tried after it", name, r.Label)
			}
		}
	}
}

// TestRule11MethodsThatTheRuleDoesNotKnowDoNotCount: an authenticator that is not
// allowed proves nothing, at tokens, too.
func TestRule11MethodsThatTheRuleDoesNotKnowDoNotCount(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		methods []string
		second  store.Method
		want    error
	}{
		"all":            {nil, store.MethodTOTP, nil},
		"allowed":        {[]string{"webauthn", "totp"}, store.MethodTOTP, nil},
		"not allowed":    {[]string{"webauthn"}, store.MethodTOTP, policy.ErrTooWeak},
		"recovery not":   {[]string{"totp"}, store.MethodRecovery, policy.ErrTooWeak},
		"recovery codes": {[]string{"totp", "recovery"}, store.MethodRecovery, nil},
	} {
		p := rule(policy.Rule{Methods: c.methods})
		of := policy.Case{Client: &oidc.Client{}, User: &store.User{ID: "u"}}
		got, err := p.Allows(of, 0, evidence(store.MethodPassword, c.second))
		if !errors.Is(err, c.want) || c.want != nil && got.Level != oidc.Level1FA {
			t.Errorf("%s: got level %v, %v, want %v", name, got.Level, err, c.want)
		}
	}
}

// TestRule22GraceUnderFloors: grace needs a password, the right to enrol and a floor
// of one, and ends.
func TestRule22GraceUnderFloors(t *testing.T) {
	t.Parallel()
	week := policy.Rule{GraceDays: 7}
	runs := store.User{ID: "u", MayEnroll: true, GraceUntil: noon.Add(time.Second)}
	over, spent, unborn := runs, runs, runs
	over.GraceUntil, spent.MayEnroll, unborn.GraceUntil = noon, false, time.Time{}
	password := evidence(store.MethodPassword)
	for name, c := range map[string]struct {
		rule   policy.Rule
		user   store.User
		floor  oidc.Level
		api    oidc.Level
		proofs bool
		may    bool
		want   error
	}{
		"it runs":                          {week, runs, 0, 0, true, true, nil},
		"a floor of one":                   {week, runs, oidc.Level1FA, oidc.Level1FA, true, true, nil},
		"it has not begun":                 {week, unborn, 0, 0, true, true, policy.ErrTooWeak},
		"it is over":                       {week, over, 0, 0, true, false, policy.ErrTooWeak},
		"a factor was enrolled":            {week, spent, 0, 0, true, false, policy.ErrTooWeak},
		"the rule gives none any more":     {policy.Rule{}, runs, 0, 0, true, false, policy.ErrTooWeak},
		"the client's floor":               {week, runs, oidc.Level2FA, 0, true, false, policy.ErrTooWeak},
		"an API's floor":                   {week, runs, 0, oidc.Level2FA, true, false, policy.ErrTooWeak},
		"nothing was proven":               {week, runs, 0, 0, false, true, policy.ErrTooWeak},
		"a stronger rule than grace knows": {policy.Rule{Require: policy.PhishingResistant}, runs, 0, 0, true, false, policy.ErrTooWeak},
	} {
		of := policy.Case{Client: &oidc.Client{MinLevel: c.floor}, User: &c.user, Now: noon}
		if c.api > 0 {
			of.APIs = []*oidc.Resource{{}, {MinLevel: c.api}}
		}
		e := evidence()
		if c.proofs {
			e = password
		}
		got, err := rule(c.rule).Allows(of, 0, e)
		if !errors.Is(err, c.want) || got.Level > oidc.Level1FA || len(got.AMR) > 1 {
			t.Errorf("%s: got %+v %v, want %v", name, got, err, c.want)
		}
		if may := rule(c.rule).MayGrace(of); may != c.may {
			t.Errorf("%s: may put it off is %v, want %v", name, may, c.may)
		}
	}
}

// TestRequirements: what each asks of whom.
func TestRequirements(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		require policy.Requirement
		reach   oidc.Level
		want    oidc.Level
	}{
		{"", 1, 2}, {policy.Required, 3, 2}, {policy.Off, 3, 1}, {policy.Optional, 1, 1}, {policy.Optional, 2, 2}, {policy.Optional, 3, 2},
		{policy.PhishingResistant, 2, 3}, {policy.HardwareBound, 3, 4},
	} {
		of := policy.Case{Client: &oidc.Client{}, User: &store.User{}}
		got := rule(policy.Rule{Require: c.require}).Demand(of, &oidc.AuthorizationRequest{}, c.reach)
		if got != (policy.Demand{Level: c.want, MayEnroll: true}) {
			t.Errorf("%q of one who reaches %v: got %+v, want level %v", c.require, c.reach, got, c.want)
		}
	}
}

// TestRulesThatCannotWorkAreRefused: by their name or number, and with what would
// work.
func TestRulesThatCannotWorkAreRefused(t *testing.T) {
	t.Parallel()
	some := []string{"shop"}
	for want, rules := range map[string][]policy.Rule{
		"": {{Clients: some, Require: policy.Off}, {Groups: []string{"a"}, GraceDays: 90}, {Require: policy.Optional}},
		`rule 1: require is "on", and must be off, optional, required, phishing-resistant or hardware-bound`: {{Require: "on"}},
		`rule staff is for everyone, so rule 2 after it is never reached`:                                    {{Name: "staff"}, {Clients: some}},
		`rule 1: there is no method "sms": it is one of webauthn, totp, email or recovery`:                   {{Methods: []string{"totp", "sms"}}},
		`rule 1: recovery codes alone are no way to sign in`:                                                 {{Methods: []string{"recovery"}}},
		`rule 1: require phishing-resistant is never met without the method webauthn`:                        {{Require: policy.PhishingResistant, Methods: []string{"totp"}}},
		`rule 2: an empty name of a client or a group`:                                                       {{Clients: some}, {Groups: []string{" "}}},
		`rule 1: max_age must be a minute or more, or 0`:                                                     {{MaxAge: time.Second}},
		`rule 1: trusted_device_days must be from 0 to 90`:                                                   {{TrustedDeviceDays: -1}},
		`rule 1: grace_days must be from 0 to 90`:                                                            {{GraceDays: 91}},
		`rule 1: grace_days is for rules that require a second factor`:                                       {{Require: policy.Off, GraceDays: 7}},
		`rule 1: trusted_device_days is for rules that require a second factor`:                              {{Require: policy.Off, TrustedDeviceDays: 7}},
		`201 rules are more than 200`:                                                                        make([]policy.Rule, 201),
	} {
		err := policy.Check(rules)
		if want == "" && err != nil || want != "" && (err == nil || !strings.HasPrefix(err.Error(), want)) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}

// TestPasswordMayBeAll: a longer password is asked for where some rule is content
// with it.
func TestPasswordMayBeAll(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		rules []policy.Rule
		want  bool
	}{
		{nil, false}, {[]policy.Rule{{Clients: []string{"a"}, Require: policy.PhishingResistant}}, false},
		{[]policy.Rule{{Clients: []string{"a"}, Require: policy.Off}}, true}, {[]policy.Rule{{Require: policy.Optional}}, true}, {[]policy.Rule{{GraceDays: 1}}, true},
	} {
		if got := (policy.Policy{Rules: c.rules}).PasswordMayBeAll(); got != c.want {
			t.Errorf("%+v: got %v", c.rules, got)
		}
	}
	if !(policy.Policy{MailCodes: true}).PasswordMayBeAll() {
		t.Error("a mailed code is taken for something beside the password")
	}
}
