package storetest

import (
	"reflect"
	"time"

	"github.com/sallyport-id/sallyport/internal/store"
)

// lost is a user who has lost an authenticator, at the second factor, with a code of
// the operator's.
type lost struct {
	visit
	totp store.Authenticator
	code *store.BypassCode
}

func (w *world) lost(replaces bool) lost {
	w.Helper()
	u := w.user()
	l := lost{totp: w.totp(u)}
	set, hashes := w.recoverySet(u)
	w.must(w.ReplaceRecoveryCodes(w.ctx, set, hashes))
	l.visit, l.code = w.visit(u), w.bypass(u, replaces)
	w.must(w.MakeBypass(w.ctx, l.code))
	return l
}

// bypass is an hour's code, ready to be written.
func (w *world) bypass(u *store.User, replaces bool) *store.BypassCode {
	_, hash := store.NewSecret()
	return &store.BypassCode{
		ID: store.NewID(), UserID: u.ID, UserEpoch: u.Epoch, Salt: []byte("salt"), Hash: hash, Replaces: replaces, MadeBy: "operator",
		CreatedAt: w.now, ExpiresAt: w.now.Add(time.Hour),
	}
}

// bypassUse is the code typed in, ready to be written.
func (w *world) bypassUse(l lost) store.BypassUse {
	_, hash := store.NewSecret()
	return store.BypassUse{
		ID: l.code.ID, UserID: l.user.ID, Hash: l.code.Hash, SessionID: l.session.ID, SessionVersion: l.session.Version, NewSecretHash: hash,
		Interaction: *l.interaction, Now: w.now, Events: []store.Event{{At: w.now, Type: "bypass", UserID: l.user.ID}},
	}
}

// used has the code accepted, and the enrolment that it allows.
func (w *world) used(l lost) store.Enrollment {
	w.Helper()
	use := w.bypassUse(l)
	w.must(w.UseBypass(w.ctx, use))
	l.interaction.Version++
	l.session.Version++
	l.session.SecretHash = use.NewSecretHash
	e := w.enrollment(l.visit)
	e.Bypass = l.code.ID
	return e
}

func (w *world) bypassErr(u *store.User) error {
	_, err := w.Bypass(w.ctx, u.ID, w.now)
	return err
}

func bypassKept(w *world) {
	l := w.lost(true)
	got, err := w.Bypass(w.ctx, l.user.ID, w.now)
	w.must(err)
	want := *l.code
	want.Hash = nil
	if !reflect.DeepEqual(*got, want) {
		w.Errorf("got %+v, want %+v", *got, want)
	}
	use := w.bypassUse(l)
	w.must(w.UseBypass(w.ctx, use))
	w.is("the session's old secret", w.sessionErr(l.session), store.ErrNotFound)
	l.session.SecretHash = use.NewSecretHash
	w.is("the session's new secret", w.sessionErr(l.session), nil)
	got, err = w.Bypass(w.ctx, l.user.ID, w.now)
	w.must(err)
	if got.UsedIn != l.interaction.ID || !got.ExpiresAt.Equal(l.interaction.ExpiresAt) {
		w.Errorf("got %+v, want it used in the interaction, and to live as long as that", *got)
	}
	w.is("nobody", w.MakeBypass(w.ctx, w.bypass(&store.User{ID: "nobody"}, false)), store.ErrNotFound)
	w.is("who has lost nothing", w.MakeBypass(w.ctx, w.bypass(w.user(), false)), store.ErrUsed)
}

func bypassReplacesOlder(w *world) {
	l := w.lost(false)
	second := w.bypass(l.user, false)
	w.must(w.MakeBypass(w.ctx, second))
	w.is("the older one", w.UseBypass(w.ctx, w.bypassUse(l)), store.ErrNotFound)
	l.code = second
	w.is("the newer one", w.UseBypass(w.ctx, w.bypassUse(l)), nil)
}

func bypassUsedOnce(w *world) {
	l := w.lost(false)
	var uses [crowd]store.BypassUse
	for i := range uses {
		uses[i] = w.bypassUse(l)
		uses[i].Interaction = *w.interaction(l.session.ID)
	}
	errs := race(func(i int) error { return w.UseBypass(w.ctx, uses[i]) })
	w.count("winners", w.winners(errs, store.ErrUsed), 1)
	w.count("events", len(w.events()), 1)
}

func bypassMustFit(w *world) {
	l, other := w.lost(false), w.lost(false)
	u := w.bypassUse(l)
	_, u.Hash = store.NewSecret()
	w.is("a wrong code", w.UseBypass(w.ctx, u), store.ErrNotFound)
	u = w.bypassUse(l)
	u.Hash = other.code.Hash
	w.is("another user's code", w.UseBypass(w.ctx, u), store.ErrNotFound)
	u = w.bypassUse(other)
	u.UserID, u.ID = l.user.ID, l.code.ID
	w.is("another user's session", w.UseBypass(w.ctx, u), store.ErrNotFound)
	u.Hash = l.code.Hash
	w.is("the code in another user's session", w.UseBypass(w.ctx, u), store.ErrStale)
	u = w.bypassUse(l)
	u.SessionVersion--
	w.is("of a session that went on", w.UseBypass(w.ctx, u), store.ErrStale)
	u = w.bypassUse(l)
	u.Interaction.Version--
	w.is("of an interaction that went on", w.UseBypass(w.ctx, u), store.ErrStale)
	u = w.bypassUse(l)
	u.Now = l.code.ExpiresAt
	w.is("at its end", w.UseBypass(w.ctx, u), store.ErrNotFound)
	w.is("after all that", w.UseBypass(w.ctx, w.bypassUse(l)), nil)
}

func bypassEndsEverythingElse(w *world) {
	l := w.lost(false)
	a := w.issued(l.user)
	w.used(l)
	w.everythingEnded(a)
	w.is("its own session", w.sessionErr(l.session), nil)
	w.is("its own interaction", w.interactionErr(l.interaction), nil)
	w.is("itself, where it was used", w.bypassErr(l.user), nil)
}

func bypassEndsWithTheUser(w *world) {
	for name, end := range map[string]func(u *store.User) error{
		"revoke":  func(u *store.User) error { return w.RevokeUser(w.ctx, u.ID, "", w.now) },
		"disable": func(u *store.User) error { return w.DisableUser(w.ctx, u.ID, w.now) },
		"reset":   func(u *store.User) error { return w.ResetUser(w.ctx, w.link(u), true, w.now) },
		"remove":  func(u *store.User) error { return w.RemoveUser(w.ctx, u.ID, w.now) },
		"restore": func(*store.User) error { _, err := w.AfterRestore(w.ctx, 1, w.now); return err },
		"sweep":   func(*store.User) error { w.now = w.now.Add(time.Hour); return w.Sweep(w.ctx, w.now) },
	} {
		open, used := w.lost(false), w.lost(false)
		e := w.used(used)
		w.must(end(open.user))
		if name != "restore" && name != "sweep" {
			w.must(end(used.user))
		}
		w.is(name+": open", w.bypassErr(open.user), store.ErrNotFound)
		w.is(name+": used", w.bypassErr(used.user), store.ErrNotFound)
		if err := w.EnrollFirst(w.ctx, e); err == nil {
			w.Errorf("%s: enrolled with it", name)
		}
	}
}

func bypassEnrolsOnce(w *world) {
	for _, replaces := range []bool{false, true} {
		l := w.lost(replaces)
		e := w.used(l)
		var all [crowd]store.Enrollment
		for i := range all {
			all[i] = w.enrollment(l.visit)
			all[i].Bypass = e.Bypass
		}
		errs := race(func(i int) error { return w.EnrollFirst(w.ctx, all[i]) })
		w.count("winners", w.winners(errs, store.ErrUsed, store.ErrStale), 1)
		want := 3 // the old one, the new one, the new recovery codes
		if replaces {
			want = 2
		}
		list := w.authenticators(l.user)
		w.count("authenticators", len(list), want)
		if kept := list[0].ID == l.totp.ID; kept == replaces {
			w.Errorf("the old authenticator is there: %v, want %v", kept, !replaces)
		}
		w.is("the code afterwards", w.bypassErr(l.user), store.ErrNotFound)
	}
}

func bypassEnrolsWhereItWasUsed(w *world) {
	l := w.lost(true)
	e := w.enrollment(l.visit)
	e.Bypass = l.code.ID
	w.is("before it was used", w.EnrollFirst(w.ctx, e), store.ErrUsed)
	e = w.used(l)
	elsewhere := e
	elsewhere.Interaction = *w.interaction(l.session.ID)
	w.is("in another interaction", w.EnrollFirst(w.ctx, elsewhere), store.ErrUsed)
	other := w.lost(true)
	theirs := w.enrollment(other.visit)
	theirs.Bypass = l.code.ID
	w.is("by another user", w.EnrollFirst(w.ctx, theirs), store.ErrUsed)
	without := e
	without.Bypass = ""
	w.is("without it", w.EnrollFirst(w.ctx, without), store.ErrUsed)
	w.count("authenticators", len(w.authenticators(l.user)), 2)
	w.is("in its own", w.EnrollFirst(w.ctx, e), nil)
}
