package e2e

import (
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/webauthn"
	"github.com/chromedp/chromedp"
)

// arrives waits until the browser has gone to a step by itself.
func (b *tab) arrives(step string) {
	b.t.Helper()
	b.waitFor(step, func() bool {
		got, err := chromedp.Run(b.ctx, chromedp.Evaluate[string](`document.readyState === "complete" && (document.querySelector("input[name=step]") || {value: ""}).value`))
		return err == nil && got == step // an error: the page is just leaving
	})
}

// touches says whether somebody touches the authenticator when it blinks.
func (b *tab) touches(id webauthn.AuthenticatorID, yes bool) {
	b.t.Helper()
	call(b, webauthn.SetAutomaticPresenceSimulation, webauthn.SetAutomaticPresenceSimulationParams{AuthenticatorID: id, Enabled: yes})
}

// setUpBoth adds somebody, who sets up the account with a passkey and adds an
// authenticator app, whose key it returns.
func (in *installation) setUpBoth(b *tab, login string) (key string) {
	in.t.Helper()
	b.open(in.link("user", "add", login))
	b.choose("quiet lantern otter")
	b.mustStatus(b.press("#register"), 200)
	b.save()
	b.open(in.issuer + "/account")
	b.password(login, "quiet lantern otter")
	b.arrives("manage")
	b.press("#add-totp")
	key = b.textOf("dd code")
	b.mustStatus(b.code(totp(in.t, key, 0)), 200)
	b.mustStep("manage")
	return key
}

// asks checks that the page asks for this alone, of what there is to ask for.
func (b *tab) asks(want ...string) {
	b.t.Helper()
	got := eval[[]string](b, `["#password", "#code", "form[action$=webauthn]", "a[href*=totp]", "a[href*=recovery]"].filter(s => document.querySelector(s))`)
	if strings.Join(got, " ") != strings.Join(want, " ") {
		b.fatalf("the page asks for %q, want %q", got, want)
	}
}

// TestStepUp: in one session one application asks for more and more, and each time the
// page asks for what is missing alone. The ID tokens say what was proven, and when.
func TestStepUp(t *testing.T) {
	t.Parallel()
	in := install(t, `SALLYPORT_POLICY=[{clients: [shop], require: "off"}, {}]`)
	b := newBrowser(t, "en")
	id := b.plugInBeside(passkey)
	key := in.setUpBoth(b, "sora")
	call(b, network.ClearBrowserCookies, cdp.Empty{})
	b.touches(id, false)
	ask := func(pairs ...string) { b.t.Helper(); b.open(with(t, in.request(), pairs...)) }

	began := time.Now().Unix()
	ask()
	b.mustStep("login")
	b.password("sora", "quiet lantern otter")
	one := in.idToken(b)
	one.must(t, "urn:sallyport:acr:1fa", "pwd", began)

	ask("claims", `{"id_token":{"acr":{"essential":true,"values":["urn:sallyport:acr:2fa"]}}}`)
	b.mustStep("second_factor")
	b.asks("#code", "a[href*=recovery]")
	b.mustStatus(b.code(totp(t, key, 1)), 200)
	two := in.idToken(b)
	two.must(t, "urn:sallyport:acr:2fa", "pwd otp mfa", began)
	if two.AuthTime != one.AuthTime {
		t.Errorf("auth_time with a second factor: got %d, want the password's, %d", two.AuthTime, one.AuthTime)
	}

	strong := time.Now().Unix()
	ask("acr_values", "phr")
	b.mustStep("second_factor")
	b.asks("form[action$=webauthn]")
	b.touches(id, true)
	b.leaveFor(with(t, in.request(), "acr_values", "phr"))
	b.at(in.callback)
	in.idToken(b).must(t, "phr", "swk user mfa", strong)

	for _, c := range []struct{ name, value string }{{"prompt", "none"}, {"acr_values", "phr urn:sallyport:acr:2fa"}, {"max_age", "3600"}} {
		ask(c.name, c.value)
		b.mustBeAt(in.callback)
		if !strings.Contains(b.url(), "code=") {
			t.Errorf("%s=%s asks for what was proven before", c.name, c.value)
		}
	}
	b.touches(id, false)
	for _, c := range []struct{ name, value string }{{"prompt", "login"}, {"max_age", "0"}} {
		again := time.Now().Unix()
		ask(c.name, c.value)
		b.mustStep("login")
		b.password("sora", "quiet lantern otter")
		in.idToken(b).must(t, "urn:sallyport:acr:1fa", "pwd", again)
	}
}

// must checks the claims; auth_time is not before a moment.
func (got idToken) must(t *testing.T, acr, amr string, since int64) {
	t.Helper()
	if got.ACR != acr || strings.Join(got.AMR, " ") != amr || got.AuthTime < since {
		t.Errorf("the ID token says %+v, want acr %s, amr %s, auth_time from %d on", got, acr, amr, since)
	}
}
