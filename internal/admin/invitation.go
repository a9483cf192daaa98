package admin

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/sallyport-id/sallyport/internal/store"
)

// invitationTTL is how long an invitation is open.
const invitationTTL = 24 * time.Hour

// Invitation is a link that is handed to a person, once: who opens it sets up the
// account. It is not to be logged.
type Invitation struct {
	URL       string    `json:"url"`
	ExpiresAt time.Time `json:"expires_at"`
}

// LogValue keeps the link out of logs.
func (Invitation) LogValue() slog.Value { return slog.StringValue("[redacted]") }

// The reasons why there is no invitation.
var (
	ErrSetUp    = errors.New("has a password or an authenticator; a reset makes an invitation in their place")
	ErrDisabled = errors.New("is disabled, and no invitation works until that is taken back")
)

// InviteUser registers a person who has neither password nor factor, and the
// invitation to choose them. Errors as for AddUser.
func (a *Admin) InviteUser(ctx context.Context, n NewUser) (*store.User, Invitation, error) {
	u, err := a.newUser(n)
	if err != nil {
		return nil, Invitation{}, err
	}
	l, in := a.newInvitation(u.ID)
	err = a.Store.InviteUser(ctx, u, l, a.event(store.EventUserCreated, u.ID, ""), a.event(store.EventInvitationMade, u.ID, l.ID))
	return u, in, err
}

// InviteAgain makes an invitation in place of any before, for a user who has not
// set up the account. ErrSetUp if the user has, ErrDisabled.
func (a *Admin) InviteAgain(ctx context.Context, u *store.User) (Invitation, error) {
	if u.Disabled {
		return Invitation{}, ErrDisabled
	}
	l, in := a.newInvitation(u.ID)
	err := a.Store.InviteAgain(ctx, l, a.event(store.EventInvitationMade, u.ID, l.ID))
	if errors.Is(err, store.ErrUsed) {
		return Invitation{}, ErrSetUp
	}
	return in, err
}

// ResetUser ends everything that was issued to a user, takes the authenticators,
// and the password unless it is to be kept, and makes the invitation to set them up
// again. A kept password must be proven with it. A user without one has none to
// keep. ErrDisabled.
func (a *Admin) ResetUser(ctx context.Context, u *store.User, keepPassword bool) (Invitation, error) {
	if u.Disabled {
		return Invitation{}, ErrDisabled
	}
	if keepPassword && u.PasswordHash == "" {
		return Invitation{}, errors.New("has no password to keep")
	}
	kind := store.EventUserReset
	if keepPassword {
		kind = store.EventUserResetFactors
	}
	l, in := a.newInvitation(u.ID)
	err := a.Store.ResetUser(ctx, l, keepPassword, a.Now(), a.event(kind, u.ID, ""), a.event(store.EventInvitationMade, u.ID, l.ID))
	if err != nil {
		return Invitation{}, fmt.Errorf("reset user: %w", err)
	}
	return in, nil
}

func (a *Admin) newInvitation(userID string) (*store.Link, Invitation) {
	secret, hash := store.NewSecret()
	now := a.Now().UTC().Truncate(time.Second)
	l := &store.Link{
		ID: store.NewID(), SecretHash: hash, UserID: userID, Purpose: store.LinkInvitation, MadeBy: a.Operator,
		CreatedAt: now, ExpiresAt: now.Add(invitationTTL),
	}
	return l, Invitation{URL: strings.TrimSuffix(a.Issuer, "/") + "/invitation/" + l.ID + "." + secret, ExpiresAt: l.ExpiresAt}
}
