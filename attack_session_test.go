package sallyport_test

import (
	"net/http"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/sallyport-id/sallyport/internal/oidc"
)

// The tests TestAttack… are the attacks of docs/attacks.md that no other test shows:
// somebody who has one thing of a user's, and tries to get the rest with it.

// atSecondFactor takes somebody who knows a password as far as it goes.
func (b *browser) atSecondFactor(p person, client string, extra ...string) *view {
	b.t.Helper()
	v := b.answer(b.authorize(client, extra...).mustStep("login", 200), "password", "username", p.login, "password", p.password)
	return v.mustStep("second_factor", 200)
}

// mustHave checks that nothing was bound to an account, and nothing taken off it.
func (r *rig) mustHave(p person, authenticators int) {
	r.t.Helper()
	list, err := r.Store().Authenticators(r.t.Context(), p.id)
	if err != nil || len(list) != authenticators {
		r.t.Errorf("%s has %d authenticators (%v), want %d", p.login, len(list), err, authenticators)
	}
}

// TestAttackVictimsPasswordInOwnSession: two factors of his own account, and the
// victim's password on top, are one factor of the victim's.
func TestAttackVictimsPasswordInOwnSession(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	own, b := r.joonWithTOTP(), r.browser()
	b.signIn(own, b.authorize("web")).mustCode()
	r.clock.advance(30 * time.Second)
	v := b.atSecondFactor(r.mina, "web", "prompt", "login")
	b.answer(v, "totp", "code", r.code(own.totp, 0)).mustStep("second_factor", 422)
	b.recover(v, own.recovery[0]).mustStep("second_factor", 422)
	b.authorize("web", "prompt", "none").mustRefuse(oidc.InteractionRequired)
}

// TestAttackPlantedSession: a session that he began with the victim's password, and
// put into the victim's browser, is not his any more when the victim goes on in it.
func TestAttackPlantedSession(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	attacker := r.browser()
	page := attacker.atSecondFactor(r.mina, "web")
	victim := attacker.copied()
	victim.answer(victim.get(page.path).mustStep("second_factor", 200), "totp", "code", r.code(r.mina.totp, 0)).mustCode()
	if got := attacker.get(page.path); got.status != http.StatusGone {
		t.Errorf("the page that both had: got %d %q %v, want 410", got.status, got.step(), got.location)
	}
	attacker.authorize("web", "prompt", "none").mustRefuse(oidc.LoginRequired)
}

// TestAttackStolenCookieEnds: the cookie of a complete sign-in is good until one of
// these, and no longer.
func TestAttackStolenCookieEnds(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(*rig, *browser){
		"signed out": func(_ *rig, owner *browser) {
			owner.post("/end_session/confirm", owner.get("/end_session").fields("end_session/confirm"))
		},
		"disabled": func(r *rig, _ *browser) { r.must(r.Admin().DisableUser(r.t.Context(), r.mina.id)) },
		"reset":    func(r *rig, _ *browser) { r.reset("mina", true) },
		"recovery code": func(r *rig, _ *browser) {
			b := r.browser()
			b.recover(b.atSecondFactor(r.mina, "web"), r.mina.recovery[0]).mustCode()
		},
		"stepped up": func(r *rig, owner *browser) {
			r.clock.advance(30 * time.Second)
			owner.signIn(r.mina, owner.authorize("web", "prompt", "login")).mustCode()
		},
		"not used for an hour": func(r *rig, _ *browser) { r.clock.advance(61 * time.Minute) },
		"a day old": func(r *rig, owner *browser) {
			for range 24 {
				r.clock.advance(59 * time.Minute)
				owner.authorize("web").mustCode()
			}
			r.clock.advance(25 * time.Minute)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			owner := r.browser()
			owner.signIn(r.mina, owner.authorize("web")).mustCode()
			thief := owner.copied()
			thief.authorize("web", "prompt", "none").mustCode()
			end(r, owner)
			thief.authorize("web", "prompt", "none").mustRefuse(oidc.LoginRequired)
		})
	}
}

// TestAttackStolenCookieBindsNothing: whoever has the browser of a complete sign-in,
// or its cookies, gives the account no authenticator of his own.
func TestAttackStolenCookieBindsNothing(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	owner := r.browser()
	owner.signIn(r.mina, owner.authorize("web")).mustCode()
	thief := owner.copied()
	for action, v := range map[string]*view{
		"consent":  thief.authorize("asks").mustStep("consent", 200),
		"password": thief.authorize("web", "prompt", "login").mustStep("login", 200),
	} {
		for _, enroll := range []string{"enroll", "register"} {
			form := v.fields(action)
			form.Set("step", "enroll")
			form.Set("code", "123456")
			form.Set("answer", "{}")
			thief.post(v.page()+"/"+enroll, form).mustStep(v.step(), http.StatusConflict)
		}
	}
	r.mustHave(r.mina, 2)
}

// TestAttackSessionCookieAlone: without the browser's own cookie it opens none of the
// pages that wait in the owner's tabs.
func TestAttackSessionCookieAlone(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	owner := r.browser()
	v := owner.signIn(r.mina, owner.authorize("asks")).mustStep("consent", 200)
	form := v.fields("consent")
	form.Set("decision", "allow")
	thief := owner.with("sallyport-session", owner.has("sallyport-session"))
	for _, fresh := range []bool{false, true} {
		if fresh {
			thief.authorize("asks").mustStep("consent", 200) // has a browser cookie of his own now
		}
		if got := thief.get(v.path); got.status != http.StatusGone {
			t.Errorf("the page: got %d %q, want 410", got.status, got.step())
		}
		if got := thief.post(v.page()+"/consent", form); got.status != http.StatusGone {
			t.Errorf("its form: got %d %v, want 410", got.status, got.location)
		}
	}
}

// TestAttackTwoCookiesOfOneName: where a neighbour can put a cookie beside the
// server's, neither counts, and nobody works in another's session.
func TestAttackTwoCookiesOfOneName(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	victim, attacker := r.browser(), r.browser()
	victim.signIn(r.mina, victim.authorize("web")).mustCode()
	attacker.signIn(r.joonWithTOTP(), attacker.authorize("web")).mustCode()
	for _, first := range []*browser{victim, attacker} {
		second := attacker
		if first == attacker {
			second = victim
		}
		req, err := http.NewRequest("GET", r.issuer+"/authorize?"+authorizeQuery("web", "prompt", "none").Encode(), nil)
		r.must(err)
		req.AddCookie(first.session())
		req.AddCookie(second.session())
		r.browser().do(req).mustRefuse(oidc.LoginRequired)
	}
}

// TestAttackFormAfterTheEnd: the last form of a sign-in, sent again from the browser's
// history, opens nothing.
func TestAttackFormAfterTheEnd(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	b := r.browser()
	v := b.atSecondFactor(r.mina, "web")
	form := v.fields("totp")
	form.Set("code", r.code(r.mina.totp, 0))
	b.post(v.page()+"/totp", form).mustCode()
	if got := b.post(v.page()+"/totp", form); got.status != http.StatusGone || got.location != nil {
		t.Errorf("the form again: got %d %v, want 410", got.status, got.location)
	}
	if got := b.get(v.path); got.status != http.StatusGone || got.location != nil {
		t.Errorf("its page: got %d %v, want 410", got.status, got.location)
	}
}

// TestAttackFormSentAtOnce: of the same last form, sent many times at once, comes one
// code.
func TestAttackFormSentAtOnce(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	b := r.browser()
	v := b.atSecondFactor(r.mina, "web")
	form := v.fields("totp")
	form.Set("code", r.code(r.mina.totp, 0))
	got := make([]*view, 16)
	var all sync.WaitGroup
	for i := range got {
		all.Go(func() { got[i] = b.post(v.page()+"/totp", form) })
	}
	all.Wait()
	codes := map[string]bool{}
	for _, v := range got {
		if v.location != nil && v.location.Query().Get("code") != "" {
			codes[v.location.Query().Get("code")] = true
		}
	}
	if len(codes) != 1 {
		t.Errorf("got %d codes, want 1", len(codes))
	}
}

// TestAttackNewCodesInAnotherSession: new recovery codes, not saved yet, are shown to
// the session that made them. Whoever has the browser's other cookie, the page's
// address and the password sees the second factor.
func TestAttackNewCodesInAnotherSession(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	owner := r.browser()
	v := owner.answer(owner.account(r.mina), "codes").mustStep("save_codes", 200)
	thief := r.browser()
	u, err := url.Parse(r.issuer)
	r.must(err)
	for _, c := range owner.http.Jar.Cookies(u) {
		if c.Name == "sallyport-browser" {
			thief.http.Jar.SetCookies(u, []*http.Cookie{c})
		}
	}
	got := thief.get(v.page()).mustStep("login", 200)
	thief.answer(got, "password", "username", "mina", "password", r.mina.password).mustStep("second_factor", 200)
}
