package policy

import (
	"cmp"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sallyport-id/sallyport/internal/oidc"
	"github.com/sallyport-id/sallyport/internal/store"
)

// Requirement is what a rule asks of a sign-in.
type Requirement string

// The requirements, from the least to the most.
const (
	Off               Requirement = "off"                // one factor is enough
	Optional          Requirement = "optional"           // who has a second factor is asked for it
	Required          Requirement = "required"           // two factors; also ""
	PhishingResistant Requirement = "phishing-resistant" // a passkey or a security key
	HardwareBound     Requirement = "hardware-bound"     // one of verified make, which cannot be copied
)

// requirements and their levels, in order.
var requirements = []struct {
	name  Requirement
	level oidc.Level
}{{Off, oidc.Level1FA}, {Optional, oidc.Level1FA}, {Required, oidc.Level2FA}, {PhishingResistant, oidc.LevelPHR}, {HardwareBound, oidc.LevelPHRH}}

// Rule says what is asked of whom. The zero value asks everyone for two factors. Its
// names in JSON are those of the rules that the database keeps (Format).
type Rule struct {
	// Name is for people; in messages a rule without one has its number.
	Name string `json:"name,omitempty"`

	// Clients, Groups and Networks are its conditions: the client is one of them, the
	// user is in one of the groups, the request comes from one of the networks. All
	// that are given must hold; an empty one holds for everyone.
	Clients  []string       `json:"clients,omitempty"`
	Groups   []string       `json:"groups,omitempty"`
	Networks []netip.Prefix `json:"networks,omitempty"`

	// Require is what the sign-in must reach; "" is Required. The floors of clients and
	// APIs stand under it.
	Require Requirement `json:"require,omitempty"`
	// MaxAge is after how long a proof must be given again at a sign-in; 0: when the
	// session ends.
	MaxAge time.Duration `json:"max_age,omitempty"`
	// Methods are the second factors that count: "webauthn", "totp", "email", "recovery".
	// Empty: all.
	Methods []string `json:"methods,omitempty"`
	// TrustedDeviceDays is for how many days a user may trust a browser, which then
	// stands for the second factor where no floor is above one. 0: nobody may.
	TrustedDeviceDays int `json:"trusted_device_days,omitempty"`
	// GraceDays is how long a user may put the first second factor off, once in a life
	// and where no floor is above one factor. 0: not at all.
	GraceDays int `json:"grace_days,omitempty"`
}

const (
	longestGrace = 90 // days
	longestTrust = 90 // days
	mostRules    = 200
)

// methods that a rule may name.
var methods = []string{string(store.MethodWebAuthn), string(store.MethodTOTP), string(store.MethodEmail), string(store.MethodRecovery)}

// Check says what is wrong with rules, naming the rule.
func Check(rules []Rule) error {
	if len(rules) > mostRules {
		return fmt.Errorf("%d rules are more than %d", len(rules), mostRules)
	}
	for i, r := range rules {
		if err := r.check(); err != nil {
			return fmt.Errorf("rule %s: %w", label(rules, i), err)
		}
		if i < len(rules)-1 && r.everyone() {
			return fmt.Errorf("rule %s is for everyone, so rule %s after it is never reached", label(rules, i), label(rules, i+1))
		}
	}
	return nil
}

// HardwareBoundRule returns the label of the first rule that nobody meets unless the
// makes of authenticators are known.
func HardwareBoundRule(rules []Rule) (name string, ok bool) {
	i := slices.IndexFunc(rules, func(r Rule) bool { return r.level() == oidc.LevelPHRH })
	if i < 0 {
		return "", false
	}
	return label(rules, i), true
}

// label is the rule's name, or its number.
func label(rules []Rule, i int) string {
	return cmp.Or(rules[i].Name, strconv.Itoa(i+1))
}

func (r Rule) check() error {
	if r.level() == oidc.LevelNone {
		return fmt.Errorf("require is %q, and must be %s", r.Require, list(requirementNames()))
	}
	for _, m := range r.Methods {
		if !slices.Contains(methods, m) {
			return fmt.Errorf("there is no method %q: it is one of %s", m, list(methods))
		}
	}
	if len(r.Methods) == 1 && r.Methods[0] == string(store.MethodRecovery) {
		return errors.New("recovery codes alone are no way to sign in")
	}
	phishable := len(r.Methods) > 0 && !slices.Contains(r.Methods, string(store.MethodWebAuthn))
	for _, name := range slices.Concat(r.Clients, r.Groups) {
		if strings.TrimSpace(name) == "" {
			return errors.New("an empty name of a client or a group")
		}
	}
	switch {
	case r.level() > oidc.Level2FA && phishable:
		return fmt.Errorf("require %s is never met without the method webauthn", r.Require)
	case r.MaxAge < 0 || r.MaxAge > 0 && r.MaxAge < time.Minute:
		return errors.New("max_age must be a minute or more, or 0")
	case r.TrustedDeviceDays < 0 || r.TrustedDeviceDays > longestTrust:
		return fmt.Errorf("trusted_device_days must be from 0 to %d", longestTrust)
	case r.GraceDays < 0 || r.GraceDays > longestGrace:
		return fmt.Errorf("grace_days must be from 0 to %d", longestGrace)
	case r.GraceDays > 0 && r.level() != oidc.Level2FA:
		return errors.New("grace_days is for rules that require a second factor: off and optional need none, and a stronger factor is no first one")
	case r.TrustedDeviceDays > 0 && r.Require == Off:
		return errors.New("trusted_device_days is for rules that require a second factor")
	}
	return nil
}

func requirementNames() (names []string) {
	for _, r := range requirements {
		names = append(names, string(r.name))
	}
	return names
}

func list(words []string) string {
	return strings.Join(words[:len(words)-1], ", ") + " or " + words[len(words)-1]
}

// level is what the rule alone asks for; LevelNone if its requirement is none.
func (r Rule) level() oidc.Level {
	for _, known := range requirements {
		if known.name == cmp.Or(r.Require, Required) {
			return known.level
		}
	}
	return oidc.LevelNone
}

// everyone: it has no condition.
func (r Rule) everyone() bool {
	return len(r.Clients) == 0 && len(r.Groups) == 0 && len(r.Networks) == 0
}

// Counts reports whether a second factor of a kind counts under the rule.
func (r Rule) Counts(kind store.AuthenticatorKind) bool {
	return len(r.Methods) == 0 || slices.Contains(r.Methods, string(kind))
}

// SecondMethods are the methods that count beside a password; nil: all.
func (r Rule) SecondMethods() []store.Method {
	var of []store.Method
	for _, m := range r.Methods {
		of = append(of, store.Method(m))
	}
	return of
}

// misses says which of the conditions does not hold; "" if all do.
func (r Rule) misses(c Case) string {
	switch {
	case len(r.Clients) > 0 && (c.Client == nil || !slices.Contains(r.Clients, c.Client.ID)):
		return "the client is none of " + strings.Join(r.Clients, ", ")
	case len(r.Groups) > 0 && (c.User == nil || !slices.ContainsFunc(r.Groups, func(g string) bool { return slices.Contains(c.User.Groups, g) })):
		return "the user is in none of the groups " + strings.Join(r.Groups, ", ")
	case len(r.Networks) > 0 && !slices.ContainsFunc(r.Networks, func(n netip.Prefix) bool { return n.Contains(c.Address.Unmap()) }):
		return "the address is in none of the networks " + joined(r.Networks)
	}
	return ""
}

func joined(networks []netip.Prefix) string {
	var words []string
	for _, n := range networks {
		words = append(words, n.String())
	}
	return strings.Join(words, ", ")
}

// Rule is the first whose conditions hold; else the zero Rule, which requires two
// factors of everyone.
func (p Policy) Rule(c Case) Rule {
	for _, r := range p.Rules {
		if r.misses(c) == "" {
			return r
		}
	}
	return Rule{}
}

// Tried is one rule, and why it does not apply.
type Tried struct {
	Label string
	Rule  Rule
	// Misses is the condition that does not hold, in words; "": this rule applies.
	Misses string
}

// Explain is Rule with the rules that were tried, the one that applies last. None is
// last where the default applies.
func (p Policy) Explain(c Case) (tried []Tried, applies bool) {
	for i, r := range p.Rules {
		t := Tried{Label: label(p.Rules, i), Rule: r, Misses: r.misses(c)}
		tried = append(tried, t)
		if t.Misses == "" {
			return tried, true
		}
	}
	return tried, false
}

// PasswordMayBeAll reports whether under some rule a password is all that somebody
// needs, if only for a time: it must be longer then (NIST SP 800-63B-4 §3.1.1.2). Codes
// by mail are nothing beside it in NIST's eyes (§3.1.3.1).
func (p Policy) PasswordMayBeAll() bool {
	return p.MailCodes || slices.ContainsFunc(p.Rules, func(r Rule) bool { return r.level() < oidc.Level2FA || r.GraceDays > 0 })
}

// NamesMailCodes is the label of the first rule that names codes by e-mail, "" if none
// does.
func NamesMailCodes(rules []Rule) string {
	for i, r := range rules {
		if slices.Contains(r.Methods, string(store.MethodEmail)) {
			return label(rules, i)
		}
	}
	return ""
}
