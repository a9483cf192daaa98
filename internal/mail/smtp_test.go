package mail

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-id/sallyport/internal/mail/smtptest"
	"github.com/sallyport-id/sallyport/internal/store"
	"github.com/sallyport-id/sallyport/internal/store/sqlstore"
)

func to(s *smtptest.Server, tls TLS) *SMTP {
	return &SMTP{Host: "127.0.0.1", Port: s.Port(), From: "Sallyport <id@example.com>", TLS: tls, Hello: "id.example.com", RootCAs: s.Pool, User: s.User, Password: s.Password}
}

// TestSend: with STARTTLS and with TLS at once, with and without a login, Hangul in it.
func TestSend(t *testing.T) {
	t.Parallel()
	for _, mode := range []TLS{TLSStart, TLSImplicit} {
		for _, user := range []string{"", "id"} {
			s := smtptest.New(t, mode == TLSImplicit)
			if user != "" {
				s.User, s.Password = user, "secret"
			}
			err := to(s, mode).Send(t.Context(), Message{To: "mina@example.com", Subject: "새 비밀번호", Text: "안녕하세요\n\nhttps://id.example.com/reset/a.b\n"})
			if err != nil {
				t.Errorf("%s, user %q: %v", mode, user, err)
				continue
			}
			mails := s.Mails()
			if len(mails) != 1 || mails[0].From != "id@example.com" || mails[0].To != "mina@example.com" || mails[0].Subject != "새 비밀번호" ||
				mails[0].Text != "안녕하세요\n\nhttps://id.example.com/reset/a.b\n" || mails[0].Header.Get("Auto-Submitted") != "auto-generated" {
				t.Errorf("%s, user %q: got %+v", mode, user, mails)
			}
			if got := s.Logins(); (got == 1) != (user != "") {
				t.Errorf("%s, user %q: %d logins", mode, user, got)
			}
			if err := to(s, mode).Probe(t.Context()); err != nil || len(s.Mails()) > 0 {
				t.Errorf("%s: probe: %v", mode, err)
			}
		}
	}
}

// TestSendRefuses: no mail leaves where it could be read, or for another than one
// address.
func TestSendRefuses(t *testing.T) {
	t.Parallel()
	s := smtptest.New(t, false)
	good := to(s, TLSStart)
	for name, c := range map[string]struct {
		change func(*SMTP)
		to     string
	}{
		"a certificate of somebody else": {func(c *SMTP) { c.RootCAs = nil }, "mina@example.com"},
		"a certificate for another name": {func(c *SMTP) { c.Host = "localhost" }, "mina@example.com"},
		"a login that is wrong":          {func(c *SMTP) { c.User, c.Password = "id", "wrong" }, "mina@example.com"},
		"two addresses":                  {func(*SMTP) {}, "mina@example.com, joon@example.com"},
		"a header":                       {func(*SMTP) {}, "mina@example.com\r\nBcc: joon@example.com"},
		"a header in a name":             {func(*SMTP) {}, "\"x\r\nBcc: joon@example.com\" <mina@example.com>"},
		"a name":                         {func(*SMTP) {}, "Mina <mina@example.com>"},
		"a command":                      {func(*SMTP) {}, "mina@example.com>\r\nRCPT TO:<joon@example.com"},
		"nothing":                        {func(*SMTP) {}, ""},
	} {
		changed := *good
		c.change(&changed)
		if err := changed.Send(t.Context(), Message{To: c.to, Subject: "x", Text: "x"}); err == nil {
			t.Errorf("%s: sent", name)
		}
	}
	if mails := s.Mails(); len(mails) > 0 {
		t.Errorf("sent: %+v", mails)
	}
	plain := smtptest.New(t, true) // offers no STARTTLS, and does not speak it
	if err := to(plain, TLSStart).Send(canceledSoon(t, plain), Message{To: "mina@example.com"}); err == nil {
		t.Error("sent to a server without STARTTLS")
	}
}

// canceledSoon ends when somebody has connected.
func canceledSoon(t *testing.T, s *smtptest.Server) context.Context {
	ctx, cancel := context.WithCancel(t.Context())
	go func() { s.Came(); cancel() }()
	return ctx
}

// TestCheck: what could not work is said before.
func TestCheck(t *testing.T) {
	t.Parallel()
	good := SMTP{Host: "mail.example.com", From: "id@example.com"}
	if err := good.Check(); err != nil {
		t.Error(err)
	}
	for want, change := range map[string]func(*SMTP){
		"host is missing":             func(c *SMTP) { c.Host = "" },
		"no port":                     func(c *SMTP) { c.Port = 65536 },
		"no address":                  func(c *SMTP) { c.From = "a@example.com, b@example.com" },
		"no address like":             func(c *SMTP) { c.From = "a\r\nBcc: b@example.com" },
		"only a server on this":       func(c *SMTP) { c.TLS = TLSNone },
		"none of starttls":            func(c *SMTP) { c.TLS = "ssl" },
		"both a user and a password":  func(c *SMTP) { c.User = "id" },
		"both a user and a password ": func(c *SMTP) { c.Password = "secret" },
	} {
		c := good
		change(&c)
		if err := c.Check(); err == nil || !strings.Contains(err.Error(), strings.TrimSpace(want)) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
	for _, host := range []string{"localhost", "127.0.0.1", "::1"} {
		if err := (&SMTP{Host: host, From: good.From, TLS: TLSNone}).Check(); err != nil {
			t.Errorf("%s: %v", host, err)
		}
	}
}

// TestTexts: every kind of mail has its words in every language, and says when and
// from where.
func TestTexts(t *testing.T) {
	t.Parallel()
	w := words{Login: "mina", Server: "id.example.com", When: "2026-11-28 04:00 UTC", Address: "192.0.2.1", Browser: "Firefox, Linux", Link: "https://id.example.com/reset/a.b", Code: "1234 5678", Minutes: 30}
	for _, kind := range []store.MailKind{
		store.MailPasswordReset, store.MailNewBrowser, store.MailWrongCodes, store.MailFactorAdded, store.MailCodesReplaced,
		store.MailRecoveryUsed, store.MailPasswordChanged, store.MailReset, store.MailDisabled, store.MailCodeProof, store.MailCodeEnroll,
	} {
		seen := map[string]bool{}
		for _, locale := range []string{"en", "ko-KR", "", "fr"} {
			subject, text, err := render(locale, kind, w)
			if err != nil || subject == "" || strings.Contains(subject, "\n") {
				t.Errorf("%s in %q: subject %q, error %v", kind, locale, subject, err)
			}
			for _, want := range []string{"mina", "id.example.com", w.When, w.Address, w.Browser} {
				if !strings.Contains(text, want) {
					t.Errorf("%s in %q does not say %q:\n%s", kind, locale, want, text)
				}
			}
			if strings.Contains(text, w.Link) != (kind == store.MailPasswordReset) {
				t.Errorf("%s in %q: is the link there?\n%s", kind, locale, text)
			}
			if strings.Contains(text, w.Code) != kind.HasCode() {
				t.Errorf("%s in %q: is the code there?\n%s", kind, locale, text)
			}
			seen[subject] = true
		}
		if len(seen) != 2 {
			t.Errorf("%s: %d subjects, want two languages", kind, len(seen))
		}
	}
}

// outbox is a sender with a database, and one user in it.
func outbox(t *testing.T, s *smtptest.Server, log io.Writer) (*Sender, *sqlstore.Store, *time.Time) {
	t.Helper()
	db, err := sqlstore.Open(t.Context(), sqlstore.Config{Path: filepath.Join(t.TempDir(), "test.db")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	now := time.Date(2026, 11, 28, 9, 0, 0, 0, time.UTC)
	u := &store.User{ID: "u", Login: "mina", LoginKey: "mina", Email: "mina@example.com", PasswordHash: "x", CreatedAt: now}
	if err := errors.Join(db.SetMeta(t.Context(), store.MetaMail, store.MetaMailOn), db.CreateUser(t.Context(), u)); err != nil {
		t.Fatal(err)
	}
	issuer := &url.URL{Scheme: "https", Host: "id.example.com"}
	return &Sender{Store: db, SMTP: to(s, TLSStart), Issuer: issuer, Log: slog.New(slog.NewTextHandler(log, nil)), Now: func() time.Time { return now }}, db, &now
}

func notify(t *testing.T, db *sqlstore.Store, now time.Time) {
	t.Helper()
	if err := db.Record(t.Context(), store.Event{At: now, Type: store.EventLoginRecovery, UserID: "u", Address: "192.0.2.1"}); err != nil {
		t.Fatal(err)
	}
}

// TestSenderRetries: a server that is away or refuses for now is asked again, less
// and less often; after a day the mail is dead, and stays to be seen. Neither the log
// nor the outbox has the address in its error.
func TestSenderRetries(t *testing.T) {
	t.Parallel()
	s := smtptest.New(t, false)
	var log strings.Builder
	sender, db, now := outbox(t, s, &log)
	s.Refuse("451 4.3.0 <mina@example.com> come back later")
	notify(t, db, *now)
	attempts := 0
	var last store.Mail
	for range 100 {
		if err := sender.SendDue(t.Context()); err != nil {
			t.Fatal(err)
		}
		mails, err := db.Mails(t.Context(), 9)
		if err != nil || len(mails) != 1 {
			t.Fatalf("got %v %v", mails, err)
		}
		last = mails[0]
		attempts++
		if last.Dead {
			break
		}
		*now = last.DueAt
	}
	if attempts < 10 || attempts > 40 || !last.Dead || !strings.Contains(last.Error, "451 4.3.0") {
		t.Errorf("after %d attempts: %+v", attempts, last)
	}
	if strings.Contains(log.String(), "mina@") || strings.Contains(last.Error, "mina@") {
		t.Errorf("the address is told:\n%s\n%s", log.String(), last.Error)
	}
	if got := sender.Stats(); got.Dead != 1 || got.Pending != 0 || int(got.Failed) != attempts {
		t.Errorf("got %+v", got)
	}
}

// TestSenderGoesOn: an address that is refused for good is no reason for others to
// wait; a server that is back gets all.
func TestSenderGoesOn(t *testing.T) {
	t.Parallel()
	s := smtptest.New(t, false)
	sender, db, now := outbox(t, s, io.Discard)
	s.Refuse("550 5.1.1 no such user")
	notify(t, db, *now)
	if err := sender.SendDue(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := sender.Stats(); got.Dead != 1 {
		t.Errorf("got %+v, want a dead mail at once", got)
	}
	s.Refuse("")
	notify(t, db, *now)
	notify(t, db, *now)
	if err := sender.SendDue(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := sender.Stats(); len(s.Mails()) != 2 || got.Sent != 2 || got.Pending != 0 {
		t.Errorf("got %+v, want two sent", got)
	}
}

// TestSenderIsNotLate: what waited for a day while nobody sent is given up unsent.
func TestSenderIsNotLate(t *testing.T) {
	t.Parallel()
	s := smtptest.New(t, false)
	sender, db, now := outbox(t, s, io.Discard)
	notify(t, db, *now)
	*now = now.Add(noticeTTL + time.Second)
	if err := sender.SendDue(t.Context()); err != nil || len(s.Mails()) != 0 || sender.Stats().Dead != 1 {
		t.Errorf("got %+v %v, want a dead mail", sender.Stats(), err)
	}
}

// TestSenderStops: one that says nothing holds the sender up no longer than its
// context, and the mail is sent after its claim ends.
func TestSenderStops(t *testing.T) {
	t.Parallel()
	s := smtptest.New(t, false)
	sender, db, now := outbox(t, s, io.Discard)
	s.Mute(true)
	notify(t, db, *now)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- sender.SendDue(ctx) }()
	s.Came()
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	s.Mute(false)
	*now = now.Add(lease)
	if err := sender.SendDue(t.Context()); err != nil || len(s.Mails()) != 1 {
		t.Errorf("after the claim: %v", err)
	}
}

// TestSenderMakesCodes: the code is made when it is sent, the same at each attempt; it
// goes to the address that it was asked for, and to nobody once that is not the user's
// any more, or it is too late.
func TestSenderMakesCodes(t *testing.T) {
	t.Parallel()
	s := smtptest.New(t, false)
	sender, db, now := outbox(t, s, io.Discard)
	sender.Code = func(m *store.Mail) string { return "code of " + m.ID + " in " + m.Interaction }
	ask := func(id, user, to string) {
		t.Helper()
		m := store.Mail{ID: id, Kind: store.MailCodeProof, UserID: user, To: to, At: *now, Address: "192.0.2.1", Interaction: "i-" + id}
		i := &store.Interaction{ID: m.Interaction, BrowserHash: []byte("b"), Version: 1, CreatedAt: *now, ExpiresAt: now.Add(time.Hour)}
		if err := errors.Join(db.CreateInteraction(t.Context(), i), db.AskForCode(t.Context(), m, i)); err != nil {
			t.Fatal(err)
		}
	}
	sent := func() []smtptest.Mail {
		t.Helper()
		if err := sender.SendDue(t.Context()); err != nil {
			t.Fatal(err)
		}
		return s.Mails()
	}
	s.Refuse("451 4.3.0 come back later")
	ask("a", "u", "mina@example.com")
	sent()
	s.Refuse("")
	*now = now.Add(time.Minute)
	if got := sent(); len(got) != 1 || got[0].To != "mina@example.com" || !strings.Contains(got[0].Text, "code of a in i-a") || !strings.Contains(got[0].Text, "within 9 minutes") {
		t.Errorf("got %+v", got)
	}
	ask("b", "", "new@example.com")
	if got := sent(); len(got) != 1 || got[0].To != "new@example.com" || strings.Contains(got[0].Text, "Account:") {
		t.Errorf("for nobody yet: got %+v", got)
	}
	ask("c", "u", "old@example.com")
	if got := sent(); len(got) != 0 {
		t.Errorf("to an address that is not the user's: got %+v", got)
	}
	ask("d", "u", "mina@example.com")
	*now = now.Add(codeTTL + time.Second)
	if got := sent(); len(got) != 0 {
		t.Errorf("too late: got %+v", got)
	}
}
