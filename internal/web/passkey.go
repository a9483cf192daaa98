package web

import (
	"errors"
	"net/http"
	"net/url"

	"github.com/sallyport-id/sallyport/internal/authn"
	"github.com/sallyport-id/sallyport/internal/flow"
	"github.com/sallyport-id/sallyport/internal/store"
	"github.com/sallyport-id/sallyport/internal/web/page"
)

// methodPasskey and methodPassword are the ways in, as a link to the other one names
// them; the first is also the value of the cookie that remembers it.
const (
	methodPasskey  = "passkey"
	methodPassword = "password"
)

// loginPage offers the way in that was used in this browser last, and the other.
func (s *server) loginPage(r *http.Request, v *flow.Visit, f page.Frame) (page.Login, error) {
	options, err := s.Flow.SignInOptions(r.Context(), v)
	p := page.Login{Frame: f, Username: loginHint(r, v), Options: string(options)}
	if s.ResetsByMail {
		p.ForgotURL = s.base + forgotPath
	}
	p.RegisterURL = s.registerURL(v)
	if len(options) > 0 {
		toPassword := f.Error == passkeyErrors[authn.ReasonPasswordFirst] || f.Error == passkeyErrors[authn.ReasonExcluded]
		p.Passkey = firstWay(r, s.cookie(r, methodCookie)) == methodPasskey && !toPassword
	}
	return p, err
}

// firstWay is the way in that the page is about: the one that was answered just now,
// the one that was asked for, or the last one.
func firstWay(r *http.Request, last string) string {
	for _, way := range []string{r.PathValue("action"), r.URL.Query().Get("method"), last} {
		if way == methodPasskey || way == methodPassword {
			return way
		}
	}
	return methodPassword
}

// recordPasskey takes what a passkey has signed that is to stand for its user alone.
// Like every answer of an authenticator it counts no attempt.
func (s *server) recordPasskey(w http.ResponseWriter, r *http.Request, v *flow.Visit, form url.Values) (flow.Cookie, error) {
	answer, err := field(form, "answer", longestAnswer)
	if err != nil {
		return "", err
	}
	u, signed, err := s.Flow.CheckPasskey(r.Context(), v, answer)
	if err != nil {
		return "", err
	}
	cookie, err := s.Flow.RecordPasskey(r.Context(), v, u, signed)
	if unproven := (*authn.WebAuthnError)(nil); errors.As(err, &unproven) {
		return "", &authn.AttemptError{UserID: u.ID, Err: err}
	}
	if err == nil {
		s.setCookie(w, methodCookie, methodPasskey, knownTTL)
	}
	return cookie, err
}

// passwordUsed forgets that a passkey was the last way in.
func (s *server) passwordUsed(w http.ResponseWriter, r *http.Request) {
	if s.cookie(r, methodCookie) != "" {
		s.dropCookie(w, methodCookie)
	}
}

// passkeyErrors are the texts for why a passkey does not stand for its user alone;
// any other reason is error.webauthn. A disabled user's is one that nobody has.
var passkeyErrors = map[authn.WebAuthnReason]string{
	authn.ReasonUnknown:       "error.passkey_unknown",
	authn.ReasonDisabled:      "error.passkey_unknown",
	authn.ReasonUnverified:    "error.passkey_unverified",
	authn.ReasonNoPIN:         "error.passkey_no_pin",
	authn.ReasonPasswordFirst: "error.passkey_password_first",
	authn.ReasonExcluded:      "error.passkey_excluded",
}

// webauthnError is what to say of an answer that was refused.
func webauthnError(v *flow.Visit, reason authn.WebAuthnReason) string {
	if key := passkeyErrors[reason]; v.Step.Name == flow.Login && key != "" {
		return key
	}
	switch reason {
	case authn.ReasonUnknown:
		return "error.webauthn_unknown"
	case authn.ReasonMake:
		return "error.webauthn_make"
	}
	return "error.webauthn"
}

// aboutWhom names the user of a refused answer in the audit log: the one whose
// credential it was, where nobody is known before.
func aboutWhom(v *flow.Visit, e *store.Event, why error) {
	if v.Step.Name != flow.Login {
		return
	}
	e.UserID, e.Session = "", ""
	if attempt := (*authn.AttemptError)(nil); errors.As(why, &attempt) {
		e.UserID = attempt.UserID
	}
}
