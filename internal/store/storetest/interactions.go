package storetest

import (
	"errors"
	"reflect"
	"time"

	"github.com/sallyport-id/sallyport/internal/store"
)

func interactionKept(w *world) {
	i := w.interaction("session")
	i.Progress = store.Progress{NotBefore: w.now, OwnProofs: true, Subject: "s", ConsentBy: "c",
		Enrolling: &store.Enrolling{ID: "e", UserID: "u", Secret: []byte{0}}, Codes: []byte{1}, CodesOf: "u"}
	w.must(w.UpdateInteraction(w.ctx, i, w.now))
	got, err := w.Interaction(w.ctx, i.ID, i.BrowserHash, w.now)
	w.must(err)
	if !reflect.DeepEqual(got, i) {
		w.Errorf("got %+v, want %+v", got, i)
	}
}

func interactionNeedsBrowserAndLife(w *world) {
	i := w.interaction("")
	_, err := w.Interaction(w.ctx, i.ID, []byte("another browser"), w.now)
	w.is("another browser", err, store.ErrNotFound)
	_, err = w.Interaction(w.ctx, i.ID, i.BrowserHash, i.ExpiresAt)
	w.is("expired", err, store.ErrNotFound)
	w.is("update when expired", w.UpdateInteraction(w.ctx, i, i.ExpiresAt), store.ErrStale)
	w.is("refuse when expired", w.RefuseInteraction(w.ctx, i.ID, i.Version, i.ExpiresAt), store.ErrStale)
	w.is("refuse a stale version", w.RefuseInteraction(w.ctx, i.ID, i.Version-1, w.now), store.ErrStale)
	w.must(w.RefuseInteraction(w.ctx, i.ID, i.Version, w.now))
	w.is("taken", w.interactionErr(i), store.ErrNotFound)
	w.is("update when taken", w.UpdateInteraction(w.ctx, i, w.now), store.ErrStale)
}

func updateInteractionRefusesStale(w *world) {
	i := w.interaction("")
	old := *i
	i.Progress.ConsentBy, i.SessionID = "mina", "session"
	w.must(w.UpdateInteraction(w.ctx, i, w.now))
	w.count("version of the caller's", int(i.Version), 2)
	w.is("an old version", w.UpdateInteraction(w.ctx, &old, w.now), store.ErrStale)
	w.count("version of the loser's", int(old.Version), 1)
	got, err := w.Interaction(w.ctx, i.ID, i.BrowserHash, w.now)
	w.must(err)
	if got.Progress.ConsentBy != "mina" || got.SessionID != "session" || got.Version != 2 {
		w.Errorf("got %+v, want what was stored first", got)
	}
}

func updateInteractionOneWinner(w *world) {
	i := w.interaction("")
	errs := race(func(int) error {
		mine := *i
		return w.UpdateInteraction(w.ctx, &mine, w.now)
	})
	w.count("winners", w.winners(errs, store.ErrStale), 1)
}

func finishInteractionOnce(w *world) {
	for range 4 {
		v := w.visit(w.user())
		var all [crowd]store.Finish
		for i := range all {
			all[i] = w.finish(v, false)
		}
		errs := race(func(i int) error { return w.FinishInteraction(w.ctx, all[i]) })
		w.count("winners", w.winners(errs, store.ErrStale), 1)
		codes := 0
		for _, f := range all {
			if _, _, _, err := w.Code(w.ctx, f.Code.ID, f.Code.SecretHash); err == nil {
				codes++
			}
		}
		w.count("codes", codes, 1)
		w.is("the interaction is taken", w.interactionErr(v.interaction), store.ErrNotFound)
	}
}

func finishInteractionStale(w *world) {
	for name, spoil := range map[string]func(v visit, f *store.Finish){
		"interaction version":   func(_ visit, f *store.Finish) { f.InteractionVersion-- },
		"interaction gone":      func(_ visit, f *store.Finish) { f.InteractionID = "gone" },
		"interaction expired":   func(v visit, f *store.Finish) { f.Now = v.interaction.ExpiresAt },
		"another's interaction": func(_ visit, f *store.Finish) { f.InteractionID = w.visit(w.user()).interaction.ID },
		"session version":       func(_ visit, f *store.Finish) { f.SessionVersion-- },
		"session gone":          func(_ visit, f *store.Finish) { f.Grant.SessionID = "gone" },
		"session ended":         func(v visit, _ *store.Finish) { w.must(w.EndSession(w.ctx, v.session.ID, w.now)) },
		"session of another":    func(_ visit, f *store.Finish) { f.Grant.UserID = w.user().ID },
		"a proof was added":     func(v visit, _ *store.Finish) { w.must(w.AddProof(w.ctx, w.add(v))) },
		"an epoch that is not":  func(_ visit, f *store.Finish) { f.Grant.UserEpoch++ },
		"user revoked":          func(v visit, _ *store.Finish) { w.must(w.RevokeUser(w.ctx, v.user.ID, v.session.ID, w.now)) },
		"user disabled":         func(v visit, _ *store.Finish) { w.must(w.DisableUser(w.ctx, v.user.ID, w.now)) },
	} {
		v := w.visit(w.user())
		f := w.finish(v, true)
		f.KnownBrowser = &store.KnownBrowser{ID: store.NewID(), UserID: v.user.ID, CreatedAt: w.now}
		spoil(v, &f)
		w.is(name, w.FinishInteraction(w.ctx, f), store.ErrStale)
		_, _, _, err := w.Code(w.ctx, f.Code.ID, f.Code.SecretHash)
		w.is(name+": the code", err, store.ErrNotFound)
		w.knows(v.user, f.KnownBrowser.ID, false)
	}
}

func finishRemembersTheBrowser(w *world) {
	v := w.visit(w.user())
	f := w.finish(v, false)
	f.KnownBrowser = &store.KnownBrowser{ID: store.NewID(), UserID: v.user.ID, CreatedAt: w.now}
	w.must(w.FinishInteraction(w.ctx, f))
	w.knows(v.user, f.KnownBrowser.ID, true)
	w.knows(w.user(), f.KnownBrowser.ID, false)
}

// knows checks whether a browser is a known one of the user's.
func (w *world) knows(u *store.User, browser string, want bool) {
	w.Helper()
	if known, err := w.KnownBrowser(w.ctx, browser, u.ID); err != nil || known != want {
		w.Errorf("the browser is known: got %v (%v), want %v", known, err, want)
	}
}

func finishInteractionTouches(w *world) {
	v := w.visit(w.user())
	f := w.finish(v, false)
	f.Now = w.now.Add(5 * time.Minute)
	w.must(w.FinishInteraction(w.ctx, f))
	if got := w.reload(v).LastSeenAt; !got.Equal(w.now) {
		w.Errorf("last seen without touch: got %v, want %v", got, w.now)
	}
	v.interaction = w.interaction(v.session.ID)
	f = w.finish(v, false)
	f.Now, f.TouchSession = w.now.Add(5*time.Minute), true
	w.must(w.FinishInteraction(w.ctx, f))
	if got := w.reload(v); !got.LastSeenAt.Equal(f.Now) || got.Version != 1 {
		w.Errorf("got last seen %v, version %d; want %v, 1", got.LastSeenAt, got.Version, f.Now)
	}
}

func finishWithoutInteraction(w *world) {
	v := w.visit(w.user())
	f := w.finish(v, false)
	f.InteractionID, f.InteractionVersion = "", 0
	w.must(w.FinishInteraction(w.ctx, f))
	w.is("the code", w.redeem(f, w.tokens(f.Grant.ID)), nil)
	w.is("the interaction that was not named", w.interactionErr(v.interaction), nil)
	w.must(w.EndSession(w.ctx, v.session.ID, w.now))
	f = w.finish(v, false)
	f.InteractionID, f.InteractionVersion = "", 0
	w.is("after the session", w.FinishInteraction(w.ctx, f), store.ErrStale)
	v = w.visit(v.user)
	f = w.finish(v, false)
	f.InteractionID, f.Now = "", v.session.ExpiresAt
	w.is("at the session's end", w.FinishInteraction(w.ctx, f), store.ErrStale)
}

// finishWhileTheSessionEnds: whatever comes first, nothing is left afterwards.
func finishWhileTheSessionEnds(w *world) {
	for range 4 {
		v := w.visit(w.user())
		var all [crowd]store.Finish
		for i := range all {
			all[i] = w.finish(visit{v.user, v.session, w.interaction(v.session.ID)}, i%2 == 0)
		}
		errs := lastOf(func() error { return w.EndSession(w.ctx, v.session.ID, w.now) },
			func(i int) error { return w.FinishInteraction(w.ctx, all[i]) })
		w.winners(errs, store.ErrStale)
		for _, f := range all {
			w.is("a code", w.redeem(f, w.tokens(f.Grant.ID)), store.ErrNotFound)
		}
		w.is("an interaction", w.interactionErr(v.interaction), store.ErrNotFound)
	}
}

func refuseOrFinishOnce(w *world) {
	v := w.visit(w.user())
	errs := race(func(i int) error {
		if i%2 == 0 {
			return w.RefuseInteraction(w.ctx, v.interaction.ID, v.interaction.Version, w.now)
		}
		return w.FinishInteraction(w.ctx, w.finish(v, false))
	})
	w.count("winners", w.winners(errs, store.ErrStale), 1)
}

func consentRemembered(w *world) {
	v := w.visit(w.user())
	_, err := w.Consent(w.ctx, v.user.ID, "shop")
	w.is("none", err, store.ErrNotFound)
	for _, scope := range [][]string{{"openid"}, {"openid", "email"}} {
		v.interaction = w.interaction(v.session.ID)
		f := w.finish(v, false)
		f.Consent = &store.Consent{UserID: v.user.ID, ClientID: "shop", Scope: scope, UpdatedAt: w.now, ClientHash: []byte{1}}
		stale := f
		stale.SessionVersion--
		w.is("with a stale session", w.FinishInteraction(w.ctx, stale), store.ErrStale)
		if got, err := w.Consent(w.ctx, v.user.ID, "shop"); !errors.Is(err, store.ErrNotFound) && len(got.Scope) == len(scope) {
			w.Errorf("remembered without its grant: %+v, %v", got, err)
		}
		w.must(w.FinishInteraction(w.ctx, f))
		got, err := w.Consent(w.ctx, v.user.ID, "shop")
		w.must(err)
		if !reflect.DeepEqual(got, f.Consent) {
			w.Errorf("got %+v, want %+v", got, f.Consent)
		}
	}
	_, err = w.Consent(w.ctx, v.user.ID, "another")
	w.is("another client's", err, store.ErrNotFound)
}
