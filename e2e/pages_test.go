package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/webauthn"
)

// TestPages walks past every page in both languages. Each must fit 320 px
// without a horizontal scroll bar, name its step in the title and its language
// in the markup, and say what each field is; after the walk the console must be
// empty and no other host asked. With -screenshots it leaves a picture of each.
func TestPages(t *testing.T) {
	t.Parallel()
	for _, language := range []string{"en", "ko"} {
		t.Run(language, func(t *testing.T) {
			t.Parallel()
			d := startDev(t)
			w := &walk{tab: newBrowser(t, language), titles: map[string]string{}}
			w.signIn(d)
			w.consent(d)
			w.leave(d)
			w.fresh(newBrowser(t, language)).enroll(d)
			w.fresh(newBrowser(t, language)).passkey(startDev(t))
			w.fresh(newBrowser(t, language)).refuse(d)
			w.fresh(newBrowser(t, language)).mistakes(d)
			w.fresh(newBrowser(t, language)).invitation(install(t))
			w.fresh(newBrowser(t, language)).forgotten(installMail(t))
			w.fresh(newBrowser(t, language)).registration(installOpen(t))
			w.fresh(newBrowser(t, language)).byMail(installByMail(t))
			if len(w.titles) < 8 {
				t.Errorf("the walk saw %d titles, want more", len(w.titles))
			}
		})
	}
}

// walk is somebody who looks at each page.
type walk struct {
	*tab
	titles map[string]string // title → page
}

func (w *walk) fresh(b *tab) *walk {
	w.tab = b
	return w
}

func (w *walk) signIn(d *dev) {
	mina := d.user(w.t, "mina")
	w.open(d.Demo)
	w.look("demo-home")
	w.open(d.Demo + "/login")
	w.look("login")
	w.password(mina.Login, "wrong")
	w.look("login-error")
	w.password(mina.Login, mina.Password)
	w.look("second-factor")
	w.code(wrong(d.code(w.t, "mina")))
	w.look("second-factor-error")
	w.press("a[href*=recovery]")
	w.look("recovery")
	w.load(typed("#code", "no such code"), pressed("#verify"))
	w.look("recovery-error")
	w.press("a[href*=totp]")
	w.code(d.code(w.t, "mina"))
	w.look("demo-complete")
}

// consent: the demo's client skips it, prompt=consent asks all the same.
func (w *walk) consent(d *dev) {
	w.open(with(w.t, w.asked(d), "prompt", "consent", "scope", "openid profile email offline_access"))
	w.mustStep("consent")
	w.look("consent")
	w.press("#deny")
	w.look("demo-denied")
}

func (w *walk) leave(d *dev) {
	w.open(d.Issuer + "/end_session")
	w.look("confirm-logout")
	w.press("form button:not(.quiet)")
	w.look("signed-out")
}

func (w *walk) enroll(d *dev) {
	joon := d.user(w.t, "joon")
	w.open(d.Demo + "/login")
	w.password(joon.Login, joon.Password)
	w.look("enroll-passkey")
	w.app()
	w.look("enroll")
	w.do(pressed("summary"))
	w.look("enroll-key")
	secret := w.textOf("dd code")
	w.code(wrong(totp(w.t, secret, 0)))
	w.look("enroll-error")
	w.code(totp(w.t, secret, 0))
	w.look("save-codes")
	w.do(dropRequired)
	w.press("#continue")
	w.look("save-codes-error")
}

// passkey: nobody touches it, so that the page stays.
func (w *walk) passkey(d *dev) {
	id := w.plugIn(passkey)
	w.enrollKey(d, "swk user mfa")
	call(w.tab, webauthn.SetAutomaticPresenceSimulation, webauthn.SetAutomaticPresenceSimulationParams{AuthenticatorID: id, Enabled: false})
	w.startAgain(d)
	w.password("joon", d.user(w.t, "joon").Password)
	w.look("passkey")
	w.mustStatus(w.sendAnswer("{}"), 422)
	w.look("passkey-error")
}

func (w *walk) refuse(d *dev) {
	w.open(d.Demo + "/login")
	w.press("#cancel")
	w.look("demo-cancelled")
}

func (w *walk) mistakes(d *dev) {
	w.open(d.Issuer + "/")
	w.look("home")
	w.mustStatus(w.open(d.Issuer+"/authorize?client_id=nobody"), 400)
	w.look("error-client")
	w.mustStatus(w.open(d.Issuer+"/nowhere"), 404)
	w.look("error-not-found")
	w.mustStatus(w.open(d.Issuer+"/interaction/01k5"), 410)
	w.look("error-other-browser")
}

func (w *walk) invitation(in *installation) {
	link := in.link("user", "add", "sora")
	w.open(link)
	w.look("invitation")
	w.choose("sora1234")
	w.look("invitation-error")
	w.choose("quiet lantern otter")
	w.look("enroll-passkey-invited")
	w.app()
	w.look("enroll-invited")
	w.code(totp(w.t, w.textOf("dd code"), 0))
	w.look("save-codes-invited")
	w.save()
	w.look("welcome")
	w.mustStatus(w.open(link), 410)
	w.look("error-invitation")
	w.open(in.link("user", "reset", "sora", "--keep-password", "--yes"))
	w.look("invitation-again")
}

func (w *walk) forgotten(in *installation, m *mailbox) {
	key := in.sora(w.tab)
	w.open(in.request())
	w.look("login-forgot")
	w.press("#forgot")
	w.look("forgot")
	w.fill("#username", "sora")
	w.press("#ask")
	w.look("forgot-sent")
	link := mailedLink.FindString(m.mustGet("/reset/"))
	here := w.tab
	w.fresh(newBrowser(w.t, w.language)).open(link)
	w.look("reset-elsewhere")
	w.fresh(here).open(link)
	w.look("reset")
	w.newPassword("sora1234", totp(w.t, key, 1))
	w.look("reset-error")
	w.newPassword("amber window seven rivers", totp(w.t, key, 1))
	w.look("forgot-done")
	w.mustStatus(w.open(link), 410)
	w.look("error-reset")
}

func (w *walk) registration(in *installation, m *mailbox) {
	w.open(in.request())
	w.look("login-register")
	w.press("#register")
	w.look("register")
	w.fill("#email", "sora@localhost")
	w.press("#ask")
	w.look("register-error")
	code := w.register(m, "sora@example.com")
	w.look("confirm-email")
	w.fill("#code", wrong(code))
	w.press("#confirm")
	w.look("confirm-email-error")
	w.fill("#code", code)
	w.press("#confirm")
	w.look("profile")
	w.profile("Sora Kim", "mina@example.com", "quiet lantern otter")
	w.look("profile-error")
	w.profile("Sora Kim", "sora@example.com", "quiet lantern otter")
	w.app()
	w.code(totp(w.t, w.textOf("dd code"), 0))
	w.save()
	w.look("registered")
	w.open(in.issuer + "/register")
	w.look("register-alone")
}

func (w *walk) byMail(in *installation, _ *mailbox) {
	w.open(in.request())
	w.password("joon", "quiet lantern otter")
	w.look("confirm-email-before")
	w.press("#mail-code")
	w.look("confirm-email-after")
}

// with is an address with other query parameters.
func with(t *testing.T, address string, pairs ...string) string {
	t.Helper()
	u := mustURL(t, address)
	q := u.Query()
	for i := 0; i < len(pairs); i += 2 {
		q.Set(pairs[i], pairs[i+1])
	}
	u.RawQuery = q.Encode()
	return u.String()
}

// look judges the page that is shown, read and seen at both widths, and takes its picture.
func (w *walk) look(name string) {
	w.t.Helper()
	if got := eval[string](w.tab, `document.documentElement.lang`); got != w.language {
		w.t.Errorf("%s: language %q, want %q", name, got, w.language)
	}
	title := eval[string](w.tab, `document.title`)
	w.titles[title] = name
	if heading := w.textOf("h1"); heading == "" || !strings.HasPrefix(name, "demo-") && !strings.Contains(title, heading) {
		w.t.Errorf("%s: the title %q does not name the page, %q", name, title, heading)
	}
	if got := eval[[]string](w.tab, `Array.from(document.querySelectorAll("input:not([type=hidden])")).filter(e => !e.labels.length).map(e => e.name)`); len(got) > 0 {
		w.t.Errorf("%s: fields without a label: %q", name, got)
	}
	if !strings.HasPrefix(name, "demo-") {
		w.read(name)
	}
	for _, width := range []int64{320, 1280} {
		w.resize(width)
		if got := eval[int64](w.tab, `document.documentElement.scrollWidth`); got > width {
			w.t.Errorf("%s: %d px wide on a screen of %d px: %s", name, got, width, eval[string](w.tab, widest))
		}
		if small := eval[[]string](w.tab, smallTargets); width == 320 && len(small) > 0 && !strings.HasPrefix(name, "demo-") {
			w.t.Errorf("%s: targets smaller than 44 px at %d px: %q", name, width, small)
		}
		for _, scheme := range []string{"light", "dark"} {
			w.picture(fmt.Sprintf("%s.%s.%d.%s.png", name, w.language, width, scheme), scheme)
		}
	}
	w.resize(1280)
}

// widest names what sticks out on the right.
const widest = `Array.from(document.querySelectorAll("*")).filter(e => e.getBoundingClientRect().right > innerWidth + 1).map(e => e.tagName + "#" + e.id + "." + e.className).join(" ")`

// smallTargets are the buttons and fields that a thumb misses; links within a
// sentence may be smaller (WCAG 2.2, target size).
const smallTargets = `Array.from(document.querySelectorAll("button, input:not([type=hidden]):not([type=checkbox]), summary")).filter(e => {
	const r = e.getBoundingClientRect();
	return r.height > 0 && (r.height < 43.5 || r.width < 43.5);
}).map(e => (e.id || e.name || e.textContent.trim()) + " " + Math.round(e.getBoundingClientRect().width) + "x" + Math.round(e.getBoundingClientRect().height))`

func (w *walk) resize(width int64) {
	w.t.Helper()
	call(w.tab, emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{Width: width, Height: 720, DeviceScaleFactor: 1})
}

func (w *walk) picture(name, scheme string) {
	w.t.Helper()
	if *screenshots == "" {
		return
	}
	w.prefer(scheme)
	beyond := true
	size := eval[[]float64](w.tab, `[innerWidth, Math.max(innerHeight, document.documentElement.scrollHeight)]`)
	shot := call(w.tab, page.CaptureScreenshot, page.CaptureScreenshotParams{
		Format: "png", CaptureBeyondViewport: &beyond, Clip: &page.Viewport{Width: size[0], Height: size[1], Scale: 1},
	})
	if err := os.MkdirAll(*screenshots, 0o755); err != nil {
		w.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(*screenshots, name), shot.Data, 0o644); err != nil {
		w.t.Fatal(err)
	}
}
