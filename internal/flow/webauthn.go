package flow

import (
	"context"
	"errors"
	"fmt"

	"github.com/sallyport-id/sallyport/internal/authn"
	"github.com/sallyport-id/sallyport/internal/store"
)

// CreationOptions are what the browser needs to register an authenticator, as
// JSON. The challenge waits in the interaction; store.ErrStale: it was changed in
// between.
func (e *Engine) CreationOptions(ctx context.Context, v *Visit) ([]byte, error) {
	if err := e.ceremony(ctx, v, store.CeremonyCreate); err != nil {
		return nil, err
	}
	return e.WebAuthn.CreationOptions(v.Progress.Ceremony, v.User, v.Authenticators)
}

// RequestOptions are what the browser needs to ask for one of the step's factors,
// as JSON. The challenge waits in the interaction; store.ErrStale: it was changed
// in between.
func (e *Engine) RequestOptions(ctx context.Context, v *Visit) ([]byte, error) {
	if err := e.ceremony(ctx, v, store.CeremonyGet); err != nil {
		return nil, err
	}
	return e.WebAuthn.RequestOptions(v.Progress.Ceremony, v.User, v.Step.Factors)
}

// ceremony makes sure that a challenge waits, with time left to answer it.
func (e *Engine) ceremony(ctx context.Context, v *Visit, kind store.CeremonyType) error {
	if authn.CeremonyFresh(v.Progress.Ceremony, kind, v.User, v.Now) {
		return nil
	}
	v.Progress.Ceremony = authn.NewCeremony(kind, v.User, v.Now)
	return e.update(ctx, v)
}

// DropCeremony takes the challenge away: a wrong answer is an answer.
func (e *Engine) DropCeremony(ctx context.Context, v *Visit) error {
	if v.Progress.Ceremony == nil {
		return nil
	}
	v.Progress.Ceremony = nil
	return e.update(ctx, v)
}

// RecordAssertion takes the challenge and records the proof. An error that is
// Expected: the challenge was taken before. A *authn.WebAuthnError: another answer
// has raised the counter, or the authenticator is gone.
func (e *Engine) RecordAssertion(ctx context.Context, v *Visit, a *authn.Answer) (Cookie, error) {
	proof := v.proof(store.MethodWebAuthn, v.User.ID, a.Authenticator)
	proof.UserVerified, proof.BackupEligible, proof.Attested = a.UserVerified, a.BackupEligible, a.Attested
	proof.Bound = authn.BoundBy(v.Session.Proofs, a.Authenticator)
	add, cookie := v.addProof(proof, store.Settle{}, store.EventLoginWebAuthn)
	after := *v.interaction
	after.Progress, after.SessionID = v.Progress, v.Session.ID
	after.Progress.Ceremony = nil
	cookie, err := cookie.after(e.Store.UseAssertion(ctx, store.Assertion{
		Authenticator: a.Authenticator, Credential: a.Credential, MakesAlone: authn.MakesAlone(proof, v.Evidence().Counting()), Proof: add, Interaction: after,
	}), add)
	return cookie, notUsed(err)
}

// notUsed says of what the store refused that the authenticator is the reason.
func notUsed(err error) error {
	switch {
	case errors.Is(err, store.ErrUsed):
		return &authn.WebAuthnError{Reason: authn.ReasonCounter}
	case errors.Is(err, store.ErrNotFound):
		return &authn.WebAuthnError{Reason: authn.ReasonUnknown}
	}
	return err
}

// NewKey is the authenticator that the user has just registered.
func (v *Visit) NewKey(a *authn.Answer) (Enrolled, error) {
	c := v.Progress.Ceremony
	if c == nil {
		return Enrolled{}, fmt.Errorf("flow: no ceremony: %w", store.ErrStale)
	}
	n := Enrolled{
		Authenticator: store.Authenticator{
			ID: store.NewID(), UserID: v.User.ID, Kind: store.KindWebAuthn, Name: a.Name, Secret: []byte{}, Credential: &a.Credential, CreatedAt: v.Now, LastUsedAt: v.Now,
		},
		Handle: c.Handle,
	}
	n.Proof = v.proof(store.MethodWebAuthn, v.User.ID, n.Authenticator.ID)
	n.Proof.UserVerified, n.Proof.BackupEligible, n.Proof.Attested, n.Proof.Bound = a.UserVerified, a.BackupEligible, a.Attested, true
	n.Authenticator.Credential.Alone = v.SetsUp() && a.UserVerified // an invitation, or to make the account, is more than a password
	return n, nil
}
