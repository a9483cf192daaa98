package sallyport_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sallyport-id/sallyport"
	"github.com/sallyport-id/sallyport/internal/admin"
	"github.com/sallyport-id/sallyport/internal/oidc"
	"github.com/sallyport-id/sallyport/internal/store"
)

// TestRule1EnrollmentIsARight: with the password alone, and every second factor
// throttled or gone, nobody gets to bind one of his own.
func TestRule1EnrollmentIsARight(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	b := r.browser()
	v := b.answer(b.authorize("web"), "password", "username", "mina", "password", r.mina.password)
	for range 6 {
		v = b.answer(v, "totp", "code", "000000")
	}
	if v.status != http.StatusTooManyRequests || v.header.Get("Retry-After") == "" {
		t.Fatalf("after six wrong codes: got %d, want 429 with Retry-After", v.status)
	}
	if v = b.get(v.page()); v.step() != "second_factor" {
		t.Errorf("got step %q, want second_factor", v.step())
	}
	fields := v.fields("totp")
	fields.Set("step", "enroll")
	fields.Set("code", "123456")
	if got := b.post(v.page()+"/enroll", fields); got.status != http.StatusConflict || got.step() != "second_factor" {
		t.Errorf("a posted enrolment: got %d %q, want 409 second_factor", got.status, got.step())
	}
}

// TestRule1WithoutTheRightNobodyEnrolls: a spent right does not come back, and
// the user is told to ask the operator.
func TestRule1WithoutTheRightNobodyEnrolls(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	first := r.browser()
	v := first.app(first.answer(first.authorize("web"), "password", "username", "joon", "password", r.joon.password))
	second := r.browser()
	w := second.app(second.answer(second.authorize("web"), "password", "username", "joon", "password", r.joon.password))
	first.answer(v, "enroll", "code", r.code(shownKey(t, v), 0)).mustStep("save_codes", 200)
	got := second.answer(w, "enroll", "code", r.code(shownKey(t, w), 0))
	if got.location != nil || got.step() == "save_codes" {
		t.Errorf("a second first enrolment: got %d %q %v", got.status, got.step(), got.location)
	}
	if got.step() != "second_factor" {
		t.Errorf("got step %q, want second_factor with the first browser's authenticator", got.step())
	}
}

// TestRule4OneSessionOneUser: tab 1 is at Mina's second factor, tab 2 signs
// Joon in. What tab 1 sends then records nothing and grants nobody anything.
func TestRule4OneSessionOneUser(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	b := r.browser()
	tab1 := b.answer(b.authorize("web"), "password", "username", "mina", "password", r.mina.password).mustStep("second_factor", 200)
	tab2 := b.authorize("web", "prompt", "login").mustStep("login", 200)
	b.app(b.answer(tab2, "password", "username", "joon", "password", r.joon.password))
	got := b.answer(tab1, "totp", "code", r.code(r.mina.totp, 0))
	if got.location != nil || got.status != http.StatusGone {
		t.Errorf("tab 1: got %d %q %v, want 410", got.status, got.step(), got.location)
	}
	list, err := r.Store().Authenticators(t.Context(), r.mina.id)
	if err != nil || list[0].LastStep != 0 {
		t.Errorf("Mina's code was taken: %v %v", list[0].LastStep, err)
	}
}

// TestRule4ConsentIsOfTheUserWhoSawIt: Allow on Mina's page never grants Joon's
// account.
func TestRule4ConsentIsOfTheUserWhoSawIt(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	b := r.browser()
	tab1 := b.signIn(r.mina, b.authorize("asks")).mustStep("consent", 200)
	tab2 := b.authorize("web", "prompt", "login")
	b.app(b.answer(tab2, "password", "username", "joon", "password", r.joon.password))
	if got := b.answer(tab1, "consent", "decision", "allow"); got.location != nil {
		t.Errorf("got %v, want no answer to the client", got.location)
	}
	forged := tab1.fields("consent")
	forged.Set("subject", r.joon.id)
	forged.Set("decision", "allow")
	if got := b.post(tab1.page()+"/consent", forged); got.location != nil {
		t.Errorf("with the subject forged: got %v, want no answer to the client", got.location)
	}
}

// TestRule5ProofsCarryTheirInteraction: a parked tab with prompt=login is not
// finished by a sign-in elsewhere.
func TestRule5ProofsCarryTheirInteraction(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	b := r.browser()
	for _, request := range [][]string{{"prompt", "login"}, {"max_age", "0"}, {"prompt", "select_account"}} {
		parked := b.authorize("web", request...).mustStep("login", 200)
		fresh := r.browser()
		*fresh.http = *b.http
		r.clock.advance(30 * time.Second)
		fresh.signIn(r.mina, fresh.authorize("web", "prompt", "login")).mustCode()
		if got := b.get(parked.path); got.step() != "login" {
			t.Errorf("%v: got %q %v, want login", request, got.step(), got.location)
		}
	}
}

// TestMaxAgeAsksAgain: a proof older than max_age does not count.
func TestMaxAgeAsksAgain(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	b := r.browser()
	b.signIn(r.mina, b.authorize("web")).mustCode()
	r.clock.advance(10 * time.Minute)
	b.authorize("web", "max_age", "3600").mustCode()
	v := b.authorize("web", "max_age", "60").mustStep("login", 200)
	before := r.clock.Now().Unix()
	got := claims(t, r.redeem("web", b.signIn(r.mina, v).mustCode()).ID)
	if at := int64(got["auth_time"].(float64)); at < before {
		t.Errorf("auth_time: got %d, want %d or later", at, before)
	}
}

// TestRule6RecoveryCodeEndsEverythingElse: what a thief holds ends when the
// owner comes back with a recovery code.
func TestRule6RecoveryCodeEndsEverythingElse(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	thief := r.browser()
	held := r.redeem("web", thief.signIn(r.mina, thief.authorize("web", "scope", "openid offline_access")).mustCode())
	owner := r.browser()
	v := owner.answer(owner.authorize("web"), "password", "username", "mina", "password", r.mina.password)
	code := owner.recover(v, strings.ToUpper(r.mina.recovery[0])).mustCode()
	if c := claims(t, r.redeem("web", code).ID); fmt.Sprint(c["amr"]) != "[pwd otp mfa]" {
		t.Errorf("amr after a recovery code: got %v", c["amr"])
	}
	if status, _ := r.userinfo(held.Access); status != http.StatusUnauthorized {
		t.Errorf("the thief's access token: got %d, want 401", status)
	}
	if got := r.token("web", url.Values{"grant_type": {"refresh_token"}, "refresh_token": {held.Refresh}}); got.Error != oidc.InvalidGrant {
		t.Errorf("the thief's refresh token: got %+v, want invalid_grant", got)
	}
	thief.authorize("web").mustStep("login", 200)
}

// TestRecoveryCodeOnceAndForItsRequestAlone: the code works once, and its proof
// answers no other request.
func TestRecoveryCodeOnceAndForItsRequestAlone(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	b := r.browser()
	v := b.answer(b.authorize("web"), "password", "username", "mina", "password", r.mina.password)
	b.recover(v, r.mina.recovery[1]).mustCode()
	v = b.authorize("web").mustStep("second_factor", 200)
	b.recover(v, r.mina.recovery[1]).mustStep("second_factor", 422)
	b.recover(v, "0000-0000-0000-0000").mustStep("second_factor", 422)
	b.recover(v, r.mina.recovery[2]).mustCode()
}

// TestRule8TutorialCannotLie: its client gets no token for less than two
// factors, whatever the server's rule is; and the preset cannot be loosened.
func TestRule8TutorialCannotLie(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(c *sallyport.Config) { c.Policy = []sallyport.Rule{{Require: sallyport.Off}} })
	b := r.browser()
	request := "/authorize?response_type=code&client_id=tutorial&state=s&redirect_uri=" + url.QueryEscape(callback)
	v := b.answer(b.get(request), "password", "username", "mina", "password", r.mina.password).mustStep("second_factor", 200)
	code := b.answer(v, "totp", "code", r.code(r.mina.totp, 0)).mustCode()
	got := r.token("tutorial", url.Values{"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {callback}})
	if got.status != 200 || got.Access == "" || got.ID != "" || got.Refresh != "" || got.Scope != "profile" {
		t.Errorf("got %+v, want an access token of scope profile and nothing else", got)
	}
	cancelled := r.browser()
	w := cancelled.answer(cancelled.get(request), "password", "username", "mina", "password", r.mina.password)
	cancelled.answer(w, "cancel").mustRefuse(oidc.AccessDenied)
	for name, change := range map[string]func(*oidc.Client){
		"level 1":        func(c *oidc.Client) { c.MinLevel = oidc.Level1FA },
		"two URIs":       func(c *oidc.Client) { c.RedirectURIs = append(c.RedirectURIs, "http://localhost/x") },
		"elsewhere":      func(c *oidc.Client) { c.RedirectURIs = []string{"https://app.example.com/callback"} },
		"refresh tokens": func(c *oidc.Client) { c.GrantTypes = append(c.GrantTypes, oidc.GrantRefreshToken) },
	} {
		c := admin.Tutorial("other", "Other", callback)
		change(c)
		if _, err := r.Admin().AddClient(t.Context(), c); err == nil {
			t.Errorf("%s: the preset was loosened", name)
		}
	}
}

// TestOptionalLeavesItToTheClient: with the rule off, a client of floor 1 is
// served after a password, and a stricter client steps up.
func TestOptionalLeavesItToTheClient(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(c *sallyport.Config) { c.Policy = []sallyport.Rule{{Require: sallyport.Off}} })
	b := r.browser()
	code := b.answer(b.authorize("web"), "password", "username", "mina", "password", r.mina.password).mustCode()
	if c := claims(t, r.redeem("web", code).ID); c["acr"] != "urn:sallyport:acr:1fa" || fmt.Sprint(c["amr"]) != "[pwd]" {
		t.Errorf("got acr %v amr %v, want 1fa [pwd]", c["acr"], c["amr"])
	}
	b.authorize("tutorial", "scope", "openid", "code_challenge", "", "code_challenge_method", "").mustStep("second_factor", 200)
	essential := `{"id_token":{"acr":{"essential":true,"values":["urn:sallyport:acr:2fa"]}}}`
	v := b.authorize("web", "claims", essential).mustStep("second_factor", 200)
	code = b.answer(v, "totp", "code", r.code(r.mina.totp, 0)).mustCode()
	if c := claims(t, r.redeem("web", code).ID); c["acr"] != "urn:sallyport:acr:2fa" {
		t.Errorf("after the step up: got acr %v", c["acr"])
	}
	b.authorize("web", "claims", strings.ReplaceAll(essential, "urn:sallyport:acr:2fa", "phr")).mustRefuse(oidc.UnmetAuthentication)
	b.authorize("web", "acr_values", "phr urn:sallyport:acr:2fa").mustCode()
}

// TestRule10NewSecretAtEachProof: the cookie of before the second factor opens
// nothing afterwards.
func TestRule10NewSecretAtEachProof(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	b := r.browser()
	v := b.answer(b.authorize("web"), "password", "username", "mina", "password", r.mina.password)
	before := b.session()
	b.answer(v, "totp", "code", r.code(r.mina.totp, 0)).mustCode()
	if after := b.session(); after.Value == before.Value {
		t.Fatal("the session's secret did not change with the second factor")
	}
	stolen := r.browser()
	u, _ := url.Parse(r.issuer)
	stolen.http.Jar.SetCookies(u, []*http.Cookie{before})
	stolen.authorize("web", "prompt", "none").mustRefuse(oidc.LoginRequired)
}

func (b *browser) session() *http.Cookie {
	u, _ := url.Parse(b.issuer)
	for _, c := range b.http.Jar.Cookies(u) {
		if c.Name == "sallyport-session" {
			return c
		}
	}
	b.t.Fatal("no session cookie")
	return nil
}

// TestRule12ThrottlingSparesTheOwner: strangers who guess are slowed down, the
// owner's browser is not, and unknown names look the same.
func TestRule12ThrottlingSparesTheOwner(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	owner := r.browser()
	owner.signIn(r.mina, owner.authorize("web")).mustCode()
	stranger := r.browser()
	known, unknown := stranger.authorize("web"), stranger.authorize("web")
	for i := range 6 {
		known = stranger.answer(known, "password", "username", "mina", "password", fmt.Sprint("guess", i))
		unknown = stranger.answer(unknown, "password", "username", "nobody", "password", fmt.Sprint("guess", i))
		if known.status != unknown.status {
			t.Errorf("guess %d: got %d for a user and %d for nobody", i, known.status, unknown.status)
		}
	}
	if known.status != http.StatusTooManyRequests {
		t.Fatalf("got %d after six wrong passwords, want 429", known.status)
	}
	if got := stranger.answer(known, "password", "username", "mina", "password", r.mina.password); got.status != http.StatusTooManyRequests {
		t.Errorf("the right password of a stranger, too soon: got %d, want 429", got.status)
	}
	r.clock.advance(31 * time.Second)
	known = stranger.answer(known, "password", "username", "mina", "password", "another guess").mustStep("login", 422)
	r.clock.advance(30 * time.Second) // strangers must wait for a minute now
	stranger.answer(known, "password", "username", "mina", "password", r.mina.password).mustStep("login", http.StatusTooManyRequests)
	owner.signIn(r.mina, owner.authorize("web", "prompt", "login")).mustCode()
	r.clock.advance(time.Hour)
	stranger.signIn(r.mina, stranger.authorize("web")).mustCode()
}

// TestCodeTwice: a code opens once, in whichever browser.
func TestCodeTwice(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	first, second := r.browser(), r.browser()
	v := second.answer(second.authorize("web"), "password", "username", "mina", "password", r.mina.password)
	first.signIn(r.mina, first.authorize("web")).mustCode()
	second.answer(v, "totp", "code", r.code(r.mina.totp, 0)).mustStep("second_factor", 422)
	second.answer(v, "totp", "code", r.code(r.mina.totp, -1)).mustStep("second_factor", 422)
	second.answer(v, "totp", "code", r.code(r.mina.totp, 1)).mustCode()
}

// TestSameCodeRaced: of many browsers that send one code at once, one gets in.
func TestSameCodeRaced(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	const n = 8
	pages := make([]*view, n)
	browsers := make([]*browser, n)
	for i := range n {
		browsers[i] = r.browser()
		pages[i] = browsers[i].answer(browsers[i].authorize("web"), "password", "username", "mina", "password", r.mina.password)
	}
	code := r.code(r.mina.totp, 0)
	got := make([]*view, n)
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() { got[i] = browsers[i].answer(pages[i], "totp", "code", code) })
	}
	all.Wait()
	in := 0
	for _, v := range got {
		if v.location != nil {
			in++
		}
	}
	if in != 1 {
		t.Errorf("%d browsers got in with one code, want 1", in)
	}
}

// TestRule19LoginsLookAlike: case and width make no second user.
func TestRule19LoginsLookAlike(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	for _, login := range []string{"MINA", "mina", "Mina", "ＭＩＮＡ"} {
		_, err := r.Admin().AddUser(t.Context(), admin.NewUser{Login: login, Password: "another long password 7"})
		if !errors.Is(err, store.ErrExists) {
			t.Errorf("%q: got %v, want ErrExists", login, err)
		}
	}
	b := r.browser()
	b.answer(b.authorize("web"), "password", "username", "ＭＩＮＡ ", "password", r.mina.password).mustStep("second_factor", 200)
}

// TestRule23WrongSecretIsNoReuse: a logged id kills nothing.
func TestRule23WrongSecretIsNoReuse(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	b := r.browser()
	code := b.signIn(r.mina, b.authorize("web")).mustCode()
	got := r.redeem("web", code)
	id, _, _ := strings.Cut(code, ".")
	if forged := r.redeem("web", id+".AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"); forged.Error != oidc.InvalidGrant {
		t.Errorf("got %+v, want invalid_grant", forged)
	}
	if status, _ := r.userinfo(got.Access); status != http.StatusOK {
		t.Errorf("the access token: got %d, want 200", status)
	}
	if again := r.redeem("web", code); again.Error != oidc.InvalidGrant {
		t.Errorf("the code again: got %+v, want invalid_grant", again)
	}
	if status, _ := r.userinfo(got.Access); status != http.StatusUnauthorized {
		t.Errorf("after the code was used twice: got %d, want 401", status)
	}
	if refreshed := r.token("web", url.Values{"grant_type": {"refresh_token"}, "refresh_token": {got.Refresh}}); refreshed.Error != oidc.InvalidGrant {
		t.Errorf("the refresh token: got %+v, want invalid_grant", refreshed)
	}
}

// TestRule25ConsentIsAsked: remembered for the same scopes, asked for more, and
// for offline_access each time.
func TestRule25ConsentIsAsked(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	b := r.browser()
	b.answer(b.signIn(r.mina, b.authorize("asks", "scope", "openid")).mustStep("consent", 200), "consent", "decision", "deny").mustRefuse(oidc.AccessDenied)
	b.answer(b.authorize("asks", "scope", "openid").mustStep("consent", 200), "consent", "decision", "allow").mustCode()
	b.authorize("asks", "scope", "openid").mustCode()
	b.authorize("asks", "scope", "openid email", "prompt", "none").mustRefuse(oidc.ConsentRequired)
	b.authorize("asks", "scope", "openid email").mustStep("consent", 200)
	v := b.authorize("asks", "scope", "openid offline_access", "prompt", "consent").mustStep("consent", 200)
	b.answer(v, "consent", "decision", "allow").mustCode()
	b.authorize("asks", "scope", "openid offline_access", "prompt", "consent").mustStep("consent", 200)
}

// TestRule25ClaimsAreConsentedTo: what is asked for by name is asked of the user in
// the words of its scope, remembered as that, and no more than the client may have.
func TestRule25ClaimsAreConsentedTo(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.must(r.Admin().SetProfile(t.Context(), r.user("mina"), admin.ProfileChange{Claims: map[string]string{"phone_number": "+82 2 555 0100"}}))
	b := r.browser()
	b.answer(b.signIn(r.mina, b.authorize("asks", "scope", "openid")).mustStep("consent", 200), "consent", "decision", "allow").mustCode()
	const email = `{"userinfo":{"email":null,"phone_number":null},"id_token":{"email":null,"phone_number":null,"acr":null}}`
	b.authorize("asks", "scope", "openid", "claims", `{"id_token":{"acr":null,"auth_time":null}}`).mustCode()
	b.authorize("asks", "scope", "openid", "claims", email, "prompt", "none").mustRefuse(oidc.ConsentRequired)
	v := b.authorize("asks", "scope", "openid", "claims", email).mustStep("consent", 200)
	if !strings.Contains(v.body, "e-mail address") || strings.Contains(v.body, "phone") {
		t.Errorf("the page does not ask for the address, or asks for what the client may not have:\n%s", v.body)
	}
	got := r.redeem("asks", b.answer(v, "consent", "decision", "allow").mustCode())
	_, told := r.userinfo(got.Access)
	if c := claims(t, got.ID); c["email"] != "mina@example.com" || told["email"] != "mina@example.com" || c["phone_number"] != nil || told["phone_number"] != nil {
		t.Errorf("got %v in the ID token and %v at userinfo", c, told)
	}
	b.authorize("asks", "scope", "openid", "claims", email).mustCode()
	b.authorize("asks", "scope", "openid email").mustCode()
}

// TestRule27SecretUnderEnrollmentStaysInTheStore: it is no form field, and gone
// from the page after the first right code.
func TestRule27SecretUnderEnrollmentStaysInTheStore(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	b := r.browser()
	v := b.app(b.answer(b.authorize("web"), "password", "username", "joon", "password", r.joon.password))
	key := keyOnPage.FindString(v.body)
	for name, values := range v.fields("enroll") {
		if strings.Contains(strings.Join(values, ""), strings.ReplaceAll(key, " ", "")) {
			t.Errorf("the key is in the field %s", name)
		}
	}
	if again := b.get(v.path); keyOnPage.FindString(again.body) != key {
		t.Error("reloading made another key")
	}
	v = b.answer(b.get(v.path), "enroll", "code", r.code(shownKey(t, v), 0)).mustStep("save_codes", 200)
	if strings.Contains(v.body, key) {
		t.Error("the key is still shown")
	}
	list, err := r.Store().Authenticators(t.Context(), r.joon.id)
	if err != nil || len(list) != 2 {
		t.Fatalf("got %d authenticators, %v", len(list), err)
	}
	for _, a := range list {
		if a.Kind == store.KindTOTP && a.LastStep == 0 {
			t.Error("the first code's step is not used")
		}
	}
}

// TestRule28InteractionIsTheBrowsers: its URL alone opens nothing.
func TestRule28InteractionIsTheBrowsers(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	b := r.browser()
	v := b.authorize("web")
	other := r.browser()
	other.authorize("web") // has a browser cookie of its own
	if got := other.get(v.path); got.status != http.StatusGone {
		t.Errorf("another browser: got %d, want 410", got.status)
	}
	if got := r.browser().get(v.path); got.status != http.StatusGone {
		t.Errorf("a browser without cookies: got %d, want 410", got.status)
	}
}

// TestHalfAuthenticatedGetsNothing: with the password alone no endpoint answers
// with a code, whatever is asked.
func TestHalfAuthenticatedGetsNothing(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	b := r.browser()
	v := b.answer(b.authorize("web"), "password", "username", "mina", "password", r.mina.password).mustStep("second_factor", 200)
	b.authorize("web").mustStep("second_factor", 200)
	b.authorize("web", "prompt", "none").mustRefuse(oidc.InteractionRequired)
	page := v.page()
	for _, action := range []string{"password", "recovery", "webauthn", "enroll", "register", "saved", "consent"} {
		fields := v.fields("totp")
		fields.Set("saved", "1")
		fields.Set("decision", "allow")
		fields.Set("code", "0000-0000-0000-0000")
		if got := b.post(page+"/"+action, fields); got.location != nil {
			t.Errorf("%s: got %v", action, got.location)
		}
	}
	if got := b.get(page); got.step() != "second_factor" {
		t.Errorf("got %q, want second_factor", got.step())
	}
}

// TestFormNeedsItsToken: a form without the token, or of another session,
// records nothing.
func TestFormNeedsItsToken(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	b := r.browser()
	v := b.authorize("web")
	fields := v.fields("password")
	fields.Set("username", "mina")
	fields.Set("password", r.mina.password)
	for name, change := range map[string]func(url.Values){
		"no token":        func(f url.Values) { f.Del("csrf") },
		"another token":   func(f url.Values) { f.Set("csrf", "x") },
		"another version": func(f url.Values) { f.Set("version", "7") },
		"another subject": func(f url.Values) { f.Set("subject", r.joon.id) },
		"another step":    func(f url.Values) { f.Set("step", "consent") },
	} {
		form := url.Values{}
		for k, values := range fields {
			form[k] = values
		}
		change(form)
		if got := b.post(v.page()+"/password", form); got.status != http.StatusConflict || got.step() != "login" {
			t.Errorf("%s: got %d %q, want 409 login", name, got.status, got.step())
		}
	}
}

// TestForeignPageCannotPost: cross-origin forms are refused before anything is
// read.
func TestForeignPageCannotPost(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	b := r.browser()
	v := b.authorize("web")
	for _, origin := range []string{"https://evil.example", "null"} {
		req, _ := http.NewRequest("POST", r.issuer+v.page()+"/password", strings.NewReader(""))
		req.Header.Set("Origin", origin)
		req.Header.Set("Sec-Fetch-Site", "cross-site")
		if got := b.do(req); got.status != http.StatusForbidden {
			t.Errorf("origin %s: got %d, want 403", origin, got.status)
		}
	}
}

// TestRefresh: confidential clients keep their token, public ones get a new one
// each time; a lost answer may be asked for once more; reuse ends the family.
func TestRefresh(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	b := r.browser()
	got := r.redeem("web", b.signIn(r.mina, b.authorize("web")).mustCode())
	refresh := func(client, token string) tokens {
		form := url.Values{"grant_type": {"refresh_token"}, "refresh_token": {token}}
		if r.secret[client] == "" {
			form.Set("client_id", client)
			client = ""
		}
		return r.token(client, form)
	}
	first := refresh("web", got.Refresh)
	if first.status != 200 || first.Refresh != "" || first.Access == got.Access {
		t.Errorf("confidential: got %+v", first)
	}
	if c, was := claims(t, first.ID), claims(t, got.ID); c["auth_time"] != was["auth_time"] || c["acr"] != was["acr"] || c["nonce"] != nil {
		t.Errorf("the refreshed ID token: got %v, was %v", c, was)
	}
	if refresh("spa", got.Refresh).Error != oidc.InvalidGrant {
		t.Error("another client refreshed")
	}
	code := b.authorize("spa").mustCode()
	public := r.token("", url.Values{"grant_type": {"authorization_code"}, "client_id": {"spa"}, "code": {code}, "redirect_uri": {callback}, "code_verifier": {verifier}})
	second := refresh("spa", public.Refresh)
	if second.status != 200 || second.Refresh == "" {
		t.Fatalf("public: got %+v", second)
	}
	retried := refresh("spa", public.Refresh)
	if retried.status != 200 {
		t.Errorf("the lost answer again: got %+v", retried)
	}
	third := refresh("spa", retried.Refresh)
	if third.status != 200 {
		t.Errorf("got %+v", third)
	}
	if reused := refresh("spa", public.Refresh); reused.Error != oidc.InvalidGrant {
		t.Errorf("reuse: got %+v", reused)
	}
	if ended := refresh("spa", third.Refresh); ended.Error != oidc.InvalidGrant {
		t.Errorf("the family after reuse: got %+v", ended)
	}
}

// TestRefreshTokenEndsWhenIdle: what nobody uses for 30 days, or for as long as the
// client says, is over; each use moves that, and none moves the end after 90.
func TestRefreshTokenEndsWhenIdle(t *testing.T) {
	t.Parallel()
	const day = 24 * time.Hour
	for name, c := range map[string]struct {
		idle  time.Duration
		waits []time.Duration
		ok    bool // after the last wait
	}{
		"nearly idle":        {0, []time.Duration{30*day - time.Second}, true},
		"idle":               {0, []time.Duration{30 * day}, false},
		"used in time":       {0, []time.Duration{29 * day, 29 * day}, true},
		"used, then idle":    {0, []time.Duration{29 * day, 30 * day}, false},
		"past its end":       {0, []time.Duration{29 * day, 29 * day, 29 * day, 4 * day}, false},
		"the client's limit": {time.Hour, []time.Duration{time.Hour}, false},
		"under that":         {time.Hour, []time.Duration{time.Hour - time.Second, time.Hour - time.Second}, true},
	} {
		for _, client := range []string{"web", "spa"} { // which keeps its token, and which gets new ones
			t.Run(name+", "+client, func(t *testing.T) {
				t.Parallel()
				r := newRig(t)
				r.changeClient(client, func(changed *oidc.Client) { changed.RefreshTokenIdle, changed.SkipConsent = c.idle, true })
				b := r.browser()
				form := url.Values{"grant_type": {"authorization_code"}, "redirect_uri": {callback}, "code_verifier": {verifier}}
				secret := client
				if client == "spa" {
					form.Set("client_id", client)
					secret = ""
				}
				form.Set("code", b.signIn(r.mina, b.authorize(client, "scope", "openid offline_access")).mustCode())
				got := r.token(secret, form)
				token := got.Refresh
				for i, wait := range c.waits {
					r.clock.advance(wait)
					form := url.Values{"grant_type": {"refresh_token"}, "refresh_token": {token}, "client_id": {client}}
					if secret != "" {
						form.Del("client_id")
					}
					got := r.token(secret, form)
					want := c.ok || i < len(c.waits)-1
					if (got.status == http.StatusOK) != want {
						t.Fatalf("wait %d: got %+v, want success %v", i, got, want)
					}
					if got.Refresh != "" {
						token = got.Refresh
					}
				}
			})
		}
	}
}

// TestGrantEndsWithSessionUnlessOffline: without offline_access a refresh token
// dies with the session.
func TestGrantEndsWithSessionUnlessOffline(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	b := r.browser()
	online := r.redeem("web", b.signIn(r.mina, b.authorize("web", "scope", "openid")).mustCode())
	offline := r.redeem("web", b.authorize("web", "scope", "openid offline_access").mustCode())
	pending := b.authorize("web").mustCode()
	out := b.get("/end_session?id_token_hint=" + online.ID)
	if out.status != 200 {
		t.Fatalf("got %d", out.status)
	}
	if got := r.redeem("web", pending); got.Error != oidc.InvalidGrant {
		t.Errorf("an unredeemed code after sign-out: got %+v", got)
	}
	refresh := func(token string) tokens {
		return r.token("web", url.Values{"grant_type": {"refresh_token"}, "refresh_token": {token}})
	}
	if got := refresh(online.Refresh); got.Error != oidc.InvalidGrant {
		t.Errorf("online: got %+v", got)
	}
	if status, _ := r.userinfo(online.Access); status != http.StatusUnauthorized {
		t.Errorf("online userinfo: got %d", status)
	}
	if got := refresh(offline.Refresh); got.status != 200 {
		t.Errorf("offline: got %+v", got)
	}
	if err := r.Store().DisableUser(context.Background(), r.mina.id, time.Now()); err != nil {
		t.Fatal(err)
	}
	if got := refresh(offline.Refresh); got.Error != oidc.InvalidGrant {
		t.Errorf("offline of a disabled user: got %+v", got)
	}
}

// TestEndSession: with a hint of this session at once, else after a question;
// back only to a registered URI, with the state.
func TestEndSession(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	b := r.browser()
	code := b.signIn(r.mina, b.authorize("eddsa")).mustCode()
	got := r.token("", url.Values{"grant_type": {"authorization_code"}, "client_id": {"eddsa"}, "client_secret": {r.secret["eddsa"]}, "code": {code}, "redirect_uri": {callback}, "code_verifier": {verifier}})
	bye := url.QueryEscape("http://localhost:5999/bye")
	for name, query := range map[string]string{
		"unregistered": "id_token_hint=" + got.ID + "&post_logout_redirect_uri=" + url.QueryEscape("http://localhost:5999/elsewhere"),
		"added query":  "id_token_hint=" + got.ID + "&post_logout_redirect_uri=" + bye + "%3Fx%3D1",
		"no hint":      "post_logout_redirect_uri=" + bye,
		"bad hint":     "id_token_hint=" + got.ID[:len(got.ID)-8] + "AAAAAAAA&post_logout_redirect_uri=" + bye,
		"alg none":     "id_token_hint=eyJhbGciOiJub25lIn0." + strings.Split(got.ID, ".")[1] + ".&post_logout_redirect_uri=" + bye,
	} {
		if v := b.get("/end_session?" + query); v.location != nil || v.status != http.StatusBadRequest {
			t.Errorf("%s: got %d %v, want 400 and no redirect", name, v.status, v.location)
		}
	}
	b.authorize("web", "prompt", "none").mustCode()
	asked := b.get("/end_session")
	if !strings.Contains(asked.body, "/end_session/confirm") {
		t.Errorf("without a hint nobody was asked:\n%s", asked.body)
	}
	v := b.get("/end_session?state=bye&id_token_hint=" + got.ID + "&post_logout_redirect_uri=" + bye)
	if v.location == nil || v.location.String() != "http://localhost:5999/bye?state=bye" {
		t.Errorf("got %d %v", v.status, v.location)
	}
	b.authorize("web", "prompt", "none").mustRefuse(oidc.LoginRequired)
	b.signIn(r.joonWithTOTP(), b.authorize("web"))
	asked = b.get("/end_session")
	if got := b.post("/end_session/confirm", asked.fields("end_session/confirm")); got.status != 200 || strings.Contains(got.body, "/end_session/confirm") {
		t.Errorf("after confirming: got %d\n%s", got.status, got.body)
	}
	b.authorize("web", "prompt", "none").mustRefuse(oidc.LoginRequired)
}

// joonWithTOTP gives Joon an authenticator.
func (r *rig) joonWithTOTP() person {
	r.t.Helper()
	var err error
	if r.joon.totp, r.joon.recovery, err = r.Admin().AddTOTP(r.t.Context(), r.joon.id); err != nil {
		r.t.Fatal(err)
	}
	return r.joon
}

// TestCodeIsBound: to its client, its redirect URI, its challenge and a minute;
// a wrong try costs the owner nothing.
func TestCodeIsBound(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	b := r.browser()
	code := b.signIn(r.mina, b.authorize("web")).mustCode()
	right := url.Values{"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {callback}, "code_verifier": {verifier}}
	for name, c := range map[string]struct{ client, field, value string }{
		"another client":       {"asks", "", ""},
		"another verifier":     {"web", "code_verifier", strings.Repeat("a", 43)},
		"no verifier":          {"web", "code_verifier", ""},
		"another redirect URI": {"web", "redirect_uri", callback + "/"},
		"no redirect URI":      {"web", "redirect_uri", ""},
	} {
		form := url.Values{}
		for k, v := range right {
			form[k] = v
		}
		if c.field != "" {
			form.Set(c.field, c.value)
		}
		if got := r.token(c.client, form); got.Error != oidc.InvalidGrant || got.Access != "" {
			t.Errorf("%s: got %+v, want invalid_grant", name, got)
		}
	}
	if got := r.token("web", right); got.status != http.StatusOK {
		t.Errorf("the owner: got %+v", got)
	}
	late := b.authorize("web").mustCode()
	r.clock.advance(61 * time.Second)
	if got := r.redeem("web", late); got.Error != oidc.InvalidGrant {
		t.Errorf("after 61 s: got %+v, want invalid_grant", got)
	}
	tutorial := b.authorize("tutorial", "scope", "openid", "code_challenge", "", "code_challenge_method", "").mustCode()
	if got := r.redeem("tutorial", tutorial); got.Error != oidc.InvalidGrant {
		t.Errorf("a verifier without a challenge: got %+v, want invalid_grant", got)
	}
}

// TestHintNamesAnother: id_token_hint and the sub claim insist on their user, and
// on nobody else.
func TestHintNamesAnother(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	b := r.browser()
	hint := r.redeem("web", b.signIn(r.mina, b.authorize("web")).mustCode()).ID
	b.authorize("web", "id_token_hint", hint, "prompt", "none").mustCode()
	joon := r.joonWithTOTP()
	other := r.browser()
	other.signIn(joon, other.authorize("web")).mustCode()
	other.authorize("web", "id_token_hint", hint, "prompt", "none").mustRefuse(oidc.LoginRequired)
	sub := `{"id_token":{"sub":{"value":"` + r.mina.id + `"}}}`
	other.authorize("web", "claims", sub, "prompt", "none").mustRefuse(oidc.LoginRequired)
	v := other.authorize("web", "id_token_hint", hint).mustStep("login", 200)
	r.clock.advance(time.Minute)
	other.answer(v, "password", "username", "joon", "password", joon.password).mustRefuse(oidc.LoginRequired)
	access := r.redeem("web", b.authorize("web").mustCode()).Access
	b.authorize("web", "id_token_hint", access).mustRefuse(oidc.InvalidRequest)
}

// TestSessionEnds: an hour after its last use, and a day after its beginning.
func TestSessionEnds(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	b := r.browser()
	b.signIn(r.mina, b.authorize("web")).mustCode()
	r.clock.advance(59 * time.Minute)
	b.authorize("web").mustCode()
	r.clock.advance(59 * time.Minute)
	b.authorize("web", "prompt", "none").mustCode() // silent renewal is no use
	r.clock.advance(2 * time.Minute)
	b.authorize("web", "prompt", "none").mustRefuse(oidc.LoginRequired)
	b.signIn(r.mina, b.authorize("web")).mustCode()
	for range 24 {
		r.clock.advance(59 * time.Minute)
		b.authorize("web").mustCode()
	}
	r.clock.advance(30 * time.Minute)
	b.authorize("web", "prompt", "none").mustRefuse(oidc.LoginRequired)
}

// TestRule13StricterRuleStopsOldGrants: a grant of one factor is worth nothing
// on the day that two are required, and the same grant of two factors still is,
// however old.
func TestRule13StricterRuleStopsOldGrants(t *testing.T) {
	t.Parallel()
	database := newDatabase(t)
	r := newRig(t, func(c *sallyport.Config) { c.Policy, c.Database = []sallyport.Rule{{Require: sallyport.Off}}, database })
	b := r.browser()
	code := b.answer(b.authorize("web", "scope", "openid offline_access"), "password", "username", "mina", "password", r.mina.password).mustCode()
	weak := r.redeem("web", code)
	v := b.authorize("web", "scope", "openid offline_access", "acr_values", "urn:sallyport:acr:2fa").mustStep("second_factor", 200)
	strong := r.redeem("web", b.answer(v, "totp", "code", r.code(r.mina.totp, 0)).mustCode())

	strict, err := sallyport.New(t.Context(), sallyport.Config{Issuer: r.issuer, Database: database, MasterKey: make([]byte, 32), Now: r.clock.Now})
	if err != nil {
		t.Fatal(err)
	}
	defer strict.Close()
	r.clock.advance(48 * time.Hour)
	refresh := func(s http.Handler, token string) int {
		req := r.formRequest("web", url.Values{"grant_type": {"refresh_token"}, "refresh_token": {token}}.Encode())
		req.Host = strings.TrimPrefix(r.issuer, "http://")
		w := httptest.NewRecorder()
		s.ServeHTTP(w, req)
		return w.Code
	}
	for name, c := range map[string]struct {
		server http.Handler
		token  string
		want   int
	}{
		"one factor where one will do": {r.Server, weak.Refresh, 200},
		"one factor where two must be": {strict, weak.Refresh, 400},
		"two factors, two days old":    {strict, strong.Refresh, 200},
	} {
		if got := refresh(c.server, c.token); got != c.want {
			t.Errorf("%s: got %d, want %d", name, got, c.want)
		}
	}
}

// TestInteractionStaysWithItsSession: one that a session was bound to is not
// continued by another session of the same browser.
func TestInteractionStaysWithItsSession(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	b := r.browser()
	parked := b.answer(b.authorize("web"), "password", "username", "mina", "password", r.mina.password).mustStep("second_factor", 200)
	u, err := url.Parse(r.issuer)
	if err != nil {
		t.Fatal(err)
	}
	b.http.Jar.SetCookies(u, []*http.Cookie{{Name: "sallyport-session", Path: "/", MaxAge: -1}})
	joon := r.joonWithTOTP()
	b.signIn(joon, b.authorize("web")).mustCode()
	if got := b.get(parked.page()); got.status != http.StatusGone || got.location != nil {
		t.Errorf("got %d %q %v, want 410", got.status, got.step(), got.location)
	}
}
