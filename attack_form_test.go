package sallyport_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/sallyport-id/sallyport/internal/oidc"
)

// TestAttackSignedInAsTheAttacker: his own login form, with his own password in it,
// sent by the victim's browser, so that the victim works in his account.
func TestAttackSignedInAsTheAttacker(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	attacker, victim := r.browser(), r.browser()
	v := attacker.authorize("web")
	form := v.fields("password")
	form.Set("username", "joon")
	form.Set("password", r.joon.password)
	for range 2 {
		if got := victim.post(v.page()+"/password", form); got.status != http.StatusGone {
			t.Errorf("got %d %q, want 410", got.status, got.step())
		}
		victim.authorize("web").mustStep("login", 200) // has a browser cookie of its own now
	}
	waiting := victim.authorize("web").mustStep("login", 200)
	if got := victim.post(waiting.page()+"/password", form); got.status != http.StatusConflict || got.step() != "login" {
		t.Errorf("to the victim's own page: got %d %q, want 409", got.status, got.step())
	}
}

// TestAttackEveryFormFromElsewhere: no form of the server's pages is taken from another
// origin, be it on the same host.
func TestAttackEveryFormFromElsewhere(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	b := r.browser()
	v := b.atSecondFactor(r.mina, "web")
	in := r.invite("sora")
	paths := []string{in.path + "/password", "/end_session/confirm"}
	for _, action := range []string{"password", "totp", "webauthn", "recovery", "register", "enroll", "saved", "consent", "switch", "cancel"} {
		paths = append(paths, v.page()+"/"+action)
	}
	for _, path := range paths {
		for site, origin := range map[string]string{"cross-site": "https://evil.example", "same-site": "http://localhost:5999", "": "null"} {
			req, err := http.NewRequest("POST", r.issuer+path, strings.NewReader(v.fields("totp").Encode()))
			r.must(err)
			req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			req.Header.Set("Origin", origin)
			if site != "" {
				req.Header.Set("Sec-Fetch-Site", site)
			}
			if got := b.do(req); got.status != http.StatusForbidden {
				t.Errorf("%s from %s: got %d, want 403", path, origin, got.status)
			}
		}
	}
	if got := b.get(v.path); got.step() != "second_factor" {
		t.Errorf("got %q: something was taken", got.step())
	}
}

// TestAttackFormByAddress: a link, or an image, that carries what a form would.
func TestAttackFormByAddress(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	b := r.browser()
	v := b.signIn(r.mina, b.authorize("asks")).mustStep("consent", 200)
	form := v.fields("consent")
	form.Set("decision", "allow")
	if got := b.get(v.page() + "/consent?" + form.Encode()); got.status != http.StatusMethodNotAllowed {
		t.Errorf("GET: got %d %v, want 405", got.status, got.location)
	}
	req, err := http.NewRequest("POST", r.issuer+v.page()+"/consent?"+form.Encode(), nil)
	r.must(err)
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if got := b.do(req); got.location != nil || got.status < 400 {
		t.Errorf("POST with the form in the address: got %d %v", got.status, got.location)
	}
	b.get(v.page()).mustStep("consent", 200)
}

// TestAttackConsentOfAnotherRequest: a malicious client shows its small request on one
// tab, and has the answer count for its large one on another.
func TestAttackConsentOfAnotherRequest(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	b := r.browser()
	small := b.signIn(r.mina, b.authorize("asks", "scope", "openid")).mustStep("consent", 200)
	large := b.authorize("asks", "scope", "openid email offline_access", "prompt", "consent").mustStep("consent", 200)
	form := small.fields("consent")
	form.Set("decision", "allow")
	form.Set("version", large.fields("consent").Get("version")) // they may be the same
	if got := b.post(large.page()+"/consent", form); got.status != http.StatusConflict || got.step() != "consent" {
		t.Errorf("got %d %q %v, want 409", got.status, got.step(), got.location)
	}
	b.authorize("asks", "scope", "openid email", "prompt", "none").mustRefuse(oidc.ConsentRequired)
}

// TestAttackSignedOutByALink: an end of the session that the user did not ask for, with
// no hint, with the hint of another user, and with one of the same user's other browser.
func TestAttackSignedOutByALink(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	victim, attacker, elsewhere := r.browser(), r.browser(), r.browser()
	victim.signIn(r.mina, victim.authorize("web")).mustCode()
	own := r.redeem("web", attacker.signIn(r.joonWithTOTP(), attacker.authorize("web")).mustCode()).ID
	other := r.redeem("web", elsewhere.answer(elsewhere.atSecondFactor(r.mina, "web"), "totp", "code", r.code(r.mina.totp, 1)).mustCode()).ID
	for name, query := range map[string]string{"no hint": "", "of the attacker": "id_token_hint=" + own, "of another browser": "id_token_hint=" + other} {
		if got := victim.get("/end_session?" + query); got.status != http.StatusOK || !strings.Contains(got.body, "/end_session/confirm") {
			t.Errorf("%s: got %d, want a question", name, got.status)
		}
		if got := victim.post("/end_session/confirm", url.Values{}); got.status == http.StatusOK && !strings.Contains(got.body, "/end_session/confirm") {
			t.Errorf("%s: a confirmation without the page's token was taken", name)
		}
		victim.authorize("web", "prompt", "none").mustCode()
	}
}
