// Package flow takes an authorization request to its answer: it asks what the
// next step is, records what happened, and finishes. Next decides, purely, from
// what is stored; Engine loads, records and finishes. It knows no HTTP and no
// pages, and it checks nobody's password: authn does, and hands a proof.
package flow

import (
	"cmp"
	"net/netip"
	"slices"
	"time"

	"github.com/sallyport-id/sallyport/internal/authn"
	"github.com/sallyport-id/sallyport/internal/keys"
	"github.com/sallyport-id/sallyport/internal/oidc"
	"github.com/sallyport-id/sallyport/internal/policy"
	"github.com/sallyport-id/sallyport/internal/store"
)

// State is all that the next step depends on.
type State struct {
	Now     time.Time
	Policy  policy.Policy
	Client  *oidc.Client
	Request *oidc.AuthorizationRequest
	// APIs are those that the request names and that are registered.
	APIs []*oidc.Resource
	// Address is where the request comes from; zero: unknown.
	Address netip.Addr
	// Interaction is its id; "" before one is stored.
	Interaction string
	// Began is when it was stored; zero: it is not.
	Began    time.Time
	Progress store.Progress
	// Session is the browser's live session, nil for none; then User is nil too.
	Session        *store.Session
	User           *store.User
	Authenticators []store.Authenticator
	// Subjects knows what the user is called at the client.
	Subjects *keys.Subjects
	// Consent is what the user allowed the client before; nil: nothing.
	Consent *store.Consent
	// HintedElsewhere: login_hint names another than the session's user.
	HintedElsewhere bool
	// InvitationOpen: the invitation of Progress.Invited may still be used. With one,
	// User is the invited user, there is no session, and Client and Request are
	// zero.
	InvitationOpen bool
	// DeviceCode is the device that the interaction answers, as long as it waits; nil
	// with Progress.DeviceCode: it waits no more.
	DeviceCode *store.DeviceCode
	// Enrollment is what a first factor is bound with.
	Enrollment Enrollment
	// Registration says who may make an account; nil: nobody may.
	Registration *Registration
	// AddressTaken and LoginTaken: what Progress.Registering has is somebody's.
	AddressTaken, LoginTaken bool
	// NoWebAuthn: this server registers neither passkeys nor security keys.
	NoWebAuthn bool
	// Device is the user's live trusted device that the browser is; nil: none.
	Device *store.TrustedDevice
	// TrustDeclined: the browser is not to be asked whether to trust it.
	TrustDeclined bool
	// Bypass is the user's live bypass code, nil for none.
	Bypass *store.BypassCode
}

// StepName names a step.
type StepName string

// The steps. A page belongs to each but Done.
const (
	Login        StepName = "login"
	SecondFactor StepName = "second_factor"
	Enroll       StepName = "enroll"
	SaveCodes    StepName = "save_codes"
	Trust        StepName = "trust"
	Consent      StepName = "consent"
	Welcome      StepName = "welcome" // the last of whoever sets up an account
	Manage       StepName = "manage"  // of one's own account
	Done         StepName = "done"
	// ConfirmEmail asks for a code that is mailed; Profile for what an account will have.
	ConfirmEmail StepName = "confirm_email"
	Profile      StepName = "profile"
	Refuse       StepName = "refuse"
)

// Step is what Next answers.
type Step struct {
	Name StepName
	// Evidence is what the session is worth for this request so far.
	Evidence authn.Result
	// Factors are the authenticators with any of which the level is reached, the last
	// used first, recovery codes last; only with SecondFactor.
	Factors []store.Authenticator
	// Bypass: an operator's code leads on, too; only with SecondFactor.
	Bypass bool
	// Refusal is the protocol's error, only with Refuse.
	Refusal *oidc.Error
	// Reason names a refusal that has a page of its own; "" for none.
	Reason string
}

// The reasons of refusals that a page explains before the client hears of it.
const (
	ReasonNoSecondFactor = "no_second_factor"
	ReasonOtherFactor    = "other_factor" // there is one, and the policy wants another
	ReasonUnknownMake    = "unknown_make" // there is a key, and not one that is known to be hardware-bound
	ReasonDisabled       = "disabled"
	ReasonInvitation     = "invitation"   // used, ended or replaced; no client hears of it
	ReasonDeviceGone     = "device_gone"  // nobody waits for the answer
	ReasonDeviceLevel    = "device_level" // what is asked for cannot be proven for another device
	// ReasonNeedsInvitation: the first second factor is to be set up with one.
	ReasonNeedsInvitation = "needs_invitation"
	ReasonRegistration    = "registration" // ended, or turned off; no client hears of it
)

// Next is the one decision: every code passes it. With prompt=none a step that
// needs the user becomes the standard's error (OpenID Connect Core §3.1.2.6).
func Next(s State) Step {
	step := next(s)
	if !s.Request.Prompt.None {
		return step
	}
	switch step.Name {
	case Login:
		return refuse(step, oidc.LoginRequired, "the user is not signed in, or not as required")
	case SecondFactor, Enroll, ConfirmEmail, SaveCodes:
		return refuse(step, oidc.InteractionRequired, "the user must do more than sign in silently")
	case Consent:
		return refuse(step, oidc.ConsentRequired, "the user has not allowed this")
	case Refuse:
		step.Reason = "" // no page may be shown, the one that explains it neither
	}
	return step
}

func next(s State) Step {
	if s.Progress.Invited != nil {
		return nextInvited(s)
	}
	if s.forDevice() && s.DeviceCode == nil {
		return refuse(Step{Reason: ReasonDeviceGone}, oidc.ExpiredToken, "the device waits no more")
	}
	if s.Progress.Registering != nil {
		return nextRegistering(s)
	}
	if refusal := s.Request.CheckResources(s.Client, s.APIs); refusal != nil {
		return Step{Name: Refuse, Refusal: refusal} // one was removed, or the client's right to it, while the user signed in
	}
	if s.Session == nil || s.User == nil || s.Session.UserEpoch != s.User.Epoch {
		return Step{Name: Login} // of another epoch: everything was ended between two reads
	}
	step := Step{Evidence: authn.Judge(s.Evidence())}
	if s.User.Disabled || s.Client.Disabled {
		step.Reason = ReasonDisabled
		return refuse(step, oidc.AccessDenied, "the account or the client is disabled")
	}
	if s.otherPersonExpected() {
		if s.provenHere() {
			return refuse(step, oidc.LoginRequired, "another user signed in than the request names")
		}
		return step.named(Login)
	}
	if step.Evidence.Level == oidc.LevelNone || s.HintedElsewhere && !s.provenHere() {
		return step.named(Login)
	}
	if s.Progress.Account && s.newCodes() && s.Progress.CodesIn == s.Session.ID {
		return step.named(SaveCodes) // before all else: the old ones, with which this may have been proven, are void
	}
	if waiting, ok := s.untilStrong(step); !ok {
		return waiting
	}
	if s.newCodes() {
		return step.named(SaveCodes)
	}
	if s.Progress.Account && s.confirming() {
		return step.named(ConfirmEmail)
	}
	if s.Progress.Account {
		return step.named(Manage)
	}
	if s.asksForTrust() {
		return step.named(Trust)
	}
	if s.consentMissing() {
		return step.named(Consent)
	}
	return step.named(Done)
}

// nextInvited sets up an account, and signs nobody in: the factor spends the
// invitation, with the password that waits in the interaction.
func nextInvited(s State) Step {
	in := s.Progress.Invited
	switch {
	case s.User == nil || s.User.Disabled || s.User.Epoch != in.UserEpoch:
	case in.Spent && len(s.Progress.Codes) > 0:
		return Step{Name: SaveCodes}
	case in.Spent:
		return Step{Name: Welcome}
	case s.InvitationOpen && in.NewHash != "" && in.OldHash == s.User.PasswordHash && len(s.FirstKinds()) > 0:
		return Step{Name: Enroll}
	}
	return refuse(Step{Reason: ReasonInvitation}, oidc.AccessDenied, "the invitation is not open")
}

// untilStrong answers whether the evidence reaches what the request demands,
// and the step that leads there if not.
func (s State) untilStrong(step Step) (Step, bool) {
	reach := s.reach()
	demand := s.Policy.Demand(s.Case(), s.Request, reach)
	if s.managing() { // factors that the rule excludes still forbid the password alone
		demand.Level = max(demand.Level, reach, min(authn.Reach(s.User, s.Authenticators, s.Session.Proofs), oidc.Level2FA))
	}
	switch {
	case demand.Impossible:
		return refuse(step, oidc.UnmetAuthentication, "none of the requested authentication contexts can be performed"), false
	case step.Evidence.Level >= demand.Level:
		return step, true
	case s.bypassed(demand.Level):
		return s.enrollStep(step), false
	case reach >= demand.Level:
		missing := s.missingFactor(step, demand.Level)
		if missing.Name == SecondFactor && s.trusted() { // it spares nobody a password that is too old
			return step, true
		}
		return missing, false
	case demand.MayEnroll && s.mayEnroll() && s.putOff():
		return step, true
	case demand.MayEnroll && (s.enrollsAlone() || s.MayPutOff()) && demand.Level <= enrollReach:
		return s.firstStep(step), false
	case s.bypassOpen(demand.Level):
		return s.bypassStep(step), false
	case demand.Essential:
		return refuse(step, oidc.UnmetAuthentication, "the account cannot reach the requested authentication context"), false
	}
	step.Reason = ReasonNoSecondFactor
	switch {
	case s.forDevice() && demand.Level > farthest:
		step.Reason = ReasonDeviceLevel
	case demand.Level <= enrollReach && s.mayEnroll():
		step.Reason = ReasonNeedsInvitation
	case demand.Level > oidc.LevelPHR && s.onlyUnknownMakes():
		step.Reason = ReasonUnknownMake
	case slices.ContainsFunc(s.Authenticators, authn.Usable):
		step.Reason = ReasonOtherFactor
	}
	return refuse(step, oidc.AccessDenied, "a second factor is required and the account has none that suffices"), false
}

// onlyUnknownMakes: the user has a key that can be used, and none that is hardware-bound.
func (s State) onlyUnknownMakes() bool {
	keys := slices.DeleteFunc(slices.Clone(s.Authenticators), func(a store.Authenticator) bool {
		return !authn.Usable(a) || a.Credential == nil
	})
	return len(keys) > 0 && !slices.ContainsFunc(keys, func(a store.Authenticator) bool { return a.Credential.Attested })
}

// Case is what the policy decides about.
func (s State) Case() policy.Case {
	return policy.Case{Client: s.Client, APIs: s.APIs, User: s.User, HasFactor: len(s.Authenticators) > 0, Address: s.Address, Now: s.Now}
}

// counted are the authenticators that the rule lets count.
func (s State) counted() []store.Authenticator {
	rule := s.Policy.Rule(s.Case())
	return slices.DeleteFunc(slices.Clone(s.Authenticators), func(a store.Authenticator) bool {
		return !rule.Counts(a.Kind) || a.Kind == store.KindEmail && !s.Policy.MailCodes
	})
}

// reach is the level that the account can prove under the rule.
func (s State) reach() oidc.Level {
	reach := authn.Reach(s.User, s.counted(), s.Session.Proofs)
	if s.forDevice() {
		reach = min(reach, farthest)
	}
	return reach
}

// missingFactor is the step of the factor that is still to be proven: the second
// one if with it, now, the level is reached; else the password first, which may
// be too old to count.
func (s State) missingFactor(step Step, level oidc.Level) Step {
	for _, a := range s.counted() {
		if authn.Usable(a) && s.levelWith(a) >= level {
			step.Factors = append(step.Factors, a)
		}
	}
	if len(step.Factors) == 0 {
		return step.named(Login)
	}
	step.Bypass = s.bypassOpen(level)
	slices.SortStableFunc(step.Factors, func(a, b store.Authenticator) int {
		return cmp.Or(cmp.Compare(rank(a), rank(b)), b.LastUsedAt.Compare(a.LastUsedAt))
	})
	return step.named(SecondFactor)
}

// rank puts codes by mail after what protects better, and recovery codes last: they
// are for those who have nothing else at hand.
func rank(a store.Authenticator) int {
	switch a.Kind {
	case store.KindRecovery:
		return 2
	case store.KindEmail:
		return 1
	}
	return 0
}

// levelWith is the level that the evidence has with one more proof, given now. A
// WebAuthn one is taken to be without user verification: that is up to the user.
func (s State) levelWith(a store.Authenticator) oidc.Level {
	with := s.Evidence()
	with.Proofs = append(slices.Clip(with.Proofs), store.Proof{
		Method: store.Method(a.Kind), At: s.Now, UserID: s.User.ID, Authenticator: a.ID, Interaction: s.Interaction,
		Bound: authn.BoundBy(s.Session.Proofs, a.ID), Attested: a.Credential != nil && a.Credential.Attested,
	})
	return authn.Judge(with).Level
}

// levelWithNew is the level that the evidence has with a first authenticator, bound
// now.
func (s State) levelWithNew() oidc.Level {
	with := s.Evidence()
	with.Proofs = append(slices.Clip(with.Proofs), store.Proof{
		Method: store.Method(s.FirstKinds()[0]), At: s.Now, UserID: s.User.ID, Interaction: s.Interaction, Bound: true,
	})
	return authn.Judge(with).Level
}

// enrollReach is the level that the first enrolment lifts its session to, whatever
// is enrolled: only the password stands for the user there.
const enrollReach = oidc.Level2FA

// mayEnroll: enrolling a first authenticator is a right that is stored, not the
// absence of authenticators. Disabled ones still exist.
func (s State) mayEnroll() bool {
	return s.User.MayEnroll && len(s.Authenticators) == 0 && len(s.FirstKinds()) > 0
}

// FirstKinds are the kinds of authenticators of which a first one may be, what
// protects best first.
func (s State) FirstKinds() []store.AuthenticatorKind {
	rule := s.Policy.Rule(s.Case())
	return slices.DeleteFunc([]store.AuthenticatorKind{store.KindWebAuthn, store.KindTOTP, store.KindEmail}, func(k store.AuthenticatorKind) bool {
		return !rule.Counts(k) || k == store.KindWebAuthn && s.NoWebAuthn || k == store.KindEmail && !s.mayMail()
	})
}

// enrollStep asks for all that the account can prove, in this interaction,
// before anything is bound to it: the password again if it was proven elsewhere. Of
// a user with a bypass code that is the password alone.
func (s State) enrollStep(step Step) Step {
	own := s
	own.Progress.OwnProofs = true
	if s.Interaction == "" || own.levelWithNew() < enrollReach {
		return step.named(Login)
	}
	return step.named(Enroll)
}

// Evidence is the session's proofs under this request's cut-offs.
func (s State) Evidence() authn.Evidence {
	return authn.Evidence{
		UserID:      s.User.ID,
		Proofs:      s.Session.Proofs,
		At:          s.Now,
		Interaction: s.Interaction,
		NotBefore:   s.notBefore(),
		OwnProofs:   s.Progress.OwnProofs || s.managing(),
		Methods:     s.Policy.Rule(s.Case()).SecondMethods(),
		MailCodes:   s.Policy.MailCodes,
		Valid:       authn.ValidIDs(s.Authenticators),
		Attested:    authn.AttestedIDs(s.Authenticators),
		Device:      s.grantedDevice(),
		Elsewhere:   s.forDevice(),
	}
}

// notBefore is the instant before which proofs do not count: the request's, or the
// rule's, which stands still while the user answers.
func (s State) notBefore() time.Time {
	age := s.Policy.Rule(s.Case()).MaxAge
	if age == 0 {
		return s.Progress.NotBefore
	}
	began := s.Began
	if began.IsZero() {
		began = s.Now
	}
	if rule := began.Add(-age); rule.After(s.Progress.NotBefore) {
		return rule
	}
	return s.Progress.NotBefore
}

// managing: the interaction is for changes of the user's account. For them all that
// the account can prove is asked for, here. To look at it, which begins none, what
// the policy requires suffices.
func (s State) managing() bool { return s.Progress.Account && s.Interaction != "" }

// newCodes: the user has not saved the new recovery codes yet.
func (s State) newCodes() bool { return len(s.Progress.Codes) > 0 && s.Progress.CodesOf == s.User.ID }

// otherPersonExpected: the request names a subject, and it is not the session's.
func (s State) otherPersonExpected() bool {
	return s.Progress.Subject != "" && s.Subjects.Of(s.Client, s.User.ID) != s.Progress.Subject
}

// provenHere: the user signed in as this user in this very interaction.
func (s State) provenHere() bool {
	return s.Interaction != "" && slices.ContainsFunc(s.Session.Proofs, func(p store.Proof) bool {
		return p.Interaction == s.Interaction && p.UserID == s.User.ID
	})
}

// consentMissing: the user has neither allowed this request nor, where that may
// be remembered, all of its scopes before (OpenID Connect Core §3.1.2.4).
func (s State) consentMissing() bool {
	switch {
	case s.Progress.ConsentBy == s.User.ID:
		return false
	case s.Request.Prompt.Consent:
		return true
	case s.Client.SkipConsent:
		return false
	}
	return !s.remembered()
}

func (s State) remembered() bool {
	if s.Consent == nil || !Rememberable(s.Client) || !slices.Equal(s.Consent.ClientHash, ClientHash(s.Client)) {
		return false
	}
	return !slices.ContainsFunc(s.asked(), func(scope string) bool {
		return !slices.Contains(s.Consent.Scope, scope)
	})
}

func (s Step) named(name StepName) Step {
	s.Name = name
	return s
}

func refuse(s Step, code, description string) Step {
	s.Name = Refuse
	s.Refusal = oidc.Errorf(code, "%s", description)
	return s
}
