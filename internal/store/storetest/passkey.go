package storetest

import (
	"encoding/json"
	"strconv"

	"github.com/sallyport-id/sallyport/internal/store"
)

// passkeyAlone gives the user one that is a way in without the password.
func (w *world) passkeyAlone(u *store.User, signCount uint32) store.Authenticator {
	w.Helper()
	a := w.passkey(u, signCount)
	a.Credential.Alone = true
	w.must(w.CreateAuthenticator(w.ctx, a, nil))
	return a
}

// signIn is an answer of the user's passkey to the challenge of the interaction.
func (w *world) signIn(u *store.User, a store.Authenticator, i *store.Interaction, signCount uint32) store.SignIn {
	k := *a.Credential
	k.SignCount, k.Record = signCount, json.RawMessage(`{"flags":{"userVerified":true}}`)
	after := *i
	after.Progress.Ceremony = nil
	return store.SignIn{Authenticator: a.ID, Credential: k, Session: w.newSession(u, i.ID), Interaction: after}
}

// signInTakenOnce: of a passkey that has no counter, so that only the challenge can
// tell. One session comes of it, and the interaction is that session's.
func signInTakenOnce(w *world) {
	u := w.user()
	a, i := w.passkeyAlone(u, 0), w.interaction("")
	var all [crowd]store.SignIn
	for n := range all {
		all[n] = w.signIn(u, a, i, 0)
	}
	errs := race(func(n int) error { return w.StartWithAssertion(w.ctx, all[n]) })
	w.count("winners", w.winners(errs, store.ErrStale), 1)
	bound, err := w.Interaction(w.ctx, i.ID, i.BrowserHash, w.now)
	w.must(err)
	for n, err := range errs {
		if live := w.sessionErr(all[n].Session) == nil; live != (err == nil) || live && bound.SessionID != all[n].Session.ID {
			w.Errorf("after %v: session live %v, the interaction is of %s", err, live, bound.SessionID)
		}
	}
	w.is("again", w.StartWithAssertion(w.ctx, w.signIn(u, a, i, 0)), store.ErrStale)
	w.is("with the version of now", w.StartWithAssertion(w.ctx, w.signIn(u, a, bound, 0)), nil)
	w.count("last used", int(w.authenticators(u)[0].LastUsedAt.Sub(w.now)), 0)
}

// signInCounterOnce: of many challenges that are answered at once with the same
// counter, one is.
func signInCounterOnce(w *world) {
	u := w.user()
	a := w.passkeyAlone(u, 4)
	var all [crowd]store.SignIn
	for n := range all {
		all[n] = w.signIn(u, a, w.interaction(""), 5)
	}
	errs := race(func(n int) error { return w.StartWithAssertion(w.ctx, all[n]) })
	w.count("winners", w.winners(errs, store.ErrUsed), 1)
	w.count("counter", int(w.authenticators(u)[0].Credential.SignCount), 5)
}

// signInReplaces: another user's session ends, with its interactions but this one.
func signInReplaces(w *world) {
	old, u := w.visit(w.user()), w.user()
	a, other := w.passkeyAlone(u, 0), w.interaction(old.session.ID)
	s := w.signIn(u, a, old.interaction, 0)
	s.Replaces = old.session.ID
	w.must(w.StartWithAssertion(w.ctx, s))
	w.is("the session before", w.sessionErr(old.session), store.ErrNotFound)
	w.is("another interaction of it", w.interactionErr(other), store.ErrNotFound)
	w.is("this interaction", w.interactionErr(old.interaction), nil)
	got, err := w.Session(w.ctx, s.Session.ID, s.Session.SecretHash, w.now)
	w.must(err)
	if got.UserID != u.ID || len(got.Proofs) != 1 || got.Proofs[0].UserID != u.ID {
		w.Errorf("got %+v", got)
	}
}

func signInAllOrNothing(w *world) {
	u, other := w.user(), w.user()
	a, theirs, i := w.passkeyAlone(u, 4), w.passkeyAlone(other, 0), w.interaction("")
	for name, c := range map[string]struct {
		spoil func(*store.SignIn)
		want  error
	}{
		"interaction version":  {func(s *store.SignIn) { s.Interaction.Version-- }, store.ErrStale},
		"interaction gone":     {func(s *store.SignIn) { s.Interaction.ID = "gone" }, store.ErrStale},
		"counter":              {func(s *store.SignIn) { s.Credential.SignCount = 4 }, store.ErrUsed},
		"no authenticator":     {func(s *store.SignIn) { s.Authenticator = "none" }, store.ErrNotFound},
		"another user's":       {func(s *store.SignIn) { s.Authenticator, s.Credential = theirs.ID, *theirs.Credential }, store.ErrNotFound},
		"another's credential": {func(s *store.SignIn) { s.Credential.ID = theirs.Credential.ID }, store.ErrUsed},
		"another epoch":        {func(s *store.SignIn) { s.Session.UserEpoch++ }, store.ErrStale},
		"another's session":    {func(s *store.SignIn) { s.Session.UserID = other.ID }, nil},
	} {
		s := w.signIn(u, a, i, 5)
		c.spoil(&s)
		if err := w.StartWithAssertion(w.ctx, s); c.want != nil {
			w.is(name, err, c.want)
		} else if err == nil {
			w.Errorf("%s: no error", name)
		}
		w.is(name+": session", w.sessionErr(s.Session), store.ErrNotFound)
		w.count(name+": counter", int(w.authenticators(u)[0].Credential.SignCount), 4)
		now, err := w.Interaction(w.ctx, i.ID, i.BrowserHash, w.now)
		w.must(err)
		w.count(name+": version", int(now.Version), int(i.Version))
	}
	w.is("unspoilt", w.StartWithAssertion(w.ctx, w.signIn(u, a, i, 5)), nil)
	w.must(w.DisableUser(w.ctx, u.ID, w.now))
	w.is("disabled", w.StartWithAssertion(w.ctx, w.signIn(u, a, w.interaction(""), 6)), store.ErrStale)
}

// aloneAfterBothFactors: what was enrolled with the password alone is no way in
// without it, until both were proven together. Nothing takes that back.
func aloneAfterBothFactors(w *world) {
	v := w.visit(w.user())
	a := w.withPasskey(v.user, 0)
	alone := func(counter uint32) error {
		return w.StartWithAssertion(w.ctx, w.signIn(v.user, a, w.interaction(""), counter))
	}
	w.is("before", alone(1), store.ErrNotFound)
	inSession := w.assertion(v, a, 1)
	inSession.WasAlone = true
	w.is("before, in a session", w.UseAssertion(w.ctx, inSession), store.ErrNotFound)
	w.must(w.UseAssertion(w.ctx, w.assertion(v, a, 1)))
	w.is("used as a second factor", alone(2), store.ErrNotFound)
	both := w.assertion(w.another(v), a, 3)
	both.Proof.Version, both.MakesAlone = 0, true
	w.must(w.UseAssertion(w.ctx, both))
	w.is("after both", alone(4), nil)
	later := w.assertion(w.another(v), a, 5)
	later.Proof.Version, later.WasAlone = 0, true
	w.is("after both, in a session", w.UseAssertion(w.ctx, later), nil)
	w.is("and later", alone(6), nil)
	if got := w.authenticators(v.user)[0].Credential; !got.Alone || got.SignCount != 6 {
		w.Errorf("got %+v", got)
	}
}

func userByCredential(w *world) {
	var last *store.User
	for n := range 3 {
		u := w.user()
		a := w.passkey(u, 0)
		a.Credential.ID = []byte("number " + strconv.Itoa(n))
		w.must(w.CreateAuthenticator(w.ctx, a, nil))
		last = u
	}
	got, err := w.UserByCredential(w.ctx, []byte("number 2"))
	w.must(err)
	if got.ID != last.ID {
		w.Errorf("got %+v", got)
	}
	_, err = w.UserByCredential(w.ctx, []byte("number 3"))
	w.is("nobody's", err, store.ErrNotFound)
	w.must(w.RemoveUser(w.ctx, last.ID, w.now))
	_, err = w.UserByCredential(w.ctx, []byte("number 2"))
	w.is("of nobody any more", err, store.ErrNotFound)
}
