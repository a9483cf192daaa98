package e2e

import "testing"

// trustFor30Days is the setting with which people are asked.
const trustFor30Days = "SALLYPORT_POLICY=[{trusted_device_days: 30}]"

// setUp adds somebody, who sets up the account in the browser with an authenticator
// app, and returns the app's key.
func (in *installation) setUp(b *tab, login string) (key string) {
	in.t.Helper()
	b.open(in.link("user", "add", login))
	b.choose("quiet lantern otter")
	b.app()
	key = b.textOf("dd code")
	b.code(totp(in.t, key, 0))
	b.save()
	return key
}

// TestTrustedBrowser: somebody trusts the browser after two factors, signs out and in
// again with the password alone, until an operator ends the trust. Another browser is
// asked for both all the time. With JavaScript and without.
func TestTrustedBrowser(t *testing.T) {
	t.Parallel()
	for name, script := range map[string]bool{"with a script": true, "without": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			in := install(t, trustFor30Days)
			b := newBrowser(t, "en")
			if !script {
				b.disableScript()
			}
			key := in.setUp(b, "sora")
			b.open(in.request())
			b.password("sora", "quiet lantern otter")
			b.mustStep("second_factor")
			b.code(totp(t, key, 1))
			b.mustStep("trust")
			b.press("#trust")
			in.mustBeComplete(b, "pwd otp mfa")

			b.signOut(in.issuer)
			b.open(in.request())
			b.password("sora", "quiet lantern otter")
			if acr, amr := in.heard(b); acr != "urn:sallyport:acr:1fa" || amr != "pwd" {
				t.Errorf("in the trusted browser the application hears of %s, %s, want one factor", acr, amr)
			}
			other := newBrowser(t, "en")
			other.open(in.request())
			other.password("sora", "quiet lantern otter")
			other.mustStep("second_factor")

			in.sallyport("user", "devices", "sora", "--all", "--config", in.config())
			b.open(in.request())
			b.mustStep("second_factor")
		})
	}
}

// TestPagesOfTrust walks past the question whether to trust the browser, and past an
// operator's code.
func TestPagesOfTrust(t *testing.T) {
	t.Parallel()
	for _, language := range []string{"en", "ko"} {
		t.Run(language, func(t *testing.T) {
			t.Parallel()
			w := &walk{tab: newBrowser(t, language), titles: map[string]string{}}
			w.trust(install(t, trustFor30Days))
		})
	}
}

// trust: the question, and an operator's code for who has lost the app.
func (w *walk) trust(in *installation) {
	key := in.setUp(w.tab, "sora")
	w.open(in.request())
	w.password("sora", "quiet lantern otter")
	w.code(totp(w.t, key, 1))
	w.look("trust")
	var made struct{ Bypass struct{ Code string } }
	in.decode(&made, "user", "bypass", "sora", "--output", "json")
	w.fresh(newBrowser(w.t, w.language)).open(in.request())
	w.password("sora", "quiet lantern otter")
	w.look("second-factor-others")
	w.do(pressed("summary"))
	w.press("a[href*=bypass]")
	w.look("bypass")
	w.fill("#code", "0000-0000-0000-0000")
	w.mustStatus(w.press("#verify"), 422)
	w.look("bypass-error")
	w.fill("#code", made.Bypass.Code)
	w.press("#verify")
	w.look("enroll-bypass")
}

func (b *tab) signOut(issuer string) {
	b.t.Helper()
	b.open(issuer + "/end_session")
	b.press("form button:not(.quiet)")
}
