package e2e

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/browser"
	"github.com/chromedp/chromedp"
)

// atRecoveryCodes takes joon through the enrolment to the page of the codes.
func atRecoveryCodes(t *testing.T, d *dev) (b *tab, codes []string) {
	t.Helper()
	b = newBrowser(t, "en")
	b.open(d.Demo + "/login")
	b.password("joon", d.user(t, "joon").Password)
	b.app()
	b.code(totp(t, b.textOf("dd code"), 0))
	b.mustStep("save_codes")
	return b, b.recoveryCodes()
}

// TestRecoveryCodesCopied: the button puts every code on the clipboard.
func TestRecoveryCodesCopied(t *testing.T) {
	t.Parallel()
	d := startDev(t)
	b, codes := atRecoveryCodes(t, d)
	b.do(chromedp.Func(func(ctx context.Context, _ *chromedp.Target) error {
		for _, name := range []string{"clipboard-read", "clipboard-write"} {
			if _, err := chromedp.CallBrowser(ctx, browser.SetPermission, browser.SetPermissionParams{
				Permission: &browser.PermissionDescriptor{Name: name, AllowWithoutSanitization: name == "clipboard-read"},
				Setting:    browser.PermissionSettingGranted, Origin: d.Issuer,
				BrowserContextID: chromedp.FromContext(ctx).BrowserContextID,
			}); err != nil {
				return err
			}
		}
		return nil
	}), pressed("button[data-copy]"))
	b.waitFor("the word that it is done", func() bool { return strings.Contains(b.textOf("button[data-copy]"), "Copied") })
	text := eval[string](b, `navigator.clipboard.readText()`, chromedp.EvalAwaitPromise)
	for _, code := range codes {
		if !strings.Contains(text, code) {
			t.Errorf("the clipboard lacks %s: %q", code, text)
		}
	}
}

// TestRecoveryCodesDownloaded: the button saves a text file with every code.
func TestRecoveryCodesDownloaded(t *testing.T) {
	t.Parallel()
	d := startDev(t)
	b, codes := atRecoveryCodes(t, d)
	dir := t.TempDir()
	b.do(chromedp.Func(func(ctx context.Context, _ *chromedp.Target) error {
		_, err := chromedp.CallBrowser(ctx, browser.SetDownloadBehavior, browser.SetDownloadBehaviorParams{
			Behavior: browser.SetDownloadBehaviorBehaviorAllow, BrowserContextID: chromedp.FromContext(ctx).BrowserContextID, DownloadPath: dir,
		})
		return err
	}), pressed("button[data-download]"))
	file := filepath.Join(dir, "recovery-codes.txt")
	b.waitFor("the file", func() bool { _, err := os.Stat(file); return err == nil })
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for _, code := range codes {
		if !strings.Contains(string(text), code) {
			t.Errorf("the file lacks %s: %q", code, text)
		}
	}
}

// TestRecoveryCodesAreShownOnce: a reload shows them again while the step
// lasts; afterwards no way leads back to them.
func TestRecoveryCodesAreShownOnce(t *testing.T) {
	t.Parallel()
	d := startDev(t)
	b, codes := atRecoveryCodes(t, d)
	page := b.url()
	b.load(chromedp.Reload())
	if got := b.recoveryCodes(); strings.Join(got, " ") != strings.Join(codes, " ") {
		t.Errorf("after a reload: got %q, want %q", got, codes)
	}
	b.do(pressed("[name=saved]"))
	b.mustStatus(b.press("#continue"), 200)
	b.mustBeComplete(d, "joon", "pwd otp mfa")
	b.load(chromedp.NavigateBack())
	b.do(chromedp.Sleep(time.Second)) // a page from memory loads itself again
	if strings.Contains(b.text(), codes[0]) {
		b.fatalf("the back button shows the recovery codes")
	}
	b.mustStatus(b.open(page), 410)
	if strings.Contains(b.text(), codes[0]) {
		b.fatalf("the page's address shows the recovery codes")
	}
}

// TestFormPostArrives: an answer by form_post passes the page's own policy, with
// a script by itself, without one at the press of a button.
func TestFormPostArrives(t *testing.T) {
	t.Parallel()
	for name, script := range map[string]bool{"with a script": true, "without": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := startDev(t)
			b := newBrowser(t, "en")
			b.open(d.Demo + "/login")
			b.mustStatus(b.signIn(d.user(t, "mina"), d.code(t, "mina")), 200)
			if !script {
				b.disableScript()
			}
			b.open(with(t, b.asked(d), "response_mode", "form_post"))
			if !script {
				b.press("form button")
			}
			b.waitFor("the application", func() bool { return b.url() == d.Demo+"/callback" })
			b.mustText("cross-origin") // the demo takes answers by GET alone
		})
	}
}
