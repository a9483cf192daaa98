package store

import (
	"context"
	"time"
)

// BypassCode is what an operator gives to a user who has lost the second factor: the
// right to enrol another, in one interaction and after the password. It proves
// nothing.
type BypassCode struct {
	ID        string
	UserID    string
	UserEpoch int64  // the user's, set by the store; it ends with that
	Salt      []byte // the code is hashed under it, like a recovery code
	Hash      []byte // not read back
	// Replaces: enrolling takes all other authenticators away.
	Replaces  bool
	MadeBy    string // the operator, for other operators
	CreatedAt time.Time
	ExpiresAt time.Time
	// UsedIn is the interaction that it was used in, and may enrol in; "": unused.
	UsedIn string
}

// BypassCodes are used once. A user has one at most.
type BypassCodes interface {
	// MakeBypass makes a code in place of any before. ErrNotFound if there is no such
	// user, ErrUsed if the user has no authenticator that could be lost.
	MakeBypass(ctx context.Context, c *BypassCode, events ...Event) error
	// Bypass returns the user's live one, used or not, without its hash; ErrNotFound.
	Bypass(ctx context.Context, userID string, now time.Time) (*BypassCode, error)
	// UseBypass accepts the code, which lives as long as the interaction from then on,
	// gives the session a new secret and ends everything else that was issued to the user, in one transaction.
	// ErrNotFound if the hash is wrong or the code has ended, ErrUsed if it was used,
	// ErrStale if session or interaction have changed.
	UseBypass(ctx context.Context, u BypassUse) error
}

// BypassUse is all that a right bypass code makes durable.
type BypassUse struct {
	ID, UserID     string
	Hash           []byte
	SessionID      string
	SessionVersion int64
	NewSecretHash  []byte      // takes the place of the session's: who had the old secret has no part in the right
	Interaction    Interaction // as it shall be; Version is the one that was read
	Settle         Settle
	Now            time.Time
	Events         []Event
}
