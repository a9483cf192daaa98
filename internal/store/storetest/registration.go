package storetest

import (
	"errors"
	"strings"
	"time"

	"github.com/sallyport-id/sallyport/internal/store"
)

// registration is what somebody has done who wants an account, ready to be written.
func (w *world) registration(login, email string) store.Registration {
	w.Helper()
	u := &store.User{
		ID: store.NewID(), Login: login, LoginKey: strings.ToLower(login), Name: "Sora", Email: email, EmailVerified: true,
		PasswordHash: "new", Registered: true, CreatedAt: w.now,
	}
	set, hashes := w.recoverySet(u)
	i := *w.interaction("")
	i.Progress.CodesOf = u.ID
	return store.Registration{
		User:          u,
		Authenticator: store.Authenticator{ID: store.NewID(), UserID: u.ID, Kind: store.KindTOTP, Secret: []byte("sealed"), LastStep: 7, CreatedAt: w.now, LastUsedAt: w.now},
		Recovery:      set, CodeHashes: hashes, Interaction: i, Now: w.now,
		Events: []store.Event{{At: w.now, Type: "registered", UserID: u.ID}},
	}
}

// nothingOf: there is nothing of the account.
func (w *world) nothingOf(what string, r store.Registration) {
	w.Helper()
	_, err := w.User(w.ctx, r.User.ID)
	w.is(what+": the user", err, store.ErrNotFound)
	w.count(what+": authenticators", len(w.authenticators(r.User)), 0)
}

func (w *world) loginTaken(key string, want bool) {
	w.Helper()
	got, err := w.LoginTaken(w.ctx, key)
	w.must(err)
	if got != want {
		w.Errorf("login %s taken: got %v, want %v", key, got, want)
	}
}

func registered(w *world) {
	r := w.registration("Sora", "Sora@example.com")
	_, err := w.UserByEmail(w.ctx, r.User.Email)
	w.is("the address before", err, store.ErrNotFound)
	w.loginTaken("sora", false)
	w.must(w.Register(w.ctx, r))
	w.loginTaken("sora", true)
	u, err := w.User(w.ctx, r.User.ID)
	w.must(err)
	if !u.Registered || !u.EmailVerified || u.MayEnroll || u.PasswordHash != "new" || u.Email != "Sora@example.com" {
		w.Errorf("got %+v", u)
	}
	w.count("authenticators", len(w.authenticators(u)), 2)
	i, err := w.Interaction(w.ctx, r.Interaction.ID, r.Interaction.BrowserHash, w.now)
	w.must(err)
	if i.Version <= r.Interaction.Version {
		w.Errorf("the interaction has not moved on: %+v", i)
	}
	list, err := w.Events(w.ctx, store.EventQuery{Limit: 1})
	w.must(err)
	if len(list) != 1 || list[0].Type != "registered" {
		w.Errorf("got the event %+v, want that of the registration", list)
	}
	if byEmail, err := w.UserByEmail(w.ctx, "SORA@EXAMPLE.COM"); err != nil || byEmail.ID != u.ID {
		w.Errorf("by the address: got %v, %v", byEmail, err)
	}
	w.must(w.RemoveUser(w.ctx, u.ID, w.now))
	_, err = w.UserByEmail(w.ctx, r.User.Email)
	w.is("the address of somebody who was removed", err, store.ErrNotFound)
	w.loginTaken("sora", true)
	w.is("the login of somebody who was removed", w.Register(w.ctx, w.registration("sora", "sora@example.com")), store.ErrUsed)
	w.is("the address alone", w.Register(w.ctx, w.registration("sora2", "sora@example.com")), nil)
	if u, err := w.User(w.ctx, w.user().ID); err != nil || u.Registered {
		w.Errorf("somebody whom an operator registered: %+v, %v", u, err)
	}
}

// registeredByOne: of many at once one has the address, and one the login.
func registeredByOne(w *world) {
	for name, of := range map[string]func(i int) (login, email string){
		"one address": func(i int) (string, string) { return store.NewID(), "Jiu@example.com" },
		"one login":   func(i int) (string, string) { return "jiu", store.NewID() + "@example.com" },
		"both":        func(i int) (string, string) { return "yuna", "yuna@example.com" },
	} {
		var all [crowd]store.Registration
		for i := range all {
			login, email := of(i)
			if i%2 == 0 {
				email = strings.ToUpper(email)
			}
			all[i] = w.registration(login, email)
		}
		errs := race(func(i int) error { return w.Register(w.ctx, all[i]) })
		w.count(name+": winners", w.winners(errs, store.ErrUsed), 1)
		for i, err := range errs {
			if err != nil {
				w.nothingOf(name, all[i])
			}
		}
	}
}

func registeredAllOrNothing(w *world) {
	taken := w.user()
	w.must(w.SetProfile(w.ctx, taken.ID, nil, store.Profile{Email: "Taken@Example.com"}, w.now))
	for name, c := range map[string]struct {
		spoil func(r *store.Registration)
		want  error
	}{
		"interaction version": {func(r *store.Registration) { r.Interaction.Version-- }, store.ErrStale},
		"interaction gone":    {func(r *store.Registration) { r.Interaction.ID = "gone" }, store.ErrStale},
		"interaction expired": {func(r *store.Registration) { r.Now = r.Interaction.ExpiresAt }, store.ErrStale},
		"login":               {func(r *store.Registration) { r.User.LoginKey = taken.LoginKey }, store.ErrUsed},
		"address":             {func(r *store.Registration) { r.User.Email = "taken@example.com" }, store.ErrUsed},
	} {
		r := w.registration(store.NewID(), store.NewID()+"@example.com")
		c.spoil(&r)
		w.is(name, w.Register(w.ctx, r), c.want)
		w.nothingOf(name, r)
	}
	r := w.registration("rin", "rin@example.com")
	r.Recovery.UserID = taken.ID
	if err := w.Register(w.ctx, r); err == nil || errors.Is(err, store.ErrUsed) {
		w.Errorf("registered for two users: %v", err)
	}
	r = w.registration("rin", "rin@example.com")
	r.Authenticator.Kind, r.Authenticator.Credential = store.KindWebAuthn, &store.Credential{ID: []byte("one key"), Record: []byte("{}")}
	w.must(w.Register(w.ctx, r))
	again := w.registration("ren", "ren@example.com")
	again.Authenticator.Kind, again.Authenticator.Credential = store.KindWebAuthn, r.Authenticator.Credential
	w.is("a credential of somebody else", w.Register(w.ctx, again), store.ErrExists)
	w.nothingOf("a credential of somebody else", again)
}

// registrationBegun: the interaction, and the mail that it waits for, or neither.
func registrationBegun(w *world) {
	mail := func(id string) store.Mail {
		return store.Mail{ID: id, Kind: store.MailCodeRegister, To: "sora@example.com", Locale: "ko", At: w.now, Interaction: "i"}
	}
	_, browser := store.NewSecret()
	i := &store.Interaction{ID: store.NewID(), BrowserHash: browser, Version: 1, CreatedAt: w.now, ExpiresAt: w.now.Add(time.Minute)}
	w.must(w.BeginRegistration(w.ctx, mail("first"), i))
	w.is("an interaction that is there", w.BeginRegistration(w.ctx, mail("second"), i), store.ErrExists)
	_, err := w.Interaction(w.ctx, i.ID, browser, w.now)
	w.must(err)
	mails, err := w.Mails(w.ctx, 10)
	w.must(err)
	if len(mails) != 1 || mails[0].ID != "first" || mails[0].To != "sora@example.com" || mails[0].Locale != "ko" || mails[0].UserID != "" {
		w.Errorf("got the mails %+v", mails)
	}
}
