package e2e

import (
	"os/exec"
	"regexp"
	"strings"
	"testing"
)

var mailedCode = regexp.MustCompile(`\b\d{4} \d{4}\b`)

// installOpen is installMail where people make accounts.
func installOpen(t *testing.T) (*installation, *mailbox) {
	t.Helper()
	m := openMailbox(t)
	return install(t, "SALLYPORT_SMTP_HOST=127.0.0.1", "SALLYPORT_SMTP_PORT="+m.port, "SALLYPORT_SMTP_TLS=none", "SALLYPORT_SMTP_FROM=id@example.com",
		"SALLYPORT_REGISTRATION=true"), m
}

// register types the address, and returns the code that is mailed to it.
func (b *tab) register(m *mailbox, email string) (code string) {
	b.t.Helper()
	b.mustStep("register")
	b.fill("#email", email)
	b.mustStatus(b.press("#ask"), 200)
	b.mustStep("confirm_email")
	return strings.ReplaceAll(mailedCode.FindString(m.mustGet("")), " ", "") // the only mail
}

// profile says who one is.
func (b *tab) profile(name, login, password string) (status int) {
	b.t.Helper()
	b.mustStep("profile")
	b.fill("#name", name)
	if login != "" {
		b.fill("#username", login)
	}
	b.fill("#password", password)
	b.fill("#again", password)
	return b.press("#choose")
}

// TestRegistration: from the application's sign-in, by the mailed code, name,
// password, app and recovery codes, back into the application. With JavaScript and
// without.
func TestRegistration(t *testing.T) {
	t.Parallel()
	for name, script := range map[string]bool{"with a script": true, "without": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			in, mailbox := installOpen(t)
			b := newBrowser(t, "en")
			if !script {
				b.disableScript()
			}
			b.open(in.request())
			b.mustStep("login")
			b.mustStatus(b.press("#register"), 200)
			code := b.register(mailbox, "sora@example.com")
			b.mustText("sora@example.com")
			b.fill("#code", wrong(code))
			b.mustStatus(b.press("#confirm"), 422)
			b.fill("#code", code)
			b.mustStatus(b.press("#confirm"), 200)
			b.mustStatus(b.profile("Sora Kim", "", "password1"), 422)
			b.mustText("most common")
			b.mustStatus(b.profile("Sora Kim", "", "quiet lantern otter"), 200)
			b.app()
			key := b.textOf("dd code")
			b.mustStatus(b.code(totp(t, key, 0)), 200)
			b.mustStatus(b.save(), 200)
			b.mustText("Your account is ready")
			mailbox.mustGet("A second factor was added")

			b.mustStatus(b.press("#back"), 200)
			b.mustStep("login") // nobody is signed in by it
			b.password("sora@example.com", "quiet lantern otter")
			b.mustStep("second_factor")
			b.mustStatus(b.code(totp(t, key, 1)), 200)
			in.mustBeComplete(b, "pwd otp mfa")
			if shown := string(in.sallyport("user", "show", "sora@example.com", "--config", in.config())); !strings.Contains(shown, "by the user") {
				t.Errorf("user show does not say who made the account\n%s", shown)
			}
		})
	}
}

// installByMail is an installation where the first second factor takes a mailed code, and
// joon, who has a password and no factor.
func installByMail(t *testing.T) (*installation, *mailbox) {
	t.Helper()
	m := openMailbox(t)
	in := install(t, "SALLYPORT_SMTP_HOST=127.0.0.1", "SALLYPORT_SMTP_PORT="+m.port, "SALLYPORT_SMTP_TLS=none", "SALLYPORT_SMTP_FROM=id@example.com",
		"SALLYPORT_ENROLLMENT=email", "SALLYPORT_POLICY=[{grace_days: 7}]")
	add := exec.Command(command, "user", "add", "joon", "--email", "joon@example.com", "--password-stdin", "--config", in.config())
	add.Stdin = strings.NewReader("quiet lantern otter\n")
	if out, err := add.CombinedOutput(); err != nil {
		t.Fatalf("user add: %v\n%s", err, out)
	}
	return in, m
}

// TestMailedCodeEnrols: the password, a code that comes by mail, and then the app.
func TestMailedCodeEnrols(t *testing.T) {
	t.Parallel()
	in, mailbox := installByMail(t)
	b := newBrowser(t, "en")
	b.disableScript()
	b.open(in.request())
	b.password("joon", "quiet lantern otter")
	b.mustStep("confirm_email")
	b.mustText("j•••@example.com")
	b.mustStatus(b.press("#mail-code"), 200)
	b.fill("#code", strings.ReplaceAll(mailedCode.FindString(mailbox.mustGet("set up a second factor")), " ", ""))
	b.mustStatus(b.press("#confirm"), 200)
	b.app()
	b.mustStatus(b.code(totp(t, b.textOf("dd code"), 0)), 200)
	b.save()
	in.mustBeComplete(b, "pwd otp mfa")
}
