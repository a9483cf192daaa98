package e2e

import (
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// disableScript turns JavaScript off, as some people do.
func (b *tab) disableScript() {
	b.t.Helper()
	b.noScript = true
	call(b, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true})
}

// dropRequired takes the browser's own checks away.
var dropRequired = chromedp.Evaluate[chromedp.Void](`document.querySelectorAll("[required]").forEach(e => e.removeAttribute("required"))`)

// TestWithoutJavaScript: enrolment, sign-in, a wrong code, a recovery code and
// signing out need none.
func TestWithoutJavaScript(t *testing.T) {
	t.Parallel()
	d := startDev(t)
	mina, joon := d.user(t, "mina"), d.user(t, "joon")

	b := newBrowser(t, "ko-KR")
	b.disableScript()
	b.open(d.Demo)
	b.press("#login")
	b.password(joon.Login, joon.Password)
	b.app()
	key := b.textOf("dd code")
	b.mustStatus(b.code(totp(t, key, 0)), 200)
	b.mustStep("save_codes")
	b.do(pressed("[name=saved]"))
	b.mustStatus(b.press("#continue"), 200)
	b.mustBeComplete(d, "joon", "pwd otp mfa")

	other := newBrowser(t, "en")
	other.disableScript()
	other.open(d.Demo + "/login")
	other.mustStatus(other.password(mina.Login, "wrong"), 422)
	other.mustStatus(other.password(mina.Login, mina.Password), 200)
	other.mustStatus(other.code(wrong(d.code(t, "mina"))), 422)
	other.mustStatus(other.code(d.code(t, "mina")), 200)
	other.mustBeComplete(d, "mina", "pwd otp mfa")
	other.press("#logout")
	other.mustBeSignedOut(d)
	other.open(d.Demo + "/login")
	other.password(mina.Login, mina.Password)
	other.mustStatus(other.recovery(mina.RecoveryCodes[9]), 200)
	other.mustBeComplete(d, "mina", "pwd otp mfa")
}

// key presses keys on whatever has the focus.
func key(keys string) chromedp.Action[chromedp.Void] { return chromedp.KeyEvent(keys) }

// focused is the id, or else the text, of what has the focus.
func (b *tab) focused() string {
	b.t.Helper()
	return eval[string](b, `document.activeElement.id || document.activeElement.textContent.trim().slice(0, 40)`)
}

// tabTo presses Tab until the element has the focus, as a person does.
func (b *tab) tabTo(id string) {
	b.t.Helper()
	var passed []string
	for range 30 {
		at := b.focused()
		if at == id {
			if b.has("#" + id + ":focus") {
				b.mustShowFocus()
			}
			return
		}
		passed = append(passed, at)
		b.do(key(kb.Tab))
	}
	b.fatalf("Tab does not reach #%s; it passes %q", id, passed)
}

// mustShowFocus: what has the focus looks different.
func (b *tab) mustShowFocus() {
	b.t.Helper()
	visible := eval[bool](b, `(() => {
		const s = getComputedStyle(document.activeElement);
		return s.outlineStyle === "auto" || s.outlineStyle !== "none" && parseFloat(s.outlineWidth) >= 2 || s.boxShadow !== "none";
	})()`)
	if !visible {
		b.t.Errorf("#%s has the focus and does not show it", b.focused())
	}
}

// TestKeyboardOnly: no page needs a pointer.
func TestKeyboardOnly(t *testing.T) {
	t.Parallel()
	d := startDev(t)
	joon := d.user(t, "joon")
	b := newBrowser(t, "en")
	b.open(d.Demo)
	b.tabTo("login")
	b.load(key(kb.Enter))

	b.typeAt("username", joon.Login)
	b.do(key(kb.Tab))
	b.typeAt("password", joon.Password)
	b.mustStatus(b.load(key(kb.Enter)), 200)

	b.tabTo("Use an authenticator app instead")
	b.mustStatus(b.load(key(kb.Enter)), 200)
	b.mustStep("enroll")
	b.do(key(kb.Tab)) // "Not you?"
	order := []string{b.focused()}
	for b.focused() != "cancel" && len(order) < 20 {
		b.do(key(kb.Tab))
		order = append(order, b.focused())
	}
	if got := []string{order[0], order[len(order)-1]}; got[0] != "switch" || got[1] != "cancel" || !slices.Contains(order, "code") || !slices.Contains(order, "enroll") {
		t.Errorf("Tab order: got %q, want from switch by code and enroll to cancel", order)
	}
	b.load(chromedp.Reload())
	secret := b.textOf("dd code")
	b.tabTo("code")
	b.mustStatus(b.load(key(totp(t, secret, 0))), 200) // the last digit sends it

	b.mustStep("save_codes")
	codes := b.recoveryCodes()
	b.tabTo(eval[string](b, `document.querySelector("[name=saved]").id`))
	b.do(key(" "))
	b.mustStatus(b.load(key(kb.Enter)), 200)
	b.mustBeComplete(d, "joon", "pwd otp mfa")
	b.tabTo("logout")
	b.load(key(kb.Enter))

	b.open(d.Demo + "/login")
	b.typeAt("username", joon.Login)
	b.do(key(kb.Tab))
	b.typeAt("password", joon.Password)
	b.load(key(kb.Enter))
	b.mustStep("second_factor")
	b.waitFor("the code to have the focus", func() bool { return b.focused() == "code" })
	for !strings.HasPrefix(b.focused(), "Try another way") {
		b.do(key(kb.Tab))
	}
	b.load(key(kb.Enter))
	b.typeAt("code", codes[0])
	b.mustStatus(b.load(key(kb.Enter)), 200)
	b.mustBeComplete(d, "joon", "pwd otp mfa")

	cancel := newBrowser(t, "en")
	cancel.open(d.Demo + "/login")
	cancel.tabTo("cancel")
	cancel.mustStatus(cancel.load(key(kb.Enter)), 403)
}

// typeAt types where the focus is, once it has come to the field: a page gives it
// when it is drawn, which may be after it has loaded.
func (b *tab) typeAt(id, text string) {
	b.t.Helper()
	b.waitFor(id+" to have the focus", func() bool { return b.focused() == id })
	b.do(key(text))
	if got := eval[string](b, `document.activeElement.value`); got != text {
		b.fatalf("typed %d characters at %s, and it holds %d others", len(text), id, len(got))
	}
}
