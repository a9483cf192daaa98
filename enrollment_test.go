package sallyport_test

import (
	"strings"
	"testing"
	"time"

	"github.com/sallyport-id/sallyport"
	"github.com/sallyport-id/sallyport/internal/admin"
)

// enrolledBy is a server where a first factor takes that.
func enrolledBy(t *testing.T, e sallyport.Enrollment, rules ...sallyport.Rule) *rig {
	t.Helper()
	return newRig(t, func(c *sallyport.Config) { c.Enrollment, c.Policy = e, rules })
}

// TestRule1InvitationAloneEnrolsByDefault: whoever has a password that was never used
// sets nothing up with it, at a sign-in or at the account; an invitation does.
func TestRule1InvitationAloneEnrolsByDefault(t *testing.T) {
	t.Parallel()
	r := enrolledBy(t, "")
	b := r.browser()
	v := b.answer(b.authorize("web").mustStep("login", 200), "password", "username", "joon", "password", r.joon.password).mustStep("refuse", 200)
	if !strings.Contains(v.body, "You need an invitation") {
		t.Errorf("the page does not say what helps\n%s", v.body)
	}
	if !strings.Contains(v.body, "error=access_denied") {
		t.Errorf("the way back does not refuse\n%s", v.body)
	}
	b.authorize("web", "prompt", "none").mustRefuse("access_denied")
	r.mustHave(r.joon, 0)
	r.joon.password = "a new password for joon"
	_, secret := b.setUp(invited{r.joon, r.reset("joon", false)})
	r.mustSignInWithBoth(r.joon, secret)
}

// TestRule1NothingIsAddedWithThePasswordAlone: at the account page, where a password
// is all that is asked for.
func TestRule1NothingIsAddedWithThePasswordAlone(t *testing.T) {
	t.Parallel()
	r := enrolledBy(t, sallyport.EnrollByInvitation, sallyport.Rule{Require: sallyport.Optional})
	b := r.browser()
	v := b.password(r.joon, b.get("/account").mustStep("login", 200)).mustStep("manage", 200)
	if strings.Contains(v.body, "add=") {
		t.Errorf("the account page offers to add a first factor\n%s", v.body)
	}
	v = b.get(v.page() + "?add=totp")
	form := v.fields("language") // the page has no other
	form.Set("code", "123456")
	b.post(v.page()+"/enroll", form)
	r.mustHave(r.joon, 0)
}

// TestRule1BypassCodeEnrolsWithoutAnInvitation: an operator's word is what both are.
func TestRule1BypassCodeEnrolsWithoutAnInvitation(t *testing.T) {
	t.Parallel()
	r := enrolledBy(t, sallyport.EnrollByInvitation)
	code := r.bypass("mina", false)
	b := r.browser()
	b.bypassed(b.password(r.mina, b.authorize("web")), code).mustStep("enroll", 200)
}

// TestRule27SkippedFactor: where the password may be all, an invited user may do
// without a second factor: the password is good, the link is spent, and the right to
// set one up stays.
func TestRule27SkippedFactor(t *testing.T) {
	t.Parallel()
	r := enrolledBy(t, sallyport.EnrollByPassword, sallyport.Rule{Require: sallyport.Optional})
	in := r.invite("sora")
	b, other := r.browser(), r.browser()
	v := b.get(in.path).mustStep("invitation", 200)
	b.choose(v, "quiet lantern").mustStep("invitation", 422) // shorter than 15
	v = b.choose(v, in.password).mustStep("enroll", 200)
	begun := other.choose(other.get(in.path), "the password of a thief").mustStep("enroll", 200)
	last := b.answer(v, "later")
	if last.status != 200 || !strings.Contains(last.body, "with your password. Some may ask") {
		t.Fatalf("got %d\n%s", last.status, last.body)
	}
	if u := r.user("sora"); u.PasswordHash == "" || !u.MayEnroll {
		t.Errorf("afterwards: %+v", u)
	}
	b.get(in.path).mustBeNoInvitation()
	other.answer(begun, "later").mustBeNoInvitation()
	r.mustNotSignIn("sora", "the password of a thief")
	if c := claims(t, r.redeem("web", b.answer(b.authorize("web"), "password", "username", "sora", "password", in.password).mustCode()).ID); c["acr"] != "urn:sallyport:acr:1fa" {
		t.Errorf("signed in: got %v, want one factor", c)
	}
	fresh := r.browser()
	fresh.answer(fresh.authorize("tutorial"), "password", "username", "sora", "password", in.password).mustStep("enroll", 200) // asks for two
}

// TestRule27FactorIsNotSkippedElsewhere: not where two factors are required, where the
// link is the only way to one, or where the password is one of before.
func TestRule27FactorIsNotSkippedElsewhere(t *testing.T) {
	t.Parallel()
	optional := sallyport.Rule{Require: sallyport.Optional}
	for name, r := range map[string]*rig{
		"two factors are required": enrolledBy(t, sallyport.EnrollByPassword),
		"by invitation alone":      enrolledBy(t, sallyport.EnrollByInvitation, optional),
		"another group":            enrolledBy(t, sallyport.EnrollByPassword, sallyport.Rule{Groups: []string{"guests"}, Require: sallyport.Off}),
		"the password is kept":     enrolledBy(t, sallyport.EnrollByPassword, optional),
	} {
		in := r.invite("sora")
		b := r.browser()
		if name == "the password is kept" {
			in = invited{r.mina, r.reset("mina", true)}
		}
		v := b.choose(b.get(in.path), in.password).mustStep("enroll", 200)
		if strings.Contains(v.body, "/later") {
			t.Errorf("%s: the page offers to do without a factor", name)
		}
		form := v.fields("register")
		v = b.post(v.page()+"/later", form)
		if u := r.user(in.login); u.MayEnroll || name != "the password is kept" && u.PasswordHash != "" {
			t.Errorf("%s: done without a factor: %d, %+v", name, v.status, u)
		}
		b.get(v.path).mustStep("enroll", 200)
	}
}

// byEmail is a server where a first factor takes a mailed code.
func byEmail(t *testing.T, rules ...sallyport.Rule) *mailRig {
	t.Helper()
	return newMailRig(t, func(c *sallyport.Config) { c.Enrollment, c.Policy = sallyport.EnrollByEmail, rules })
}

// TestRule1MailedCodeEnrols: beside the password a code that goes to the address of the
// account, and is typed in the interaction that asked for it.
func TestRule1MailedCodeEnrols(t *testing.T) {
	t.Parallel()
	r := byEmail(t)
	b := r.browser()
	v := b.password(r.joon, b.authorize("web")).mustStep("confirm_email", 200)
	if strings.Contains(v.body, "joon@") || !strings.Contains(v.body, "j•••@example.com") {
		t.Errorf("the page tells the address\n%s", v.body)
	}
	r.mustMail("before it is asked for", "")
	form := v.fields("mail_code")
	form.Set("code", "123456")
	form.Set("email", "thief@example.com")
	b.post(v.page()+"/enroll", form).mustStep("confirm_email", 409)
	v = b.post(v.page()+"/mail_code", form).mustStep("confirm_email", 200)
	code := r.mailedCode("joon@example.com")
	if code == "" {
		t.Fatal("no code came")
	}
	v = b.answer(v, "confirm", "code", wrongCode(code)).mustStep("confirm_email", 422)

	thief := r.browser() // with the password, in another browser, and in another interaction
	w := thief.password(r.joon, thief.authorize("web")).mustStep("confirm_email", 200)
	form = w.fields("mail_code")
	form.Set("code", code)
	thief.post(w.page()+"/confirm", form).mustStep("confirm_email", 422)
	second := b.password(r.joon, b.authorize("web", "prompt", "login")).mustStep("confirm_email", 200)
	form = second.fields("mail_code")
	form.Set("code", code)
	b.post(second.page()+"/confirm", form).mustStep("confirm_email", 422)

	v = b.answer(b.get(v.page()), "confirm", "code", code).mustStep("enroll", 200)
	b.get(second.page()).mustStep("confirm_email", 200)
	v = b.app(v)
	v = b.answer(v, "enroll", "code", r.code(shownKey(t, v), 0)).mustStep("save_codes", 200)
	b.answer(v, "saved", "saved", "1").mustCode()
	r.mustHave(r.joon, 2)
}

// TestRule1MailedCodeIsForTheAddressOfNow: if it changes while the code is on its way,
// or before the factor is set up, nothing was shown.
func TestRule1MailedCodeIsForTheAddressOfNow(t *testing.T) {
	t.Parallel()
	r := byEmail(t)
	b := r.browser()
	v := b.answer(b.password(r.joon, b.authorize("web")), "mail_code").mustStep("confirm_email", 200)
	code := r.mailedCode("joon@example.com")
	move := func(to string) {
		r.must(r.Admin().SetProfile(t.Context(), r.user("joon"), admin.ProfileChange{Email: &to}))
	}
	move("new@example.com")
	b.answer(v, "confirm", "code", code).mustStep("confirm_email", 200)
	r.mustHave(r.joon, 0)
	move("joon@example.com")
	v = b.app(b.get(v.page()).mustStep("enroll", 200))
	move("new@example.com")
	b.answer(v, "enroll", "code", r.code(shownKey(t, v), 0)).mustStep("confirm_email", 409)
	r.mustHave(r.joon, 0)
	move("")
	if v := b.get(v.page()).mustStep("refuse", 200); !strings.Contains(v.body, "You need an invitation") {
		t.Errorf("without an address:\n%s", v.body)
	}
}

// TestRule1MailedCodeAtTheAccount: where a password is all that a sign-in asks for, a
// first factor is set up at the account, and takes the code there, too.
func TestRule1MailedCodeAtTheAccount(t *testing.T) {
	t.Parallel()
	r := byEmail(t, sallyport.Rule{Require: sallyport.Optional})
	b := r.browser()
	v := b.password(r.joon, b.get("/account").mustStep("login", 200)).mustStep("manage", 200)
	if strings.Contains(v.body, "?add=") {
		t.Errorf("a factor can be added with the password alone\n%s", v.body)
	}
	form := v.fields("mail_code")
	form.Set("code", "123456")
	v = b.post(v.page()+"/enroll", form)
	r.mustHave(r.joon, 0)
	v = b.answer(v, "mail_code").mustStep("confirm_email", 200)
	v = b.answer(v, "confirm", "code", r.mailedCode("joon@example.com")).mustStep("manage", 200)
	_, _ = b.addsFirst(v)
	r.mustHave(r.joon, 2)
}

// addsFirst adds an app to an account that has no factor.
func (b *browser) addsFirst(v *view) (*view, []byte) {
	b.t.Helper()
	v = b.get(v.page()+"?add=totp").mustStep("manage", 200)
	secret := shownKey(b.t, v)
	return b.answer(v, "enroll", "code", b.code(secret, 0)).mustStep("save_codes", 200), secret
}

// TestRule22GraceWithMailedCodes: the code is asked for where the factor is, and may be
// put off with it; by somebody without an address, too.
func TestRule22GraceWithMailedCodes(t *testing.T) {
	t.Parallel()
	r := byEmail(t, sallyport.Rule{GraceDays: 7})
	for range 2 {
		b := r.browser()
		v := b.password(r.joon, b.authorize("web")).mustStep("confirm_email", 200)
		b.answer(v, "not_now").mustCode()
		empty := ""
		r.must(r.Admin().SetProfile(t.Context(), r.user("joon"), admin.ProfileChange{Email: &empty}))
	}
	r.clock.advance(8 * 24 * time.Hour)
	b := r.browser()
	b.password(r.joon, b.authorize("web")).mustStep("refuse", 200)
}

// TestGraceNeedsAWayToEnrol: a grace at whose end nobody could set up a factor is an
// error of the configuration.
func TestGraceNeedsAWayToEnrol(t *testing.T) {
	t.Parallel()
	_, err := sallyport.New(t.Context(), sallyport.Config{
		Issuer: "https://id.example.com", Database: t.TempDir() + "/x.db", MasterKey: make([]byte, 32), Policy: []sallyport.Rule{{GraceDays: 7}},
	})
	if err == nil || !strings.Contains(err.Error(), "nobody could set up a second factor when the grace ends") {
		t.Errorf("got %v", err)
	}
}
