package web

import (
	"errors"
	"net/http"
	"net/url"
	"strconv"

	"github.com/sallyport-id/sallyport/internal/flow"
	"github.com/sallyport-id/sallyport/internal/oidc"
	"github.com/sallyport-id/sallyport/internal/store"
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
	v, err := s.visitAs(r, session)
	if err != nil {
		return nil, err
	}
	n := noted(r)
	n.clientID, n.step = v.Client.ID, v.Step.Name
	return v, nil
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

// proceed ends the interaction if there is nothing to show, else shows the step.
func (s *server) proceed(w http.ResponseWriter, r *http.Request, v *flow.Visit) error {
	switch {
	case v.Step.Name == flow.Done:
		return s.finish(w, r, v)
	case v.Ends():
		return s.refuse(w, r, v, v.Step.Refusal)
	}
	return s.render(w, r, v, http.StatusOK, "", nil)
}

// finish answers the client. From then on the user knows the browser: not from the
// password on, for then whoever has it could make the user forget the others.
func (s *server) finish(w http.ResponseWriter, r *http.Request, v *flow.Visit) error {
	known, err := s.newlyKnown(r, v)
	if err != nil {
		return err
	}
	answer, err := s.Flow.Finish(r.Context(), v, known)
	if errors.Is(err, store.ErrStale) { // ask again: it may have ended, or another proof came in
		return redirect(w, s.base+"/interaction/"+v.Interaction)
	}
	if errors.Is(err, store.ErrUsed) { // another tab has answered the pushed request
		return shown(http.StatusGone, "expired", "")
	}
	if err != nil {
		return err
	}
	if known != nil {
		s.setCookie(w, knownCookie, s.knownValue(known.ID, v.User.LoginKey), knownTTL)
	}
	if v.ForDevice() {
		s.noteAnswer(r, answer)
		return redirect(w, s.base+devicePath+"/done")
	}
	return s.deliver(w, r, v.Client, answer)
}

func (s *server) refuse(w http.ResponseWriter, r *http.Request, v *flow.Visit, refusal *oidc.Error) error {
	if v.OfAccount() {
		return s.leaveAccount(w, r, v)
	}
	answer, err := s.Flow.Refuse(r.Context(), v, refusal)
	if flow.Expected(err) {
		return shown(http.StatusGone, "expired", "")
	}
	if err != nil {
		return err
	}
	if v.ForDevice() {
		s.noteAnswer(r, answer)
		return redirect(w, s.base+devicePath+"/denied")
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
	"password":  {flow.Login, (*server).recordPassword},
	"passkey":   {flow.Login, (*server).recordPasskey},
	"totp":      {flow.SecondFactor, (*server).recordTOTP},
	"webauthn":  {flow.SecondFactor, (*server).recordAssertion},
	"recovery":  {flow.SecondFactor, (*server).recordRecovery},
	"mail":      {flow.SecondFactor, (*server).recordCodeRequest},
	"email":     {flow.SecondFactor, (*server).recordEmail},
	"bypass":    {flow.SecondFactor, (*server).recordBypass},
	"register":  {flow.Enroll, (*server).recordRegistration},
	"enroll":    {flow.Enroll, (*server).recordEnrollment},
	"mail_new":  {flow.Enroll, (*server).recordCodeRequest},
	"mailbox":   {flow.Enroll, (*server).recordNewEmail},
	"later":     {flow.Enroll, (*server).recordLater},
	"confirm":   {flow.ConfirmEmail, (*server).recordConfirm},
	"not_now":   {flow.ConfirmEmail, (*server).recordLater},
	"mail_code": {flow.ConfirmEmail, (*server).recordMailCode},
	"profile":   {flow.Profile, (*server).recordProfile},
	"saved":     {flow.SaveCodes, (*server).recordSaved},
	"trust":     {flow.Trust, (*server).recordTrust},
	"consent":   {flow.Consent, (*server).recordConsent},
	"switch":    {"", (*server).recordSwitch},
	"cancel":    {"", (*server).recordCancel},

	"rename":       {flow.Manage, (*server).recordRename},
	"remove":       {flow.Manage, (*server).recordRemoval},
	"codes":        {flow.Manage, (*server).recordCodes},
	"new_password": {flow.Manage, (*server).recordNewPassword},
	"end_session":  {flow.Manage, (*server).recordSessionEnd},
	"end_others":   {flow.Manage, (*server).recordOthersEnd},
	"end_device":   {flow.Manage, (*server).recordDeviceEnd},
	"revoke":       {flow.Manage, (*server).recordRevocation},
	"language":     {flow.Manage, (*server).recordLanguage},
}

// adds: at the step Manage, what enrols a first factor adds a further one.
func (a action) adds(step flow.StepName) bool {
	return (a.step == flow.Enroll || a.step == flow.ConfirmEmail) && step == flow.Manage
}

// answerInteraction takes an answer. One that does not belong to the step that
// is next, or to the user who is signed in, records nothing.
func (s *server) answerInteraction(w http.ResponseWriter, r *http.Request) error {
	a, ok := actions[r.PathValue("action")]
	if !ok {
		return shown(http.StatusNotFound, "not_found", "")
	}
	noted(r).action = r.PathValue("action")
	if wait := s.pageRate.take(s.address(r)); wait > 0 {
		return s.tooMany(s.pageRate, wait)
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
		noted(r).because(reasonStale)
		return s.render(w, r, v, http.StatusConflict, "error.stale", nil)
	}
	cookie, err := a.record(s, w, r, v, form)
	if err != nil {
		return s.answerRefused(w, r, v, err)
	}
	return s.advance(w, r, v, cookie)
}

// current: the form was made for the step that is next, this state of the
// interaction and this user, and asks what would be asked now. Setting up an account
// has no client to go back to, and nobody who is signed in.
func current(a action, v *flow.Visit, form url.Values) bool {
	if form.Get("subject") != v.Subject() || a.step == flow.Consent && form.Get("asked") != v.Asked() {
		return false
	}
	return a.step == "" && !v.SetsUp() || (a.step == v.Step.Name || a.adds(v.Step.Name)) && form.Get("step") == string(v.Step.Name) &&
		form.Get("version") == strconv.FormatInt(v.Version(), 10)
}

// advance asks again what is next, with the session as it is now. A last answer
// goes to the client at once.
func (s *server) advance(w http.ResponseWriter, r *http.Request, v *flow.Visit, cookie flow.Cookie) error {
	n := noted(r)
	if cookie == "" {
		if v.Step.Name != n.step {
			n.next = v.Step.Name
		}
		return redirect(w, s.samePage(r, v))
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
	n.next = next.Step.Name
	if next.Step.Name == flow.Done {
		return s.proceed(w, r, next)
	}
	return redirect(w, s.base+"/interaction/"+v.Interaction)
}
