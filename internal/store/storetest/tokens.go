package storetest

import (
	"reflect"
	"time"

	"github.com/sallyport-id/sallyport/internal/store"
)

func codeReturnedWithItsSecret(w *world) {
	v := w.visit(w.user())
	f := w.finished(v, true)
	for _, when := range []string{"unused", "used"} {
		c, g, u, err := w.Code(w.ctx, f.Code.ID, f.Code.SecretHash)
		w.must(err)
		if !reflect.DeepEqual(c, f.Code) || !reflect.DeepEqual(g, f.Grant) || !reflect.DeepEqual(u, v.user) {
			w.Errorf("%s: got %+v, %+v, %+v; want %+v, %+v, %+v", when, c, g, u, f.Code, f.Grant, v.user)
		}
		_, _, _, err = w.Code(w.ctx, f.Code.ID, []byte("wrong"))
		w.is(when+": wrong secret", err, store.ErrNotFound)
		if when == "unused" {
			w.must(w.redeem(f, w.tokens(f.Grant.ID)))
		}
	}
}

func codeRedeemedOnce(w *world) {
	v := w.visit(w.user())
	for range 4 {
		f := w.finished(v, false)
		v.interaction = w.interaction(v.session.ID)
		var all [crowd]store.Tokens
		for i := range all {
			all[i] = w.tokens(f.Grant.ID)
		}
		errs := race(func(i int) error { return w.redeem(f, all[i]) })
		w.count("winners", w.winners(errs, store.ErrUsed), 1)
		live := 0
		for i, t := range all {
			if err := w.accessErr(t); (err == nil) != (errs[i] == nil) {
				w.Errorf("number %d: redeemed %v, token %v", i, errs[i], err)
			}
			if w.refreshErr(t) == nil {
				live++
			}
		}
		w.count("refresh tokens", live, 1)
	}
}

func codeRedeemedWhileLive(w *world) {
	for name, spoil := range map[string]func(v visit, f store.Finish) time.Time{
		"expired": func(_ visit, f store.Finish) time.Time { return f.Code.ExpiresAt },
		"grant revoked": func(_ visit, f store.Finish) time.Time {
			w.must(w.RevokeGrant(w.ctx, f.Grant.ID, w.now))
			return w.now
		},
		"session ended": func(v visit, _ store.Finish) time.Time {
			w.must(w.EndSession(w.ctx, v.session.ID, w.now))
			return w.now
		},
		"epoch changed": func(v visit, _ store.Finish) time.Time {
			w.must(w.RevokeUser(w.ctx, v.user.ID, v.session.ID, w.now))
			return w.now
		},
	} {
		for _, offline := range []bool{false, true} {
			v := w.visit(w.user())
			f, t := w.finished(v, offline), store.Tokens{}
			now := spoil(v, f)
			t = w.tokens(f.Grant.ID)
			w.is(name, w.RedeemCode(w.ctx, f.Code.ID, f.Code.SecretHash, now, t), store.ErrNotFound)
			w.is(name+": its token", w.accessErr(t), store.ErrNotFound)
		}
	}
}

// codeWrongSecretIsNeverReuse: else whoever reads an id in a log could end what it
// belongs to.
func codeWrongSecretIsNeverReuse(w *world) {
	f := w.finished(w.visit(w.user()), false)
	wrong := func() error {
		return w.RedeemCode(w.ctx, f.Code.ID, []byte("wrong"), w.now, w.tokens(f.Grant.ID))
	}
	w.is("before", wrong(), store.ErrNotFound)
	w.must(w.redeem(f, w.tokens(f.Grant.ID)))
	w.is("after", wrong(), store.ErrNotFound)
	w.is("the right one again", w.redeem(f, w.tokens(f.Grant.ID)), store.ErrUsed)
}

func accessTokenWhileLive(w *world) {
	v := w.visit(w.user())
	f, t := w.redeemed(v, false)
	a, g, u, err := w.AccessToken(w.ctx, t.Access.ID, t.Access.SecretHash, w.now)
	w.must(err)
	if !reflect.DeepEqual(a, t.Access) || !reflect.DeepEqual(g, f.Grant) || !reflect.DeepEqual(u, v.user) {
		w.Errorf("got %+v, %+v, %+v; want %+v, %+v, %+v", a, g, u, t.Access, f.Grant, v.user)
	}
	_, _, _, err = w.AccessToken(w.ctx, a.ID, a.SecretHash, a.ExpiresAt)
	w.is("expired", err, store.ErrNotFound)
	a.ExpiresAt = v.session.ExpiresAt.Add(time.Hour)
	long := w.tokens(f.Grant.ID)
	long.Access.ExpiresAt = v.session.ExpiresAt.Add(time.Hour)
	w.must(w.RotateRefresh(w.ctx, t.Refresh.ID, w.now, 0, long))
	_, _, _, err = w.AccessToken(w.ctx, long.Access.ID, long.Access.SecretHash, v.session.ExpiresAt)
	w.is("past the session's end", err, store.ErrNotFound)
	// The other ends are checked where they are made: EndSession, RevokeUser, …
}

func accessTokenNeedsSecret(w *world) {
	_, t := w.redeemed(w.visit(w.user()), false)
	_, _, _, err := w.AccessToken(w.ctx, t.Access.ID, t.Refresh.SecretHash, w.now)
	w.is("access token", err, store.ErrNotFound)
	_, _, _, err = w.RefreshToken(w.ctx, t.Refresh.ID, t.Access.SecretHash, w.now)
	w.is("refresh token", err, store.ErrNotFound)
}

func refreshTokenKept(w *world) {
	v := w.visit(w.user())
	f, t := w.redeemed(v, true)
	next := w.tokens(f.Grant.ID)
	w.must(w.RotateRefresh(w.ctx, t.Refresh.ID, w.now, 0, next))
	want := *t.Refresh
	want.UsedAt, want.Successor = w.now, next.Refresh.ID
	r, g, u, err := w.RefreshToken(w.ctx, want.ID, want.SecretHash, w.now)
	w.must(err)
	if !reflect.DeepEqual(r, &want) || !reflect.DeepEqual(g, f.Grant) || !reflect.DeepEqual(u, v.user) {
		w.Errorf("got %+v, %+v, %+v; want %+v, %+v, %+v", r, g, u, want, f.Grant, v.user)
	}
	_, _, _, err = w.RefreshToken(w.ctx, want.ID, want.SecretHash, want.ExpiresAt)
	w.is("expired", err, store.ErrNotFound)
}

// rotations rotates the token 64 times at once.
func (w *world) rotations(old store.Tokens, grace time.Duration) (all [crowd]store.Tokens, errs []error) {
	for i := range all {
		all[i] = w.tokens(old.Refresh.GrantID)
	}
	return all, race(func(i int) error { return w.RotateRefresh(w.ctx, old.Refresh.ID, w.now, grace, all[i]) })
}

// descendants counts those that are live and unused.
func (w *world) descendants(all []store.Tokens) (n int) {
	for _, t := range all {
		r, _, _, err := w.RefreshToken(w.ctx, t.Refresh.ID, t.Refresh.SecretHash, w.now)
		if err == nil && r.UsedAt.IsZero() {
			n++
		}
	}
	return n
}

func rotateRefreshOnce(w *world) {
	v := w.visit(w.user())
	for range 4 {
		_, old := w.redeemed(v, true)
		v.interaction = w.interaction(v.session.ID)
		all, errs := w.rotations(old, 0)
		// Without grace the moment itself counts: a retry in the same millisecond.
		n := w.winners(errs, store.ErrUsed)
		if n < 1 || n > 2 {
			w.Errorf("winners: got %d, want 1, or 2 in one millisecond", n)
		}
		w.count("live descendants", w.descendants(all[:]), 1)
		later := w.now.Add(time.Millisecond)
		w.is("later", w.RotateRefresh(w.ctx, old.Refresh.ID, later, 0, w.tokens(old.Refresh.GrantID)), store.ErrUsed)
	}
}

func rotateRefreshOneDescendant(w *world) {
	v := w.visit(w.user())
	for range 4 {
		_, old := w.redeemed(v, true)
		v.interaction = w.interaction(v.session.ID)
		all, errs := w.rotations(old, 10*time.Second)
		w.count("winners: the first and its one retry", w.winners(errs, store.ErrUsed), 2)
		w.count("live descendants", w.descendants(all[:]), 1)
	}
}

func rotateRefreshGrace(w *world) {
	const grace = 10 * time.Second
	v := w.visit(w.user())
	_, first := w.redeemed(v, true)
	rotate := func(t store.Tokens, after time.Duration) (store.Tokens, error) {
		next := w.tokens(t.Refresh.GrantID)
		return next, w.RotateRefresh(w.ctx, t.Refresh.ID, w.now.Add(after), grace, next)
	}
	lost, err := rotate(first, 0)
	w.must(err)
	second, err := rotate(first, grace)
	w.is("a lost answer, within the grace", err, nil)
	_, err = rotate(first, grace)
	w.is("lost once more", err, store.ErrUsed)
	_, err = rotate(lost, grace)
	w.is("the successor that was replaced", err, store.ErrUsed)
	third, err := rotate(second, grace)
	w.is("the one in its place", err, nil)
	_, err = rotate(third, grace)
	w.must(err)
	_, err = rotate(second, grace)
	w.is("the successor was used", err, store.ErrUsed)
	_, err = rotate(third, 2*grace+time.Millisecond)
	w.is("past the grace", err, store.ErrUsed)
}

func rotateRefreshWhileLive(w *world) {
	v := w.visit(w.user())
	f, t := w.redeemed(v, false)
	next := w.tokens(f.Grant.ID)
	rotate := func(id string, now time.Time) error { return w.RotateRefresh(w.ctx, id, now, 0, next) }
	w.is("none", rotate("none", w.now), store.ErrNotFound)
	w.is("expired", rotate(t.Refresh.ID, t.Refresh.ExpiresAt), store.ErrNotFound)
	w.must(w.EndSession(w.ctx, v.session.ID, w.now))
	w.is("session ended", rotate(t.Refresh.ID, w.now), store.ErrNotFound)
	w.is("no token came of it", w.accessErr(next), store.ErrNotFound)
}

func issueAccessWhileLive(w *world) {
	v := w.visit(w.user())
	f, t := w.redeemed(v, true)
	issue := func(id string, now time.Time) error {
		next := w.tokens(f.Grant.ID)
		next.Refresh = nil
		err := w.IssueAccess(w.ctx, id, now, now.Add(time.Hour), next)
		if err == nil {
			w.is("the new token", w.accessErr(next), nil)
		}
		return err
	}
	w.is("live", issue(t.Refresh.ID, w.now), nil)
	w.is("live, again", issue(t.Refresh.ID, w.now), nil)
	w.is("none", issue("none", w.now), store.ErrNotFound)
	w.is("expired", issue(t.Refresh.ID, t.Refresh.ExpiresAt), store.ErrNotFound)
	next := w.tokens(f.Grant.ID)
	w.must(w.RotateRefresh(w.ctx, t.Refresh.ID, w.now, 0, next))
	w.is("rotated away", issue(t.Refresh.ID, w.now), store.ErrUsed)
	w.must(w.RevokeGrant(w.ctx, f.Grant.ID, w.now))
	w.is("grant revoked", issue(next.Refresh.ID, w.now), store.ErrNotFound)
}

func refreshTokenIdle(w *world) {
	const idle = 2 * time.Hour
	v := w.visit(w.user())
	f := w.finished(v, true)
	t, next := w.tokens(f.Grant.ID), w.tokens(f.Grant.ID)
	t.Refresh.IdleAt, next.Refresh.IdleAt = w.now.Add(idle), w.now.Add(idle)
	w.must(w.redeem(f, t))
	at := func(t store.Tokens, now time.Time) error {
		_, _, _, err := w.RefreshToken(w.ctx, t.Refresh.ID, t.Refresh.SecretHash, now)
		return err
	}
	issue := func(now time.Time) error {
		more := w.tokens(f.Grant.ID)
		more.Refresh = nil
		return w.IssueAccess(w.ctx, t.Refresh.ID, now, now.Add(idle), more)
	}
	last := w.now.Add(idle - time.Millisecond)
	w.is("before it is idle", at(t, last), nil)
	w.is("idle", at(t, w.now.Add(idle)), store.ErrNotFound)
	w.is("issue when idle", issue(w.now.Add(idle)), store.ErrNotFound)
	w.is("rotate when idle", w.RotateRefresh(w.ctx, t.Refresh.ID, w.now.Add(idle), 0, next), store.ErrNotFound)
	w.is("issue", issue(last), nil)
	w.is("used a moment before it was idle", at(t, w.now.Add(idle)), nil)
	w.is("idle again", at(t, last.Add(idle)), store.ErrNotFound)

	w.must(w.RotateRefresh(w.ctx, t.Refresh.ID, w.now, 0, next))
	w.is("its successor, idle", at(next, w.now.Add(idle)), store.ErrNotFound)
	late := w.now.Add(10 * idle)
	w.is("one that was used, long after", at(t, late), nil)
	w.is("a second use, long after", w.RotateRefresh(w.ctx, t.Refresh.ID, late, 0, w.tokens(f.Grant.ID)), store.ErrUsed)
}

func revokeGrantEndsTokens(w *world) {
	v := w.visit(w.user())
	_, other := w.redeemed(v, true)
	v.interaction = w.interaction(v.session.ID)
	f, t := w.redeemed(v, true)
	w.must(w.RevokeGrant(w.ctx, f.Grant.ID, w.now))
	w.must(w.RevokeGrant(w.ctx, f.Grant.ID, w.now.Add(time.Second))) // again is no error
	w.must(w.RevokeGrant(w.ctx, "none", w.now))
	w.is("access token", w.accessErr(t), store.ErrNotFound)
	w.is("refresh token", w.refreshErr(t), store.ErrNotFound)
	w.is("rotation", w.RotateRefresh(w.ctx, t.Refresh.ID, w.now, 0, w.tokens(f.Grant.ID)), store.ErrNotFound)
	w.is("another grant's token", w.accessErr(other), nil)
	_, g, _, err := w.Code(w.ctx, f.Code.ID, f.Code.SecretHash)
	w.must(err)
	if !g.RevokedAt.Equal(w.now) {
		w.Errorf("revoked at %v, want %v", g.RevokedAt, w.now)
	}
}

func revokeGrantEndsWhatIsBeingRotated(w *world) {
	f, old := w.redeemed(w.visit(w.user()), true)
	var all [crowd]store.Tokens
	for i := range all {
		all[i] = w.tokens(f.Grant.ID)
	}
	errs := lastOf(func() error { return w.RevokeGrant(w.ctx, f.Grant.ID, w.now) }, func(i int) error {
		if i%2 == 0 {
			return w.IssueAccess(w.ctx, old.Refresh.ID, w.now, w.now.Add(time.Hour), store.Tokens{Access: all[i].Access})
		}
		return w.RotateRefresh(w.ctx, old.Refresh.ID, w.now, 0, all[i])
	})
	w.winners(errs, store.ErrNotFound, store.ErrUsed)
	for _, t := range all {
		w.is("access token", w.accessErr(t), store.ErrNotFound)
		w.is("refresh token", w.refreshErr(t), store.ErrNotFound)
	}
}

// revokeAccessTokenOnce: it ends, and its grant goes on.
func revokeAccessTokenOnce(w *world) {
	f, t := w.redeemed(w.visit(w.user()), true)
	w.is("wrong secret", w.RevokeAccessToken(w.ctx, t.Access.ID, t.Refresh.SecretHash), store.ErrNotFound)
	w.is("access token, before", w.accessErr(t), nil)
	errs := race(func(int) error { return w.RevokeAccessToken(w.ctx, t.Access.ID, t.Access.SecretHash) })
	w.count("winners", w.winners(errs, store.ErrNotFound), 1)
	w.is("access token", w.accessErr(t), store.ErrNotFound)
	w.is("refresh token", w.refreshErr(t), nil)
	next := w.tokens(f.Grant.ID)
	w.must(w.RotateRefresh(w.ctx, t.Refresh.ID, w.now, 0, next))
	w.is("the next access token", w.accessErr(next), nil)
}
