package web

import (
	"crypto/hmac"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"net/http"
	"net/url"
	"strings"

	"github.com/sallyport-id/sallyport/internal/authn"
	"github.com/sallyport-id/sallyport/internal/flow"
	"github.com/sallyport-id/sallyport/internal/store"
	"github.com/sallyport-id/sallyport/internal/web/page"
)

// Where one asks for a new password, and where the mailed link leads to.
const (
	forgotPath = "/forgot"
	resetPath  = "/reset/"
)

// The steps of a new password, which belong to no interaction.
const (
	stepForgot = flow.StepName("forgot")
	stepReset  = flow.StepName("reset")
)

// passwordResetRoutes are there where a new password comes by mail.
func (s *server) passwordResetRoutes() []route {
	if !s.ResetsByMail {
		return nil
	}
	return []route{
		{"GET " + s.base + forgotPath, s.showForgot},
		{"POST " + s.base + forgotPath, s.answerForgot},
		{"GET " + s.base + forgotPath + "/sent", s.message("reset_sent")},
		{"GET " + s.base + forgotPath + "/done", s.message("reset_done")},
		{"GET " + s.base + forgotPath + "/ended", s.message("reset_ended")},
		{"GET " + s.base + resetPath + "{token}", s.showReset},
		{"POST " + s.base + resetPath + "{token}/password", s.answerReset},
		{"POST " + s.base + resetPath + "{token}/disown", s.disownReset},
	}
}

// message is a page that only says something.
func (s *server) message(code string) handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		return s.page(w, r, http.StatusOK, nil, page.Message{Frame: page.Frame{Base: s.base}, Code: code, Status: http.StatusOK})
	}
}

// browserHash names the browser as a link does; "" without a cookie.
func (s *server) browserHash(r *http.Request) string {
	cookie := s.cookie(r, browserCookie)
	if cookie == "" {
		return ""
	}
	return base64.RawURLEncoding.EncodeToString(store.HashSecret(cookie))
}

// browserOrNew returns the browser's cookie, and gives it one if it has none.
func (s *server) browserOrNew(w http.ResponseWriter, r *http.Request) string {
	browser := s.cookie(r, browserCookie)
	if browser == "" {
		browser, _ = store.NewSecret()
		s.setCookie(w, browserCookie, browser, 0)
	}
	return browser
}

// mayAsk counts a request against its address.
func (s *server) mayAsk(r *http.Request, step flow.StepName) error {
	if wait := s.pageRate.take(s.address(r)); wait > 0 {
		return s.tooMany(s.pageRate, wait)
	}
	noted(r).step = step
	return nil
}

// showForgot asks for the login.
func (s *server) showForgot(w http.ResponseWriter, r *http.Request) error {
	if err := s.mayAsk(r, stepForgot); err != nil {
		return err
	}
	return s.renderForgot(w, r, http.StatusOK, "")
}

func (s *server) renderForgot(w http.ResponseWriter, r *http.Request, status int, errorKey string) error {
	browser := s.browserOrNew(w, r)
	return s.page(w, r, status, nil, page.Forgot{
		Frame:    page.Frame{Base: s.base, Action: s.base + forgotPath, CSRF: s.tokenFor(browser, "forgot"), Step: string(stepForgot), Error: errorKey},
		Username: typedLogin(r),
	})
}

func typedLogin(r *http.Request) string {
	if typed := r.PostForm.Get("username"); len(typed) <= 1024 {
		return typed
	}
	return ""
}

// answerForgot has a link mailed, if there is somebody to mail it to. The answer and
// the work are the same if there is not, and if it was asked for too often.
func (s *server) answerForgot(w http.ResponseWriter, r *http.Request) error {
	if err := s.mayAsk(r, stepForgot); err != nil {
		return err
	}
	n := noted(r)
	n.action = "ask"
	form, err := readForm(w, r)
	if err != nil {
		return err
	}
	browser := s.cookie(r, browserCookie)
	if browser == "" || !hmac.Equal([]byte(form.Get("csrf")), []byte(s.tokenFor(browser, "forgot"))) {
		n.because(reasonStale)
		return s.renderForgot(w, r, http.StatusConflict, "error.stale")
	}
	login, err := field(form, "username", 1024)
	var wrong *fieldError
	if errors.As(err, &wrong) {
		n.because(strings.TrimPrefix(wrong.key, "error."))
		return s.renderForgot(w, r, http.StatusUnprocessableEntity, wrong.key)
	}
	user, allowed, err := s.Checker.AskForPassword(r.Context(), login, s.address(r))
	if err == nil && allowed {
		err = s.Flow.AskPasswordReset(r.Context(), user, s.browserHash(r), s.origin(r))
	}
	if err != nil {
		return err
	}
	return redirect(w, s.base+forgotPath+"/sent")
}

// noReset is the answer to whatever is not an open link.
func noReset() error { return shown(http.StatusGone, "reset_gone", "") }

// reset loads the link of the path, which is told to nobody as a referrer.
func (s *server) reset(w http.ResponseWriter, r *http.Request) (*flow.PasswordReset, error) {
	w.Header().Set("Referrer-Policy", "strict-origin")
	if err := s.mayAsk(r, stepReset); err != nil {
		return nil, err
	}
	p, err := s.Flow.PasswordReset(r.Context(), r.PathValue("token"))
	if errors.Is(err, store.ErrNotFound) {
		return nil, noReset()
	}
	return p, err
}

// asked: this is the browser that asked for the link. In any other it proves nothing.
func (s *server) asked(r *http.Request, p *flow.PasswordReset) bool {
	here := s.browserHash(r)
	return here != "" && subtle.ConstantTimeCompare([]byte(here), []byte(p.Link.Browser)) == 1
}

// showReset asks for the new password and a code. It consumes nothing: what scans
// mail opens links, too.
func (s *server) showReset(w http.ResponseWriter, r *http.Request) error {
	p, err := s.reset(w, r)
	if err != nil {
		return err
	}
	return s.renderReset(w, r, p, http.StatusOK, "", nil)
}

func (s *server) renderReset(w http.ResponseWriter, r *http.Request, p *flow.PasswordReset, status int, errorKey string, args map[string]any) error {
	browser, elsewhere := s.browserOrNew(w, r), !s.asked(r, p)
	f := page.Frame{
		Base: s.base, Action: s.base + resetPath + r.PathValue("token"), CSRF: s.tokenFor(browser, "reset", p.Link.ID),
		Step: string(stepReset), Error: errorKey, ErrorArgs: args,
	}
	if !elsewhere {
		f.Account = p.User.Login
	}
	return s.page(w, r, status, nil, page.Reset{Frame: f, Server: s.Issuer.Host, Least: p.Least, Elsewhere: elsewhere})
}

// resetForm reads the form of a link's page; an error is the answer to it.
func (s *server) resetForm(w http.ResponseWriter, r *http.Request, action string) (*flow.PasswordReset, url.Values, error) {
	p, err := s.reset(w, r)
	if err != nil {
		return nil, nil, err
	}
	noted(r).action = action
	form, err := readForm(w, r)
	return p, form, err
}

func (s *server) resetTokenIs(r *http.Request, p *flow.PasswordReset, form url.Values) bool {
	browser := s.cookie(r, browserCookie)
	return browser != "" && hmac.Equal([]byte(form.Get("csrf")), []byte(s.tokenFor(browser, "reset", p.Link.ID)))
}

// answerReset takes the new password and the code of a second factor.
func (s *server) answerReset(w http.ResponseWriter, r *http.Request) error {
	p, form, err := s.resetForm(w, r, "password")
	if err != nil {
		return err
	}
	if !s.resetTokenIs(r, p, form) || !s.asked(r, p) {
		noted(r).because(reasonStale)
		return s.renderReset(w, r, p, http.StatusConflict, "error.stale", nil)
	}
	if err := s.setPassword(r, p, form); err != nil {
		return s.resetRefused(w, r, p, err)
	}
	return redirect(w, s.base+forgotPath+"/done")
}

func (s *server) setPassword(r *http.Request, p *flow.PasswordReset, form url.Values) error {
	password, err := field(form, "password", 4096)
	if err != nil {
		return err
	}
	code, err := field(form, "code", 256)
	if err != nil {
		return err
	}
	if form.Get("again") != password {
		return &fieldError{"error.not_the_same"}
	}
	if err := p.CheckNewPassword(password); err != nil {
		return err
	}
	if wait := s.guessRate.full(s.address(r)); wait > 0 {
		return s.tooMany(s.guessRate, wait)
	}
	proof, wrong, err := s.checkResetCode(r, p, code)
	if err != nil {
		return err
	}
	proof.Settle.Reset = append(proof.Settle.Reset, s.Checker.Forgiven(p.User).Reset...)
	err = s.Flow.SetPassword(r.Context(), p, password, proof, s.origin(r))
	if wrong != nil && errors.Is(err, store.ErrNotFound) {
		return wrong
	}
	return err
}

// checkResetCode takes a code of an app or a recovery code, whichever it looks like.
// wrong is the answer if a recovery code turns out to be none.
func (s *server) checkResetCode(r *http.Request, p *flow.PasswordReset, code string) (proof store.PasswordReset, wrong error, err error) {
	if _, notOfApp := authn.ParseCode(code); notOfApp == nil {
		proof.Authenticator, proof.Step, proof.Settle, err = s.Checker.CheckTOTP(r.Context(), p.Authenticators, code)
		return proof, nil, err
	}
	a, err := s.Checker.CheckRecovery(r.Context(), p.Authenticators, code)
	if err != nil {
		return proof, nil, err
	}
	proof.Authenticator, proof.CodeHash, proof.Settle = a.Set, a.Hash, a.Settle
	return proof, a.Wrong, nil
}

// resetRefused shows the page again with what was wrong. What has been typed is gone.
func (s *server) resetRefused(w http.ResponseWriter, r *http.Request, p *flow.PasswordReset, err error) error {
	var weak *authn.PasswordError
	var throttled *authn.ThrottledError
	var field *fieldError
	n := noted(r)
	switch {
	case errors.As(err, &weak):
		n.because(weak.Code)
		return s.renderReset(w, r, p, http.StatusUnprocessableEntity, weak.Code, map[string]any{"Limit": weak.Limit})
	case errors.As(err, &field):
		n.because(strings.TrimPrefix(field.key, "error."))
		return s.renderReset(w, r, p, http.StatusUnprocessableEntity, field.key, nil)
	case errors.Is(err, authn.ErrCode):
		n.because(reasonCode)
		s.guessRate.take(s.address(r))
		s.auditReset(r, p, store.EventLoginCodeFailed, err)
		return s.renderReset(w, r, p, http.StatusUnprocessableEntity, "error.code", nil)
	case errors.Is(err, authn.ErrCodeUsed), errors.Is(err, store.ErrUsed):
		n.because(reasonCodeUsed)
		s.auditReset(r, p, store.EventLoginCodeReused, err)
		return s.renderReset(w, r, p, http.StatusUnprocessableEntity, "error.code_used", nil)
	case errors.As(err, &throttled):
		n.because(reasonThrottled)
		s.guessRate.take(s.address(r))
		s.auditReset(r, p, store.EventLoginThrottled, err)
		key, args := s.throttled(w, throttled)
		return s.renderReset(w, r, p, http.StatusTooManyRequests, key, args)
	case errors.Is(err, authn.ErrBusy):
		n.because(reasonBusy)
		w.Header().Set("Retry-After", "5")
		return s.renderReset(w, r, p, http.StatusServiceUnavailable, "error.busy", nil)
	case flow.Expected(err):
		n.because(reasonStale)
		return noReset()
	}
	return err
}

func (s *server) auditReset(r *http.Request, p *flow.PasswordReset, kind string, why error) {
	s.recordEvent(r, withSeries(store.Event{Type: kind, UserID: p.User.ID, Detail: string(stepReset)}, why)...)
}

// disownReset ends a link that somebody else has asked for, in whichever browser.
func (s *server) disownReset(w http.ResponseWriter, r *http.Request) error {
	p, form, err := s.resetForm(w, r, "disown")
	if err != nil {
		return err
	}
	if !s.resetTokenIs(r, p, form) {
		noted(r).because(reasonStale)
		return s.renderReset(w, r, p, http.StatusConflict, "error.stale", nil)
	}
	if err := s.Flow.Disown(r.Context(), p, s.origin(r)); err != nil {
		if flow.Expected(err) {
			return noReset()
		}
		return err
	}
	return redirect(w, s.base+forgotPath+"/ended")
}
