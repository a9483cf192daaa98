package rs

import (
	"fmt"
	"math"
	"net/http"
	"slices"
	"time"
)

// Names of authentication contexts, values of the acr claim. Each satisfies those
// before it.
const (
	ACR1FA  = "urn:sallyport:acr:1fa" // one factor
	ACR2FA  = "urn:sallyport:acr:2fa" // two factors
	ACRPHR  = "phr"                   // two factors, phishing-resistant (OpenID Connect EAP ACR Values 1.0)
	ACRPHRH = "phrh"                  // the same with a hardware-bound key (OpenID Connect EAP ACR Values 1.0)
)

var ladder = []string{ACR1FA, ACR2FA, ACRPHR, ACRPHRH}

// AnyAge, as a maximum age, sets none.
const AnyAge time.Duration = math.MaxInt64

// A Requirement is something that a token must have, for Protect and Require. It is
// made by Scope, ACR and MaxAge; the zero value requires nothing.
type Requirement struct {
	scope []string
	level *level
}

// A level is a requirement about how the user signed in.
type level struct {
	acr string        // "" for any
	age time.Duration // whole seconds, or AnyAge
}

func (l level) limited() bool { return l.age != AnyAge }

// needs are requirements together.
type needs struct {
	scope  []string
	levels []level
}

// Scope requires all of these scopes (RFC 6750 §3.1, insufficient_scope).
func Scope(scopes ...string) Requirement { return Requirement{scope: scopes} }

// ACR requires a user who signed in at an authentication context, such as ACR2FA,
// or at one that satisfies it, no longer than maxAge ago, give or take
// Config.Leeway; maxAge is rounded down to whole seconds. It must be said: a
// second factor of last month is none of now. AnyAge accepts it all the same.
//
// A token that does not have it is answered with what the application has to
// ask for: acr_values and max_age (RFC 9470 §3). Tokens of programs that act for
// themselves have none and never do.
func ACR(value string, maxAge time.Duration) Requirement {
	return Requirement{level: &level{value, maxAge}}
}

// MaxAge requires a user who signed in no longer than this ago, however that was,
// give or take Config.Leeway (RFC 9470 §3).
func MaxAge(maxAge time.Duration) Requirement { return Requirement{level: &level{"", maxAge}} }

// merge checks requirements and puts them together.
func merge(requirements []Requirement) (all needs) {
	for _, q := range requirements {
		if err := checkWords(q.scope); err != nil {
			panic(fmt.Sprintf("rs: Scope: %v", err))
		}
		all.scope = append(all.scope, q.scope...)
		if q.level != nil {
			all.levels = append(all.levels, q.level.checked())
		}
	}
	return all
}

func (l level) checked() level {
	if l.acr == "" && !l.limited() {
		panic("rs: neither an acr value nor an age is required")
	}
	if l.acr != "" {
		if err := checkWords([]string{l.acr}); err != nil {
			panic(fmt.Sprintf("rs: ACR: %v", err))
		}
	}
	if l.age < time.Second {
		panic("rs: the maximum age is less than a second; say AnyAge for none")
	}
	if l.limited() {
		l.age = l.age.Truncate(time.Second)
	}
	return l
}

// checkMet compares a token with what is needed. Scopes come first: signing in
// again would not give them.
func (s *Server) checkMet(need needs, t *Token) *refusal {
	for _, scope := range need.scope {
		if !t.HasScope(scope) {
			return &refusal{status: http.StatusForbidden, code: insufficient, text: "the access token does not have the scope that this takes"}
		}
	}
	now := s.config.Now()
	for _, l := range need.levels {
		text := ""
		switch {
		case l.acr != "" && !s.satisfies(t.ACR, l.acr):
			text = "this takes a stronger sign-in"
		case l.limited() && t.AuthTime.Before(now.Add(-l.age-s.config.Leeway)): // none is zero, long ago
			text = "this takes a more recent sign-in"
		default:
			continue
		}
		return &refusal{status: http.StatusUnauthorized, code: insufficientUser, text: text, unmet: l}
	}
	return nil
}

// satisfies reports whether an acr value is as good as the wanted one. A token
// without one is never.
func (s *Server) satisfies(got, want string) bool {
	if got == "" {
		return false
	}
	for _, name := range slices.Concat([]string{got}, s.config.Satisfies[got]) {
		rung, wanted := slices.Index(ladder, name), slices.Index(ladder, want)
		if name == want || wanted >= 0 && rung >= wanted {
			return true
		}
	}
	return false
}
