package e2e

import (
	"fmt"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/webauthn"
	"github.com/chromedp/chromedp"
)

// enrollAlone enrols joon's passkey and uses it beside the password, so that it is a
// way in alone.
func (b *tab) enrollAlone(d *dev) {
	b.t.Helper()
	b.enrollKey(d, "swk user mfa")
	b.startAgain(d)
	b.password("joon", d.user(b.t, "joon").Password)
	b.at(d.Demo + "/callback")
	b.mustBeComplete(d, "joon", "swk user mfa")
}

// says waits for what the script says of a try that failed.
func (b *tab) says(what string) {
	b.t.Helper()
	b.waitFor(what, func() bool { return strings.Contains(b.textOf("#problem"), what) })
}

// TestPasskeyAlone: one press, and nothing is typed. What the user cannot use is said,
// and can be tried again.
func TestPasskeyAlone(t *testing.T) {
	t.Parallel()
	d := startDev(t)
	b := newBrowser(t, "en")
	id := b.plugInBeside(passkey)
	b.enrollAlone(d)
	b.startAgain(d)
	b.do(pressed("#passkey"))
	b.at(d.Demo + "/callback")
	b.mustBeComplete(d, "joon", "swk user mfa")

	kept := b.credential(id)
	call(b, webauthn.ClearCredentials, webauthn.ClearCredentialsParams{AuthenticatorID: id})
	b.startAgain(d)
	b.do(pressed("#passkey"))
	b.says("there is no passkey")
	foreign := *kept
	foreign.UserHandle = []byte("a handle of somebody else's account")
	b.add(id, &foreign)
	b.mustStatus(b.press("#passkey"), 422)
	b.mustText("not registered here")
	if focused := eval[string](b, `document.activeElement.id`); focused != "passkey" || !b.has(`a[href*="method=password"]`) {
		b.fatalf("after an error %q has the focus, or there is no way to the password", focused)
	}
	call(b, webauthn.ClearCredentials, webauthn.ClearCredentialsParams{AuthenticatorID: id})
	b.add(id, kept)
	b.do(pressed("#passkey"))
	b.at(d.Demo + "/callback")
	b.mustBeComplete(d, "joon", "swk user mfa")
}

// TestSecurityKeyIsNotEnoughAlone: one that does not know its user is a second factor,
// and no first one.
func TestSecurityKeyIsNotEnoughAlone(t *testing.T) {
	t.Parallel()
	d := startDev(t)
	b := newBrowser(t, "en")
	b.plugInBeside(securityKey)
	b.enrollKey(d, "pwd pop mfa")
	b.startAgain(d)
	b.do(pressed("#passkey"))
	b.says("Please try again, or try another way")
	b.mustBeSignedOut(d)
	b.startAgain(d)
	b.password("joon", d.user(t, "joon").Password)
	b.at(d.Demo + "/callback")
	b.mustBeComplete(d, "joon", "pwd pop mfa")
}

// TestPasskeyAloneOfAnotherPage: what is signed on the page of another origin, of the
// same host, signs nobody in.
func TestPasskeyAloneOfAnotherPage(t *testing.T) {
	t.Parallel()
	d := startDev(t)
	b := newBrowser(t, "en")
	id := b.plugInBeside(passkey)
	b.enrollAlone(d)
	b.startAgain(d)
	options := eval[string](b, `document.querySelector("form[data-webauthn]").dataset.webauthn`)
	phisher := b.another()
	phisher.open(d.Demo)
	phisher.add(phisher.plugInBeside(passkey), b.credential(id))
	stolen := eval[string](phisher, fmt.Sprintf(ask, options), chromedp.EvalAwaitPromise)
	b.mustStatus(b.sendAnswer(stolen), 422)
	b.mustText("was not accepted")
	b.mustBeSignedOut(d)
}
