package mail

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"github.com/sallyport-id/sallyport/internal/store"
)

const (
	lookEvery = time.Second // how often the outbox is looked at
	lease     = 2 * time.Minute
	firstWait = 30 * time.Second // before the second attempt; twice as long each time
	longest   = time.Hour
	// A notice that is older, and a link that was asked for so long ago, are not sent
	// any more.
	noticeTTL = 24 * time.Hour
	// How long the link to a new password is good, and a code.
	linkTTL = 30 * time.Minute
	codeTTL = 10 * time.Minute
)

// Sender sends what is in the outbox. Several may share one: each mail is claimed.
type Sender struct {
	Store interface {
		store.Outbox
		store.Users
		store.Links
	}
	SMTP   *SMTP
	Issuer *url.URL
	// Code makes the code of a mail that brings one: it is in the mail and nowhere else.
	Code func(*store.Mail) string
	Log  *slog.Logger
	Now  func() time.Time

	sent, failed  atomic.Int64
	pending, dead atomic.Int64
}

// Stats says what was sent since the start, how many attempts failed, and what was in
// the outbox at the last look.
type Stats struct {
	Sent, Failed  int64
	Pending, Dead int64
}

// Stats returns the counts.
func (s *Sender) Stats() Stats {
	return Stats{Sent: s.sent.Load(), Failed: s.failed.Load(), Pending: s.pending.Load(), Dead: s.dead.Load()}
}

// Run sends until ctx ends. It looks at the outbox each second: other servers and
// commands write into it, too, and could not wake it.
func (s *Sender) Run(ctx context.Context) {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			if err := s.SendDue(ctx); err != nil && ctx.Err() == nil {
				s.Log.ErrorContext(ctx, "outbox", "error", err)
			}
		}
	}
}

// SendDue sends what is due, until nothing is or the SMTP server is in trouble. An
// error is the store's.
func (s *Sender) SendDue(ctx context.Context) error {
	defer s.count(ctx)
	for {
		m, err := s.Store.NextMail(ctx, s.Now(), lease)
		if errors.Is(err, store.ErrNotFound) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("claim mail: %w", err)
		}
		if goOn, err := s.send(ctx, m); err != nil || !goOn {
			return err
		}
	}
}

// count is for those who watch: how much waits.
func (s *Sender) count(ctx context.Context) {
	if n, err := s.Store.CountMails(ctx); err == nil {
		s.pending.Store(int64(n.Pending))
		s.dead.Store(int64(n.Dead))
	}
}

// send sends one mail and says how it went; goOn unless the server is in trouble.
func (s *Sender) send(ctx context.Context, m *store.Mail) (goOn bool, err error) {
	if late(m, s.Now()) {
		return true, s.giveBack(ctx, m, time.Time{}, "too late")
	}
	msg, err := s.compose(ctx, m)
	if errors.Is(err, store.ErrNotFound) { // nobody to send it to
		return true, s.Store.MailSent(ctx, m.ID)
	}
	if err != nil {
		return false, fmt.Errorf("compose mail %s: %w", m.ID, err)
	}
	err = s.SMTP.Send(ctx, msg)
	if err == nil {
		s.sent.Add(1)
		return true, s.Store.MailSent(ctx, m.ID)
	}
	if ctx.Err() != nil {
		return false, nil // the claim ends by itself
	}
	s.failed.Add(1)
	var address *AddressError
	retry := s.retry(m)
	if errors.As(err, &address) {
		retry = time.Time{}
	}
	s.Log.WarnContext(ctx, "mail not sent", "mail", m.ID, "kind", string(m.Kind), "attempt", m.Attempts, "dead", retry.IsZero(), "error", why(err))
	return address != nil, s.giveBack(ctx, m, retry, why(err))
}

// giveBack ends the claim, unless another sender has the mail by now.
func (s *Sender) giveBack(ctx context.Context, m *store.Mail, retry time.Time, why string) error {
	err := s.Store.MailFailed(ctx, m, retry, why)
	if errors.Is(err, store.ErrStale) {
		return nil
	}
	return err
}

// retry is when a mail is tried again; zero when it is too late for it.
func (s *Sender) retry(m *store.Mail) time.Time {
	wait := longest
	if doubled := firstWait << min(m.Attempts-1, 10); doubled < longest {
		wait = doubled
	}
	at := s.Now().Add(wait)
	if late(m, at) {
		return time.Time{}
	}
	return at
}

// late: a mail is of no use to anybody any more.
func late(m *store.Mail, at time.Time) bool {
	ttl := noticeTTL
	switch {
	case m.Kind == store.MailPasswordReset:
		ttl = linkTTL
	case m.Kind.HasCode():
		ttl = codeTTL
	}
	return at.After(m.At.Add(ttl))
}

// compose writes the words. store.ErrNotFound: there is nobody to send them to, or
// not any more.
func (s *Sender) compose(ctx context.Context, m *store.Mail) (Message, error) {
	u, err := s.addressee(ctx, m)
	if err != nil {
		return Message{}, err
	}
	about := words{
		Login: u.Login, Server: s.Issuer.Host, When: m.At.UTC().Format("2006-01-02 15:04 UTC"),
		Address: m.Address, Browser: m.Browser, ByOperator: m.Address == "",
	}
	to, locale := m.To, m.Locale
	if m.Kind.HasCode() {
		about.Code, about.Minutes = s.Code(m), int(m.At.Add(codeTTL).Sub(s.Now()).Round(time.Minute)/time.Minute)
	}
	if m.Kind == store.MailPasswordReset {
		to, locale, about.Minutes = u.Email, u.Locale, int(linkTTL/time.Minute)
		if about.Link, err = s.makeReset(ctx, u, m); err != nil {
			return Message{}, err
		}
	}
	subject, text, err := render(locale, m.Kind, about)
	return Message{To: to, Subject: subject, Text: text}, err
}

// addressee is whom a mail is about. A code may be for somebody who is no user yet; it
// is for nobody if the user has another address by now.
func (s *Sender) addressee(ctx context.Context, m *store.Mail) (*store.User, error) {
	if m.Kind.HasCode() && m.UserID == "" {
		return &store.User{}, nil
	}
	u, err := s.Store.User(ctx, m.UserID)
	if err == nil && m.Kind.HasCode() && u.Email != m.To {
		return nil, store.ErrNotFound
	}
	return u, err
}

// makeReset makes the link to a new password at the last moment: its secret is in the
// mail and nowhere else, and each attempt makes another.
func (s *Sender) makeReset(ctx context.Context, u *store.User, m *store.Mail) (string, error) {
	if u.Email == "" {
		return "", store.ErrNotFound
	}
	now := s.Now()
	secret, hash := store.NewSecret()
	l := &store.Link{
		ID: store.NewID(), SecretHash: hash, UserID: u.ID, Purpose: store.LinkPasswordReset, Browser: m.BrowserHash,
		CreatedAt: now, ExpiresAt: now.Add(linkTTL),
	}
	err := s.Store.MakePasswordReset(ctx, l, store.Event{At: now, Type: store.EventPasswordResetMailed, UserID: u.ID, Detail: l.ID})
	return strings.TrimSuffix(s.Issuer.String(), "/") + "/reset/" + l.ID + "." + secret, err
}
