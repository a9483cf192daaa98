package e2e

import (
	"fmt"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/webauthn"
	"github.com/chromedp/chromedp"
)

// passkey is a synced one that knows its user, key a security key that does not.
var (
	passkey = webauthn.VirtualAuthenticatorOptions{
		Protocol: webauthn.AuthenticatorProtocolCtap2, Transport: webauthn.AuthenticatorTransportInternal, AutomaticPresenceSimulation: true,
		HasResidentKey: true, HasUserVerification: true, IsUserVerified: true, DefaultBackupEligibility: true, DefaultBackupState: true,
	}
	securityKey = webauthn.VirtualAuthenticatorOptions{
		Protocol: webauthn.AuthenticatorProtocolCtap2, Transport: webauthn.AuthenticatorTransportUsb, AutomaticPresenceSimulation: true,
	}
)

// plugInBeside gives the tab an authenticator, whose passkeys are not offered in fields: it
// answers at once where people would choose.
func (b *tab) plugInBeside(o webauthn.VirtualAuthenticatorOptions) webauthn.AuthenticatorID {
	b.t.Helper()
	call(b, page.AddScriptToEvaluateOnNewDocument, page.AddScriptToEvaluateOnNewDocumentParams{Source: `
		if (window.PublicKeyCredential) PublicKeyCredential.isConditionalMediationAvailable = async () => false`})
	return b.plugIn(o)
}

// plugIn gives the tab an authenticator.
func (b *tab) plugIn(o webauthn.VirtualAuthenticatorOptions) webauthn.AuthenticatorID {
	b.t.Helper()
	call(b, webauthn.Enable, webauthn.EnableParams{})
	return call(b, webauthn.AddVirtualAuthenticator, webauthn.AddVirtualAuthenticatorParams{Options: &o}).AuthenticatorID
}

// credential is a copy of the authenticator's only one, whose next counter is good.
func (b *tab) credential(id webauthn.AuthenticatorID) *webauthn.Credential {
	b.t.Helper()
	c := call(b, webauthn.GetCredentials, webauthn.GetCredentialsParams{AuthenticatorID: id}).Credentials[0]
	c.SignCount++
	return c
}

// add puts a credential into an authenticator. cdproto's own parameters always
// name a feature that Chromium refuses where an authenticator lacks it.
func (b *tab) add(id webauthn.AuthenticatorID, c *webauthn.Credential) {
	b.t.Helper()
	type credential struct {
		CredentialID         []byte  `json:"credentialId"`
		IsResidentCredential bool    `json:"isResidentCredential"`
		RpID                 string  `json:"rpId"`
		PrivateKey           []byte  `json:"privateKey"`
		UserHandle           []byte  `json:"userHandle,omitempty"`
		SignCount            float64 `json:"signCount"`
		BackupEligibility    bool    `json:"backupEligibility"`
		BackupState          bool    `json:"backupState"`
	}
	type params struct {
		AuthenticatorID webauthn.AuthenticatorID `json:"authenticatorId"`
		Credential      credential               `json:"credential"`
	}
	call(b, cdp.Command[params, cdp.Empty]{Method: webauthn.CommandAddCredential}, params{id, credential{
		c.CredentialID, c.IsResidentCredential, c.RpID, c.PrivateKey, c.UserHandle, c.SignCount, c.BackupEligibility, c.BackupState,
	}})
}

// enrollKey takes joon to the application with what is plugged in as his factor.
func (b *tab) enrollKey(d *dev, amr string) {
	b.t.Helper()
	b.open(d.Demo + "/login")
	b.password("joon", d.user(b.t, "joon").Password)
	b.mustStep("enroll")
	b.mustStatus(b.press("#register"), 200)
	b.mustStep("save_codes")
	b.do(pressed("[name=saved]"))
	b.mustStatus(b.press("#continue"), 200)
	b.mustBeComplete(d, "joon", amr)
}

// startAgain forgets every session, and goes to the first page of a sign-in.
func (b *tab) startAgain(d *dev) {
	b.t.Helper()
	call(b, network.ClearBrowserCookies, cdp.Empty{})
	b.open(d.Demo + "/login")
}

// at waits until the browser has gone somewhere by itself.
func (b *tab) at(address string) {
	b.t.Helper()
	b.waitFor(address, func() bool {
		got, err := chromedp.Run(b.ctx, chromedp.Evaluate[string](`document.readyState === "complete" ? location.href : ""`))
		return err == nil && strings.HasPrefix(got, address) // an error: the page is just leaving
	})
}

// TestPasskey: enrolled in the browser and used by itself at the next sign-in; and
// a security key, which does not know its user.
func TestPasskey(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		plugged webauthn.VirtualAuthenticatorOptions
		amr     string
	}{"passkey": {passkey, "swk user mfa"}, "security key": {securityKey, "pwd pop mfa"}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := startDev(t)
			b := newBrowser(t, "en")
			b.plugInBeside(c.plugged)
			b.enrollKey(d, c.amr)
			b.startAgain(d)
			b.password("joon", d.user(t, "joon").Password)
			b.at(d.Demo + "/callback")
			b.mustBeComplete(d, "joon", c.amr)
		})
	}
}

// TestPasskeyIsAskedForAgain: when the browser answers that there is none, the page
// says so, and leaves another try and other ways.
func TestPasskeyIsAskedForAgain(t *testing.T) {
	t.Parallel()
	d := startDev(t)
	b := newBrowser(t, "en")
	id := b.plugInBeside(passkey)
	b.enrollKey(d, "swk user mfa")
	kept := b.credential(id)
	call(b, webauthn.ClearCredentials, webauthn.ClearCredentialsParams{AuthenticatorID: id})
	b.startAgain(d)
	b.password("joon", d.user(t, "joon").Password)
	b.waitFor("the word that there is none", func() bool { return strings.Contains(b.textOf("#problem"), "there is no passkey") })
	if !b.has("a[href*=recovery]") || b.has("#verify[disabled]") {
		b.fatalf("the page offers no other way, or not another try")
	}
	b.add(id, kept)
	b.do(pressed("#verify"))
	b.at(d.Demo + "/callback")
	b.mustBeComplete(d, "joon", "swk user mfa")
}

// TestWithoutJavaScriptThereAreOtherWays: the page says what a passkey needs.
func TestWithoutJavaScriptThereAreOtherWays(t *testing.T) {
	t.Parallel()
	d := startDev(t)
	b := newBrowser(t, "en")
	b.plugInBeside(passkey)
	b.enrollKey(d, "swk user mfa")
	codes := "a[href*=recovery]"
	b.startAgain(d)
	b.disableScript()
	b.open(d.Demo + "/login")
	b.password("joon", d.user(t, "joon").Password)
	b.mustText("need JavaScript")
	b.press(codes)
	if !b.has("#code") {
		b.fatalf("no field for a recovery code")
	}
}

// ask is what a page does that wants the user's passkey for the server.
const ask = `(async function (options) {
	const bytes = t => Uint8Array.from(atob(t.replace(/-/g, "+").replace(/_/g, "/")), c => c.charCodeAt(0));
	const text = b => btoa(String.fromCharCode(...new Uint8Array(b))).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");
	options.challenge = bytes(options.challenge);
	(options.allowCredentials || []).forEach(c => { c.id = bytes(c.id); });
	const c = await navigator.credentials.get({publicKey: options});
	return JSON.stringify({id: c.id, rawId: text(c.rawId), type: c.type, response: {clientDataJSON: text(c.response.clientDataJSON),
		authenticatorData: text(c.response.authenticatorData), signature: text(c.response.signature), userHandle: text(c.response.userHandle)}});
})(%s)`

// sendAnswer posts the page's form with an answer from elsewhere.
func (b *tab) sendAnswer(answer string) (status int) {
	b.t.Helper()
	return b.load(chromedp.Evaluate[chromedp.Void](fmt.Sprintf(
		`(function () { const f = document.querySelector("form[data-webauthn]"); f.elements.answer.value = %q; HTMLFormElement.prototype.submit.call(f) })()`, answer)))
}

// TestPasskeyAnswersOfOtherPages: what the user signs on the page of another
// origin, even one of the same host, is worth nothing at the server; nor is what
// was worth something before.
func TestPasskeyAnswersOfOtherPages(t *testing.T) {
	t.Parallel()
	d := startDev(t)
	b := newBrowser(t, "en")
	id := b.plugInBeside(passkey)
	call(b, page.AddScriptToEvaluateOnNewDocument, page.AddScriptToEvaluateOnNewDocumentParams{Source: `
		const submit = HTMLFormElement.prototype.submit;
		HTMLFormElement.prototype.submit = function () { sessionStorage.answer = this.elements.answer.value; submit.call(this); }`})
	b.enrollKey(d, "swk user mfa")
	b.startAgain(d)
	b.password("joon", d.user(t, "joon").Password)
	b.at(d.Demo + "/callback")
	b.open(d.Issuer)
	used := eval[string](b, `sessionStorage.answer`)

	// The page waits for a passkey that nobody touches.
	call(b, webauthn.SetAutomaticPresenceSimulation, webauthn.SetAutomaticPresenceSimulationParams{AuthenticatorID: id, Enabled: false})
	b.startAgain(d)
	b.password("joon", d.user(t, "joon").Password)
	b.mustStep("second_factor")
	options := eval[string](b, `document.querySelector("form[data-webauthn]").dataset.webauthn`)

	phisher := b.another()
	phisher.open(d.Demo)
	other := phisher.plugIn(passkey)
	phisher.add(other, b.credential(id))
	stolen := eval[string](phisher, fmt.Sprintf(ask, options), chromedp.EvalAwaitPromise)

	for name, answer := range map[string]string{"of another origin": stolen, "used before": used} {
		if answer == "" {
			t.Fatalf("%s: no answer", name)
		}
		b.mustStatus(b.sendAnswer(answer), 422)
		b.mustStep("second_factor")
		b.mustText("was not accepted")
	}
	b.mustBeSignedOut(d)
}
