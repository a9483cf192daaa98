package web

import (
	"crypto/hmac"
	"errors"
	"net/http"
	"net/url"
	"strings"

	"github.com/sallyport-id/sallyport/internal/authn"
	"github.com/sallyport-id/sallyport/internal/flow"
	"github.com/sallyport-id/sallyport/internal/store"
	"github.com/sallyport-id/sallyport/internal/web/page"
)

// registerPath is where one asks for an account.
const registerPath = "/register"

// stepRegister is the step of it before there is an interaction.
const stepRegister = flow.StepName("register")

// registrationRoutes are there where people may make accounts.
func (s *server) registrationRoutes() []route {
	if s.Flow.Registration == nil {
		return nil
	}
	return []route{
		{"GET " + s.base + registerPath, s.showRegister},
		{"POST " + s.base + registerPath, s.answerRegister},
	}
}

// noRegistration is the answer to whatever is no registration that goes on.
func noRegistration() error { return shown(http.StatusGone, "registration", "") }

// registerURL is where somebody without an account goes from a sign-in, "" for nowhere.
func (s *server) registerURL(v *flow.Visit) string {
	if s.Flow.Registration == nil {
		return ""
	}
	if v.OfAccount() {
		return s.base + registerPath
	}
	return s.base + registerPath + "?from=" + url.QueryEscape(v.Interaction)
}

// showRegister asks for the address.
func (s *server) showRegister(w http.ResponseWriter, r *http.Request) error {
	if err := s.mayAsk(r, stepRegister); err != nil {
		return err
	}
	return s.renderRegister(w, r, r.URL.Query().Get("from"), http.StatusOK, "")
}

// renderRegister shows the page in the language of the sign-in that one came from.
func (s *server) renderRegister(w http.ResponseWriter, r *http.Request, from string, status int, errorKey string) error {
	browser := s.browserOrNew(w, r)
	waiting, err := s.Flow.WaitingFor(r.Context(), from, store.HashSecret(browser))
	if err != nil {
		return err
	}
	p := page.Register{
		Frame: page.Frame{Base: s.base, Action: s.base + registerPath, CSRF: s.tokenFor(browser, "register"), Step: string(stepRegister), Error: errorKey},
		Email: typedEmail(r),
	}
	if waiting == nil {
		return s.page(w, r, status, nil, p)
	}
	p.From, p.BackURL = waiting.ID, s.base+"/interaction/"+waiting.ID
	return s.page(w, r, status, waiting.Request.UILocales, p)
}

func typedEmail(r *http.Request) string {
	if typed := r.PostForm.Get("email"); len(typed) <= 1024 {
		return typed
	}
	return ""
}

// answerRegister has a mail sent to the address, whosever it is. The answer and the
// work are the same.
func (s *server) answerRegister(w http.ResponseWriter, r *http.Request) error {
	if err := s.mayAsk(r, stepRegister); err != nil {
		return err
	}
	n := noted(r)
	n.action = "ask"
	form, err := readForm(w, r)
	if err != nil {
		return err
	}
	from, browser := form.Get("from"), s.cookie(r, browserCookie)
	if browser == "" || !hmac.Equal([]byte(form.Get("csrf")), []byte(s.tokenFor(browser, "register"))) {
		n.because(reasonStale)
		return s.renderRegister(w, r, from, http.StatusConflict, "error.stale")
	}
	email, err := s.emailField(form)
	var wrong *fieldError
	if errors.As(err, &wrong) {
		n.because(strings.TrimPrefix(wrong.key, "error."))
		return s.renderRegister(w, r, from, http.StatusUnprocessableEntity, wrong.key)
	}
	if err := s.Checker.MayMail(r.Context(), store.MailCodeRegister, email, s.address(r)); err != nil {
		var throttled *authn.ThrottledError
		if !errors.As(err, &throttled) {
			return err
		}
		n.because(reasonThrottled)
		return s.renderRegister(w, r, from, http.StatusTooManyRequests, "error.mail_code_hour")
	}
	id, err := s.Flow.BeginRegistration(r.Context(), flow.NewRegistration{
		Email: email, Locale: s.Pages.Locale(nil, r.Header.Get("Accept-Language")), From: from, BrowserHash: store.HashSecret(browser),
	}, s.origin(r))
	if err != nil {
		return err
	}
	n.next = flow.ConfirmEmail
	return redirect(w, s.base+"/interaction/"+id)
}

// emailField is the address of the form, one that an account may be made for.
func (s *server) emailField(form url.Values) (string, error) {
	typed, err := field(form, "email", 1024)
	if err != nil {
		return "", err
	}
	email, err := authn.ParseEmail(typed)
	switch {
	case err != nil:
		return "", &fieldError{"error.email"}
	case !s.Flow.Registration.Allows(email):
		return "", &fieldError{"error.email_domain"}
	}
	return email, nil
}

// profilePage asks for what the account will have. The login is the address unless
// another is typed.
func (s *server) profilePage(r *http.Request, v *flow.Visit, f page.Frame) page.Profile {
	in := v.Progress.Registering
	p := page.Profile{Frame: f, Server: s.Issuer.Host, Email: in.Email, Name: in.Name, Username: in.Login, Least: v.ShortestPassword()}
	if r.Method == http.MethodPost {
		p.Name, p.Username = r.PostForm.Get("name"), r.PostForm.Get("username")
	}
	if p.Username == "" {
		p.Username = in.Email
	}
	if v.LoginTaken && (p.Error == "" || p.Error == "error.stale") {
		p.Error = "error.login_taken" // since it was chosen
	}
	return p
}

func (s *server) recordProfile(_ http.ResponseWriter, r *http.Request, v *flow.Visit, form url.Values) (flow.Cookie, error) {
	name, err := field(form, "name", 1024)
	if err != nil {
		return "", err
	}
	if name = flow.FactorName(name); name == "" {
		return "", &fieldError{"error.name"}
	}
	login, err := field(form, "username", 1024)
	if err != nil {
		return "", err
	}
	password, err := field(form, "password", 4096)
	if err != nil {
		return "", err
	}
	if form.Get("again") != password {
		return "", &fieldError{"error.not_the_same"}
	}
	err = s.Flow.RecordProfile(r.Context(), v, flow.NewProfile{Name: name, Login: login, Password: password})
	switch {
	case errors.Is(err, flow.ErrLogin):
		return "", &fieldError{"error.login"}
	case errors.Is(err, flow.ErrLoginTaken):
		return "", &fieldError{"error.login_taken"}
	}
	return "", err
}

// registeredPage is the last of whoever has made an account, with the way back to the
// sign-in that still waits for it.
func (s *server) registeredPage(r *http.Request, v *flow.Visit, f page.Frame) (page.Message, error) {
	p := page.Message{Frame: f, Code: "registered"}
	waiting, err := s.Flow.WaitingFor(r.Context(), v.Progress.Registering.Back, store.HashSecret(s.cookie(r, browserCookie)))
	if err != nil || waiting == nil {
		return p, err
	}
	p.Code, p.BackURL = "registered_go_on", s.base+"/interaction/"+waiting.ID
	return p, nil
}
