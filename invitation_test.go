package sallyport_test

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sallyport-id/sallyport"
	"github.com/sallyport-id/sallyport/internal/admin"
	"github.com/sallyport-id/sallyport/internal/store"
)

var recoveryCodeOnPage = regexp.MustCompile(`[0-9a-z]{4}(?:-[0-9a-z]{4}){3}`)

// invited is somebody with an invitation, and the path that it leads to.
type invited struct {
	person
	path string
}

func (r *rig) pathOf(in admin.Invitation) string {
	r.t.Helper()
	path, ok := strings.CutPrefix(in.URL, r.issuer)
	if !ok {
		r.t.Fatalf("the invitation leads to %s", in.URL)
	}
	return path
}

func (r *rig) invite(login string) invited {
	r.t.Helper()
	u, in, err := r.Admin().InviteUser(r.t.Context(), admin.NewUser{Login: login})
	if err != nil {
		r.t.Fatal(err)
	}
	return invited{person{id: u.ID, login: login, password: "quiet lantern " + login + " otter"}, r.pathOf(in)}
}

func (r *rig) user(login string) *store.User {
	r.t.Helper()
	u, err := r.Admin().UserByLogin(r.t.Context(), login)
	if err != nil {
		r.t.Fatal(err)
	}
	return u
}

func (r *rig) reset(login string, keepPassword bool) string {
	r.t.Helper()
	in, err := r.Admin().ResetUser(r.t.Context(), r.user(login), keepPassword)
	if err != nil {
		r.t.Fatal(err)
	}
	return r.pathOf(in)
}

// choose types the password on the invitation's page.
func (b *browser) choose(v *view, password string) *view {
	b.t.Helper()
	return b.typePassword(v, "password", password, "again", password)
}

func (b *browser) typePassword(v *view, typed ...string) *view {
	b.t.Helper()
	fields := v.mustStep("invitation", v.status).fields("password")
	for i := 0; i < len(typed); i += 2 {
		fields.Set(typed[i], typed[i+1])
	}
	return b.post(strings.TrimSuffix(v.path, "/password")+"/password", fields)
}

// setUp takes somebody through the whole invitation, and returns the last page and
// the secret of the authenticator.
func (b *browser) setUp(in invited) (*view, []byte) {
	b.t.Helper()
	v := b.app(b.choose(b.get(in.path).mustStep("invitation", 200), in.password))
	secret := shownKey(b.t, v)
	v = b.answer(v, "enroll", "code", b.code(secret, 0)).mustStep("save_codes", 200)
	return b.answer(v, "saved", "saved", "1"), secret
}

// mustBeNoInvitation: whatever is not an open invitation is answered by the same page.
func (v *view) mustBeNoInvitation() {
	v.t.Helper()
	if v.status != http.StatusGone || !strings.Contains(v.body, "This invitation is not open") || strings.Contains(v.body, "<form") {
		v.t.Errorf("got %d, want the page that says that the invitation is not open\n%s", v.status, v.body)
	}
}

// mustNotSignIn: a password is good for nothing.
func (r *rig) mustNotSignIn(login, password string) {
	r.t.Helper()
	b := r.browser()
	v := b.answer(b.authorize("web"), "password", "username", login, "password", password)
	if v.step() != "login" || v.status != http.StatusUnprocessableEntity {
		r.t.Errorf("signing in with the password: got step %q, status %d, want a refusal", v.step(), v.status)
	}
}

// mustSignInWithBoth: password and authenticator, and neither alone.
func (r *rig) mustSignInWithBoth(p person, secret []byte) {
	r.t.Helper()
	r.clock.advance(30 * time.Second) // the step of the enrolment is used
	p.totp = secret
	b := r.browser()
	if c := claims(r.t, r.redeem("web", b.signIn(p, b.authorize("web")).mustCode()).ID); c["sub"] != p.id || c["acr"] != "urn:sallyport:acr:2fa" {
		r.t.Errorf("signed in: got %v, want %s with two factors", c, p.id)
	}
}

// TestInvitationSetsUpTheAccount: password, authenticator, recovery codes, and
// then a sign-in with them. The browser is not signed in by it.
func TestInvitationSetsUpTheAccount(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	in := r.invite("sora")
	b := r.browser()
	v := b.get(in.path).mustStep("invitation", 200)
	for _, want := range []string{"sora", strings.TrimPrefix(r.issuer, "http://"), "At least 8 characters"} {
		if !strings.Contains(v.body, want) {
			t.Errorf("the page does not say %q", want)
		}
	}
	v = b.app(b.choose(v, in.password))
	if strings.Contains(v.body, `/cancel"`) || strings.Contains(v.body, `/switch"`) {
		t.Errorf("the page offers a way to a client that is none\n%s", v.body)
	}
	secret := shownKey(t, v)
	v = b.answer(v, "enroll", "code", "000000").mustStep("enroll", 422)
	v = b.answer(v, "enroll", "code", r.code(secret, 0)).mustStep("save_codes", 200)
	codes := recoveryCodeOnPage.FindAllString(v.body, -1)
	if len(codes) != 10 {
		t.Fatalf("got %d recovery codes, want 10", len(codes))
	}
	b.answer(v, "saved").mustStep("save_codes", 422)
	last := b.answer(v, "saved", "saved", "1")
	for range 2 { // and it can be loaded again
		if last.status != 200 || !strings.Contains(last.body, "Your account is ready") || strings.Contains(last.body, codes[0]) {
			t.Errorf("got %d\n%s", last.status, last.body)
		}
		last = b.get(last.path)
	}
	b.authorize("web").mustStep("login", 200)
	b.authorize("web", "prompt", "none").mustRefuse("login_required")
	r.mustSignInWithBoth(in.person, secret)
	in.totp = secret
	other := r.browser()
	v = other.answer(other.authorize("web"), "password", "username", "sora", "password", in.password).mustStep("second_factor", 200)
	other.recover(v, codes[3]).mustCode()
}

// TestRule3GETConsumesNothing: a scanner that opens the link, with every method
// that is said to be safe and as often as it likes, leaves it as it was.
func TestRule3GETConsumesNothing(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	in := r.invite("sora")
	commits := r.Commits()
	for range 5 {
		scanner := r.browser()
		scanner.get(in.path).mustStep("invitation", 200)
		for _, method := range []string{"HEAD", "OPTIONS", "PROPFIND"} {
			req, err := http.NewRequest(method, r.issuer+in.path, nil)
			if err != nil {
				t.Fatal(err)
			}
			scanner.do(req)
		}
	}
	if got := r.Commits(); got != commits {
		t.Errorf("looking at it made %d commits", got-commits)
	}
	if _, err := r.Store().OpenInvitation(t.Context(), in.id, r.clock.Now()); err != nil {
		t.Errorf("after the scanner: %v, want the invitation open", err)
	}
	_, secret := r.browser().setUp(in)
	r.mustSignInWithBoth(in.person, secret)
}

// TestRule27PasswordIsInactiveUntilTheFactor: who has the password that was chosen
// has nothing before the factor is confirmed, and the one who has the link may
// begin again, with another password.
func TestRule27PasswordIsInactiveUntilTheFactor(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	in := r.invite("sora")
	b := r.browser()
	b.app(b.choose(b.get(in.path), "the first password of sora"))
	r.mustNotSignIn("sora", "the first password of sora")
	if u := r.user("sora"); u.PasswordHash != "" || u.MayEnroll {
		t.Errorf("before the factor: %+v", u)
	}
	in.password = "another password for sora"
	_, secret := b.setUp(in)
	r.mustNotSignIn("sora", "the first password of sora")
	r.mustSignInWithBoth(in.person, secret)
}

// TestRule27InvitationIsSpentWithTheFactor: it works no more, in this browser or
// another, nor does what was begun with it.
func TestRule27InvitationIsSpentWithTheFactor(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	in := r.invite("sora")
	b, thief := r.browser(), r.browser()
	begun := thief.app(thief.choose(thief.get(in.path), "the password of a thief"))
	thiefs := shownKey(t, begun)
	open := thief.get(in.path)
	last, secret := b.setUp(in)
	if last.status != 200 {
		t.Fatalf("got %d", last.status)
	}
	b.get(in.path).mustBeNoInvitation()
	r.browser().get(in.path).mustBeNoInvitation()
	thief.answer(begun, "enroll", "code", r.code(thiefs, 0)).mustBeNoInvitation()
	thief.get(begun.path).mustBeNoInvitation()
	thief.choose(open, "the password of a thief").mustBeNoInvitation()
	r.mustNotSignIn("sora", "the password of a thief")
	r.mustSignInWithBoth(in.person, secret)
}

// TestRule27TwoBrowsersConfirmAtOnce: one wins, with its own password and its own
// authenticator; the other sees a page that says so. (The store's suite races 64.)
func TestRule27TwoBrowsersConfirmAtOnce(t *testing.T) { // alone: each computes eleven hashes, in time for an answer
	r := newRig(t)
	in := r.invite("sora")
	const crowd = 2
	var browsers [crowd]*browser
	var pages, ends [crowd]*view
	var secrets [crowd][]byte
	password := func(i int) string { return strings.Repeat("sora walks ", i+2) + "home" }
	for i := range crowd {
		browsers[i] = r.browser()
		pages[i] = browsers[i].app(browsers[i].choose(browsers[i].get(in.path), password(i)))
		secrets[i] = shownKey(t, pages[i])
	}
	start := make(chan struct{})
	var all sync.WaitGroup
	for i := range crowd {
		all.Go(func() {
			<-start
			ends[i] = browsers[i].answer(pages[i], "enroll", "code", r.code(secrets[i], 0))
		})
	}
	close(start)
	all.Wait()
	winner := -1
	for i, end := range ends {
		if end.step() == "save_codes" && winner < 0 {
			winner = i
			continue
		}
		end.mustBeNoInvitation()
	}
	if winner < 0 {
		t.Fatal("nobody won")
	}
	r.mustNotSignIn("sora", password(1-winner))
	in.password = password(winner)
	r.mustSignInWithBoth(in.person, secrets[winner])
}

// TestRule1ResetIsAnInvitation: the operator's reset ends what there was, the link
// of before too; the password alone enrols nothing, and the new link does.
func TestRule1ResetIsAnInvitation(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	b := r.browser()
	tokens := r.redeem("web", b.signIn(r.mina, b.authorize("web")).mustCode())
	older := r.reset("mina", false)
	begun := b.app(b.choose(b.get(older), "chosen with the older link"))
	path := r.reset("mina", false)

	if status, _ := r.userinfo(tokens.Access); status != http.StatusUnauthorized {
		t.Errorf("the access token after the reset: got %d, want 401", status)
	}
	if got := r.token("web", url.Values{"grant_type": {"refresh_token"}, "refresh_token": {tokens.Refresh}}); got.Error != "invalid_grant" {
		t.Errorf("the refresh token after the reset: got %+v", got)
	}
	b.authorize("web").mustStep("login", 200)
	r.mustNotSignIn("mina", r.mina.password)
	b.get(older).mustBeNoInvitation()
	b.get(begun.path).mustBeNoInvitation()

	_, secret := b.setUp(invited{person{id: r.mina.id, login: "mina", password: "yet another lantern 4"}, path})
	old := r.mina
	old.password = "yet another lantern 4"
	again := r.browser()
	v := again.answer(again.authorize("web"), "password", "username", "mina", "password", old.password).mustStep("second_factor", 200)
	again.answer(v, "totp", "code", r.code(old.totp, 2)).mustStep("second_factor", 422)
	again.recover(v, old.recovery[0]).mustStep("second_factor", 422)
	r.mustSignInWithBoth(old, secret)
	types := map[string]bool{}
	events, err := r.Store().Events(t.Context(), store.EventQuery{Limit: 100})
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range events {
		types[e.Type] = true
	}
	for _, want := range []string{"user.reset", "invitation.made", "invitation.redeemed", "enroll.totp"} {
		if !types[want] {
			t.Errorf("the audit log has no %s", want)
		}
	}
}

// TestRule1ResetKeepsThePassword: where the factor alone was lost, the password
// alone enrols nothing, and neither does the link.
func TestRule1ResetKeepsThePassword(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	path := r.reset("mina", true)
	b := r.browser()
	b.answer(b.authorize("web"), "password", "username", "mina", "password", r.mina.password).mustStep("refuse", 200)
	v := r.browser().get(path)
	if strings.Contains(v.body, `name="again"`) {
		t.Errorf("the page asks for a new password\n%s", v.body)
	}
	b = r.browser()
	v = b.choose(b.get(path), "a guess at the password").mustStep("invitation", 422)
	v = b.app(b.choose(v, r.mina.password))
	secret := shownKey(t, v)
	if !strings.Contains(v.body, "the old one no longer works") {
		t.Errorf("the page does not say that the old authenticator is no more\n%s", v.body)
	}
	b.answer(v, "enroll", "code", r.code(secret, 0)).mustStep("save_codes", 200)
	b.get(path).mustBeNoInvitation()
	r.mustSignInWithBoth(r.mina, secret)
}

// TestInvitationGuessesAreThrottled: somebody who found the link of a reset that
// keeps the password guesses no faster than at the sign-in.
func TestInvitationGuessesAreThrottled(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	path := r.reset("mina", true)
	b := r.browser()
	v := b.get(path)
	for range 5 {
		v = b.choose(v, "a guess at the password")
	}
	if v = b.choose(v, r.mina.password); v.status != http.StatusTooManyRequests || v.header.Get("Retry-After") == "" {
		t.Errorf("after five guesses: got %d, want 429 with Retry-After", v.status)
	}
	r.clock.advance(time.Minute)
	b.app(b.choose(v, r.mina.password))
}

// TestInvitationForgivesGuesses: who was locked out by strangers' guesses at the
// old password signs in with the new one.
func TestInvitationForgivesGuesses(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	stranger := r.browser()
	v := stranger.authorize("web")
	for v.status != http.StatusTooManyRequests {
		v = stranger.answer(v, "password", "username", "mina", "password", "a guess")
	}
	in := invited{r.mina, r.reset("mina", false)}
	in.password = "after all those guesses"
	_, secret := r.browser().setUp(in)
	r.mustSignInWithBoth(in.person, secret)
}

// TestInvitationEnds: disabled, revoked, expired, replaced, at every moment of it.
func TestInvitationEnds(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(*rig, invited) error{
		"disabled": func(r *rig, in invited) error { return r.Admin().DisableUser(r.t.Context(), in.id) },
		"removed":  func(r *rig, in invited) error { return r.Admin().RemoveUser(r.t.Context(), in.id) },
		"expired":  func(r *rig, _ invited) error { r.clock.advance(15 * time.Minute); return nil },
		"replaced": func(r *rig, in invited) error {
			_, err := r.Admin().InviteAgain(r.t.Context(), r.user(in.login))
			return err
		},
		"reset": func(r *rig, in invited) error {
			_, err := r.Admin().ResetUser(r.t.Context(), r.user(in.login), false)
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			in := r.invite("sora")
			r.clock.advance(23*time.Hour + 45*time.Minute)
			opened, begun := r.browser(), r.browser()
			page := opened.get(in.path).mustStep("invitation", 200)
			enrolling := begun.app(begun.choose(begun.get(in.path), in.password))
			secret := shownKey(t, enrolling)
			if err := end(r, in); err != nil {
				t.Fatal(err)
			}
			opened.choose(page, in.password).mustBeNoInvitation()
			begun.answer(enrolling, "enroll", "code", r.code(secret, 0)).mustBeNoInvitation()
			begun.get(enrolling.path).mustBeNoInvitation()
			r.browser().get(in.path).mustBeNoInvitation()
			r.mustNotSignIn("sora", in.password)
		})
	}
}

// TestNoInvitationLooksLikeAnother: what never was one, what has a wrong secret and
// what was used are the same page, but for the request's number.
func TestNoInvitationLooksLikeAnother(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	used, open := r.invite("sora"), r.invite("nari")
	r.browser().setUp(used)
	id, _, _ := strings.Cut(open.path, ".")
	plain := func(v *view) string {
		before, after, _ := strings.Cut(v.body, "<code>")
		_, after, _ = strings.Cut(after, "</code>")
		return before + after
	}
	want := plain(r.browser().get(used.path))
	for _, path := range []string{"/invitation/x", "/invitation/x.y", id, id + ".", id + ".AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", open.path + "x", open.path + ".x", "/invitation/" + strings.Repeat("a", 4000)} {
		v := r.browser().get(path)
		v.mustBeNoInvitation()
		if plain(v) != want {
			t.Errorf("%s: another page than for one that was used\n%s", path, v.body)
		}
	}
	r.browser().get(open.path).mustStep("invitation", 200)
}

// TestInvitationForms: each refuses what does not come from its own page, and what
// is no password.
func TestInvitationForms(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	in := r.invite("sora")
	b, other := r.browser(), r.browser()
	v := b.get(in.path)
	fields := v.fields("password")
	fields.Set("password", in.password)
	fields.Set("again", in.password)
	post := in.path + "/password"
	other.post(post, fields).mustStep("invitation", 409) // no cookie yet
	other.get(in.path)
	other.post(post, fields).mustStep("invitation", 409) // another's token
	another := r.invite("nari")
	b.post(another.path+"/password", fields).mustStep("invitation", 409) // another's invitation
	req, err := http.NewRequest("POST", r.issuer+post, strings.NewReader(fields.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Sec-Fetch-Site", "cross-site")
	if v := b.do(req); v.status != http.StatusForbidden {
		t.Errorf("from another site: got %d, want 403", v.status)
	}
	for text, typed := range map[string][]string{
		"too short":      {"password", "short", "again", "short"},
		"at most 256":    {"password", strings.Repeat("long ", 60), "again", strings.Repeat("long ", 60)},
		"most common":    {"password", "password1", "again", "password1"},
		"your username":  {"password", "sora1234", "again", "sora1234"},
		"easy to guess":  {"password", "abcdefghijk", "again", "abcdefghijk"},
		"not the same":   {"password", in.password, "again", in.password + "x"},
		"still empty":    {"password", "", "again", ""},
		"That is too lo": {"password", strings.Repeat("x", 5000), "again", strings.Repeat("x", 5000)},
	} {
		if v := b.typePassword(v, typed...).mustStep("invitation", 422); !strings.Contains(v.body, text) {
			t.Errorf("%.30q: the page does not say %q\n%s", typed, text, v.body)
		}
	}
	v = b.app(b.choose(b.get(in.path), in.password))
	for _, action := range []string{"password", "totp", "recovery", "webauthn", "saved", "consent", "switch", "cancel"} {
		b.post(v.page()+"/"+action, v.fields("enroll")).mustStep("enroll", 409)
	}
	other.post(v.page()+"/enroll", v.fields("enroll"))
	if v := other.get(v.path); v.status != http.StatusGone || strings.Contains(v.body, "<form") {
		t.Errorf("another browser at the page: got %d, want 410", v.status)
	}
}

// TestInvitationInABrowserThatIsSignedIn: whoever else is signed in stays that, and
// has no part in it.
func TestInvitationInABrowserThatIsSignedIn(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	in := r.invite("sora")
	b := r.browser()
	b.signIn(r.mina, b.authorize("web")).mustCode()
	if v, _ := b.setUp(in); strings.Contains(v.body, "mina") {
		t.Errorf("the page names who is signed in\n%s", v.body)
	}
	if c := claims(t, r.redeem("web", b.authorize("web").mustCode()).ID); c["sub"] != r.mina.id {
		t.Errorf("afterwards: got %v, want mina still", c["sub"])
	}
	if got, err := r.Store().Authenticators(t.Context(), r.mina.id); err != nil || len(got) != 2 {
		t.Errorf("mina's authenticators: got %v, %v", got, err)
	}
}

// TestInvitationIsNotLogged: not as it is, nor misspelt, nor at a host that is not
// the server's.
func TestInvitationIsNotLogged(t *testing.T) {
	t.Parallel()
	log := &lockedBuffer{}
	r := newRig(t, func(c *sallyport.Config) { c.Log = slog.New(slog.NewJSONHandler(log, nil)) })
	in := r.invite("sora")
	_, secret, _ := strings.Cut(in.path, ".")
	if got := r.browser().get(in.path).header.Get("Referrer-Policy"); got != "strict-origin" {
		t.Errorf("Referrer-Policy: got %q, and a proxy logs the link as the referrer of the style sheet", got)
	}
	r.browser().setUp(in)
	for _, path := range []string{in.path, in.path + "/", in.path + "/password", "/" + in.path, "/x" + in.path, strings.Replace(in.path, "invitation", "Invitation", 1), "/%69nvitation" + strings.TrimPrefix(in.path, "/invitation")} {
		r.browser().get(path)
	}
	req, _ := http.NewRequest("GET", r.issuer+in.path, nil)
	req.Host = "elsewhere.example.com"
	r.browser().do(req)
	slog.New(slog.NewJSONHandler(log, nil)).Info("made", "invitation", admin.Invitation{URL: "https://id.example.com/invitation/" + secret})
	if !strings.Contains(log.String(), `"route":"/invitation/{token}"`) {
		t.Errorf("the log has no request of the invitation:\n%s", log.String())
	}
	if strings.Contains(log.String(), secret) {
		t.Errorf("the log has the secret of the invitation:\n%s", log.String())
	}
	events, err := r.Store().Events(t.Context(), store.EventQuery{Limit: 1000})
	if err != nil {
		t.Fatal(err)
	}
	if text, _ := json.Marshal(events); bytes.Contains(text, []byte(secret)) {
		t.Errorf("the audit log has the secret of the invitation")
	}
}

// lockedBuffer is a log that is written while others write, too.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

// Write implements io.Writer.
func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

// String is what was written so far.
func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// TestInvitationWherePasswordsAreEnough: the password is longer where it may be all
// that is asked for, and the invitation still sets up both.
func TestInvitationWherePasswordsAreEnough(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(c *sallyport.Config) { c.Policy = []sallyport.Rule{{Require: sallyport.Off}} })
	in := r.invite("sora")
	b := r.browser()
	v := b.choose(b.get(in.path), "otter lamp 47").mustStep("invitation", 422)
	if !strings.Contains(v.body, "at least 15 characters") {
		t.Errorf("the page does not say how long\n%s", v.body)
	}
	b.setUp(in)
	if list, err := r.Store().Authenticators(t.Context(), in.id); err != nil || len(list) != 2 {
		t.Errorf("got %v, %v, want an authenticator and recovery codes", list, err)
	}
}
