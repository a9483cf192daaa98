package e2e

import (
	"encoding/json"
	"testing"

	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
)

// listen keeps, in every page of the tab, with what the page asked the browser for a
// passkey.
const listen = `if (window.PublicKeyCredential) {
	const get = navigator.credentials.get.bind(navigator.credentials);
	window.asked = [];
	navigator.credentials.get = o => {
		window.asked.push({mediation: o.mediation, abortable: o.signal instanceof AbortSignal, rpId: o.publicKey.rpId, verification: o.publicKey.userVerification,
			allowed: (o.publicKey.allowCredentials || []).length, challenge: o.publicKey.challenge.byteLength});
		return get(o);
	};
}`

// TestAutofill: the first page offers passkeys where the username is typed. Whoever
// takes one is signed in, and has pressed nothing.
func TestAutofill(t *testing.T) {
	t.Parallel()
	d := startDev(t)
	b := newBrowser(t, "en")
	call(b, page.AddScriptToEvaluateOnNewDocument, page.AddScriptToEvaluateOnNewDocumentParams{Source: listen})
	id := b.plugIn(passkey)
	b.enrollKey(d, "swk user mfa")
	b.touches(id, false)
	b.startAgain(d)
	b.password("joon", d.user(t, "joon").Password)
	b.touches(id, true)
	b.leaveFor(d.Demo + "/login")
	b.at(d.Demo + "/callback")
	b.touches(id, false)
	b.startAgain(d)
	b.mustStep("login")
	if got := eval[bool](b, `PublicKeyCredential.isConditionalMediationAvailable()`, chromedp.EvalAwaitPromise); !got {
		b.fatalf("this browser offers no passkeys in fields")
	}
	b.waitFor("the page to ask", func() bool { return eval[bool](b, `window.asked.length > 0`) })
	asked, want := eval[json.RawMessage](b, `window.asked`), `[{"mediation":"conditional","abortable":true,"rpId":"localhost","verification":"required","allowed":0,"challenge":32}]`
	if string(asked) != want {
		t.Errorf("the page asks for\n%s, want\n%s", asked, want)
	}
	if got := eval[string](b, `document.querySelector("#username").autocomplete`); got != "username webauthn" {
		t.Errorf("autocomplete of the field: got %q, want username webauthn", got)
	}
	b.touches(id, true)
	b.leaveFor(d.Demo + "/login")
	b.at(d.Demo + "/callback")
	b.mustBeComplete(d, "joon", "swk user mfa")
}
