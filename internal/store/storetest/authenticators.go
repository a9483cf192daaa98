package storetest

import (
	"fmt"
	"reflect"
	"strconv"

	"github.com/sallyport-id/sallyport/internal/store"
)

func authenticatorsKept(w *world) {
	u := w.user()
	set, hashes := w.recoverySet(u)
	first := store.Authenticator{ID: store.NewID(), UserID: u.ID, Kind: store.KindTOTP, Name: "phone", Secret: []byte{0, 1}, LastStep: 9, Disabled: true, CreatedAt: w.now, LastUsedAt: w.now}
	w.must(w.CreateAuthenticator(w.ctx, first, nil))
	w.must(w.CreateAuthenticator(w.ctx, set, hashes))
	w.is("same id", w.CreateAuthenticator(w.ctx, first, nil), store.ErrExists)
	list, err := w.Authenticators(w.ctx, u.ID)
	w.must(err)
	for _, got := range list {
		want := first
		if got.Kind == store.KindRecovery {
			want = set
		}
		if !reflect.DeepEqual(got, want) {
			w.Errorf("got %+v, want %+v", got, want)
		}
	}
	w.count("authenticators", len(list), 2)
	list, err = w.Authenticators(w.ctx, "nobody")
	w.must(err)
	w.count("authenticators of nobody", len(list), 0)
}

func (w *world) mayEnroll(u *store.User, want bool) {
	w.Helper()
	got, err := w.User(w.ctx, u.ID)
	w.must(err)
	if got.MayEnroll != want {
		w.Errorf("right to enrol: got %v, want %v", got.MayEnroll, want)
	}
}

func (w *world) authenticators(u *store.User) []store.Authenticator {
	w.Helper()
	list, err := w.Authenticators(w.ctx, u.ID)
	w.must(err)
	return list
}

func enrollFirstSpendsTheRight(w *world) {
	v := w.visit(w.user())
	e := w.enrollment(v)
	w.must(w.EnrollFirst(w.ctx, e))
	w.mayEnroll(v.user, false)
	w.count("authenticators", len(w.authenticators(v.user)), 2)
	v.session.SecretHash = e.Proof.NewSecretHash
	if !*e.Proof.Rotated {
		w.Errorf("the secret was not rotated")
	}
	w.count("proofs", len(w.reload(v).Proofs), 2)
	i, err := w.Interaction(w.ctx, v.interaction.ID, v.interaction.BrowserHash, w.now)
	w.must(err)
	if i.Progress.CodesOf != v.user.ID || i.Version <= v.interaction.Version {
		w.Errorf("the interaction has not moved on: %+v", i)
	}
	w.is("step of the confirming code", w.UseTOTPStep(w.ctx, e.Authenticator.ID, 7, w.add(v)), store.ErrUsed)
	w.is("a recovery code", w.UseRecoveryCode(w.ctx, e.Recovery.ID, e.CodeHashes[1], w.add(v)), nil)
}

func enrollFirstOnce(w *world) {
	v := w.visit(w.user())
	var all [crowd]store.Enrollment
	for i := range all {
		all[i] = w.enrollment(v)
	}
	errs := race(func(i int) error { return w.EnrollFirst(w.ctx, all[i]) })
	w.count("winners", w.winners(errs, store.ErrUsed, store.ErrStale), 1)
	w.count("authenticators", len(w.authenticators(v.user)), 2)
}

func enrollFirstAllOrNothing(w *world) {
	for name, spoil := range map[string]func(v visit, e *store.Enrollment){
		"interaction version": func(_ visit, e *store.Enrollment) { e.Interaction.Version-- },
		"interaction gone":    func(_ visit, e *store.Enrollment) { e.Interaction.ID = "gone" },
		"session version":     func(_ visit, e *store.Enrollment) { e.Proof.Version-- },
		"session gone":        func(_ visit, e *store.Enrollment) { e.Proof.SessionID = "gone" },
		"session ended":       func(v visit, _ *store.Enrollment) { w.must(w.EndSession(w.ctx, v.session.ID, w.now)) },
		"epoch":               func(v visit, _ *store.Enrollment) { w.must(w.RevokeUser(w.ctx, v.user.ID, "", w.now)) },
	} {
		v := w.visit(w.user())
		e := w.enrollment(v)
		spoil(v, &e)
		w.is(name, w.EnrollFirst(w.ctx, e), store.ErrStale)
		w.mayEnroll(v.user, true)
		w.count(name+": authenticators", len(w.authenticators(v.user)), 0)
	}
}

func createAuthenticatorSpendsTheRight(w *world) {
	v := w.visit(w.user())
	w.totp(v.user)
	w.mayEnroll(v.user, false)
	w.is("enrol", w.EnrollFirst(w.ctx, w.enrollment(v)), store.ErrUsed)
	set, hashes := w.recoverySet(&store.User{ID: "nobody"})
	w.is("for nobody", w.CreateAuthenticator(w.ctx, set, hashes), store.ErrNotFound)
	w.must(w.RemoveUser(w.ctx, v.user.ID, w.now))
	set, hashes = w.recoverySet(v.user)
	w.is("for somebody who was removed", w.CreateAuthenticator(w.ctx, set, hashes), store.ErrNotFound)
	w.count("authenticators of somebody who was removed", len(w.authenticators(v.user)), 0)
}

func totpStepAcceptedOnce(w *world) {
	v := w.visit(w.user())
	a := w.totp(v.user)
	errs := race(func(int) error { return w.UseTOTPStep(w.ctx, a.ID, 100, w.add(v)) })
	w.count("winners", w.winners(errs, store.ErrUsed), 1)
	w.is("again", w.UseTOTPStep(w.ctx, a.ID, 100, w.add(v)), store.ErrUsed)
	w.is("an older one", w.UseTOTPStep(w.ctx, a.ID, 99, w.add(v)), store.ErrUsed)
	w.is("the next", w.UseTOTPStep(w.ctx, a.ID, 101, w.add(v)), nil)
	if got := w.authenticators(v.user)[0]; got.LastStep != 101 || !got.LastUsedAt.Equal(w.now) {
		w.Errorf("got last step %d at %v, want 101 at %v", got.LastStep, got.LastUsedAt, w.now)
	}
}

// totpStepsOnlyRise reads the order of acceptance from the order of the proofs.
func totpStepsOnlyRise(w *world) {
	v := w.visit(w.user())
	a := w.totp(v.user)
	errs := race(func(i int) error {
		p := w.add(v)
		p.Version, p.Proof.Authenticator = 0, strconv.Itoa(i+1) // no rotation: the secret stays known
		return w.UseTOTPStep(w.ctx, a.ID, int64(i+1), p)
	})
	proofs := w.reload(v).Proofs[1:]
	w.count("proofs of the winners", len(proofs), w.winners(errs, store.ErrUsed))
	last := 0
	for _, p := range proofs {
		step, _ := strconv.Atoi(p.Authenticator)
		if step <= last {
			w.Errorf("step %d was accepted after %d", step, last)
		}
		last = step
	}
	w.count("last step", int(w.authenticators(v.user)[0].LastStep), last)
}

func totpStepStaysWithoutItsProof(w *world) {
	v := w.visit(w.user())
	a := w.totp(v.user)
	gone := w.add(v)
	gone.SessionID = "gone"
	w.is("no session", w.UseTOTPStep(w.ctx, a.ID, 5, gone), store.ErrNotFound)
	w.is("the step is still good", w.UseTOTPStep(w.ctx, a.ID, 5, w.add(v)), nil)
}

func authenticatorMustFit(w *world) {
	v := w.visit(w.user())
	set, hashes := w.recoverySet(v.user)
	w.must(w.CreateAuthenticator(w.ctx, set, hashes))
	w.is("a step of a recovery set", w.UseTOTPStep(w.ctx, set.ID, 5, w.add(v)), store.ErrNotFound)
	off := store.Authenticator{ID: store.NewID(), UserID: v.user.ID, Kind: store.KindTOTP, Secret: []byte("s"), Disabled: true, CreatedAt: w.now}
	w.must(w.CreateAuthenticator(w.ctx, off, [][]byte{hashes[0]}))
	w.is("a step of a disabled one", w.UseTOTPStep(w.ctx, off.ID, 5, w.add(v)), store.ErrNotFound)
	off.ID, off.Disabled = store.NewID(), false
	w.must(w.CreateAuthenticator(w.ctx, off, [][]byte{hashes[0]}))
	w.is("a recovery code of a TOTP", w.UseRecoveryCode(w.ctx, off.ID, hashes[0], w.add(v)), store.ErrNotFound)
	off.ID, off.Kind, off.Disabled = store.NewID(), store.KindRecovery, true
	w.must(w.CreateAuthenticator(w.ctx, off, [][]byte{hashes[0]}))
	w.is("a recovery code of a disabled set", w.UseRecoveryCode(w.ctx, off.ID, hashes[0], w.add(v)), store.ErrNotFound)
	w.count("proofs", len(w.reload(v).Proofs), 1)
}

func totpStepOfAnotherUser(w *world) {
	v, other := w.visit(w.user()), w.visit(w.user())
	a := w.totp(other.user)
	w.is("another's authenticator", w.UseTOTPStep(w.ctx, a.ID, 5, w.add(v)), store.ErrNotFound)
	w.is("none", w.UseTOTPStep(w.ctx, "none", 5, w.add(v)), store.ErrNotFound)
	w.is("its owner", w.UseTOTPStep(w.ctx, a.ID, 5, w.add(other)), nil)
}

func recoveryCodeAcceptedOnce(w *world) {
	v := w.visit(w.user())
	set, hashes := w.recoverySet(v.user)
	w.must(w.ReplaceRecoveryCodes(w.ctx, set, hashes))
	errs := race(func(int) error { return w.UseRecoveryCode(w.ctx, set.ID, hashes[0], w.add(v)) })
	w.count("winners", w.winners(errs, store.ErrUsed), 1)
	w.is("again", w.UseRecoveryCode(w.ctx, set.ID, hashes[0], w.add(v)), store.ErrUsed)
	w.is("no code", w.UseRecoveryCode(w.ctx, set.ID, []byte("no"), w.add(v)), store.ErrNotFound)
	w.is("no set", w.UseRecoveryCode(w.ctx, "no", hashes[1], w.add(v)), store.ErrNotFound)
	w.is("another user's", w.UseRecoveryCode(w.ctx, set.ID, hashes[1], w.add(w.visit(w.user()))), store.ErrNotFound)
	if got := w.authenticators(v.user)[0]; got.CodesLeft != 1 || !got.LastUsedAt.Equal(w.now) {
		w.Errorf("got %d codes left, last used at %v; want 1, %v", got.CodesLeft, got.LastUsedAt, w.now)
	}
	w.is("the other code", w.UseRecoveryCode(w.ctx, set.ID, hashes[1], w.add(v)), nil)
}

func recoveryCodeEndsEverythingElse(w *world) {
	u := w.user()
	set, hashes := w.recoverySet(u)
	w.must(w.ReplaceRecoveryCodes(w.ctx, set, hashes))
	other, mine := w.issued(u), w.issued(u)
	p := w.add(mine.visit)
	w.must(w.UseRecoveryCode(w.ctx, set.ID, hashes[0], p))
	w.everythingEnded(other)
	w.tokensEnded(mine)
	mine.session.SecretHash = p.NewSecretHash
	if got := w.reload(mine.visit); len(got.Proofs) != 3 || got.UserEpoch != 1 {
		w.Errorf("got %d proofs, epoch %d; want 3, 1", len(got.Proofs), got.UserEpoch)
	}
	w.is("the interaction goes on", w.interactionErr(mine.interaction), nil)
}

func recoveryCodesReplaced(w *world) {
	v := w.visit(w.user())
	w.totp(v.user)
	var last store.Authenticator
	var old [][]byte
	for i := range 3 {
		set, hashes := w.recoverySet(v.user)
		w.must(w.ReplaceRecoveryCodes(w.ctx, set, hashes))
		if i == 0 {
			old = append(hashes, []byte(set.ID))
		}
		last = set
	}
	list := w.authenticators(v.user)
	w.count("authenticators", len(list), 2)
	if got := fmt.Sprint(list); len(list) == 2 && list[0].ID != last.ID && list[1].ID != last.ID {
		w.Errorf("got %s, want the last set %s among them", got, last.ID)
	}
	w.is("an old code", w.UseRecoveryCode(w.ctx, string(old[2]), old[0], w.add(v)), store.ErrNotFound)
}
