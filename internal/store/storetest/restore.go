package storetest

import (
	"errors"
	"slices"
	"time"

	"github.com/sallyport-id/sallyport/internal/store"
)

// restored is a store as it is after the clean-up of a restore, and what was in
// it: for each of two users a visit with tokens, one of whom has authenticators.
type restored struct {
	done   store.Restored
	visits []visit
	tokens []store.Tokens
	totp   store.Authenticator
	code   []byte // of the set
	set    store.Authenticator
}

const restoreStep = 100

func (w *world) restore() restored {
	w.Helper()
	r := restored{}
	strong, weak := w.user(), w.user()
	r.totp = w.totp(strong)
	set, hashes := w.recoverySet(strong)
	w.must(w.ReplaceRecoveryCodes(w.ctx, set, hashes))
	r.set, r.code = set, hashes[0]
	for _, u := range []*store.User{strong, weak} {
		v := w.visit(u)
		_, t := w.redeemed(v, true)
		r.visits, r.tokens = append(r.visits, v), append(r.tokens, t)
	}
	done, err := w.AfterRestore(w.ctx, restoreStep, w.now, store.Event{At: w.now, Type: "restored"})
	w.must(err)
	r.done = done
	return r
}

func restoreEndsEverything(w *world) {
	open := w.interaction("")
	left := w.finished(w.visit(w.user()), true)
	r := w.restore()
	for i, v := range r.visits {
		w.is("session", w.sessionErr(v.session), store.ErrNotFound)
		w.is("access token", w.accessErr(r.tokens[i]), store.ErrNotFound)
		w.is("refresh token", w.refreshErr(r.tokens[i]), store.ErrNotFound)
	}
	w.is("interaction", w.interactionErr(open), store.ErrNotFound)
	w.is("code", w.redeem(left, w.tokens(left.Grant.ID)), store.ErrNotFound)
	if r.done.Sessions != 3 || r.done.Grants != 3 {
		w.Errorf("got %d sessions and %d grants, want 3 and 3", r.done.Sessions, r.done.Grants)
	}
	events, err := w.Events(w.ctx, store.EventQuery{Limit: 1})
	w.must(err)
	if len(events) != 1 || events[0].Type != "restored" {
		w.Errorf("got %+v, want the event", events)
	}
}

func restoreForgetsBrowsersAndConsents(w *world) {
	u := w.user()
	v := w.visit(u)
	f := w.finish(v, false)
	f.KnownBrowser = &store.KnownBrowser{ID: store.NewID(), UserID: u.ID, CreatedAt: w.now}
	f.Consent = &store.Consent{UserID: u.ID, ClientID: "shop", Scope: []string{"openid"}, UpdatedAt: w.now, ClientHash: []byte{1}}
	w.must(w.FinishInteraction(w.ctx, f))
	w.restore()
	w.knows(u, f.KnownBrowser.ID, false)
	_, err := w.Consent(w.ctx, u.ID, "shop")
	w.is("consent", err, store.ErrNotFound)
}

func restoreVoidsWhatIsSpentOnce(w *world) {
	in := w.invited()
	r := w.restore()
	strong, weak := r.visits[0].user, r.visits[1].user
	again, err := w.User(w.ctx, strong.ID)
	w.must(err)
	without := []string{in.user.Login, weak.Login}
	slices.Sort(without)
	if !slices.Equal(r.done.WithoutCodes, []string{strong.Login}) || !slices.Equal(r.done.WithoutRight, without) {
		w.Errorf("got %q without codes and %q without the right, want %q and %q", r.done.WithoutCodes, r.done.WithoutRight, strong.Login, without)
	}
	w.is("a link", w.invitationErr(in), store.ErrNotFound)
	v := w.visit(again)
	use := func(step int64) error {
		v.session = w.reload(v)
		return w.UseTOTPStep(w.ctx, r.totp.ID, step, w.add(v))
	}
	w.is("a step that may have been used", use(restoreStep), store.ErrUsed)
	w.is("the next one", use(restoreStep+1), nil)
	w.is("a recovery code", w.UseRecoveryCode(w.ctx, r.set.ID, r.code, w.add(v)), store.ErrUsed)
	if weak, err = w.User(w.ctx, weak.ID); err != nil || weak.MayEnroll {
		w.Errorf("got %+v %v, want a user without the right", weak, err)
	}
	w.is("a first enrolment", w.EnrollFirst(w.ctx, w.enrollment(w.visit(weak))), store.ErrUsed)
}

func restoreKeepsTheRest(w *world) {
	k := store.SigningKey{ID: "k1", Alg: "RS256", Sealed: []byte{1}, CreatedAt: w.now}
	w.must(w.AddFirstSigningKey(w.ctx, k))
	w.must(w.SetMeta(w.ctx, "mode", "installed"))
	bucket := []store.Bucket{{Key: "k", Limit: 1}}
	_, err := w.Attempt(w.ctx, bucket, w.now)
	w.must(err)
	r := w.restore()
	ahead := w.totp(w.user()) // as of a clock that was wrong
	v := w.visit(w.mustUser(ahead.UserID))
	w.must(w.UseTOTPStep(w.ctx, ahead.ID, restoreStep+5, w.add(v)))
	_, err = w.AfterRestore(w.ctx, restoreStep, w.now.Add(time.Second))
	w.is("again", err, nil)
	list, err := w.Authenticators(w.ctx, r.totp.UserID)
	w.must(err)
	w.count("authenticators", len(list), 2)
	if list, err = w.Authenticators(w.ctx, ahead.UserID); err != nil || list[0].LastStep != restoreStep+5 {
		w.Errorf("got %+v %v, want a step that has not fallen", list, err)
	}
	verdict, err := w.Attempt(w.ctx, bucket, w.now)
	w.must(err)
	mode, err := w.Meta(w.ctx, "mode")
	keys, errKeys := w.SigningKeys(w.ctx)
	w.must(errors.Join(err, errKeys))
	if verdict.Allowed || mode != "installed" || len(keys) != 1 {
		w.Errorf("got allowed %v, mode %q, %d keys; want counts, facts and keys kept", verdict.Allowed, mode, len(keys))
	}
	again := w.mustUser(r.visits[0].user.ID)
	if again.Epoch != r.visits[0].user.Epoch+2 || again.PasswordHash != "old" {
		w.Errorf("got %+v, want a higher epoch and the same password", again)
	}
}

func (w *world) mustUser(id string) *store.User {
	w.Helper()
	u, err := w.User(w.ctx, id)
	w.must(err)
	return u
}
