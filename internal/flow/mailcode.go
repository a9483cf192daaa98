package flow

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/sallyport-id/sallyport/internal/authn"
	"github.com/sallyport-id/sallyport/internal/store"
)

// A mailed code is good in the interaction that asked for it, and so in the browser
// that has its cookie, once, for what it was asked for, for ten minutes and five
// guesses. A new one takes the place of the one before.

const (
	mostCodeMails   = 3 // of an interaction
	mostCodeGuesses = 5 // at one code
	codeMailEvery   = time.Minute
)

// The answers of a mailed code that a user can cause.
var (
	ErrNoCode    = errors.New("flow: no mailed code is good here any more")
	ErrMailedNow = errors.New("flow: a code was mailed just now")
	ErrManyMails = errors.New("flow: as many codes as one interaction gets")
)

// CodeRequest is whom a code is for and what.
type CodeRequest struct {
	For     store.MailKind
	UserID  string // "" for nobody yet
	Address string
	Locale  string
	Event   string // its type
}

// MayAskForCode says whether a further code can be asked for: nil, ErrMailedNow or
// ErrManyMails.
func (v *Visit) MayAskForCode() error {
	c := v.Progress.MailCode
	switch {
	case c == nil:
		return nil
	case c.Mails >= mostCodeMails:
		return ErrManyMails
	case v.Now.Before(c.SentAt.Add(codeMailEvery)):
		return ErrMailedNow
	}
	return nil
}

// AskForCode has a code mailed, in the place of any before. Whether the address gets
// too many is authn's to say, before.
func (e *Engine) AskForCode(ctx context.Context, v *Visit, r CodeRequest) error {
	if err := v.MayAskForCode(); err != nil {
		return err
	}
	c := &store.MailCode{
		ID: store.NewID(), For: r.For, UserID: r.UserID, Address: r.Address, SentAt: v.Now, ExpiresAt: v.Now.Add(authn.MailCodeTTL), Mails: 1,
	}
	if before := v.Progress.MailCode; before != nil {
		c.Mails += before.Mails
	}
	v.Progress.MailCode = c
	v.keep()
	m := store.Mail{
		ID: c.ID, Kind: r.For, UserID: r.UserID, To: r.Address, Locale: r.Locale, At: v.Now,
		Address: v.Origin.Address, Browser: BrowserName(v.Origin.UserAgent), Interaction: v.Interaction,
	}
	if err := e.Store.AskForCode(ctx, m, v.interaction, v.event(r.Event, "")); err != nil {
		return fmt.Errorf("ask for code: %w", err)
	}
	v.Step = Next(v.State)
	return nil
}

// CodeSent is the interaction's code that is good for something and for the visit's
// user, nil if there is none.
func (v *Visit) CodeSent(kind store.MailKind) *store.MailCode {
	c := v.Progress.MailCode
	if c == nil || c.ID == "" || c.For != kind || c.UserID != v.Subject() || c.Guesses >= mostCodeGuesses || !v.Now.Before(c.ExpiresAt) {
		return nil
	}
	return c
}

// GuessCode counts a guess at the interaction's code, before anybody checks it, and
// returns what it is a guess at. Of several at once one is a guess, the others are
// store.ErrStale: nobody hears whether they were right. ErrNoCode: there is none.
func (e *Engine) GuessCode(ctx context.Context, v *Visit, kind store.MailKind) (store.MailCode, error) {
	sent := v.CodeSent(kind)
	if sent == nil {
		return store.MailCode{}, ErrNoCode
	}
	guessed := *sent
	guessed.Guesses++
	v.Progress.MailCode = &guessed
	return guessed, e.update(ctx, v)
}
