// Package policy says who must prove what: which level a client and a request
// need, and whether evidence is enough. It is pure: no I/O, no clock. It does
// not say how to get there (flow does) nor what proofs are worth (authn does).
package policy

import (
	"errors"

	"github.com/sallyport-id/sallyport/internal/authn"
	"github.com/sallyport-id/sallyport/internal/oidc"
	"github.com/sallyport-id/sallyport/internal/store"
)

// Policy is the operator's rule for everyone.
type Policy struct {
	// Level is what every sign-in must reach. The zero value is level 2: a second
	// factor is required unless the operator says otherwise.
	Level oidc.Level
	// ACR are further names of levels. The zero value knows the native ones.
	ACR oidc.ACRNames
	// TrustedDeviceDays is for how many days a user may trust a browser, which then
	// stands for the second factor where no floor is above one. 0: nobody may.
	TrustedDeviceDays int
}

// The reasons for which a token is refused.
var (
	ErrDisabled = errors.New("policy: the user is disabled")
	ErrRevoked  = errors.New("policy: everything issued to the user before has ended")
	ErrTooWeak  = errors.New("policy: the evidence is weaker than required")
	ErrClient   = errors.New("policy: the client is disabled")
)

// Required is the level that a client's users must reach: the operator's rule, and
// the floors under it, the client's and those of the APIs that it wants tokens for.
func (p Policy) Required(c *oidc.Client, apis []*oidc.Resource) oidc.Level {
	level := p.Level
	if level == oidc.LevelNone {
		level = oidc.Level2FA
	}
	level = max(level, c.MinLevel)
	for _, api := range apis {
		level = max(level, api.MinLevel)
	}
	return level
}

// Allows is the gate of every token for a user: the client and the user are
// active, and the evidence reaches today's requirement, for these APIs (none: this
// server itself), or has a trusted device that stands for what is missing. It returns what the evidence is worth. epoch is the user's epoch when the evidence was taken.
func (p Policy) Allows(c *oidc.Client, apis []*oidc.Resource, u *store.User, epoch int64, e authn.Evidence) (authn.Result, error) {
	result := authn.Judge(e)
	switch {
	case c.Disabled:
		return result, ErrClient
	case u.Disabled:
		return result, ErrDisabled
	case u.Epoch != epoch || u.ID != e.UserID:
		return result, ErrRevoked
	case result.Level < p.Required(c, apis) && !p.Trusts(c, apis, e):
		return result, ErrTooWeak
	}
	return result, nil
}

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

// Demand derives what a request for these APIs needs of a user whose account
// reaches reach.
//
// An essential acr (or a client that makes all of its acr_values essential) must
// be met: the least of the listed levels, at least the client's requirement.
// Voluntary acr_values aim for the highest listed level that the account
// already reaches, and never ask to enrol for it (OpenID Connect Core §5.5.1.1).
func (p Policy) Demand(c *oidc.Client, apis []*oidc.Resource, r *oidc.AuthorizationRequest, reach oidc.Level) Demand {
	required := p.Required(c, apis)
	names, essential := r.RequestedACR()
	levels := p.levels(names)
	if len(names) > 0 && (essential || c.EssentialACR) {
		if len(levels) == 0 {
			return Demand{Level: required, Essential: true, Impossible: true}
		}
		return Demand{Level: max(required, least(levels)), MayEnroll: true, Essential: true}
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

func least(levels []oidc.Level) oidc.Level {
	lowest := levels[0]
	for _, l := range levels[1:] {
		lowest = min(lowest, l)
	}
	return lowest
}
