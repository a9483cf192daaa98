package flow

import (
	"context"
	"fmt"

	"github.com/sallyport-id/sallyport/internal/authn"
	"github.com/sallyport-id/sallyport/internal/store"
)

// offered is the progress that an interaction begins with. At the first step the
// challenge for a passkey is in it, so that showing the page writes nothing.
func (e *Engine) offered(v *Visit) store.Progress {
	p := v.Progress
	if e.WebAuthn != nil && v.Step.Name == Login {
		p.Ceremony = authn.NewSignIn(v.Now)
	}
	return p
}

// SignInOptions are what the browser needs to sign in with a passkey alone, as JSON;
// nil where there are none. The challenge waits in the interaction; store.ErrStale: it
// was changed in between.
func (e *Engine) SignInOptions(ctx context.Context, v *Visit) ([]byte, error) {
	if e.WebAuthn == nil {
		return nil, nil
	}
	if !authn.SignInFresh(v.Progress.Ceremony, v.Now) {
		v.Progress.Ceremony = authn.NewSignIn(v.Now)
		if err := e.update(ctx, v); err != nil {
			return nil, err
		}
	}
	return e.WebAuthn.SignInOptions(v.Progress.Ceremony)
}

// CheckPasskey returns who has signed the challenge that waits; see CheckSignIn of
// authn for the errors. ReasonExcluded: the user's rule takes no passkeys, so that
// recording it would lead back to where it was given.
func (e *Engine) CheckPasskey(ctx context.Context, v *Visit, answer string) (*store.User, *authn.Answer, error) {
	u, a, err := e.checkPasskey(ctx, v, answer)
	if err != nil {
		return nil, nil, err
	}
	of := v.Case()
	if of.User = u; !v.Policy.Rule(of).Counts(store.KindWebAuthn) {
		return nil, nil, &authn.WebAuthnError{Reason: authn.ReasonExcluded}
	}
	return u, a, nil
}

func (e *Engine) checkPasskey(ctx context.Context, v *Visit, answer string) (*store.User, *authn.Answer, error) {
	return e.WebAuthn.CheckSignIn(v.Progress.Ceremony, answer, v.Now, func(credential []byte) (*store.User, []store.Authenticator, error) {
		u, err := e.Store.UserByCredential(ctx, credential)
		if err != nil {
			return nil, nil, fmt.Errorf("load user by credential: %w", err)
		}
		list, err := e.authenticators(ctx, v.Policy, u)
		return u, list, err
	})
}

// RecordPasskey takes the challenge and records that the user signed in with a
// passkey alone: in the browser's session if it is the same user's, else in a new one
// that replaces it. The errors are those of RecordAssertion.
func (e *Engine) RecordPasskey(ctx context.Context, v *Visit, u *store.User, a *authn.Answer) (Cookie, error) {
	proof := v.proof(store.MethodWebAuthn, u.ID, a.Authenticator)
	proof.UserVerified, proof.BackupEligible, proof.Attested = a.UserVerified, a.BackupEligible, a.Attested
	after := *v.interaction
	after.Progress = v.Progress
	after.Progress.Ceremony = nil
	if v.Session != nil && v.Session.UserID == u.ID {
		proof.Bound = authn.BoundBy(v.Session.Proofs, a.Authenticator)
		add, cookie := v.addProof(proof, store.Settle{}, store.EventLoginPasskey)
		after.SessionID = v.Session.ID
		cookie, err := cookie.after(e.Store.UseAssertion(ctx, store.Assertion{
			Authenticator: a.Authenticator, Credential: a.Credential, WasAlone: true, Proof: add, Interaction: after,
		}), add)
		return cookie, notUsed(err)
	}
	s, replaces, cookie, events := e.newSession(v, u, proof, store.EventLoginPasskey)
	err := e.Store.StartWithAssertion(ctx, store.SignIn{
		Authenticator: a.Authenticator, Credential: a.Credential, Session: s, Replaces: replaces, Interaction: after, Events: events,
	})
	if err != nil {
		return "", notUsed(fmt.Errorf("start session: %w", err))
	}
	return cookie, nil
}

// newSession is a session of the user with a first proof, in the place of the
// browser's, which is another user's, if it has one.
func (e *Engine) newSession(v *Visit, u *store.User, first store.Proof, kind string) (s *store.Session, replaces string, c Cookie, events []store.Event) {
	secret, hash := store.NewSecret()
	s = &store.Session{
		ID: store.NewID(), SecretHash: hash, UserID: u.ID, UserEpoch: u.Epoch, Proofs: []store.Proof{first},
		Version: 1, CreatedAt: v.Now, LastSeenAt: v.Now, ExpiresAt: v.Now.Add(e.SessionTTL),
		UserAgent: agent(v.Origin.UserAgent), Address: v.Origin.Address,
	}
	event := v.event(kind, "")
	event.UserID, event.Session = u.ID, s.ID
	events = []store.Event{event}
	if v.Session != nil {
		replaces = v.Session.ID
		events = append(events, v.event(store.EventSessionReplaced, ""))
	}
	return s, replaces, Cookie(s.ID + "." + secret), events
}
