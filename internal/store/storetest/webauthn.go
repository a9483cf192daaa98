package storetest

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strconv"

	"github.com/sallyport-id/sallyport/internal/store"
)

// passkey is a WebAuthn authenticator of the user, not stored yet.
func (w *world) passkey(u *store.User, signCount uint32) store.Authenticator {
	id := store.NewID()
	return store.Authenticator{
		ID: id, UserID: u.ID, Kind: store.KindWebAuthn, Name: "key", Secret: []byte("unused"), CreatedAt: w.now, LastUsedAt: w.now,
		Credential: &store.Credential{ID: []byte("credential\x00" + id), RPID: "id.example.com", SignCount: signCount, Record: json.RawMessage(`{"flags":{}}`)},
	}
}

// withPasskey gives the user one.
func (w *world) withPasskey(u *store.User, signCount uint32) store.Authenticator {
	w.Helper()
	a := w.passkey(u, signCount)
	w.must(w.CreateAuthenticator(w.ctx, a, nil))
	return a
}

// assertion is an answer to the challenge of the visit's interaction.
func (w *world) assertion(v visit, a store.Authenticator, signCount uint32) store.Assertion {
	k, i := *a.Credential, *v.interaction
	k.SignCount, k.Record = signCount, json.RawMessage(`{"flags":{"userVerified":true}}`)
	i.Progress.Ceremony = nil
	return store.Assertion{Authenticator: a.ID, Credential: k, Proof: w.add(v), Interaction: i}
}

// another interaction in the same session.
func (w *world) another(v visit) visit {
	w.Helper()
	v.interaction = w.interaction(v.session.ID)
	return v
}

func credentialsKept(w *world) {
	u := w.user()
	want := w.withPasskey(u, 1<<31)
	list := w.authenticators(u)
	if len(list) != 1 || !reflect.DeepEqual(list[0], want) {
		w.Errorf("got %+v, want %+v", list, want)
	}
	other := w.user()
	same := w.passkey(other, 0)
	same.Credential.ID = want.Credential.ID
	w.is("another user with the credential", w.CreateAuthenticator(w.ctx, same, nil), store.ErrExists)
	w.count("authenticators of the other", len(w.authenticators(other)), 0)
	w.mayEnroll(other, true)
	w.must(w.RemoveUser(w.ctx, u.ID, w.now))
	w.is("when its owner is gone", w.CreateAuthenticator(w.ctx, same, nil), nil)
}

func credentialOfOneUser(w *world) {
	var all [crowd]store.Enrollment
	for i := range all {
		v := w.visit(w.user())
		all[i] = w.enrollment(v)
		all[i].Authenticator, all[i].Handle = w.passkey(v.user, 0), "handle"+strconv.Itoa(i)
		all[i].Authenticator.Credential.ID = []byte("the same")
	}
	errs := race(func(i int) error { return w.EnrollFirst(w.ctx, all[i]) })
	w.count("winners", w.winners(errs, store.ErrExists), 1)
	for i, err := range errs {
		u, readErr := w.User(w.ctx, all[i].Authenticator.UserID)
		w.must(readErr)
		if won := err == nil; u.MayEnroll == won || (u.Handle != "") != won {
			w.Errorf("after %v: right to enrol %v, handle %q", err, u.MayEnroll, u.Handle)
		}
	}
}

func handleIsForLife(w *world) {
	v := w.visit(w.user())
	e := w.enrollment(v)
	e.Authenticator, e.Handle = w.passkey(v.user, 0), "first"
	w.must(w.EnrollFirst(w.ctx, e))
	l := w.link(v.user)
	w.must(w.ResetUser(w.ctx, l, false, w.now))
	reset, err := w.User(w.ctx, v.user.ID)
	w.must(err)
	r := w.redemption(invitation{reset, l}, "new")
	r.Authenticator, r.Handle = w.passkey(v.user, 0), "second"
	w.is("another handle", w.RedeemInvitation(w.ctx, r), store.ErrStale)
	r.Handle = "first"
	w.must(w.RedeemInvitation(w.ctx, r))
	u, err := w.User(w.ctx, v.user.ID)
	w.must(err)
	if u.Handle != "first" || len(w.authenticators(u)) != 2 {
		w.Errorf("got handle %q and %d authenticators", u.Handle, len(w.authenticators(u)))
	}
}

// assertionTakenOnce: of a passkey that has no counter, so that only the challenge
// can tell.
func assertionTakenOnce(w *world) {
	v := w.visit(w.user())
	a := w.withPasskey(v.user, 0)
	errs := race(func(int) error { return w.UseAssertion(w.ctx, w.assertion(v, a, 0)) })
	w.count("winners", w.winners(errs, store.ErrStale), 1)
	w.is("again", w.UseAssertion(w.ctx, w.assertion(v, a, 0)), store.ErrStale)
	w.is("to another challenge", w.UseAssertion(w.ctx, w.assertion(w.another(v), a, 0)), nil)
	got := w.authenticators(v.user)[0]
	if !got.LastUsedAt.Equal(w.now) || string(got.Credential.Record) != `{"flags":{"userVerified":true}}` {
		w.Errorf("got %+v, %s", got, got.Credential.Record)
	}
}

// countersOnlyRise reads the order of acceptance from the order of the proofs.
func countersOnlyRise(w *world) {
	v := w.visit(w.user())
	a := w.withPasskey(v.user, 0)
	var all [crowd]store.Assertion
	for i := range all {
		all[i] = w.assertion(w.another(v), a, uint32(i+1))
		all[i].Proof.Version, all[i].Proof.Proof.Authenticator = 0, fmt.Sprint(i+1) // no rotation: the secret stays known
	}
	errs := race(func(i int) error { return w.UseAssertion(w.ctx, all[i]) })
	proofs := w.reload(v).Proofs[1:]
	w.count("proofs of the winners", len(proofs), w.winners(errs, store.ErrUsed))
	last := 0
	for _, p := range proofs {
		counter, _ := strconv.Atoi(p.Authenticator)
		if counter <= last {
			w.Errorf("counter %d was accepted after %d", counter, last)
		}
		last = counter
	}
	w.count("last counter", int(w.authenticators(v.user)[0].Credential.SignCount), last)
	for _, back := range []uint32{uint32(last), 0} {
		w.is(fmt.Sprint("back to ", back), w.UseAssertion(w.ctx, w.assertion(w.another(v), a, back)), store.ErrUsed)
	}
}

func assertionAllOrNothing(w *world) {
	v := w.visit(w.user())
	a := w.withPasskey(v.user, 4)
	for name, c := range map[string]struct {
		spoil func(*store.Assertion)
		want  error
	}{
		"session gone":        {func(x *store.Assertion) { x.Proof.SessionID = "gone" }, store.ErrNotFound},
		"interaction version": {func(x *store.Assertion) { x.Interaction.Version-- }, store.ErrStale},
		"interaction gone":    {func(x *store.Assertion) { x.Interaction.ID = "gone" }, store.ErrStale},
		"counter":             {func(x *store.Assertion) { x.Credential.SignCount = 4 }, store.ErrUsed},
		"no authenticator":    {func(x *store.Assertion) { x.Authenticator = "none" }, store.ErrNotFound},
	} {
		x := w.assertion(v, a, 5)
		c.spoil(&x)
		w.is(name, w.UseAssertion(w.ctx, x), c.want)
		w.count(name+": proofs", len(w.reload(v).Proofs), 1)
		w.count(name+": counter", int(w.authenticators(v.user)[0].Credential.SignCount), 4)
		i, err := w.Interaction(w.ctx, v.interaction.ID, v.interaction.BrowserHash, w.now)
		w.must(err)
		w.count(name+": version", int(i.Version), int(v.interaction.Version))
	}
	w.is("unspoilt", w.UseAssertion(w.ctx, w.assertion(v, a, 5)), nil)
}

func assertionMustFit(w *world) {
	v, other := w.visit(w.user()), w.visit(w.user())
	a, theirs := w.withPasskey(v.user, 0), w.withPasskey(other.user, 0)
	w.is("another user's", w.UseAssertion(w.ctx, w.assertion(v, theirs, 0)), store.ErrNotFound)
	mixed := a
	mixed.Credential = theirs.Credential
	w.is("with another's credential", w.UseAssertion(w.ctx, w.assertion(v, mixed, 0)), store.ErrUsed)
	off := w.passkey(v.user, 0)
	off.Disabled = true
	w.must(w.CreateAuthenticator(w.ctx, off, nil))
	w.is("a disabled one", w.UseAssertion(w.ctx, w.assertion(v, off, 0)), store.ErrNotFound)
	w.is("a step of a passkey", w.UseTOTPStep(w.ctx, a.ID, 5, w.add(v)), store.ErrNotFound)
	w.count("proofs", len(w.reload(v).Proofs), 1)
	w.is("its own", w.UseAssertion(w.ctx, w.assertion(v, a, 0)), nil)
}
