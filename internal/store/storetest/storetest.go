// Package storetest is the contract of package store as a suite of checks: one
// for each promise in the comments of its roles, named after it. Whatever may
// happen once is tried 64 times at once.
//
// The broken stores in its own tests show that the checks bite.
package storetest

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/sallyport-id/sallyport/internal/store"
)

// Run checks the stores that open returns: an empty one each time, which open
// also closes.
func Run(t *testing.T, open func(testing.TB) store.Store) {
	for _, c := range Checks {
		t.Run(c.Name, func(t *testing.T) {
			t.Parallel()
			c.Run(t, open(t))
		})
	}
}

// Check is one promise.
type Check struct {
	Name  string
	check func(*world)
}

// Run makes the check on an empty store.
func (c Check) Run(t testing.TB, s store.Store) {
	w := &world{TB: t, Store: s, ctx: t.Context(), now: time.Date(2026, 11, 25, 9, 0, 0, 0, time.UTC)}
	w.warm()
	c.check(w)
}

// world is a store, a moment, and a way to complain.
type world struct {
	testing.TB
	store.Store
	ctx context.Context
	now time.Time
}

// crowd is how many do the same at once.
const crowd = 64

// warm lets every connection of a pool be made before a race: else those that are
// being made hide it.
func (w *world) warm() {
	race(func(int) error { _, err := w.Store.Meta(w.ctx, "warm"); return err })
}

// race runs f for 0 to crowd-1, all at once, and returns what each said.
func race(f func(i int) error) []error {
	var done sync.WaitGroup
	start, errs := make(chan struct{}), make([]error, crowd)
	for i := range errs {
		done.Go(func() {
			<-start
			errs[i] = f(i)
		})
	}
	close(start)
	done.Wait()
	return errs
}

// must complains if there is an error.
func (w *world) must(err error) {
	w.Helper()
	if err != nil {
		w.Fatalf("got error %v, want none", err)
	}
}

// is complains if err is not the one wanted; nil wants none.
func (w *world) is(what string, err, want error) {
	w.Helper()
	if !errors.Is(err, want) {
		w.Errorf("%s: got %v, want %v", what, err, want)
	}
}

// winners returns how many have no error; all others must have one of these.
func (w *world) winners(errs []error, others ...error) (n int) {
	w.Helper()
	for i, err := range errs {
		known := false
		for _, other := range others {
			known = known || errors.Is(err, other)
		}
		if err == nil {
			n++
		} else if !known {
			w.Errorf("number %d: got %v, want success or one of %v", i, err, others)
		}
	}
	return n
}

// count complains if there are more or fewer.
func (w *world) count(what string, got, want int) {
	w.Helper()
	if got != want {
		w.Errorf("%s: got %d, want %d", what, got, want)
	}
}

// Checks are the suite, in the order of the roles.
var Checks = []Check{
	{"ClientKept", clientKept},
	{"ClientIDUnique", clientIDUnique},
	{"ClientUpdatedAndRemoved", clientUpdatedAndRemoved},
	{"ClientChangedByOne", clientChangedByOne},
	{"ClientSecretChangedByOne", clientSecretChangedByOne},
	{"RemoveClientLeavesNoHeir", removeClientLeavesNoHeir},

	{"ResourceKept", resourceKept},
	{"ResourceURIUnique", resourceURIUnique},
	{"RemoveResourceLeavesNoHeir", removeResourceLeavesNoHeir},
	{"ClientTokenKept", clientTokenKept},
	{"ClientTokenEndsWithItsClient", clientTokenEndsWithItsClient},
	{"RevokeClientTokenOnce", revokeClientTokenOnce},

	{"UserKept", userKept},
	{"UserLoginAndIDNeverReused", userLoginAndIDNeverReused},
	{"RemoveUserForgets", removeUserForgets},
	{"CreateUserOneWinner", createUserOneWinner},
	{"UsersInPages", usersInPages},
	{"SetPasswordHashComparesTheOld", setPasswordHashComparesTheOld},
	{"ProfileReplaced", profileReplaced},
	{"DisableUserEndsEverything", disableUserEndsEverything},
	{"EnableUserGivesNothingBack", enableUserGivesNothingBack},
	{"RevokeUserEndsEverything", revokeUserEndsEverything},
	{"RevokeUserSparesOneSession", revokeUserSparesOneSession},
	{"RevokeUserEndsWhatIsBeingRedeemed", revokeUserEndsWhatIsBeingRedeemed},
	{"RevokeUserEndsWhatIsBeingRotated", revokeUserEndsWhatIsBeingRotated},
	{"RevokeUserEndsWhatIsBeingStarted", revokeUserEndsWhatIsBeingStarted},

	{"AuthenticatorsKept", authenticatorsKept},
	{"EnrollFirstSpendsTheRight", enrollFirstSpendsTheRight},
	{"EnrollFirstOnce", enrollFirstOnce},
	{"EnrollFirstAllOrNothing", enrollFirstAllOrNothing},
	{"CreateAuthenticatorSpendsTheRight", createAuthenticatorSpendsTheRight},
	{"AccountChangeHangsOnWhatWasDecidedOn", accountChangeHangsOnWhatWasDecidedOn},
	{"AccountChangeEndsEverythingElse", accountChangeEndsEverythingElse},
	{"AccountChangeOnce", accountChangeOnce},
	{"AddAuthenticatorIsNoFirst", addAuthenticatorIsNoFirst},
	{"LastAuthenticatorStays", lastAuthenticatorStays},
	{"RemoveAuthenticatorLeavesWhatIsNeeded", removeAuthenticatorLeavesWhatIsNeeded},
	{"RenewedCodesAreTheOnlyOnes", renewedCodesAreTheOnlyOnes},
	{"ChangePasswordComparesTheOld", changePasswordComparesTheOld},
	{"RevokeConsentEndsItsGrants", revokeConsentEndsItsGrants},
	{"UserClientsAreLive", userClientsAreLive},
	{"UserSessionsAreLive", userSessionsAreLive},
	{"TOTPStepAcceptedOnce", totpStepAcceptedOnce},
	{"TOTPStepsOnlyRise", totpStepsOnlyRise},
	{"TOTPStepStaysWithoutItsProof", totpStepStaysWithoutItsProof},
	{"TOTPStepOfAnotherUser", totpStepOfAnotherUser},
	{"AuthenticatorMustFit", authenticatorMustFit},
	{"RecoveryCodeAcceptedOnce", recoveryCodeAcceptedOnce},
	{"RecoveryCodeEndsEverythingElse", recoveryCodeEndsEverythingElse},
	{"RecoveryCodesReplaced", recoveryCodesReplaced},
	{"CredentialsKept", credentialsKept},
	{"CredentialOfOneUser", credentialOfOneUser},
	{"HandleIsForLife", handleIsForLife},
	{"AssertionTakenOnce", assertionTakenOnce},
	{"CountersOnlyRise", countersOnlyRise},
	{"AssertionAllOrNothing", assertionAllOrNothing},
	{"AssertionMustFit", assertionMustFit},
	{"SignInTakenOnce", signInTakenOnce},
	{"SignInCounterOnce", signInCounterOnce},
	{"SignInReplaces", signInReplaces},
	{"SignInAllOrNothing", signInAllOrNothing},
	{"AloneAfterBothFactors", aloneAfterBothFactors},
	{"UserByCredential", userByCredential},

	{"InvitationKept", invitationKept},
	{"InvitationNeedsSecretAndLife", invitationNeedsSecretAndLife},
	{"InvitationReplacesOlder", invitationReplacesOlder},
	{"InvitationsAtOnceLeaveOne", invitationsAtOnceLeaveOne},
	{"InviteAgainWhoHasNothing", inviteAgainWhoHasNothing},
	{"InvitationRedeemedOnce", invitationRedeemedOnce},
	{"InvitationRedeemedByOneBrowser", invitationRedeemedByOneBrowser},
	{"InvitationRedeemedAllOrNothing", invitationRedeemedAllOrNothing},
	{"Registered", registered},
	{"RegisteredByOne", registeredByOne},
	{"RegistrationBegun", registrationBegun},
	{"RegisteredAllOrNothing", registeredAllOrNothing},
	{"InvitationSkipped", invitationSkipped},
	{"InvitationSkippedOrRedeemed", invitationSkippedOrRedeemed},
	{"InvitationSkippedAllOrNothing", invitationSkippedAllOrNothing},
	{"InvitationEndsWithTheUser", invitationEndsWithTheUser},
	{"InvitationOfWhoHasAnAuthenticator", invitationOfWhoHasAnAuthenticator},
	{"ResetUserEndsEverything", resetUserEndsEverything},
	{"ResetUserKeepsThePassword", resetUserKeepsThePassword},
	{"ResetUserWhileRedeemed", resetUserWhileRedeemed},

	{"PasswordResetKept", passwordResetKept},
	{"PasswordResetNeedsAFactor", passwordResetNeedsAFactor},
	{"PasswordResetOnce", passwordResetOnce},
	{"PasswordResetOrEnded", passwordResetOrEnded},
	{"PasswordResetAllOrNothing", passwordResetAllOrNothing},
	{"PasswordResetEndsEverything", passwordResetEndsEverything},

	{"SessionKept", sessionKept},
	{"SessionNeedsSecretAndLife", sessionNeedsSecretAndLife},
	{"StartSessionReplaces", startSessionReplaces},
	{"StartSessionStale", startSessionStale},
	{"StartSessionBindsOnce", startSessionBindsOnce},
	{"AddProofNeverLost", addProofNeverLost},
	{"AddProofRotatesByVersion", addProofRotatesByVersion},
	{"AddProofForAnotherUser", addProofForAnotherUser},
	{"AddProofToAnEndedSession", addProofToAnEndedSession},
	{"AddProofBindsInteraction", addProofBindsInteraction},
	{"AddProofSettles", addProofSettles},
	{"EndSessionEndsWhatHangsOnIt", endSessionEndsWhatHangsOnIt},
	{"EndSessionWhileProofsCome", endSessionWhileProofsCome},

	{"InteractionKept", interactionKept},
	{"InteractionNeedsBrowserAndLife", interactionNeedsBrowserAndLife},
	{"UpdateInteractionRefusesStale", updateInteractionRefusesStale},
	{"UpdateInteractionOneWinner", updateInteractionOneWinner},
	{"FinishInteractionOnce", finishInteractionOnce},
	{"FinishInteractionStale", finishInteractionStale},
	{"FinishInteractionTouches", finishInteractionTouches},
	{"FinishRemembersTheBrowser", finishRemembersTheBrowser},
	{"FinishWithoutInteraction", finishWithoutInteraction},
	{"FinishWhileTheSessionEnds", finishWhileTheSessionEnds},
	{"RefuseOrFinishOnce", refuseOrFinishOnce},

	{"CodeReturnedWithItsSecret", codeReturnedWithItsSecret},
	{"UsedOnce", usedOnce},

	{"PushedKept", pushedKept},
	{"PushedAnsweredOnce", pushedAnsweredOnce},

	{"DeviceCodeKept", deviceCodeKept},
	{"DeviceCodePolled", deviceCodePolled},
	{"DeviceCodeAnsweredOnce", deviceCodeAnsweredOnce},
	{"DeviceCodeRedeemedOnce", deviceCodeRedeemedOnce},
	{"DeviceCodeRedeemedWhileLive", deviceCodeRedeemedWhileLive},

	{"CodeRedeemedOnce", codeRedeemedOnce},
	{"CodeRedeemedWhileLive", codeRedeemedWhileLive},
	{"CodeWrongSecretIsNeverReuse", codeWrongSecretIsNeverReuse},

	{"AccessTokenWhileLive", accessTokenWhileLive},
	{"AccessTokenNeedsSecret", accessTokenNeedsSecret},
	{"RefreshTokenKept", refreshTokenKept},
	{"RefreshTokenIdle", refreshTokenIdle},
	{"RotateRefreshOnce", rotateRefreshOnce},
	{"RotateRefreshOneDescendant", rotateRefreshOneDescendant},
	{"RotateRefreshGrace", rotateRefreshGrace},
	{"RotateRefreshWhileLive", rotateRefreshWhileLive},
	{"IssueAccessWhileLive", issueAccessWhileLive},
	{"RevokeGrantEndsTokens", revokeGrantEndsTokens},
	{"RevokeGrantEndsWhatIsBeingRotated", revokeGrantEndsWhatIsBeingRotated},
	{"RevokeAccessTokenOnce", revokeAccessTokenOnce},
	{"ConsentRemembered", consentRemembered},

	{"DeviceKept", deviceKept},
	{"DeviceNeedsSecretAndLife", deviceNeedsSecretAndLife},
	{"TrustDeviceStale", trustDeviceStale},
	{"TrustDeviceOnce", trustDeviceOnce},
	{"DeviceSecretUsedOnce", deviceSecretUsedOnce},
	{"DeviceSecretPresentedAgain", deviceSecretPresentedAgain},
	{"DeviceUsedWithoutRotation", deviceUsedWithoutRotation},
	{"DeviceEndsWithItsGrants", deviceEndsWithItsGrants},
	{"DeviceEndsWithTime", deviceEndsWithTime},
	{"DeviceEndsOrIsUsed", deviceEndsOrIsUsed},
	{"DevicesAtMostTwenty", devicesAtMostTwenty},
	{"DeviceEndsWithTheUser", deviceEndsWithTheUser},
	{"SweepKeepsDevices", sweepKeepsDevices},

	{"MailCodeKept", mailCodeKept},
	{"MailCodeAskedBothOrNothing", mailCodeAskedBothOrNothing},
	{"MailCodeUsedOnce", mailCodeUsedOnce},
	{"MailCodeMustFit", mailCodeMustFit},
	{"AddressChangeEndsCodes", addressChangeEndsCodes},
	{"AddressVerifiedByCode", addressVerifiedByCode},
	{"BypassKept", bypassKept},
	{"BypassReplacesOlder", bypassReplacesOlder},
	{"BypassUsedOnce", bypassUsedOnce},
	{"BypassMustFit", bypassMustFit},
	{"BypassEndsEverythingElse", bypassEndsEverythingElse},
	{"BypassEndsWithTheUser", bypassEndsWithTheUser},
	{"BypassEnrolsOnce", bypassEnrolsOnce},
	{"BypassEnrolsWhereItWasUsed", bypassEnrolsWhereItWasUsed},

	{"GroupsReplaced", groupsReplaced},
	{"GraceStartsOnce", graceStartsOnce},
	{"AttemptNeverLost", attemptNeverLost},
	{"AttemptStopsAtLimit", attemptStopsAtLimit},
	{"AttemptAllOrNone", attemptAllOrNone},
	{"AttemptDelays", attemptDelays},
	{"AttemptWindow", attemptWindow},
	{"AttemptIdle", attemptIdle},
	{"LookAtCountsNothing", lookAtCountsNothing},
	{"SweepForgetsNobodysAttempts", sweepForgetsNobodysAttempts},
	{"SettleResetsAndRefunds", settleResetsAndRefunds},
	{"KnownBrowsersAtMostFive", knownBrowsersAtMostFive},

	{"SigningKeysKept", signingKeysKept},
	{"SigningKeyOnlyFirst", signingKeyOnlyFirst},
	{"SigningKeyOneNext", signingKeyOneNext},
	{"SigningKeyRotatedInOrder", signingKeyRotatedInOrder},
	{"SigningKeyReplacedInAnEmergency", signingKeyReplacedInAnEmergency},
	{"SigningKeySweptAfterItsTime", signingKeySweptAfterItsTime},
	{"SealedValuesInPages", sealedValuesInPages},
	{"SecretMadeOnce", secretMadeOnce},
	{"SealedReplacedIfUnchanged", sealedReplacedIfUnchanged},
	{"PassingSealedEnds", passingSealedEnds},
	{"EventsKept", eventsKept},
	{"EventsSelected", eventsSelected},
	{"UserEventsAreForPeople", userEventsAreForPeople},
	{"SessionEndRecordedOnce", sessionEndRecordedOnce},
	{"ForgetEventsBefore", forgetEventsBefore},
	{"EventsOnlyWithTheirVerb", eventsOnlyWithTheirVerb},
	{"NoticeWithItsEvent", noticeWithItsEvent},
	{"NoticesBounded", noticesBounded},
	{"NextMailClaimedOnce", nextMailClaimedOnce},
	{"NextMailOldestFirst", nextMailOldestFirst},
	{"MailClaimEnds", mailClaimEnds},
	{"MailsForgotten", mailsForgotten},
	{"LogoutWithEveryEnd", logoutWithEveryEnd},
	{"LogoutToWhomItConcerns", logoutToWhomItConcerns},
	{"LogoutOfTheLastAnswer", logoutOfTheLastAnswer},
	{"LogoutOnceOfManyEnds", logoutOnceOfManyEnds},
	{"NextLogoutClaimedOnce", nextLogoutClaimedOnce},
	{"NextLogoutOldestFirst", nextLogoutOldestFirst},
	{"LogoutClaimEnds", logoutClaimEnds},
	{"LogoutsForgotten", logoutsForgotten},
	{"RulesKept", rulesKept},
	{"SetRulesOneWinner", setRulesOneWinner},
	{"MetaKept", metaKept},
	{"TimesToTheMillisecond", timesToTheMillisecond},

	{"RestoreEndsEverything", restoreEndsEverything},
	{"RestoreForgetsBrowsersAndConsents", restoreForgetsBrowsersAndConsents},
	{"RestoreVoidsWhatIsSpentOnce", restoreVoidsWhatIsSpentOnce},
	{"RestoreKeepsTheRest", restoreKeepsTheRest},

	{"SweepDeletesWhatExpired", sweepDeletesWhatExpired},
	{"SweepDeletesNothingElse", sweepDeletesNothingElse},
	{"SweepKeepsWhatWasUsed", sweepKeepsWhatWasUsed},

	{"CancelledIsNotDone", cancelledIsNotDone},
	{"OneFailureIsNotAnothers", oneFailureIsNotAnothers},
}
