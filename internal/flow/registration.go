package flow

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/sallyport-id/sallyport/internal/authn"
	"github.com/sallyport-id/sallyport/internal/oidc"
	"github.com/sallyport-id/sallyport/internal/store"
)

// mostRefusedLogins are as many as somebody with a proven address learns of that are
// taken, in one registration.
const mostRefusedLogins = 10

// Registration says who may make an account without an operator.
type Registration struct {
	// Domains are those of the e-mail addresses, in lower case; none: all.
	Domains []string
}

// Check says what cannot work.
func (r *Registration) Check() error {
	for _, d := range r.Domains {
		if authn.CheckDomain(d) != nil {
			return fmt.Errorf("%q is no domain like example.com, in lower case; what is not ASCII is written with xn--", d)
		}
	}
	return nil
}

// Allows reports whether somebody with the address may. Domains are compared as they
// are: those below one of them are others.
func (r *Registration) Allows(email string) bool {
	_, domain, _ := strings.Cut(email, "@")
	return r != nil && (len(r.Domains) == 0 || slices.Contains(r.Domains, domain))
}

// nextRegistering makes an account, and signs nobody in. Nothing of it is there before
// the address is proven, and no account before the first factor. An operator may turn
// registration off meanwhile, and somebody else may have the address by now.
func nextRegistering(s State) Step {
	r := s.Progress.Registering
	ended := refuse(Step{Reason: ReasonRegistration}, oidc.AccessDenied, "the registration is not open")
	switch {
	case r.Made && (s.User == nil || s.User.Disabled):
		return ended
	case r.Made && len(s.Progress.Codes) > 0:
		return Step{Name: SaveCodes}
	case r.Made:
		return Step{Name: Welcome}
	case !s.Registration.Allows(r.Email):
		return ended
	case !r.Proven:
		return Step{Name: ConfirmEmail}
	case s.AddressTaken || r.Refused >= mostRefusedLogins || len(s.FirstKinds()) == 0:
		return ended
	case r.NewHash == "" || s.LoginTaken:
		return Step{Name: Profile}
	}
	return Step{Name: Enroll}
}

// Registers reports whether the visit makes an account.
func (v *Visit) Registers() bool { return v.Progress.Registering != nil }

// visitRegistering loads an interaction that makes an account. Whoever is signed in
// with the browser has no part in it.
func (e *Engine) visitRegistering(ctx context.Context, i *store.Interaction, o Origin) (*Visit, error) {
	r := i.Progress.Registering
	rules, err := e.policy(ctx)
	if err != nil {
		return nil, err
	}
	v := &Visit{Origin: o, interaction: i, State: State{
		Now: e.Now(), Policy: rules, Client: &oidc.Client{}, Request: &i.Request, Address: o.address(), NoWebAuthn: e.WebAuthn == nil,
		Interaction: i.ID, Began: i.CreatedAt, Progress: i.Progress, Registration: e.Registration,
	}}
	if err := e.fillRegistering(ctx, v, r); err != nil {
		return nil, err
	}
	v.Step = Next(v.State)
	return v, nil
}

func (e *Engine) fillRegistering(ctx context.Context, v *Visit, r *store.Registering) (err error) {
	if r.Made {
		if v.User, err = e.Store.User(ctx, r.UserID); err != nil && !errors.Is(err, store.ErrNotFound) {
			return fmt.Errorf("load the registered user: %w", err)
		}
		return nil
	}
	if !r.Proven {
		return nil // nobody yet
	}
	v.User = registeredUser(r)
	if v.AddressTaken, err = e.known(ctx, r.Email); err != nil {
		return err
	}
	if r.LoginKey != "" {
		if v.LoginTaken, err = e.Store.LoginTaken(ctx, r.LoginKey); err != nil {
			return fmt.Errorf("look for the login: %w", err)
		}
	}
	return nil
}

// registeredUser is the user as the account will have one, but for when it was made.
func registeredUser(r *store.Registering) *store.User {
	return &store.User{
		ID: r.UserID, Login: r.Login, LoginKey: r.LoginKey, Name: r.Name, Email: r.Email, EmailVerified: r.Proven, Locale: r.Locale,
		PasswordHash: r.NewHash, Registered: true,
	}
}

// known: the address is somebody's.
func (e *Engine) known(ctx context.Context, email string) (bool, error) {
	_, err := e.Store.UserByEmail(ctx, email)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return false, fmt.Errorf("look for the address: %w", err)
	}
	return err == nil, nil
}

// WaitingFor returns the interaction of this browser that somebody without an account
// came from, nil if there is none that waits for a sign-in.
func (e *Engine) WaitingFor(ctx context.Context, id string, browserHash []byte) (*store.Interaction, error) {
	i, err := e.Store.Interaction(ctx, id, browserHash, e.Now())
	if errors.Is(err, store.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("load the waiting interaction: %w", err)
	}
	if i.ClientID == "" || i.Progress.Invited != nil || i.Progress.Registering != nil {
		return nil, nil
	}
	return i, nil
}

// NewProfile is what somebody says of the account to be.
type NewProfile struct{ Name, Login, Password string }

// The reasons for which a profile is not taken.
var (
	ErrLogin      = errors.New("flow: no login, or like another's")
	ErrLoginTaken = errors.New("flow: the login is taken")
)

// RecordProfile takes what the account will have. Nobody can sign in with it before
// there is a factor. ErrLogin, ErrLoginTaken; a *authn.PasswordError says why a password
// is not taken.
func (e *Engine) RecordProfile(ctx context.Context, v *Visit, p NewProfile) error {
	if v.Step.Name != Profile {
		return fmt.Errorf("flow: profile at step %q: %w", v.Step.Name, store.ErrStale)
	}
	r := *v.Progress.Registering
	login, key, err := authn.LoginFor(p.Login, r.Email)
	if err != nil {
		return ErrLogin
	}
	taken, err := e.Store.LoginTaken(ctx, key)
	if err != nil {
		return fmt.Errorf("look for the login: %w", err)
	}
	if taken {
		r.Refused++
		v.Progress.Registering = &r
		return errors.Join(ErrLoginTaken, e.update(ctx, v))
	}
	rule := authn.PasswordRule{Shortest: v.ShortestPassword()}
	if err := rule.Check(p.Password, []string{"sallyport", login, r.Email}); err != nil {
		return err
	}
	if r.NewHash, err = e.Hasher.Hash(ctx, p.Password); err != nil {
		return fmt.Errorf("hash password: %w", err)
	}
	r.Name, r.Login, r.LoginKey = p.Name, login, key
	v.Progress.Registering, v.LoginTaken = &r, false
	return e.update(ctx, v)
}

// RecordRegistered makes the account, with its first factor. Nobody is signed in, so
// the proof is not kept. An error that is Expected: somebody has the login or the
// address by now, or the account is made.
func (e *Engine) RecordRegistered(ctx context.Context, v *Visit, n Enrolled) error {
	made, err := e.confirm(ctx, v, n.Authenticator.Kind)
	if err != nil {
		return err
	}
	u := *v.User
	u.CreatedAt, u.Handle = v.Now, n.Handle
	r := store.Registration{
		User: &u, Authenticator: n.Authenticator, Recovery: made.recovery, CodeHashes: made.codeHashes, Interaction: made.interaction, Now: v.Now,
		Events: []store.Event{v.event(store.EventRegistered, ""), v.event(enrolled(n), "")},
	}
	r.Interaction.Progress.Registering = v.Progress.Registering.Afterwards()
	if err := e.Store.Register(ctx, r); err != nil {
		return fmt.Errorf("register: %w", err)
	}
	return nil
}

// NewRegistration is what somebody says who wants an account.
type NewRegistration struct {
	Email, Locale string
	From          string // the interaction that waits for a sign-in; "" for none
	BrowserHash   []byte
}

// BeginRegistration mails a code to the address, or says to its owner that there is an
// account, and returns the interaction that waits for the code. The work and the answer
// are the same.
func (e *Engine) BeginRegistration(ctx context.Context, n NewRegistration, o Origin) (string, error) {
	now := e.Now()
	i := &store.Interaction{
		ID: store.NewID(), BrowserHash: n.BrowserHash, Version: 1, CreatedAt: now, ExpiresAt: now.Add(registeringTTL),
		Progress: store.Progress{Registering: &store.Registering{UserID: store.NewID(), Email: n.Email, Locale: n.Locale}},
	}
	waiting, err := e.WaitingFor(ctx, n.From, n.BrowserHash)
	if err != nil {
		return "", err
	}
	if waiting != nil {
		i.Progress.Registering.Back, i.Request.UILocales = waiting.ID, waiting.Request.UILocales
	}
	m, code, err := e.registrationMail(ctx, i, now, o)
	if err != nil {
		return "", err
	}
	i.Progress.MailCode = code
	if err := e.Store.BeginRegistration(ctx, m, i, registrationEvent(store.EventRegistrationAsked, i.ID, now, o)); err != nil {
		return "", fmt.Errorf("begin registration: %w", err)
	}
	return i.ID, nil
}

// registrationMail goes to the owner of the account where there is one, as any notice
// does. The code of the interaction is in no mail then.
func (e *Engine) registrationMail(ctx context.Context, i *store.Interaction, now time.Time, o Origin) (store.Mail, *store.MailCode, error) {
	r := i.Progress.Registering
	m := store.Mail{
		ID: store.NewID(), Kind: store.MailCodeRegister, To: r.Email, Locale: r.Locale, At: now,
		Address: o.Address, Browser: BrowserName(o.UserAgent), Interaction: i.ID,
	}
	c := &store.MailCode{ID: m.ID, For: m.Kind, Address: m.To, SentAt: now, ExpiresAt: now.Add(authn.MailCodeTTL), Mails: 1}
	if before := i.Progress.MailCode; before != nil {
		c.Mails += before.Mails
	}
	u, err := e.Store.UserByEmail(ctx, r.Email)
	switch {
	case err == nil:
		m.Kind, m.UserID, m.To, m.Locale = store.MailRegistrationKnown, u.ID, u.Email, u.Locale
	case !errors.Is(err, store.ErrNotFound):
		return m, nil, fmt.Errorf("look for the address: %w", err)
	}
	return m, c, nil
}

// MailAgain mails another code for the registration. Errors of MayAskForCode.
func (e *Engine) MailAgain(ctx context.Context, v *Visit) error {
	if v.Step.Name != ConfirmEmail {
		return fmt.Errorf("flow: no address to prove: %w", store.ErrStale)
	}
	if err := v.MayAskForCode(); err != nil {
		return err
	}
	m, code, err := e.registrationMail(ctx, v.interaction, v.Now, v.Origin)
	if err != nil {
		return err
	}
	v.Progress.MailCode = code
	v.keep()
	if err := e.Store.AskForCode(ctx, m, v.interaction, registrationEvent(store.EventRegistrationAsked, v.Interaction, v.Now, v.Origin)); err != nil {
		return fmt.Errorf("ask for code: %w", err)
	}
	v.Step = Next(v.State)
	return nil
}

// RecordAddress records that the code was right, which was mailed to the address. It is
// void then.
func (e *Engine) RecordAddress(ctx context.Context, v *Visit, right store.MailCode) error {
	r := *v.Progress.Registering
	if v.Step.Name != ConfirmEmail || right.Address != r.Email {
		return fmt.Errorf("flow: no address to prove: %w", store.ErrStale)
	}
	r.Proven = true
	v.Progress.Registering, v.Progress.MailCode = &r, nil
	if err := e.fillRegistering(ctx, v, &r); err != nil {
		return err
	}
	return e.update(ctx, v, registrationEvent(store.EventRegistrationProven, v.Interaction, v.Now, v.Origin))
}

// registrationEvent is about nobody: there is no account yet.
func registrationEvent(kind, interaction string, at time.Time, o Origin) store.Event {
	return store.Event{At: at, Type: kind, Interaction: interaction, Address: o.Address, RequestID: o.RequestID}
}
