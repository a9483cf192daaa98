package storetest

import (
	"errors"

	"github.com/sallyport-id/sallyport/internal/store"
)

// mailed is a visit whose user gets codes by mail, and has asked for one.
type mailed struct {
	visit
	authenticator store.Authenticator
	mail          store.Mail
}

const mailedAddress = "mina@example.com"

func (w *world) mailed() mailed {
	w.Helper()
	u := w.user()
	w.must(w.SetProfile(w.ctx, u.ID, u.Claims, store.Profile{Email: mailedAddress}, w.now))
	a := store.Authenticator{ID: store.NewID(), UserID: u.ID, Kind: store.KindEmail, Secret: []byte(mailedAddress), CreatedAt: w.now}
	w.must(w.CreateAuthenticator(w.ctx, a, nil))
	m := mailed{visit: w.visit(u), authenticator: a}
	m.mail = store.Mail{
		ID: store.NewID(), Kind: store.MailCodeProof, UserID: u.ID, To: mailedAddress, Locale: "ko", At: w.now,
		Address: "192.0.2.1", Browser: "Firefox", Interaction: m.interaction.ID,
	}
	m.interaction.Progress.MailCode = &store.MailCode{
		ID: m.mail.ID, For: m.mail.Kind, UserID: u.ID, Address: mailedAddress, SentAt: w.now, ExpiresAt: w.now, Mails: 1,
	}
	w.must(w.AskForCode(w.ctx, m.mail, m.interaction))
	return m
}

// use is the right code's, ready to be written.
func (w *world) useMailCode(m mailed) store.MailCodeUse {
	after := *m.interaction
	after.Progress.MailCode = after.Progress.MailCode.Void()
	p := w.add(m.visit)
	p.Proof.Method, p.Proof.Authenticator = store.MethodEmail, m.authenticator.ID
	return store.MailCodeUse{Authenticator: m.authenticator.ID, Address: mailedAddress, Proof: p, Interaction: after}
}

func mailCodeKept(w *world) {
	m := w.mailed()
	i, err := w.Interaction(w.ctx, m.interaction.ID, m.interaction.BrowserHash, w.now)
	w.must(err)
	c := i.Progress.MailCode
	if c == nil || c.ID != m.mail.ID || c.Mails != 1 || !c.SentAt.Equal(w.now) || i.Version != m.interaction.Version {
		w.Errorf("the interaction has the code %+v at version %d, want %+v at %d", c, i.Version, m.interaction.Progress.MailCode, m.interaction.Version)
	}
	found := false
	list, err := w.Mails(w.ctx, 1000)
	w.must(err)
	for _, got := range list {
		if got.ID == m.mail.ID {
			want := m.mail
			want.DueAt = w.now
			got.At, got.DueAt, want.At = want.At, want.DueAt, got.At
			found = got.To == want.To && got.Locale == want.Locale && got.Interaction == want.Interaction && got.Kind == want.Kind && got.Browser == want.Browser
		}
	}
	if !found {
		w.Errorf("the mail of the code is not in the outbox as it was written")
	}
}

func mailCodeAskedBothOrNothing(w *world) {
	m := w.mailed()
	again := m.mail
	again.ID = store.NewID()
	stale := *m.interaction
	stale.Version--
	w.is("an interaction that moved on", w.AskForCode(w.ctx, again, &stale), store.ErrStale)
	list, err := w.Mails(w.ctx, 1000)
	w.must(err)
	for _, got := range list {
		if got.ID == again.ID {
			w.Errorf("its mail was written all the same")
		}
	}
}

func mailCodeUsedOnce(w *world) {
	m := w.mailed()
	errs := race(func(int) error { return w.UseMailCode(w.ctx, w.useMailCode(m)) })
	w.count("winners", w.winners(errs, store.ErrStale), 1)
	s := 0
	for _, err := range errs {
		if errors.Is(err, store.ErrStale) {
			s++
		}
	}
	w.count("losers", s, crowd-1)
	w.is("again", w.UseMailCode(w.ctx, w.useMailCode(m)), store.ErrStale)
	if got := w.authenticators(m.user)[0]; !got.LastUsedAt.Equal(w.now) {
		w.Errorf("last used at %v, want %v", got.LastUsedAt, w.now)
	}
}

func mailCodeMustFit(w *world) {
	other := w.mailed()
	for name, c := range map[string]struct {
		spoil func(m mailed, u *store.MailCodeUse)
		want  error
	}{
		"another's authenticator": {func(_ mailed, u *store.MailCodeUse) { u.Authenticator = other.authenticator.ID }, store.ErrNotFound},
		"another address":         {func(_ mailed, u *store.MailCodeUse) { u.Address = "joon@example.com" }, store.ErrNotFound},
		"another's interaction":   {func(_ mailed, u *store.MailCodeUse) { u.Interaction.ID = "gone" }, store.ErrStale},
		"an older version":        {func(_ mailed, u *store.MailCodeUse) { u.Interaction.Version-- }, store.ErrStale},
		"another's session":       {func(_ mailed, u *store.MailCodeUse) { u.Proof.SessionID = other.session.ID }, store.ErrStale},
		"the session ended":       {func(m mailed, _ *store.MailCodeUse) { w.must(w.EndSession(w.ctx, m.session.ID, w.now)) }, store.ErrStale},
	} {
		m := w.mailed()
		u := w.useMailCode(m)
		c.spoil(m, &u)
		w.is(name, w.UseMailCode(w.ctx, u), c.want)
	}
}

// addressChangeEndsCodes: who has another address gets no code at the old one, and what
// was proven with it has ended.
func addressChangeEndsCodes(w *world) {
	m := w.mailed()
	w.must(w.SetProfile(w.ctx, m.user.ID, m.user.Claims, store.Profile{Name: "Mina", Email: mailedAddress}, w.now))
	w.is("the session with the same address", w.sessionErr(m.session), nil)
	f, t := w.redeemed(w.visit(m.user), true)
	w.must(w.SetProfile(w.ctx, m.user.ID, m.user.Claims, store.Profile{Email: "new@example.com"}, w.now))
	w.is("the session", w.sessionErr(m.session), store.ErrNotFound)
	w.is("the grant "+f.Grant.ID, w.refreshErr(t), store.ErrNotFound)
	w.count("authenticators", len(w.authenticators(m.user)), 1)

	plain := w.visit(w.user())
	w.must(w.SetProfile(w.ctx, plain.user.ID, plain.user.Claims, store.Profile{Email: "new@example.com"}, w.now))
	w.is("the session of somebody without codes", w.sessionErr(plain.session), nil)
}

// addressVerifiedByCode: an authenticator of an address makes it verified; of any other
// address than the account's it is not made.
func addressVerifiedByCode(w *world) {
	for address, want := range map[string]error{mailedAddress: nil, "old@example.com": store.ErrStale, "": store.ErrStale} {
		u := w.user()
		w.must(w.SetProfile(w.ctx, u.ID, u.Claims, store.Profile{Email: mailedAddress}, w.now))
		e := w.enrollment(w.visit(u))
		e.Authenticator.Kind, e.Authenticator.Secret, e.Authenticator.LastStep = store.KindEmail, []byte(address), 0
		w.is("enrol "+address, w.EnrollFirst(w.ctx, e), want)
		u, err := w.User(w.ctx, u.ID)
		w.must(err)
		if u.EmailVerified != (want == nil) {
			w.Errorf("%q: verified is %v", address, u.EmailVerified)
		}
		w.mayEnroll(u, want != nil)
	}
}
