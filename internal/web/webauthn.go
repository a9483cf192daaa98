package web

import (
	"net/http"
	"net/url"

	"github.com/sallyport-id/sallyport/internal/authn"
	"github.com/sallyport-id/sallyport/internal/flow"
	"github.com/sallyport-id/sallyport/internal/store"
)

// longestAnswer bounds what a browser says of an authenticator, in bytes.
const longestAnswer = 32 << 10

// recordAssertion takes what a passkey or a security key has signed. It counts no
// attempt: without the key there is nothing to guess.
func (s *server) recordAssertion(_ http.ResponseWriter, r *http.Request, v *flow.Visit, form url.Values) (flow.Cookie, error) {
	answer, err := field(form, "answer", longestAnswer)
	if err != nil {
		return "", err
	}
	signed, err := s.Flow.WebAuthn.CheckAssertion(v.Progress.Ceremony, v.User, v.Step.Factors, answer, s.Now())
	if err != nil {
		return "", err
	}
	return s.Flow.RecordAssertion(r.Context(), v, signed)
}

// recordRegistration takes a new passkey or security key as the first factor.
func (s *server) recordRegistration(_ http.ResponseWriter, r *http.Request, v *flow.Visit, form url.Values) (flow.Cookie, error) {
	answer, err := field(form, "answer", longestAnswer)
	if err != nil {
		return "", err
	}
	made, err := s.Flow.WebAuthn.CheckRegistration(v.Progress.Ceremony, v.User, v.Authenticators, answer, s.Now())
	if err != nil {
		return "", err
	}
	key, err := v.NewKey(made)
	if err != nil {
		return "", err
	}
	return s.recordFirst(r, v, key)
}

// webauthnRefused shows the step again, with another challenge.
func (s *server) webauthnRefused(w http.ResponseWriter, r *http.Request, v *flow.Visit, refused *authn.WebAuthnError, why error) error {
	event := store.Event{
		Type: store.EventLoginWebAuthnFailed, ClientID: v.Client.ID, Session: sessionID(v), Interaction: v.Interaction,
		UserID: v.Subject(), Detail: string(refused.Reason),
	}
	if v.Step.Name == flow.Enroll || v.Step.Name == flow.Manage {
		event.Type = store.EventEnrollWebAuthnFailed
	}
	aboutWhom(v, &event, why)
	s.recordEvent(r, event)
	noted(r).because("webauthn_" + string(refused.Reason))
	return s.renderAnew(w, r, v, webauthnError(v, refused.Reason))
}

// renderAnew shows the step again without the challenge that was answered.
func (s *server) renderAnew(w http.ResponseWriter, r *http.Request, v *flow.Visit, errorKey string) error {
	err := s.Flow.DropCeremony(r.Context(), v)
	if flow.Expected(err) {
		return redirect(w, s.base+"/interaction/"+v.Interaction)
	}
	if err != nil {
		return err
	}
	return s.render(w, r, v, http.StatusUnprocessableEntity, errorKey, nil)
}
