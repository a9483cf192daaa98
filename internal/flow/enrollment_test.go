package flow_test

import (
	"testing"

	"pgregory.net/rapid"

	"github.com/sallyport-id/sallyport/internal/flow"
	"github.com/sallyport-id/sallyport/internal/oidc"
	"github.com/sallyport-id/sallyport/internal/policy"
	"github.com/sallyport-id/sallyport/internal/store"
)

// TestRule1InvitationAloneEnrols: where it takes an invitation, no state leads to a
// first factor without one, or without an operator's code; and where it takes a mailed
// code, none does without the address of now, proven by this user.
func TestRule1InvitationAloneEnrols(t *testing.T) {
	t.Parallel()
	check(t, func(t *rapid.T) {
		s := draw(t)
		if s.Enrollment == flow.EnrollByPassword || s.Progress.Invited != nil || s.Bypass != nil {
			return
		}
		if flow.Next(s).Name != flow.Enroll {
			return
		}
		c := s.Progress.Confirmed
		if s.Enrollment != flow.EnrollByEmail || c == nil || c.UserID != s.User.ID || c.Email != s.User.Email || c.Email == "" {
			t.Fatalf("enroll with the password alone: %+v", s)
		}
	})
}

// TestRule1RefusalSaysThatItTakesAnInvitation: and not where an invitation would not
// help.
func TestRule1RefusalSaysThatItTakesAnInvitation(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change func(s *flow.State)
		want   string
	}{
		"the right to enrol": {func(s *flow.State) {}, flow.ReasonNeedsInvitation},
		"no right":           {func(s *flow.State) { s.User.MayEnroll = false }, flow.ReasonNoSecondFactor},
		"a stronger demand":  {func(s *flow.State) { s.Policy = ruled(policy.Rule{Require: policy.PhishingResistant}) }, flow.ReasonNoSecondFactor},
		"no kind of factor":  {func(s *flow.State) { s.Policy = ruled(policy.Rule{Methods: []string{"recovery"}}) }, flow.ReasonNoSecondFactor},
	} {
		s := signedIn(base(), store.MethodPassword)
		s.Enrollment, s.User.MayEnroll = flow.EnrollByInvitation, true
		c.change(&s)
		step := flow.Next(s)
		if step.Name != flow.Refuse || step.Reason != c.want || step.Refusal.Code != oidc.AccessDenied {
			t.Errorf("%s: got %+v, want a refusal for %s", name, step, c.want)
		}
	}
}

// TestRule27SkippedOnlyWhereThePasswordMayBeAll: an invited user may do without a
// second factor where the user's own rule lets the password be enough, it is long
// enough, and another way to a factor stays open.
func TestRule27SkippedOnlyWhereThePasswordMayBeAll(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change func(s *flow.State)
		want   bool
	}{
		"off":                   {func(s *flow.State) { s.Policy = oneFactor }, true},
		"optional":              {func(s *flow.State) { s.Policy = ruled(policy.Rule{Require: policy.Optional}) }, true},
		"grace":                 {func(s *flow.State) { s.Policy = ruled(policy.Rule{GraceDays: 7}) }, true},
		"grace ended":           {func(s *flow.State) { s.Policy, s.User.GraceUntil = ruled(policy.Rule{GraceDays: 7}), noon }, false},
		"required":              {func(s *flow.State) { s.Policy = policy.Policy{} }, false},
		"off for another group": {func(s *flow.State) { s.Policy = ruled(policy.Rule{Groups: []string{"guests"}, Require: policy.Off}) }, false},
		"off for the group": {func(s *flow.State) {
			s.Policy, s.User.Groups = ruled(policy.Rule{Groups: []string{"guests"}, Require: policy.Off}), []string{"guests"}
		}, true},
		"off for a client":    {func(s *flow.State) { s.Policy = ruled(policy.Rule{Clients: []string{"c"}, Require: policy.Off}) }, false},
		"by invitation alone": {func(s *flow.State) { s.Enrollment = flow.EnrollByInvitation }, false},
		"a short password":    {func(s *flow.State) { s.Progress.Invited.Alone = false }, false},
		"spent":               {func(s *flow.State) { s.Progress.Invited.Spent = true }, false},
		"no invitation":       {func(s *flow.State) { s.Progress.Invited = nil }, false},
		"nothing to enrol": {func(s *flow.State) {
			s.Policy = ruled(policy.Rule{Require: policy.Optional, Methods: []string{"recovery", "webauthn"}})
			s.NoWebAuthn = true
		}, false},
	} {
		s := invited()
		s.Policy, s.Enrollment, s.Progress.Invited.Alone = oneFactor, flow.EnrollByPassword, true
		c.change(&s)
		if got := s.MaySkip(); got != c.want {
			t.Errorf("%s: got %v, want %v", name, got, c.want)
		}
		if s.User.MayEnroll {
			t.Errorf("%s: the user was changed by looking", name)
		}
	}
}

// TestEnrollmentIsChecked: what cannot work is said when the server starts.
func TestEnrollmentIsChecked(t *testing.T) {
	t.Parallel()
	grace := []policy.Rule{{Require: policy.Off, Groups: []string{"guests"}}, {GraceDays: 7}}
	for _, c := range []struct {
		enrollment flow.Enrollment
		rules      []policy.Rule
		want       string
	}{
		{"", nil, ""},
		{flow.EnrollByInvitation, grace[:1], ""},
		{flow.EnrollByPassword, grace, ""},
		{"", grace, "a rule has grace_days, but with enrollment: invitation nobody could set up a second factor when the grace ends"},
		{"magic", nil, `enrollment is "magic", and must be invitation, email or password`},
	} {
		got := ""
		if err := c.enrollment.Check(c.rules); err != nil {
			got = err.Error()
		}
		if got != c.want {
			t.Errorf("%q with %d rules: got %q, want %q", c.enrollment, len(c.rules), got, c.want)
		}
	}
}
