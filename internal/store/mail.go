package store

import (
	"context"
	"time"
)

// MailKind is what a mail is about. Its words are made when it is sent.
type MailKind string

// The kinds of mail. The first and those with a code are asked for; the others tell
// the owner of an account what has happened to it.
const (
	MailPasswordReset   MailKind = "password_reset"
	MailNewBrowser      MailKind = "new_browser"
	MailWrongCodes      MailKind = "wrong_codes"
	MailFactorAdded     MailKind = "factor_added"
	MailFactorRemoved   MailKind = "factor_removed"
	MailCodesReplaced   MailKind = "codes_replaced"
	MailRecoveryUsed    MailKind = "recovery_used"
	MailPasswordChanged MailKind = "password_changed"
	MailProfile         MailKind = "profile"
	MailBypass          MailKind = "bypass"
	MailReset           MailKind = "reset"
	MailDisabled        MailKind = "disabled"
	MailCodeProof       MailKind = "code_proof"    // a code, to be typed at a sign-in
	MailCodeEnroll      MailKind = "code_enroll"   // a code, to add the address as a second factor
	MailCodeConfirm     MailKind = "code_confirm"  // a code, to set up a first second factor
	MailCodeRegister    MailKind = "code_register" // a code, to make an account
	// MailRegistrationKnown is asked for, too: there is an account for the address.
	MailRegistrationKnown MailKind = "registration_known"
)

// HasCode reports whether a mail of the kind brings a code.
func (k MailKind) HasCode() bool {
	return k == MailCodeProof || k == MailCodeEnroll || k == MailCodeConfirm || k == MailCodeRegister
}

// NoticeOf is the mail that an event of a type brings its user; "" for none.
func NoticeOf(eventType string) MailKind {
	switch eventType {
	case EventLoginNewBrowser:
		return MailNewBrowser
	case EventLoginWrongCodes:
		return MailWrongCodes
	case EventEnrollTOTP, EventEnrollEmail, EventEnrollWebAuthn, EventAuthenticatorAdded, EventAccountFactorAdded:
		return MailFactorAdded
	case EventAccountFactorRemoved:
		return MailFactorRemoved
	case EventRecoveryReplaced, EventAccountCodes:
		return MailCodesReplaced
	case EventLoginRecovery:
		return MailRecoveryUsed
	case EventPasswordReset, EventAccountPassword:
		return MailPasswordChanged
	case EventUserProfile:
		return MailProfile
	case EventBypassMade:
		return MailBypass
	case EventUserReset, EventUserResetFactors:
		return MailReset
	case EventUserDisabled:
		return MailDisabled
	}
	return ""
}

// MetaMail is the fact (Meta) that mails are sent: MetaMailOn or "". Without it no
// event brings a mail, whichever process records it.
const (
	MetaMail   = "mail"
	MetaMailOn = "on"
)

// Limited reports whether who merely knows a password could bring as many mails of
// the kind as wanted. They have a bound of their own, so that no other mail is lost
// for them.
func (k MailKind) Limited() bool { return k == MailNewBrowser || k == MailWrongCodes }

// What bounds the outbox. A mail beyond that is not written; its event is.
const (
	MostMailsPerHour = 20     // to one user, of the kinds that are limited
	MostMails        = 10_000 // in the outbox
	MailKept         = 7 * 24 * time.Hour
)

// Mail is a mail in the outbox. There is no secret in it.
type Mail struct {
	ID   string
	Kind MailKind
	// UserID is whom it is for. "" with MailPasswordReset: the login that was asked
	// for is nobody's, and there is nothing to send.
	UserID string
	// To and Locale are the user's when the event happened; "" with MailPasswordReset,
	// which goes to the address of the moment.
	To, Locale string
	At         time.Time // of the event
	Address    string    // of the peer, as the event says
	Browser    string    // in words; "" if none is known
	Actor      string    // who did it where that is not the user
	// BrowserHash is the browser that asked, as Link has it.
	BrowserHash string
	// Interaction is the one that a code is good in; "" with any other kind.
	Interaction string
	// Attempts counts the claims, this one included.
	Attempts int
	DueAt    time.Time // not before; the end of the claim while somebody sends it
	Dead     bool      // given up
	Error    string    // of the last attempt, in words that name neither address nor link
}

// MailCount is how many mails the outbox has.
type MailCount struct{ Pending, Dead int }

// Outbox keeps mails until they are sent, at least once. Most are written by the
// verb that makes their event durable: see NoticeOf.
type Outbox interface {
	// AskForMail writes a mail that is asked for. Beyond MostMails it is dropped.
	AskForMail(ctx context.Context, m Mail, events ...Event) error
	// AskForCode writes the mail of a code and moves on the interaction that the code
	// is good in, both or nothing, as UpdateInteraction does. Beyond MostMails the mail
	// is dropped.
	AskForCode(ctx context.Context, m Mail, i *Interaction, events ...Event) error
	// NextMail claims the mail that has been due for longest: until the lease ends
	// nobody else gets it. ErrNotFound if none is due.
	NextMail(ctx context.Context, now time.Time, lease time.Duration) (*Mail, error)
	// MailSent deletes a mail. Again is no error.
	MailSent(ctx context.Context, id string) error
	// MailFailed ends a claim, named by its Attempts: the mail is due at retryAt, or
	// dead if that is zero. ErrStale if somebody else has claimed it since.
	MailFailed(ctx context.Context, m *Mail, retryAt time.Time, why string) error
	// Mails returns what is in the outbox, the oldest first, at most limit.
	Mails(ctx context.Context, limit int) ([]Mail, error)
	CountMails(ctx context.Context) (MailCount, error)
}
