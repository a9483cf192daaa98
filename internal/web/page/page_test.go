package page

import (
	"bytes"
	"html/template"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"testing/fstest"
)

var frame = Frame{
	Action: "/interaction/01k5", CSRF: "token", Step: "login", Subject: "01k4", Version: 7,
	Client: "Paper Shop", Cancellable: true,
}

// at is the frame of a later step, with the account known.
func at(step string, first, second bool) Frame {
	f := frame
	f.Step, f.Account, f.FirstDone, f.SecondDone = step, "alice@example.com", first, second
	return f
}

// invited is the frame of somebody who sets up an account.
func invited(step string, first bool) Frame {
	f := at(step, first, false)
	f.Client, f.Cancellable, f.Invited = "", false, true
	return f
}

func failed(f Frame, key string, args map[string]any) Frame {
	f.Error, f.ErrorArgs = key, args
	return f
}

// samples are the pages of the golden files.
func samples() map[string]Page {
	message := func(code string) Message {
		return Message{Code: code, RequestID: "01k5n0q8v7", Status: 400}
	}
	qr := template.HTML(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 9 9"><rect width="9" height="9" fill="#fff"/><path fill="#000" d="M1 1h3v3h-3zM5 1h3v3h-3zM1 5h3v3h-3zM6 6h1v1h-1z"/></svg>`)
	const options = `{"challenge":"Y2hhbGxlbmdl","rpId":"id.example.com","allowCredentials":[{"type":"public-key","id":"a2V5"}]}`
	m := map[string]Page{
		"enroll_later":         Enroll{Frame: at("enroll", true, false), Method: "webauthn", Others: []string{"totp"}, Options: options, Until: "2026-12-24"},
		"enroll_last_day":      Enroll{Frame: at("enroll", true, false), Method: "webauthn", Options: options, Until: "2026-12-24", LastDay: true},
		"login":                Login{Frame: frame},
		"login_error":          Login{Frame: failed(frame, "error.credentials", nil), Username: "alice", ForgotURL: "/forgot"},
		"login_again":          Login{Frame: at("login", false, false), Username: "alice@example.com"},
		"login_or_passkey":     Login{Frame: frame, Options: `{"challenge":"AA"}`},
		"login_passkey":        Login{Frame: frame, Options: `{"challenge":"AA"}`, Passkey: true},
		"login_throttled":      Login{Frame: failed(frame, "error.throttled", map[string]any{"Minutes": 5}), Username: "alice"},
		"totp":                 SecondFactor{Frame: at("second_factor", true, false), Method: "totp", Others: []string{"recovery"}},
		"totp_error":           SecondFactor{Frame: failed(at("second_factor", true, false), "error.code", nil), Method: "totp"},
		"recovery":             SecondFactor{Frame: at("second_factor", true, false), Method: "recovery", Others: []string{"totp"}, RecoveryLeft: 9},
		"webauthn":             SecondFactor{Frame: at("second_factor", true, false), Method: "webauthn", Others: []string{"totp", "recovery"}, Options: options, Auto: true},
		"webauthn_error":       SecondFactor{Frame: failed(at("second_factor", true, false), "error.webauthn_unknown", nil), Method: "webauthn", Others: []string{"totp"}, Options: options},
		"enroll_webauthn":      Enroll{Frame: at("enroll", true, false), Method: "webauthn", Others: []string{"totp"}, Options: options},
		"enroll_make":          Enroll{Frame: failed(at("enroll", true, false), "error.webauthn_make", nil), Method: "webauthn", AsksMake: true, Options: options},
		"enroll":               Enroll{Frame: at("enroll", true, false), QR: qr, Key: "JBSW Y3DP EHPK 3PXP JBSW Y3DP EHPK 3PXP", Issuer: "id.example.com"},
		"enroll_again":         Enroll{Frame: failed(at("enroll", true, false), "error.code", nil), QR: qr, Key: "JBSW Y3DP EHPK 3PXP", Issuer: "id.example.com", Reset: true},
		"save_codes":           SaveCodes{Frame: at("save_codes", true, true), Codes: []string{"fk6s-y954-1sj3-eqhb", "6gd1-ghca-kjq5-nrfb", "fyh5-k0jk-ctvj-vwae", "kg25-2xhy-n9c4-tcwh", "bpvm-cm63-ehf7-nbjx", "12p5-jm1m-jm9t-4jcw", "j8gr-an0q-2xaq-qj6w", "dvd7-333a-92zf-m27j", "tcyc-fwtz-2etw-fvdz", "c22g-gfde-tg9m-3m7s"}},
		"save_codes_error":     SaveCodes{Frame: failed(at("save_codes", true, true), "error.saved_required", nil), Codes: []string{"7k3m-9q2x-hv5t-c8wd"}},
		"consent":              Consent{Frame: at("consent", true, true), Scopes: []string{"openid", "profile", "email", "offline_access", "orders:read"}, RedirectHost: "shop.example.com", Remember: true},
		"consent_each_time":    Consent{Frame: at("consent", true, true), Scopes: []string{"openid", "address", "phone"}, RedirectHost: "shop.example.com"},
		"invitation":           Invitation{Frame: invited("invitation", false), Server: "id.example.com", Least: 8},
		"invitation_error":     Invitation{Frame: failed(invited("invitation", false), "password.short", map[string]any{"Limit": 8}), Server: "id.example.com", Least: 8},
		"invitation_again":     Invitation{Frame: invited("invitation", false), Server: "id.example.com", KeepPassword: true},
		"enroll_invited":       Enroll{Frame: invited("enroll", true), QR: qr, Key: "JBSW Y3DP EHPK 3PXP", Issuer: "id.example.com"},
		"enroll_skippable":     Enroll{Frame: invited("enroll", true), Method: "webauthn", Others: []string{"totp"}, Options: options, Skippable: true},
		"register":             Register{Frame: Frame{Action: "/register", CSRF: "token", Step: "register"}, From: "01k5n0q8v7", BackURL: "/interaction/01k5n0q8v7"},
		"register_error":       Register{Frame: failed(Frame{Action: "/register", CSRF: "token", Step: "register"}, "error.email", nil), Email: "alice"},
		"login_register":       Login{Frame: frame, ForgotURL: "/forgot", RegisterURL: "/register?from=01k5n0q8v7"},
		"confirm_email":        ConfirmEmail{Frame: at("confirm_email", true, false), Email: "a•••@example.com"},
		"confirm_email_later":  ConfirmEmail{Frame: at("confirm_email", true, false), Email: "a•••@example.com", Until: "2026-12-24"},
		"confirm_email_none":   ConfirmEmail{Frame: at("confirm_email", true, false), Until: "2026-12-24"},
		"confirm_email_new":    ConfirmEmail{Frame: failed(invited("confirm_email", false), "error.mail_code_void", nil), Email: "alice@example.com", Sent: true, OtherURL: "/register"},
		"profile":              Profile{Frame: invited("profile", false), Server: "id.example.com", Email: "alice@example.com", Username: "alice@example.com", Least: 8},
		"profile_error":        Profile{Frame: failed(invited("profile", false), "error.login_taken", nil), Server: "id.example.com", Email: "alice@example.com", Name: "Alice Adams", Username: "alice", Least: 8},
		"second_factor_bypass": SecondFactor{Frame: at("second_factor", true, false), Method: "bypass", Others: []string{"totp", "recovery"}},
		"trust":                Trust{Frame: at("trust", true, true), Days: 30},
		"consent_apis":         Consent{Frame: at("consent", true, true), Scopes: []string{"openid"}, APIs: []API{{"Orders", []string{"orders:read", "orders:write"}}, {"Billing", []string{"bills:read"}}}, RedirectHost: "shop.example.com", Remember: true},
		"consent_device":       Consent{Frame: at("consent", true, true), Scopes: []string{"openid", "offline_access"}, Device: &AskingDevice{Address: "203.0.113.9", Minutes: 3, Stays: "id.example.com/account"}},
		"consent_device_now":   Consent{Frame: at("consent", true, true), Scopes: []string{"openid"}, Device: &AskingDevice{Address: "2001:db8::1"}},
		"device":               Device{Frame: Frame{Action: "/device", CSRF: "token", Step: "device"}},
		"device_error":         Device{Frame: Frame{Action: "/device", CSRF: "token", Step: "device", Error: "error.device_code"}},
		"form_post":            FormPost{Frame: Frame{Client: "Paper Shop"}, URL: "https://shop.example.com/callback?from=id", Fields: []Field{{"code", "abc.def"}, {"state", `"&<x>`}, {"iss", "https://id.example.com"}}},
		"signed_out":           SignedOut{URL: "https://shop.example.com/bye"},
		"signed_out_here":      SignedOut{},
		"confirm_logout":       ConfirmLogout{Frame: Frame{CSRF: "token"}, Fields: []Field{{"client_id", "shop"}, {"state", "xyz"}}},
		"forgot":               Forgot{Frame: Frame{Action: "/forgot", CSRF: "token", Step: "forgot"}},
		"forgot_error":         Forgot{Frame: Frame{Action: "/forgot", CSRF: "token", Step: "forgot", Error: "error.missing"}},
		"reset":                Reset{Frame: Frame{Action: "/reset/01k6.secret", CSRF: "token", Step: "reset", Account: "alice"}, Server: "id.example.com", Least: 8},
		"reset_error":          Reset{Frame: Frame{Action: "/reset/01k6.secret", CSRF: "token", Step: "reset", Account: "alice", Error: "error.code"}, Server: "id.example.com", Least: 8},
		"reset_elsewhere":      Reset{Frame: Frame{Action: "/reset/01k6.secret", CSRF: "token", Step: "reset"}, Server: "id.example.com", Elsewhere: true},
	}
	m["account"], m["account_changing"] = accounts()
	adding := at("manage", true, true)
	adding.Client, adding.Cancellable = "", false
	m["enroll_adding"] = Enroll{Frame: adding, Method: "webauthn", Others: []string{"totp"}, Options: options, Adding: true}
	m["enroll_adding_app"] = Enroll{Frame: adding, QR: qr, Key: "JBSW Y3DP EHPK 3PXP", Issuer: "id.example.com", Others: []string{"webauthn"}, Adding: true}
	mailbox := Mailbox{Address: "m•••@example.com"}
	sent := Mailbox{Address: "m•••@example.com", Sent: true}
	m["email"] = SecondFactor{Frame: at("second_factor", true, false), Method: "email", Others: []string{"recovery"}, Mailbox: mailbox}
	m["email_sent"] = SecondFactor{Frame: at("second_factor", true, false), Method: "email", Others: []string{"totp", "recovery"}, Mailbox: sent}
	m["email_error"] = SecondFactor{Frame: failed(at("second_factor", true, false), "error.code", nil), Method: "email", Mailbox: sent}
	m["email_void"] = SecondFactor{Frame: failed(at("second_factor", true, false), "error.mail_code_void", nil), Method: "email", Mailbox: mailbox}
	m["enroll_email"] = Enroll{Frame: at("enroll", true, false), Method: "email", Others: []string{"webauthn", "totp"}, Mailbox: mailbox}
	m["enroll_email_sent"] = Enroll{Frame: at("enroll", true, false), Method: "email", Others: []string{"webauthn", "totp"}, Mailbox: sent}
	m["enroll_adding_email"] = Enroll{Frame: adding, Method: "email", Others: []string{"webauthn"}, Mailbox: sent, Adding: true}
	for _, code := range messageCodes {
		m["message_"+code] = message(code)
	}
	detailed := message("invalid_request")
	detailed.Detail = "redirect_uri is not registered"
	m["message_invalid_request"] = detailed
	refused := at("refuse", true, false)
	refused.Cancellable = false
	m["message_no_second_factor"] = Message{Frame: refused, Code: "no_second_factor", BackURL: "https://shop.example.com/callback?error=access_denied", BackLabel: "Paper Shop"}
	m["message_needs_invitation"] = Message{Frame: refused, Code: "needs_invitation", BackURL: "https://shop.example.com/callback?error=access_denied", BackLabel: "Paper Shop"}
	m["message_welcome_skipped"] = Message{Frame: Frame{Step: "welcome", FirstDone: true}, Code: "welcome_skipped"}
	m["message_registered"] = Message{Frame: Frame{Step: "welcome", FirstDone: true, SecondDone: true}, Code: "registered"}
	m["message_registered_go_on"] = Message{Frame: Frame{Step: "welcome", FirstDone: true, SecondDone: true}, Code: "registered_go_on", BackURL: "/interaction/01k5n0q8v7"}
	m["message_welcome"] = Message{Frame: Frame{Step: "welcome", FirstDone: true, SecondDone: true}, Code: "welcome"}
	m["message_home"] = Message{Code: "home"}
	return m
}

// accounts are one page to look at, of somebody with little, and one for changes.
func accounts() (little, much Account) {
	f := at("manage", true, true)
	f.Client, f.Cancellable = "", false
	much = Account{
		Frame: f, Changing: true, Name: "Alice Adams", Email: "alice@example.com", CodesLeft: 2, FewCodes: true, MayAdd: true, Keys: true, Mail: true, HasPassword: true, Least: 8,
		Factors: []Factor{
			{ID: "01a", Kind: "webauthn", Name: "Laptop", Added: "2026-11-02", LastUsed: "2026-11-27", Removable: true},
			{ID: "01b", Kind: "totp", Added: "2026-10-01", Removable: true, Off: true},
		},
		Sessions: []Session{
			{ID: "01c", Browser: "Firefox", System: "Linux", Address: "192.0.2.7", Since: "2026-11-28 03:14 UTC", LastSeen: "2026-11-28 03:20 UTC", This: true},
			{ID: "01d", Since: "2026-11-27 22:01 UTC", LastSeen: "2026-11-27 22:40 UTC"},
		},
		Devices:      []Session{{ID: "01e", Browser: "Chrome", System: "Android", Address: "2001:db8::1", Since: "2026-11-01", LastSeen: "2026-11-20"}},
		Applications: []Application{{ID: "shop", Name: "Paper Shop", Scopes: []string{"openid", "email", "orders:read"}, Since: "2026-11-20", LastUsed: "2026-11-28 03:14 UTC"}, {ID: "tv", Name: "Television", LastUsed: "2026-11-27 20:15 UTC", Stays: true}},
		History:      []Happening{{Code: "login.totp", At: "2026-11-28 03:14 UTC", Address: "192.0.2.7"}, {Code: "account.password", At: "2026-11-27 10:00 UTC"}},
		Locale:       "ko", Locales: []Language{{"en", "English"}, {"ko", "한국어"}},
	}
	f.Action, f.Step = "", "account"
	little = Account{
		Frame: f, HasPassword: true, CodesLeft: 10, Factors: []Factor{{ID: "01b", Kind: "email", Added: "2026-10-01"}},
		Sessions: much.Sessions[:1], Locales: much.Locales, Scheme: "dark",
	}
	return little, much
}

func newRenderer(t *testing.T) *Renderer {
	t.Helper()
	r, err := New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func render(t *testing.T, r *Renderer, locale string, p Page) string {
	t.Helper()
	var b bytes.Buffer
	if err := r.Render(&b, locale, "", p); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// forEach runs a test for every sample in every language.
func forEach(t *testing.T, f func(t *testing.T, name, locale, html string)) {
	r := newRenderer(t)
	for name, p := range samples() {
		for _, locale := range []string{"en", "ko"} {
			t.Run(name+"/"+locale, func(t *testing.T) {
				t.Parallel()
				f(t, name, locale, render(t, r, locale, p))
			})
		}
	}
}

// TestGolden compares every page with its golden file; UPDATE_GOLDEN=1 rewrites
// them. Asset hashes are left out, so that a change of colour changes no page.
func TestGolden(t *testing.T) {
	t.Parallel()
	hash := regexp.MustCompile(`-[0-9a-f]{16}\.`)
	forEach(t, func(t *testing.T, name, locale, html string) {
		got := hash.ReplaceAllString(html, "-HASH.")
		file := filepath.Join("testdata", name+"."+locale+".html")
		if os.Getenv("UPDATE_GOLDEN") != "" {
			if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if got != string(want) {
			t.Errorf("page differs from %s (UPDATE_GOLDEN=1 rewrites it), got:\n%s", file, got)
		}
	})
}

func TestEveryGoldenFileHasAPage(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/*.html")
	if err != nil {
		t.Fatal(err)
	}
	if got, want := len(files), 2*len(samples()); got != want {
		t.Errorf("testdata has %d pages, want %d", got, want)
	}
}

var (
	formElement = regexp.MustCompile(`(?s)<form[^>]*>.*?</form>`)
	submitting  = regexp.MustCompile(`<button( id="[a-z0-9-]+"| class| name)`)
)

// TestEveryFormIsBound: each form that comes back carries what ties it to the
// step, the state and the user; the one that goes to the application must not.
func TestEveryFormIsBound(t *testing.T) {
	t.Parallel()
	forEach(t, func(t *testing.T, name, _, html string) {
		for _, form := range formElement.FindAllString(html, -1) {
			for _, field := range []string{"csrf", "step", "subject", "version"} {
				got := strings.Contains(form, `<input type="hidden" name="`+field+`"`)
				if want := name != "form_post"; got != want {
					t.Errorf("form has field %s: %v, want %v\n%s", field, got, want, form)
				}
			}
			if !strings.Contains(form, `method="post"`) || !submitting.MatchString(form) {
				t.Errorf("form does not post, or has no submit button:\n%s", form)
			}
		}
	})
}

func TestNames(t *testing.T) {
	t.Parallel()
	r := newRenderer(t)
	for page, wants := range map[string][]string{
		"login":           {`<html lang="en">`, `<title>Sign in – Paper Shop</title>`, `action="/interaction/01k5/password"`, `name="username"`, `autocomplete="username"`, `name="password"`, `autocomplete="current-password"`, `<button id="login"`, `action="/interaction/01k5/cancel"`, `<button id="cancel"`},
		"invitation":      {`name="username" value="alice@example.com" autocomplete="username" readonly`, `name="password" type="password" autocomplete="new-password"`, `name="again"`, "At least 8 characters", "<strong dir=\"auto\">id.example.com</strong>"},
		"login_again":     {`action="/interaction/01k5/switch"`, `<button id="switch"`, `value="alice@example.com"`},
		"totp":            {`action="/interaction/01k5/totp"`, `name="code"`, `autocomplete="one-time-code"`, `inputmode="numeric"`, `<button id="verify"`, `href="/interaction/01k5?method=recovery"`, " data-submit", "First door: open. Second door: closed."},
		"email":           {`action="/interaction/01k5/mail?method=email"`, `<button id="send" class="primary"`, "m•••@example.com", `href="/interaction/01k5?method=recovery"`},
		"email_sent":      {`action="/interaction/01k5/email"`, `name="code"`, `autocomplete="one-time-code"`, `inputmode="numeric"`, `data-digits="8"`, `<button id="verify"`, `<button id="send" class="quiet"`},
		"recovery":        {`action="/interaction/01k5/recovery"`, `name="code"`, `<button id="verify"`, `href="/interaction/01k5?method=totp"`},
		"webauthn":        {`action="/interaction/01k5/webauthn" data-auto data-webauthn="{&#34;challenge`, `name="answer"`, `<button id="verify"`, `href="/interaction/01k5?method=totp"`, `href="/interaction/01k5?method=recovery"`, "<noscript>", "webauthn-"},
		"webauthn_error":  {`action="/interaction/01k5/webauthn" data-webauthn=`, `id="error" role="alert"`},
		"enroll_webauthn": {`action="/interaction/01k5/register" data-webauthn=`, `<button id="register"`, `href="/interaction/01k5?method=totp"`},
		"enroll_later":    {`action="/interaction/01k5/later"`, `<button id="later"`, "2026-12-24"},
		"enroll":          {`action="/interaction/01k5/enroll"`, `name="code"`, `<button id="enroll"`, "<details>"},
		"save_codes":      {`action="/interaction/01k5/saved"`, `name="saved" value="1" required`, `<button id="continue"`},
		"consent":         {`action="/interaction/01k5/consent"`, `<button id="allow" class="primary" name="decision" value="allow"`, `<button id="deny" class="secondary" name="decision" value="deny"`, "<code>orders:read</code>"},
		"form_post":       {`action="https://shop.example.com/callback?from=id" data-post`, `name="code" value="abc.def"`, `<button id="continue"`},
		"confirm_logout":  {`action="/end_session/confirm"`, `name="client_id" value="shop"`},
		"signed_out":      {`href="https://shop.example.com/bye"`},
	} {
		html := render(t, r, "en", samples()[page])
		for _, want := range wants {
			if !strings.Contains(html, want) {
				t.Errorf("%s: no %s in\n%s", page, want, html)
			}
		}
	}
}

// TestErrorIsTiedToItsField: what was wrong is announced, names the field, and
// puts the cursor there; a code that failed is not followed by a submit that
// nobody asked for.
func TestErrorIsTiedToItsField(t *testing.T) {
	t.Parallel()
	r := newRenderer(t)
	for page, field := range map[string]string{"login_error": "password", "totp_error": "code", "email_error": "code", "enroll_again": "code", "save_codes_error": "saved"} {
		html := render(t, r, "en", samples()[page])
		input := regexp.MustCompile(`<input[^>]* id="` + field + `"[^>]*>|<input id="` + field + `"[^>]*>`).FindString(html)
		for _, want := range []string{`aria-invalid="true"`, "error\""} {
			if !strings.Contains(input, want) {
				t.Errorf("%s: no %s in %s", page, want, input)
			}
		}
		if !strings.Contains(html, `id="error" role="alert"`) || !strings.Contains(html, "<title>Error: ") {
			t.Errorf("%s: the error is not announced", page)
		}
		if strings.Contains(html, "data-submit") {
			t.Errorf("%s: submits by itself after an error", page)
		}
	}
	if html := render(t, r, "en", samples()["login_throttled"]); !strings.Contains(html, "in 5 min.") || strings.Contains(html, "aria-invalid") {
		t.Errorf("throttled: want the minutes and no field at fault\n%s", html)
	}
}

// TestPolicy: nothing in a page needs 'unsafe-inline' or another origin.
func TestPolicy(t *testing.T) {
	t.Parallel()
	forbidden := regexp.MustCompile(`(?i)<style|<script>|<script[^>]*>[^<]|\sstyle=|\son[a-z]+=|javascript:|<iframe|(src|href)="(https?:)?//[^"]*\.(css|js|svg|png)`)
	forEach(t, func(t *testing.T, _, _, html string) {
		if found := forbidden.FindString(html); found != "" {
			t.Errorf("page has %q", found)
		}
		if strings.Contains(html, "ZgotmplZ") {
			t.Error("html/template refused a value")
		}
	})
}

// TestWeight: a page with its assets stays under 30 kB, uncompressed; the account with
// all of its forms at once may have a little more.
func TestWeight(t *testing.T) {
	t.Parallel()
	r := newRenderer(t)
	assets := 0
	for name := range r.assets {
		data, _, _, _ := r.Asset(name)
		assets += len(data)
	}
	for name, p := range samples() {
		most := 30_000
		if name == "account_changing" {
			most = 32_000
		}
		for _, locale := range []string{"en", "ko"} {
			if got := len(render(t, r, locale, p)) + assets; got >= most {
				t.Errorf("%s in %s weighs %d bytes, want less than %d", name, locale, got, most)
			}
		}
	}
}

func TestAssets(t *testing.T) {
	t.Parallel()
	r := newRenderer(t)
	html := render(t, r, "en", Login{Frame: Frame{Base: "/id"}})
	names := regexp.MustCompile(`"/id/assets/([^"]+)"`).FindAllStringSubmatch(html, -1)
	if len(names) != 4 {
		t.Fatalf("page refers to %d assets, want 4", len(names))
	}
	for _, name := range names {
		data, contentType, etag, ok := r.Asset(name[1])
		if !ok || len(data) == 0 || contentType == "" || !strings.HasPrefix(etag, `"`) {
			t.Errorf("Asset(%q) = %d bytes, %q, %q, %v", name[1], len(data), contentType, etag, ok)
		}
	}
	if _, _, _, ok := r.Asset("style.css"); ok {
		t.Error("an asset is served under a name that does not change with it")
	}
}

// TestHostileValues: what others chose is text, whatever it looks like.
func TestHostileValues(t *testing.T) {
	t.Parallel()
	r := newRenderer(t)
	const evil = `"'><script>alert(1)</script>{Client}{{.}}`
	f := Frame{Base: "", Action: "/interaction/1", CSRF: evil, Step: evil, Subject: evil, Client: evil, Account: evil, Error: "error.throttled", ErrorArgs: map[string]any{"Minutes": evil}, Cancellable: true}
	for _, p := range []Page{
		Login{Frame: f, Username: evil, Options: evil, ForgotURL: evil}, Forgot{Frame: f, Username: evil}, Reset{Frame: f, Server: evil},
		Login{Frame: f, Options: evil, Passkey: true},
		SecondFactor{Frame: f, Method: evil, Others: []string{evil, evil}},
		SecondFactor{Frame: f, Method: "webauthn", Others: []string{evil}, Options: evil},
		Enroll{Frame: f, Method: "webauthn", Others: []string{evil}, Options: evil},
		Enroll{Frame: f, Key: evil, Issuer: evil},
		SaveCodes{f, []string{evil}},
		Consent{Frame: f, Scopes: []string{evil}, APIs: []API{{evil, []string{evil}}}, RedirectHost: evil},
		FormPost{f, "javascript:alert(1)", []Field{{evil, evil}}},
		SignedOut{f, "javascript:alert(1)"},
		ConfirmLogout{f, []Field{{evil, evil}}},
		Message{Frame: f, Code: "home", Detail: evil, RequestID: evil, BackURL: "data:text/html,x", BackLabel: evil},
	} {
		html := render(t, r, "en", p)
		if strings.Contains(html, "<script>") || strings.Contains(html, `"'>`) {
			t.Errorf("%s: a value became markup:\n%s", p.name(), html)
		}
		if strings.Contains(html, "javascript:") || strings.Contains(html, "data:text") {
			t.Errorf("%s: a hostile address became a link:\n%s", p.name(), html)
		}
	}
}

func TestLink(t *testing.T) {
	t.Parallel()
	r := newRenderer(t)
	for uri, want := range map[string]bool{
		"https://shop.example.com/bye?a=b":  true,
		"http://127.0.0.1:8080/bye":         true,
		"com.example.app:/callback":         true,
		"javascript:alert(1)":               false,
		"java\nscript:alert(1)":             false,
		"data:text/html,x":                  false,
		"vbscript:x":                        false,
		"javascript://a.b/%0aalert(1)":      false,
		"com.example.app:/x\"><script>1</s": true, // escaped
	} {
		html := render(t, r, "en", SignedOut{URL: uri})
		if got := !strings.Contains(html, "#ZgotmplZ"); got != want {
			t.Errorf("%q is linked: %v, want %v", uri, got, want)
		}
		if strings.Contains(html, "<script>") {
			t.Errorf("%q became markup", uri)
		}
	}
}

func TestRenderUnknown(t *testing.T) {
	t.Parallel()
	r := newRenderer(t)
	for _, p := range []Page{Message{Code: "nonsense"}, Login{Frame: Frame{Error: "error.nonsense"}}} {
		if err := r.Render(&bytes.Buffer{}, "en", "", p); err == nil {
			t.Errorf("Render(%+v): no error", p)
		}
	}
	if err := r.Render(&bytes.Buffer{}, "xx", "", Login{}); err == nil {
		t.Error("Render in an unknown locale: no error")
	}
}

func TestNewRefuses(t *testing.T) {
	t.Parallel()
	file := func(s string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(s)} }
	for name, tt := range map[string]struct {
		theme fstest.MapFS
		want  string
	}{
		"missing text":      {fstest.MapFS{"locales/ko.json": file(`{"login.title": ""}`)}, `locale ko: no text for "login.title"`},
		"unused text":       {fstest.MapFS{"locales/en.json": file(`{"login.tittle": "x"}`)}, `locale en: nothing uses "login.tittle"`},
		"half a language":   {fstest.MapFS{"locales/de.json": file(`{"login.title": "Anmelden"}`)}, `locale de: no text for "login.submit"`},
		"not a language":    {fstest.MapFS{"locales/_.json": file(`{}`)}, "locale _"},
		"not JSON":          {fstest.MapFS{"locales/en.json": file(`{`)}, "locales/en.json"},
		"unknown text":      {fstest.MapFS{"templates/login.html": file(`{{define "title"}}{{end}}{{define "main"}}{{t "login.nonsense"}}{{end}}`)}, `no text for "login.nonsense"`},
		"unknown field":     {fstest.MapFS{"templates/login.html": file(`{{define "title"}}{{end}}{{define "main"}}{{.Nonsense}}{{end}}`)}, "Nonsense"},
		"template is empty": {fstest.MapFS{"templates/login.html": file(``)}, "no such template"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := New(tt.theme)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("New: got %v, want an error with %q", err, tt.want)
			}
		})
	}
}

func TestTheme(t *testing.T) {
	t.Parallel()
	r, err := New(fstest.MapFS{
		"assets/theme.css":          {Data: []byte(":root { --accent: #123456; }")},
		"locales/en.json":           {Data: []byte(`{"login.title": "Welcome"}`)},
		"templates/signed_out.html": {Data: []byte(`{{define "title"}}Bye{{end}}{{define "main"}}<h1>Bye</h1>{{end}}`)},
	})
	if err != nil {
		t.Fatal(err)
	}
	if html := render(t, r, "en", Login{}); !strings.Contains(html, "<h1>Welcome</h1>") || !strings.Contains(html, ">Password<") {
		t.Errorf("the theme's text does not replace one of the embedded ones:\n%s", html)
	}
	if html := render(t, r, "ko", SignedOut{}); !strings.Contains(html, "<h1>Bye</h1>") {
		t.Errorf("the theme's template is not used:\n%s", html)
	}
	var style string
	for name := range r.assets {
		if strings.HasPrefix(name, "style-") {
			data, _, _, _ := r.Asset(name)
			style = string(data)
		}
	}
	if !strings.HasSuffix(style, "--accent: #123456; }") || !strings.Contains(style, ".card") {
		t.Error("theme.css is not added to the style sheet")
	}
}
