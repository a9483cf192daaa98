package sallyport_test

import (
	"fmt"
	"log/slog"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sallyport-id/sallyport"
	"github.com/sallyport-id/sallyport/internal/mail/smtptest"
	"github.com/sallyport-id/sallyport/internal/store"
)

// mailRig is a rig with an SMTP server. Mails are sent when the test asks for them.
type mailRig struct {
	*rig
	smtp *smtptest.Server
	log  *lockedBuffer
}

func smtpOf(s *smtptest.Server) *sallyport.SMTP {
	return &sallyport.SMTP{Host: "127.0.0.1", Port: s.Port(), From: "id@example.com", RootCAs: s.Pool, Hello: "id.example.com"}
}

func newMailRig(t testing.TB, change ...func(*sallyport.Config)) *mailRig {
	t.Helper()
	r := &mailRig{smtp: smtptest.New(t, false), log: &lockedBuffer{}}
	r.rig = newRig(t, append([]func(*sallyport.Config){func(c *sallyport.Config) {
		c.SMTP = smtpOf(r.smtp)
		c.Log = slog.New(slog.NewTextHandler(r.log, nil))
		sallyport.MailByHand(c)
	}}, change...)...)
	r.mails() // of making the rig
	return r
}

// mails sends what is due and returns what arrived.
func (r *mailRig) mails() []smtptest.Mail {
	r.t.Helper()
	r.must(r.SendMails(r.t.Context()))
	return r.smtp.Mails()
}

// mustMail wants one mail each, to the address, with such a subject.
func (r *mailRig) mustMail(what, to string, subjects ...string) []smtptest.Mail {
	r.t.Helper()
	mails := r.mails()
	var got []string
	for _, m := range mails {
		got = append(got, m.Subject)
		if m.To != to || m.From != "id@example.com" {
			r.t.Errorf("%s: a mail from %s to %s", what, m.From, m.To)
		}
	}
	slices.Sort(got)
	slices.Sort(subjects)
	if !slices.Equal(got, subjects) {
		r.t.Errorf("%s: got mails %q, want %q", what, got, subjects)
	}
	return mails
}

const (
	subjectBrowser  = "A new browser was signed in to your account"
	subjectCodes    = "Wrong codes after your password"
	subjectAdded    = "A second factor was added to your account"
	subjectRecovery = "A recovery code was used"
	subjectChanged  = "Your password was changed"
	subjectReset    = "Your account was reset"
	subjectDisabled = "Your account was disabled"
)

// TestNotices: the owner of an account hears what happens to it: once, when it
// happened, and from where.
func TestNotices(t *testing.T) {
	t.Parallel()
	r := newMailRig(t)
	b := r.browser()
	b.signIn(r.mina, b.authorize("web")).mustCode()
	m := r.mustMail("a new browser", "mina@example.com", subjectBrowser)
	for _, want := range []string{"Account: mina", "Network address: 127.0.0.1", r.clock.Now().UTC().Format("2006-01-02")} {
		if len(m) == 1 && !strings.Contains(m[0].Text, want) {
			t.Errorf("the mail does not say %q:\n%s", want, m[0].Text)
		}
	}
	r.clock.advance(time.Minute)
	b.signIn(r.mina, b.authorize("web", "prompt", "login")).mustCode()
	r.mustMail("a known browser", "")

	r.clock.advance(time.Minute)
	v := b.answer(b.authorize("web", "prompt", "login"), "password", "username", "mina", "password", r.mina.password)
	for i := range 4 {
		b.answer(v, "totp", "code", r.code(r.mina.totp, 9)).mustStep("second_factor", 422)
		var want []string
		if i == 2 {
			want = []string{subjectCodes}
		}
		r.mustMail(fmt.Sprintf("wrong code %d", i+1), "mina@example.com", want...)
	}
	b.recover(v, r.mina.recovery[0]).mustCode()
	r.mustMail("a recovery code, which ends known browsers, too", "mina@example.com", subjectRecovery, subjectBrowser)

	other := r.browser()
	v = other.app(other.answer(other.authorize("web"), "password", "username", "joon", "password", r.joon.password))
	other.answer(v, "enroll", "code", r.code(shownKey(t, v), 0)).mustStep("save_codes", 200)
	r.mustMail("an app", "joon@example.com", subjectAdded)

	r.must(r.Admin().DisableUser(t.Context(), r.joon.id))
	r.mustMail("disabled", "joon@example.com", subjectDisabled)
	r.reset("mina", false)
	m = r.mustMail("reset", "mina@example.com", subjectReset)
	if len(m) == 1 && !strings.Contains(m[0].Text, "an operator of ") {
		t.Errorf("the mail does not say who did it:\n%s", m[0].Text)
	}
	if log := r.log.String(); strings.Contains(log, "@example.com") {
		t.Errorf("an address is in the log:\n%s", log)
	}
}

// TestWrongRecoveryCodesNotify: those of a recovery set are a series, too.
func TestWrongRecoveryCodesNotify(t *testing.T) {
	t.Parallel()
	r := newMailRig(t)
	b := r.browser()
	v := b.answer(b.authorize("web"), "password", "username", "mina", "password", r.mina.password)
	for range 4 {
		b.recover(v, "0000-0000-0000-0000").mustStep("second_factor", 422)
	}
	r.mustMail("four wrong ones", "mina@example.com", subjectCodes)
}

// TestMailHoldsNobodyUp: an SMTP server that says nothing costs no sign-in anything,
// and stops no server from ending.
func TestMailHoldsNobodyUp(t *testing.T) {
	t.Parallel()
	s := smtptest.New(t, false)
	s.Mute(true)
	r := newRig(t, func(c *sallyport.Config) { c.SMTP = smtpOf(s) })
	b := r.browser()
	b.signIn(r.mina, b.authorize("web")).mustCode()
	s.Came() // the sender waits for it now
	r.clock.advance(30 * time.Second)
	other := r.browser()
	other.signIn(r.mina, other.authorize("web")).mustCode()
}

// TestNoMail: without an SMTP server no mail waits for one, and nothing is offered
// that needs it.
func TestNoMail(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	b := r.browser()
	v := b.authorize("web").mustStep("login", 200)
	if strings.Contains(v.body, "/forgot") {
		t.Error("a new password is offered")
	}
	b.signIn(r.mina, v).mustCode()
	if v := b.get("/forgot"); v.status != 404 {
		t.Errorf("/forgot: got %d", v.status)
	}
	if mails, err := r.Store().Mails(t.Context(), 9); err != nil || len(mails) > 0 {
		t.Errorf("got mails %v %v", mails, err)
	}
}

var linkInMail = regexp.MustCompile(`http\S+(/reset/\S+)`)

// forgot asks for a new password, as somebody at the login page does.
func (b *browser) forgot(login string) *view {
	b.t.Helper()
	v := b.get("/forgot")
	fields := url.Values{"username": {login}}
	for _, m := range hiddenField.FindAllStringSubmatch(v.body, -1) {
		fields.Set(m[1], m[2])
	}
	return b.post("/forgot", fields)
}

// linkTo asks for a new password, and returns the path that the mail leads to.
func (r *mailRig) linkTo(b *browser, login string) string {
	r.t.Helper()
	b.forgot(login)
	for _, m := range r.mails() {
		if found := linkInMail.FindStringSubmatch(m.Text); found != nil {
			return found[1]
		}
	}
	r.t.Fatalf("no link was mailed to %s", login)
	return ""
}

const newPassword = "amber window seven rivers"

// newPasswordFields are the filled form of a link's page.
func (b *browser) newPasswordFields(path, code string) url.Values {
	b.t.Helper()
	v := b.get(path)
	if v.status != 200 {
		b.t.Fatalf("the link: got %d\n%s", v.status, v.body)
	}
	fields := v.fields("password")
	fields.Set("password", newPassword)
	fields.Set("again", newPassword)
	fields.Set("code", code)
	return fields
}

// passwordIs signs in with a new browser.
func (r *mailRig) passwordIs(p person, password string) {
	r.t.Helper()
	r.clock.advance(30 * time.Second)
	p.password = password
	b := r.browser()
	b.signIn(p, b.authorize("web")).mustCode()
}

// TestForgottenPassword: a mailed link, in the browser that asked, and a code make a
// new password; everything that was signed in is signed out, and the owner hears of it.
func TestForgottenPassword(t *testing.T) {
	t.Parallel()
	r := newMailRig(t)
	b := r.browser()
	if v := b.authorize("web").mustStep("login", 200); !strings.Contains(v.body, `href="/forgot"`) {
		t.Errorf("the login page does not offer it\n%s", v.body)
	}
	signedIn := r.browser()
	tokens := r.redeem("web", signedIn.signIn(r.mina, signedIn.authorize("web")).mustCode())
	r.clock.advance(30 * time.Second)
	path := r.linkTo(b, "Mina")
	for range 3 { // scanners look, too
		b.get(path)
		r.browser().get(path)
	}
	v := b.post(path+"/password", b.newPasswordFields(path, r.code(r.mina.totp, 0)))
	if v.status != 200 || v.path != "/forgot/done" || !strings.Contains(v.body, "Your password was changed") {
		t.Fatalf("got %d at %s\n%s", v.status, v.path, v.body)
	}
	r.mustMail("the new password", "mina@example.com", subjectChanged)
	r.mustNotSignIn("mina", r.mina.password)
	if status, _ := r.userinfo(tokens.Access); status != 401 {
		t.Errorf("a token of before: got %d, want 401", status)
	}
	signedIn.authorize("web").mustStep("login", 200)
	b.authorize("web").mustStep("login", 200) // nobody is signed in by it
	if v := b.get(path); v.status != 410 {
		t.Errorf("the link again: got %d", v.status)
	}
	r.passwordIs(r.mina, newPassword)
	_, secret, _ := strings.Cut(path, ".")
	if log := r.log.String(); strings.Contains(log, secret) || strings.Contains(log, "@example.com") {
		t.Errorf("the link or the address is in the log:\n%s", log)
	}
	mails, err := r.Store().Mails(t.Context(), 9)
	if err != nil || strings.Contains(fmt.Sprint(mails), secret) {
		t.Errorf("the outbox: %v %v", mails, err)
	}
}

// TestMailedLinkProvesNothingElsewhere: rule 3. In another browser the link only ends.
func TestMailedLinkProvesNothingElsewhere(t *testing.T) {
	t.Parallel()
	r := newMailRig(t)
	b, thief := r.browser(), r.browser()
	path := r.linkTo(b, "mina")
	v := thief.get(path)
	if v.status != 200 || strings.Contains(v.body, `name="password"`) || !strings.Contains(v.body, "This was not me") || strings.Contains(v.body, "mina") {
		t.Errorf("got %d\n%s", v.status, v.body)
	}
	forged := v.fields("disown") // of the same page, so with a good token
	for name, value := range map[string]string{"password": newPassword, "again": newPassword, "code": r.code(r.mina.totp, 0)} {
		forged.Set(name, value)
	}
	if v := thief.post(path+"/password", forged); v.status != 409 {
		t.Errorf("a new password from another browser: got %d\n%s", v.status, v.body)
	}
	if v := thief.post(path+"/disown", url.Values{"csrf": {"x"}}); v.status != 409 {
		t.Errorf("ended without the form: got %d", v.status)
	}
	if v := thief.post(path+"/disown", v.fields("disown")); v.status != 200 || v.path != "/forgot/ended" {
		t.Errorf("ended: got %d at %s", v.status, v.path)
	}
	if v := b.get(path); v.status != 410 {
		t.Errorf("the link afterwards: got %d", v.status)
	}
	r.passwordIs(r.mina, r.mina.password)
}

// TestResetNeedsTheSecondFactor: a mailed link alone is not enough, and guessing codes
// with it is what it is after a password.
func TestResetNeedsTheSecondFactor(t *testing.T) {
	t.Parallel()
	r := newMailRig(t)
	b := r.browser()
	path := r.linkTo(b, "mina")
	for _, code := range []string{"", r.code(r.mina.totp, 9), "0000-0000-0000-0000", "nonsense", r.code(r.mina.totp, 12), r.code(r.mina.totp, 15)} {
		if v := b.post(path+"/password", b.newPasswordFields(path, code)); v.status != 422 {
			t.Errorf("code %q: got %d\n%s", code, v.status, v.body)
		}
	}
	weak := b.newPasswordFields(path, r.code(r.mina.totp, 0))
	weak.Set("password", "12345678")
	weak.Set("again", "12345678")
	if v := b.post(path+"/password", weak); v.status != 422 || !strings.Contains(v.body, "most common") {
		t.Errorf("a weak password: got %d", v.status)
	}
	if r.user("mina").PasswordHash == "" {
		t.Error("the password is gone")
	}
	v := b.post(path+"/password", b.newPasswordFields(path, r.mina.recovery[0]))
	if v.path != "/forgot/done" {
		t.Fatalf("a recovery code: got %d at %s\n%s", v.status, v.path, v.body)
	}
	r.mustMail("what happened", "mina@example.com", subjectCodes, subjectChanged, subjectRecovery)
	r.passwordIs(r.mina, newPassword)
}

// TestResetOnce: of many who use a link at once one does.
func TestResetOnce(t *testing.T) {
	t.Parallel()
	r := newMailRig(t)
	b := r.browser()
	path := r.linkTo(b, "mina")
	var done sync.WaitGroup
	views := make([]*view, 64)
	fields := b.newPasswordFields(path, r.code(r.mina.totp, 0))
	for i := range views {
		done.Go(func() { views[i] = b.post(path+"/password", fields) })
	}
	done.Wait()
	won := 0
	for _, v := range views {
		switch {
		case v.path == "/forgot/done":
			won++
		case v.status != 410 && v.status != 422 && v.status != 429:
			t.Errorf("got %d\n%s", v.status, v.body)
		}
	}
	if won != 1 {
		t.Errorf("%d won, want 1", won)
	}
}

// TestForgottenSaysNothing: a login that is nobody's, and one that cannot have a link,
// are answered like any other, with as many writes.
func TestForgottenSaysNothing(t *testing.T) {
	t.Parallel()
	r := newMailRig(t)
	sora := r.invite("sora")
	r.must(r.Admin().DisableUser(t.Context(), r.user("sora").ID))
	r.mails()
	writes := func() int64 { return r.Store().(interface{ Writes() int64 }).Writes() }
	var want string
	var wantWrites int64
	for i, login := range []string{"mina", "nobody", "joon", sora.login, "no\x00body"} {
		before := writes()
		v := r.browser().forgot(login)
		wrote := writes() - before
		got := fmt.Sprintf("%d %s %s", v.status, v.path, regexp.MustCompile(`\d+`).ReplaceAllString(v.body, ""))
		if i == 0 {
			want, wantWrites = got, wrote
		}
		if got != want || wrote != wantWrites || v.path != "/forgot/sent" {
			t.Errorf("%s: got %d writes, want %d, and %s", login, wrote, wantWrites, v.path)
		}
	}
	mails := r.mails()
	if len(mails) != 1 || mails[0].To != "mina@example.com" {
		t.Errorf("mails: got %+v, want one to mina", mails)
	}
	if left, err := r.Store().CountMails(t.Context()); err != nil || left != (store.MailCount{}) {
		t.Errorf("the outbox: %+v %v", left, err)
	}
}

// TestForgottenIsThrottled: nobody gets more than three links an hour, however many
// browsers ask, and one address asks no more than twenty times.
func TestForgottenIsThrottled(t *testing.T) {
	t.Parallel()
	r := newMailRig(t)
	for range 5 {
		if v := r.browser().forgot("mina"); v.path != "/forgot/sent" {
			t.Errorf("got %d at %s", v.status, v.path)
		}
	}
	if n := len(r.mails()); n != 3 {
		t.Errorf("got %d mails, want 3", n)
	}
	for i := range 30 {
		r.browser().forgot(fmt.Sprintf("nobody%d", i))
	}
	waiting, err := r.Store().CountMails(t.Context())
	if err != nil || waiting.Pending != 17 { // three were mina's
		t.Errorf("one address: got %d in the outbox, want 17 (%v)", waiting.Pending, err)
	}
	r.clock.advance(time.Hour)
	r.linkTo(r.browser(), "mina")
}

// TestForgottenNewestLinkCounts: another link takes the place of one before, and each
// ends after half an hour.
func TestForgottenNewestLinkCounts(t *testing.T) {
	t.Parallel()
	r := newMailRig(t)
	b := r.browser()
	first, second := r.linkTo(b, "mina"), r.linkTo(b, "mina")
	if v := b.get(first); v.status != 410 {
		t.Errorf("the first: got %d", v.status)
	}
	fields := b.newPasswordFields(second, r.code(r.mina.totp, 0))
	r.clock.advance(30 * time.Minute)
	fields.Set("code", r.code(r.mina.totp, 0))
	if v := b.post(second+"/password", fields); v.status != 410 {
		t.Errorf("half an hour later: got %d", v.status)
	}
	r.passwordIs(r.mina, r.mina.password)
}
