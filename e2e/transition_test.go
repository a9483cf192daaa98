package e2e

import (
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

// asked is the last authorization request that the browser sent.
func (b *tab) asked(d *dev) string {
	b.t.Helper()
	last := ""
	for _, r := range b.since(0) {
		if strings.HasPrefix(r, d.Issuer+"/authorize?") {
			last = r
		}
	}
	if last == "" {
		b.fatalf("no authorization request was sent")
	}
	return last
}

// TestBackButtonAfterFinishing: what lies behind the application's page can
// neither be answered again nor says who signed in.
func TestBackButtonAfterFinishing(t *testing.T) {
	t.Parallel()
	d := startDev(t)
	b := newBrowser(t, "en")
	b.open(d.Demo + "/login")
	b.signIn(d.user(t, "mina"), d.code(t, "mina"))
	b.mustBeComplete(d, "mina", "pwd otp mfa")
	before := d.requests("POST", "/token")
	b.load(chromedp.NavigateBack())
	if !strings.HasPrefix(b.url(), d.Issuer+"/interaction/") {
		b.fatalf("the back button leads elsewhere than to the sign-in")
	}
	b.do(chromedp.Sleep(time.Second)) // a page from memory loads itself again
	if b.has("form[action*=interaction]") || strings.Contains(b.text(), "mina") {
		b.fatalf("the back button shows a step that is over, or whose it was")
	}
	if got := d.requests("POST", "/token"); got != before {
		t.Errorf("the back button had another token made")
	}
	b.mustBeSignedIn(d, "mina")
}

// TestBackButtonDuringSignIn: the step is the server's to name, whatever page
// the browser goes back to.
func TestBackButtonDuringSignIn(t *testing.T) {
	t.Parallel()
	d := startDev(t)
	b := newBrowser(t, "en")
	b.open(d.Demo + "/login")
	b.password("mina", d.user(t, "mina").Password)
	b.mustStep("second_factor")
	b.do(chromedp.Evaluate[chromedp.Void](`history.back()`), chromedp.Sleep(time.Second))
	if b.has("input[name=password]") {
		b.fatalf("the back button shows a step that is over")
	}
	b.open(b.asked(d)) // and the application's link once more
	b.mustStep("second_factor")
	b.mustStatus(b.code(d.code(t, "mina")), 200)
	b.mustBeComplete(d, "mina", "pwd otp mfa")
}

// TestCallbackWithPasswordAlone: nobody gets past the second door by leaving.
func TestCallbackWithPasswordAlone(t *testing.T) {
	t.Parallel()
	d := startDev(t)
	b := newBrowser(t, "en")
	b.open(d.Demo + "/login")
	request := b.asked(d)
	b.password("mina", d.user(t, "mina").Password)
	b.mustStep("second_factor")

	b.mustStatus(b.open(d.Demo+"/callback"), 403)
	b.mustBeSignedOut(d)

	b.mustStatus(b.open(request), 200)
	b.mustStep("second_factor")

	for name, change := range map[string]func(url.Values){
		"prompt=none":    func(q url.Values) { q.Set("prompt", "none") },
		"acr_values=1fa": func(q url.Values) { q.Del("claims"); q.Set("acr_values", "urn:sallyport:acr:1fa") },
		"no acr":         func(q url.Values) { q.Del("claims"); q.Del("acr_values") },
		"max_age":        func(q url.Values) { q.Set("max_age", "3600") },
	} {
		u := mustURL(t, request)
		q := u.Query()
		change(q)
		u.RawQuery = q.Encode()
		b.open(u.String())
		if at := mustURL(t, b.url()); at.Query().Has("code") {
			t.Errorf("%s with the password alone: the application gets a code", name)
		}
		if strings.HasPrefix(b.url(), d.Issuer) {
			b.mustStep("second_factor")
		}
	}
	b.mustBeSignedOut(d)
	if got := d.requests("POST", "/token"); got != 0 {
		t.Errorf("requests to the token endpoint: got %d, want none", got)
	}
}

// TestTwoTabsTwoUsers: a tab that waits at one user's second factor grants
// nothing when another user has signed in beside it.
func TestTwoTabsTwoUsers(t *testing.T) {
	t.Parallel()
	d := startDev(t)
	first := newBrowser(t, "en")
	first.open(d.Demo + "/login")
	first.password("mina", d.user(t, "mina").Password)
	first.mustStep("second_factor")

	second := first.another()
	second.open(d.Demo + "/login")
	second.mustStep("second_factor") // one session in one browser
	second.press("#switch")
	second.password("joon", d.user(t, "joon").Password)
	second.app()

	status := first.code(d.code(t, "mina"))
	if status < 400 || !strings.HasPrefix(first.url(), d.Issuer) {
		first.fatalf("the first tab's answer: got status %d, want a refusal on the server", status)
	}
	first.mustBeSignedOut(d)
	if got := d.requests("POST", "/token"); got != 0 {
		t.Errorf("requests to the token endpoint: got %d, want none", got)
	}

	second.code(totp(t, second.textOf("dd code"), 0))
	second.mustStep("save_codes")
	second.do(pressed("[name=saved]"))
	second.press("#continue")
	second.mustBeComplete(d, "joon", "pwd otp mfa")

	// mina's code was not taken by the tab that could not use it
	other := newBrowser(t, "en")
	other.open(d.Demo + "/login")
	other.mustStatus(other.signIn(d.user(t, "mina"), d.code(t, "mina", "--next")), 200)
	other.mustBeComplete(d, "mina", "pwd otp mfa")
}

// TestTwoTabsOneUser: the second factor in one tab serves the other, which
// finishes its own request.
func TestTwoTabsOneUser(t *testing.T) {
	t.Parallel()
	d := startDev(t)
	first := newBrowser(t, "en")
	first.open(d.Demo + "/login")
	first.password("mina", d.user(t, "mina").Password)
	second := first.another()
	second.open(d.Demo + "/login")
	second.mustStep("second_factor")
	second.mustStatus(second.code(d.code(t, "mina")), 200)
	second.mustBeComplete(d, "mina", "pwd otp mfa")
	first.load(chromedp.Reload())
	first.mustBeComplete(d, "mina", "pwd otp mfa")
}

// TestForeignBrowser: the address of somebody's sign-in is worth nothing in
// another browser.
func TestForeignBrowser(t *testing.T) {
	t.Parallel()
	d := startDev(t)
	b := newBrowser(t, "en")
	b.open(d.Demo + "/login")
	b.password("mina", d.user(t, "mina").Password)
	b.mustStep("second_factor")
	thief := newBrowser(t, "en")
	thief.mustStatus(thief.open(b.url()), 410)
	if thief.has("input[name=code]") || strings.Contains(thief.text(), "mina") {
		thief.fatalf("another browser sees the sign-in")
	}
}

// TestSessionIsNew: the cookie that a sign-in ends with is not the one that it
// began with.
func TestSessionIsNew(t *testing.T) {
	t.Parallel()
	d := startDev(t)
	b := newBrowser(t, "en")
	b.open(d.Demo + "/login")
	start := b.cookie(d, "sallyport-session")
	b.password("mina", d.user(t, "mina").Password)
	password := b.cookie(d, "sallyport-session")
	b.code(d.code(t, "mina"))
	end := b.cookie(d, "sallyport-session")
	if password == "" || end == "" || start == password || password == end {
		t.Errorf("session cookies: got %t, %t, %t equal, want a new one after each proof", start == password, password == end, start == end)
	}
}
