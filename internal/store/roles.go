package store

import (
	"context"
	"encoding/json"
	"time"

	"github.com/sallyport-id/sallyport/internal/oidc"
)

// Clients are the registered clients.
type Clients interface {
	// Client returns the client, ErrNotFound if there is none.
	Client(ctx context.Context, id string) (*oidc.Client, error)
	Clients(ctx context.Context) ([]*oidc.Client, error)
	// CreateClient fails with ErrExists if the id is taken.
	CreateClient(ctx context.Context, c *oidc.Client, events ...Event) error
	// UpdateClient puts c in the place of old, as Client returned it: ErrStale if the
	// client is another by now, ErrNotFound if there is none.
	UpdateClient(ctx context.Context, old, c *oidc.Client, events ...Event) error
	// CreateSealedClient and UpdateSealedClient keep a secret with a client that names it
	// first in SealedSecrets, in the same transaction.
	CreateSealedClient(ctx context.Context, c *oidc.Client, secret ClientSecret, events ...Event) error
	UpdateSealedClient(ctx context.Context, old, c *oidc.Client, secret ClientSecret, events ...Event) error
	// ClientSecrets returns the secrets that a client names in SealedSecrets. Others of it
	// end with the next change of the client.
	ClientSecrets(ctx context.Context, c *oidc.Client) ([]ClientSecret, error)
	// RemoveClient ends the client's grants, interactions, consents and its own
	// tokens with it, so that another client of the same id inherits nothing.
	RemoveClient(ctx context.Context, id string, now time.Time, events ...Event) error
}

// Resources are the registered resource servers. What is allowed or issued for
// one names its id.
type Resources interface {
	// Resource returns the resource server of a URI, ErrNotFound if there is none.
	Resource(ctx context.Context, uri string) (*oidc.Resource, error)
	Resources(ctx context.Context) ([]*oidc.Resource, error)
	// CreateResource fails with ErrExists if the URI or the id is taken.
	CreateResource(ctx context.Context, r *oidc.Resource, events ...Event) error
	// RemoveResource ends the tokens for it. Another resource server of the same
	// URI inherits nothing, for it has another id.
	RemoveResource(ctx context.Context, uri string, events ...Event) error
}

// ClientTokens are the access tokens that clients have for themselves. They
// belong to no user.
type ClientTokens interface {
	// IssueClientToken makes a token; ErrNotFound if the client or the resource
	// server is gone.
	IssueClientToken(ctx context.Context, t *ClientToken, events ...Event) error
	// ClientToken returns a live token with its client: the secret right, not
	// expired, the resource server there, the client the one that it was made for.
	// Anything else is ErrNotFound. The client may be disabled.
	ClientToken(ctx context.Context, id string, secretHash []byte, now time.Time) (*ClientToken, *oidc.Client, error)
	// RevokeClientToken ends a token; ErrNotFound if there is none of that secret,
	// or no longer.
	RevokeClientToken(ctx context.Context, id string, secretHash []byte, events ...Event) error
}

// Users are the people.
type Users interface {
	User(ctx context.Context, id string) (*User, error)
	// UserByLogin takes the login key.
	UserByLogin(ctx context.Context, loginKey string) (*User, error)
	// Users returns the users whose id is greater than after, by id, at most limit.
	Users(ctx context.Context, after string, limit int) ([]*User, error)
	// CreateUser fails with ErrExists if the login key or the id was ever taken.
	CreateUser(ctx context.Context, u *User, events ...Event) error
	// SetPasswordHash replaces the hash if it still is old, else ErrStale.
	SetPasswordHash(ctx context.Context, userID, old, new string) error
	// SetGroups replaces the user's groups.
	SetGroups(ctx context.Context, userID string, groups []string, events ...Event) error
	// StartGrace begins the time in which a first second factor may be put off. It
	// does so once in a user's life, and only with the right to enrol, else ErrUsed.
	StartGrace(ctx context.Context, userID string, until time.Time, events ...Event) error
	// SetGrace is for operators: another end.
	SetGrace(ctx context.Context, userID string, until time.Time, events ...Event) error
	// SetProfile replaces what is told of the user, if the further claims still are the
	// old ones, else ErrStale. An e-mail that is another is not verified; if the user
	// gets codes by mail everything issued ends with it, as RevokeUser does.
	SetProfile(ctx context.Context, userID string, old json.RawMessage, p Profile, now time.Time, events ...Event) error
	// DisableUser disables the user and ends everything issued, in one transaction.
	DisableUser(ctx context.Context, userID string, now time.Time, events ...Event) error
	// EnableUser takes a disabling back. What it ended stays ended.
	EnableUser(ctx context.Context, userID string, events ...Event) error
	// RevokeUser ends everything that was issued to the user: sessions,
	// interactions, codes, grants (offline too), known browsers, trusted devices,
	// bypass codes. The epoch rises.
	// A session named in except stays, with the new epoch.
	RevokeUser(ctx context.Context, userID, except string, now time.Time, events ...Event) error
	// RemoveUser ends everything issued and forgets the person. Id and login key
	// stay taken for ever.
	RemoveUser(ctx context.Context, userID string, now time.Time, events ...Event) error
}

// Authenticators are what users have enrolled. A step, a code or a challenge is
// accepted once; steps and counters only rise.
type Authenticators interface {
	Authenticators(ctx context.Context, userID string) ([]Authenticator, error)
	// EnrollFirst spends the user's right to enrol, or that of a bypass code which was
	// used in the interaction, and makes the authenticators
	// active, with the hashes of the recovery set's codes, adds the proof to the
	// session and moves the interaction on, all or nothing. Without the right it
	// is ErrUsed; with a stale interaction, session or user epoch ErrStale; with a
	// credential that anybody has ErrExists.
	EnrollFirst(ctx context.Context, e Enrollment) error
	// UseTOTPStep accepts the step if it is greater than any accepted before
	// (else ErrUsed) and adds the proof, in one transaction.
	UseTOTPStep(ctx context.Context, authenticatorID string, step int64, p AddProof) error
	// UseAssertion takes the challenge, by moving on the interaction that holds it
	// (else ErrStale), accepts the counter if it is greater than any accepted before,
	// or if there never was one (else ErrUsed), and adds the proof, in one transaction.
	UseAssertion(ctx context.Context, a Assertion) error
	// UserByCredential returns whose the credential is, ErrNotFound if it is nobody's.
	UserByCredential(ctx context.Context, credentialID []byte) (*User, error)
	// StartWithAssertion takes the challenge and accepts the counter as UseAssertion
	// does, and starts a session as StartSession does, in one transaction.
	// ErrNotFound if the credential is no way in without a password, or no longer.
	StartWithAssertion(ctx context.Context, a SignIn) error
	// UseRecoveryCode accepts the code of the set if it is unused (ErrUsed if it
	// was used, ErrNotFound if it is none), adds the proof, and ends everything
	// else that was issued to the user, in one transaction.
	UseRecoveryCode(ctx context.Context, authenticatorID string, codeHash []byte, p AddProof) error
	// UseMailCode takes the code, by moving on the interaction that holds it (else
	// ErrStale), and adds the proof, in one transaction. ErrNotFound if the user has no
	// such authenticator any more, or another address by now.
	UseMailCode(ctx context.Context, u MailCodeUse) error
	// ReplaceRecoveryCodes makes a new set in place of every older one.
	ReplaceRecoveryCodes(ctx context.Context, a Authenticator, codeHashes [][]byte, events ...Event) error
	// CreateAuthenticator is for operators and dev: it asks for no right and
	// spends the right to enrol. ErrExists if anybody has the id, or the credential.
	CreateAuthenticator(ctx context.Context, a Authenticator, codeHashes [][]byte, events ...Event) error
}

// Enrollment is all that a confirmed first enrolment makes durable.
type Enrollment struct {
	Authenticator Authenticator // LastStep is the step of the confirming code
	Handle        string        // the user's from now on, with a credential; "" else
	Recovery      Authenticator
	CodeHashes    [][]byte
	Proof         AddProof
	Interaction   Interaction // as it shall be; Version is the one that was read
	// Bypass is the id of the bypass code whose right is spent; "": the user's own is.
	Bypass string
}

// Assertion is all that an authenticator's signature makes durable.
type Assertion struct {
	Authenticator string     // its id
	Credential    Credential // as it shall be, but for Alone, which only MakesAlone changes
	// WasAlone: no password stands beside the proof, so the credential must be a way
	// in alone, else ErrNotFound. MakesAlone: it is one from now on.
	WasAlone, MakesAlone bool
	Proof                AddProof
	Interaction          Interaction // without the challenge; Version is the one that was read
}

// SignIn is all that a sign-in with a passkey alone makes durable.
type SignIn struct {
	Authenticator string     // its id
	Credential    Credential // as it shall be
	Session       *Session   // with its first proof
	Replaces      string     // the session that ends for it; "" for none
	// Interaction is without the challenge; Version is the one that was read. The store
	// binds it to the new session.
	Interaction Interaction
	Events      []Event
}

// AddProof appends a proof to a live session of that user and rotates the
// session's secret by compare-and-set: NewSecretHash is taken if the session's
// version still is Version, else the proof is added and the secret stays.
type AddProof struct {
	SessionID     string
	UserID        string
	Version       int64
	NewSecretHash []byte
	Proof         Proof
	Interaction   string // bound to the session, which raises its version, if it is to none yet
	Settle        Settle
	Now           time.Time
	Events        []Event
	// Rotated is set by the store: whether the new secret was taken, and so
	// whether a cookie may be sent.
	Rotated *bool
}

// Accounts are what users change of their own. Each verb is conditional, in its
// transaction, on what the caller decided on (Change), else it is ErrStale. What
// changes a password or an authenticator ends everything else that was issued to the
// user, as RevokeUser does.
type Accounts interface {
	// AddAuthenticator makes a further authenticator active and adds its proof. ErrUsed
	// without an active one: a first is EnrollFirst's. ErrExists if anybody has the
	// credential.
	AddAuthenticator(ctx context.Context, c Change, a Addition) error
	// RemoveAuthenticator deletes one that is no recovery set, ErrNotFound if the user
	// has none of that id. ErrUsed if no other active one of the kinds to be left is there.
	RemoveAuthenticator(ctx context.Context, c Change, id string, leave ...AuthenticatorKind) error
	// RenameAuthenticator is ErrNotFound if the user has none of that id. It ends nothing.
	RenameAuthenticator(ctx context.Context, c Change, id, name string) error
	// RenewRecoveryCodes makes a new set in place of every older one.
	RenewRecoveryCodes(ctx context.Context, c Change, a Authenticator, codeHashes [][]byte) error
	// ChangePassword replaces the hash if it still is old, and forgives what was guessed
	// at that.
	ChangePassword(ctx context.Context, c Change, old, new string, settle Settle) error
	// EndOwnSession ends one of the user's sessions, ErrNotFound if there is none.
	EndOwnSession(ctx context.Context, c Change, id string) error
	// EndOthers ends everything that was issued to the user but the session.
	EndOthers(ctx context.Context, c Change) error
	// RevokeConsent forgets what the user allowed a client, and ends the client's grants
	// of the user and interactions with it. ErrNotFound if there is neither.
	RevokeConsent(ctx context.Context, c Change, clientID string) error
	// SetLocale sets the language that the user prefers; "" for none.
	SetLocale(ctx context.Context, c Change, locale string) error
	// UserSessions returns the user's live sessions, without proofs, the oldest first.
	UserSessions(ctx context.Context, userID string, now time.Time) ([]Session, error)
	// UserClients returns the clients that the user allowed something for good, or that
	// have a grant of the user's that is live, in the order of their ids.
	UserClients(ctx context.Context, userID string, now time.Time) ([]UserClient, error)
}

// Change is what every change by a user hangs on: the user's epoch, a live session of
// the user, and the interaction, which moves on.
type Change struct {
	UserID      string
	UserEpoch   int64
	SessionID   string      // stays
	Interaction Interaction // as it shall be; Version is the one that was read
	Now         time.Time
	Events      []Event
}

// Addition is a further authenticator.
type Addition struct {
	Authenticator Authenticator
	Handle        string // the user's from now on, with a credential; "" else
	Proof         AddProof
}

// Links are handed to people. Of a purpose a user has one at most: a new one takes
// the place of any before. A link is deleted when it is used; it ends with
// everything else that was issued to the user, and while the user is disabled it is
// none. An invitation is none while the user has an authenticator, and a password
// reset is none unless the user has a password and a factor whose codes are typed.
type Links interface {
	// InviteUser makes a user with an invitation. It fails as CreateUser does.
	InviteUser(ctx context.Context, u *User, l *Link, events ...Event) error
	// InviteAgain makes an invitation for a user who has neither password nor
	// authenticator, else ErrUsed.
	InviteAgain(ctx context.Context, l *Link, events ...Event) error
	// ResetUser ends everything that was issued to the user, as RevokeUser does,
	// deletes the authenticators and the right to enrol, and the password unless it
	// is to be kept, and makes an invitation.
	ResetUser(ctx context.Context, l *Link, keepPassword bool, now time.Time, events ...Event) error
	// Invitation returns a live one with its user. ErrNotFound if the secret is
	// wrong, it was used, or has ended.
	Invitation(ctx context.Context, id string, secretHash []byte, now time.Time) (*Link, *User, error)
	// OpenInvitation returns the user's live one, without its secret.
	OpenInvitation(ctx context.Context, userID string, now time.Time) (*Link, error)
	// RedeemInvitation spends the invitation, gives the user the password and the
	// authenticators, with the hashes of the recovery set's codes, and moves the
	// interaction on, all or nothing. ErrNotFound if the invitation is none any more,
	// ErrStale if the user, the password or the interaction has changed, ErrExists if
	// anybody has the credential.
	RedeemInvitation(ctx context.Context, r Redemption) error
	// SkipFactor spends the invitation, gives the user the password and, instead of a
	// factor, the right to enrol one, and moves the interaction on, all or nothing.
	// Errors as of RedeemInvitation, but for the credential.
	SkipFactor(ctx context.Context, s Skip) error
	// MakePasswordReset makes a link. ErrNotFound if it would be none.
	MakePasswordReset(ctx context.Context, l *Link, events ...Event) error
	// PasswordReset returns a live one with its user. ErrNotFound if the secret is
	// wrong, it was used, or has ended.
	PasswordReset(ctx context.Context, id string, secretHash []byte, now time.Time) (*Link, *User, error)
	// EndPasswordReset ends one without using it; ErrNotFound likewise.
	EndPasswordReset(ctx context.Context, id string, secretHash []byte, now time.Time, events ...Event) error
	// ResetPassword spends the link and the code, gives the user the password and ends
	// everything that was issued to the user, all or nothing. ErrNotFound if the link
	// is none any more, or the code is none, ErrUsed if the code was used, ErrStale if
	// the user has changed.
	ResetPassword(ctx context.Context, r PasswordReset) error
}

// PasswordReset is all that a new password by a mailed link makes durable.
type PasswordReset struct {
	Link *Link // as PasswordReset returned it
	// NewHash is PHC.
	NewHash string
	// Authenticator is what the code is of: an app with Step, or a set of recovery
	// codes with CodeHash.
	Authenticator string
	Step          int64
	CodeHash      []byte // nil: a step
	Settle        Settle
	Now           time.Time
	Events        []Event
}

// Redemption is all that an account's setting up makes durable.
type Redemption struct {
	Invited       Invited
	Authenticator Authenticator // LastStep is the step of the confirming code
	Handle        string        // the user's from now on, with a credential; "" else
	Recovery      Authenticator
	CodeHashes    [][]byte
	Interaction   Interaction // as it shall be; Version is the one that was read
	Settle        Settle
	Now           time.Time
	Events        []Event
}

// Skip is all that setting up an account without a factor makes durable.
type Skip struct {
	Invited     Invited
	Interaction Interaction // as it shall be; Version is the one that was read
	Settle      Settle
	Now         time.Time
	Events      []Event
}

// Sessions are the browsers that are signed in. A session has one user for
// life; a proof is never lost by concurrent writes.
type Sessions interface {
	// Session returns a live session with its proofs: not ended, not past its
	// absolute end, the user's epoch unchanged. A wrong secret is ErrNotFound.
	Session(ctx context.Context, id string, secretHash []byte, now time.Time) (*Session, error)
	// StartSession makes a session with its first proof and ends the one that it
	// replaces ("" for none), with its interactions but for the named one ("" for
	// none), which is bound to the new session and its version raised. ErrStale if
	// the user's epoch changed or the user is disabled or the interaction is gone.
	StartSession(ctx context.Context, s *Session, replaces, interaction string, settle Settle, events ...Event) error
	// AddProof is ErrNotFound if the session is gone, ErrStale if it is another user's.
	AddProof(ctx context.Context, p AddProof) error
	// EndSession ends the session, its interactions, its unredeemed codes, and the
	// grants that do not outlive it. Ending it again is no error, and no event.
	EndSession(ctx context.Context, id string, now time.Time, events ...Event) error
	// EndIdleSession is EndSession for one that nobody has used for too long: time alone
	// ends it, and tells no client.
	EndIdleSession(ctx context.Context, id string, events ...Event) error
}

// Interactions are taken once; a stale version is refused.
type Interactions interface {
	CreateInteraction(ctx context.Context, i *Interaction) error
	// Interaction returns a live one; expired, taken or with a wrong browser hash
	// it is ErrNotFound.
	Interaction(ctx context.Context, id string, browserHash []byte, now time.Time) (*Interaction, error)
	// UpdateInteraction stores progress and session binding and raises the version
	// if it still is i.Version, else ErrStale. i.Version is raised.
	UpdateInteraction(ctx context.Context, i *Interaction, now time.Time, events ...Event) error
	// FinishInteraction takes the interaction and makes the grant and the code, if
	// the interaction's version, the session (live) and its version, and the
	// user's epoch are what the caller decided on, else ErrStale. Idle time is
	// touched with it. Without an interaction (Finish.InteractionID "") it is
	// conditional on session and user alone.
	FinishInteraction(ctx context.Context, f Finish) error
	// RefuseInteraction takes the interaction without a grant.
	RefuseInteraction(ctx context.Context, id string, version int64, now time.Time, events ...Event) error
}

// Finish is all that the end of an interaction makes durable.
type Finish struct {
	InteractionID      string
	InteractionVersion int64
	SessionVersion     int64
	Grant              *Grant // names session, user and the user's epoch
	Code               *Code
	// DeviceCode is the id of the device that is allowed, in the place of Code; if it waits
	// no more, all of it is ErrStale. "": none.
	DeviceCode string
	// PushedRequest is the id of the pushed request that is answered; if it was answered
	// already, all of it is ErrUsed. "": none.
	PushedRequest string
	Consent       *Consent // remembered with it; nil: not
	// Device is the trusted device that the grant relies on: if it has ended, or its
	// secret is not good any more, all of it is ErrStale. nil: on none.
	Device *DeviceUse
	// KnownBrowser is remembered with it, the oldest beyond 5 forgotten; nil: none.
	KnownBrowser *KnownBrowser
	TouchSession bool // set last seen to Now
	Now          time.Time
	Events       []Event
}

// Codes are redeemed once.
type Codes interface {
	// Code returns the code with its grant and user, used or not, if the secret is right.
	Code(ctx context.Context, id string, secretHash []byte) (*Code, *Grant, *User, error)
	// RedeemCode marks the code used and makes the tokens. Only one caller wins; a
	// code that was used is ErrUsed (the caller then revokes the code's grant), an
	// expired one ErrNotFound; with the grant revoked, the session of a grant that
	// does not outlive it ended, or the user's epoch changed it is ErrNotFound.
	RedeemCode(ctx context.Context, id string, secretHash []byte, now time.Time, t Tokens) error
}

// Tokens are the tokens that one answer of the token endpoint brings.
type Tokens struct {
	Access  *AccessToken
	Refresh *RefreshToken // nil: none
	Events  []Event
}

// GrantStore keeps grants and their tokens.
type GrantStore interface {
	// AccessToken returns a live token with its grant and user: the secret right,
	// not expired, the grant live, the session of a grant that does not outlive
	// it live, the user enabled and of the grant's epoch, the API that it is for
	// there. Anything else is ErrNotFound.
	AccessToken(ctx context.Context, id string, secretHash []byte, now time.Time) (*AccessToken, *Grant, *User, error)
	// RefreshToken returns the token, used or not, with its grant and user, under
	// the same conditions: not expired, one that is unused not idle, and so on.
	RefreshToken(ctx context.Context, id string, secretHash []byte, now time.Time) (*RefreshToken, *Grant, *User, error)
	// IssueAccess makes an access token for a live grant, and moves the refresh token's
	// IdleAt to idle; ErrNotFound if one of them ended, ErrUsed if the token was rotated
	// away.
	IssueAccess(ctx context.Context, refreshID string, now, idle time.Time, t Tokens) error
	// RotateRefresh marks old used and makes its successor and an access token.
	// One caller wins. A token that was used is taken once more within grace if its
	// successor is unused: that successor is replaced. Anything else is ErrUsed;
	// the caller then revokes the family, the grant. What RefreshToken would not
	// return is ErrNotFound.
	RotateRefresh(ctx context.Context, oldID string, now time.Time, grace time.Duration, t Tokens) error
	// RevokeGrant ends a grant and its tokens. Again is no error.
	RevokeGrant(ctx context.Context, grantID string, now time.Time, events ...Event) error
	// RevokeAccessToken ends one access token, whatever its grant; ErrNotFound if
	// there is none of that secret, or no longer.
	RevokeAccessToken(ctx context.Context, id string, secretHash []byte, events ...Event) error
}

// Consents are what users allow for good.
type Consents interface {
	Consent(ctx context.Context, userID, clientID string) (*Consent, error)
}

// Replay is what may be used once: the ids of assertions and proofs.
type Replay interface {
	// UseOnce uses a name of a kind. Of many at once one wins; until it ends all others
	// are told ErrUsed.
	UseOnce(ctx context.Context, kind, name string, until, now time.Time) error
}

// Throttle counts attempts before they are checked; no count is lost.
type Throttle interface {
	// Attempt counts one attempt in all buckets, or, if one of them refuses, in
	// none. It never answers ErrNotFound: an unknown key is an empty bucket.
	Attempt(ctx context.Context, buckets []Bucket, now time.Time) (Verdict, error)
	// LookAt says what the next attempt in a bucket would meet, and counts nothing:
	// Failures and Total are without it.
	LookAt(ctx context.Context, b Bucket, now time.Time) (Verdict, error)
	// SettleAttempt applies a success outside a verb that takes a Settle.
	SettleAttempt(ctx context.Context, s Settle, events ...Event) error
	// KnownBrowser reports whether the user still has the browser as a known one.
	KnownBrowser(ctx context.Context, id, userID string) (bool, error)
	// KnownBrowsers are all of the user's, the oldest first.
	KnownBrowsers(ctx context.Context, userID string) ([]KnownBrowser, error)
}

// Keys are the signing keys.
type Keys interface {
	// SigningKeys returns all, the newest first.
	SigningKeys(ctx context.Context) ([]SigningKey, error)
	// AddFirstSigningKey fails with ErrExists if there is a key of the algorithm: of
	// several processes one makes the first.
	AddFirstSigningKey(ctx context.Context, k SigningKey, events ...Event) error
	// RotateSigningKey adds the next key and plans the end of those before it. It is
	// ErrStale if the key that it replaces is not the newest any more, or does not
	// sign yet: of several processes one makes the next, and there is one next key.
	RotateSigningKey(ctx context.Context, r Rotation) error
}

// Secrets are the server's own, one for each purpose, sealed.
type Secrets interface {
	// Secret returns the secret of a purpose; ErrNotFound if there is none yet.
	Secret(ctx context.Context, purpose string) ([]byte, error)
	// AddSecret fails with ErrExists if there is one: of several processes one makes
	// it, and what it keyed stays what it is.
	AddSecret(ctx context.Context, purpose string, sealed []byte) error
}

// Sealed are the values that only a master key opens.
type Sealed interface {
	// SealedValues returns what is kept for good, by table, column and row, from
	// after that place on (the zero one for all), at most limit.
	SealedValues(ctx context.Context, after SealedValue, limit int) ([]SealedValue, error)
	// ReplaceSealed puts a value sealed anew in the place of each that still is the
	// old one, and returns how many it was. fresh has one for each of old.
	ReplaceSealed(ctx context.Context, old []SealedValue, fresh [][]byte) (int, error)
	// PassingSealed returns what live interactions hold. It ends with them, or
	// becomes a value that is kept.
	PassingSealed(ctx context.Context, now time.Time) ([][]byte, error)
}

// Audit is append only: no event is ever changed, and only its age ends it.
type Audit interface {
	Record(ctx context.Context, events ...Event) error
	// UserEvents returns the user's newest events, the newest first, at most limit: but
	// for those of tokens and codes, which are too many to tell a person anything.
	UserEvents(ctx context.Context, userID string, limit int) ([]Event, error)
	// Events returns what the query selects, by time and then id.
	Events(ctx context.Context, q EventQuery) ([]Event, error)
	// ForgetEvents deletes events before a moment, the oldest first, in small
	// pieces, and at most 20,000 in a call.
	ForgetEvents(ctx context.Context, before time.Time) error
}

// Sweeper deletes what has expired and nothing else.
type Sweeper interface {
	Sweep(ctx context.Context, now time.Time) error
}

// Rules are those of the policy, as one text for all servers of the database.
type Rules interface {
	// Rules returns the text and its version, which only rises; "" and 0 before any was set.
	Rules(ctx context.Context) (text string, version int64, err error)
	// SetRules replaces the text that has the version; ErrStale if that is not the
	// newest any more.
	SetRules(ctx context.Context, text string, version int64, events ...Event) error
}

// Meta are facts about the database itself.
type Meta interface {
	// Meta returns the value of a name; "" if there is none.
	Meta(ctx context.Context, name string) (string, error)
	SetMeta(ctx context.Context, name, value string) error
}

// Restores are for a database that has gone back in time.
type Restores interface {
	// AfterRestore ends, in one transaction, what may have been ended, used or taken
	// back since the moment that the database is of: sessions, interactions, codes,
	// grants and all tokens, known browsers, trusted devices and remembered consents. Recovery codes,
	// links, bypass codes and the right to enrol are void, since they may have been spent, and no
	// TOTP step up to the given one is accepted. People, clients, authenticators,
	// keys and the counts of the throttle stay as they are. Nobody else may have the
	// database open. Again is no error.
	AfterRestore(ctx context.Context, step int64, now time.Time, events ...Event) (Restored, error)
}

// Restored is what AfterRestore did.
type Restored struct {
	Sessions int // that had a row, live or not; so for all that follow
	Grants   int
	// WithoutCodes are the logins of those whose recovery codes are void, and
	// WithoutRight of those who may no longer enrol a first authenticator, or whose
	// link is void, in order.
	WithoutCodes, WithoutRight []string
}

// Store is every role; consumers ask for those that they use.
type Store interface {
	Clients
	Resources
	Users
	Authenticators
	Accounts
	Links
	Registrations
	Sessions
	Interactions
	Codes
	GrantStore
	ClientTokens
	Consents
	TrustedDevices
	BypassCodes
	DeviceCodes
	PushedRequests
	Replay
	Throttle
	Keys
	Secrets
	Sealed
	Audit
	Outbox
	Logouts
	Sweeper
	Rules
	Meta
	Restores
	Close() error
}
