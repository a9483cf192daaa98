package web

import (
	"errors"
	"fmt"
	"html/template"
	"net/http"
	"net/url"
	"strconv"

	"github.com/sallyport-id/sallyport/internal/authn"
	"github.com/sallyport-id/sallyport/internal/flow"
	"github.com/sallyport-id/sallyport/internal/oidc"
	"github.com/sallyport-id/sallyport/internal/store"
	"github.com/sallyport-id/sallyport/internal/web/page"
)

// visit loads the interaction of the path as this browser sees it.
func (s *server) visit(r *http.Request) (*flow.Visit, error) {
	browser := s.cookie(r, browserCookie)
	if browser == "" {
		return nil, shown(http.StatusGone, "other_browser", "")
	}
	session, err := s.session(r)
	if err != nil {
		return nil, err
	}
	return s.visitAs(r, session)
}

func (s *server) visitAs(r *http.Request, session *store.Session) (*flow.Visit, error) {
	v, err := s.Flow.Visit(r.Context(), r.PathValue("id"), store.HashSecret(s.cookie(r, browserCookie)), session, s.origin(r))
	if errors.Is(err, store.ErrNotFound) {
		return nil, shown(http.StatusGone, "expired", "")
	}
	return v, err
}

// showInteraction is the one page of an interaction: the state names the step.
func (s *server) showInteraction(w http.ResponseWriter, r *http.Request) error {
	v, err := s.visit(r)
	if err != nil {
		return err
	}
	return s.proceed(w, r, v)
}

// proceed finishes if the next step is the end, else shows the step.
func (s *server) proceed(w http.ResponseWriter, r *http.Request, v *flow.Visit) error {
	switch {
	case v.Step.Name == flow.Done:
		answer, err := s.Flow.Finish(r.Context(), v)
		if errors.Is(err, store.ErrStale) { // ask again: it may have ended, or another proof came in
			return redirect(w, s.base+"/interaction/"+v.Interaction)
		}
		if err != nil {
			return err
		}
		return s.deliver(w, r, v.Client, answer)
	case v.Step.Name == flow.Refuse && v.Step.Reason == "":
		return s.refuse(w, r, v, v.Step.Refusal)
	}
	return s.render(w, r, v, http.StatusOK, "", nil)
}

func (s *server) refuse(w http.ResponseWriter, r *http.Request, v *flow.Visit, refusal *oidc.Error) error {
	answer, err := s.Flow.Refuse(r.Context(), v, refusal)
	if flow.Expected(err) {
		return shown(http.StatusGone, "expired", "")
	}
	if err != nil {
		return err
	}
	return s.deliver(w, r, v.Client, answer)
}

// An action records an answer to a step and returns the session cookie's new
// value, "" to leave it.
type action struct {
	step   flow.StepName // "" for those that every step offers
	record func(*server, http.ResponseWriter, *http.Request, *flow.Visit, url.Values) (flow.Cookie, error)
}

var actions = map[string]action{
	"password": {flow.Login, (*server).recordPassword},
	"totp":     {flow.SecondFactor, (*server).recordTOTP},
	"recovery": {flow.SecondFactor, (*server).recordRecovery},
	"enroll":   {flow.Enroll, (*server).recordEnrollment},
	"saved":    {flow.SaveCodes, (*server).recordSaved},
	"consent":  {flow.Consent, (*server).recordConsent},
	"switch":   {"", (*server).recordSwitch},
	"cancel":   {"", (*server).recordCancel},
}

// answerInteraction takes an answer. One that does not belong to the step that
// is next, or to the user who is signed in, records nothing.
func (s *server) answerInteraction(w http.ResponseWriter, r *http.Request) error {
	a, ok := actions[r.PathValue("action")]
	if !ok {
		return shown(http.StatusNotFound, "not_found", "")
	}
	if wait := s.pageRate.take(address(r)); wait > 0 {
		return tooMany(wait)
	}
	form, err := readForm(w, r)
	if err != nil {
		return err
	}
	v, err := s.visit(r)
	if err != nil {
		return err
	}
	if !s.formTokenIs(r, form.Get("csrf"), v.Interaction, sessionID(v)) || !current(a, v, form) {
		return s.render(w, r, v, http.StatusConflict, "error.stale", nil)
	}
	cookie, err := a.record(s, w, r, v, form)
	if err != nil {
		return s.answerRefused(w, r, v, err)
	}
	return s.advance(w, r, v, cookie)
}

// current: the form was made for the step that is next, this state of the
// interaction and this user.
func current(a action, v *flow.Visit, form url.Values) bool {
	if form.Get("subject") != v.Subject() {
		return false
	}
	return a.step == "" || a.step == v.Step.Name && form.Get("step") == string(v.Step.Name) &&
		form.Get("version") == strconv.FormatInt(v.Version(), 10)
}

// advance asks again what is next, with the session as it is now. A last answer
// goes to the client at once.
func (s *server) advance(w http.ResponseWriter, r *http.Request, v *flow.Visit, cookie flow.Cookie) error {
	if cookie == "" {
		return redirect(w, s.base+"/interaction/"+v.Interaction)
	}
	s.setCookie(w, sessionCookie, string(cookie), 0)
	session, err := s.Flow.Session(r.Context(), string(cookie))
	if err != nil {
		return err
	}
	next, err := s.visitAs(r, session)
	if err != nil {
		return err
	}
	if next.Step.Name == flow.Done {
		return s.proceed(w, r, next)
	}
	return redirect(w, s.base+"/interaction/"+v.Interaction)
}

// errCancelled ends an interaction at the user's wish.
var errCancelled = errors.New("web: cancelled by the user")

// answerRefused shows the same step with what was wrong, or ends the interaction.
func (s *server) answerRefused(w http.ResponseWriter, r *http.Request, v *flow.Visit, err error) error {
	var throttled *authn.ThrottledError
	var field *fieldError
	switch {
	case errors.Is(err, errCancelled):
		return s.refuse(w, r, v, oidc.Errorf(oidc.AccessDenied, "the user cancelled"))
	case errors.As(err, &field):
		return s.render(w, r, v, http.StatusUnprocessableEntity, field.key, nil)
	case errors.Is(err, authn.ErrCredentials):
		s.audit(r, v, "login.password.failed")
		return s.render(w, r, v, http.StatusUnprocessableEntity, "error.credentials", nil)
	case errors.Is(err, authn.ErrCode), v.Step.Name == flow.SecondFactor && errors.Is(err, store.ErrNotFound):
		s.audit(r, v, "login.code.failed")
		return s.render(w, r, v, http.StatusUnprocessableEntity, "error.code", nil)
	case errors.Is(err, authn.ErrCodeUsed), v.Step.Name == flow.SecondFactor && errors.Is(err, store.ErrUsed):
		s.audit(r, v, "login.code.reused")
		return s.render(w, r, v, http.StatusUnprocessableEntity, "error.code_used", nil)
	case errors.As(err, &throttled):
		s.audit(r, v, "login.throttled")
		return s.renderThrottled(w, r, v, throttled)
	case errors.Is(err, authn.ErrBusy):
		w.Header().Set("Retry-After", "5")
		return s.render(w, r, v, http.StatusServiceUnavailable, "error.busy", nil)
	case flow.Expected(err):
		return redirect(w, s.base+"/interaction/"+v.Interaction)
	}
	return err
}

func (s *server) renderThrottled(w http.ResponseWriter, r *http.Request, v *flow.Visit, t *authn.ThrottledError) error {
	if t.RetryAt.IsZero() {
		return s.render(w, r, v, http.StatusTooManyRequests, "error.locked", nil)
	}
	wait := max(t.RetryAt.Sub(s.Now()), 0)
	seconds := int(wait.Seconds()) + 1
	w.Header().Set("Retry-After", strconv.Itoa(seconds))
	return s.render(w, r, v, http.StatusTooManyRequests, "error.throttled", map[string]any{"Minutes": (seconds + 59) / 60})
}

// fieldError says which message a missing or overlong field gets.
type fieldError struct{ key string }

func (e *fieldError) Error() string { return "web: " + e.key }

// field returns a form field that must be there, at most so many bytes long.
func field(form url.Values, name string, most int) (string, error) {
	switch value := form.Get(name); {
	case value == "":
		return "", &fieldError{"error.missing"}
	case len(value) > most:
		return "", &fieldError{"error.too_long"}
	default:
		return value, nil
	}
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
	in, err := s.Checker.CheckPassword(r.Context(), authn.PasswordAttempt{
		Login: login, Password: password, KnownBrowser: s.knownBrowser(r, login),
	})
	if err != nil {
		return "", err
	}
	var known *store.KnownBrowser
	if !in.Known {
		known = &store.KnownBrowser{ID: store.NewID(), UserID: in.User.ID, CreatedAt: s.Now()}
	}
	cookie, err := s.Flow.RecordPassword(r.Context(), v, in.User, in.Settle, known)
	if err == nil && known != nil {
		s.setCookie(w, knownCookie, s.knownValue(known.ID, in.User.LoginKey), knownTTL)
	}
	return cookie, err
}

func (s *server) recordTOTP(_ http.ResponseWriter, r *http.Request, v *flow.Visit, form url.Values) (flow.Cookie, error) {
	code, err := field(form, "code", 256)
	if err != nil {
		return "", err
	}
	id, step, settle, err := s.Checker.CheckTOTP(r.Context(), v.Authenticators, code)
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
	id, hash, settle, err := s.Checker.CheckRecovery(r.Context(), v.Authenticators, code)
	if err != nil {
		return "", err
	}
	return s.Flow.RecordRecovery(r.Context(), v, id, hash, settle)
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
	return s.Flow.RecordEnrollment(r.Context(), v, step)
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

// render shows the page of the step that is next.
func (s *server) render(w http.ResponseWriter, r *http.Request, v *flow.Visit, status int, errorKey string, args map[string]any) error {
	if v.Step.Name == flow.Done {
		return s.proceed(w, r, v)
	}
	p, err := s.stepPage(r, v, s.frame(r, v, errorKey, args))
	if err != nil {
		if flow.Expected(err) {
			return shown(http.StatusGone, "expired", "")
		}
		return err
	}
	allowForm(w, v.Request.RedirectURI)
	return s.page(w, r, status, v.Request.UILocales, p)
}

func (s *server) frame(r *http.Request, v *flow.Visit, errorKey string, args map[string]any) page.Frame {
	f := page.Frame{
		Base: s.base, Action: s.base + "/interaction/" + v.Interaction,
		CSRF: s.formToken(r, v.Interaction, sessionID(v)),
		Step: string(v.Step.Name), Subject: v.Subject(), Version: v.Version(),
		Client: v.Client.Name, Error: errorKey, ErrorArgs: args, Cancellable: true,
		FirstDone: v.Step.Evidence.Level >= oidc.Level1FA, SecondDone: v.Step.Evidence.Level >= oidc.Level2FA,
	}
	if v.User != nil {
		f.Account = v.User.Login
	}
	return f
}

func (s *server) stepPage(r *http.Request, v *flow.Visit, f page.Frame) (page.Page, error) {
	switch v.Step.Name {
	case flow.Login:
		return page.Login{Frame: f, Username: loginHint(r, v)}, nil
	case flow.SecondFactor:
		return secondFactorPage(r, v, f), nil
	case flow.Enroll:
		p, err := s.enrollPage(r, v, f)
		p.Version = v.Version() // making the secret was a change
		return p, err
	case flow.SaveCodes:
		codes, err := s.Flow.Codes(v)
		return page.SaveCodes{Frame: f, Codes: codes}, err
	case flow.Consent:
		return page.Consent{Frame: f, Scopes: v.Request.Scope, RedirectHost: host(v.Request.RedirectURI), Remember: flow.Rememberable(v.Client)}, nil
	case flow.Refuse:
		f.Cancellable = false
		response := oidc.AuthorizationResponse{State: v.Request.State, Issuer: s.Tokens.Issuer, Error: v.Step.Refusal}
		return page.Message{Frame: f, Code: v.Step.Reason, BackURL: response.RedirectURL(v.Request.RedirectURI), BackLabel: v.Client.Name}, nil
	}
	return nil, fmt.Errorf("web: no page for step %q", v.Step.Name)
}

// loginHint is what the username field holds: what was typed just now, the
// account that is signed in, or what the request hints at.
func loginHint(r *http.Request, v *flow.Visit) string {
	switch typed := r.PostForm.Get("username"); {
	case typed != "" && len(typed) <= 1024:
		return typed
	case v.User != nil:
		return v.User.Login
	default:
		return v.Request.LoginHint
	}
}

func secondFactorPage(r *http.Request, v *flow.Visit, f page.Frame) page.Page {
	p := page.SecondFactor{Frame: f, Method: "totp"}
	for _, a := range v.Authenticators {
		switch {
		case !authn.Usable(a):
		case a.Kind == store.KindTOTP:
			p.HasTOTP = true
		case a.Kind == store.KindRecovery:
			p.HasRecovery, p.RecoveryLeft = true, a.CodesLeft
		}
	}
	asked := r.URL.Query().Get("method")
	if r.PathValue("action") == "recovery" || asked == "recovery" || !p.HasTOTP {
		p.Method = "recovery"
	}
	return p
}

func (s *server) enrollPage(r *http.Request, v *flow.Visit, f page.Frame) (page.Enroll, error) {
	secret, err := s.Flow.NewTOTP(r.Context(), v)
	if err != nil {
		return page.Enroll{}, err
	}
	issuer := s.Issuer.Host
	qr, err := authn.QRSVG(authn.TOTPURI(issuer, v.User.Login, secret), "QR")
	if err != nil {
		return page.Enroll{}, fmt.Errorf("draw qr code: %w", err)
	}
	return page.Enroll{Frame: f, QR: template.HTML(qr), Key: authn.FormatTOTPKey(secret), Issuer: issuer}, nil // our own SVG
}

func host(uri string) string {
	u, err := url.Parse(uri)
	if err != nil {
		return ""
	}
	return u.Host
}
