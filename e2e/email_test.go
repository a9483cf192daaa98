package e2e

import (
	"strings"
	"testing"
)

// emailCodes lets people have codes by mail.
var emailCodes = []string{"SALLYPORT_EMAIL_CODES=true", "SALLYPORT_PASSWORD_RESET_BY_MAIL=false"}

// code waits for a mail with one, and returns its digits.
func (m *mailbox) code() string {
	m.t.Helper()
	for range 10 {
		if code := mailedCode.FindString(m.mustGet("")); code != "" {
			return strings.ReplaceAll(code, " ", "")
		}
	}
	m.t.Fatal("no mail has a code")
	return ""
}

// TestEmailCodes: codes by mail are set up and asked for, with JavaScript and without.
func TestEmailCodes(t *testing.T) {
	t.Parallel()
	for name, script := range map[string]bool{"with a script": true, "without": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			in, mailbox := installMail(t, emailCodes...)
			b := newBrowser(t, "en")
			if !script {
				b.disableScript()
			}
			b.open(in.link("user", "add", "sora", "--email", "sora@example.com"))
			b.choose("quiet lantern otter")
			b.mustStatus(b.press("a[href*=email]"), 200)
			b.mustStatus(b.press("#send"), 200)
			b.fill("#code", mailbox.code())
			b.mustStatus(b.press("#enroll"), 200)
			b.mustStatus(b.save(), 200)

			b.open(in.request())
			b.password("sora", "quiet lantern otter")
			b.mustStep("second_factor")
			b.mustStatus(b.press("#send"), 200)
			code := mailbox.code()
			b.fill("#code", wrong(code))
			b.mustStatus(b.press("#verify"), 422)
			b.mustText("That code is not right")
			b.fill("#code", code)
			b.press("#verify")
			in.mustBeComplete(b, "pwd otp mfa")
		})
	}
}

// TestPagesOfEmailCodes looks at each of them.
func TestPagesOfEmailCodes(t *testing.T) {
	t.Parallel()
	for _, language := range []string{"en", "ko"} {
		t.Run(language, func(t *testing.T) {
			t.Parallel()
			in, mailbox := installMail(t, emailCodes...)
			w := &walk{tab: newBrowser(t, language), titles: map[string]string{}}
			w.open(in.link("user", "add", "sora", "--email", "sora@example.com", "--locale", language))
			w.choose("quiet lantern otter")
			w.look("enroll-others")
			w.press("a[href*=email]")
			w.look("enroll-email")
			w.press("#send")
			w.look("enroll-email-sent")
			w.fill("#code", mailbox.code())
			w.press("#enroll")
			w.save()
			w.open(in.request())
			w.password("sora", "quiet lantern otter")
			w.look("email")
			w.press("#send")
			w.look("email-sent")
			w.press("#send")
			w.look("email-too-soon")
			w.fill("#code", "12345678")
			w.press("#verify")
			w.look("email-error")
		})
	}
}
