package e2e

import (
	"strings"
	"testing"
	"time"
)

const (
	doneEnglish = "Two-factor authentication is complete."
	doneKorean  = "2FA 인증이 완료되었습니다."
)

// mustBeComplete checks the demo's page after a sign-in.
func (b *tab) mustBeComplete(d *dev, login, amr string) {
	b.t.Helper()
	b.mustBeAt(d.Demo + "/callback")
	want := doneEnglish
	if strings.HasPrefix(b.language, "ko") {
		want = doneKorean
	}
	b.mustText(want)
	for id, want := range map[string]string{"#who": login, "#acr": "urn:sallyport:acr:2fa", "#amr": amr} {
		if got := b.textOf(id); got != want {
			b.fatalf("%s: got %q, want %q", id, got, want)
		}
	}
	at, err := time.Parse("2006-01-02 15:04:05 MST", b.textOf("#auth_time"))
	if age := time.Since(at); err != nil || age < -time.Minute || age > 5*time.Minute {
		b.fatalf("#auth_time: got %q (%v), want just now", b.textOf("#auth_time"), err)
	}
}

// TestDemoInBothLanguages is the main job: password, code, and the application
// says that the second factor happened.
func TestDemoInBothLanguages(t *testing.T) {
	t.Parallel()
	for language, words := range map[string]struct{ home, title string }{
		"en-US": {"Sign in", "Sign in"},
		"ko-KR": {"로그인", "로그인"},
	} {
		t.Run(language, func(t *testing.T) {
			t.Parallel()
			d := startDev(t)
			b := newBrowser(t, language)
			b.open(d.Demo)
			if got := b.textOf("#login"); got != words.home {
				t.Errorf("the demo's link: got %q, want %q", got, words.home)
			}
			b.mustStatus(b.press("#login"), 200)
			if got := eval[string](b, `document.title`); !strings.Contains(got, words.title) {
				t.Errorf("title of the first page: got %q, want %q in it", got, words.title)
			}
			if got, want := eval[string](b, `document.documentElement.lang`), language[:2]; got != want {
				t.Errorf("language of the first page: got %q, want %q", got, want)
			}
			b.mustStatus(b.signIn(d.user(t, "mina"), d.code(t, "mina")), 200)
			b.mustBeComplete(d, "mina", "pwd otp mfa")
			b.mustBeSignedIn(d, "mina")
		})
	}
}

// TestSecondSignInAsksNothing: while the session lasts, the application gets
// its answer without a page of the server.
func TestSecondSignInAsksNothing(t *testing.T) {
	t.Parallel()
	d := startDev(t)
	b := newBrowser(t, "en")
	b.open(d.Demo + "/login")
	b.signIn(d.user(t, "mina"), d.code(t, "mina"))
	first := b.textOf("#auth_time")
	before := len(b.since(0))
	b.mustStatus(b.open(d.Demo+"/login"), 200)
	b.mustBeComplete(d, "mina", "pwd otp mfa")
	if got := b.textOf("#auth_time"); got != first {
		t.Errorf("auth_time: got %q, want that of the sign-in, %q", got, first)
	}
	for _, r := range b.since(before) {
		if strings.Contains(r, "/interaction/") {
			t.Errorf("the second sign-in shows %s", r)
		}
	}
}

// TestSignOut: the demo's button ends both sessions, and the next sign-in asks.
func TestSignOut(t *testing.T) {
	t.Parallel()
	d := startDev(t)
	b := newBrowser(t, "en")
	b.open(d.Demo + "/login")
	b.signIn(d.user(t, "mina"), d.code(t, "mina"))
	b.press("#logout")
	if strings.HasPrefix(b.url(), d.Issuer) && b.has("form") {
		b.press("form button")
	}
	b.mustBeSignedOut(d)
	b.open(d.Demo + "/login")
	b.mustStep("login")
}

// TestEnrollmentThenSignIn: a user without a second factor scans or types the
// key, confirms it, saves the recovery codes, and signs in with it next time.
func TestEnrollmentThenSignIn(t *testing.T) {
	t.Parallel()
	d := startDev(t)
	joon := d.user(t, "joon")
	b := newBrowser(t, "en")
	b.open(d.Demo + "/login")
	b.password(joon.Login, joon.Password)
	b.app()
	if !b.has(".qr-code svg path") {
		b.fatalf("the page has no QR code")
	}
	key := b.textOf("dd code")
	if got, want := d.code(t, "joon"), totp(t, key, 0); got != want && got != totp(t, key, -1) {
		t.Errorf("dev code: got %s, want that of the key on the page, %s", got, want)
	}
	b.mustStatus(b.code(wrong(totp(t, key, 0))), 422)
	b.mustStep("enroll")
	if got := b.textOf("dd code"); got != key {
		t.Errorf("the key after a wrong code: got %q, want the same, %q", got, key)
	}
	b.mustStatus(b.code(totp(t, key, 0)), 200)
	b.mustStep("save_codes")
	codes := b.recoveryCodes()
	if len(codes) != 10 {
		b.fatalf("the page shows %d recovery codes, want 10", len(codes))
	}
	b.do(pressed("[name=saved]"))
	b.mustStatus(b.press("#continue"), 200)
	b.mustBeComplete(d, "joon", "pwd otp mfa")

	again := newBrowser(t, "en")
	again.open(d.Demo + "/login")
	again.mustStatus(again.signIn(joon, totp(t, key, 1)), 200)
	again.mustBeComplete(d, "joon", "pwd otp mfa")

	lost := newBrowser(t, "en") // and one of the codes works
	lost.open(d.Demo + "/login")
	lost.password(joon.Login, joon.Password)
	lost.mustStatus(lost.recovery(codes[3]), 200)
	lost.mustBeComplete(d, "joon", "pwd otp mfa")
}

// TestCodesMustBeSaved: the page stays until the box is ticked, and shows the
// codes still.
func TestCodesMustBeSaved(t *testing.T) {
	t.Parallel()
	d := startDev(t)
	b := newBrowser(t, "en")
	b.noScript = true // with a script, the browser's own check stands before ours
	b.disableScript()
	b.open(d.Demo + "/login")
	b.password("joon", d.user(t, "joon").Password)
	b.app()
	b.code(totp(t, b.textOf("dd code"), 0))
	shown := strings.Join(b.recoveryCodes(), " ")
	b.do(dropRequired)
	b.mustStatus(b.press("#continue"), 422)
	b.mustStep("save_codes")
	if got := strings.Join(b.recoveryCodes(), " "); got != shown {
		t.Errorf("recovery codes after the refusal: got %q, want %q", got, shown)
	}
	b.mustBeSignedOut(d)
}

// recoveryCodes are those on the page.
func (b *tab) recoveryCodes() []string {
	b.t.Helper()
	return eval[[]string](b, `Array.from(document.querySelectorAll("main li code, main ul code, main ol code"), c => c.textContent.trim())`)
}

// recovery takes the other way at the second step.
func (b *tab) recovery(code string) (status int) {
	b.t.Helper()
	b.mustStep("second_factor")
	b.press("a[href*=recovery]")
	return b.load(typed("#code", code), pressed("#verify"))
}

// TestWrongCode: the same step with 422 and a message tied to the field, and
// the right code goes on.
func TestWrongCode(t *testing.T) {
	t.Parallel()
	d := startDev(t)
	b := newBrowser(t, "en")
	b.open(d.Demo + "/login")
	b.password("mina", d.user(t, "mina").Password)
	where := b.url()
	b.mustStatus(b.code(wrong(d.code(t, "mina"))), 422)
	b.mustStep("second_factor")
	b.mustText("That code is not right.")
	described := eval[string](b, `document.querySelector("#code").getAttribute("aria-describedby").split(" ").map(id => document.getElementById(id).textContent).join(" ")`)
	if !strings.Contains(described, "That code is not right.") || !b.has("#code[aria-invalid=true]") {
		t.Errorf("the field is described by %q, want the error, and marked invalid", described)
	}
	b.mustStatus(b.code(d.code(t, "mina")), 200)
	b.mustBeComplete(d, "mina", "pwd otp mfa")
	if !strings.HasPrefix(where, d.Issuer+"/interaction/") {
		t.Errorf("the step's address: got %s", where)
	}
}

// TestWrongPassword: 422, and nothing that tells an unknown user from a wrong
// password.
func TestWrongPassword(t *testing.T) {
	t.Parallel()
	d := startDev(t)
	b := newBrowser(t, "en")
	b.open(d.Demo + "/login")
	b.mustStatus(b.password("mina", "not this one"), 422)
	known := strings.ReplaceAll(b.text(), "mina", "")
	b.mustStatus(b.password("nobody", "not this one"), 422)
	if got := strings.ReplaceAll(b.text(), "nobody", ""); got != known {
		t.Errorf("unknown user: got %q, want the same as for a wrong password, %q", got, known)
	}
	b.mustBeSignedOut(d)
}

// TestCodeTwice: a code that was used is refused in another browser, and the
// next one is taken.
func TestCodeTwice(t *testing.T) {
	t.Parallel()
	d := startDev(t)
	mina, code := d.user(t, "mina"), d.code(t, "mina")
	b := newBrowser(t, "en")
	b.open(d.Demo + "/login")
	b.mustStatus(b.signIn(mina, code), 200)
	b.mustBeComplete(d, "mina", "pwd otp mfa")

	thief := newBrowser(t, "en")
	thief.open(d.Demo + "/login")
	thief.mustStatus(thief.signIn(mina, code), 422)
	thief.mustStep("second_factor")
	thief.mustText("used already")
	thief.mustBeSignedOut(d)
	thief.open(d.Demo + "/login")
	thief.mustStatus(thief.code(d.code(t, "mina", "--next")), 200)
	thief.mustBeComplete(d, "mina", "pwd otp mfa")
}

// TestRecoveryCodeOnce: it stands in for the app once, and never again.
func TestRecoveryCodeOnce(t *testing.T) {
	t.Parallel()
	d := startDev(t)
	mina := d.user(t, "mina")
	b := newBrowser(t, "en")
	b.open(d.Demo + "/login")
	b.password(mina.Login, mina.Password)
	b.mustStatus(b.recovery(mina.RecoveryCodes[0]), 200)
	b.mustBeComplete(d, "mina", "pwd otp mfa")

	again := newBrowser(t, "en")
	again.open(d.Demo + "/login")
	again.password(mina.Login, mina.Password)
	again.mustStatus(again.recovery(mina.RecoveryCodes[0]), 422)
	again.mustStep("second_factor")
	again.mustBeSignedOut(d)

	other := newBrowser(t, "en") // typed as people do: in capitals, without the hyphens
	other.open(d.Demo + "/login")
	other.password(mina.Login, mina.Password)
	other.mustStatus(other.recovery(strings.ToUpper(strings.ReplaceAll(mina.RecoveryCodes[1], "-", " "))), 200)
	other.mustBeComplete(d, "mina", "pwd otp mfa")
}

// TestCancel: from each step, the application hears that access was denied and
// makes no session.
func TestCancel(t *testing.T) {
	t.Parallel()
	d := startDev(t)
	for name, reach := range map[string]func(*tab){
		"first step":    func(*tab) {},
		"second factor": func(b *tab) { b.password("mina", d.user(t, "mina").Password); b.mustStep("second_factor") },
		"enrolment":     func(b *tab) { b.password("joon", d.user(t, "joon").Password); b.mustStep("enroll") },
	} {
		t.Run(name, func(t *testing.T) {
			b := newBrowser(t, "en")
			b.open(d.Demo + "/login")
			reach(b)
			b.mustStatus(b.press("#cancel"), 403)
			b.mustBeAt(d.Demo + "/callback")
			b.mustText("Two-factor authentication did not happen.")
			if !strings.Contains(b.url(), "error=access_denied") {
				t.Errorf("the application got %s, want error=access_denied", b.url())
			}
			b.mustBeSignedOut(d)
		})
	}
}
