package flow

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/sallyport-id/sallyport/internal/authn"
	"github.com/sallyport-id/sallyport/internal/oidc"
	"github.com/sallyport-id/sallyport/internal/policy"
	"github.com/sallyport-id/sallyport/internal/store"
)

// Invitation is one that is open. Looking at it changes nothing: programs that read
// mail open links, too.
type Invitation struct {
	Link *store.Link
	User *store.User
	// Least is the number of characters of a new password.
	Least int
}

// KeepsPassword: the user has a password, which is proven instead of chosen.
func (i *Invitation) KeepsPassword() bool { return i.User.PasswordHash != "" }

// Invitation returns what a link's token, id.secret, stands for.
// store.ErrNotFound: there is none, or it is not open any more; nothing says which.
func (e *Engine) Invitation(ctx context.Context, token string) (*Invitation, error) {
	id, secret, _ := strings.Cut(token, ".")
	l, u, err := e.Store.Invitation(ctx, id, store.HashSecret(secret), e.Now())
	if err != nil {
		return nil, fmt.Errorf("load invitation: %w", err)
	}
	rules, err := e.policy(ctx)
	if err != nil {
		return nil, err
	}
	return &Invitation{Link: l, User: u, Least: shortestPassword(rules)}, nil
}

// shortestPassword: it must be longer where it may be all that is asked for.
func shortestPassword(p policy.Policy) int {
	if p.PasswordMayBeAll() {
		return authn.ShortestPasswordAlone
	}
	return authn.ShortestPassword
}

// ChoosePassword begins an interaction that sets up the account, and returns its
// id. The password waits in it, hashed, and is good for nothing until a factor is
// confirmed there; until then others may begin with the same invitation. A
// *authn.PasswordError says why a password is not taken.
func (e *Engine) ChoosePassword(ctx context.Context, in *Invitation, password string, browserHash []byte) (string, error) {
	u := in.User
	if in.KeepsPassword() {
		return "", errors.New("flow: a new password for a user who keeps the old one")
	}
	rule := authn.PasswordRule{Shortest: in.Least}
	if err := rule.Check(password, []string{"sallyport", u.Login, u.Email}); err != nil {
		return "", err
	}
	hash, err := e.Hasher.Hash(ctx, password)
	if err != nil {
		return "", fmt.Errorf("hash password: %w", err)
	}
	rule.Shortest = authn.ShortestPasswordAlone
	alone := rule.Check(password, nil) == nil
	return e.beginInvited(ctx, in, hash, alone, browserHash)
}

// KeepPassword is ChoosePassword for a user whose password was proven just now and
// stays. u is the user whose it is.
func (e *Engine) KeepPassword(ctx context.Context, in *Invitation, u *store.User, browserHash []byte) (string, error) {
	if u.ID != in.User.ID || u.PasswordHash == "" {
		return "", errors.New("flow: an invitation with another user's password")
	}
	return e.beginInvited(ctx, in, u.PasswordHash, false, browserHash)
}

func (e *Engine) beginInvited(ctx context.Context, in *Invitation, hash string, alone bool, browserHash []byte) (string, error) {
	old := ""
	if in.KeepsPassword() {
		old = hash
	}
	now := e.Now()
	i := &store.Interaction{
		ID: store.NewID(), BrowserHash: browserHash, Version: 1, CreatedAt: now, ExpiresAt: now.Add(invitedTTL),
		Progress: store.Progress{Invited: &store.Invited{
			UserID: in.User.ID, UserEpoch: in.Link.UserEpoch, Link: in.Link.ID, LinkHash: in.Link.SecretHash, OldHash: old, NewHash: hash, Alone: alone,
		}},
	}
	if err := e.Store.CreateInteraction(ctx, i); err != nil {
		return "", fmt.Errorf("create interaction: %w", err)
	}
	return i.ID, nil
}

// SetsUp reports whether the visit sets up an account: nobody is signed in, and no
// client waits.
func (v *Visit) SetsUp() bool { return v.settingUp() }

func (s State) settingUp() bool { return s.Progress.Invited != nil || s.Progress.Registering != nil }

// Invited reports whether it does so with an invitation.
func (v *Visit) Invited() bool { return v.Progress.Invited != nil }

// visitInvited loads an interaction that sets up an account. Whoever else is signed
// in with the browser has no part in it.
func (e *Engine) visitInvited(ctx context.Context, i *store.Interaction, o Origin) (*Visit, error) {
	in := i.Progress.Invited
	rules, err := e.policy(ctx)
	if err != nil {
		return nil, err
	}
	v := &Visit{Origin: o, interaction: i, State: State{
		Now: e.Now(), Policy: rules, Client: &oidc.Client{}, Request: &i.Request, Address: o.address(), Enrollment: e.Enrollment, NoWebAuthn: e.WebAuthn == nil,
		Interaction: i.ID, Began: i.CreatedAt, Progress: i.Progress,
	}}
	u, err := e.Store.User(ctx, in.UserID)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return nil, fmt.Errorf("load the invited user: %w", err)
	}
	v.User = u
	_, _, err = e.Store.Invitation(ctx, in.Link, in.LinkHash, v.Now)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return nil, fmt.Errorf("load the interaction's invitation: %w", err)
	}
	v.InvitationOpen = err == nil
	v.Step = Next(v.State)
	return v, nil
}

// RecordInvited is RecordEnrollment for an invited user: it spends the invitation,
// and password and authenticator are good from then on. Nobody is signed in, so the
// proof is not kept. An error that is Expected: the invitation is not open any more,
// or somebody else has just used it.
func (e *Engine) RecordInvited(ctx context.Context, v *Visit, n Enrolled, settle store.Settle) error {
	made, err := e.confirm(ctx, v, n.Authenticator.Kind)
	if err != nil {
		return err
	}
	spent := *v.Progress.Invited
	r := store.Redemption{
		Invited: spent, Authenticator: n.Authenticator, Handle: n.Handle, Recovery: made.recovery, CodeHashes: made.codeHashes,
		Interaction: made.interaction, Settle: settle, Now: v.Now,
		Events: []store.Event{v.event(store.EventInvitationRedeemed, spent.Link), v.event(enrolled(n), "")},
	}
	r.Interaction.Progress.Invited = spent.Afterwards()
	if err := e.Store.RedeemInvitation(ctx, r); err != nil {
		return fmt.Errorf("redeem invitation: %w", err)
	}
	return nil
}

// RecordSkipped ends an invitation without a second factor: the chosen password is good
// from then on, and alone, and the right to enrol stays. Errors as of RecordInvited.
func (e *Engine) RecordSkipped(ctx context.Context, v *Visit, settle store.Settle) error {
	if v.Step.Name != Enroll || !v.MaySkip() {
		return fmt.Errorf("flow: nothing to skip: %w", store.ErrStale)
	}
	in := *v.Progress.Invited
	after := *v.interaction
	after.Progress = v.Progress
	after.Progress.Enrolling, after.Progress.Ceremony = nil, nil
	after.Progress.Invited = in.Afterwards()
	after.Progress.Invited.Skipped = true
	err := e.Store.SkipFactor(ctx, store.Skip{
		Invited: in, Interaction: after, Settle: settle, Now: v.Now, Events: []store.Event{v.event(store.EventInvitationSkipped, in.Link)},
	})
	if err != nil {
		return fmt.Errorf("skip the second factor: %w", err)
	}
	return nil
}
