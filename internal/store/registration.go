package store

import (
	"context"
	"time"
)

// Registrations are accounts that people make by themselves.
type Registrations interface {
	// UserByEmail returns a user with the address, which is ASCII, in any spelling;
	// ErrNotFound if nobody has it.
	UserByEmail(ctx context.Context, email string) (*User, error)
	// LoginTaken reports whether a login key is, or ever was, somebody's.
	LoginTaken(ctx context.Context, loginKey string) (bool, error)
	// BeginRegistration makes the interaction, and writes the mail that it waits for, in
	// one transaction. Beyond MostMails the mail is dropped.
	BeginRegistration(ctx context.Context, m Mail, i *Interaction, events ...Event) error
	// Register makes the user, with a first authenticator and the hashes of the recovery
	// set's codes, and moves the interaction on, all or nothing. ErrUsed if the address
	// is somebody's, or the login or the id ever was, ErrStale if the interaction has
	// changed, ErrExists if anybody has the credential. Of many at once for one address,
	// or one login, one is taken.
	Register(ctx context.Context, r Registration) error
}

// Registration is all that an account makes durable which its user has made.
type Registration struct {
	User          *User         // whole: with a password, an address, and no right to enrol
	Authenticator Authenticator // LastStep is the step of the confirming code
	Recovery      Authenticator
	CodeHashes    [][]byte
	Interaction   Interaction // as it shall be; Version is the one that was read
	Now           time.Time
	Events        []Event
}

// ConfirmedEmail is an address, and the user who has proven to have it.
type ConfirmedEmail struct {
	UserID string `json:"user"`
	Email  string `json:"email"`
}

// Registering is what somebody who wants an account has done so far. There is no
// account before the last of it.
type Registering struct {
	UserID string `json:"user"` // of the account, if there will be one
	Email  string `json:"email"`
	Locale string `json:"locale,omitempty"`
	// Back is the interaction that waits for the user to sign in; "" for none.
	Back string `json:"back,omitempty"`
	// Proven: a code that was mailed to the address was typed here.
	Proven bool `json:"proven,omitempty"`

	// What the account will have. NewHash is PHC.
	Name     string `json:"name,omitempty"`
	Login    string `json:"login,omitempty"`
	LoginKey string `json:"login_key,omitempty"`
	NewHash  string `json:"new,omitempty"`
	// Refused counts the logins that were somebody's.
	Refused int `json:"refused,omitempty"`
	// Made: the account is there.
	Made bool `json:"made,omitempty"`
}

// Afterwards is what is left of it when the account is made: nothing secret.
func (r Registering) Afterwards() *Registering {
	return &Registering{UserID: r.UserID, Back: r.Back, Made: true}
}
