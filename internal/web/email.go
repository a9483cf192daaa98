package web

import (
	"net/http"
	"net/netip"
	"net/url"

	"github.com/sallyport-id/sallyport/internal/authn"
	"github.com/sallyport-id/sallyport/internal/flow"
	"github.com/sallyport-id/sallyport/internal/store"
	"github.com/sallyport-id/sallyport/internal/web/page"
)

const emailMethod = string(store.KindEmail)

// mailboxPart is what a page says of codes by mail.
func (s *server) mailboxPart(v *flow.Visit) page.Mailbox {
	return page.Mailbox{Address: masked(v.User.Email), Sent: v.EmailCode() != nil}
}

// recordCodeRequest has a code mailed. Nothing but a form that is posted does: pages
// are opened by what looks ahead, too.
func (s *server) recordCodeRequest(_ http.ResponseWriter, r *http.Request, v *flow.Visit, _ url.Values) (flow.Cookie, error) {
	if !emailOffered(v) {
		return "", store.ErrStale
	}
	if err := v.MayAskForCode(); err != nil {
		return "", err
	}
	if err := s.Checker.MayMail(r.Context(), store.MailCodeProof, v.User.Email, netip.Addr{}); err != nil {
		return "", err
	}
	return "", s.Flow.AskForEmailCode(r.Context(), v)
}

// emailOffered: the step can be answered with a mailed code.
func emailOffered(v *flow.Visit) bool {
	if v.Step.Name != flow.SecondFactor {
		return offered(v, store.KindEmail) && (v.Step.Name == flow.Enroll || v.MayAdd())
	}
	for _, a := range v.Step.Factors {
		if a.Kind == store.KindEmail {
			return true
		}
	}
	return false
}

// recordEmail takes a mailed code for the second factor.
func (s *server) recordEmail(_ http.ResponseWriter, r *http.Request, v *flow.Visit, form url.Values) (flow.Cookie, error) {
	typed, err := field(form, "code", 256)
	if err != nil {
		return "", err
	}
	factors := v.Step.Factors
	code, err := s.Flow.GuessEmailCode(r.Context(), v)
	if err != nil {
		return "", err
	}
	id, settle, err := s.Checker.CheckMailCode(r.Context(), factors, code, v.Interaction, typed)
	if err != nil {
		return "", err
	}
	return s.Flow.RecordEmail(r.Context(), v, id, code, settle)
}

// recordNewEmail makes the address, which a mailed code confirms, a second factor.
func (s *server) recordNewEmail(_ http.ResponseWriter, r *http.Request, v *flow.Visit, form url.Values) (flow.Cookie, error) {
	typed, err := field(form, "code", 256)
	if err != nil {
		return "", err
	}
	if !emailOffered(v) {
		return "", store.ErrStale
	}
	code, err := s.Flow.GuessEmailCode(r.Context(), v)
	if err != nil {
		return "", err
	}
	if !s.Checker.MailKey.Is(code, v.Interaction, typed) {
		return "", authn.ErrCode
	}
	mailbox, err := v.NewEmail(code)
	if err != nil {
		return "", err
	}
	return s.recordFirst(r, v, mailbox)
}
