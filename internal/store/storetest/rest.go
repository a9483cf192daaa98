package storetest

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/sallyport-id/sallyport/internal/store"
)

func eventsKept(w *world) {
	one := store.Event{At: w.now, Type: "one", UserID: "u", ClientID: "c", Session: "s", Interaction: "i", Address: "a", RequestID: "r", Actor: "x", Detail: "d"}
	w.must(w.Record(w.ctx, one, store.Event{At: w.now, Type: "two"}))
	w.must(w.Record(w.ctx, store.Event{At: w.now, Type: "three"}))
	w.must(w.Record(w.ctx))
	w.types("the newest two", store.EventQuery{Limit: 2}, "three", "two")
	list := w.events()
	if len(list) != 3 {
		w.Fatalf("got %+v, want 3", list)
	}
	if one.ID = list[2].ID; list[2] != one || one.ID == 0 {
		w.Errorf("got %+v, want %+v", list[2], one)
	}
}

// eventsSelected: by time first, for the clocks of several servers differ.
func eventsSelected(w *world) {
	event := func(minute int, kind, user, client string) store.Event {
		return store.Event{At: w.now.Add(time.Duration(minute) * time.Minute), Type: kind, UserID: user, ClientID: client}
	}
	w.must(w.Record(w.ctx, event(1, "login.ok", "u", "c"), event(3, "login.bad", "u", "d"), event(2, "login", "v", "c"), event(2, "logins", "", "")))
	after := func(minute int) time.Time { return w.now.Add(time.Duration(minute) * time.Minute) }
	for _, c := range []struct {
		what string
		q    store.EventQuery
		want []string
	}{
		{"all", store.EventQuery{}, []string{"login.bad", "logins", "login", "login.ok"}},
		{"the oldest first", store.EventQuery{OldestFirst: true}, []string{"login.ok", "login", "logins", "login.bad"}},
		{"since", store.EventQuery{Since: after(2)}, []string{"login.bad", "logins", "login"}},
		{"until", store.EventQuery{Until: after(2)}, []string{"login.ok"}},
		{"since and until", store.EventQuery{Since: after(2), Until: after(3)}, []string{"logins", "login"}},
		{"of a user", store.EventQuery{UserID: "u"}, []string{"login.bad", "login.ok"}},
		{"of a client", store.EventQuery{ClientID: "c", OldestFirst: true}, []string{"login.ok", "login"}},
		{"of both", store.EventQuery{UserID: "u", ClientID: "c"}, []string{"login.ok"}},
		{"of a type", store.EventQuery{Type: "login.ok"}, []string{"login.ok"}},
		{"of a family", store.EventQuery{Type: "login"}, []string{"login.bad", "login", "login.ok"}},
		{"of none", store.EventQuery{Type: "log"}, nil},
	} {
		c.q.Limit = 10
		w.types(c.what, c.q, c.want...)
		w.types(c.what+", in pages", c.q, w.paged(c.q)...)
	}
}

func userEventsAreForPeople(w *world) {
	for i, kind := range []string{"login.totp", "token.refresh", "authorize.granted", "account.password", "tokens", "token.code"} {
		for _, user := range []string{"u", "v", ""} {
			w.must(w.Record(w.ctx, store.Event{At: w.now.Add(time.Duration(i) * time.Second), Type: kind, UserID: user}))
		}
	}
	for limit, want := range map[int][]string{10: {"tokens", "account.password", "login.totp"}, 2: {"tokens", "account.password"}} {
		list, err := w.UserEvents(w.ctx, "u", limit)
		w.must(err)
		var got []string
		for _, e := range list {
			if got = append(got, e.Type); e.UserID != "u" {
				w.Errorf("got an event of %q", e.UserID)
			}
		}
		if !slices.Equal(got, want) {
			w.Errorf("at most %d: got %q, want %q", limit, got, want)
		}
	}
	list, err := w.UserEvents(w.ctx, "", 10)
	w.must(err)
	w.count("of nobody", len(list), 0)
}

// paged returns the types that a query selects, one a page.
func (w *world) paged(q store.EventQuery) (types []string) {
	for q.Limit = 1; ; {
		list, err := w.Events(w.ctx, q)
		w.must(err)
		if len(list) == 0 {
			return types
		}
		q.After = list[0]
		types = append(types, list[0].Type)
	}
}

func (w *world) types(what string, q store.EventQuery, want ...string) {
	w.Helper()
	list, err := w.Events(w.ctx, q)
	w.must(err)
	var got []string
	for _, e := range list {
		got = append(got, e.Type)
	}
	if !slices.Equal(got, want) {
		w.Errorf("%s: got %q, want %q", what, got, want)
	}
}

// events are all, the newest first.
func (w *world) events() []store.Event {
	w.Helper()
	list, err := w.Events(w.ctx, store.EventQuery{Limit: 100})
	w.must(err)
	return list
}

func forgetEventsBefore(w *world) {
	for range 450 { // more than two pieces
		w.must(w.Record(w.ctx, store.Event{At: w.now, Type: "old"}))
	}
	w.must(w.Record(w.ctx, store.Event{At: w.now.Add(time.Second), Type: "new"}, store.Event{At: w.now.Add(time.Hour), Type: "newer"}))
	w.must(w.ForgetEvents(w.ctx, w.now))
	w.count("events with nothing before", len(w.events()), 100)
	w.must(w.ForgetEvents(w.ctx, w.now.Add(time.Second)))
	w.types("what is left", store.EventQuery{Limit: 10}, "newer", "new")
}

// sessionEndRecordedOnce: by one of those who end it, and not for one that is gone.
func sessionEndRecordedOnce(w *world) {
	v := w.visit(w.user())
	errs := race(func(int) error {
		return w.EndSession(w.ctx, v.session.ID, w.now, store.Event{At: w.now, Type: "ended"})
	})
	w.count("without an error", w.winners(errs), crowd)
	w.must(w.EndSession(w.ctx, "none", w.now, store.Event{At: w.now, Type: "ended"}))
	w.count("events", len(w.events()), 1)
}

func eventsOnlyWithTheirVerb(w *world) {
	e := store.Event{At: w.now, Type: "e"}
	u := w.user()
	w.is("a verb that fails", w.CreateUser(w.ctx, u, e), store.ErrExists)
	k := store.SigningKey{ID: "k", Alg: "RS256", Sealed: []byte{1}, CreatedAt: w.now}
	w.must(w.AddFirstSigningKey(w.ctx, k))
	w.is("a key that is there", w.AddFirstSigningKey(w.ctx, k, e), store.ErrExists)
	v := w.visit(w.user())
	stale := *v.interaction
	stale.Version += 7
	w.is("a stale interaction", w.UpdateInteraction(w.ctx, &stale, w.now, e), store.ErrStale)
	w.is("a stale refusal", w.RefuseInteraction(w.ctx, stale.ID, stale.Version, w.now, e), store.ErrStale)
	w.is("nobody's removal", w.RemoveUser(w.ctx, "none", w.now, e), store.ErrNotFound)
	w.count("events of failures", len(w.events()), 0)
	w.must(w.UpdateInteraction(w.ctx, v.interaction, w.now, e))
	f := w.finish(v, false)
	f.Events = []store.Event{e}
	w.must(w.FinishInteraction(w.ctx, f))
	t := w.tokens(f.Grant.ID)
	t.Events = []store.Event{e}
	w.must(w.redeem(f, t))
	w.is("redeemed again", w.redeem(f, t), store.ErrUsed)
	w.must(w.RevokeGrant(w.ctx, f.Grant.ID, w.now, e))
	w.must(w.EndSession(w.ctx, v.session.ID, w.now, e))
	w.must(w.RevokeUser(w.ctx, u.ID, "", w.now, e))
	w.must(w.DisableUser(w.ctx, u.ID, w.now, e))
	w.count("events", len(w.events()), 7)
}

func metaKept(w *world) {
	got, err := w.Meta(w.ctx, "mode")
	w.must(err)
	if got != "" {
		w.Errorf("got %q, want none", got)
	}
	for _, value := range []string{"dev", "serve"} {
		w.must(w.SetMeta(w.ctx, "mode", value))
		if got, err = w.Meta(w.ctx, "mode"); err != nil || got != value {
			w.Errorf("got %q, %v; want %q", got, err, value)
		}
	}
}

// timesToTheMillisecond gives times with more digits, in another zone.
func timesToTheMillisecond(w *world) {
	kept := w.now
	w.now = w.now.Add(999 * time.Microsecond).In(time.FixedZone("KST", 9*60*60))
	v := w.visit(w.user())
	f := w.finished(v, false)
	s := w.reload(v)
	_, g, u, err := w.Code(w.ctx, f.Code.ID, f.Code.SecretHash)
	w.must(err)
	for name, got := range map[string]time.Time{
		"user": u.CreatedAt, "session": s.CreatedAt, "proof": s.Proofs[0].At, "grant": g.CreatedAt, "its proof": g.Proofs[0].At,
	} {
		if got != kept {
			w.Errorf("%s: got %v, want %v", name, got, kept)
		}
	}
	if !u.CreatedAt.Equal(kept) || !g.RevokedAt.IsZero() {
		w.Errorf("got revoked at %v, want the zero time", g.RevokedAt)
	}
}

func sweepDeletesWhatExpired(w *world) {
	v := w.visit(w.user())
	_, t := w.redeemed(v, false)
	unused := w.finished(visit{v.user, v.session, w.interaction(v.session.ID)}, true)
	i := w.interaction(v.session.ID)
	in := w.invited()
	w.attempt(true, store.Bucket{Key: "b", Limit: 9, Window: time.Hour})
	w.must(w.Sweep(w.ctx, v.session.ExpiresAt.Add(time.Hour)))
	w.is("interaction", w.interactionErr(i), store.ErrNotFound)
	w.is("session", w.sessionErr(v.session), store.ErrNotFound)
	w.is("access token", w.accessErr(t), store.ErrNotFound)
	w.is("invitation", w.invitationErr(in), store.ErrNotFound)
	_, _, _, err := w.Code(w.ctx, unused.Code.ID, unused.Code.SecretHash)
	w.is("a code that nobody came for", err, store.ErrNotFound)
	w.count("failures", w.attempt(true, store.Bucket{Key: "b", Limit: 9, Window: time.Hour}).Failures, 1)
}

func sweepDeletesNothingElse(w *world) {
	u := w.user()
	w.totp(u)
	set, hashes := w.recoverySet(u)
	w.must(w.ReplaceRecoveryCodes(w.ctx, set, hashes))
	a, in := w.issued(u), w.invited()
	w.must(w.Record(w.ctx, store.Event{At: w.now, Type: "e"}))
	b, window := store.Bucket{Key: "b", Limit: 9}, store.Bucket{Key: "w", Limit: 9, Window: 24 * time.Hour}
	w.attempt(true, b, window)
	for _, after := range []time.Duration{0, 59 * time.Second} {
		w.must(w.Sweep(w.ctx, w.now.Add(after)))
	}
	w.everythingLives(a)
	w.is("code", w.redeem(a.code, w.tokens(a.code.Grant.ID)), nil)
	w.must(w.Sweep(w.ctx, w.now.Add(23*time.Hour)))
	w.is("session before its end", w.sessionErr(a.session), nil)
	w.is("invitation before its end", w.invitationErr(in), nil)
	w.is("refresh token before its end", w.refreshErr(a.offlined), nil)
	w.count("proofs", len(w.reload(a.visit).Proofs), 2)
	w.count("authenticators", len(w.authenticators(u)), 2)
	w.count("failures in their window", w.attempt(true, window).Failures, 2)
	w.must(w.Sweep(w.ctx, w.now.Add(10000*time.Hour)))
	w.count("authenticators", len(w.authenticators(u)), 2)
	w.count("failures that no time lifts", w.attempt(true, b).Failures, 2)
	w.count("events", len(w.events()), 1)
}

func sweepKeepsWhatWasUsed(w *world) {
	v := w.visit(w.user())
	f, old := w.redeemed(v, true)
	next := w.tokens(f.Grant.ID)
	w.must(w.RotateRefresh(w.ctx, old.Refresh.ID, w.now, 0, next))
	w.now = w.now.Add(time.Hour)
	w.must(w.Sweep(w.ctx, w.now))
	w.is("the code again", w.redeem(f, w.tokens(f.Grant.ID)), store.ErrUsed)
	w.is("the old refresh token again", w.RotateRefresh(w.ctx, old.Refresh.ID, w.now, 0, w.tokens(f.Grant.ID)), store.ErrUsed)
	v.interaction = w.interaction(v.session.ID)
	revoked, _ := w.redeemed(v, true)
	w.must(w.RevokeGrant(w.ctx, revoked.Grant.ID, w.now))
	w.must(w.Sweep(w.ctx, w.now))
	_, _, _, err := w.Code(w.ctx, revoked.Code.ID, revoked.Code.SecretHash)
	w.is("the code of a revoked grant", err, store.ErrNotFound)
	w.must(w.Sweep(w.ctx, next.Refresh.ExpiresAt.Add(-time.Millisecond)))
	w.is("the code while the family lives", w.redeem(f, w.tokens(f.Grant.ID)), store.ErrUsed)
	w.must(w.Sweep(w.ctx, next.Refresh.ExpiresAt))
	_, _, _, err = w.Code(w.ctx, f.Code.ID, f.Code.SecretHash)
	w.is("the code after its family", err, store.ErrNotFound)
}

func cancelledIsNotDone(w *world) {
	ctx, cancel := context.WithCancel(w.ctx)
	cancel()
	u := &store.User{ID: store.NewID(), LoginKey: "late", CreatedAt: w.now}
	w.is("write", w.CreateUser(ctx, u), context.Canceled)
	_, err := w.User(ctx, u.ID)
	w.is("read", err, context.Canceled)
	_, err = w.User(w.ctx, u.ID)
	w.is("afterwards", err, store.ErrNotFound)
}

// oneFailureIsNotAnothers: of writes that may share a transaction some are
// cancelled, some twice the same, some refused.
func oneFailureIsNotAnothers(w *world) {
	v, taken := w.visit(w.user()), w.user()
	ctx, cancel := context.WithCancel(w.ctx)
	defer cancel()
	var users [crowd]store.User
	errs := race(func(i int) error {
		users[i] = store.User{ID: store.NewID(), LoginKey: store.NewID(), CreatedAt: w.now}
		switch i % 8 {
		case 1:
			cancel()
			return w.CreateUser(ctx, &users[i])
		case 3:
			users[i].LoginKey = taken.LoginKey
		case 5:
			return w.UseTOTPStep(w.ctx, "none", 1, w.add(v))
		case 7:
			p := w.add(v)
			p.UserID = taken.ID
			return w.AddProof(w.ctx, p)
		}
		return w.CreateUser(w.ctx, &users[i])
	})
	wants := []error{nil, context.Canceled, nil, store.ErrExists, nil, store.ErrNotFound, nil, store.ErrStale}
	for i, err := range errs {
		if want := wants[i%8]; !errors.Is(err, want) {
			w.Errorf("number %d: got %v, want %v", i, err, want)
		}
		if wants[i%8] == nil {
			_, err := w.User(w.ctx, users[i].ID)
			w.is("a user among failures", err, nil)
		}
	}
	w.count("proofs", len(w.reload(v).Proofs), 1)
}
