package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"strings"
	"time"

	"github.com/sallyport-id/sallyport"
	"github.com/sallyport-id/sallyport/internal/admin"
	"github.com/sallyport-id/sallyport/internal/authn"
	"github.com/sallyport-id/sallyport/internal/oidc"
	"github.com/sallyport-id/sallyport/internal/policy"
	"github.com/sallyport-id/sallyport/internal/store"
	"github.com/sallyport-id/sallyport/internal/store/sqlstore"
)

type policyCommands struct {
	Show    policyShowCmd    `cmd:"" help:"Print the rules that apply, and where they are from."`
	Check   policyCheckCmd   `cmd:"" help:"Read a file of rules and say what it would change. Nothing is changed."`
	Set     policySetCmd     `cmd:"" help:"Replace the rules in the database, all at once. Servers take them up within a second."`
	Explain policyExplainCmd `cmd:"" help:"Say which rule applies to a user, at a client, from an address, and what is asked for."`
}

type policyExplainCmd struct {
	configFlag
	outputFlag
	User   string `help:"The user's login; without it nobody is signed in, and rules for groups do not apply."`
	Client string `required:"" help:"The client's id."`
	askedFlags
	Address netip.Addr `help:"Where the sign-in comes from; without it no network applies."`
}

// explained is why a user is asked for something.
type explained struct {
	Tried     []triedRule `json:"tried"`
	Rule      string      `json:"rule"` // "default" if none of the rules applies
	Require   string      `json:"require"`
	Level     int         `json:"level"`
	Floor     int         `json:"floor"`
	Factors   []string    `json:"factors,omitempty"`
	Reach     int         `json:"reach,omitempty"`
	Source    string      `json:"source"`
	Asked     *asked      `json:"asked,omitempty"`
	MaxAge    string      `json:"max_age,omitempty"`
	TrustDays int         `json:"trusted_device_days,omitempty"`
	Outcome   string      `json:"outcome"`
}

type triedRule struct {
	Rule   string `json:"rule"`
	Misses string `json:"misses,omitempty"`
}

// Run explains.
func (c *policyExplainCmd) Run() error {
	s, _, err := c.load()
	if err != nil {
		return err
	}
	request, err := c.request(c.User)
	if err != nil {
		return err
	}
	return c.operate(func(ctx context.Context, db *sqlstore.Store, a *admin.Admin) error {
		client, err := db.Client(ctx, c.Client)
		if err != nil {
			return fmt.Errorf("client %q: %w", c.Client, err)
		}
		of := policy.Case{Client: client, Address: c.Address, Now: time.Now()}
		var list []store.Authenticator
		if c.User != "" {
			if of.User, err = (loginArg{c.User}).find(ctx, a); err != nil {
				return err
			}
			if list, err = db.Authenticators(ctx, of.User.ID); err != nil {
				return err
			}
			if err := s.judge(list, of.Now); err != nil {
				return err
			}
		}
		rules, err := s.rulesInForce(ctx, db)
		if err != nil {
			return err
		}
		e := explain(policy.Policy{Rules: rules.Rules, MailCodes: s.EmailCodes}, s.enrollment(), of, list, request)
		e.Source = rules.Source
		return c.print(os.Stdout, e, e.print)
	})
}

// explain says what the policy decides, in the order in which it does.
func explain(p policy.Policy, by sallyport.Enrollment, of policy.Case, list []store.Authenticator, request *oidc.AuthorizationRequest) explained {
	rule := p.Rule(of)
	tried, applies := p.Explain(of)
	e := explained{
		Rule: "default", Require: string(rule.Require), Level: int(p.Required(of)), Floor: int(of.Floor()),
		TrustDays: rule.TrustedDeviceDays,
	}
	if rule.MaxAge > 0 {
		e.MaxAge = plainDuration(rule.MaxAge)
	}
	for _, t := range tried {
		e.Tried = append(e.Tried, triedRule{t.Label, t.Misses})
	}
	if applies {
		e.Rule = tried[len(tried)-1].Label
	}
	if e.Require == "" {
		e.Require = string(policy.Required)
	}
	var counted []store.Authenticator
	for _, a := range list {
		if rule.Counts(a.Kind) && authn.Usable(a) && mails(p, of.User, a) {
			counted, e.Factors = append(counted, a), append(e.Factors, string(a.Kind))
		}
	}
	if of.User == nil {
		e.Outcome = "asked for a password first: who it is may change the rule"
		return e
	}
	reach := authn.Reach(of.User, counted, nil)
	of.HasFactor = len(list) > 0
	e.Reach, e.Asked = int(reach), explainAsked(p, of, request, reach)
	e.Outcome = outcome(p, by, of, list, reach, request)
	return e
}

// mails: an authenticator, if it is one of mailed codes, can be used.
func mails(p policy.Policy, u *store.User, a store.Authenticator) bool {
	return a.Kind != store.KindEmail || p.MailCodes && string(a.Secret) == u.Email
}

// outcome is what happens at a sign-in with the request.
func outcome(p policy.Policy, by sallyport.Enrollment, of policy.Case, list []store.Authenticator, reach oidc.Level, request *oidc.AuthorizationRequest) string {
	demand := p.Demand(of, request, reach)
	names, _ := request.RequestedACR()
	level := demand.Level
	switch {
	case of.User.Disabled:
		return "refused: the user is disabled"
	case of.Client.Disabled:
		return "refused: the client is disabled"
	case demand.Impossible:
		return "refused, with unmet_authentication_requirements: nothing that is essential can be performed"
	case level <= oidc.Level1FA:
		return "asked for a password alone"
	case reach >= level:
		return "asked for a password and one of the factors"
	case of.User.MayEnroll && len(list) == 0 && len(names) == 0 && p.MayGrace(of):
		return "asked to set up a second factor, which may be put off"
	case of.User.MayEnroll && len(list) == 0 && level <= oidc.Level2FA:
		return toEnroll(by)
	case demand.Essential:
		return "refused, with unmet_authentication_requirements: the account cannot reach what is essential"
	}
	return "refused: the account has no factor that suffices, and may not set one up at a sign-in"
}

func (e explained) print(w io.Writer) error {
	var failed error
	say := func(format string, args ...any) {
		if _, err := fmt.Fprintf(w, format+"\n", args...); err != nil {
			failed = errors.Join(failed, err)
		}
	}
	for _, t := range e.Tried {
		if t.Misses != "" {
			say("rule %s does not apply: %s", t.Rule, t.Misses)
		}
	}
	if e.Rule == "default" {
		say("no rule applies, so the default does: required")
	} else {
		say("rule %s applies: %s", e.Rule, e.Require)
	}
	if e.Floor > 0 {
		say("floor of the client: level %d", e.Floor)
	}
	say("level required: %d", e.Level)
	if e.MaxAge != "" {
		say("proofs count for: %s", e.MaxAge)
	}
	if e.TrustDays > 0 {
		say("browsers may be trusted for: %d days, where no level is asked for", e.TrustDays)
	}
	if e.Reach > 0 {
		say("factors that count: %s", orNone(e.Factors))
		say("level that the account reaches: %d", e.Reach)
	}
	if e.Asked != nil {
		for _, v := range e.Asked.Values {
			say("asked for %s", v)
		}
		say("level that the request needs: %d: %s", e.Asked.Level, e.Asked.Why)
	}
	say("at a sign-in: %s", e.Outcome)
	return failed
}

func orNone(words []string) string {
	if len(words) == 0 {
		return "none"
	}
	return strings.Join(words, ", ")
}
