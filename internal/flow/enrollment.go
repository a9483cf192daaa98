package flow

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/sallyport-id/sallyport/internal/oidc"
	"github.com/sallyport-id/sallyport/internal/policy"
	"github.com/sallyport-id/sallyport/internal/store"
)

// Enrollment is what somebody with the right to bind a first second factor shows
// besides the password when a sign-in needs one. Invitations and the codes of
// operators work under each.
type Enrollment string

// The kinds of it. Each asks for less than the one before.
const (
	EnrollByInvitation Enrollment = "invitation" // nothing helps but a link from an operator; also ""
	EnrollByEmail      Enrollment = "email"      // a code that is mailed to the account's address
	EnrollByPassword   Enrollment = "password"   // nothing more
)

// Check says what cannot work with the rules: nobody could use the grace that one of
// them gives.
func (e Enrollment) Check(rules []policy.Rule) error {
	switch e {
	case EnrollByPassword, EnrollByEmail:
		return nil
	case EnrollByInvitation, "":
	default:
		return fmt.Errorf("enrollment is %q, and must be invitation, email or password", string(e))
	}
	if slices.ContainsFunc(rules, func(r policy.Rule) bool { return r.GraceDays > 0 }) {
		return errors.New("a rule has grace_days, but with enrollment: invitation nobody could set up a second factor when the grace ends")
	}
	return nil
}

// enrollsAlone: the user can bind a first factor without an operator's help.
func (s State) enrollsAlone() bool {
	return s.mayEnroll() && (s.Enrollment == EnrollByPassword || s.Enrollment == EnrollByEmail && s.User.Email != "")
}

// shownAll: and has shown all that it takes. A code proves the address that it was
// mailed to, in this interaction: if the account's is another by now, nothing.
func (s State) shownAll() bool {
	c := s.Progress.Confirmed
	return s.enrollsAlone() && (s.Enrollment == EnrollByPassword || c != nil && c.UserID == s.User.ID && c.Email == s.User.Email)
}

// firstStep leads to a first factor by the right that is stored: the password in this
// interaction, and then the mailed code.
func (s State) firstStep(step Step) Step {
	next := s.enrollStep(step)
	if next.Name == Enroll && !s.shownAll() {
		next.Name = ConfirmEmail
	}
	return next
}

// confirming: at the account, the user has had a code mailed, to set up a first factor.
func (s State) confirming() bool {
	c := s.Progress.MailCode
	return s.MustConfirm() && c != nil && c.For == store.MailCodeConfirm && c.UserID == s.User.ID
}

// MustConfirm reports whether the user can set up a first factor once a mailed code has
// proven the address.
func (s State) MustConfirm() bool { return s.enrollsAlone() && !s.shownAll() }

// MailConfirmation has a code mailed to the account's address. Errors of AskForCode.
func (e *Engine) MailConfirmation(ctx context.Context, v *Visit) error {
	if v.Step.Name != ConfirmEmail && v.Step.Name != Manage || !v.MustConfirm() {
		return fmt.Errorf("flow: no address to confirm: %w", store.ErrStale)
	}
	return e.AskForCode(ctx, v, CodeRequest{
		For: store.MailCodeConfirm, UserID: v.User.ID, Address: v.User.Email, Locale: v.User.Locale, Event: store.EventEnrollMailed,
	})
}

// RecordConfirmation records that the code was right, which was mailed to the address
// that it names. It is void then. It proves the address of the account if it still is
// that one.
func (e *Engine) RecordConfirmation(ctx context.Context, v *Visit, right store.MailCode) error {
	if v.Step.Name != ConfirmEmail || !v.MustConfirm() {
		return fmt.Errorf("flow: no address to confirm: %w", store.ErrStale)
	}
	v.Progress.MailCode = v.Progress.MailCode.Void()
	v.Progress.Confirmed = &store.ConfirmedEmail{UserID: right.UserID, Email: right.Address}
	return e.update(ctx, v, v.event(store.EventEnrollConfirmed, ""))
}

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
