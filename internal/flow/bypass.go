package flow

import (
	"context"
	"errors"
	"fmt"

	"github.com/sallyport-id/sallyport/internal/authn"
	"github.com/sallyport-id/sallyport/internal/oidc"
	"github.com/sallyport-id/sallyport/internal/store"
)

// A bypass code proves nothing: it is the right to enrol, given by an operator, in the
// one interaction that it is used in. So it counts nowhere else, what is enrolled with
// it counts as after a first enrolment, at most level 2 there, and no client hears of
// the user before that.

// bypassFor: the user has a code, and there is something to enrol that leads to the
// level.
func (s State) bypassFor(level oidc.Level) bool {
	return s.Bypass != nil && s.Bypass.UserID == s.User.ID && s.Interaction != "" && level <= enrollReach && len(s.FirstKinds()) > 0
}

// bypassOpen: the code could be used here.
func (s State) bypassOpen(level oidc.Level) bool { return s.bypassFor(level) && s.Bypass.UsedIn == "" }

// bypassed: the code was used in this interaction, and nothing is enrolled yet.
func (s State) bypassed(level oidc.Level) bool {
	return s.bypassFor(level) && s.Bypass.UsedIn == s.Interaction
}

// bypassStep is where the code is all that is left: no authenticator can be used.
func (s State) bypassStep(step Step) Step {
	if next := s.enrollStep(step); next.Name == Login {
		return next
	}
	step.Bypass = true
	return step.named(SecondFactor)
}

// fillBypass adds the user's code where a second factor is missing.
func (e *Engine) fillBypass(ctx context.Context, v *Visit) (err error) {
	if v.Interaction == "" || authn.Judge(v.Evidence()).Level >= oidc.Level2FA {
		return nil
	}
	v.Bypass, err = e.Store.Bypass(ctx, v.User.ID, v.Now)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return fmt.Errorf("load bypass code: %w", err)
	}
	return nil
}

// RecordBypass accepts the bypass code: from then on the interaction may enrol, and
// everything else that was issued to the user has ended. The session gets a new
// secret, as with a proof: the right is not of those who had the old one.
// store.ErrUsed: it was used before. store.ErrNotFound: it is not the code.
func (e *Engine) RecordBypass(ctx context.Context, v *Visit, codeHash []byte, settle store.Settle) (Cookie, error) {
	if v.Step.Name != SecondFactor || !v.Step.Bypass {
		return "", fmt.Errorf("flow: bypass code at step %q: %w", v.Step.Name, store.ErrStale)
	}
	secret, hash := store.NewSecret()
	after := *v.interaction
	after.Progress, after.SessionID = v.Progress, v.Session.ID
	after.Progress.Ceremony = nil
	err := e.Store.UseBypass(ctx, store.BypassUse{
		ID: v.Bypass.ID, UserID: v.User.ID, Hash: codeHash, SessionID: v.Session.ID, SessionVersion: v.Session.Version, NewSecretHash: hash,
		Interaction: after, Settle: settle, Now: v.Now, Events: []store.Event{v.event(store.EventBypassUsed, v.Bypass.ID)},
	})
	if err != nil {
		return "", fmt.Errorf("use bypass code: %w", err)
	}
	return Cookie(v.Session.ID + "." + secret), nil
}

// enrolsBy is the bypass code whose right an enrolment spends, "" for the user's own
// right.
func (v *Visit) enrolsBy() string {
	if v.mayEnroll() || v.Bypass == nil {
		return ""
	}
	return v.Bypass.ID
}
