package storetest

import (
	"bytes"
	"reflect"
	"time"

	"github.com/sallyport-id/sallyport/internal/store"
)

func sessionKept(w *world) {
	u := w.user()
	s := w.newSession(u, "")
	s.Proofs = append(s.Proofs, store.Proof{Method: store.MethodWebAuthn, At: w.now.Add(time.Second), UserID: u.ID, Authenticator: "key",
		UserVerified: true, BackupEligible: true, Attested: true})
	w.must(w.StartSession(w.ctx, s, "", "", store.Settle{}))
	got, err := w.Session(w.ctx, s.ID, s.SecretHash, w.now)
	w.must(err)
	if !reflect.DeepEqual(got, s) {
		w.Errorf("got %+v, want %+v", got, s)
	}
}

func sessionNeedsSecretAndLife(w *world) {
	v := w.visit(w.user())
	_, err := w.Session(w.ctx, v.session.ID, []byte("wrong"), w.now)
	w.is("wrong secret", err, store.ErrNotFound)
	_, err = w.Session(w.ctx, "none", v.session.SecretHash, w.now)
	w.is("none", err, store.ErrNotFound)
	_, err = w.Session(w.ctx, v.session.ID, v.session.SecretHash, v.session.ExpiresAt)
	w.is("at its end", err, store.ErrNotFound)
	_, err = w.Session(w.ctx, v.session.ID, v.session.SecretHash, v.session.ExpiresAt.Add(-time.Millisecond))
	w.is("just before its end", err, nil)
}

func startSessionReplaces(w *world) {
	old, other := w.visit(w.user()), w.visit(w.user())
	_, tokens := w.redeemed(visit{old.user, old.session, w.interaction(old.session.ID)}, false)
	code := w.finished(visit{old.user, old.session, w.interaction(old.session.ID)}, true)
	parked := w.interaction(old.session.ID)
	u := w.user()
	s := w.newSession(u, old.interaction.ID)
	event := store.Event{At: w.now, Type: "login"}
	w.must(w.StartSession(w.ctx, s, old.session.ID, old.interaction.ID, store.Settle{}, event))
	w.is("the new session", w.sessionErr(s), nil)
	w.is("the replaced session", w.sessionErr(old.session), store.ErrNotFound)
	w.is("its parked interaction", w.interactionErr(parked), store.ErrNotFound)
	w.is("its token", w.accessErr(tokens), store.ErrNotFound)
	w.is("its code", w.redeem(code, w.tokens(code.Grant.ID)), store.ErrNotFound)
	w.is("another session", w.sessionErr(other.session), nil)
	i, err := w.Interaction(w.ctx, old.interaction.ID, old.interaction.BrowserHash, w.now)
	w.must(err)
	if i.SessionID != s.ID {
		w.Errorf("the named interaction is bound to %q, want %q", i.SessionID, s.ID)
	}
}

func startSessionStale(w *world) {
	start := func(s *store.Session, interaction string) error {
		return w.StartSession(w.ctx, s, "", interaction, store.Settle{})
	}
	u := w.user()
	s := w.newSession(u, "")
	w.is("no interaction", start(s, "none"), store.ErrStale)
	w.is("no session of it", w.sessionErr(s), store.ErrNotFound)
	late := w.interaction("")
	s.CreatedAt = late.ExpiresAt
	w.is("an expired interaction", start(s, late.ID), store.ErrStale)
	w.must(w.RevokeUser(w.ctx, u.ID, "", w.now))
	w.is("an old epoch", start(w.newSession(u, ""), ""), store.ErrStale)
	u.Epoch = 1
	w.is("the new epoch", start(w.newSession(u, ""), ""), nil)
	w.must(w.DisableUser(w.ctx, u.ID, w.now))
	u.Epoch = 2
	w.is("a disabled user", start(w.newSession(u, ""), ""), store.ErrStale)
	w.is("nobody", start(w.newSession(&store.User{ID: "nobody"}, ""), ""), store.ErrStale)
}

func startSessionBindsOnce(w *world) {
	u, i := w.user(), w.interaction("")
	old := w.visit(u)
	var sessions [crowd]*store.Session
	for n := range sessions {
		sessions[n] = w.newSession(u, i.ID)
	}
	errs := race(func(n int) error {
		return w.StartSession(w.ctx, sessions[n], old.session.ID, i.ID, store.Settle{})
	})
	w.count("sessions", w.winners(errs), crowd)
	w.is("the replaced session", w.sessionErr(old.session), store.ErrNotFound)
	got, err := w.Interaction(w.ctx, i.ID, i.BrowserHash, w.now)
	w.must(err)
	bound := 0
	for _, s := range sessions {
		read, err := w.Session(w.ctx, s.ID, s.SecretHash, w.now)
		w.must(err)
		w.count("proofs", len(read.Proofs), 1)
		if got.SessionID == s.ID {
			bound++
		}
	}
	w.count("sessions that have the interaction", bound, 1)
}

func addProofNeverLost(w *world) {
	v := w.visit(w.user())
	var proofs [crowd]store.AddProof
	for i := range proofs {
		proofs[i] = w.add(v)
		proofs[i].Proof.Authenticator = store.NewID()
	}
	errs := race(func(i int) error { return w.AddProof(w.ctx, proofs[i]) })
	w.count("proofs added", w.winners(errs), crowd)
	rotated := 0
	for _, p := range proofs {
		if *p.Rotated {
			rotated++
			v.session.SecretHash = p.NewSecretHash
		}
	}
	w.count("rotations", rotated, 1)
	got := w.reload(v)
	w.count("proofs kept", len(got.Proofs), crowd+1)
	w.count("version", int(got.Version), crowd+1)
	for _, p := range proofs {
		found := false
		for _, kept := range got.Proofs {
			found = found || kept == p.Proof
		}
		if !found {
			w.Errorf("proof %s is lost", p.Proof.Authenticator)
		}
	}
}

func addProofRotatesByVersion(w *world) {
	v := w.visit(w.user())
	first, late := w.add(v), w.add(v)
	w.must(w.AddProof(w.ctx, first))
	w.is("the old secret", w.sessionErr(v.session), store.ErrNotFound)
	w.must(w.AddProof(w.ctx, late))
	if !*first.Rotated || *late.Rotated {
		w.Errorf("rotated: got %v then %v, want true then false", *first.Rotated, *late.Rotated)
	}
	v.session.SecretHash = first.NewSecretHash
	got := w.reload(v)
	w.count("proofs", len(got.Proofs), 3)
	if got.UserID != v.user.ID || !bytes.Equal(got.SecretHash, first.NewSecretHash) {
		w.Errorf("the first one's secret is not the session's")
	}
	v.session.Version = got.Version
	next := w.add(v)
	w.must(w.AddProof(w.ctx, next))
	if !*next.Rotated {
		w.Errorf("the one with the new version did not rotate")
	}
}

func addProofForAnotherUser(w *world) {
	v, other := w.visit(w.user()), w.user()
	errs := race(func(int) error {
		p := w.add(v)
		p.UserID, p.Proof.UserID = other.ID, other.ID
		return w.AddProof(w.ctx, p)
	})
	w.count("winners", w.winners(errs, store.ErrStale), 0)
	mixed := w.add(v)
	mixed.Proof.UserID = other.ID
	if err := w.AddProof(w.ctx, mixed); err == nil {
		w.Errorf("another user's proof was taken under this user's name")
	}
	got := w.reload(v)
	w.count("proofs", len(got.Proofs), 1)
	if got.UserID != v.user.ID {
		w.Errorf("the session is now %s's", got.UserID)
	}
}

func addProofToAnEndedSession(w *world) {
	v := w.visit(w.user())
	p := w.add(v)
	p.Now = v.session.ExpiresAt
	w.is("expired", w.AddProof(w.ctx, p), store.ErrNotFound)
	p.UserID, p.Proof.UserID = "another", "another"
	w.is("another user's, expired", w.AddProof(w.ctx, p), store.ErrNotFound)
	w.must(w.EndSession(w.ctx, v.session.ID, w.now))
	w.is("ended", w.AddProof(w.ctx, w.add(v)), store.ErrNotFound)
}

func addProofBindsInteraction(w *world) {
	v, other := w.visit(w.user()), w.visit(w.user())
	bound := func(i *store.Interaction) string {
		got, err := w.Interaction(w.ctx, i.ID, i.BrowserHash, w.now)
		w.must(err)
		return got.SessionID
	}
	free := w.interaction("")
	w.must(w.AddProof(w.ctx, w.add(visit{v.user, v.session, free})))
	if got := bound(free); got != v.session.ID {
		w.Errorf("a free interaction is bound to %q, want %q", got, v.session.ID)
	}
	w.must(w.AddProof(w.ctx, w.add(visit{v.user, v.session, other.interaction})))
	if got := bound(other.interaction); got != other.session.ID {
		w.Errorf("another session's interaction is bound to %q, want %q", got, other.session.ID)
	}
}

func addProofSettles(w *world) {
	v := w.visit(w.user())
	a, b := store.Bucket{Key: "a", Limit: 9}, store.Bucket{Key: "b", Limit: 9}
	for range 3 {
		w.attempt(true, a, b)
	}
	p := w.add(v)
	p.Settle = store.Settle{Reset: []string{"a"}, Refund: []string{"b"}}
	p.Events = []store.Event{{At: w.now, Type: "login"}}
	w.must(w.AddProof(w.ctx, p))
	w.count("failures after reset", w.attempt(true, a).Failures, 1)
	w.count("failures after refund", w.attempt(true, b).Failures, 3)
	w.count("events", len(w.events()), 1)
}

func endSessionEndsWhatHangsOnIt(w *world) {
	u := w.user()
	a, other := w.issued(u), w.issued(u)
	for range 2 { // again is no error
		w.must(w.EndSession(w.ctx, a.session.ID, w.now))
	}
	w.is("session", w.sessionErr(a.session), store.ErrNotFound)
	w.is("interaction", w.interactionErr(a.interaction), store.ErrNotFound)
	w.is("unredeemed code", w.redeem(a.code, w.tokens(a.code.Grant.ID)), store.ErrNotFound)
	w.is("unredeemed code of an offline grant", w.redeem(a.offlineCode, w.tokens(a.offlineCode.Grant.ID)), store.ErrNotFound)
	w.is("access token", w.accessErr(a.online), store.ErrNotFound)
	w.is("refresh token", w.refreshErr(a.online), store.ErrNotFound)
	w.is("offline access token", w.accessErr(a.offlined), nil)
	w.is("offline refresh token", w.refreshErr(a.offlined), nil)
	w.everythingLives(other)
	w.must(w.EndSession(w.ctx, "none", w.now))
}

func endSessionWhileProofsCome(w *world) {
	v := w.visit(w.user())
	var proofs [crowd]store.AddProof
	for i := range proofs {
		proofs[i] = w.add(v)
	}
	errs := lastOf(func() error { return w.EndSession(w.ctx, v.session.ID, w.now) },
		func(i int) error { return w.AddProof(w.ctx, proofs[i]) })
	w.winners(errs, store.ErrNotFound)
	for _, p := range proofs {
		v.session.SecretHash = p.NewSecretHash
		w.is("session", w.sessionErr(v.session), store.ErrNotFound)
	}
}
