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

// invitationPath is where invitations lead to; the token follows.
const invitationPath = "/invitation/"

// stepInvitation is the step of an invitation before there is an interaction.
const stepInvitation = flow.StepName("invitation")

// noInvitation is the answer to whatever is not an open invitation: one page, which
// does not say whether it ever was one.
func noInvitation() error { return shown(http.StatusGone, "invitation", "") }

// invitation loads the one of the path. The link is not told as the referrer of what
// the page asks for: proxies log that.
func (s *server) invitation(w http.ResponseWriter, r *http.Request) (*flow.Invitation, error) {
	w.Header().Set("Referrer-Policy", "strict-origin")
	if wait := s.pageRate.take(s.address(r)); wait > 0 {
		return nil, s.tooMany(s.pageRate, wait)
	}
	noted(r).step = stepInvitation
	in, err := s.Flow.Invitation(r.Context(), r.PathValue("token"))
	if errors.Is(err, store.ErrNotFound) {
		return nil, noInvitation()
	}
	return in, err
}

// showInvitation asks for the password. It consumes nothing: what scans mail opens
// links, too.
func (s *server) showInvitation(w http.ResponseWriter, r *http.Request) error {
	in, err := s.invitation(w, r)
	if err != nil {
		return err
	}
	return s.renderInvitation(w, r, in, http.StatusOK, "", nil)
}

func (s *server) renderInvitation(w http.ResponseWriter, r *http.Request, in *flow.Invitation, status int, errorKey string, args map[string]any) error {
	browser := s.browserOrNew(w, r)
	return s.page(w, r, status, nil, page.Invitation{
		Frame: page.Frame{
			Base: s.base, Action: s.base + invitationPath + r.PathValue("token"),
			CSRF: s.tokenFor(browser, "invitation", in.Link.ID), Step: "invitation", Subject: in.User.ID,
			Account: in.User.Login, Invited: true, Error: errorKey, ErrorArgs: args,
		},
		Server: s.Issuer.Host, Least: in.Least, KeepPassword: in.KeepsPassword(),
	})
}

// answerInvitation takes the password and goes on to the second factor, which
// spends the invitation.
func (s *server) answerInvitation(w http.ResponseWriter, r *http.Request) error {
	in, err := s.invitation(w, r)
	if err != nil {
		return err
	}
	n := noted(r)
	n.action = "password"
	form, err := readForm(w, r)
	if err != nil {
		return err
	}
	browser := s.cookie(r, browserCookie)
	if want := s.tokenFor(browser, "invitation", in.Link.ID); browser == "" || !hmac.Equal([]byte(form.Get("csrf")), []byte(want)) {
		n.because(reasonStale)
		return s.renderInvitation(w, r, in, http.StatusConflict, "error.stale", nil)
	}
	interaction, err := s.beginInvited(r, in, form, store.HashSecret(browser))
	if err != nil {
		return s.invitationRefused(w, r, in, err)
	}
	n.next = flow.Enroll
	return redirect(w, s.base+"/interaction/"+interaction)
}

func (s *server) beginInvited(r *http.Request, in *flow.Invitation, form url.Values, browserHash []byte) (string, error) {
	password, err := field(form, "password", 4096)
	if err != nil {
		return "", err
	}
	if !in.KeepsPassword() {
		if form.Get("again") != password {
			return "", &fieldError{"error.not_the_same"}
		}
		return s.Flow.ChoosePassword(r.Context(), in, password, browserHash)
	}
	if wait := s.guessRate.full(s.address(r)); wait > 0 {
		return "", s.tooMany(s.guessRate, wait)
	}
	proven, err := s.Checker.CheckPassword(r.Context(), authn.PasswordAttempt{Login: in.User.Login, Password: password})
	if err != nil {
		return "", err
	}
	if err := s.Checker.Settle(r.Context(), proven.Settle); err != nil {
		return "", err
	}
	return s.Flow.KeepPassword(r.Context(), in, proven.User, browserHash)
}

// invitationRefused shows the page again with what was wrong.
func (s *server) invitationRefused(w http.ResponseWriter, r *http.Request, in *flow.Invitation, err error) error {
	var weak *authn.PasswordError
	var throttled *authn.ThrottledError
	var field *fieldError
	n := noted(r)
	switch {
	case errors.As(err, &weak):
		n.because(weak.Code)
		return s.renderInvitation(w, r, in, http.StatusUnprocessableEntity, weak.Code, map[string]any{"Limit": weak.Limit})
	case errors.As(err, &field):
		n.because(strings.TrimPrefix(field.key, "error."))
		return s.renderInvitation(w, r, in, http.StatusUnprocessableEntity, field.key, nil)
	case errors.Is(err, authn.ErrCredentials):
		n.because(reasonCredentials)
		s.guessRate.take(s.address(r))
		s.auditInvited(r, in, store.EventLoginPasswordFailed)
		return s.renderInvitation(w, r, in, http.StatusUnprocessableEntity, "error.credentials", nil)
	case errors.As(err, &throttled):
		n.because(reasonThrottled)
		s.guessRate.take(s.address(r))
		s.auditInvited(r, in, store.EventLoginThrottled)
		key, args := s.throttled(w, throttled)
		return s.renderInvitation(w, r, in, http.StatusTooManyRequests, key, args)
	case errors.Is(err, authn.ErrBusy):
		n.because(reasonBusy)
		w.Header().Set("Retry-After", "5")
		return s.renderInvitation(w, r, in, http.StatusServiceUnavailable, "error.busy", nil)
	}
	return err
}

func (s *server) auditInvited(r *http.Request, in *flow.Invitation, kind string) {
	s.recordEvent(r, store.Event{Type: kind, UserID: in.User.ID, Detail: "invitation " + in.Link.ID})
}

// settleInvited forgives the failures at a password that is no more.
func (s *server) settleInvited(v *flow.Visit) store.Settle {
	if v.User.PasswordHash != "" {
		return store.Settle{}
	}
	return s.Checker.Forgiven(v.User)
}
