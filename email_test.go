package sallyport_test

import (
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sallyport-id/sallyport"
	"github.com/sallyport-id/sallyport/internal/admin"
	"github.com/sallyport-id/sallyport/internal/mail/smtptest"
	"github.com/sallyport-id/sallyport/internal/oidc"
	"github.com/sallyport-id/sallyport/internal/store"
)

// emailCodes lets people have codes by mail.
func emailCodes(c *sallyport.Config) { c.EmailCodes, c.NoPasswordByMail = true, true }

func newEmailRig(t testing.TB, change ...func(*sallyport.Config)) *mailRig {
	t.Helper()
	return newMailRig(t, append([]func(*sallyport.Config){emailCodes}, change...)...)
}

const (
	sendProof  = "mail?method=email"
	sendEnroll = "mail_new?method=email"
)

var codeAlone = regexp.MustCompile(`(?m)^(\d{4} \d{4})$`)

// codeOf is the one code that was mailed.
func (r *mailRig) codeOf() string {
	r.t.Helper()
	var codes []string
	for _, m := range r.mails() {
		if found := codeAlone.FindStringSubmatch(m.Text); found != nil {
			codes = append(codes, found[1])
		}
	}
	if len(codes) != 1 {
		r.t.Fatalf("got the codes %q, want one", codes)
	}
	return codes[0]
}

// otherCode is another than a mailed one.
func otherCode(code string) string {
	if code == "1234 5678" {
		return "8765 4321"
	}
	return "1234 5678"
}

// password proves the password.
func (b *browser) passwordOf(p person, v *view) *view {
	b.t.Helper()
	return b.answer(v.mustStep("login", 200), "password", "username", p.login, "password", p.password)
}

// hasMailbox gives joon codes by mail as the only factor, as joon does.
func (r *mailRig) hasMailbox() {
	r.t.Helper()
	b := r.browser()
	v := b.passwordOf(r.joon, b.authorize("web"))
	v = b.get(v.mustStep("enroll", 200).page()+"?method=email").mustStep("enroll", 200)
	v = b.answer(v, sendEnroll).mustStep("enroll", 200)
	v = b.answer(v, "mailbox", "code", r.codeOf()).mustStep("save_codes", 200)
	b.answer(v, "saved", "saved", "1").mustCode()
	r.mails()
	r.clock.advance(time.Hour) // what was asked for is forgotten
}

// asked is a browser that waits for a code to be typed.
func (r *mailRig) asked() (*browser, *view, string) {
	r.t.Helper()
	b := r.browser()
	v := b.passwordOf(r.joon, b.authorize("web"))
	v = b.answer(v.mustStep("second_factor", 200), sendProof).mustStep("second_factor", 200)
	return b, v, r.codeOf()
}

// TestEmailCodes: set up with a code that confirms the address, and then asked for at
// each sign-in: level 2, told as otp, and never more.
func TestEmailCodes(t *testing.T) {
	t.Parallel()
	r := newEmailRig(t)
	b := r.browser()
	v := b.passwordOf(r.joon, b.authorize("web")).mustStep("enroll", 200)
	if !strings.Contains(v.body, "?method=email") {
		t.Fatalf("codes by mail are not offered:\n%s", v.body)
	}
	v = b.get(v.page()+"?method=email").mustStep("enroll", 200)
	if !strings.Contains(v.body, "j•••@example.com") || strings.Contains(v.body, "joon@example.com") || strings.Contains(v.body, `name="code"`) {
		t.Errorf("the page before a code was asked for:\n%s", v.body)
	}
	if mails := r.mails(); len(mails) > 0 {
		t.Fatalf("looking at the page brought %v", mails)
	}
	v = b.answer(v, sendEnroll).mustStep("enroll", 200)
	if !strings.Contains(v.body, `autocomplete="one-time-code"`) || !strings.Contains(v.body, `inputmode="numeric"`) {
		t.Errorf("the field of the code:\n%s", v.body)
	}
	code := r.codeOf()
	v = b.answer(v, "mailbox", "code", otherCode(code)).mustStep("enroll", 422)
	v = b.answer(v, "mailbox", "code", code).mustStep("save_codes", 200)
	b.answer(v, "saved", "saved", "1").mustCode()
	r.mustMail("an address was enrolled", "joon@example.com", subjectAdded, subjectBrowser)
	if u := r.user("joon"); !u.EmailVerified || u.MayEnroll {
		t.Errorf("got verified %v, may enrol %v", u.EmailVerified, u.MayEnroll)
	}

	r.clock.advance(time.Hour)
	b, v, code = r.asked()
	issued := r.redeem("web", b.answer(v, "email", "code", strings.ReplaceAll(code, " ", "")).mustCode())
	c := claims(t, issued.ID)
	if c["acr"] != oidc.Level2FA.ACR() || fmt.Sprint(c["amr"]) != "[pwd otp mfa]" {
		t.Errorf("got acr %v amr %v", c["acr"], c["amr"])
	}
	b.authorize("web", "claims", `{"id_token":{"acr":{"essential":true,"values":["phr"]}}}`).mustRefuse(oidc.UnmetAuthentication)
	log := r.log.String()
	if strings.Contains(log, code) || strings.Contains(log, strings.ReplaceAll(code, " ", "")) || strings.Contains(log, "@example.com") {
		t.Errorf("the code or the address is in the log:\n%s", log)
	}
}

// TestMailOfCode: what the mail says.
func TestMailOfCode(t *testing.T) {
	t.Parallel()
	r := newEmailRig(t)
	r.hasMailbox()
	b := r.browser()
	b.answer(b.passwordOf(r.joon, b.authorize("web")), sendProof).mustStep("second_factor", 200)
	mails := r.mustMail("the code", "joon@example.com", "A code to sign in to localhost:"+portOf(r.issuer))
	for _, want := range []string{"Account: joon", "127.0.0.1", "within 10 minutes", "somebody knows your password: change it"} {
		if len(mails) == 1 && !strings.Contains(mails[0].Text, want) {
			t.Errorf("no %q in\n%s", want, mails[0].Text)
		}
	}
	if len(mails) == 1 && strings.Contains(mails[0].Text, "http") {
		t.Errorf("there is a link in\n%s", mails[0].Text)
	}
}

func portOf(issuer string) string { return issuer[strings.LastIndexByte(issuer, ':')+1:] }

// TestRule3MailedCodeIsOfItsInteraction: rule 3. A code proves something only in the
// interaction, and so in the browser, that asked for it.
func TestRule3MailedCodeIsOfItsInteraction(t *testing.T) {
	t.Parallel()
	r := newEmailRig(t)
	r.hasMailbox()
	_, _, code := r.asked()

	thief := r.browser() // who knows the password and reads the code
	v := thief.passwordOf(r.joon, thief.authorize("web")).mustStep("second_factor", 200)
	if strings.Contains(v.body, `/email"`) {
		t.Error("a code is asked for where none was sent")
	}
	fields := v.fields(sendProof)
	fields.Set("code", code)
	thief.post(v.page()+"/email", fields).mustStep("second_factor", 422)

	r.clock.advance(2 * time.Minute)
	v = thief.answer(thief.get(v.page()), sendProof).mustStep("second_factor", 200)
	own := r.codeOf()
	v = thief.answer(v, "email", "code", code).mustStep("second_factor", 422)
	thief.answer(v, "email", "code", own).mustCode()
}

// TestRule3EmailCodesNeedResetsOff: rule 3. Where mail resets the password, mail is no
// second factor: neither to set up nor as what was proven before.
func TestRule3EmailCodesNeedResetsOff(t *testing.T) {
	t.Parallel()
	smtp := smtptest.New(t, false)
	for name, change := range map[string]func(*sallyport.Config){
		"resets by mail":  func(c *sallyport.Config) { c.EmailCodes, c.SMTP = true, smtpOf(smtp) },
		"no mail":         func(c *sallyport.Config) { c.EmailCodes, c.NoPasswordByMail = true, true },
		"a rule names it": func(c *sallyport.Config) { c.Policy = []sallyport.Rule{{Methods: []string{"email"}}} },
	} {
		c := sallyport.Config{Issuer: "http://localhost:1", Database: newDatabase(t), MasterKey: make([]byte, 32)}
		change(&c)
		if s, err := sallyport.New(t.Context(), c); err == nil {
			t.Errorf("%s: it starts", name)
			_ = s.Close()
		}
	}

	r := newEmailRig(t)
	if v := r.browser().get("/forgot"); v.status != 404 {
		t.Errorf("a new password by mail: got %d", v.status)
	}
	if v := r.browser().authorize("web"); strings.Contains(v.body, "/forgot") {
		t.Error("a new password by mail is offered")
	}

	plain := newMailRig(t)
	b := plain.browser()
	v := b.passwordOf(plain.joon, b.authorize("web")).mustStep("enroll", 200)
	if strings.Contains(v.body, "=email") {
		t.Errorf("codes by mail are offered where mail resets the password:\n%s", v.body)
	}
	page := b.get(v.page()+"?method=email").mustStep("enroll", 200)
	for _, action := range []string{"mail_new", "mailbox"} {
		fields := page.fields("cancel")
		fields.Set("code", "12345678")
		b.post(page.page()+"/"+action, fields)
	}
	if mails := plain.mails(); len(mails) > 0 || len(plain.factors(plain.joon.id)) > 0 {
		t.Errorf("got mails %v, factors %v", mails, plain.factors(plain.joon.id))
	}
}

// TestRule3OldEmailProofsEnd: rule 3. What was proven with mailed codes is worth nothing
// once they are off: the session, what it gets, and what was granted for good.
func TestRule3OldEmailProofsEnd(t *testing.T) {
	t.Parallel()
	database := newDatabase(t)
	onIt := func(c *sallyport.Config) { c.Database = database }
	r := newEmailRig(t, onIt)
	r.hasMailbox()
	b := r.browser()
	v := b.passwordOf(r.joon, b.authorize("asks", "scope", "openid offline_access", "prompt", "consent"))
	v = b.answer(v, sendProof).mustStep("second_factor", 200)
	v = b.answer(v, "email", "code", r.codeOf()).mustStep("consent", 200)
	issued := r.redeem("asks", b.answer(v, "consent", "decision", "allow").mustCode())
	refresh := url.Values{"grant_type": {"refresh_token"}, "refresh_token": {issued.Refresh}}
	if got := r.token("asks", refresh); got.status != 200 {
		t.Fatalf("a refresh while they are on: got %d %q", got.status, got.Error)
	}
	r.must(r.Close())

	off := emptyRig(t, onIt, func(c *sallyport.Config) {
		c.SMTP = smtpOf(r.smtp)
		sallyport.MailByHand(c)
	})
	off.mina, off.joon, off.secret = r.mina, r.joon, r.secret
	if got := off.token("asks", refresh); got.Error != oidc.InvalidGrant {
		t.Errorf("a refresh: got %d %q", got.status, got.Error)
	}
	again := off.browser()
	v = again.passwordOf(off.joon, again.authorize("web")).mustStep("second_factor", 200) // with recovery codes
	if !strings.Contains(v.body, `/recovery"`) || strings.Contains(v.body, "email") {
		t.Errorf("codes by mail are offered still:\n%s", v.body)
	}
}

// TestMailedCodeOnce: of many who type a code at once one is signed in, and never
// again.
func TestMailedCodeOnce(t *testing.T) {
	t.Parallel()
	r := newEmailRig(t)
	r.hasMailbox()
	b, v, code := r.asked()
	fields := v.fields("email")
	fields.Set("code", code)
	views := make([]*view, 64)
	var done sync.WaitGroup
	for i := range views {
		done.Go(func() { views[i] = b.post(v.page()+"/email", fields) })
	}
	done.Wait()
	events, err := r.Store().UserEvents(t.Context(), r.joon.id, 1000)
	r.must(err)
	right := 0
	for _, e := range events {
		if e.Type == store.EventLoginEmail {
			right++
		}
	}
	if right != 1 {
		t.Errorf("the code was taken %d times, want once", right)
	}
	v = b.authorize("web", "prompt", "login")
	v = b.passwordOf(r.joon, v).mustStep("second_factor", 200)
	fields = v.fields(sendProof)
	fields.Set("code", code)
	b.post(v.page()+"/email", fields).mustStep("second_factor", 422)
}

// TestGuessesAtOnceAreOne: of many guesses at once one is checked, and counted; nobody
// hears whether the others were right.
func TestGuessesAtOnceAreOne(t *testing.T) {
	t.Parallel()
	r := newEmailRig(t)
	r.hasMailbox()
	b, v, code := r.asked()
	fields := v.fields("email")
	fields.Set("code", otherCode(code))
	var done sync.WaitGroup
	for range 64 {
		done.Go(func() { b.post(v.page()+"/email", fields) })
	}
	done.Wait()
	events, err := r.Store().UserEvents(t.Context(), r.joon.id, 1000)
	r.must(err)
	failed := 0
	for _, e := range events {
		if e.Type == store.EventLoginCodeFailed || e.Type == store.EventLoginThrottled {
			failed++
		}
	}
	if failed != 1 {
		t.Errorf("%d guesses were checked, want one", failed)
	}
	b.answer(b.get(v.page()), "email", "code", code).mustCode()
}

// TestMailedCodeEnds: after ten minutes, after five wrong answers, and when another is
// asked for.
func TestMailedCodeEnds(t *testing.T) {
	t.Parallel()
	t.Run("guessed at", func(t *testing.T) {
		t.Parallel()
		r := newEmailRig(t)
		r.hasMailbox()
		b, v, code := r.asked()
		for range 4 {
			v = b.answer(v, "email", "code", otherCode(code)).mustStep("second_factor", 422)
		}
		r.mails()
		v = b.answer(v, "email", "code", otherCode(code)).mustStep("second_factor", 422)
		if strings.Contains(v.body, `/email"`) {
			t.Fatal("a sixth answer is asked for")
		}
		r.clock.advance(5 * time.Minute) // no wait is on
		fields := b.get(v.page() + "?method=email").fields(sendProof)
		fields.Set("code", code)
		v = b.post(v.page()+"/email", fields).mustStep("second_factor", 422)
		if !strings.Contains(v.body, "That code is good no more") {
			t.Errorf("got\n%s", v.body)
		}
	})
	t.Run("replaced", func(t *testing.T) {
		t.Parallel()
		r := newEmailRig(t)
		r.hasMailbox()
		b, v, code := r.asked()
		v = b.answer(v, sendProof).mustStep("second_factor", 429) // too soon
		if mails := r.mails(); len(mails) > 0 {
			t.Errorf("a mail within a minute: %v", mails)
		}
		for i := range 2 {
			r.clock.advance(time.Minute)
			v = b.answer(v, sendProof).mustStep("second_factor", 200)
			next := r.codeOf()
			v = b.answer(v, "email", "code", code).mustStep("second_factor", 422)
			if code = next; i == 1 {
				r.clock.advance(time.Minute)
				v = b.answer(v, sendProof).mustStep("second_factor", 429)
			}
		}
		if mails := r.mails(); len(mails) > 0 {
			t.Errorf("a fourth mail of one interaction: %v", mails)
		}
		b.answer(v, "email", "code", code).mustCode()
	})
	t.Run("old", func(t *testing.T) {
		t.Parallel()
		r := newEmailRig(t)
		r.hasMailbox()
		b := r.browser()
		v := b.account3(r.joon)
		v = b.answer(v, sendProof).mustStep("second_factor", 200)
		code := r.codeOf()
		r.clock.advance(10*time.Minute + time.Second) // the account's interaction lasts longer
		b.answer(v, "email", "code", code).mustStep("second_factor", 422)
	})
}

// account3 begins changes of the account, with the password.
func (b *browser) account3(p person) *view {
	b.t.Helper()
	return b.passwordOf(p, b.get("/account")).mustStep("second_factor", 200)
}

// TestMailedCodesAreThrottled: rule 12. Wrong codes count against the account, whichever
// interaction they are typed in, the owner hears of them, and of codes an address gets
// so many in an hour.
func TestMailedCodesAreThrottled(t *testing.T) {
	t.Parallel()
	r := newEmailRig(t)
	r.hasMailbox()
	b, v, code := r.asked()
	for range 3 {
		v = b.answer(v, "email", "code", otherCode(code)).mustStep("second_factor", 422)
	}
	r.mustMail("three wrong codes", "joon@example.com", subjectCodes)
	r.clock.advance(time.Minute)
	b, v, code = r.asked()
	b.answer(v, "email", "code", otherCode(code)).mustStep("second_factor", 422)
	v = b.answer(b.get(v.page()), "email", "code", otherCode(code)).mustStep("second_factor", 422)
	b.answer(v, "email", "code", code).mustStep("second_factor", 429)

	sent := 2
	for range 20 {
		r.clock.advance(time.Second)
		b := r.browser()
		v := b.passwordOf(r.joon, b.authorize("web"))
		if v = b.answer(v, sendProof); v.status == 200 {
			sent++
		} else if v.status != 429 {
			t.Fatalf("got %d\n%s", v.status, v.body)
		}
	}
	if sent != 10 {
		t.Errorf("%d codes in an hour, want 10", sent)
	}
}

// TestMailedCodeOfAnotherUser: the code of one account is nothing for another, in the
// same browser.
func TestMailedCodeOfAnotherUser(t *testing.T) {
	t.Parallel()
	r := newEmailRig(t)
	r.hasMailbox()
	b, v, code := r.asked()
	v = b.answer(v, "switch").mustStep("login", 200)
	v = b.passwordOf(r.mina, v).mustStep("second_factor", 200)
	fields := v.fields("totp")
	fields.Set("code", code)
	v = b.post(v.page()+"/email", fields).mustStep("second_factor", 422)
	b.answer(v, "switch").mustStep("login", 200)
	v = b.passwordOf(r.joon, b.get(v.page())).mustStep("second_factor", 200)
	fields = v.fields(sendProof)
	fields.Set("code", code)
	b.post(v.page()+"/email", fields).mustStep("second_factor", 422) // void since the switch
}

// TestRule1AddressThatChanged: rule 1. With another address the codes are of no use: a
// code on its way is refused, what was signed in has ended, and nobody enrols anew.
func TestRule1AddressThatChanged(t *testing.T) {
	t.Parallel()
	r := newEmailRig(t)
	r.hasMailbox()
	signedIn, v, code := r.asked()
	signedIn.answer(v, "email", "code", code).mustCode()
	r.clock.advance(time.Minute)
	b, v, code := r.asked()
	other := "other@example.com"
	r.must(r.Admin().SetProfile(t.Context(), r.user("joon"), admin.ProfileChange{Email: &other}))
	fields := v.fields("email")
	fields.Set("code", code)
	if v := b.post(v.page()+"/email", fields); v.location != nil {
		t.Fatalf("the code is taken: %v", v.location)
	}
	signedIn.authorize("web").mustStep("login", 200)
	if r.user("joon").EmailVerified {
		t.Error("the new address is verified")
	}
	r.mails()
	b = r.browser()
	v = b.passwordOf(r.joon, b.authorize("web"))
	if v.step() == "enroll" || v.location != nil {
		t.Fatalf("got %q, %v", v.step(), v.location)
	}
	if v = b.get(v.page() + "?method=email"); strings.Contains(v.body, `/mail?`) {
		t.Errorf("a code can be asked for:\n%s", v.body)
	}
	before := "joon@example.com"
	r.must(r.Admin().SetProfile(t.Context(), r.user("joon"), admin.ProfileChange{Email: &before}))
	r.mails()
	b, v, code = r.asked()
	b.answer(v, "email", "code", code).mustCode()
}

// TestCodeOnlyForWhatItWasAskedFor: a code that confirms an address is no second factor,
// and one to sign in adds none.
func TestCodeOnlyForWhatItWasAskedFor(t *testing.T) {
	t.Parallel()
	r := newEmailRig(t)
	r.hasMailbox()
	b, v, code := r.asked()
	fields := v.fields("email")
	fields.Set("code", code)
	b.post(v.page()+"/mailbox", fields).mustStep("second_factor", 409)
	if list := r.factors(r.joon.id); len(list) != 2 {
		t.Errorf("got %+v", list)
	}
}

// TestRule2EmailIsAddedAfterAllFactors: rule 2. Whoever has an app adds codes by mail
// with the app, not with the password alone.
func TestRule2EmailIsAddedAfterAllFactors(t *testing.T) {
	t.Parallel()
	r := newEmailRig(t)
	b := r.browser()
	v := b.passwordOf(r.mina, b.get("/account")).mustStep("second_factor", 200)
	fields := v.fields("totp")
	b.post(v.page()+"/mail_new", fields).mustStep("second_factor", 409)
	b.post(v.page()+"/mail", fields) // which the account has none of
	if mails := r.mails(); len(mails) > 0 {
		t.Fatalf("got %v", mails)
	}
	b = r.browser()
	v = b.account(r.mina)
	v = b.get(v.page()+"?add=email").mustStep("manage", 200)
	v = b.answer(v, "mail_new?add=email").mustStep("manage", 200)
	v = b.answer(v, "mailbox?add=email", "code", r.codeOf(), "name", "Work").mustStep("manage", 200)
	if !slices.ContainsFunc(r.factors(r.mina.id), func(a store.Authenticator) bool {
		return a.Kind == store.KindEmail && a.Name == "Work" && string(a.Secret) == "mina@example.com"
	}) {
		t.Fatalf("got %+v", r.factors(r.mina.id))
	}
	if v = b.get(v.page()); strings.Contains(v.body, "add-email") || !strings.Contains(v.body, "Work") {
		t.Errorf("the same address can be added again, or is not shown:\n%s", v.body)
	}

	r.clock.advance(time.Hour)
	b = r.browser()
	v = b.passwordOf(r.mina, b.authorize("web")).mustStep("second_factor", 200)
	if !strings.Contains(v.body, `/totp"`) || strings.Index(v.body, "method=email") > strings.Index(v.body, "method=recovery") {
		t.Errorf("want the app first, then codes by mail, then recovery codes:\n%s", v.body)
	}
	b.answer(v, "totp", "code", r.code(r.mina.totp, 0)).mustCode()

	b = r.browser()
	v = b.account(r.mina)
	fields = v.fields("remove")
	fields.Set("id", r.factor(r.mina.id, store.KindEmail).ID)
	b.post(v.page()+"/remove", fields).mustStep("manage", 200)
	if list := r.factors(r.mina.id); len(list) != 2 {
		t.Errorf("after removing it: %+v", list)
	}
}

// TestEmailUnderRules: a rule may leave codes by mail out, or have nothing else.
func TestEmailUnderRules(t *testing.T) {
	t.Parallel()
	r := newEmailRig(t, func(c *sallyport.Config) {
		c.Policy = []sallyport.Rule{{Clients: []string{"web"}}, {Clients: []string{"eddsa"}, Methods: []string{"email"}}, {Methods: []string{"totp", "webauthn"}}}
	})
	r.hasMailbox()
	b, v, code := r.asked()
	b.answer(v, "email", "code", code).mustCode()
	b.authorize("eddsa").mustCode()
	if v := b.authorize("spa"); v.location != nil {
		t.Errorf("got %v for a client whose rule leaves it out", v.location)
	}
}

// TestInvitedWithEmail: an invited user may set up codes by mail, confirmed here.
func TestInvitedWithEmail(t *testing.T) {
	t.Parallel()
	r := newEmailRig(t)
	b := r.browser()
	view := b.choose(b.get(r.reset("joon", false)), newPassword).mustStep("enroll", 200)
	view = b.get(view.page()+"?method=email").mustStep("enroll", 200)
	r.mails()
	view = b.answer(view, sendEnroll).mustStep("enroll", 200)
	view = b.answer(view, "mailbox", "code", r.codeOf()).mustStep("save_codes", 200)
	if view = b.answer(view, "saved", "saved", "1"); view.status != 200 || !strings.Contains(view.body, "Your account is ready") {
		t.Fatalf("got %d\n%s", view.status, view.body)
	}
	r.joon.password = newPassword
	r.clock.advance(time.Hour)
	b, view, code := r.asked()
	b.answer(view, "email", "code", code).mustCode()
}
