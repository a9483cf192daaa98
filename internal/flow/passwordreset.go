package flow

import (
	"context"
	"fmt"
	"strings"

	"github.com/sallyport-id/sallyport/internal/authn"
	"github.com/sallyport-id/sallyport/internal/store"
)

// PasswordReset is an open link to a new password. It is half of what is needed: the
// other half is a code of a second factor, so that who can read somebody's mail cannot
// take the account (NIST SP 800-63B-4 §4.2.2.2). Looking at it changes nothing.
type PasswordReset struct {
	Link           *store.Link
	User           *store.User
	Authenticators []store.Authenticator
	Least          int // characters of the new password
}

// AskPasswordReset has a link mailed to the user, good in that browser. userID is ""
// if the login is nobody's: the work is the same, and nobody can see the difference.
func (e *Engine) AskPasswordReset(ctx context.Context, userID, browser string, o Origin) error {
	now := e.Now()
	m := store.Mail{
		ID: store.NewID(), Kind: store.MailPasswordReset, UserID: userID, At: now,
		Address: o.Address, Browser: BrowserName(o.UserAgent), BrowserHash: browser,
	}
	event := store.Event{At: now, Type: store.EventPasswordResetAsked, UserID: userID, Address: o.Address, RequestID: o.RequestID}
	if err := e.Store.AskForMail(ctx, m, event); err != nil {
		return fmt.Errorf("ask for mail: %w", err)
	}
	return nil
}

// PasswordReset returns what a link's token, id.secret, stands for.
// store.ErrNotFound: there is none, or it is not open any more; nothing says which.
func (e *Engine) PasswordReset(ctx context.Context, token string) (*PasswordReset, error) {
	id, secret, _ := strings.Cut(token, ".")
	l, u, err := e.Store.PasswordReset(ctx, id, store.HashSecret(secret), e.Now())
	if err != nil {
		return nil, fmt.Errorf("load password reset: %w", err)
	}
	list, err := e.Store.Authenticators(ctx, u.ID)
	if err != nil {
		return nil, fmt.Errorf("load authenticators: %w", err)
	}
	rules, err := e.policy(ctx)
	if err != nil {
		return nil, err
	}
	return &PasswordReset{Link: l, User: u, Authenticators: list, Least: shortestPassword(rules)}, nil
}

// CheckNewPassword says why a password is not taken, as a *authn.PasswordError.
func (p *PasswordReset) CheckNewPassword(password string) error {
	rule := authn.PasswordRule{Shortest: p.Least}
	return rule.Check(password, []string{"sallyport", p.User.Login, p.User.Email})
}

// SetPassword spends the link and the code that proof has, which was right, and gives
// the user the password, which was checked. Everything that was issued to the user
// ends, and nobody is signed in by it. An error that is Expected: something of it was
// used, or has ended.
func (e *Engine) SetPassword(ctx context.Context, p *PasswordReset, password string, proof store.PasswordReset, o Origin) error {
	hash, err := e.Hasher.Hash(ctx, password)
	if err != nil {
		return fmt.Errorf("hash password: %w", err)
	}
	proof.Link, proof.NewHash, proof.Now = p.Link, hash, e.Now()
	kind := store.EventLoginTOTP
	if proof.CodeHash != nil {
		kind = store.EventLoginRecovery
	}
	used := p.event(kind, o)
	reset := p.event(store.EventPasswordReset, o)
	used.At, reset.At = proof.Now, proof.Now
	proof.Events = []store.Event{used, reset}
	if err := e.Store.ResetPassword(ctx, proof); err != nil {
		return fmt.Errorf("reset password: %w", err)
	}
	return nil
}

// Disown ends the link: whoever has it says that nobody asked for it.
func (e *Engine) Disown(ctx context.Context, p *PasswordReset, o Origin) error {
	now := e.Now()
	event := p.event(store.EventPasswordResetDisowned, o)
	event.At = now
	if err := e.Store.EndPasswordReset(ctx, p.Link.ID, p.Link.SecretHash, now, event); err != nil {
		return fmt.Errorf("end password reset: %w", err)
	}
	return nil
}

func (p *PasswordReset) event(kind string, o Origin) store.Event {
	return store.Event{
		Type: kind, UserID: p.User.ID, Address: o.Address, RequestID: o.RequestID, Browser: BrowserName(o.UserAgent), Detail: p.Link.ID,
	}
}
