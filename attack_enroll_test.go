package sallyport_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/descope/virtualwebauthn"

	"github.com/sallyport-id/sallyport/internal/authn"
)

// atEnroll takes somebody who has no authenticator yet to the page that sets up an app.
func (b *browser) atEnroll(p person, extra ...string) *view {
	b.t.Helper()
	v := b.answer(b.authorize("web", extra...).mustStep("login", 200), "password", "username", p.login, "password", p.password)
	return b.app(v.mustStep("enroll", 200))
}

// TestAttackOldPasswordProofEnrollsNothing: the cookie of a browser in which somebody
// has typed the password, and no more, does not bind an authenticator: the password
// is asked for again.
func TestAttackOldPasswordProofEnrollsNothing(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	owner := r.browser()
	owner.atEnroll(r.joon)
	thief := owner.with("sallyport-session", owner.has("sallyport-session"))
	v := thief.authorize("web").mustStep("login", 200)
	form := v.fields("password")
	form.Set("step", "enroll")
	form.Set("code", "123456")
	thief.post(v.page()+"/enroll", form).mustStep("login", http.StatusConflict)
	r.mustHave(r.joon, 0)
}

// TestAttackOwnSecretInTheForm: what is confirmed is the secret in the store, whatever
// else a form says.
func TestAttackOwnSecretInTheForm(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	b := r.browser()
	v := b.atEnroll(r.joon)
	own := authn.NewTOTPSecret()
	typed := []string{"code", r.code(own, 0)}
	for _, name := range []string{"secret", "key", "totp", "enrolling"} {
		typed = append(typed, name, authn.FormatTOTPKey(own))
	}
	b.answer(v, "enroll", typed...).mustStep("enroll", 422)
	r.mustHave(r.joon, 0)
}

// TestAttackEnrollForAnother: his own enrolment page, with the victim's id in it.
func TestAttackEnrollForAnother(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	b := r.browser()
	v := b.atEnroll(r.joon)
	b.answer(v, "enroll", "subject", r.mina.id, "code", r.code(shownKey(t, v), 0)).mustStep("enroll", http.StatusConflict)
	r.mustHave(r.mina, 2)
	r.mustHave(r.joon, 0)
}

// TestAttackEnrollmentOvertakenByAReset: he waits at the enrolment page while the
// operator, who was told, resets the account.
func TestAttackEnrollmentOvertakenByAReset(t *testing.T) {
	t.Parallel()
	for _, keepPassword := range []bool{false, true} {
		r := newRig(t)
		b := r.browser()
		v := b.atEnroll(r.joon)
		r.reset("joon", keepPassword)
		if got := b.answer(v, "enroll", "code", r.code(shownKey(t, v), 0)); got.status != http.StatusGone {
			t.Errorf("got %d %q, want 410", got.status, got.step())
		}
		r.mustHave(r.joon, 0)
	}
}

// TestAttackInvitedPageElsewhere: the address of a page that sets up an account opens
// nothing in another browser, not even in one that has the same invitation.
func TestAttackInvitedPageElsewhere(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	in, owner, other := r.invite("sora"), r.browser(), r.browser()
	v := owner.app(owner.choose(owner.get(in.path), in.password))
	other.get(in.path).mustStep("invitation", 200)
	if got := other.get(v.path); got.status != http.StatusGone {
		t.Errorf("got %d %q, want 410", got.status, got.step())
	}
	form := v.fields("enroll")
	form.Set("code", r.code(shownKey(t, v), 0))
	if got := other.post(v.page()+"/enroll", form); got.status != http.StatusGone {
		t.Errorf("its form: got %d %q, want 410", got.status, got.step())
	}
	r.mustHave(in.person, 0)
}

// TestAttackTwoFirstAuthenticators: an app and a passkey wait on two tabs; the right to
// enrol binds the one that comes first.
func TestAttackTwoFirstAuthenticators(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	k, b := r.passkey(virtualwebauthn.AuthenticatorOptions{}), r.browser()
	tab1 := b.answer(b.authorize("web"), "password", "username", "joon", "password", r.joon.password).mustStep("enroll", 200)
	form := tab1.fields("register")
	form.Set("answer", k.register(tab1))
	tab2 := b.app(tab1)
	b.answer(tab2, "enroll", "code", r.code(shownKey(t, tab2), 0)).mustStep("save_codes", 200)
	b.post(tab1.page()+"/register", form).mustStep("save_codes", http.StatusConflict)
	other := b.authorize("web", "prompt", "login").mustStep("login", 200)
	b.answer(other, "password", "username", "joon", "password", r.joon.password).mustStep("second_factor", 200)
	r.mustHave(r.joon, 2) // the app, and its recovery codes
}

// TestAttackEnrollmentCodeAgain: the code that confirmed an app, read over the
// shoulder, signs nobody in.
func TestAttackEnrollmentCodeAgain(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	owner, attacker := r.browser(), r.browser()
	v := owner.atEnroll(r.joon)
	code := r.code(shownKey(t, v), 0)
	owner.answer(v, "enroll", "code", code).mustStep("save_codes", 200)
	attacker.answer(attacker.atSecondFactor(r.joon, "web"), "totp", "code", code).mustStep("second_factor", 422)
}

// TestAttackLateCode: a code that was phished, or read ahead, is good for its own half
// minute and the one on either side.
func TestAttackLateCode(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	b := r.browser()
	v := b.atSecondFactor(r.mina, "web")
	for _, steps := range []int64{-120, -3, 3} {
		b.answer(v, "totp", "code", r.code(r.mina.totp, steps)).mustStep("second_factor", 422)
	}
	phished := r.code(r.mina.totp, 0)
	r.clock.advance(90 * time.Second)
	b.answer(v, "totp", "code", phished).mustStep("second_factor", 422)
}
