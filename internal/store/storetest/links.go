package storetest

import (
	"reflect"
	"time"

	"github.com/sallyport-id/sallyport/internal/store"
)

// invitation is a user with a link.
type invitation struct {
	user *store.User
	link *store.Link
}

// link is a day's invitation for a user, ready to be written.
func (w *world) link(u *store.User) *store.Link {
	_, hash := store.NewSecret()
	return &store.Link{
		ID: store.NewID(), SecretHash: hash, UserID: u.ID, Purpose: store.LinkInvitation, MadeBy: "operator",
		CreatedAt: w.now, ExpiresAt: w.now.Add(24 * time.Hour),
	}
}

// invited makes a user who has nothing but an invitation.
func (w *world) invited() invitation {
	w.Helper()
	id := store.NewID()
	u := &store.User{ID: id, Login: "Login-" + id, LoginKey: "login-" + id, CreatedAt: w.now}
	l := w.link(u)
	w.must(w.InviteUser(w.ctx, u, l))
	return invitation{u, l}
}

func (w *world) invitationErr(in invitation) error {
	_, _, err := w.Invitation(w.ctx, in.link.ID, in.link.SecretHash, w.now)
	return err
}

// openLink is the id of the user's open invitation, "" for none.
func (w *world) openLink(u *store.User) string {
	w.Helper()
	l, err := w.OpenInvitation(w.ctx, u.ID, w.now)
	if err != nil {
		w.is("open invitation", err, store.ErrNotFound)
		return ""
	}
	return l.ID
}

// redemption is what somebody with the invitation has done in a browser, ready to
// be written.
func (w *world) redemption(in invitation, password string) store.Redemption {
	w.Helper()
	set, hashes := w.recoverySet(in.user)
	i := *w.interaction("")
	i.Progress.CodesOf = in.user.ID
	return store.Redemption{
		Invited: store.Invited{
			UserID: in.user.ID, UserEpoch: in.user.Epoch, Link: in.link.ID, LinkHash: in.link.SecretHash,
			OldHash: in.user.PasswordHash, NewHash: password,
		},
		Authenticator: store.Authenticator{ID: store.NewID(), UserID: in.user.ID, Kind: store.KindTOTP, Secret: []byte("sealed"), LastStep: 7, CreatedAt: w.now, LastUsedAt: w.now},
		Recovery:      set, CodeHashes: hashes, Interaction: i, Now: w.now,
		Events: []store.Event{{At: w.now, Type: "redeemed", UserID: in.user.ID}},
	}
}

func (w *world) hasPassword(u *store.User, want string) {
	w.Helper()
	got, err := w.User(w.ctx, u.ID)
	w.must(err)
	if got.PasswordHash != want {
		w.Errorf("password: got %q, want %q", got.PasswordHash, want)
	}
}

func invitationKept(w *world) {
	in := w.invited()
	l, u, err := w.Invitation(w.ctx, in.link.ID, in.link.SecretHash, w.now)
	w.must(err)
	if !reflect.DeepEqual(l, in.link) || !reflect.DeepEqual(u, in.user) {
		w.Errorf("got %+v of %+v, want %+v of %+v", l, u, in.link, in.user)
	}
	open, err := w.OpenInvitation(w.ctx, in.user.ID, w.now)
	w.must(err)
	if open.ID != in.link.ID || open.SecretHash != nil || open.MadeBy != "operator" || open.ExpiresAt != in.link.ExpiresAt {
		w.Errorf("got %+v, want %+v without its secret", open, in.link)
	}
	again := w.link(in.user)
	w.is("a login that is taken", w.InviteUser(w.ctx, in.user, again), store.ErrExists)
	w.is("the invitation for it", w.invitationErr(invitation{in.user, again}), store.ErrNotFound)
}

func invitationNeedsSecretAndLife(w *world) {
	in := w.invited()
	_, other := store.NewSecret()
	_, _, err := w.Invitation(w.ctx, in.link.ID, other, w.now)
	w.is("a wrong secret", err, store.ErrNotFound)
	_, _, err = w.Invitation(w.ctx, in.link.ID, in.link.SecretHash, in.link.ExpiresAt)
	w.is("at its end", err, store.ErrNotFound)
	_, err = w.OpenInvitation(w.ctx, in.user.ID, in.link.ExpiresAt)
	w.is("open at its end", err, store.ErrNotFound)
	r := w.redemption(in, "new")
	r.Invited.LinkHash = other
	w.is("redeemed with a wrong secret", w.RedeemInvitation(w.ctx, r), store.ErrNotFound)
	r = w.redemption(in, "new")
	r.Invited.Link = "none"
	w.is("redeemed with another id", w.RedeemInvitation(w.ctx, r), store.ErrNotFound)
	w.now = in.link.ExpiresAt
	w.is("redeemed at its end", w.RedeemInvitation(w.ctx, w.redemption(in, "new")), store.ErrNotFound)
	w.now = in.link.ExpiresAt.Add(-time.Millisecond)
	w.is("redeemed just before", w.RedeemInvitation(w.ctx, w.redemption(in, "new")), nil)
}

func invitationReplacesOlder(w *world) {
	in, other := w.invited(), w.invited()
	second := invitation{in.user, w.link(in.user)}
	w.must(w.InviteAgain(w.ctx, second.link))
	w.is("the older one", w.invitationErr(in), store.ErrNotFound)
	w.is("the newer one", w.invitationErr(second), nil)
	w.is("another user's", w.invitationErr(other), nil)
	w.is("the older one redeemed", w.RedeemInvitation(w.ctx, w.redemption(in, "new")), store.ErrNotFound)
	w.is("the newer one redeemed", w.RedeemInvitation(w.ctx, w.redemption(second, "new")), nil)
}

// invitationsAtOnceLeaveOne: whichever of many that are made at once.
func invitationsAtOnceLeaveOne(w *world) {
	in := w.invited()
	var links [crowd]*store.Link
	for i := range links {
		links[i] = w.link(in.user)
	}
	errs := race(func(i int) error {
		if i%2 == 0 {
			return w.InviteAgain(w.ctx, links[i])
		}
		return w.ResetUser(w.ctx, links[i], false, w.now)
	})
	w.count("made", w.winners(errs), crowd)
	live := 0
	for _, l := range links {
		if w.invitationErr(invitation{in.user, l}) == nil {
			live++
		}
	}
	w.count("live", live, 1)
}

func inviteAgainWhoHasNothing(w *world) {
	withPassword, withFactor := w.user(), w.invited()
	w.is("a password", w.InviteAgain(w.ctx, w.link(withPassword)), store.ErrUsed)
	w.mayEnroll(withPassword, true)
	w.totp(withFactor.user)
	w.is("an authenticator", w.InviteAgain(w.ctx, w.link(withFactor.user)), store.ErrUsed)
	w.is("nobody", w.InviteAgain(w.ctx, w.link(&store.User{ID: "nobody"})), store.ErrNotFound)
	w.is("reset of nobody", w.ResetUser(w.ctx, w.link(&store.User{ID: "nobody"}), false, w.now), store.ErrNotFound)
	gone := w.invited()
	w.must(w.RemoveUser(w.ctx, gone.user.ID, w.now))
	w.is("somebody who was removed", w.InviteAgain(w.ctx, w.link(gone.user)), store.ErrNotFound)
	w.is("reset of somebody who was removed", w.ResetUser(w.ctx, w.link(gone.user), false, w.now), store.ErrNotFound)
}

func invitationRedeemedOnce(w *world) {
	in := w.invited()
	r := w.redemption(in, "new")
	r.Settle = store.Settle{Reset: []string{"b"}}
	w.attempt(true, store.Bucket{Key: "b", Limit: 9})
	w.must(w.RedeemInvitation(w.ctx, r))
	w.hasPassword(in.user, "new")
	w.mayEnroll(in.user, false)
	w.count("authenticators", len(w.authenticators(in.user)), 2)
	w.count("failures", w.attempt(true, store.Bucket{Key: "b", Limit: 9}).Failures, 1)
	i, err := w.Interaction(w.ctx, r.Interaction.ID, r.Interaction.BrowserHash, w.now)
	w.must(err)
	if i.Progress.CodesOf != in.user.ID || i.Version <= r.Interaction.Version {
		w.Errorf("the interaction has not moved on: %+v", i)
	}
	list, err := w.Events(w.ctx, store.EventQuery{Limit: 1})
	w.must(err)
	if len(list) != 1 || list[0].Type != "redeemed" {
		w.Errorf("got the event %+v, want that of the redemption", list)
	}
	w.is("the link afterwards", w.invitationErr(in), store.ErrNotFound)
	if open := w.openLink(in.user); open != "" {
		w.Errorf("open afterwards: %s", open)
	}
	// Even when the authenticators are gone and the password is what it was.
	again := w.redemption(in, "third")
	again.Invited.OldHash = "new"
	w.is("again", w.RedeemInvitation(w.ctx, again), store.ErrNotFound)
	w.hasPassword(in.user, "new")
}

// invitationRedeemedByOneBrowser: of many that confirm at once one wins, and has
// both the password and the factor.
func invitationRedeemedByOneBrowser(w *world) {
	for name, in := range map[string]invitation{"to choose a password": w.invited(), "with the password that is there": w.keptPassword()} {
		var all [crowd]store.Redemption
		for i := range all {
			password := in.user.PasswordHash
			if password == "" {
				password = store.NewID()
			}
			all[i] = w.redemption(in, password)
		}
		errs := race(func(i int) error { return w.RedeemInvitation(w.ctx, all[i]) })
		w.count(name+": winners", w.winners(errs, store.ErrNotFound, store.ErrStale), 1)
		list := w.authenticators(in.user)
		w.count(name+": authenticators", len(list), 2)
		for i, err := range errs {
			if err != nil {
				continue
			}
			w.hasPassword(in.user, all[i].Invited.NewHash)
			for _, a := range list {
				if a.ID != all[i].Authenticator.ID && a.ID != all[i].Recovery.ID {
					w.Errorf("%s: an authenticator of another browser than the password's", name)
				}
			}
		}
	}
}

// keptPassword is somebody whose factor was reset, and not the password.
func (w *world) keptPassword() invitation {
	w.Helper()
	u := w.user()
	w.totp(u)
	l := w.link(u)
	w.must(w.ResetUser(w.ctx, l, true, w.now))
	u, err := w.User(w.ctx, u.ID)
	w.must(err)
	return invitation{u, l}
}

func invitationRedeemedAllOrNothing(w *world) {
	for name, c := range map[string]struct {
		spoil func(in invitation, r *store.Redemption)
		want  error
	}{
		"interaction version": {func(_ invitation, r *store.Redemption) { r.Interaction.Version-- }, store.ErrStale},
		"interaction gone":    {func(_ invitation, r *store.Redemption) { r.Interaction.ID = "gone" }, store.ErrStale},
		"password":            {func(_ invitation, r *store.Redemption) { r.Invited.OldHash = "another" }, store.ErrStale},
		"epoch":               {func(_ invitation, r *store.Redemption) { r.Invited.UserEpoch++ }, store.ErrStale},
		"link gone":           {func(_ invitation, r *store.Redemption) { r.Invited.Link = "gone" }, store.ErrNotFound},
	} {
		in := w.invited()
		r := w.redemption(in, "new")
		c.spoil(in, &r)
		w.is(name, w.RedeemInvitation(w.ctx, r), c.want)
		w.hasPassword(in.user, "")
		w.count(name+": authenticators", len(w.authenticators(in.user)), 0)
		w.is(name+": the link", w.invitationErr(in), nil)
	}
	in, other := w.invited(), w.invited()
	r := w.redemption(in, "new")
	r.Authenticator.UserID = other.user.ID
	if err := w.RedeemInvitation(w.ctx, r); err == nil {
		w.Errorf("redeemed for two users")
	}
}

func invitationEndsWithTheUser(w *world) {
	for name, end := range map[string]func(u *store.User) error{
		"disabled": func(u *store.User) error { return w.DisableUser(w.ctx, u.ID, w.now) },
		"disabled and enabled": func(u *store.User) error {
			w.must(w.DisableUser(w.ctx, u.ID, w.now))
			return w.EnableUser(w.ctx, u.ID)
		},
		"revoked": func(u *store.User) error { return w.RevokeUser(w.ctx, u.ID, "", w.now) },
		"removed": func(u *store.User) error { return w.RemoveUser(w.ctx, u.ID, w.now) },
	} {
		in := w.invited()
		r := w.redemption(in, "new")
		w.must(end(in.user))
		w.is(name, w.invitationErr(in), store.ErrNotFound)
		w.is(name+": redeemed", w.RedeemInvitation(w.ctx, r), store.ErrStale)
		w.count(name+": authenticators", len(w.authenticators(in.user)), 0)
		if open := w.openLink(in.user); open != "" {
			w.Errorf("%s: open: %s", name, open)
		}
	}
	in := w.invited() // and one that is made while the user is disabled works from then on
	w.must(w.DisableUser(w.ctx, in.user.ID, w.now))
	in.link = w.link(in.user)
	w.must(w.InviteAgain(w.ctx, in.link))
	w.is("of a disabled user", w.invitationErr(in), store.ErrNotFound)
	w.must(w.EnableUser(w.ctx, in.user.ID))
	w.is("of a user who was enabled", w.invitationErr(in), nil)
}

func invitationOfWhoHasAnAuthenticator(w *world) {
	in := w.invited()
	w.totp(in.user)
	w.is("the link", w.invitationErr(in), store.ErrNotFound)
	w.is("redeemed", w.RedeemInvitation(w.ctx, w.redemption(in, "new")), store.ErrNotFound)
	w.hasPassword(in.user, "")
	w.count("authenticators", len(w.authenticators(in.user)), 1)
}

func resetUserEndsEverything(w *world) {
	u := w.user()
	a := w.issued(u)
	w.totp(u)
	set, hashes := w.recoverySet(u)
	w.must(w.ReplaceRecoveryCodes(w.ctx, set, hashes))
	in := invitation{u, w.link(u)}
	w.must(w.ResetUser(w.ctx, in.link, false, w.now, store.Event{At: w.now, Type: "reset", UserID: u.ID}))
	w.everythingEnded(a)
	w.hasPassword(u, "")
	w.mayEnroll(u, false)
	w.count("authenticators", len(w.authenticators(u)), 0)
	w.is("its invitation", w.invitationErr(in), nil)
	second := invitation{u, w.link(u)}
	w.must(w.ResetUser(w.ctx, second.link, false, w.now))
	w.is("the invitation of before another reset", w.invitationErr(in), store.ErrNotFound)
	w.is("the other", w.invitationErr(second), nil)
	list, err := w.Events(w.ctx, store.EventQuery{Limit: 1})
	w.must(err)
	if len(list) != 1 || list[0].Type != "reset" {
		w.Errorf("got the event %+v, want that of the reset", list)
	}
}

func resetUserKeepsThePassword(w *world) {
	in := w.keptPassword()
	w.hasPassword(in.user, "old")
	w.mayEnroll(in.user, false) // the password alone enrols nothing
	w.count("authenticators", len(w.authenticators(in.user)), 0)
	r := w.redemption(in, "old")
	r.Invited.OldHash = ""
	w.is("without the password", w.RedeemInvitation(w.ctx, r), store.ErrStale)
	w.is("with it", w.RedeemInvitation(w.ctx, w.redemption(in, "old")), nil)
	w.hasPassword(in.user, "old")
}

// resetUserWhileRedeemed: whichever is first, no authenticator of before the reset
// is left after it.
func resetUserWhileRedeemed(w *world) {
	for range 8 {
		in := w.invited()
		var all [crowd]store.Redemption
		for i := range all {
			all[i] = w.redemption(in, store.NewID())
		}
		fresh := invitation{in.user, w.link(in.user)}
		errs := race(func(i int) error {
			if i == crowd/2 {
				return w.ResetUser(w.ctx, fresh.link, false, w.now)
			}
			return w.RedeemInvitation(w.ctx, all[i])
		})
		w.must(errs[crowd/2])
		if won := w.winners(errs, store.ErrNotFound, store.ErrStale); won > 2 {
			w.Errorf("got %d winners, want the reset and at most one", won)
		}
		w.count("authenticators after the reset", len(w.authenticators(in.user)), 0)
		w.hasPassword(in.user, "")
		w.is("the new invitation", w.invitationErr(fresh), nil)
	}
}

// skip is redemption without a factor.
func (w *world) skip(in invitation, password string) store.Skip {
	w.Helper()
	r := w.redemption(in, password)
	return store.Skip{Invited: r.Invited, Interaction: r.Interaction, Now: w.now, Events: []store.Event{{At: w.now, Type: "skipped", UserID: in.user.ID}}}
}

func invitationSkipped(w *world) {
	in := w.invited()
	k := w.skip(in, "new")
	k.Settle = store.Settle{Reset: []string{"b"}}
	w.attempt(true, store.Bucket{Key: "b", Limit: 9})
	w.must(w.SkipFactor(w.ctx, k))
	w.hasPassword(in.user, "new")
	w.mayEnroll(in.user, true)
	w.count("authenticators", len(w.authenticators(in.user)), 0)
	w.count("failures", w.attempt(true, store.Bucket{Key: "b", Limit: 9}).Failures, 1)
	i, err := w.Interaction(w.ctx, k.Interaction.ID, k.Interaction.BrowserHash, w.now)
	w.must(err)
	if i.Version <= k.Interaction.Version {
		w.Errorf("the interaction has not moved on: %+v", i)
	}
	list, err := w.Events(w.ctx, store.EventQuery{Limit: 1})
	w.must(err)
	if len(list) != 1 || list[0].Type != "skipped" {
		w.Errorf("got the event %+v, want that of it", list)
	}
	w.is("the link afterwards", w.invitationErr(in), store.ErrNotFound)
	again := w.skip(in, "third")
	w.is("again", w.SkipFactor(w.ctx, again), store.ErrStale)
	again.Invited.OldHash = "new"
	w.is("again, with the password of now", w.SkipFactor(w.ctx, again), store.ErrNotFound)
	factor := w.redemption(in, "third")
	factor.Invited.OldHash = "new"
	w.is("and then a factor", w.RedeemInvitation(w.ctx, factor), store.ErrNotFound)
	w.hasPassword(in.user, "new")
}

// invitationSkippedOrRedeemed: of many that do without a factor, or confirm one, at
// once, one wins, and has the password and the factor or the right.
func invitationSkippedOrRedeemed(w *world) {
	in := w.invited()
	var skips [crowd]store.Skip
	var all [crowd]store.Redemption
	for i := range all {
		all[i], skips[i] = w.redemption(in, store.NewID()), w.skip(in, store.NewID())
	}
	errs := race(func(i int) error {
		if i%2 == 0 {
			return w.SkipFactor(w.ctx, skips[i])
		}
		return w.RedeemInvitation(w.ctx, all[i])
	})
	w.count("winners", w.winners(errs, store.ErrNotFound, store.ErrStale), 1)
	for i, err := range errs {
		switch {
		case err != nil:
		case i%2 == 0:
			w.hasPassword(in.user, skips[i].Invited.NewHash)
			w.mayEnroll(in.user, true)
			w.count("authenticators", len(w.authenticators(in.user)), 0)
		default:
			w.hasPassword(in.user, all[i].Invited.NewHash)
			w.mayEnroll(in.user, false)
			w.count("authenticators", len(w.authenticators(in.user)), 2)
		}
	}
}

func invitationSkippedAllOrNothing(w *world) {
	for name, c := range map[string]struct {
		spoil func(in invitation, k *store.Skip)
		want  error
	}{
		"interaction version": {func(_ invitation, k *store.Skip) { k.Interaction.Version-- }, store.ErrStale},
		"password":            {func(_ invitation, k *store.Skip) { k.Invited.OldHash = "another" }, store.ErrStale},
		"epoch":               {func(_ invitation, k *store.Skip) { k.Invited.UserEpoch++ }, store.ErrStale},
		"disabled":            {func(in invitation, _ *store.Skip) { w.must(w.DisableUser(w.ctx, in.user.ID, w.now)) }, store.ErrStale},
		"link gone":           {func(_ invitation, k *store.Skip) { k.Invited.Link = "gone" }, store.ErrNotFound},
		"an authenticator":    {func(in invitation, _ *store.Skip) { w.totp(in.user) }, store.ErrNotFound},
	} {
		in := w.invited()
		k := w.skip(in, "new")
		c.spoil(in, &k)
		w.is(name, w.SkipFactor(w.ctx, k), c.want)
		w.hasPassword(in.user, "")
		w.mayEnroll(in.user, false)
	}
}
