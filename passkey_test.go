package sallyport_test

import (
	"encoding/base64"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/descope/virtualwebauthn"

	"github.com/sallyport-id/sallyport"
	"github.com/sallyport-id/sallyport/internal/oidc"
	"github.com/sallyport-id/sallyport/internal/store"
)

var synced = virtualwebauthn.AuthenticatorOptions{BackupEligible: true}

// alone is the answer of the user's passkey to the challenge of the first page.
func (k *passkey) alone(v *view, u *store.User) string {
	v.t.Helper()
	o, err := virtualwebauthn.ParseAssertionOptions(v.options())
	if err != nil {
		v.t.Fatal(err)
	}
	handle, err := base64.RawURLEncoding.DecodeString(u.Handle)
	if err != nil {
		v.t.Fatal(err)
	}
	device := k.device
	device.Options.UserHandle = handle
	return virtualwebauthn.CreateAssertionResponse(k.site, device, k.cred, *o)
}

// aloneFor enrols the passkey for joon and uses it once beside the password, so that
// it is a way in alone.
func (r *rig) aloneFor(k *passkey) *store.User {
	r.t.Helper()
	r.enrolls(k)
	b := r.browser()
	v := b.atPasskey(r.joon)
	b.answer(v, "webauthn", "answer", k.sign(v)).mustCode()
	return r.user("joon")
}

// mustSay checks what a page says of an answer that was refused, and why in the log.
func (r *rig) mustSay(v *view, text, reason string) {
	r.t.Helper()
	v.mustStep("login", 422)
	if !strings.Contains(v.body, text) || strings.Contains(v.body, "joon") {
		r.t.Errorf("%s: the page does not say %q, or names the user:\n%s", reason, text, v.body)
	}
	events, err := r.Store().Events(r.t.Context(), store.EventQuery{Limit: 1})
	if err != nil || events[0].Type != store.EventLoginWebAuthnFailed || events[0].Detail != reason {
		r.t.Errorf("%s: got %+v, %v", reason, events, err)
	}
}

const (
	notHere       = "not registered here"
	passwordFirst = "cannot sign you in by itself yet"
	notAccepted   = "was not accepted"
)

// TestPasskeyAlone: no username, no password, no code, level 3; the page tells nobody
// whose passkeys there are, and next time the passkey is offered first.
func TestPasskeyAlone(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		o    virtualwebauthn.AuthenticatorOptions
		want string
	}{
		"synced":       {synced, "phr [swk user mfa]"},
		"device-bound": {virtualwebauthn.AuthenticatorOptions{}, "phr [pop user mfa]"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, func(c *sallyport.Config) { c.Policy = []sallyport.Rule{{TrustedDeviceDays: 30}} }) // which is not asked about
			k := r.passkey(c.o)
			b := r.browser()
			v := b.answer(b.authorize("web"), "password", "username", "joon", "password", r.joon.password).mustStep("enroll", 200)
			b.answer(v, "register", "answer", k.register(v)).mustStep("save_codes", 200)
			b = r.browser()
			v = b.atPasskey(r.joon)
			b.answer(v, "webauthn", "answer", k.sign(v)).mustStep("trust", 200)
			u, b := r.user("joon"), r.browser()
			v = b.authorize("web").mustStep("login", 200)
			if o := v.options(); strings.Contains(o, "allowCredentials") || !strings.Contains(o, `"userVerification":"required"`) {
				t.Errorf("got the options %s", o)
			}
			if got := proven(t, r.redeem("web", b.answer(v, "passkey", "answer", k.alone(v, u)).mustCode())); got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
			v = b.authorize("web", "prompt", "login").mustStep("login", 200)
			if strings.Contains(v.body, `name="password"`) || !strings.Contains(v.body, "?method=password") {
				t.Errorf("the passkey does not come first:\n%s", v.body)
			}
			v = b.get(v.page()+"?method=password").mustStep("login", 200)
			b.answer(v, "password", "username", "joon", "password", r.joon.password).mustStep("second_factor", 200)
			if v = b.authorize("web", "prompt", "login"); !strings.Contains(v.body, `name="password"`) {
				t.Errorf("the password does not come first:\n%s", v.body)
			}
		})
	}
}

// TestRule2PasskeyIsNoWayInBeforeBothFactors: whoever has the password alone may
// enrol a first passkey, and cannot sign in with it without the password, in this
// browser or another, before both were proven together in a later session.
func TestRule2PasskeyIsNoWayInBeforeBothFactors(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	k, thief := r.passkey(synced), r.browser()
	v := thief.answer(thief.authorize("web"), "password", "username", "joon", "password", r.joon.password).mustStep("enroll", 200)
	v = thief.answer(v, "register", "answer", k.register(v)).mustStep("save_codes", 200)
	thief.answer(v, "saved", "saved", "1").mustCode()
	u := r.user("joon")
	v = thief.authorize("web", "prompt", "login").mustStep("login", 200)
	v = thief.answer(v, "passkey", "answer", k.alone(v, u)).mustStep("login", 422)
	v = thief.answer(thief.get(v.page()), "password", "username", "joon", "password", r.joon.password)
	thief.answer(v.mustStep("second_factor", 200), "webauthn", "answer", k.sign(v)).mustCode() // where it was enrolled that proves nothing
	other := r.browser()
	v = other.authorize("web").mustStep("login", 200)
	v = other.answer(v, "passkey", "answer", k.alone(v, u))
	r.mustSay(v, passwordFirst, "password_first")
	v = other.answer(v, "password", "username", "joon", "password", r.joon.password).mustStep("second_factor", 200)
	other.answer(v, "webauthn", "answer", k.sign(v)).mustCode()
	last := r.browser()
	v = last.authorize("web").mustStep("login", 200)
	last.answer(v, "passkey", "answer", k.alone(v, u)).mustCode()
}

// TestSecurityKeyWithoutPINIsNoWayInAlone: not even when somebody who finds it sets
// one; beside the password it is a second factor as ever (WebAuthn L3 §7.2).
func TestSecurityKeyWithoutPINIsNoWayInAlone(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	k := r.passkey(virtualwebauthn.AuthenticatorOptions{UserNotVerified: true})
	u, b := r.aloneFor(k), r.browser()
	v := b.authorize("web").mustStep("login", 200)
	v = b.answer(v, "passkey", "answer", k.alone(v, u))
	r.mustSay(v, "did not check that it is you", "user_not_verified")
	v = b.answer(v, "passkey", "answer", strings.Replace(k.alone(v, u), `{`, `{"authenticatorAttachment":"cross-platform",`, 1))
	r.mustSay(v, "PIN", "no_pin")
	k.device.Options.UserNotVerified = false
	v = b.answer(v, "passkey", "answer", k.alone(v, u))
	r.mustSay(v, passwordFirst, "password_first")
	v = b.answer(v, "password", "username", "joon", "password", r.joon.password).mustStep("second_factor", 200)
	b.answer(v, "webauthn", "answer", k.sign(v)).mustCode()
	b = r.browser()
	v = b.authorize("web").mustStep("login", 200)
	b.answer(v, "passkey", "answer", k.alone(v, u)).mustCode()
}

// TestPasskeyAloneIsRefused: each with the page and another challenge, and without a
// word on who exists.
func TestPasskeyAloneIsRefused(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	k, stranger, noone := r.passkey(synced), r.passkey(synced), r.passkey(synced)
	k.cred.Counter = 5
	u := r.aloneForCounter(k)
	in, b := r.invite("sora"), r.browser()
	v := b.choose(b.get(in.path), in.password).mustStep("enroll", 200)
	b.answer(v, "register", "answer", stranger.register(v)).mustStep("save_codes", 200)
	sora := r.user("sora")
	b = r.browser()
	parked := r.browser().authorize("web").mustStep("login", 200)
	v = b.authorize("web").mustStep("login", 200)
	for name, c := range map[string]struct {
		answer       func(*view) string
		text, reason string
	}{
		"another origin": {func(v *view) string {
			evil := *k
			evil.site.Origin = "http://localhost.evil.example"
			return evil.alone(v, u)
		}, notAccepted, "origin"},
		"another host's": {func(v *view) string {
			evil := *k
			evil.site.ID = "evil.example"
			return evil.alone(v, u)
		}, notAccepted, "invalid"},
		"nobody's credential":     {func(v *view) string { return noone.alone(v, u) }, notHere, "unknown_credential"},
		"her handle, his passkey": {func(v *view) string { return k.alone(v, sora) }, notHere, "unknown_credential"},
		"no handle":               {func(v *view) string { return k.alone(v, &store.User{}) }, notHere, "unknown_credential"},
		"another key": {func(v *view) string {
			forged := *k
			forged.cred.Key, forged.cred.Counter = stranger.cred.Key, 99
			return forged.alone(v, u)
		}, notAccepted, "invalid"},
		"a counter of before": {func(v *view) string {
			copied := *k
			copied.cred.Counter = 5
			return copied.alone(v, u)
		}, notAccepted, "counter"},
		"another interaction's challenge": {func(*view) string { return k.alone(parked, u) }, notAccepted, "challenge"},
		"no answer of an authenticator":   {func(*view) string { return `{"id":1}` }, notAccepted, "malformed"},
	} {
		before := v.options()
		v = b.answer(v, "passkey", "answer", c.answer(v))
		r.mustSay(v, c.text, c.reason)
		if v.options() == before {
			t.Errorf("%s: the challenge is shown again", name)
		}
	}
	k.cred.Counter = 7
	answer := k.alone(v, u)
	b.answer(v, "passkey", "answer", answer).mustCode()
	v = b.authorize("web", "prompt", "login").mustStep("login", 200)
	b.answer(v, "passkey", "answer", answer).mustStep("login", 422) // replayed
}

// aloneForCounter is aloneFor with a counter that rises.
func (r *rig) aloneForCounter(k *passkey) *store.User {
	r.t.Helper()
	r.enrolls(k)
	b := r.browser()
	v := b.atPasskey(r.joon)
	k.cred.Counter++
	b.answer(v, "webauthn", "answer", k.sign(v)).mustCode()
	return r.user("joon")
}

// TestPasskeyOfSomebodyWhoMayNot: a challenge that is answered after the account was
// disabled, reset or removed signs nobody in, and tells nothing.
func TestPasskeyOfSomebodyWhoMayNot(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(*rig){
		"disabled": func(r *rig) { r.must(r.Store().DisableUser(r.t.Context(), r.joon.id, r.clock.Now())) },
		"reset":    func(r *rig) { r.reset("joon", true) },
		"removed":  func(r *rig) { r.must(r.Store().RemoveUser(r.t.Context(), r.joon.id, r.clock.Now())) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			k := r.passkey(synced)
			u, b := r.aloneFor(k), r.browser()
			v := b.authorize("web").mustStep("login", 200)
			answer := k.alone(v, u)
			end(r)
			reason := "unknown_credential"
			if name == "disabled" {
				reason = name
			}
			r.mustSay(b.answer(v, "passkey", "answer", answer), notHere, reason)
		})
	}
}

// TestRule4PasskeyOfAnotherReplacesTheSession: two users are never merged.
func TestRule4PasskeyOfAnotherReplacesTheSession(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	k := r.passkey(synced)
	u, b := r.aloneFor(k), r.browser()
	hers := r.redeem("web", b.signIn(r.mina, b.authorize("web")).mustCode())
	parked := b.authorize("web", "prompt", "login").mustStep("login", 200)
	v := b.authorize("web", "prompt", "login").mustStep("login", 200)
	got := claims(t, r.redeem("web", b.answer(v, "passkey", "answer", k.alone(v, u)).mustCode()).ID)
	if got["sub"] != r.joon.id || fmt.Sprint(got["amr"]) != "[swk user mfa]" {
		t.Errorf("got %v", got)
	}
	if status, _ := r.userinfo(hers.Access); status != 401 {
		t.Errorf("what she was given lives on: got %d", status)
	}
	b.answer(parked, "password", "username", "mina", "password", r.mina.password)
	if got := claims(t, r.redeem("web", b.authorize("web").mustCode()).ID)["sub"]; got != r.joon.id {
		t.Errorf("after her parked tab: got %v", got)
	}
}

// TestPasskeyAloneForWhomAndWhen: a fresh proof is one, for prompt=login and max_age
// too; a request that names another person is not answered for this one.
func TestPasskeyAloneForWhomAndWhen(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	k := r.passkey(synced)
	u, other := r.aloneFor(k), r.browser()
	hers := r.redeem("web", other.signIn(r.mina, other.authorize("web")).mustCode())
	for _, extra := range [][]string{{}, {"prompt", "login"}, {"max_age", "0"}, {"login_hint", "mina"}, {"acr_values", "phr"}} {
		b := r.browser()
		if len(extra) > 0 && extra[0] != "acr_values" {
			v := b.authorize("web").mustStep("login", 200)
			b.answer(v, "passkey", "answer", k.alone(v, u)).mustCode()
		}
		v := b.authorize("web", extra...).mustStep("login", 200)
		got := r.redeem("web", b.answer(v, "passkey", "answer", k.alone(v, u)).mustCode())
		if c := claims(t, got.ID); c["sub"] != r.joon.id || c["acr"] != "phr" {
			t.Errorf("%v: got %v", extra, c)
		}
		b.authorize("web").mustCode() // a session like any other
	}
	b := r.browser()
	v := b.authorize("web", "id_token_hint", hers.ID).mustStep("login", 200)
	b.answer(v, "passkey", "answer", k.alone(v, u)).mustRefuse(oidc.LoginRequired)
}

// TestPasskeyAloneTakenOnce: of 16 who send the same answer at once, one is signed in.
func TestPasskeyAloneTakenOnce(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	k := r.passkey(synced)
	u, b := r.aloneFor(k), r.browser()
	v := b.authorize("web").mustStep("login", 200)
	fields := v.fields("passkey")
	fields.Set("answer", k.alone(v, u))
	browsers := make([]*browser, 16)
	for i := range browsers {
		browsers[i] = b.copied()
	}
	var done sync.WaitGroup
	codes := make([]bool, len(browsers))
	for i, one := range browsers {
		done.Go(func() {
			got := one.post(v.page()+"/passkey", fields)
			codes[i] = got.location != nil && got.location.Query().Get("code") != ""
		})
	}
	done.Wait()
	won := 0
	for _, code := range codes {
		if code {
			won++
		}
	}
	if won != 1 {
		t.Errorf("got %d codes, want 1", won)
	}
}

// TestChallengeOfTheOtherStep: what was signed to stand alone is no second factor, and
// the other way round.
func TestChallengeOfTheOtherStep(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	k := r.passkey(synced)
	u, b := r.aloneFor(k), r.browser()
	first := b.authorize("web").mustStep("login", 200)
	early := k.alone(first, u)
	v := b.answer(first, "password", "username", "joon", "password", r.joon.password).mustStep("second_factor", 200)
	second := k.sign(v)
	v = b.answer(v, "webauthn", "answer", early).mustStep("second_factor", 422)
	v = b.answer(v, "switch").mustStep("login", 200)
	v = b.answer(v, "passkey", "answer", second)
	r.mustSay(v, notAccepted, "challenge")
}

// TestUserWithAPasskeyAndNoPassword signs in, and nothing else does.
func TestUserWithAPasskeyAndNoPassword(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	k := r.passkey(synced)
	u, b := r.aloneFor(k), r.browser()
	r.must(r.Store().SetPasswordHash(t.Context(), u.ID, u.PasswordHash, ""))
	v := b.authorize("web").mustStep("login", 200)
	if got := proven(t, r.redeem("web", b.answer(v, "passkey", "answer", k.alone(v, u)).mustCode())); got != "phr [swk user mfa]" {
		t.Errorf("got %s", got)
	}
	b.authorize("web", "acr_values", "phr").mustCode()
	v = b.authorize("web", "max_age", "0").mustStep("login", 200)
	v = b.answer(b.get(v.page()+"?method=password"), "password", "username", "joon", "password", r.joon.password).mustStep("login", 422)
	b.answer(b.get(v.page()+"?method=passkey"), "passkey", "answer", k.alone(b.get(v.page()+"?method=passkey"), u)).mustCode()
}

// TestInvitedPasskeyIsAWayIn: an invitation is more than a password.
func TestInvitedPasskeyIsAWayIn(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	in, k, b := r.invite("sora"), r.passkey(synced), r.browser()
	v := b.choose(b.get(in.path), in.password).mustStep("enroll", 200)
	b.answer(v, "register", "answer", k.register(v)).mustStep("save_codes", 200)
	b = r.browser()
	v = b.authorize("web").mustStep("login", 200)
	b.answer(v, "passkey", "answer", k.alone(v, r.user("sora"))).mustCode()
}

// TestPasskeyThatTheRuleExcludes: whoever signs in with one where it does not count
// is told, and is not sent in a circle.
func TestPasskeyThatTheRuleExcludes(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(c *sallyport.Config) {
		c.Policy = []sallyport.Rule{{Clients: []string{"asks"}, Methods: []string{"totp"}}}
	})
	k := r.passkey(virtualwebauthn.AuthenticatorOptions{})
	u := r.aloneFor(k)
	b := r.browser()
	v := b.authorize("asks").mustStep("login", 200)
	v = b.answer(v, "passkey", "answer", k.alone(v, u))
	r.mustSay(v, "does not accept passkeys", "excluded")
	if b.has("sallyport-session") != "" || !strings.Contains(v.body, `name="password"`) {
		t.Errorf("somebody is signed in, or there is no other way:\n%s", v.body)
	}
	v = b.authorize("web").mustStep("login", 200)
	b.answer(v, "passkey", "answer", k.alone(v, u)).mustCode() // where it counts
}
