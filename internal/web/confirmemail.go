package web

import (
	"errors"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"github.com/sallyport-id/sallyport/internal/authn"
	"github.com/sallyport-id/sallyport/internal/flow"
	"github.com/sallyport-id/sallyport/internal/store"
	"github.com/sallyport-id/sallyport/internal/web/page"
)

// confirmEmailPage asks for the mailed code. Of whoever has shown a password alone the
// address is not told.
func (s *server) confirmEmailPage(v *flow.Visit, f page.Frame) page.ConfirmEmail {
	if in := v.Progress.Registering; in != nil {
		p := page.ConfirmEmail{Frame: f, Sent: true, Email: in.Email, OtherURL: s.base + registerPath}
		if in.Back != "" {
			p.OtherURL += "?from=" + url.QueryEscape(in.Back)
		}
		return p
	}
	c := v.Progress.MailCode
	p := page.ConfirmEmail{Frame: f, Sent: c != nil && c.For == store.MailCodeConfirm && c.UserID == v.User.ID, Email: masked(v.User.Email)}
	if v.MayPutOff() {
		p.Until, p.LastDay = s.putOffUntil(v)
	}
	return p
}

// putOffUntil is the last day without a second factor, and whether it is today.
func (s *server) putOffUntil(v *flow.Visit) (day string, last bool) {
	until := v.PutOffUntil()
	return until.UTC().Format(time.DateOnly), until.Sub(s.Now()) < 24*time.Hour
}

// masked is what lets its owner recognise an address, and tells others the domain; ""
// for none.
func masked(email string) string {
	local, domain, ok := strings.Cut(email, "@")
	if !ok {
		return ""
	}
	for i, r := range local {
		if i == 0 {
			return string(r) + "•••@" + domain
		}
	}
	return "•••@" + domain
}

// recordMailCode has a code mailed, within what an hour bears. Whoever registers may be
// anybody.
func (s *server) recordMailCode(_ http.ResponseWriter, r *http.Request, v *flow.Visit, _ url.Values) (flow.Cookie, error) {
	if err := v.MayAskForCode(); err != nil {
		return "", mailedError(err)
	}
	if in := v.Progress.Registering; in != nil {
		if err := s.Checker.MayMail(r.Context(), store.MailCodeRegister, in.Email, s.address(r)); err != nil {
			return "", mailedError(err)
		}
		return "", mailedError(s.Flow.MailAgain(r.Context(), v))
	}
	if err := s.Checker.MayMail(r.Context(), store.MailCodeConfirm, v.User.Email, netip.Addr{}); err != nil {
		return "", mailedError(err)
	}
	return "", mailedError(s.Flow.MailConfirmation(r.Context(), v))
}

// recordConfirm takes the mailed code, which every guess at it is counted against.
func (s *server) recordConfirm(_ http.ResponseWriter, r *http.Request, v *flow.Visit, form url.Values) (flow.Cookie, error) {
	typed, err := field(form, "code", 256)
	if err != nil {
		return "", err
	}
	kind, wrong := store.MailCodeConfirm, store.EventEnrollConfirmFailed
	if v.Registers() {
		kind, wrong = store.MailCodeRegister, store.EventRegistrationFailed
	}
	code, err := s.Flow.GuessCode(r.Context(), v, kind)
	if err != nil {
		return "", mailedError(err)
	}
	if !s.Checker.MailKey.Is(code, v.Interaction, typed) {
		s.recordEvent(r, store.Event{Type: wrong, UserID: v.Subject(), Interaction: v.Interaction})
		return "", &fieldError{"error.mail_code"}
	}
	if v.Registers() {
		return "", s.Flow.RecordAddress(r.Context(), v, code)
	}
	return "", s.Flow.RecordConfirmation(r.Context(), v, code)
}

// mailedError names the message of what is wrong with a mailed code.
func mailedError(err error) error {
	var throttled *authn.ThrottledError
	switch {
	case errors.Is(err, flow.ErrMailedNow):
		return &fieldError{"error.mail_code_wait"}
	case errors.Is(err, flow.ErrManyMails):
		return &fieldError{"error.mail_code_many"}
	case errors.Is(err, flow.ErrNoCode):
		return &fieldError{"error.mail_code_void"}
	case errors.As(err, &throttled):
		return &fieldError{"error.mail_code_hour"}
	}
	return err
}
