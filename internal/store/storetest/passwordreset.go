package storetest

import (
	"fmt"
	"reflect"
	"time"

	"github.com/sallyport-id/sallyport/internal/store"
)

// reset is a user with an app, recovery codes, and a link to a new password.
type reset struct {
	user  *store.User
	link  *store.Link
	app   store.Authenticator
	set   store.Authenticator
	codes [][]byte
}

// resetLink is half an hour's link for a user, ready to be written.
func (w *world) resetLink(u *store.User) *store.Link {
	l := w.link(u)
	l.Purpose, l.MadeBy, l.Browser, l.ExpiresAt = store.LinkPasswordReset, "", "browser", w.now.Add(30*time.Minute)
	return l
}

func (w *world) forgotten() reset {
	w.Helper()
	r := reset{user: w.user()}
	r.app = w.totp(r.user)
	r.set, r.codes = w.recoverySet(r.user)
	w.must(w.ReplaceRecoveryCodes(w.ctx, r.set, r.codes))
	r.link = w.resetLink(r.user)
	w.must(w.MakePasswordReset(w.ctx, r.link))
	r.user.MayEnroll = false
	return r
}

func (w *world) resetErr(r reset) error {
	_, _, err := w.PasswordReset(w.ctx, r.link.ID, r.link.SecretHash, w.now)
	return err
}

// byApp is a reset with a step of the app, ready to be written.
func (w *world) byApp(r reset, step int64, password string) store.PasswordReset {
	return store.PasswordReset{
		Link: r.link, NewHash: password, Authenticator: r.app.ID, Step: step, Now: w.now,
		Events: []store.Event{{At: w.now, Type: "reset", UserID: r.user.ID}},
	}
}

func passwordResetKept(w *world) {
	r := w.forgotten()
	l, u, err := w.PasswordReset(w.ctx, r.link.ID, r.link.SecretHash, w.now)
	w.must(err)
	if !reflect.DeepEqual(l, r.link) || !reflect.DeepEqual(u, r.user) {
		w.Errorf("got %+v of %+v, want %+v of %+v", l, u, r.link, r.user)
	}
	_, other := store.NewSecret()
	_, _, err = w.PasswordReset(w.ctx, r.link.ID, other, w.now)
	w.is("a wrong secret", err, store.ErrNotFound)
	_, _, err = w.PasswordReset(w.ctx, r.link.ID, r.link.SecretHash, r.link.ExpiresAt)
	w.is("at its end", err, store.ErrNotFound)
	w.is("as an invitation", w.invitationErr(invitation{r.user, r.link}), store.ErrNotFound)
	in := w.invited()
	w.is("an invitation as a reset", w.resetErr(reset{link: in.link}), store.ErrNotFound)
	again := w.resetLink(r.user)
	w.must(w.MakePasswordReset(w.ctx, again))
	w.is("the older one", w.resetErr(r), store.ErrNotFound)
	r.link = again
	w.is("the newer one", w.resetErr(r), nil)
	w.is("ended with a wrong secret", w.EndPasswordReset(w.ctx, r.link.ID, other, w.now), store.ErrNotFound)
	w.is("ended", w.EndPasswordReset(w.ctx, r.link.ID, r.link.SecretHash, w.now), nil)
	w.is("ended again", w.EndPasswordReset(w.ctx, r.link.ID, r.link.SecretHash, w.now), store.ErrNotFound)
	w.is("an ended one", w.resetErr(r), store.ErrNotFound)
}

// passwordResetNeedsAFactor: who has none was never set up, and needs an invitation.
func passwordResetNeedsAFactor(w *world) {
	u := w.user()
	w.is("without a factor", w.MakePasswordReset(w.ctx, w.resetLink(u)), store.ErrNotFound)
	w.withPasskey(u, 0)
	w.is("with a passkey alone", w.MakePasswordReset(w.ctx, w.resetLink(u)), store.ErrNotFound)
	w.totp(u)
	w.is("with an app", w.MakePasswordReset(w.ctx, w.resetLink(u)), nil)
	in := w.invited()
	w.is("with an invitation", w.MakePasswordReset(w.ctx, w.resetLink(in.user)), store.ErrNotFound)
	w.totp(in.user)
	w.is("without a password", w.MakePasswordReset(w.ctx, w.resetLink(in.user)), store.ErrNotFound)
	w.is("of nobody", w.MakePasswordReset(w.ctx, w.resetLink(&store.User{ID: "none"})), store.ErrNotFound)
	r := w.forgotten()
	w.must(w.DisableUser(w.ctx, r.user.ID, w.now))
	w.is("a disabled user's", w.resetErr(r), store.ErrNotFound)
	w.is("a disabled user's, used", w.ResetPassword(w.ctx, w.byApp(r, 1, "new")), store.ErrStale)
	w.is("for a disabled user", w.MakePasswordReset(w.ctx, w.resetLink(r.user)), store.ErrNotFound)
}

func passwordResetOnce(w *world) {
	r := w.forgotten()
	errs := race(func(i int) error { return w.ResetPassword(w.ctx, w.byApp(r, int64(i+1), fmt.Sprint(i))) })
	w.count("resets", w.winners(errs, store.ErrStale, store.ErrNotFound, store.ErrUsed), 1)
	for i, err := range errs {
		if err == nil {
			w.hasPassword(r.user, fmt.Sprint(i))
		}
	}
	w.is("the link", w.resetErr(r), store.ErrNotFound)
	w.count("events", len(w.events()), 1)
}

// passwordResetOrEnded: of a reset and of a stranger's "this was not me" one comes
// first.
func passwordResetOrEnded(w *world) {
	r := w.forgotten()
	errs := race(func(i int) error {
		if i%2 == 0 {
			return w.EndPasswordReset(w.ctx, r.link.ID, r.link.SecretHash, w.now)
		}
		return w.ResetPassword(w.ctx, w.byApp(r, int64(i), "new"))
	})
	w.count("reset or ended", w.winners(errs, store.ErrStale, store.ErrNotFound, store.ErrUsed), 1)
}

func passwordResetAllOrNothing(w *world) {
	r := w.forgotten()
	v := w.visit(r.user)
	other := w.forgotten()
	unchanged := func(what string) {
		w.Helper()
		w.is("the link after "+what, w.resetErr(r), nil)
		w.is("the session after "+what, w.sessionErr(v.session), nil)
		w.hasPassword(r.user, "old")
	}
	with := func(change func(*store.PasswordReset)) store.PasswordReset {
		p := w.byApp(r, 1, "new")
		change(&p)
		return p
	}
	_, hash := store.NewSecret()
	w.is("a code that is none", w.ResetPassword(w.ctx, with(func(p *store.PasswordReset) { p.Authenticator, p.CodeHash = r.set.ID, hash })), store.ErrNotFound)
	unchanged("a code that is none")
	w.is("another's app", w.ResetPassword(w.ctx, with(func(p *store.PasswordReset) { p.Authenticator = other.app.ID })), store.ErrNotFound)
	unchanged("another's app")
	w.is("another's code", w.ResetPassword(w.ctx, with(func(p *store.PasswordReset) { p.Authenticator, p.CodeHash = other.set.ID, other.codes[0] })), store.ErrNotFound)
	unchanged("another's code")
	used := w.add(v)
	w.must(w.UseTOTPStep(w.ctx, r.app.ID, 5, used))
	v.session.SecretHash = used.NewSecretHash
	w.is("a step that was used", w.ResetPassword(w.ctx, w.byApp(r, 5, "new")), store.ErrUsed)
	unchanged("a step that was used")
	forged := *r.link
	forged.SecretHash = hash
	w.is("a wrong secret", w.ResetPassword(w.ctx, with(func(p *store.PasswordReset) { p.Link, p.Step = &forged, 6 })), store.ErrNotFound)
	unchanged("a wrong secret")
	w.is("too late", w.ResetPassword(w.ctx, with(func(p *store.PasswordReset) { p.Now, p.Step = r.link.ExpiresAt, 6 })), store.ErrNotFound)
	unchanged("a link at its end")
	w.is("the step is not spent by that", w.ResetPassword(w.ctx, w.byApp(r, 6, "new")), nil)
	w.hasPassword(r.user, "new")
}

// passwordResetEndsEverything: by a recovery code, which is spent with it.
func passwordResetEndsEverything(w *world) {
	r := w.forgotten()
	v := w.visit(r.user)
	_, tokens := w.redeemed(v, true)
	w.passkeyAlone(r.user, 0)
	p := w.byApp(r, 0, "new")
	p.Authenticator, p.CodeHash = r.set.ID, r.codes[0]
	w.must(w.ResetPassword(w.ctx, p))
	w.hasPassword(r.user, "new")
	w.noneAlone(r.user)
	w.is("session", w.sessionErr(v.session), store.ErrNotFound)
	w.is("access token", w.accessErr(tokens), store.ErrNotFound)
	w.is("refresh token", w.refreshErr(tokens), store.ErrNotFound)
	r.user.Epoch++
	again := w.visit(r.user)
	w.is("the code again", w.UseRecoveryCode(w.ctx, r.set.ID, r.codes[0], w.add(again)), store.ErrUsed)
	other := w.forgotten()
	w.must(w.RevokeUser(w.ctx, other.user.ID, "", w.now))
	w.is("the link of a user whose everything was ended", w.resetErr(other), store.ErrNotFound)
	w.is("and used", w.ResetPassword(w.ctx, w.byApp(other, 1, "new")), store.ErrStale)
}
