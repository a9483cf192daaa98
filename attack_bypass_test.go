package sallyport_test

import (
	"net/http"
	"testing"

	"github.com/sallyport-id/sallyport/internal/oidc"
)

// TestAttackPlantedSessionWithABypassCode: a session that he began with the victim's
// password, and put into the victim's browser, is not his any more when the victim
// types an operator's code into it: the right to enrol is the victim's.
func TestAttackPlantedSessionWithABypassCode(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	attacker := r.browser()
	page := attacker.atSecondFactor(r.mina, "web")
	code := r.bypass("mina", true)
	victim := attacker.copied()
	v := victim.bypassed(victim.get(page.path), code).mustStep("enroll", 200)
	if got := attacker.get(page.path); got.step() == "enroll" {
		t.Errorf("the page that both had: got %d %q", got.status, got.step())
	}
	forged := page.fields("totp")
	forged.Set("step", "enroll")
	forged.Set("version", v.fields("register").Get("version"))
	forged.Set("code", "123456")
	if got := attacker.post(page.page()+"/enroll", forged); got.status != http.StatusConflict || got.step() == "enroll" {
		t.Errorf("an enrolment: got %d %q, want 409", got.status, got.step())
	}
	attacker.authorize("web", "prompt", "none").mustRefuse(oidc.LoginRequired)
	v = victim.app(v)
	victim.answer(v, "enroll", "code", r.code(shownKey(t, v), 0)).mustStep("save_codes", 200)
}
