package e2e

import (
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
)

// disableScript turns JavaScript off, as some people do.
func (b *tab) disableScript() {
	b.t.Helper()
	b.noScript = true
	call(b, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true})
}

// dropRequired takes the browser's own checks away.
var dropRequired = chromedp.Evaluate[chromedp.Void](`document.querySelectorAll("[required]").forEach(e => e.removeAttribute("required"))`)
