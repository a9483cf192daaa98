package e2e

import (
	"io"
	"mime/quotedprintable"
	"net"
	"net/textproto"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

// mailbox is an SMTP server on this machine, and what it took.
type mailbox struct {
	t     *testing.T
	port  string
	mails chan string // their texts
}

func openMailbox(t *testing.T) *mailbox {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	m := &mailbox{t: t, port: strconv.Itoa(listener.Addr().(*net.TCPAddr).Port), mails: make(chan string, 100)}
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go m.serve(textproto.NewConn(conn))
		}
	}()
	return m
}

// serve takes whatever comes.
func (m *mailbox) serve(c *textproto.Conn) {
	defer c.Close()
	_ = c.PrintfLine("220 mailbox")
	for {
		line, err := c.ReadLine()
		if err != nil {
			return
		}
		answer := "250 ok"
		switch verb, _, _ := strings.Cut(line, " "); strings.ToUpper(verb) {
		case "DATA":
			_ = c.PrintfLine("354 go on")
			body, err := c.ReadDotBytes()
			if err != nil {
				return
			}
			_, body2, _ := strings.Cut(string(body), "\n\n")
			text, err := io.ReadAll(quotedprintable.NewReader(strings.NewReader(body2)))
			if err == nil {
				m.mails <- string(text)
			}
		case "QUIT":
			answer = "221 bye"
		}
		if c.PrintfLine("%s", answer) != nil {
			return
		}
	}
}

// mustGet waits for a mail with the text, and returns it.
func (m *mailbox) mustGet(text string) string {
	m.t.Helper()
	late := time.After(patience)
	for {
		select {
		case mail := <-m.mails:
			if strings.Contains(mail, text) {
				return mail
			}
		case <-late:
			m.t.Fatalf("no mail came that says %q", text)
		}
	}
}

var mailedLink = regexp.MustCompile(`https://\S+/reset/\S+`)

// installMail is install with a mailbox.
func installMail(t *testing.T, settings ...string) (*installation, *mailbox) {
	t.Helper()
	m := openMailbox(t)
	return install(t, append(settings, "SALLYPORT_SMTP_HOST=127.0.0.1", "SALLYPORT_SMTP_PORT="+m.port, "SALLYPORT_SMTP_TLS=none", "SALLYPORT_SMTP_FROM=id@example.com")...), m
}

// sora has an account with an address, and the key of her app.
func (in *installation) sora(b *tab) (key string) {
	in.t.Helper()
	b.open(in.link("user", "add", "sora", "--email", "sora@example.com"))
	b.choose("quiet lantern otter")
	b.app()
	key = b.textOf("dd code")
	b.mustStatus(b.code(totp(in.t, key, 0)), 200)
	b.mustStatus(b.save(), 200)
	return key
}

// newPassword types it on the page of a mailed link.
func (b *tab) newPassword(password, code string) (status int) {
	b.t.Helper()
	b.fill("#password", password)
	b.fill("#again", password)
	b.fill("#code", code)
	return b.press("#reset")
}

// TestForgottenPassword: from the login page, by mail, to a new password and a sign-in
// with it; another browser only ends such a link. With JavaScript and without.
func TestForgottenPassword(t *testing.T) {
	t.Parallel()
	for name, script := range map[string]bool{"with a script": true, "without": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			in, mailbox := installMail(t)
			b := newBrowser(t, "en")
			if !script {
				b.disableScript()
			}
			key := in.sora(b)
			mailbox.mustGet("A second factor was added")

			b.open(in.request())
			b.mustStatus(b.press("#forgot"), 200)
			b.fill("#username", "sora")
			b.mustStatus(b.press("#ask"), 200)
			b.mustText("Look into your mail")
			link := mailedLink.FindString(mailbox.mustGet("/reset/"))

			other := newBrowser(t, "en")
			other.mustStatus(other.open(link), 200)
			other.mustText("Open this in the other browser")
			if other.has("#password") {
				t.Error("another browser is asked for the password")
			}

			b.mustStatus(b.open(link), 200)
			b.mustStatus(b.newPassword("amber window seven rivers", wrong(totp(t, key, 1))), 422)
			b.mustText("That code is not right")
			b.mustStatus(b.newPassword("amber window seven rivers", totp(t, key, 1)), 200)
			b.mustText("Your password was changed")
			if strings.Contains(b.url(), "reset") {
				b.fatalf("the address still is the link's")
			}
			b.mustStatus(b.open(link), 410)
			mailbox.mustGet("was changed")

			b.open(in.request())
			b.password("sora", "quiet lantern otter")
			b.mustStep("login")
			b.password("sora", "amber window seven rivers")
			b.mustStep("second_factor")

			b.open(in.issuer + "/forgot")
			b.fill("#username", "sora")
			b.press("#ask")
			link = mailedLink.FindString(mailbox.mustGet("/reset/"))
			other.open(link)
			other.mustStatus(other.press("#disown"), 200)
			other.mustText("The link has ended")
			b.mustStatus(b.open(link), 410)
		})
	}
}
