package store

import "time"

// Event is a line of the audit log.
type Event struct {
	ID          int64 // given by the store, rising
	At          time.Time
	Type        string // one of EventTypes
	UserID      string // whom it is about; "" if nobody is known
	ClientID    string
	Session     string
	Interaction string
	Address     string // of the peer; "" for the server itself and the command line
	RequestID   string
	// Actor is who did it where that is not the user: whoever ran the command, as
	// the system knows it.
	Actor  string
	Detail string
	// Browser is the peer's in words, for the mail that the event brings. The log does
	// not keep it.
	Browser string
}

// The types of events. Every one is a line of docs/operate/audit.md. What comes
// before a dot is a family.
const (
	EventLoginPassword       = "login.password"
	EventLoginTOTP           = "login.totp"
	EventLoginEmail          = "login.email"
	EventLoginRecovery       = "login.recovery"
	EventLoginWebAuthn       = "login.webauthn"
	EventLoginPasskey        = "login.passkey" // alone
	EventLoginWebAuthnFailed = "login.webauthn.failed"
	EventLoginPasswordFailed = "login.password.failed"
	EventLoginCodeFailed     = "login.code.failed"
	EventLoginCodeReused     = "login.code.reused"
	EventLoginThrottled      = "login.throttled"
	EventLoginNewBrowser     = "login.browser.new"
	EventLoginWrongCodes     = "login.code.series"

	EventMailCodeAsked = "mail_code.asked"

	EventPasswordResetAsked    = "password_reset.asked"
	EventPasswordResetMailed   = "password_reset.mailed"
	EventPasswordReset         = "password_reset.done"
	EventPasswordResetDisowned = "password_reset.disowned"

	EventInvitationMade     = "invitation.made"
	EventInvitationRedeemed = "invitation.redeemed"
	EventInvitationSkipped  = "invitation.skipped"

	EventRegistrationAsked  = "registration.asked"
	EventRegistrationProven = "registration.proven"
	EventRegistrationFailed = "registration.failed"
	EventRegistered         = "registration.done"

	EventEnrollMailed         = "enroll.email.mailed"
	EventEnrollConfirmed      = "enroll.email.confirmed"
	EventEnrollConfirmFailed  = "enroll.email.failed"
	EventEnrollTOTP           = "enroll.totp"
	EventEnrollEmail          = "enroll.email"
	EventEnrollWebAuthn       = "enroll.webauthn"
	EventEnrollWebAuthnFailed = "enroll.webauthn.failed"
	EventAuthenticatorAdded   = "authenticator.added"
	EventRecoveryReplaced     = "recovery.replaced"

	EventAccountFactorAdded    = "account.factor.added"
	EventAccountFactorRemoved  = "account.factor.removed"
	EventAccountFactorRenamed  = "account.factor.renamed"
	EventAccountCodes          = "account.codes"
	EventAccountPassword       = "account.password"
	EventAccountSessionEnded   = "account.session.ended"
	EventAccountOthersEnded    = "account.others.ended"
	EventAccountConsentRevoked = "account.consent.revoked"
	EventAccountLocale         = "account.locale"

	EventDeviceTrusted = "device.trusted"
	EventDeviceEnded   = "device.ended"
	EventDeviceReused  = "device.reused"

	EventBypassMade = "bypass.made"
	EventBypassUsed = "bypass.used"

	EventConsentGiven     = "consent.given"
	EventAuthorizeGranted = "authorize.granted"
	EventAuthorizeRefused = "authorize.refused"
	EventDeviceCodeMade   = "device_code.made"
	EventDeviceCodeDenied = "device_code.denied"

	EventTokenCode          = "token.code"
	EventTokenCodeReused    = "token.code.reused"
	EventTokenDevice        = "token.device"
	EventTokenDeviceReused  = "token.device.reused"
	EventTokenRefresh       = "token.refresh"
	EventTokenRefreshReused = "token.refresh.reused"
	EventTokenRevoked       = "token.revoked"
	EventTokenAccessRevoked = "token.access.revoked"
	EventTokenClient        = "token.client"
	EventTokenClientRevoked = "token.client.revoked"

	EventSessionEnded    = "session.ended"
	EventSessionIdle     = "session.idle"
	EventSessionReplaced = "session.replaced"
	EventSessionSwitched = "session.switched"

	EventLogoutDelivered = "logout.delivered"
	EventLogoutRefused   = "logout.refused"
	EventLogoutGivenUp   = "logout.given_up"
	EventLogoutDropped   = "logout.dropped"

	EventUserCreated      = "user.created"
	EventUserDisabled     = "user.disabled"
	EventUserEnabled      = "user.enabled"
	EventUserRemoved      = "user.removed"
	EventUserProfile      = "user.profile"
	EventUserReset        = "user.reset"
	EventUserResetFactors = "user.reset.factors"
	EventUserUnlocked     = "user.unlocked"
	EventUserGroups       = "user.groups"
	EventUserGrace        = "user.grace"
	EventGraceStarted     = "grace.started"

	EventClientCreated       = "client.created"
	EventClientRemoved       = "client.removed"
	EventClientSecretRotated = "client.secret.rotated"
	EventClientSecretEnded   = "client.secret.ended"
	EventClientAllowed       = "client.allowed"
	EventClientDenied        = "client.denied"
	EventClientKeysChanged   = "client.keys.changed"
	EventClientChanged       = "client.changed"
	EventClientAuthFailed    = "client.auth.failed"

	EventResourceCreated = "resource.created"
	EventResourceRemoved = "resource.removed"

	EventKeyCreated  = "key.created"
	EventKeyRotated  = "key.rotated"
	EventKeyReplaced = "key.replaced"
	EventKeyResealed = "key.resealed"

	EventPolicyChanged = "policy.changed"

	EventDatabaseRestored = "database.restored"
)

// EventTypes are all types.
func EventTypes() []string {
	return []string{
		EventLoginPassword, EventLoginTOTP, EventLoginEmail, EventLoginRecovery, EventLoginWebAuthn, EventLoginPasskey, EventLoginWebAuthnFailed, EventLoginPasswordFailed, EventLoginCodeFailed, EventLoginCodeReused, EventLoginThrottled,
		EventLoginNewBrowser, EventLoginWrongCodes,
		EventMailCodeAsked,
		EventPasswordResetAsked, EventPasswordResetMailed, EventPasswordReset, EventPasswordResetDisowned,
		EventInvitationMade, EventInvitationRedeemed, EventInvitationSkipped,
		EventRegistrationAsked, EventRegistrationProven, EventRegistrationFailed, EventRegistered,
		EventEnrollMailed, EventEnrollConfirmed, EventEnrollConfirmFailed, EventEnrollTOTP, EventEnrollEmail, EventEnrollWebAuthn, EventEnrollWebAuthnFailed, EventAuthenticatorAdded, EventRecoveryReplaced,
		EventAccountFactorAdded, EventAccountFactorRemoved, EventAccountFactorRenamed, EventAccountCodes, EventAccountPassword,
		EventAccountSessionEnded, EventAccountOthersEnded, EventAccountConsentRevoked, EventAccountLocale,
		EventDeviceTrusted, EventDeviceEnded, EventDeviceReused,
		EventBypassMade, EventBypassUsed,
		EventConsentGiven, EventAuthorizeGranted, EventAuthorizeRefused, EventDeviceCodeMade, EventDeviceCodeDenied,
		EventTokenCode, EventTokenCodeReused, EventTokenDevice, EventTokenDeviceReused, EventTokenRefresh, EventTokenRefreshReused,
		EventTokenRevoked, EventTokenAccessRevoked, EventTokenClient, EventTokenClientRevoked,
		EventSessionEnded, EventSessionIdle, EventSessionReplaced, EventSessionSwitched,
		EventLogoutDelivered, EventLogoutRefused, EventLogoutGivenUp, EventLogoutDropped,
		EventUserCreated, EventUserDisabled, EventUserEnabled, EventUserRemoved, EventUserProfile, EventUserReset, EventUserResetFactors, EventUserUnlocked, EventUserGroups, EventUserGrace, EventGraceStarted,
		EventClientCreated, EventClientRemoved, EventClientSecretRotated, EventClientSecretEnded, EventClientAllowed, EventClientDenied, EventClientKeysChanged, EventClientChanged, EventClientAuthFailed,
		EventResourceCreated, EventResourceRemoved,
		EventKeyCreated, EventKeyRotated, EventKeyReplaced, EventKeyResealed,
		EventPolicyChanged, EventDatabaseRestored,
	}
}

// EventQuery selects events of the audit log; the zero value of a field selects all.
type EventQuery struct {
	Since, Until time.Time // Since is in, Until is not
	UserID       string
	ClientID     string
	Type         string // one of EventTypes, or a family of them without its last dot
	OldestFirst  bool   // else the newest first
	// After goes on behind an event that another query has returned in this order.
	After Event
	Limit int // at most so many
}
