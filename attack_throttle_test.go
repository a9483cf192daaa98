package sallyport_test

import (
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-id/sallyport/internal/oidc"
)

// TestAttackGuessesOverManyBrowsers: whoever knows the password guesses codes in one
// new browser after another, for one client and for another; it is one account.
func TestAttackGuessesOverManyBrowsers(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	for i := range 6 {
		b := r.browser()
		v := b.atSecondFactor(r.mina, []string{"web", "asks"}[i%2])
		got := b.answer(v, "totp", "code", "000000")
		if want := http.StatusUnprocessableEntity; i < 5 && got.status != want {
			t.Fatalf("guess %d: got %d, want %d", i, got.status, want)
		}
		if i == 5 && got.status != http.StatusTooManyRequests {
			t.Errorf("guess %d: got %d, want 429", i, got.status)
		}
	}
}

// TestAttackLockedAppLeavesTheRest: whoever knows the password can wear out the app,
// after a hundred guesses over days. It is then of no use to him either, and the owner
// gets in with a recovery code, which ends what he holds.
func TestAttackLockedAppLeavesTheRest(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	for range 100 {
		b := r.browser()
		b.answer(b.atSecondFactor(r.mina, "web"), "totp", "code", r.wrongTOTP(r.mina)).mustStep("second_factor", 422)
		r.clock.advance(61 * time.Minute)
	}
	attacker, owner := r.browser(), r.browser()
	v := attacker.atSecondFactor(r.mina, "web")
	locked := attacker.answer(v, "totp", "code", r.code(r.mina.totp, 0)).mustStep("second_factor", http.StatusTooManyRequests)
	if locked.header.Get("Retry-After") != "" {
		t.Errorf("got Retry-After %q, want none: time does not help", locked.header.Get("Retry-After"))
	}
	owner.recover(owner.atSecondFactor(r.mina, "web"), r.mina.recovery[0]).mustCode()
	attacker.authorize("web", "prompt", "none").mustRefuse(oidc.LoginRequired)
}

// wrongTOTP is no code that is good now or in a moment: of a hundred that are made up
// one is right, in one run of some thousands.
func (r *rig) wrongTOTP(p person) string {
	good := map[string]bool{}
	for step := int64(-2); step <= 2; step++ {
		good[r.code(p.totp, step)] = true
	}
	for _, code := range []string{"000000", "111111", "222222", "333333", "444444"} {
		if !good[code] {
			return code
		}
	}
	return "555555"
}

// TestAttackForgetsTheOwnersBrowsers: whoever knows the password begins to sign in with
// one new browser after another, so that the user's own are known no more, and then
// guesses until strangers must wait. The owner need not.
func TestAttackForgetsTheOwnersBrowsers(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	owner := r.browser()
	owner.signIn(r.mina, owner.authorize("web")).mustCode()
	for range 6 {
		r.browser().atSecondFactor(r.mina, "web")
	}
	r.strangersMustWait(r.mina)
	owner.signIn(r.mina, owner.authorize("web", "prompt", "login")).mustCode()
}

// strangersMustWait guesses somebody's password in a new browser, until no password is
// looked at for a minute.
func (r *rig) strangersMustWait(p person) {
	r.t.Helper()
	b := r.browser()
	v := b.authorize("web")
	for i := range 5 {
		v = b.answer(v, "password", "username", p.login, "password", fmt.Sprint("guess", i)).mustStep("login", 422)
	}
	r.clock.advance(31 * time.Second)
	v = b.answer(v, "password", "username", p.login, "password", "another guess").mustStep("login", 422)
	r.clock.advance(30 * time.Second)
	b.answer(v, "password", "username", p.login, "password", p.password).mustStep("login", http.StatusTooManyRequests)
}

// TestAttackKnownBrowserOfAnother: a browser that is known for his own account, a copy
// of that cookie with the victim's id in it, and one that he made up have no lane of
// their own at the victim's.
func TestAttackKnownBrowserOfAnother(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	owner, attacker := r.browser(), r.browser()
	owner.signIn(r.mina, owner.authorize("web")).mustCode()
	attacker.signIn(r.joonWithTOTP(), attacker.authorize("web")).mustCode()
	v := attacker.authorize("web", "prompt", "login").mustStep("login", 200)
	for i := range 6 {
		v = attacker.answer(v, "password", "username", "mina", "password", fmt.Sprint("guess", i))
	}
	if v.status != http.StatusTooManyRequests {
		t.Fatalf("got %d after six guesses, want 429", v.status)
	}
	owners, _, _ := strings.Cut(owner.has("sallyport-known"), ".")
	own, mac, _ := strings.Cut(attacker.has("sallyport-known"), ".")
	u, err := url.Parse(r.issuer)
	r.must(err)
	for _, value := range []string{owners + "." + mac, owners + ".", owners, own + "." + mac, "x." + mac} {
		attacker.http.Jar.SetCookies(u, []*http.Cookie{{Name: "sallyport-known", Value: value, Path: "/"}})
		if got := attacker.answer(v, "password", "username", "mina", "password", r.mina.password); got.status != http.StatusTooManyRequests {
			t.Errorf("got %d %q, want 429", got.status, got.step())
		}
	}
}

var differs = regexp.MustCompile(`name="(csrf|version)" value="[^"]*"|/interaction/[\w-]+|challenge&#34;:&#34;[\w-]+`)

// TestAttackWhoHasAnAccount: a wrong password looks the same for somebody with two
// factors, with one, invited, and for nobody, and so does the right one of somebody
// who is disabled.
func TestAttackWhoHasAnAccount(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.invite("sora")
	off := r.addPerson(t.Context(), "taeo", true)
	r.must(r.Admin().DisableUser(t.Context(), off.id))
	pages := map[string]bool{}
	for login, password := range map[string]string{"mina": "wrong", "joon": "wrong", "sora": "wrong", "nobody": "wrong", off.login: off.password} {
		b := r.browser()
		v := b.answer(b.authorize("web"), "password", "username", login, "password", password).mustStep("login", 422)
		pages[strings.ReplaceAll(differs.ReplaceAllString(v.body, "…"), login, "…")] = true
	}
	if len(pages) != 1 {
		t.Errorf("got %d different pages: %v", len(pages), pages)
	}
}
