// Package policy says who must prove what: which level a client and a request
// need, and whether evidence is enough. It is pure: no I/O, no clock. It does
// not say how to get there (flow does) nor what proofs are worth (authn does).
package policy

import (
	"errors"
	"net/netip"
	"slices"
	"time"

	"github.com/sallyport-id/sallyport/internal/authn"
	"github.com/sallyport-id/sallyport/internal/oidc"
	"github.com/sallyport-id/sallyport/internal/store"
)

// Policy is the operator's rules. The zero value requires two factors of everyone.
type Policy struct {
	// Rules are tried in order; the first that applies decides, and none of them may
	// go below the floor of a client or an API.
	Rules []Rule
	// MailCodes: codes by e-mail count as a second factor. They must not where a password
	// can be reset by mail: whoever reads the mail would have both.
	MailCodes bool
	// ACR are further names of levels. The zero value knows the native ones.
	ACR oidc.ACRNames
}

// Case is what a decision is about: who wants what, from where, when.
type Case struct {
	Client *oidc.Client
	// APIs are those that tokens are wanted for; none: this server itself.
	APIs []*oidc.Resource
	// User is nil while nobody is known: rules for groups do not apply then.
	User *store.User
	// HasFactor: the user has an authenticator, be it one that is of no use here.
	HasFactor bool
	// Address is where the sign-in comes, or came, from. Of the zero value no network
	// knows anything.
	Address netip.Addr
	// Now is the moment, for what lasts until one.
	Now time.Time
}

// The reasons for which a token is refused.
var (
	ErrDisabled = errors.New("policy: the user is disabled")
	ErrRevoked  = errors.New("policy: everything issued to the user before has ended")
	ErrTooWeak  = errors.New("policy: the evidence is weaker than required")
	ErrClient   = errors.New("policy: the client is disabled")
)

// Floor is the level under which nothing goes, whatever a rule says: the client's
// own, and those of the APIs.
func (c Case) Floor() oidc.Level {
	floor := c.Client.MinLevel
	for _, api := range c.APIs {
		floor = max(floor, api.MinLevel)
	}
	return floor
}

// Required is the level that must be reached: the rule's, and the floor under it.
func (p Policy) Required(c Case) oidc.Level {
	return max(p.Rule(c).level(), c.Floor())
}

// Allows is the gate of every token for a user: the client and the user are
// active, and the evidence reaches today's requirement, has a trusted device that
// stands for what is missing, or the user's grace runs. Methods that the rule does
// not know do not count. It returns what the evidence is worth. epoch is the user's
// epoch when the evidence was taken.
func (p Policy) Allows(c Case, epoch int64, e authn.Evidence) (authn.Result, error) {
	e.Methods, e.MailCodes = p.Rule(c).SecondMethods(), p.MailCodes
	result := authn.Judge(e)
	switch {
	case c.Client.Disabled:
		return result, ErrClient
	case c.User.Disabled:
		return result, ErrDisabled
	case c.User.Epoch != epoch || c.User.ID != e.UserID:
		return result, ErrRevoked
	case result.Level < p.Required(c) && !p.Trusts(c, e) && !(p.Graces(c) && result.Level >= oidc.Level1FA):
		return result, ErrTooWeak
	}
	return result, nil
}

// MayGrace reports whether the user may put the first factor off: the rule gives
// grace, no floor is above one factor, there is the right to enrol, and the grace has
// not begun or runs.
func (p Policy) MayGrace(c Case) bool {
	return p.Rule(c).GraceDays > 0 && c.Floor() <= oidc.Level1FA && c.User.MayEnroll &&
		(c.User.GraceUntil.IsZero() || c.User.GraceUntil.After(c.Now))
}

// Graces reports whether the user's grace runs here. The evidence is worth no more by
// it.
func (p Policy) Graces(c Case) bool { return p.MayGrace(c) && !c.User.GraceUntil.IsZero() }

// Demand is what one authorization request needs.
type Demand struct {
	// Level must be reached.
	Level oidc.Level
	// MayEnroll: a user who cannot reach Level may bind a first authenticator for it.
	MayEnroll bool
	// Essential: falling short is unmet_authentication_requirements.
	Essential bool
	// Impossible: no listed essential name can be performed at all.
	Impossible bool
}

// Demand derives what a request needs of a user whose account reaches reach.
//
// An essential acr (or a client that makes all of its acr_values essential) must
// be met: the least of the listed levels, at least the client's requirement.
// Voluntary acr_values aim for the highest listed level that the account
// already reaches, and never ask to enrol for it (OpenID Connect Core §5.5.1.1).
// A rule that makes the second factor optional asks who has one, be it one that the
// rule does not accept.
func (p Policy) Demand(c Case, r *oidc.AuthorizationRequest, reach oidc.Level) Demand {
	required := p.Required(c)
	if p.Rule(c).Require == Optional && (reach >= oidc.Level2FA || c.HasFactor) {
		required = max(required, oidc.Level2FA)
	}
	names, essential := r.RequestedACR()
	levels := p.levels(names)
	if len(names) > 0 && (essential || c.Client.EssentialACR) {
		if len(levels) == 0 {
			return Demand{Level: required, Essential: true, Impossible: true}
		}
		return Demand{Level: max(required, slices.Min(levels)), MayEnroll: true, Essential: true}
	}
	d := Demand{Level: required, MayEnroll: true}
	for _, l := range levels {
		if l <= reach {
			d.Level = max(d.Level, l)
		}
	}
	return d
}

func (p Policy) levels(names []string) []oidc.Level {
	var levels []oidc.Level
	for _, name := range names {
		if l, ok := p.ACR.Level(name); ok {
			levels = append(levels, l)
		}
	}
	return levels
}
