package e2e

import (
	"context"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// patience is how long a page may take on a busy machine.
const patience = 30 * time.Second

// tab is one tab of a person's browser, and remembers what happened in it.
type tab struct {
	t        *testing.T
	ctx      context.Context
	language string
	noScript bool

	mu       sync.Mutex
	requests []string        // the URL of each request, redirects included
	refused  map[string]bool // URLs of documents that were answered with an error
	console  []*log.Entry
	problems []string // what scripts complained of
}

// newBrowser opens a browser with a fresh profile, which ends with the test.
// Whatever the test is about, no page may ask another host for anything or
// leave an error in the console.
func newBrowser(t *testing.T, language string) *tab {
	t.Helper()
	needBrowser(t)
	return openTab(t, chrome, language, chromedp.WithNewBrowserContext())
}

// another opens one more tab in the same browser.
func (b *tab) another() *tab {
	b.t.Helper()
	return openTab(b.t, b.ctx, b.language)
}

func openTab(t *testing.T, parent context.Context, language string, options ...chromedp.ContextOption) *tab {
	t.Helper()
	b := &tab{t: t, language: language, refused: map[string]bool{}}
	ctx, cancel := chromedp.NewContext(parent, append(options, chromedp.WithListener(b.hear))...)
	b.ctx = ctx
	t.Cleanup(func() {
		b.check()
		cancel()
	})
	agent, err := chromedp.Run(ctx, chromedp.Evaluate[string](`navigator.userAgent`))
	if err != nil {
		t.Fatal(err)
	}
	call(b, emulation.SetUserAgentOverride, emulation.SetUserAgentOverrideParams{UserAgent: agent, AcceptLanguage: language})
	call(b, emulation.SetFocusEmulationEnabled, emulation.SetFocusEmulationEnabledParams{Enabled: true})
	return b
}

// call sends a protocol command to the tab.
func call[P, R any](b *tab, command cdp.Command[P, R], params P) R {
	b.t.Helper()
	result, err := chromedp.Call(b.ctx, command, params)
	if err != nil {
		b.t.Fatalf("%s: %v", command.Method, err)
	}
	return result
}

// hear notes the events of the tab.
func (b *tab) hear(event any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch e := event.(type) {
	case *network.EventRequestWillBeSent:
		b.requests = append(b.requests, e.Request.URL)
	case *network.EventResponseReceived:
		if e.Type == network.ResourceTypeDocument && e.Response.Status >= 400 {
			b.refused[e.Response.URL] = true
		}
	case *log.EventEntryAdded:
		b.console = append(b.console, e.Entry)
	case *runtime.EventExceptionThrown:
		b.problems = append(b.problems, "exception: "+e.ExceptionDetails.Text)
	case *runtime.EventConsoleAPICalled:
		b.problems = append(b.problems, fmt.Sprintf("console.%s", e.Type))
	}
}

// check finds what may not happen on any page.
func (b *tab) check() {
	b.t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, p := range b.problems {
		b.t.Errorf("a script complains: %s", p)
	}
	for _, e := range b.console {
		// Chromium notes a page with status 422 as a failed resource, and asks for
		// an icon where a plain text names none.
		if e.Source == log.EntrySourceNetwork && (b.refused[e.URL] || strings.HasSuffix(e.URL, "/favicon.ico")) {
			continue
		}
		if e.Level == log.EntryLevelInfo || e.Level == log.EntryLevelVerbose {
			continue
		}
		b.t.Errorf("the console has: %s %s: %s (%s)", e.Source, e.Level, e.Text, e.URL)
	}
	for _, r := range b.requests {
		if u, err := url.Parse(r); err != nil || u.Scheme != "data" && u.Hostname() != "localhost" {
			b.t.Errorf("a page asks for %s", r)
		}
	}
}

// do runs steps that stay on the page.
func (b *tab) do(steps ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	if err := chromedp.Do(ctx, steps...); err != nil {
		b.fatalf("%v", err)
	}
}

// load runs steps that lead to another page, waits for it and returns its
// status.
func (b *tab) load(steps ...chromedp.Action[chromedp.Void]) (status int) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	response, err := chromedp.RunResponse(ctx, steps...)
	if err != nil {
		b.fatalf("load: %v", err)
	}
	if response == nil {
		return 0 // from the back/forward cache
	}
	return int(response.Status)
}

func (b *tab) open(url string) (status int) {
	b.t.Helper()
	return b.load(chromedp.Navigate(url))
}

// leaveFor goes to a page that may lead on by itself, and does not wait for it.
func (b *tab) leaveFor(url string) {
	b.t.Helper()
	b.do(chromedp.Evaluate[chromedp.Void](fmt.Sprintf(`location.assign(%q)`, url)))
}

func eval[T any](b *tab, expression string, options ...chromedp.EvaluateOption) T {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	value, err := chromedp.Run(ctx, chromedp.Evaluate[T](expression, options...))
	if err != nil {
		b.fatalf("%s: %v", expression, err)
	}
	return value
}

// waitFor waits until something is so.
func (b *tab) waitFor(what string, so func() bool) {
	b.t.Helper()
	for deadline := time.Now().Add(patience); !so(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			b.fatalf("waited in vain for %s", what)
		}
	}
}

func (b *tab) url() string { b.t.Helper(); return eval[string](b, `location.href`) }
func (b *tab) text() string {
	b.t.Helper()
	return eval[string](b, `document.body ? document.body.innerText : ""`)
}

// has reports whether the page has an element.
func (b *tab) has(selector string) bool {
	b.t.Helper()
	return eval[bool](b, fmt.Sprintf(`document.querySelector(%q) !== null`, selector))
}

func (b *tab) textOf(selector string) string {
	b.t.Helper()
	return eval[string](b, fmt.Sprintf(`(document.querySelector(%q) || {textContent: ""}).textContent.trim()`, selector))
}

// step is the step that the page is about, "" for none.
func (b *tab) step() string {
	b.t.Helper()
	return eval[string](b, `(document.querySelector("input[name=step]") || {value: ""}).value`)
}

func (b *tab) mustStep(want string) {
	b.t.Helper()
	if got := b.step(); got != want {
		b.fatalf("the page is about step %q, want %q", got, want)
	}
}

func (b *tab) mustText(want string) {
	b.t.Helper()
	if !strings.Contains(b.text(), want) {
		b.fatalf("the page does not say %q", want)
	}
}

func (b *tab) mustStatus(got, want int) {
	b.t.Helper()
	if got != want {
		b.fatalf("status: got %d, want %d", got, want)
	}
}

// mustBeAt checks the page's address without its query.
func (b *tab) mustBeAt(want string) {
	b.t.Helper()
	if got, _, _ := strings.Cut(b.url(), "?"); got != want {
		b.fatalf("the browser is at %s, want %s", got, want)
	}
}

func (b *tab) fatalf(format string, args ...any) {
	b.t.Helper()
	where, _ := chromedp.Run(b.ctx, chromedp.Evaluate[string](`location.href + "\n" + (document.body ? document.body.innerText : "")`))
	b.t.Fatalf("%s\n--- the page is:\n%s", fmt.Sprintf(format, args...), where)
}

// since returns the requests from the nth on.
func (b *tab) since(n int) []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.requests[n:])
}

// typed types into a field, key by key.
func typed(selector, text string) chromedp.Action[chromedp.Void] {
	return chromedp.SendKeys(chromedp.CSS(selector), text)
}

func pressed(selector string) chromedp.Action[chromedp.Void] {
	return chromedp.Click(chromedp.CSS(selector))
}

// press presses a button that leads to another page.
func (b *tab) press(selector string) (status int) {
	b.t.Helper()
	return b.load(pressed(selector))
}

// password answers the first step.
func (b *tab) password(login, password string) (status int) {
	b.t.Helper()
	b.mustStep("login")
	b.fill("#username", login)
	b.fill("#password", password)
	return b.press("#login")
}

// fill types into a field, in place of what it holds.
func (b *tab) fill(selector, text string) {
	b.t.Helper()
	b.do(chromedp.Evaluate[chromedp.Void](fmt.Sprintf(`document.querySelector(%q).value = ""`, selector)), typed(selector, text))
	if got := eval[string](b, fmt.Sprintf(`document.querySelector(%q).value`, selector)); got != text {
		b.fatalf("typed %d characters into %s, and it holds %d others", len(text), selector, len(got))
	}
}

// code types a code and sends it, unless the script has done so at the last
// digit.
func (b *tab) code(code string) (status int) {
	b.t.Helper()
	steps := []chromedp.Action[chromedp.Void]{typed("#code", code)}
	if b.noScript || !b.has("#code[data-submit]") {
		steps = append(steps, pressed("#verify, #enroll"))
	}
	return b.load(steps...)
}

// app chooses, where a first factor is set up, the authenticator app.
func (b *tab) app() {
	b.t.Helper()
	b.mustStep("enroll")
	b.press("a[href*=totp]")
	b.mustStep("enroll")
}

// signIn takes a user who has an authenticator from the first page to the
// application.
func (b *tab) signIn(u user, code string) (status int) {
	b.t.Helper()
	b.password(u.Login, u.Password)
	b.mustStep("second_factor")
	return b.code(code)
}

// mustBeSignedIn checks what the demo application says of who is signed in.
func (b *tab) mustBeSignedIn(d *dev, login string) {
	b.t.Helper()
	b.open(d.Demo)
	if got := b.textOf("#who"); got != login {
		b.fatalf("signed in to the demo: got %q, want %q", got, login)
	}
}

func (b *tab) mustBeSignedOut(d *dev) {
	b.t.Helper()
	b.open(d.Demo)
	if who := b.textOf("#who"); who != "" || !b.has("#login") {
		b.fatalf("the demo has a session for %q, want none", who)
	}
}

// cookie is the value that the browser keeps for the server, "" for none.
func (b *tab) cookie(d *dev, name string) string {
	b.t.Helper()
	for _, c := range call(b, network.GetCookies, network.GetCookiesParams{URLs: []string{d.Issuer}}).Cookies {
		if c.Name == name {
			return c.Value
		}
	}
	return ""
}
