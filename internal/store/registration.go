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
