package sallyport_test

import (
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-id/sallyport"
	"github.com/sallyport-id/sallyport/internal/store"
)

// openRig is a server where people make accounts.
func openRig(t *testing.T, change ...func(*sallyport.Config)) *mailRig {
	t.Helper()
	return newMailRig(t, append([]func(*sallyport.Config){func(c *sallyport.Config) { c.Registration = true }}, change...)...)
}

var codeInMail = regexp.MustCompile(`\b(\d{4}) (\d{4})\b`)

// mailedCode is the code of the only mail, to the address; "" if there is none.
func (r *mailRig) mailedCode(to string) string {
	r.t.Helper()
	code := ""
	for _, m := range r.mails() {
		if found := codeInMail.FindStringSubmatch(m.Text); found != nil && m.To == to {
			code = found[1] + found[2]
		}
	}
	return code
}

// register asks for an account, as somebody does who came from a sign-in.
func (b *browser) register(v *view, email string) *view {
	b.t.Helper()
	path := "/register"
	if v != nil {
		path += "?from=" + strings.TrimPrefix(v.page(), "/interaction/")
	}
	p := b.get(path)
	if p.status != 200 {
		b.t.Fatalf("%s: got %d\n%s", path, p.status, p.body)
	}
	fields := url.Values{}
	for _, m := range hiddenField.FindAllStringSubmatch(p.body, -1) {
		fields.Set(m[1], m[2])
	}
	fields.Set("email", email)
	return b.post("/register", fields)
}

const soras = "a window on seven rivers"

// profiled goes on from the mailed code to the page of the second factor.
func (r *mailRig) profiled(b *browser, v *view, email, login string) *view {
	r.t.Helper()
	v = b.answer(v.mustStep("confirm_email", 200), "confirm", "code", r.mailedCode(email)).mustStep("profile", 200)
	return b.answer(v, "profile", "name", "Sora Kim", "username", login, "password", soras, "again", soras)
}

// TestRegistration: from an application's sign-in to an account, and back into the
// application.
func TestRegistration(t *testing.T) {
	t.Parallel()
	r := openRig(t)
	b := r.browser()
	login := b.authorize("web", "ui_locales", "en").mustStep("login", 200)
	if !strings.Contains(login.body, `href="/register?from=`) {
		t.Fatalf("the sign-in page offers no account\n%s", login.body)
	}
	v := b.register(login, " Sora@EXAMPLE.com ").mustStep("confirm_email", 200)
	code := r.mailedCode("Sora@example.com")
	if strings.Contains(v.body, code) || code == "" {
		t.Fatalf("the code is %q", code)
	}
	v = b.answer(v, "confirm", "code", wrongCode(code)).mustStep("confirm_email", 422)
	v = b.answer(v, "confirm", "code", code[:4]+" "+code[4:]).mustStep("profile", 200)
	v = b.answer(v, "profile", "name", "Sora Kim", "username", "Sora@example.com", "password", soras, "again", soras)
	v = b.app(v)
	secret := shownKey(t, v)
	if _, err := r.Admin().UserByLogin(t.Context(), "sora@example.com"); err == nil {
		t.Error("there is an account before the factor")
	}
	v = b.answer(v, "enroll", "code", r.code(secret, 0)).mustStep("save_codes", 200)
	last := b.answer(v, "saved", "saved", "1")
	if last.status != 200 || !strings.Contains(last.body, "The application still waits for you") || !strings.Contains(last.body, `href="`+login.page()+`"`) {
		t.Fatalf("got %d\n%s", last.status, last.body)
	}
	r.mustMail("the account is there", "Sora@example.com", subjectAdded)
	u := r.user("sora@example.com")
	if u.Email != "Sora@example.com" || !u.EmailVerified || !u.Registered || u.MayEnroll || u.Name != "Sora Kim" || u.Locale != "en" || len(u.Groups) > 0 || len(u.Claims) > 0 {
		t.Errorf("got %+v", u)
	}
	r.clock.advance(30 * time.Second)
	v = b.get(login.page()).mustStep("login", 200) // nobody is signed in by it
	p := person{id: u.ID, login: u.Login, password: soras, totp: secret}
	if c := claims(t, r.redeem("web", b.signIn(p, v).mustCode()).ID); c["sub"] != u.ID || c["acr"] != "urn:sallyport:acr:2fa" {
		t.Errorf("signed in: got %v", c)
	}
	var kinds []string
	events, err := r.Store().UserEvents(t.Context(), u.ID, 50)
	r.must(err)
	for _, e := range events {
		kinds = append(kinds, e.Type)
	}
	if got := strings.Join(kinds, " "); !strings.Contains(got, store.EventRegistered) || !strings.Contains(got, store.EventEnrollTOTP) {
		t.Errorf("the audit log has %s", got)
	}
	for _, kind := range []string{store.EventRegistrationAsked, store.EventRegistrationFailed, store.EventRegistrationProven} {
		if r.happened(kind) != 1 {
			t.Errorf("%s happened %d times", kind, r.happened(kind))
		}
	}
	if strings.Contains(strings.ToLower(r.log.String()), "sora@example.com") || strings.Contains(r.log.String(), code) {
		t.Errorf("the log has the address, or the code\n%s", r.log)
	}
}

func wrongCode(code string) string {
	last := byte('0')
	if code[len(code)-1] == '0' {
		last = '1'
	}
	return code[:len(code)-1] + string(last)
}

// TestRule29NoAccountBeforeTheMailProof: nor before there is a factor. Whatever is
// posted to the interaction, nothing of an account is there.
func TestRule29NoAccountBeforeTheMailProof(t *testing.T) {
	t.Parallel()
	r := openRig(t)
	b := r.browser()
	v := b.register(nil, "sora@example.com").mustStep("confirm_email", 200)
	users := len(r.users())
	for _, action := range []string{"profile", "enroll", "register", "saved", "later", "password", "totp", "switch", "cancel", "consent", "bypass"} {
		form := v.fields("confirm")
		for name, value := range map[string]string{
			"step": "profile", "name": "Sora", "username": "sora", "password": soras, "again": soras, "code": "00000000", "saved": "1", "decision": "allow",
		} {
			form.Set(name, value)
		}
		b.post(v.page()+"/"+action, form).mustStep("confirm_email", http.StatusConflict)
	}
	v = r.profiled(b, b.get(v.page()), "sora@example.com", "sora").mustStep("enroll", 200)
	if got := len(r.users()); got != users {
		t.Errorf("got %d users, want %d", got, users)
	}
	r.mustNotSignIn("sora", soras)
	v = b.app(v)
	b.answer(v, "enroll", "code", r.code(shownKey(t, v), 0)).mustStep("save_codes", 200)
	if got := len(r.users()); got != users+1 {
		t.Errorf("got %d users, want %d", got, users+1)
	}
}

func (r *rig) users() []*store.User {
	r.t.Helper()
	list, err := r.Store().Users(r.t.Context(), "", 100)
	r.must(err)
	return list
}

// TestRule29RegistrationSaysNothing: an address that has an account gets the same
// pages and the same work; its owner alone is told, by another mail.
func TestRule29RegistrationSaysNothing(t *testing.T) {
	t.Parallel()
	r := openRig(t)
	neutral := func(v *view) string {
		body := regexp.MustCompile(`value="[^"]*"|/interaction/[0-9a-z]+|from=[0-9a-z]+`).ReplaceAllString(v.body, "")
		return regexp.MustCompile(`(?i)(mina|sora)@example\.com`).ReplaceAllString(body, "ADDRESS")
	}
	var pages [2][]string
	var commits [2]int64
	for i, email := range []string{"Mina@Example.com", "sora@example.com"} {
		b, before := r.browser(), r.Commits()
		v := b.register(b.authorize("web"), email).mustStep("confirm_email", 200)
		wrong := b.answer(v, "confirm", "code", "00000000").mustStep("confirm_email", 422)
		commits[i] = r.Commits() - before
		for _, v := range []*view{v, wrong} {
			pages[i] = append(pages[i], neutral(v))
		}
	}
	for i := range pages[0] {
		if pages[0][i] != pages[1][i] {
			t.Errorf("the pages differ:\n%s\n%s", pages[0][i], pages[1][i])
		}
	}
	if commits[0] != commits[1] {
		t.Errorf("%d commits for a known address, %d for another", commits[0], commits[1])
	}
	got := map[string]string{}
	for _, m := range r.mails() {
		got[m.To] = m.Text
	}
	if text := got["mina@example.com"]; !strings.Contains(text, "have an account") || codeInMail.MatchString(text) || !strings.Contains(text, "mina") {
		t.Errorf("the owner is told:\n%s", text)
	}
	if text := got["sora@example.com"]; !codeInMail.MatchString(text) {
		t.Errorf("the other is told:\n%s", text)
	}
}

// TestRule3MailedCodeIsOfItsBrowser: the code proves the address in the interaction,
// and the browser, in which it was asked for.
func TestRule3MailedCodeIsOfItsBrowser(t *testing.T) {
	t.Parallel()
	r := openRig(t)
	b, thief := r.browser(), r.browser()
	v := b.register(nil, "sora@example.com")
	code := r.mailedCode("sora@example.com")
	if got := thief.get(v.page()); got.status != http.StatusGone {
		t.Errorf("the interaction in another browser: got %d", got.status)
	}
	form := v.fields("confirm")
	form.Set("code", code)
	if got := thief.post(v.page()+"/confirm", form); got.status != http.StatusGone {
		t.Errorf("the code in another browser: got %d", got.status)
	}
	own := thief.register(nil, "sora@example.com")
	thief.answer(own, "confirm", "code", code).mustStep("confirm_email", 422)
	other := b.register(nil, "rin@example.com")
	b.answer(other, "confirm", "code", code).mustStep("confirm_email", 422)
	b.answer(v, "confirm", "code", code).mustStep("profile", 200)
}

// TestRule3MailedCodeIsTakenOnce: five wrong answers void it, another mail voids the
// one before, and there are three mails at most, a minute apart.
func TestRule3MailedCodeIsTakenOnce(t *testing.T) {
	t.Parallel()
	r := openRig(t)
	b := r.browser()
	v := b.register(nil, "sora@example.com")
	first := r.mailedCode("sora@example.com")
	for range 5 {
		v = b.answer(v, "confirm", "code", wrongCode(first)).mustStep("confirm_email", 422)
	}
	if v = b.answer(v, "confirm", "code", first).mustStep("confirm_email", 422); !strings.Contains(v.body, "too many wrong ones") {
		t.Errorf("after five wrong ones:\n%s", v.body)
	}
	if v = b.answer(v, "mail_code").mustStep("confirm_email", 422); !strings.Contains(v.body, "sent just now") {
		t.Errorf("another mail at once:\n%s", v.body)
	}
	r.clock.advance(time.Minute)
	v = b.answer(v, "mail_code").mustStep("confirm_email", 200)
	second := r.mailedCode("sora@example.com")
	if second == first || second == "" {
		t.Errorf("the second code is %q, the first was %q", second, first)
	}
	v = b.answer(v, "confirm", "code", first).mustStep("confirm_email", 422)
	r.clock.advance(time.Minute)
	v = b.answer(v, "mail_code").mustStep("confirm_email", 200)
	third := r.mailedCode("sora@example.com")
	v = b.answer(v, "confirm", "code", second).mustStep("confirm_email", 422)
	r.clock.advance(time.Minute)
	if v = b.answer(v, "mail_code").mustStep("confirm_email", 422); !strings.Contains(v.body, "No more codes") {
		t.Errorf("a fourth mail:\n%s", v.body)
	}
	r.clock.advance(9 * time.Minute)
	v = b.answer(v, "confirm", "code", third).mustStep("confirm_email", 422) // 10 minutes old
	r.clock.advance(20 * time.Minute)
	if got := b.get(v.page()); got.status != http.StatusGone {
		t.Errorf("a registration of half an hour ago: got %d", got.status)
	}
}

// TestRule21RegistrationsAreBounded: by address, whosever it is, and by network.
func TestRule21RegistrationsAreBounded(t *testing.T) {
	t.Parallel()
	r := openRig(t)
	for _, email := range []string{"sora@example.com", "mina@example.com"} {
		for i, spelling := range []string{email, strings.ToUpper(email), email, email} {
			v := r.browser().register(nil, spelling)
			if refused := v.status == http.StatusTooManyRequests; refused != (i == 3) {
				t.Errorf("%s, request %d: got %d", email, i+1, v.status)
			}
		}
		if got := len(r.mails()); got != 3 {
			t.Errorf("%s: got %d mails, want 3", email, got)
		}
	}
	refused := 0
	for i := range 30 {
		if r.browser().register(nil, strings.Repeat("a", i+1)+"@example.com").status == http.StatusTooManyRequests {
			refused++
		}
	}
	if got := len(r.mails()); got != 14 || refused != 16 {
		t.Errorf("got %d mails to others, %d refused", got, refused)
	}
	r.clock.advance(time.Hour)
	r.browser().register(nil, "sora@example.com").mustStep("confirm_email", 200)
}

// TestRegistrationRefuses: what is no address, or of another domain, before any mail;
// and after the proof what is no login, or taken.
func TestRegistrationRefuses(t *testing.T) {
	t.Parallel()
	r := openRig(t, func(c *sallyport.Config) { c.RegistrationDomains = []string{"example.com"} })
	b := r.browser()
	for email, says := range map[string]string{
		"sora": "no e-mail address", "sora@localhost": "no e-mail address", "söra@example.com": "no e-mail address", "sora@example.com, v@evil.example": "no e-mail address",
		"sora@evil.example": "that domain", "sora@sub.example.com": "that domain", "sora@example.com.evil.example": "that domain", "": "",
	} {
		if v := b.register(nil, email); v.status != 422 || !strings.Contains(v.body, says) {
			t.Errorf("%q: got %d\n%s", email, v.status, v.body)
		}
	}
	if got := r.mails(); len(got) > 0 {
		t.Errorf("got %d mails", len(got))
	}
	v := b.register(nil, "sora+shop@EXAMPLE.com").mustStep("confirm_email", 200)
	v = b.answer(v, "confirm", "code", r.mailedCode("sora+shop@example.com")).mustStep("profile", 200)
	typed := func(pairs ...string) []string {
		all := map[string]string{"name": "Sora", "username": "sora", "password": soras, "again": soras}
		for i := 0; i < len(pairs); i += 2 {
			all[pairs[i]] = pairs[i+1]
		}
		var list []string
		for name, value := range all {
			list = append(list, name, value)
		}
		return list
	}
	for says, pairs := range map[string][]string{
		"Somebody has that username":    {"username", " Mina "},
		"That username cannot be used":  {"username", "mina@example.com"},
		"That username cannot be used ": {"username", "mіna"}, // a Cyrillic і
		"Please type a name":            {"name", " \u202e "},
		"8 characters":                  {"password", "short", "again", "short"},
		"not the same":                  {"again", "another window on seven"},
		"made of":                       {"password", "sora+shop1", "again", "sora+shop1"},
	} {
		v = b.answer(v, "profile", typed(pairs...)...).mustStep("profile", 422)
		if !strings.Contains(v.body, strings.TrimSpace(says)) || strings.Contains(v.body, soras) {
			t.Errorf("%v: the page does not say %q\n%s", pairs, says, v.body)
		}
	}
	for range 9 {
		v = b.answer(v, "profile", typed("username", "joon")...)
	}
	if v.status != http.StatusGone { // ten that are taken
		t.Errorf("guessing logins: got %d", v.status)
	}
}

// TestRegistrationLosesTheRace: somebody else takes the login, or the address, while the
// factor is set up. It is said, and nothing is made.
func TestRegistrationLosesTheRace(t *testing.T) {
	t.Parallel()
	r := openRig(t)
	begun := func(email, login string) (*browser, *view) {
		b := r.browser()
		return b, b.app(r.profiled(b, b.register(nil, email), email, login))
	}
	b, v := begun("sora@example.com", "sora")
	other, w := begun("other@example.com", "sora")
	same, x := begun("sora@example.com", "sora.kim")
	other.answer(w, "enroll", "code", r.code(shownKey(t, w), 0)).mustStep("save_codes", 200)
	v = b.answer(v, "enroll", "code", r.code(shownKey(t, v), 0)).mustStep("profile", 409)
	if !strings.Contains(v.body, "Somebody has that username") {
		t.Errorf("the page does not say that the login is taken\n%s", v.body)
	}
	v = b.app(b.answer(v, "profile", "name", "Sora", "username", "sora2", "password", soras, "again", soras))
	b.answer(v, "enroll", "code", r.code(shownKey(t, v), 0)).mustStep("save_codes", 200)
	if got := same.answer(x, "enroll", "code", r.code(shownKey(t, x), 0)); got.status != http.StatusGone {
		t.Errorf("a second account for the address: got %d, step %q", got.status, got.step())
	}
	if got := r.user("sora").Email; got != "other@example.com" {
		t.Errorf("sora is %s", got)
	}
}

// TestRegistrationBesideASession: whoever is signed in with the browser, and a sign-in
// that waits there, have no part in it, and nobody else is signed in by it.
func TestRegistrationBesideASession(t *testing.T) {
	t.Parallel()
	r := openRig(t)
	b := r.browser()
	b.signIn(r.mina, b.authorize("web")).mustCode()
	waits := b.authorize("asks").mustStep("consent", 200)
	session := b.has("sallyport-session")
	v := r.profiled(b, b.register(nil, "sora@example.com"), "sora@example.com", "sora")
	v = b.answer(b.app(v), "enroll", "code", r.code(shownKey(t, b.app(v)), 0)).mustStep("save_codes", 200)
	b.answer(v, "saved", "saved", "1")
	if got := b.has("sallyport-session"); got != session {
		t.Error("the session has another secret")
	}
	if c := claims(t, r.redeem("asks", b.answer(waits, "consent", "decision", "allow").mustCode()).ID); c["sub"] != r.mina.id {
		t.Errorf("the consent that waited is of %v, want mina", c["sub"])
	}
	r.mustHave(r.mina, 2)
}

// TestRegistrationIsTurnedOff: with it, what was begun ends, at each step.
func TestRegistrationIsTurnedOff(t *testing.T) {
	t.Parallel()
	database := newDatabase(t)
	r := openRig(t, func(c *sallyport.Config) { c.Database = database })
	b, c := r.browser(), r.browser()
	asked := b.register(nil, "sora@example.com").mustStep("confirm_email", 200)
	enrolls := c.app(r.profiled(c, c.register(nil, "rin@example.com"), "rin@example.com", "rin"))
	last := r.rig
	for _, now := range []struct {
		on      bool
		domains []string
		want    int
	}{{true, []string{"example.org"}, http.StatusGone}, {false, nil, http.StatusGone}, {true, nil, http.StatusOK}} {
		r.must(last.Close())
		last = emptyRig(t, func(c *sallyport.Config) {
			c.Database, c.SMTP = database, smtpOf(r.smtp)
			sallyport.MailByHand(c)
			c.Registration, c.RegistrationDomains = now.on, now.domains
		})
		for _, was := range []struct {
			*browser
			*view
		}{{b, asked}, {c, enrolls}} {
			same := last.browser().with("sallyport-browser", was.has("sallyport-browser"))
			if got := same.get(was.page()); got.status != now.want {
				t.Errorf("%+v: %s: got %d, want %d", now, was.step(), got.status, now.want)
			}
		}
	}
}

// TestRegistrationOffersNoMailedCodes: as a factor they are for accounts that are there.
func TestRegistrationOffersNoMailedCodes(t *testing.T) {
	t.Parallel()
	r := openRig(t, func(c *sallyport.Config) { c.EmailCodes, c.NoPasswordByMail = true, true })
	b := r.browser()
	v := b.register(b.authorize("web").mustStep("login", 200), "sora@example.com").mustStep("confirm_email", 200)
	v = b.answer(v, "confirm", "code", r.mailedCode("sora@example.com")).mustStep("profile", 200)
	v = b.answer(v, "profile", "name", "Sora", "username", "sora@example.com", "password", soras, "again", soras).mustStep("enroll", 200)
	for _, page := range []*view{v, b.get(v.page() + "?method=email")} {
		if page.mustStep("enroll", 200); strings.Contains(page.body, "method=email") || strings.Contains(page.body, "/mail_code") {
			t.Errorf("codes by mail are offered:\n%s", page.body)
		}
	}
}
