package storetest

import (
	"reflect"
	"time"

	"github.com/sallyport-id/sallyport/internal/store"
)

// change is one by the visit's user, ready to be written.
func (w *world) change(v visit) store.Change {
	w.Helper()
	u, err := w.User(w.ctx, v.user.ID)
	w.must(err)
	return store.Change{UserID: u.ID, UserEpoch: u.Epoch, SessionID: v.session.ID, Interaction: *v.interaction, Now: w.now}
}

// addition is a further app of the visit's user, ready to be written.
func (w *world) addition(v visit) store.Addition {
	id := store.NewID()
	p := w.add(v)
	p.Proof.Authenticator = id
	return store.Addition{
		Authenticator: store.Authenticator{ID: id, UserID: v.user.ID, Kind: store.KindTOTP, Name: "new", Secret: []byte("sealed"), LastStep: 7, CreatedAt: w.now, LastUsedAt: w.now},
		Proof:         p,
	}
}

// changes are all verbs of a user's own account, by name, each as it succeeds.
func (w *world) changes(v visit) map[string]func(c store.Change) error {
	w.Helper()
	other, app, spare := w.visit(v.user), w.totp(v.user), w.totp(v.user)
	set, hashes := w.recoverySet(v.user)
	w.allowed(v, "shop")
	return map[string]func(c store.Change) error{
		"add": func(c store.Change) error {
			a := w.addition(v)
			a.Proof.SessionID = c.SessionID
			return w.AddAuthenticator(w.ctx, c, a)
		},
		"remove":   func(c store.Change) error { return w.RemoveAuthenticator(w.ctx, c, app.ID, store.KindTOTP) },
		"rename":   func(c store.Change) error { return w.RenameAuthenticator(w.ctx, c, spare.ID, "x") },
		"codes":    func(c store.Change) error { return w.RenewRecoveryCodes(w.ctx, c, set, hashes) },
		"password": func(c store.Change) error { return w.ChangePassword(w.ctx, c, "old", "new", store.Settle{}) },
		"session":  func(c store.Change) error { return w.EndOwnSession(w.ctx, c, other.session.ID) },
		"others":   func(c store.Change) error { return w.EndOthers(w.ctx, c) },
		"consent":  func(c store.Change) error { return w.RevokeConsent(w.ctx, c, "shop") },
		"locale":   func(c store.Change) error { return w.SetLocale(w.ctx, c, "ko") },
	}
}

// allowed remembers that the user allowed a client for good, and returns tokens of it.
func (w *world) allowed(v visit, client string) store.Tokens {
	w.Helper()
	f := w.finish(visit{v.user, v.session, w.interaction(v.session.ID)}, true)
	f.Grant.ClientID, f.Code.ClientID = client, client
	f.Consent = &store.Consent{UserID: v.user.ID, ClientID: client, Scope: []string{"openid"}, UpdatedAt: w.now, ClientHash: []byte("hash")}
	w.must(w.FinishInteraction(w.ctx, f))
	t := w.tokens(f.Grant.ID)
	w.must(w.redeem(f, t))
	return t
}

// accountChangeHangsOnWhatWasDecidedOn: every verb, and of one that is refused
// nothing is left.
func accountChangeHangsOnWhatWasDecidedOn(w *world) {
	for name, spoil := range map[string]func(v visit, c *store.Change){
		"interaction version":    func(_ visit, c *store.Change) { c.Interaction.Version-- },
		"interaction gone":       func(_ visit, c *store.Change) { c.Interaction.ID = "gone" },
		"interaction expired":    func(v visit, c *store.Change) { c.Now = v.interaction.ExpiresAt },
		"epoch":                  func(_ visit, c *store.Change) { c.UserEpoch-- },
		"session gone":           func(_ visit, c *store.Change) { c.SessionID = "gone" },
		"another user's session": func(_ visit, c *store.Change) { c.SessionID = w.visit(w.user()).session.ID },
		"session ended":          func(v visit, _ *store.Change) { w.must(w.EndSession(w.ctx, v.session.ID, w.now)) },
		"everything ended":       func(v visit, _ *store.Change) { w.must(w.RevokeUser(w.ctx, v.user.ID, "", w.now)) },
		"the user is disabled":   func(v visit, _ *store.Change) { w.must(w.DisableUser(w.ctx, v.user.ID, w.now)) },
	} {
		for verb := range w.changes(w.visit(w.user())) {
			v := w.visit(w.user())
			do, c := w.changes(v)[verb], w.change(v)
			spoil(v, &c)
			before := w.authenticators(v.user)
			c.Events = []store.Event{{At: w.now, Type: "never", UserID: v.user.ID}}
			w.is(verb+": "+name, do(c), store.ErrStale)
			if after := w.authenticators(v.user); !reflect.DeepEqual(after, before) {
				w.Errorf("%s: %s: the authenticators have changed", verb, name)
			}
			if u, err := w.User(w.ctx, v.user.ID); err != nil || u.PasswordHash != "old" || u.Locale != "" {
				w.Errorf("%s: %s: the user has changed", verb, name)
			}
			for _, e := range w.events() {
				if e.Type == "never" {
					w.Errorf("%s: %s: has an event", verb, name)
				}
			}
		}
	}
}

// accountChangeEndsEverythingElse: those of a password or an authenticator.
func accountChangeEndsEverythingElse(w *world) {
	for _, verb := range []string{"add", "remove", "codes", "password", "others"} {
		u := w.user()
		other, v := w.issued(u), w.visit(u)
		do := w.changes(v)[verb]
		w.must(do(w.change(v)))
		w.everythingEnded(other)
		now, err := w.User(w.ctx, u.ID)
		w.must(err)
		w.count(verb+": epoch", int(now.Epoch), 1)
		if verb != "add" { // which has changed its secret
			w.count(verb+": the session's epoch", int(w.reload(v).UserEpoch), 1)
		}
		w.is(verb+": the interaction goes on", w.interactionErr(v.interaction), nil)
	}
	for _, verb := range []string{"rename", "session", "consent", "locale"} {
		u := w.user()
		other, v := w.issued(u), w.visit(u)
		do := w.changes(v)[verb]
		w.must(do(w.change(v)))
		w.is(verb+": another session", w.sessionErr(other.session), nil)
	}
}

// accountChangeOnce: of many with one version of the interaction.
func accountChangeOnce(w *world) {
	for verb := range w.changes(w.visit(w.user())) {
		v := w.visit(w.user())
		do, c := w.changes(v)[verb], w.change(v)
		errs := race(func(int) error { return do(c) })
		w.count(verb+": winners", w.winners(errs, store.ErrStale, store.ErrNotFound), 1)
	}
}

func addAuthenticatorIsNoFirst(w *world) {
	v := w.visit(w.user())
	w.is("a first one", w.AddAuthenticator(w.ctx, w.change(v), w.addition(v)), store.ErrUsed)
	w.mayEnroll(v.user, true)
	off := store.Authenticator{ID: store.NewID(), UserID: v.user.ID, Kind: store.KindTOTP, Secret: []byte("s"), Disabled: true, CreatedAt: w.now}
	w.must(w.CreateAuthenticator(w.ctx, off, nil))
	w.is("beside a disabled one", w.AddAuthenticator(w.ctx, w.change(v), w.addition(v)), store.ErrUsed)
	w.totp(v.user)
	a := w.addition(v)
	w.must(w.AddAuthenticator(w.ctx, w.change(v), a))
	w.count("authenticators", len(w.authenticators(v.user)), 3)
	if !*a.Proof.Rotated {
		w.Errorf("the secret was not rotated")
	}
	v.session.SecretHash = a.Proof.NewSecretHash
	w.count("proofs", len(w.reload(v).Proofs), 2)
	w.is("step of the confirming code", w.UseTOTPStep(w.ctx, a.Authenticator.ID, 7, w.add(v)), store.ErrUsed)
}

// lastAuthenticatorStays, though each is taken to be removed from a session of its
// own, and all at once.
func lastAuthenticatorStays(w *world) {
	u := w.user()
	var visits [crowd]visit
	var changes [crowd]store.Change
	var apps [crowd]store.Authenticator
	set, hashes := w.recoverySet(u)
	w.must(w.ReplaceRecoveryCodes(w.ctx, set, hashes))
	for i := range visits {
		visits[i], apps[i] = w.visit(u), w.totp(u)
	}
	for i := range changes {
		changes[i] = w.change(visits[i])
	}
	errs := race(func(i int) error { return w.RemoveAuthenticator(w.ctx, changes[i], apps[i].ID, store.KindTOTP) })
	w.count("winners", w.winners(errs, store.ErrStale), 1)
	v := w.visit(w.mustUser(u.ID))
	for _, a := range w.authenticators(u) {
		want := error(nil)
		switch {
		case a.Kind == store.KindRecovery:
			want = store.ErrNotFound
		case len(w.authenticators(u)) == 2:
			want = store.ErrUsed
		}
		w.is("remove", w.RemoveAuthenticator(w.ctx, w.change(v), a.ID, store.KindTOTP, store.KindWebAuthn), want)
		if want == nil {
			v.interaction.Version++
		}
	}
	w.count("left", len(w.authenticators(u)), 2)
}

// removeAuthenticatorLeavesWhatIsNeeded: the kind, and one that is not disabled.
func removeAuthenticatorLeavesWhatIsNeeded(w *world) {
	v := w.visit(w.user())
	app := w.totp(v.user)
	off := store.Authenticator{ID: store.NewID(), UserID: v.user.ID, Kind: store.KindTOTP, Secret: []byte("s"), Disabled: true, CreatedAt: w.now}
	w.must(w.CreateAuthenticator(w.ctx, off, nil))
	w.is("but a disabled one", w.RemoveAuthenticator(w.ctx, w.change(v), app.ID, store.KindTOTP), store.ErrUsed)
	w.totp(v.user)
	w.is("of another kind", w.RemoveAuthenticator(w.ctx, w.change(v), app.ID, store.KindWebAuthn), store.ErrUsed)
	w.is("another user's", w.RemoveAuthenticator(w.ctx, w.change(v), w.totp(w.user()).ID, store.KindTOTP), store.ErrNotFound)
	w.is("another user's name", w.RenameAuthenticator(w.ctx, w.change(v), w.totp(w.user()).ID, "x"), store.ErrNotFound)
	w.is("another user's session", w.EndOwnSession(w.ctx, w.change(v), w.visit(w.user()).session.ID), store.ErrNotFound)
	w.is("the session itself", w.EndOwnSession(w.ctx, w.change(v), v.session.ID), store.ErrNotFound)
	w.is("the right kind", w.RemoveAuthenticator(w.ctx, w.change(v), app.ID, store.KindTOTP, store.KindWebAuthn), nil)
}

func renewedCodesAreTheOnlyOnes(w *world) {
	v := w.visit(w.user())
	old, oldHashes := w.recoverySet(v.user)
	w.must(w.ReplaceRecoveryCodes(w.ctx, old, oldHashes))
	set, hashes := w.recoverySet(v.user)
	w.must(w.RenewRecoveryCodes(w.ctx, w.change(v), set, hashes))
	w.is("an old code", w.UseRecoveryCode(w.ctx, old.ID, oldHashes[0], w.add(v)), store.ErrNotFound)
	w.is("a new one", w.UseRecoveryCode(w.ctx, set.ID, hashes[0], w.add(v)), nil)
}

func changePasswordComparesTheOld(w *world) {
	v := w.visit(w.user())
	w.passkeyAlone(v.user, 0)
	w.is("another old one", w.ChangePassword(w.ctx, w.change(v), "older", "new", store.Settle{}), store.ErrStale)
	w.must(w.ChangePassword(w.ctx, w.change(v), "old", "new", store.Settle{}))
	if got := w.mustUser(v.user.ID).PasswordHash; got != "new" {
		w.Errorf("got %q, want new", got)
	}
	w.noneAlone(v.user)
}

// noneAlone checks that no passkey of the user is a way in without the password.
func (w *world) noneAlone(u *store.User) {
	w.Helper()
	for _, a := range w.authenticators(u) {
		if a.Credential != nil && a.Credential.Alone {
			w.Errorf("%s is a way in alone", a.ID)
		}
	}
}

func revokeConsentEndsItsGrants(w *world) {
	v, other := w.visit(w.user()), w.visit(w.user())
	shop, forum, others := w.allowed(v, "shop"), w.allowed(v, "forum"), w.allowed(other, "shop")
	asked := w.interaction(v.session.ID)
	w.must(w.RevokeConsent(w.ctx, w.change(v), "shop"))
	w.is("access token", w.accessErr(shop), store.ErrNotFound)
	w.is("refresh token", w.refreshErr(shop), store.ErrNotFound)
	w.is("another client's", w.refreshErr(forum), nil)
	w.is("another user's", w.refreshErr(others), nil)
	w.is("interaction of the client", w.interactionErr(asked), store.ErrNotFound)
	list, err := w.UserClients(w.ctx, v.user.ID, w.now)
	w.must(err)
	want := []store.UserClient{{ClientID: "forum", Scope: []string{"openid"}, AllowedAt: w.now, LastGrant: w.now, Stays: true}}
	if !reflect.DeepEqual(list, want) {
		w.Errorf("got %+v, want %+v", list, want)
	}
}

func userClientsAreLive(w *world) {
	v := w.visit(w.user())
	w.is("nothing to take back", w.RevokeConsent(w.ctx, w.change(v), "shop"), store.ErrNotFound)
	has := func(what string, now time.Time, want ...store.UserClient) {
		w.Helper()
		list, err := w.UserClients(w.ctx, v.user.ID, now)
		w.must(err)
		if !reflect.DeepEqual(list, want) {
			w.Errorf("%s: got %+v, want %+v", what, list, want)
		}
	}
	has("nothing", w.now)
	w.redeemed(w.visit(w.user()), true) // another user's
	w.redeemed(v, false)
	has("in a session", w.now, store.UserClient{ClientID: "shop", LastGrant: w.now})
	has("after it", v.session.ExpiresAt)
	v.interaction = w.interaction(v.session.ID)
	_, t := w.redeemed(v, true)
	stays := store.UserClient{ClientID: "shop", LastGrant: w.now, Stays: true}
	has("that stays", w.now, stays)
	has("until it cannot be refreshed", t.Refresh.ExpiresAt)
	v.interaction = w.interaction(v.session.ID)
	w.must(w.RevokeConsent(w.ctx, w.change(v), "shop"))
	has("taken back, where nothing was allowed for good", w.now)
	w.is("its token", w.refreshErr(t), store.ErrNotFound)
}

func userSessionsAreLive(w *world) {
	u := w.user()
	first := w.newSession(u, "")
	first.UserAgent, first.Address = "Firefox", "192.0.2.1"
	w.must(w.StartSession(w.ctx, first, "", "", store.Settle{}))
	ended, old := w.newSession(u, ""), w.newSession(u, "")
	old.ExpiresAt = w.now
	for _, s := range []*store.Session{ended, old} {
		w.must(w.StartSession(w.ctx, s, "", "", store.Settle{}))
	}
	w.must(w.EndSession(w.ctx, ended.ID, w.now))
	w.visit(w.user())
	list, err := w.UserSessions(w.ctx, u.ID, w.now)
	w.must(err)
	if len(list) != 1 || list[0].ID != first.ID || list[0].UserAgent != "Firefox" || list[0].Address != "192.0.2.1" || !list[0].CreatedAt.Equal(w.now) {
		w.Errorf("got %+v, want the first alone", list)
	}
}
