// Package admin is what an operator can do: register people, clients and APIs. The
// command line calls it, and whatever else an operator is given one day.
package admin

import (
	"context"
	"fmt"
	"time"

	"github.com/sallyport-id/sallyport/internal/authn"
	"github.com/sallyport-id/sallyport/internal/keys"
	"github.com/sallyport-id/sallyport/internal/store"
)

// Admin does it.
type Admin struct {
	Store interface {
		store.Clients
		store.Resources
		store.Users
		store.Authenticators
		store.Links
		store.TrustedDevices
		store.BypassCodes
		store.Rules
		store.Restores
		store.Secrets
	}
	Hasher *authn.Hasher
	Sealer *keys.Sealer
	// Issuer is the server's public URL, which links begin with.
	Issuer string
	// Operator is who acts, for the audit log and the invitations that are made; ""
	// for a program that does it itself.
	Operator string
	Now      func() time.Time
}

// NewUser is a person to be registered.
type NewUser struct {
	Login    string // unique after case folding
	Name     string
	Email    string
	Locale   string // "en", "ko" or ""
	Password string // for AddUser alone
}

// AddUser registers a person, with the right to enrol a first authenticator.
// The error of a login or password that is not acceptable says why;
// store.ErrExists if the login is, or ever was, somebody's.
func (a *Admin) AddUser(ctx context.Context, n NewUser) (*store.User, error) {
	u, err := a.newUser(n)
	if err != nil {
		return nil, err
	}
	if err := authn.CheckNewPassword(n.Password, []string{"sallyport", n.Login, n.Email}); err != nil {
		return nil, fmt.Errorf("password: %w", err)
	}
	if u.PasswordHash, err = a.Hasher.Hash(ctx, n.Password); err != nil {
		return nil, fmt.Errorf("hash password: %w", err)
	}
	u.MayEnroll = true
	return u, a.Store.CreateUser(ctx, u, a.event(store.EventUserCreated, u.ID, ""))
}

// newUser is the person, with nothing to sign in with.
func (a *Admin) newUser(n NewUser) (*store.User, error) {
	key, err := authn.LoginKey(n.Login)
	if err != nil {
		return nil, fmt.Errorf("login: %w", err)
	}
	return &store.User{
		ID: store.NewID(), Login: n.Login, LoginKey: key, Name: n.Name, Email: n.Email, Locale: n.Locale, CreatedAt: a.Now(),
	}, nil
}

// AddTOTP enrols a TOTP and recovery codes for a user, in place of the user's
// own first enrolment. The secret and the codes are not shown again.
func (a *Admin) AddTOTP(ctx context.Context, userID string) (secret []byte, codes []string, err error) {
	secret = authn.NewTOTPSecret()
	totp := store.Authenticator{ID: store.NewID(), UserID: userID, Kind: store.KindTOTP, CreatedAt: a.Now()}
	if totp.Secret, err = a.Sealer.Seal(secret, authn.SecretPlace(totp.ID, userID)); err != nil {
		return nil, nil, fmt.Errorf("seal totp secret: %w", err)
	}
	if err := a.Store.CreateAuthenticator(ctx, totp, nil, a.event(store.EventAuthenticatorAdded, userID, totp.ID)); err != nil {
		return nil, nil, fmt.Errorf("add totp: %w", err)
	}
	codes, set, hashes, err := a.Hasher.NewRecoverySet(ctx, userID, a.Now())
	if err != nil {
		return nil, nil, err
	}
	return secret, codes, a.Store.ReplaceRecoveryCodes(ctx, set, hashes, a.event(store.EventRecoveryReplaced, userID, set.ID))
}

func (a *Admin) event(kind, userID, detail string) store.Event {
	return store.Event{At: a.Now(), Type: kind, UserID: userID, Actor: a.Operator, Detail: detail}
}

func (a *Admin) clientEvent(kind, clientID, detail string) store.Event {
	return store.Event{At: a.Now(), Type: kind, ClientID: clientID, Actor: a.Operator, Detail: detail}
}
