package sallyport_test

import (
	"strings"
	"testing"

	"github.com/sallyport-id/sallyport"
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
