package sallyport_test

import (
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/descope/virtualwebauthn"

	"github.com/sallyport-id/sallyport"
	"github.com/sallyport-id/sallyport/internal/store"
)

// account takes somebody with a TOTP to the changes of the own account, a step of the
// app after any before.
func (b *browser) account(p person) *view {
	b.t.Helper()
	b.clock.advance(30 * time.Second)
	v := b.get("/account").mustStep("login", 200)
	return b.signIn(p, v).mustStep("manage", 200)
}

func (r *rig) factors(userID string) []store.Authenticator {
	r.t.Helper()
	list, err := r.Store().Authenticators(r.t.Context(), userID)
	r.must(err)
	return list
}

func (r *rig) factor(userID string, kind store.AuthenticatorKind) store.Authenticator {
	r.t.Helper()
	list := r.factors(userID)
	i := slices.IndexFunc(list, func(a store.Authenticator) bool { return a.Kind == kind })
	if i < 0 {
		r.t.Fatalf("no %s among %+v", kind, list)
	}
	return list[i]
}

// addsApp adds a second app.
func (b *browser) addsApp(v *view, name string) (*view, []byte) {
	b.t.Helper()
	v = b.get(v.page()+"?add=totp").mustStep("manage", 200)
	secret := shownKey(b.t, v)
	return b.answer(v, "enroll", "code", b.code(secret, 0), "name", name).mustStep("manage", 200), secret
}

// TestAccount: everything that a user changes of the own account, one after the other.
func TestAccount(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	phone, b := r.browser(), r.browser()
	phone.signIn(r.mina, phone.authorize("web")).mustCode()
	v := b.account(r.mina)
	if v = b.get("/account"); v.step() != "account" || strings.Contains(v.body, "/rename") || !strings.Contains(v.body, "Authenticator app") {
		t.Fatalf("the account as one looks at it (%d):\n%s", v.status, v.body)
	}
	r.clock.advance(30 * time.Second)
	v = b.post("/account", v.fields("account"))
	v = b.signIn(r.mina, v).mustStep("manage", 200)

	if len(regexp.MustCompile(`/end_session"`).FindAllString(v.body, -1)) != 1 {
		t.Errorf("want one other session to sign out:\n%s", v.body)
	}
	v = b.answer(v, "end_session").mustStep("manage", 200)
	phone.authorize("web").mustStep("login", 200)

	v, second := b.addsApp(v, " Tablet\x00 ")
	if !strings.Contains(v.body, "<bdi>Tablet</bdi>") {
		t.Errorf("the name is not on the page:\n%s", v.body)
	}
	k := r.passkey(virtualwebauthn.AuthenticatorOptions{})
	v = b.get(v.page()+"?add=webauthn").mustStep("manage", 200)
	v = b.answer(v, "register", "answer", k.register(v), "name", "Key").mustStep("manage", 200)
	key := r.factor(r.mina.id, store.KindWebAuthn)
	v = b.answer(v, "rename", "id", key.ID, "name", "Blue key").mustStep("manage", 200)
	if !strings.Contains(v.body, "<bdi>Blue key</bdi>") || key.Name != "Key" {
		t.Errorf("got %q, not renamed:\n%s", key.Name, v.body)
	}

	v = b.answer(v, "codes").mustStep("save_codes", 200)
	fresh := regexp.MustCompile(`<li><code>([^<]+)</code>`).FindAllStringSubmatch(v.body, -1)
	v = b.answer(v, "saved", "saved", "1").mustStep("manage", 200)
	v = b.answer(v, "new_password", "password", "another long passphrase", "again", "another long passphrase").mustStep("manage", 200)
	v = b.answer(v, "language", "locale", "ko").mustStep("manage", 200)
	if !strings.Contains(v.body, `<html lang="ko">`) {
		t.Error("the page is not in the language that was chosen")
	}
	v = b.answer(v, "remove", "id", r.factors(r.mina.id)[0].ID).mustStep("manage", 200)
	if v = b.answer(v, "cancel"); v.path != "/account" || v.step() != "account" {
		t.Fatalf("done leads to %s:\n%s", v.path, v.body)
	}

	// What was changed is so for others.
	mina := r.mina
	old := r.browser()
	old.answer(old.authorize("web"), "password", "username", "mina", "password", mina.password).mustStep("login", 422)
	mina.password, mina.totp = "another long passphrase", second
	r.clock.advance(30 * time.Second)
	other := r.browser()
	at := other.atPasskey(mina)
	other.answer(other.get(at.page()+"?method=totp"), "totp", "code", r.code(mina.totp, 0)).mustCode()
	again := r.browser()
	at = again.atPasskey(mina)
	again.recover(at, mina.recovery[0]).mustStep("second_factor", 422)
	again.recover(at, fresh[0][1]).mustCode()
	with := r.browser()
	at = with.get(with.atPasskey(mina).page() + "?method=webauthn")
	if got := proven(t, r.redeem("web", with.answer(at, "webauthn", "answer", k.sign(at)).mustCode())); !strings.HasPrefix(got, "phr") {
		t.Errorf("got %s with the new passkey elsewhere, want phr", got)
	}
}

// everyChange is every answer at the step manage, with fields that would do.
func (r *rig) everyChange(v *view) map[string]url.Values {
	r.t.Helper()
	all := map[string]url.Values{}
	for action, typed := range map[string][]string{
		"rename": {"name", "Mine"}, "remove": nil, "codes": nil, "new_password": {"password", "another long passphrase", "again", "another long passphrase"},
		"end_others": nil, "end_session": nil, "revoke": nil, "end_device": nil, "language": {"locale", "ko"},
		"enroll": {"code", "123456"}, "register": {"answer", "{}"},
	} {
		fields := v.fields("cancel")
		for i := 0; i < len(typed); i += 2 {
			fields.Set(typed[i], typed[i+1])
		}
		all[action] = fields
	}
	return all
}

// unchanged complains if anything of the account is other than before f.
func (r *rig) unchanged(p person, what string, f func()) {
	r.t.Helper()
	before, factors := r.user(p.login), r.factors(p.id)
	f()
	after := r.user(p.login)
	for i, a := range r.factors(p.id) {
		if a.ID != factors[i].ID || a.Name != factors[i].Name {
			r.t.Errorf("%s: the authenticators have changed", what)
		}
	}
	if after.PasswordHash != before.PasswordHash || after.Epoch != before.Epoch || after.Locale != before.Locale || len(factors) != len(r.factors(p.id)) {
		r.t.Errorf("%s: the account has changed", what)
	}
}

// TestRule5AccountNeedsProofsOfItsOwn: neither a session with both factors, nor a tab
// that was left open, nor another's session, nor one that has ended changes anything.
func TestRule5AccountNeedsProofsOfItsOwn(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	b := r.browser()
	b.signIn(r.mina, b.authorize("web")).mustCode()
	looks := b.get("/account")
	locked := b.post("/account", looks.fields("account")).mustStep("login", 200)
	half := b.answer(locked, "password", "username", "mina", "password", r.mina.password).mustStep("second_factor", 200)
	for _, v := range []*view{locked, half} {
		for action, fields := range r.everyChange(v) {
			fields.Set("step", "manage")
			r.unchanged(r.mina, action+" at "+v.step(), func() {
				if got := b.post(v.page()+"/"+action, fields); got.step() == "manage" {
					t.Errorf("%s at %s: manages", action, v.step())
				}
			})
		}
	}
	r.clock.advance(30 * time.Second)
	v := b.answer(b.get(half.page()).mustStep("second_factor", 200), "totp", "code", r.code(r.mina.totp, 0)).mustStep("manage", 200)

	joon := r.browser()
	joon.get("/account")
	for action, fields := range r.everyChange(v) {
		r.unchanged(r.mina, action+" in another browser", func() { joon.post(v.page()+"/"+action, fields) })
		wrong := url.Values{}
		for name, values := range fields {
			wrong[name] = values
		}
		wrong.Set("csrf", "x")
		r.unchanged(r.mina, action+" without the token", func() { b.post(v.page()+"/"+action, wrong).mustStep("manage", http.StatusConflict) })
		wrong.Set("csrf", fields.Get("csrf"))
		wrong.Set("version", "99")
		r.unchanged(r.mina, action+" of another page", func() { b.post(v.page()+"/"+action, wrong).mustStep("manage", http.StatusConflict) })
	}
	parked := r.everyChange(v)
	r.clock.advance(16 * time.Minute)
	for action, fields := range parked {
		r.unchanged(r.mina, action+" in a tab left open", func() {
			if got := b.post(v.page()+"/"+action, fields); got.status != http.StatusGone {
				t.Errorf("%s in a tab left open: got %d, want 410", action, got.status)
			}
		})
	}
	v = b.account2(r.mina)
	fields := r.everyChange(v)
	r.must(r.Store().EndSession(t.Context(), r.sessionOf(b), r.clock.Now()))
	for action, fields := range fields {
		r.unchanged(r.mina, action+" after the session", func() { b.post(v.page()+"/"+action, fields) })
	}
}

// account2 is account for a browser that is signed in.
func (b *browser) account2(p person) *view {
	b.t.Helper()
	b.clock.advance(30 * time.Second)
	return b.signIn(p, b.post("/account", b.get("/account").fields("account"))).mustStep("manage", 200)
}

// sessionOf is the id of the browser's session.
func (r *rig) sessionOf(b *browser) string {
	id, _, _ := strings.Cut(b.session().Value, ".")
	return id
}

// TestAccountOfSomebodyElse: ids of another user's in the forms change nothing.
func TestAccountOfSomebodyElse(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	other := r.joonWithTOTP()
	theirs := r.browser()
	theirs.signIn(other, theirs.authorize("web")).mustCode()
	app := r.factor(other.id, store.KindTOTP)
	b := r.browser()
	v := b.account(r.mina)
	b.addsApp(v, "Tablet")
	for action, id := range map[string]string{"rename": app.ID, "remove": app.ID, "end_session": r.sessionOf(theirs), "revoke": "asks", "end_device": "01x"} {
		r.unchanged(other, action, func() {
			fields := b.get(v.page()).mustStep("manage", 200).fields("cancel")
			fields.Set("id", id)
			fields.Set("name", "Mine")
			b.post(v.page()+"/"+action, fields).mustStep("manage", 200)
		})
	}
	theirs.authorize("web").mustCode()
}

// TestLastFactorStays: the only one, and the only one that the policy takes.
func TestLastFactorStays(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	b := r.browser()
	v := b.account(r.mina)
	if strings.Contains(v.body, "/remove") || !strings.Contains(v.body, "only one second factor") {
		t.Errorf("the only factor can be removed, or nothing warns:\n%s", v.body)
	}
	for _, a := range r.factors(r.mina.id) {
		fields := b.get(v.page()).fields("cancel")
		fields.Set("id", a.ID)
		r.unchanged(r.mina, string(a.Kind), func() { b.post(v.page()+"/remove", fields) })
	}
}

// TestRule2AccountNeedsAllThatItCanProve: where there is a passkey a code is not
// enough, and with the password alone nobody gets anywhere.
func TestRule2AccountNeedsAllThatItCanProve(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	k := r.passkey(virtualwebauthn.AuthenticatorOptions{})
	b := r.browser()
	v := b.account(r.mina)
	v = b.get(v.page() + "?add=webauthn")
	b.answer(v, "register", "answer", k.register(v)).mustStep("manage", 200)

	thief := r.browser()
	v = thief.get("/account").mustStep("login", 200)
	v = thief.answer(v, "password", "username", "mina", "password", r.mina.password).mustStep("second_factor", 200)
	if strings.Contains(v.body, "method=totp") || strings.Contains(v.body, "method=recovery") {
		t.Errorf("a code is offered to an account that has a passkey:\n%s", v.body)
	}
	thief.get(v.page()+"?add=totp").mustStep("second_factor", 200)
	thief.answer(v, "webauthn", "answer", k.sign(v)).mustStep("manage", 200)
}

// TestRule2PasskeyAddedHereCountsAsACode: in the session that added it.
func TestRule2PasskeyAddedHereCountsAsACode(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	k := r.passkey(virtualwebauthn.AuthenticatorOptions{})
	b := r.browser()
	v := b.get("/account").mustStep("login", 200)
	v = b.answer(v, "password", "username", "mina", "password", r.mina.password).mustStep("second_factor", 200)
	v = b.recover(v, r.mina.recovery[0]).mustStep("manage", 200)
	v = b.get(v.page() + "?add=webauthn")
	v = b.answer(v, "register", "answer", k.register(v)).mustStep("manage", 200)
	if got := proven(t, r.redeem("web", b.authorize("web").mustCode())); strings.HasPrefix(got, "phr") {
		t.Errorf("got %s where the passkey was added with a recovery code", got)
	}
	v = b.get(v.page())
	v = b.answer(v, "codes").mustStep("save_codes", 200)
	b.answer(v, "saved", "saved", "1").mustStep("manage", 200)
}

// TestRule6OwnChangeEndsEverythingElse: sessions and offline access, and what was
// issued with an authenticator that is removed.
func TestRule6OwnChangeEndsEverythingElse(t *testing.T) {
	t.Parallel()
	for _, change := range []string{"add", "remove", "codes", "new_password", "end_others"} {
		t.Run(change, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			b, phone := r.browser(), r.browser()
			v := b.account(r.mina)
			if change == "remove" {
				v, _ = b.addsApp(v, "Tablet")
			}
			r.clock.advance(30 * time.Second)
			code := phone.signIn(r.mina, phone.authorize("asks", "scope", "openid offline_access", "prompt", "consent")).mustStep("consent", 200)
			issued := r.redeem("asks", phone.answer(code, "consent", "decision", "allow").mustCode())
			v = b.get(v.page()).mustStep("manage", 200)
			switch change {
			case "add":
				b.addsApp(v, "Tablet")
			case "remove":
				b.answer(v, "remove", "id", r.factors(r.mina.id)[0].ID)
			case "new_password":
				b.answer(v, "new_password", "password", "another long passphrase", "again", "another long passphrase").mustStep("manage", 200)
			default:
				b.answer(v, change)
			}
			if got := r.token("asks", url.Values{"grant_type": {"refresh_token"}, "refresh_token": {issued.Refresh}}); got.Error != "invalid_grant" {
				t.Errorf("refresh after it: %+v, want invalid_grant", got)
			}
			if status, _ := r.userinfo(issued.Access); status != http.StatusUnauthorized {
				t.Errorf("userinfo after it: %d, want 401", status)
			}
			phone.authorize("web").mustStep("login", 200)
			b.authorize("web").mustCode()
		})
	}
}

// TestAccountPassword: the rules of new passwords.
func TestAccountPassword(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	b := r.browser()
	v := b.account(r.mina)
	for typed, want := range map[string]string{"short": "too short", "password123": "most common", "": "still empty"} {
		r.unchanged(r.mina, typed, func() {
			got := b.answer(b.get(v.page()), "new_password", "password", typed, "again", typed).mustStep("manage", http.StatusUnprocessableEntity)
			if !strings.Contains(got.body, want) {
				t.Errorf("%q: no %q on the page", typed, want)
			}
		})
	}
	r.unchanged(r.mina, "not the same", func() {
		b.answer(b.get(v.page()), "new_password", "password", "another long passphrase", "again", "another long passphrase.").mustStep("manage", http.StatusUnprocessableEntity)
	})
}

// TestAccountRevokesApplications: the consent, and the tokens.
func TestAccountRevokesApplications(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	b := r.browser()
	v := b.signIn(r.mina, b.authorize("asks", "scope", "openid email offline_access", "prompt", "consent"))
	issued := r.redeem("asks", b.answer(v, "consent", "decision", "allow").mustCode())
	v = b.account2(r.mina)
	if !strings.Contains(v.body, "<bdi>Asks</bdi>") {
		t.Fatalf("the application is not on the page:\n%s", v.body)
	}
	v = b.answer(v, "revoke").mustStep("manage", 200)
	if strings.Contains(v.body, "<bdi>Asks</bdi>") {
		t.Error("the application is still on the page")
	}
	if got := r.token("asks", url.Values{"grant_type": {"refresh_token"}, "refresh_token": {issued.Refresh}}); got.Error != "invalid_grant" {
		t.Errorf("refresh after it: %+v, want invalid_grant", got)
	}
	b.authorize("asks").mustStep("consent", 200)
}

// TestAccountShowsApplicationsWithoutConsent: an application of the operator's, which
// asks for none, is there as long as it has something, and can be ended.
func TestAccountShowsApplicationsWithoutConsent(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	b := r.browser()
	issued := r.redeem("web", b.signIn(r.mina, b.authorize("web", "scope", "openid offline_access")).mustCode())
	v := b.account2(r.mina)
	if !strings.Contains(v.body, "<bdi>Shop</bdi>") || !strings.Contains(v.body, "stays signed in") || strings.Contains(v.body, "Allowed on") {
		t.Fatalf("the application is not on the page as it is:\n%s", v.body)
	}
	v = b.answer(v, "revoke").mustStep("manage", 200)
	if strings.Contains(v.body, "<bdi>Shop</bdi>") {
		t.Error("the application is still on the page")
	}
	if got := r.token("web", url.Values{"grant_type": {"refresh_token"}, "refresh_token": {issued.Refresh}}); got.Error != "invalid_grant" {
		t.Errorf("refresh after it: %+v, want invalid_grant", got)
	}
}

// TestAccountIssuesNothing: no end of it leads to an application, and a session alone
// sees what the policy lets it see.
func TestAccountIssuesNothing(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	b := r.browser()
	v := b.get("/account").mustStep("login", 200)
	if got := b.answer(v, "cancel"); got.path != "/" {
		t.Errorf("cancel leads to %s %v", got.path, got.location)
	}
	half := r.browser()
	half.answer(half.authorize("web"), "password", "username", "mina", "password", r.mina.password).mustStep("second_factor", 200)
	half.get("/account").mustStep("login", 200)
	v = b.account(r.mina)
	for _, action := range []string{"consent", "trust", "saved", "password", "totp"} {
		fields := v.fields("cancel")
		fields.Set("decision", "allow")
		if got := b.post(v.page()+"/"+action, fields); got.location != nil && got.location.Query().Has("code") {
			t.Errorf("%s leads to %v", action, got.location)
		}
	}
	if got := r.browser(); got.post("/account", url.Values{"csrf": {"x"}}).step() != "login" {
		t.Error("without a session one signs in")
	}
}

// TestFirstFactorFromTheAccount: where passwords are enough, with the right to enrol
// and not without.
func TestFirstFactorFromTheAccount(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(c *sallyport.Config) { c.Policy = []sallyport.Rule{{Require: sallyport.Off}} })
	b := r.browser()
	v := b.answer(b.get("/account").mustStep("login", 200), "password", "username", "joon", "password", r.joon.password).mustStep("manage", 200)
	v = b.get(v.page()+"?add=totp").mustStep("manage", 200)
	secret := shownKey(t, v)
	v = b.answer(v, "enroll", "code", r.code(secret, 0)).mustStep("save_codes", 200)
	b.answer(v, "saved", "saved", "1").mustStep("manage", 200)
	if list := r.factors(r.joon.id); len(list) != 2 {
		t.Errorf("got %+v, want an app and codes", list)
	}
}

// TestColourScheme: what is chosen is in the next page, in this browser alone.
func TestColourScheme(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	b := r.browser()
	b.signIn(r.mina, b.authorize("web")).mustCode()
	for _, c := range []struct{ chosen, want, dark string }{
		{"dark", `<html lang="en" data-scheme="dark">`, `\.css">\n`}, {"light", `<html lang="en" data-scheme="light">`, ``},
		{"", `<html lang="en">`, `\.css" media="\(prefers-color-scheme: dark\)">`}, {`"><script>`, `<html lang="en">`, `\.css" media=`},
	} {
		fields := b.get("/account").fields("scheme")
		fields.Set("scheme", c.chosen)
		v := b.post("/account/scheme", fields)
		dark := regexp.MustCompile(`assets/dark-[0-9a-f]+` + c.dark).MatchString(v.body)
		if v.path != "/account" || dark != (c.dark != "") || !strings.Contains(v.body, c.want) || c.chosen == "dark" && !strings.Contains(v.body, `<option value="dark" selected>`) {
			t.Errorf("%q: got %s\n%s", c.chosen, v.path, v.body)
		}
	}
	if v := b.post("/account/scheme", url.Values{"scheme": {"dark"}}); strings.Contains(v.body, "data-scheme") {
		t.Error("a form that was not ours changed it")
	}
	if v := r.browser().authorize("web"); strings.Contains(v.body, "data-scheme") {
		t.Error("another browser has it")
	}
}
