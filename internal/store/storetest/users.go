package storetest

import (
	"encoding/json"
	"errors"
	"reflect"
	"time"

	"github.com/sallyport-id/sallyport/internal/store"
)

func userKept(w *world) {
	u := &store.User{ID: store.NewID(), Login: "Zoë", LoginKey: "zoë", Name: "Zoë Ω", Email: "zoe@example.com", EmailVerified: true, Locale: "ko",
		PasswordHash: "$argon2id$…", Claims: json.RawMessage(`{"b":1,"a":[2]}`), MayEnroll: true, Epoch: 3, CreatedAt: w.now}
	w.must(w.CreateUser(w.ctx, u))
	byID, err := w.User(w.ctx, u.ID)
	w.must(err)
	byLogin, err := w.UserByLogin(w.ctx, "zoë")
	w.must(err)
	if !reflect.DeepEqual(byID, u) || !reflect.DeepEqual(byLogin, u) {
		w.Errorf("got %+v and %+v, want %+v", byID, byLogin, u)
	}
	_, err = w.User(w.ctx, "nobody")
	w.is("unknown id", err, store.ErrNotFound)
	_, err = w.UserByLogin(w.ctx, "Zoë")
	w.is("unknown login key", err, store.ErrNotFound)
}

func userLoginAndIDNeverReused(w *world) {
	u := w.user()
	sameLogin, sameID := *u, *u
	sameLogin.ID, sameID.LoginKey = store.NewID(), "other"
	again := func(when string) {
		w.is(when+": same login key", w.CreateUser(w.ctx, &sameLogin), store.ErrExists)
		w.is(when+": same id", w.CreateUser(w.ctx, &sameID), store.ErrExists)
	}
	again("while there")
	w.must(w.RemoveUser(w.ctx, u.ID, w.now))
	again("after removal")
	_, err := w.User(w.ctx, u.ID)
	w.is("removed by id", err, store.ErrNotFound)
	_, err = w.UserByLogin(w.ctx, u.LoginKey)
	w.is("removed by login", err, store.ErrNotFound)
	w.is("remove again", w.RemoveUser(w.ctx, u.ID, w.now), store.ErrNotFound)
	w.is("disable", w.DisableUser(w.ctx, u.ID, w.now), store.ErrNotFound)
	w.is("set a password", w.SetPasswordHash(w.ctx, u.ID, "", "new"), store.ErrStale)
}

func removeUserForgets(w *world) {
	a := w.issued(w.user())
	w.totp(a.user)
	f := w.finish(a.visit, true)
	f.Consent = &store.Consent{UserID: a.user.ID, ClientID: "shop", Scope: []string{"openid"}, UpdatedAt: w.now, ClientHash: []byte{1}}
	w.must(w.FinishInteraction(w.ctx, f))
	e := store.Event{At: w.now, Type: "removed"}
	w.must(w.RemoveUser(w.ctx, a.user.ID, w.now, e))
	w.everythingEnded(a)
	w.count("authenticators", len(w.authenticators(a.user)), 0)
	_, err := w.Consent(w.ctx, a.user.ID, "shop")
	w.is("consent", err, store.ErrNotFound)
	w.count("events", len(w.events()), 1)
}

func usersInPages(w *world) {
	var want []string
	for range 5 {
		want = append(want, w.user().ID)
	}
	removed := w.user()
	w.must(w.RemoveUser(w.ctx, removed.ID, w.now))
	var got []string
	after := ""
	for _, size := range []int{2, 2, 1, 0} {
		page, err := w.Users(w.ctx, after, 2)
		w.must(err)
		w.count("users of a page", len(page), size)
		for _, u := range page {
			got = append(got, u.ID)
			after = u.ID
		}
	}
	if !reflect.DeepEqual(got, want) {
		w.Errorf("got %v, want %v", got, want)
	}
}

func enableUserGivesNothingBack(w *world) {
	a := w.issued(w.user())
	w.must(w.DisableUser(w.ctx, a.user.ID, w.now))
	w.must(w.EnableUser(w.ctx, a.user.ID))
	w.everythingEnded(a)
	u, err := w.User(w.ctx, a.user.ID)
	w.must(err)
	if u.Disabled || u.Epoch != 1 {
		w.Errorf("got disabled %v, epoch %d; want false, 1", u.Disabled, u.Epoch)
	}
	w.everythingLives(w.issued(u))
	w.is("unknown user", w.EnableUser(w.ctx, "nobody"), store.ErrNotFound)
	w.must(w.RemoveUser(w.ctx, u.ID, w.now))
	w.is("removed user", w.EnableUser(w.ctx, u.ID), store.ErrNotFound)
}

func createUserOneWinner(w *world) {
	errs := race(func(i int) error {
		return w.CreateUser(w.ctx, &store.User{ID: store.NewID(), Login: "mina", LoginKey: "mina", CreatedAt: w.now})
	})
	w.count("winners", w.winners(errs, store.ErrExists), 1)
}

func setPasswordHashComparesTheOld(w *world) {
	u := w.user()
	w.is("wrong old", w.SetPasswordHash(w.ctx, u.ID, "older", "new"), store.ErrStale)
	errs := race(func(int) error { return w.SetPasswordHash(w.ctx, u.ID, "old", "new") })
	w.count("winners", w.winners(errs, store.ErrStale), 1)
	got, err := w.User(w.ctx, u.ID)
	w.must(err)
	if got.PasswordHash != "new" {
		w.Errorf("got hash %q, want new", got.PasswordHash)
	}
}

// issued is one of everything that can be issued to a user.
type issued struct {
	visit
	known            string
	code             store.Finish
	offlineCode      store.Finish
	online, offlined store.Tokens
}

func (w *world) issued(u *store.User) issued {
	w.Helper()
	var all issued
	v := w.visit(u)
	_, all.online = w.redeemed(v, false)
	v.interaction = w.interaction(v.session.ID)
	_, all.offlined = w.redeemed(v, true)
	v.interaction, all.known = w.interaction(v.session.ID), store.NewID()
	all.code = w.finish(v, false)
	all.code.KnownBrowser = &store.KnownBrowser{ID: all.known, UserID: u.ID, CreatedAt: w.now}
	w.must(w.FinishInteraction(w.ctx, all.code))
	v.interaction = w.interaction(v.session.ID)
	all.offlineCode = w.finished(v, true)
	v.interaction = w.interaction(v.session.ID)
	all.visit = v
	p := w.add(v)
	w.must(w.AddProof(w.ctx, p))
	all.session.SecretHash, all.session.Version = p.NewSecretHash, 2
	return all
}

// tokensEnded complains about tokens and codes that are worth something.
func (w *world) tokensEnded(a issued) {
	w.Helper()
	for _, t := range []store.Tokens{a.online, a.offlined} {
		w.is("access token", w.accessErr(t), store.ErrNotFound)
		w.is("refresh token", w.refreshErr(t), store.ErrNotFound)
		w.is("rotation", w.RotateRefresh(w.ctx, t.Refresh.ID, w.now, 0, w.tokens(t.Refresh.GrantID)), store.ErrNotFound)
		w.is("issue", w.IssueAccess(w.ctx, t.Refresh.ID, w.now, time.Time{}, w.tokens(t.Refresh.GrantID)), store.ErrNotFound)
	}
	w.is("code", w.redeem(a.code, w.tokens(a.code.Grant.ID)), store.ErrNotFound)
	w.is("offline code", w.redeem(a.offlineCode, w.tokens(a.offlineCode.Grant.ID)), store.ErrNotFound)
}

func (w *world) everythingEnded(a issued) {
	w.Helper()
	w.is("session", w.sessionErr(a.session), store.ErrNotFound)
	w.is("interaction", w.interactionErr(a.interaction), store.ErrNotFound)
	w.is("add proof", w.AddProof(w.ctx, w.add(a.visit)), store.ErrNotFound)
	w.is("finish", w.FinishInteraction(w.ctx, w.finish(a.visit, true)), store.ErrStale)
	w.tokensEnded(a)
	known, err := w.KnownBrowser(w.ctx, a.known, a.user.ID)
	w.must(err)
	if known {
		w.Errorf("the known browser is still known")
	}
}

// everythingLives complains if a fixture is not what the test is about.
func (w *world) everythingLives(a issued) {
	w.Helper()
	err := errors.Join(w.sessionErr(a.session), w.interactionErr(a.interaction), w.accessErr(a.online), w.accessErr(a.offlined),
		w.refreshErr(a.online), w.refreshErr(a.offlined))
	w.must(err)
}

func disableUserEndsEverything(w *world) {
	a, other := w.issued(w.user()), w.issued(w.user())
	w.must(w.DisableUser(w.ctx, a.user.ID, w.now))
	w.everythingEnded(a)
	w.everythingLives(other)
	u, err := w.User(w.ctx, a.user.ID)
	w.must(err)
	if !u.Disabled || u.Epoch != 1 {
		w.Errorf("got disabled %v, epoch %d; want true, 1", u.Disabled, u.Epoch)
	}
	w.is("sign in", w.StartSession(w.ctx, w.newSession(u, ""), "", "", store.Settle{}), store.ErrStale)
	w.is("unknown user", w.DisableUser(w.ctx, "nobody", w.now), store.ErrNotFound)
}

func revokeUserEndsEverything(w *world) {
	a, other := w.issued(w.user()), w.issued(w.user())
	w.everythingLives(a)
	w.must(w.RevokeUser(w.ctx, a.user.ID, "", w.now))
	w.everythingEnded(a)
	w.everythingLives(other)
	u, err := w.User(w.ctx, a.user.ID)
	w.must(err)
	if u.Disabled || u.Epoch != 1 {
		w.Errorf("got disabled %v, epoch %d; want false, 1", u.Disabled, u.Epoch)
	}
	w.everythingLives(w.issued(u)) // a new beginning
	w.is("unknown user", w.RevokeUser(w.ctx, "nobody", "", w.now), store.ErrNotFound)
}

func revokeUserSparesOneSession(w *world) {
	u := w.user()
	mine, another := w.issued(u), w.issued(u)
	w.must(w.RevokeUser(w.ctx, u.ID, mine.session.ID, w.now))
	w.everythingEnded(another)
	w.tokensEnded(mine)
	if got := w.reload(mine.visit); got.UserEpoch != 1 || len(got.Proofs) != 2 {
		w.Errorf("got epoch %d and %d proofs, want 1 and 2", got.UserEpoch, len(got.Proofs))
	}
	w.is("interaction of the session", w.interactionErr(mine.interaction), nil)
	w.is("add proof", w.AddProof(w.ctx, w.add(mine.visit)), nil)
	stranger, v := w.visit(w.user()), w.visit(w.user())
	w.must(w.RevokeUser(w.ctx, v.user.ID, stranger.session.ID, w.now))
	w.is("a stranger's session", w.sessionErr(stranger.session), nil)
	w.is("the user's own, where a stranger's was named", w.sessionErr(v.session), store.ErrNotFound)
}

// lastOf runs one verb among 63 of another.
func lastOf(one func() error, others func(i int) error) []error {
	return race(func(i int) error {
		if i == crowd/2 {
			return one()
		}
		return others(i)
	})
}

func revokeUserEndsWhatIsBeingRedeemed(w *world) {
	u := w.user()
	var codes [crowd]store.Finish
	var tokens [crowd]store.Tokens
	v := w.visit(u)
	for i := range codes {
		codes[i] = w.finished(v, true)
		v.interaction = w.interaction(v.session.ID)
		tokens[i] = w.tokens(codes[i].Grant.ID)
	}
	errs := lastOf(func() error { return w.RevokeUser(w.ctx, u.ID, "", w.now) },
		func(i int) error { return w.redeem(codes[i], tokens[i]) })
	w.winners(errs, store.ErrNotFound)
	for i := range codes {
		w.is("access token", w.accessErr(tokens[i]), store.ErrNotFound)
		w.is("refresh token", w.refreshErr(tokens[i]), store.ErrNotFound)
	}
}

func revokeUserEndsWhatIsBeingRotated(w *world) {
	u := w.user()
	var old, tokens [crowd]store.Tokens
	v := w.visit(u)
	for i := range old {
		_, old[i] = w.redeemed(v, true)
		v.interaction = w.interaction(v.session.ID)
		tokens[i] = w.tokens(old[i].Refresh.GrantID)
	}
	errs := lastOf(func() error { return w.RevokeUser(w.ctx, u.ID, "", w.now) },
		func(i int) error { return w.RotateRefresh(w.ctx, old[i].Refresh.ID, w.now, 0, tokens[i]) })
	w.winners(errs, store.ErrNotFound)
	for i := range old {
		w.is("access token", w.accessErr(tokens[i]), store.ErrNotFound)
		w.is("refresh token", w.refreshErr(tokens[i]), store.ErrNotFound)
	}
}

func revokeUserEndsWhatIsBeingStarted(w *world) {
	u := w.user()
	var sessions [crowd]*store.Session
	for i := range sessions {
		sessions[i] = w.newSession(u, "")
	}
	errs := lastOf(func() error { return w.RevokeUser(w.ctx, u.ID, "", w.now) },
		func(i int) error { return w.StartSession(w.ctx, sessions[i], "", "", store.Settle{}) })
	w.winners(errs, store.ErrStale)
	for _, s := range sessions {
		w.is("session", w.sessionErr(s), store.ErrNotFound)
	}
}

func profileReplaced(w *world) {
	u := w.user()
	u.Email, u.EmailVerified = "a@example.com", true
	u.ID, u.Login, u.LoginKey = u.ID+"2", u.Login+"2", u.LoginKey+"2"
	w.must(w.CreateUser(w.ctx, u))
	p := store.Profile{Name: "Mina", Email: "a@example.com", Locale: "ko", Claims: []byte(`{"nickname":"m"}`)}
	w.must(w.SetProfile(w.ctx, u.ID, nil, p, w.now, store.Event{At: w.now, Type: "profile"}))
	got, err := w.User(w.ctx, u.ID)
	w.must(err)
	if got.Name != "Mina" || got.Locale != "ko" || string(got.Claims) != `{"nickname":"m"}` || !got.EmailVerified {
		w.Errorf("got %+v", got)
	}
	p.Email = "b@example.com"
	w.is("what was there before", w.SetProfile(w.ctx, u.ID, nil, p, w.now), store.ErrStale)
	errs := race(func(i int) error {
		q := p
		q.Claims = []byte(`{"nickname":"` + store.NewID() + `"}`)
		return w.SetProfile(w.ctx, u.ID, got.Claims, q, w.now)
	})
	w.count("winners", w.winners(errs, store.ErrStale), 1)
	if got, err = w.User(w.ctx, u.ID); err != nil || got.EmailVerified || got.Email != "b@example.com" {
		w.Errorf("another e-mail: got %+v %v, want it not verified", got, err)
	}
	w.count("events", len(w.events()), 1)
	w.is("nobody", w.SetProfile(w.ctx, "nobody", nil, p, w.now), store.ErrNotFound)
}
