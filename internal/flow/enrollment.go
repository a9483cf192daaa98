package flow

import (
	"errors"
	"fmt"
	"slices"

	"github.com/sallyport-id/sallyport/internal/oidc"
	"github.com/sallyport-id/sallyport/internal/policy"
)

// Enrollment is what somebody with the right to bind a first second factor shows
// besides the password when a sign-in needs one. Invitations and the codes of
// operators work under each.
type Enrollment string

// The kinds of it. Each asks for less than the one before.
const (
	EnrollByInvitation Enrollment = "invitation" // nothing helps but a link from an operator; also ""
	EnrollByPassword   Enrollment = "password"   // nothing more
)

// Check says what cannot work with the rules: nobody could use the grace that one of
// them gives.
func (e Enrollment) Check(rules []policy.Rule) error {
	switch e {
	case EnrollByPassword:
		return nil
	case EnrollByInvitation, "":
	default:
		return fmt.Errorf("enrollment is %q, and must be invitation or password", string(e))
	}
	if slices.ContainsFunc(rules, func(r policy.Rule) bool { return r.GraceDays > 0 }) {
		return errors.New("a rule has grace_days, but with enrollment: invitation nobody could set up a second factor when the grace ends")
	}
	return nil
}

// enrollsAlone: the user can bind a first factor without an operator's help.
func (s State) enrollsAlone() bool { return s.mayEnroll() && s.Enrollment == EnrollByPassword }

// MaySkip reports whether an invited user may do without a second factor: the chosen
// password is long enough to be all, another way to a factor stays open, and the rule
// lets the user in with one factor, or with grace.
//
// No client is known yet, and what its floor is, or a rule that names it. The rule is
// asked for this user without a client: what a sign-in asks for beyond that, it asks
// for then, and the right to enrol, which stays, answers it.
func (s State) MaySkip() bool {
	in := s.Progress.Invited
	if in == nil || in.Spent || !in.Alone || s.User == nil {
		return false
	}
	after := *s.User
	after.MayEnroll = true
	s.User = &after
	c := s.Case()
	return s.enrollsAlone() && (s.Policy.Required(c) <= oidc.Level1FA || s.Policy.MayGrace(c))
}
