package web

import (
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/sallyport-id/sallyport/internal/authn"
	"github.com/sallyport-id/sallyport/internal/flow"
	"github.com/sallyport-id/sallyport/internal/oidc"
	"github.com/sallyport-id/sallyport/internal/store"
)

// errCancelled ends an interaction at the user's wish.
var errCancelled = errors.New("web: cancelled by the user")

// answerRefused shows the same step with what was wrong, or ends the interaction.
func (s *server) answerRefused(w http.ResponseWriter, r *http.Request, v *flow.Visit, err error) error {
	var throttled *authn.ThrottledError
	var field *fieldError
	var unproven *authn.WebAuthnError
	var weak *authn.PasswordError
	n := noted(r)
	switch {
	case errors.As(err, &weak):
		n.because(weak.Code)
		return s.render(w, r, v, http.StatusUnprocessableEntity, weak.Code, map[string]any{"Limit": weak.Limit})
	case errors.Is(err, flow.ErrNoCode):
		n.because("no_mail_code")
		return s.render(w, r, v, http.StatusUnprocessableEntity, "error.mail_code_void", nil)
	case errors.Is(err, flow.ErrMailedNow):
		n.because("mailed_now")
		return s.render(w, r, v, http.StatusTooManyRequests, "error.mail_code_wait", nil)
	case errors.Is(err, flow.ErrManyMails):
		n.because("many_mails")
		return s.render(w, r, v, http.StatusTooManyRequests, "error.mail_code_many", nil)
	case errors.Is(err, flow.ErrLastFactor):
		n.because("last_factor")
		return s.render(w, r, v, http.StatusConflict, "error.last_factor", nil)
	case errors.Is(err, flow.ErrManyFactors):
		n.because("many_factors")
		return s.render(w, r, v, http.StatusConflict, "error.many_factors", nil)
	case errors.As(err, &unproven):
		return s.webauthnRefused(w, r, v, unproven, err)
	case (v.Step.Name == flow.Enroll || v.Step.Name == flow.Manage) && errors.Is(err, store.ErrExists):
		return s.renderAnew(w, r, v, "error.webauthn_taken")
	case errors.Is(err, errCancelled):
		n.because(reasonCancelled)
		return s.refuse(w, r, v, oidc.Errorf(oidc.AccessDenied, "the user cancelled"))
	case errors.As(err, &field):
		n.because(strings.TrimPrefix(field.key, "error."))
		return s.render(w, r, v, http.StatusUnprocessableEntity, field.key, nil)
	case errors.Is(err, authn.ErrCredentials):
		s.guessRate.take(s.address(r))
		n.because(reasonCredentials)
		s.audit(r, v, store.EventLoginPasswordFailed, err)
		return s.render(w, r, v, http.StatusUnprocessableEntity, "error.credentials", nil)
	case errors.Is(err, authn.ErrCode), v.Step.Name == flow.SecondFactor && errors.Is(err, store.ErrNotFound):
		n.because(reasonCode)
		s.audit(r, v, store.EventLoginCodeFailed, err)
		return s.render(w, r, v, http.StatusUnprocessableEntity, "error.code", nil)
	case errors.Is(err, authn.ErrCodeUsed), v.Step.Name == flow.SecondFactor && errors.Is(err, store.ErrUsed):
		n.because(reasonCodeUsed)
		s.audit(r, v, store.EventLoginCodeReused, err)
		return s.render(w, r, v, http.StatusUnprocessableEntity, "error.code_used", nil)
	case errors.As(err, &throttled):
		s.guessRate.take(s.address(r))
		n.because(reasonThrottled)
		s.audit(r, v, store.EventLoginThrottled, err)
		key, args := s.throttled(w, throttled)
		return s.render(w, r, v, http.StatusTooManyRequests, key, args)
	case errors.Is(err, authn.ErrBusy):
		n.because(reasonBusy)
		w.Header().Set("Retry-After", "5")
		return s.render(w, r, v, http.StatusServiceUnavailable, "error.busy", nil)
	case flow.Expected(err):
		n.because(reasonStale)
		return redirect(w, s.base+"/interaction/"+v.Interaction)
	}
	return err
}

// throttled is what to say to somebody who must wait, and sets how long.
func (s *server) throttled(w http.ResponseWriter, t *authn.ThrottledError) (errorKey string, args map[string]any) {
	if t.RetryAt.IsZero() {
		return "error.locked", nil
	}
	wait := max(t.RetryAt.Sub(s.Now()), 0)
	seconds := int(wait.Seconds()) + 1
	w.Header().Set("Retry-After", strconv.Itoa(seconds))
	return "error.throttled", map[string]any{"Minutes": (seconds + 59) / 60}
}

func (s *server) recordPassword(w http.ResponseWriter, r *http.Request, v *flow.Visit, form url.Values) (flow.Cookie, error) {
	login, err := field(form, "username", 1024)
	if err != nil {
		return "", err
	}
	password, err := field(form, "password", 4096)
	if err != nil {
		return "", err
	}
	browser := s.knownBrowser(r, login)
	if wait := s.guessRate.full(s.address(r)); wait > 0 && browser == "" {
		return "", s.tooMany(s.guessRate, wait)
	}
	in, err := s.Checker.CheckPassword(r.Context(), authn.PasswordAttempt{Login: login, Password: password, KnownBrowser: browser})
	if err != nil {
		return "", err
	}
	cookie, err := s.Flow.RecordPassword(r.Context(), v, in.User, in.Settle)
	if err == nil {
		s.passwordUsed(w, r)
	}
	return cookie, err
}

func (s *server) recordTOTP(_ http.ResponseWriter, r *http.Request, v *flow.Visit, form url.Values) (flow.Cookie, error) {
	code, err := field(form, "code", 256)
	if err != nil {
		return "", err
	}
	id, step, settle, err := s.Checker.CheckTOTP(r.Context(), v.Step.Factors, code)
	if err != nil {
		return "", err
	}
	return s.Flow.RecordTOTP(r.Context(), v, id, step, settle)
}

func (s *server) recordRecovery(_ http.ResponseWriter, r *http.Request, v *flow.Visit, form url.Values) (flow.Cookie, error) {
	code, err := field(form, "code", 256)
	if err != nil {
		return "", err
	}
	a, err := s.Checker.CheckRecovery(r.Context(), v.Step.Factors, code)
	if err != nil {
		return "", err
	}
	cookie, err := s.Flow.RecordRecovery(r.Context(), v, a.Set, a.Hash, a.Settle)
	if errors.Is(err, store.ErrNotFound) {
		return "", a.Wrong
	}
	return cookie, err
}

func (s *server) recordEnrollment(_ http.ResponseWriter, r *http.Request, v *flow.Visit, form url.Values) (flow.Cookie, error) {
	code, err := field(form, "code", 256)
	if err != nil {
		return "", err
	}
	secret, err := s.Flow.NewTOTP(r.Context(), v)
	if err != nil {
		return "", err
	}
	digits, err := authn.ParseCode(code)
	if err != nil {
		return "", authn.ErrCode
	}
	step, ok := authn.FindTOTPStep(secret, digits, s.Now())
	if !ok {
		return "", authn.ErrCode
	}
	app, err := v.NewApp(step)
	if err != nil {
		return "", err
	}
	return s.recordFirst(r, v, app)
}

// recordFirst makes a first factor active, which is what invitations are for, too.
func (s *server) recordFirst(r *http.Request, v *flow.Visit, n flow.Enrolled) (flow.Cookie, error) {
	switch {
	case v.Invited():
		return "", s.Flow.RecordInvited(r.Context(), v, n, s.settleInvited(v))
	case v.Registers():
		return "", s.Flow.RecordRegistered(r.Context(), v, n)
	case v.Step.Name == flow.Manage:
		n.Authenticator.Name = flow.FactorName(r.PostForm.Get("name"))
		return s.Flow.RecordAddition(r.Context(), v, n)
	}
	return s.Flow.RecordEnrollment(r.Context(), v, n)
}

// recordLater puts the first factor off.
func (s *server) recordLater(_ http.ResponseWriter, r *http.Request, v *flow.Visit, _ url.Values) (flow.Cookie, error) {
	if v.Invited() {
		return "", s.Flow.RecordSkipped(r.Context(), v, s.settleInvited(v))
	}
	return "", s.Flow.RecordLater(r.Context(), v)
}

func (s *server) recordSaved(_ http.ResponseWriter, r *http.Request, v *flow.Visit, form url.Values) (flow.Cookie, error) {
	if form.Get("saved") == "" {
		return "", &fieldError{"error.saved_required"}
	}
	return "", s.Flow.RecordSaved(r.Context(), v)
}

func (s *server) recordConsent(_ http.ResponseWriter, r *http.Request, v *flow.Visit, form url.Values) (flow.Cookie, error) {
	switch form.Get("decision") {
	case "allow":
		return "", s.Flow.RecordConsent(r.Context(), v)
	case "deny":
		return "", errCancelled
	}
	return "", &fieldError{"error.missing"}
}

func (s *server) recordSwitch(_ http.ResponseWriter, r *http.Request, v *flow.Visit, _ url.Values) (flow.Cookie, error) {
	return "", s.Flow.Switch(r.Context(), v)
}

func (s *server) recordCancel(http.ResponseWriter, *http.Request, *flow.Visit, url.Values) (flow.Cookie, error) {
	return "", errCancelled
}

func sessionID(v *flow.Visit) string {
	if v.Session == nil {
		return ""
	}
	return v.Session.ID
}
