package sallyport_test

import (
	"testing"
	"time"

	"github.com/sallyport-id/sallyport/internal/oidc"
)

// TestAttackSessionOfATrustedBrowser: a session of the password and a trusted browser
// is worth one factor without that browser's own cookie, and what it has is no way to
// make another browser trusted.
func TestAttackSessionOfATrustedBrowser(t *testing.T) {
	t.Parallel()
	r := trustRig(t)
	b := r.trusts()
	b.password(r.mina, b.authorize("web")).mustCode()
	thief := b.with("sallyport-session", b.has("sallyport-session"))
	thief.authorize("web", "prompt", "none").mustRefuse(oidc.InteractionRequired)
	v := thief.authorize("web").mustStep("second_factor", 200)
	form := v.fields("totp")
	form.Set("step", "trust")
	form.Set("decision", "yes")
	thief.post(v.page()+"/trust", form).mustStep("second_factor", 409)
	if n := len(r.devices(r.mina)); n != 1 {
		t.Errorf("got %d trusted browsers, want 1", n)
	}
}

// TestAttackOwnTrustedBrowser: a browser that is trusted for his own account is a
// stranger's for the victim's, with the victim's password typed into it.
func TestAttackOwnTrustedBrowser(t *testing.T) {
	t.Parallel()
	r := trustRig(t)
	own, b := r.joonWithTOTP(), r.browser()
	b.answer(b.signIn(own, b.authorize("web")).mustStep("trust", 200), "trust", "decision", "yes").mustCode()
	r.clock.advance(day + time.Hour)
	b.password(r.mina, b.authorize("web")).mustStep("second_factor", 200)
	b.authorize("web", "prompt", "none").mustRefuse(oidc.InteractionRequired)
	b.password(own, b.answer(b.authorize("web"), "switch")).mustCode()
}
