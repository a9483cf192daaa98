package flow

import (
	"context"
	"fmt"

	"github.com/sallyport-id/sallyport/internal/policy"
	"github.com/sallyport-id/sallyport/internal/store"
)

// Codes by e-mail as a second factor. They do not count as one in NIST SP 800-63B-4
// §3.1.3.1, so they are off unless the operator turns them on, and come after all
// others. The authenticator is the address that was confirmed: with another address it
// exists, and is of no use.

// mailsTo reports whether an authenticator, if it is one of mailed codes, is of use:
// they count here, and go to the address that the account has.
func mailsTo(p policy.Policy, u *store.User, a store.Authenticator) bool {
	return a.Kind != store.KindEmail || p.MailCodes && u.Email != "" && string(a.Secret) == u.Email
}

// mailbox is the user's authenticator that gets codes, nil if there is none.
func (s State) mailbox() *store.Authenticator {
	for i, a := range s.Authenticators {
		if a.Kind == store.KindEmail && !a.Disabled && string(a.Secret) == s.User.Email {
			return &s.Authenticators[i]
		}
	}
	return nil
}

// mayMail: the user has an address, to which no codes go yet. Who registers is no user
// yet.
func (s State) mayMail() bool {
	return s.Policy.MailCodes && s.Progress.Registering == nil && s.User != nil && s.User.Email != "" && s.mailbox() == nil
}

// codeFor is what a mailed code is good for at a step.
func (v *Visit) codeFor() store.MailKind {
	if v.Step.Name == SecondFactor {
		return store.MailCodeProof
	}
	return store.MailCodeEnroll
}

// EmailCode is the code that was mailed for the step, nil if none is good.
func (v *Visit) EmailCode() *store.MailCode {
	c := v.CodeSent(v.codeFor())
	if c == nil || c.Address != v.User.Email {
		return nil
	}
	return c
}

// AskForEmailCode has a code for the step mailed to the user's own address.
func (e *Engine) AskForEmailCode(ctx context.Context, v *Visit) error {
	return e.AskForCode(ctx, v, CodeRequest{
		For: v.codeFor(), UserID: v.User.ID, Address: v.User.Email, Locale: v.User.Locale, Event: store.EventMailCodeAsked,
	})
}

// GuessEmailCode is GuessCode at the code that was mailed for the step.
func (e *Engine) GuessEmailCode(ctx context.Context, v *Visit) (store.MailCode, error) {
	if v.EmailCode() == nil {
		return store.MailCode{}, ErrNoCode
	}
	return e.GuessCode(ctx, v, v.codeFor())
}

// RecordEmail takes the code, which was right, and records the proof.
func (e *Engine) RecordEmail(ctx context.Context, v *Visit, authenticator string, code store.MailCode, settle store.Settle) (Cookie, error) {
	add, cookie := v.addProof(v.proof(store.MethodEmail, v.User.ID, authenticator), settle, store.EventLoginEmail)
	after := *v.interaction
	after.Progress, after.SessionID = v.Progress, v.Session.ID
	after.Progress.MailCode = v.Progress.MailCode.Void()
	use := store.MailCodeUse{Authenticator: authenticator, Address: code.Address, Proof: add, Interaction: after}
	return cookie.after(e.Store.UseMailCode(ctx, use), add)
}

// NewEmail is the address that a right code was mailed to, as an authenticator.
func (v *Visit) NewEmail(code store.MailCode) (Enrolled, error) {
	if code.For != store.MailCodeEnroll || code.Address != v.User.Email || code.UserID != v.User.ID {
		return Enrolled{}, fmt.Errorf("flow: a code for something else: %w", store.ErrStale)
	}
	id := store.NewID()
	return Enrolled{
		Authenticator: store.Authenticator{ID: id, UserID: v.User.ID, Kind: store.KindEmail, Secret: []byte(code.Address), CreatedAt: v.Now, LastUsedAt: v.Now},
		Proof:         v.proof(store.MethodEmail, v.User.ID, id),
	}, nil
}
