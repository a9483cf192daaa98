package store

import (
	"encoding/json"
	"time"

	"github.com/sallyport-id/sallyport/internal/oidc"
)

// User is a person who can sign in.
type User struct {
	ID       string // the subject: never shown to be reused
	Login    string // as typed at creation
	LoginKey string // unique; made by authn.LoginKey
	Name     string
	Email    string
	// EmailVerified is about Email as it stands.
	EmailVerified bool
	Locale        string
	PasswordHash  string // PHC; "" for a user without a password
	// Handle names the account to authenticators: random, one for life, "" until a
	// first one is registered (WebAuthn L3 §14.6.1).
	Handle string
	// Claims are further claims of the user as a JSON object; nil for none.
	Claims json.RawMessage

	// Groups are what rules of the policy and applications know the user by.
	Groups []string
	// GraceUntil is until when the first second factor may be put off; zero: that has
	// not begun. It begins once in a life.
	GraceUntil time.Time

	// Registered: the user made the account, without an operator.
	Registered bool

	Disabled bool
	// MayEnroll is the right to bind a first authenticator: given at creation or
	// by an operator's reset, spent by the transaction that confirms one.
	MayEnroll bool
	// Epoch rises whenever everything issued so far must end.
	Epoch     int64
	CreatedAt time.Time
}

// Profile is what applications may be told of a user.
type Profile struct {
	Name, Email, Locale string
	Claims              json.RawMessage // as User.Claims
}

// AuthenticatorKind is what an authenticator is.
type AuthenticatorKind string

// The kinds of authenticators.
const (
	KindTOTP     AuthenticatorKind = "totp"
	KindRecovery AuthenticatorKind = "recovery" // a set of recovery codes
	KindWebAuthn AuthenticatorKind = "webauthn" // a passkey or a security key
	KindEmail    AuthenticatorKind = "email"    // codes to an address of e-mail
)

// Authenticator is what a user has enrolled besides a password.
type Authenticator struct {
	ID     string
	UserID string
	Kind   AuthenticatorKind
	Name   string
	// Secret is sealed (TOTP), the salt of a set (recovery codes) or, no secret, the
	// address that codes go to (e-mail).
	Secret []byte
	// LastStep is the last TOTP step that was accepted; only rises.
	LastStep int64
	// Credential is the public key of a WebAuthn authenticator; nil for all others.
	Credential *Credential
	// CodesLeft counts the unused codes of a recovery set.
	CodesLeft  int
	Disabled   bool
	CreatedAt  time.Time
	LastUsedAt time.Time // zero: never
}

// Credential is a registered public key credential (WebAuthn L3 §4).
type Credential struct {
	// ID was chosen by the authenticator; no two users have the same.
	ID []byte
	// RPID is the relying party that it was made for: the issuer's host.
	RPID string
	// SignCount is the last signature counter that was accepted: it only rises, or
	// is always zero.
	SignCount uint32
	// Record is the whole credential record, flags included, as authn keeps it.
	Record json.RawMessage
	// Alone: its signature may stand for the user without the password, for whoever
	// enrolled it has more than the password: an invitation, or a later session in
	// which both were proven.
	Alone bool
	// Attested: it is hardware-bound, as authn finds when it is loaded for a sign-in. It
	// is not stored, because it changes with the metadata.
	Attested bool
}

// Method is how something was proven.
type Method string

// The methods of proof.
const (
	MethodPassword Method = "password"
	MethodTOTP     Method = "totp"
	MethodRecovery Method = "recovery"
	MethodWebAuthn Method = "webauthn"
	MethodEmail    Method = "email"
)

// Proof is one authentication that happened. A session's proofs are its
// evidence; nothing else says what a user has done.
type Proof struct {
	Method Method    `json:"method"`
	At     time.Time `json:"at"`
	// UserID is whose proof it is: a session and a grant have one user for life.
	UserID string `json:"user"`
	// Authenticator is the id of the authenticator; "" for a password.
	Authenticator string `json:"authenticator,omitempty"`
	// Interaction is the id of the interaction it was given in.
	Interaction string `json:"interaction"`

	// What WebAuthn adds (WebAuthn L3 §6.1).
	UserVerified   bool `json:"uv,omitempty"`
	BackupEligible bool `json:"be,omitempty"`
	Attested       bool `json:"attested,omitempty"` // the make was verified, and keeps its keys in hardware
	// Bound: the authenticator was enrolled in this very session. Here its proofs
	// count like those of a code.
	Bound bool `json:"bound,omitempty"`
}

// Session is a browser that a user has signed in with.
type Session struct {
	ID         string
	SecretHash []byte // SHA-256 of the cookie's secret
	UserID     string
	UserEpoch  int64 // the user's epoch when it began
	Proofs     []Proof
	// Version rises with every proof and every rotation of the secret.
	Version    int64
	CreatedAt  time.Time
	LastSeenAt time.Time
	ExpiresAt  time.Time // absolute
	// UserAgent and Address are of the request that began it, for its user: they are
	// read by UserSessions alone.
	UserAgent, Address string
}

// Interaction is one authorization request that needs the user.
type Interaction struct {
	ID          string
	BrowserHash []byte // SHA-256 of the browser cookie
	ClientID    string
	SessionID   string // "" until a session is bound
	Request     oidc.AuthorizationRequest
	Progress    Progress
	Version     int64 // the first is 1
	CreatedAt   time.Time
	ExpiresAt   time.Time
}

// Progress is what happened in an interaction besides proofs. Everything that a
// user answered carries who it was.
type Progress struct {
	// NotBefore is the instant before which proofs do not count (max_age,
	// prompt=login), fixed when the interaction began. Zero: no such instant.
	NotBefore time.Time `json:"not_before,omitzero"`
	// OwnProofs: only proofs of this interaction count.
	OwnProofs bool `json:"own_proofs,omitempty"`
	// Subject is the sub claim, as the client knows it, of the user that the request
	// insists on (id_token_hint, sub claim).
	Subject string `json:"subject,omitempty"`
	// ConsentBy is the user who allowed the request.
	ConsentBy string `json:"consent_by,omitempty"`
	// ConsentTo is what the user allowed, and to whom, as the page said it.
	ConsentTo string `json:"consent_to,omitempty"`
	// Enrolling is the authenticator that waits for its first right code.
	Enrolling *Enrolling `json:"enrolling,omitempty"`
	// Ceremony waits for an authenticator's answer.
	Ceremony *Ceremony `json:"ceremony,omitempty"`
	// MailCode is the last code that was asked for by mail; nil: none was.
	MailCode *MailCode `json:"mail_code,omitempty"`
	// Codes are the recovery codes to be shown, sealed; the user has not said
	// yet that they are saved.
	Codes   []byte `json:"codes,omitempty"`
	CodesOf string `json:"codes_of,omitempty"` // whose
	// CodesIn is the session in which the account's user made them.
	CodesIn string `json:"codes_in,omitempty"`
	// Account: the interaction is for changes of the user's own account and answers no
	// client.
	Account bool `json:"account,omitempty"`
	// DeviceCode is the id of the device that the interaction answers; "": it answers
	// a client's redirect.
	DeviceCode string `json:"device_code,omitempty"`
	// Invited: the interaction sets up an account and answers no client; nil else.
	Invited *Invited `json:"invited,omitempty"`
	// Registering: the interaction makes an account and answers no client; nil else.
	Registering *Registering `json:"registering,omitempty"`
	// Confirmed is the address of the account that a user has proven by a mailed code.
	Confirmed *ConfirmedEmail `json:"confirmed,omitempty"`
	// TrustBy is the user who said whether to trust the browser.
	TrustBy string `json:"trust_by,omitempty"`
	// LaterBy is the user who puts the first second factor off.
	LaterBy string `json:"later_by,omitempty"`
}

// Invited is what somebody with an invitation has done so far. The password waits
// here, where nobody can sign in with it, for the factor.
type Invited struct {
	UserID    string `json:"user"`
	UserEpoch int64  `json:"epoch"`
	// Link and LinkHash, the SHA-256 of its secret, find the invitation.
	Link     string `json:"link"`
	LinkHash []byte `json:"link_hash"`
	// OldHash is the password that the user had: "", or one that stays and was
	// proven. NewHash is the one that the account will have. Both are PHC.
	OldHash string `json:"old,omitempty"`
	NewHash string `json:"new,omitempty"`
	// Alone: the new password is long enough to be all that is asked for.
	Alone bool `json:"alone,omitempty"`
	// Spent: the account is set up.
	Spent bool `json:"spent,omitempty"`
	// Skipped: without a second factor.
	Skipped bool `json:"skipped,omitempty"`
}

// Afterwards is what is left of it when the account is set up: nothing secret.
func (i Invited) Afterwards() *Invited {
	return &Invited{UserID: i.UserID, UserEpoch: i.UserEpoch, Link: i.Link, Spent: true}
}

// Enrolling is a TOTP authenticator before its first right code.
type Enrolling struct {
	ID     string `json:"id"`
	UserID string `json:"user"`
	Secret []byte `json:"secret"` // sealed
}

// CeremonyType is what an authenticator is asked for, as it signs it.
type CeremonyType string

// The types of ceremonies (WebAuthn L3 §5.8.1).
const (
	CeremonyCreate CeremonyType = "webauthn.create"
	CeremonyGet    CeremonyType = "webauthn.get"
)

// Ceremony is a challenge for one user, in one interaction, for one answer. With no
// user it is for whoever signs in with a passkey alone.
type Ceremony struct {
	Type      CeremonyType `json:"type"`
	UserID    string       `json:"user"`
	Handle    string       `json:"handle"` // the user's, or the one that registering gives
	Challenge []byte       `json:"challenge"`
	CreatedAt time.Time    `json:"created"`
}

// LinkPurpose is what a link is for.
type LinkPurpose string

// LinkInvitation sets up an account: it is the right to enrol a first
// authenticator, and to choose a password if there is none.
const LinkInvitation LinkPurpose = "invitation"

// LinkPasswordReset is the right to choose a new password, with a second factor and
// in the browser that asked for it.
const LinkPasswordReset LinkPurpose = "password_reset"

// Link is handed to a person. Whoever has its secret has the right that it is.
type Link struct {
	ID         string
	SecretHash []byte
	UserID     string
	UserEpoch  int64 // the user's when it was made, set by the store; it ends with that
	Purpose    LinkPurpose
	MadeBy     string // the operator, for other operators
	// Browser is the SHA-256 of the browser cookie that it must be used with,
	// base64url; "" for any.
	Browser   string
	CreatedAt time.Time
	ExpiresAt time.Time
}

// Grant is what a user allowed a client, with the evidence of that moment.
type Grant struct {
	ID          string
	ClientID    string
	UserID      string
	UserEpoch   int64
	SessionID   string
	SID         string // the session's name for this client, the sid claim
	Interaction string // whose own proofs count
	// Address is where the sign-in came from, for rules about networks.
	Address string
	Scope   []string
	// Resources are the APIs that its access tokens are for, one each; none: this
	// server itself.
	Resources []GrantedResource
	// Offline: it outlives the session (offline_access; OpenID Connect Back-Channel
	// Logout §2.7).
	Offline bool
	// Proofs are those that counted for the request.
	Proofs []Proof
	// RequestedACR are the requested authentication contexts; the acr claim is
	// the first that the evidence satisfies.
	RequestedACR []string
	UserInfo     map[string]oidc.ClaimRequest // of the claims parameter
	IDToken      map[string]oidc.ClaimRequest
	Nonce        string
	// Device is the trusted device that stood for the second factor; nil: none did, or
	// none was needed.
	Device    *GrantedDevice
	CreatedAt time.Time
	RevokedAt time.Time // zero: live
}

// GrantedResource is an API that a grant reaches. The id decides: an API that gets
// the URI later is another.
type GrantedResource struct {
	ID  string `json:"id"`
	URI string `json:"uri"`
	// Scopes are what was granted there; none: a release before this one did not say.
	Scopes []string `json:"scopes,omitempty"`
}

// Code is an authorization code (RFC 6749 §4.1.2).
type Code struct {
	ID            string
	SecretHash    []byte
	GrantID       string
	ClientID      string
	RedirectURI   string
	RedirectSent  bool // redirect_uri was in the request, so the token request must repeat it
	CodeChallenge string
	// JKT is the thumbprint of the key that must be proven with it (RFC 9449); "": none.
	JKT       string
	CreatedAt time.Time
	ExpiresAt time.Time
}

// AccessToken is an opaque access token.
type AccessToken struct {
	ID         string
	SecretHash []byte
	GrantID    string
	// Resource is the API that it is for, nil for this server itself. To make one
	// its id suffices.
	Resource *oidc.Resource
	Scope    []string
	// JKT is the thumbprint of the key that must be proven with it (RFC 9449); "": none.
	JKT       string
	CreatedAt time.Time
	ExpiresAt time.Time
}

// ClientToken is an access token that a client has for itself (RFC 6749 §4.4): no
// user, no grant, no proofs.
type ClientToken struct {
	ID         string
	SecretHash []byte
	ClientID   string
	// Resource is the API that it is for. To make one its id suffices.
	Resource *oidc.Resource
	Scope    []string
	// JKT is the thumbprint of the key that must be proven with it (RFC 9449); "": none.
	JKT       string
	CreatedAt time.Time
	ExpiresAt time.Time
}

// RefreshToken is a refresh token; one row each, used or not.
type RefreshToken struct {
	ID         string
	SecretHash []byte
	GrantID    string
	Scope      []string
	CreatedAt  time.Time
	ExpiresAt  time.Time // absolute, the family's
	// IdleAt is when it ends unless it is used before; zero: it does not.
	IdleAt time.Time
	// JKT is the thumbprint of the key that must be proven with it (RFC 9449); "": none.
	JKT string

	// UsedAt is when it was rotated away; zero: it is the live one.
	UsedAt time.Time
	// Successor is the token it was rotated into.
	Successor string
	// Retried: the grace for a lost answer was taken.
	Retried bool
}

// Consent is what a user has allowed a client to have for good.
type Consent struct {
	UserID    string
	ClientID  string
	Scope     []string // one at an API has its id before it, and a space
	UpdatedAt time.Time
	// ClientHash is over the client's name and URIs as the user saw them.
	ClientHash []byte
}

// UserClient is what a client has of a user.
type UserClient struct {
	ClientID string
	// Scope is what was allowed for good, at AllowedAt; zero: nothing was.
	Scope     []string
	AllowedAt time.Time
	// LastGrant is when the newest grant that is live was made; zero: none is.
	LastGrant time.Time
	// Stays: one of them can be refreshed after the session has ended.
	Stays bool
}

// SigningKey is a signing key at rest.
type SigningKey struct {
	ID        string // kid
	Alg       string
	Sealed    []byte // private key, PKCS #8
	CreatedAt time.Time
	// NotBefore is when it begins to sign. Zero: at once.
	NotBefore time.Time
	// Retire is when it is no longer published. Zero: that is not planned, as it is
	// of the newest key of an algorithm, and of no other.
	Retire time.Time
}

// Rotation puts a key in the place of the newest one of its algorithm.
type Rotation struct {
	Next SigningKey
	// Replaces is the id of the newest key, as the caller saw it.
	Replaces string
	// Retire is when that one is no longer published. None of the algorithm stays
	// longer, but for Next.
	Retire time.Time
	// Emergency replaces even a key that has not begun to sign.
	Emergency bool
	Now       time.Time
	Events    []Event
}

// SealedValue is a sealed value and the place that it belongs to.
type SealedValue struct {
	Table, Column, Row string
	Owner              string // the user it belongs to; "" if none
	Sealed             []byte
}

// Bucket is a counter of failed attempts (NIST SP 800-63B-4 §3.2.2).
type Bucket struct {
	Key string // an HMAC of what is counted
	// Limit is the number of consecutive failures after which nothing is
	// accepted any more until an operator or, in a window, time lifts it.
	Limit int
	// Window is the time after which a count starts again; 0: never.
	Window time.Duration
	// Idle is the time without an attempt after which the count starts again, and
	// after which a bucket that is nobody's is forgotten; 0: never.
	Idle time.Duration
	// Owned: the bucket is somebody's. It is never forgotten, and its total counts
	// on, however idle it was.
	Owned bool
	// Delays: waits apply from the fifth failure on: 30 s, 60 s, 2 min … 1 h.
	Delays bool
}

// Verdict is a throttle's answer.
type Verdict struct {
	Allowed bool
	// Failures counts the failures of the fullest bucket, this attempt included.
	Failures int
	// Total counts the failures of an owned bucket since the last success, this
	// attempt included; 0 if none is owned.
	Total int
	// RetryAt is when the next attempt may be made; zero if time does not help.
	RetryAt time.Time
}

// Settle is what a success does to buckets: Reset to zero, Refund the one
// attempt that was counted.
type Settle struct {
	Reset  []string
	Refund []string
}

// KnownBrowser is a browser that a user has signed in with before: it has a
// throttle bucket of its own.
type KnownBrowser struct {
	ID        string
	UserID    string
	CreatedAt time.Time
}
