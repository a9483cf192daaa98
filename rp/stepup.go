package rp

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"
)

const longestRequirement = 256 // bytes, in the cookie of a pending login

// StepUp lets requests through whose session proves what is required; h finds it
// with FromContext. Who goes to a page with less, or with no session, is sent to
// the server to prove it, and then back to the page. Everything else is answered
// as by RequireSession, with the error "weak" or "old" where there is a session.
//
// The requirement comes on top of Config.Require. The server is told who the user
// is; Callback refuses anybody else (ErrOtherUser), and what proves less than
// this (*UnmetError), so that a server that does not give more is asked once for
// each visit, and not in circles. The session is then as it was before. To ask
// for a level and an age use one StepUp, not two.
//
// It panics if the requirement is malformed, cannot be met together with
// Config.Require, or is Fresh: a session has a past, so say MaxAge.
func (s *Sessions) StepUp(h http.Handler, q Requirement) http.Handler {
	if err := s.checkStepUp(q); err != nil {
		panic("rp: StepUp: " + err.Error())
	}
	q = q.clone()
	q.MaxAge = q.MaxAge.Truncate(time.Second)
	return s.require(h, q)
}

// RequireFresh is StepUp for users who authenticated no longer than maxAge ago,
// give or take Config.Leeway; maxAge is at least a second.
func (s *Sessions) RequireFresh(h http.Handler, maxAge time.Duration) http.Handler {
	if maxAge < time.Second {
		panic(fmt.Sprintf("rp: RequireFresh: %v is less than a second", maxAge))
	}
	return s.StepUp(h, Requirement{MaxAge: maxAge})
}

func (s *Sessions) checkStepUp(q Requirement) error {
	if err := q.check(); err != nil {
		return err
	}
	if q.Fresh {
		return errors.New("no session stays Fresh, set MaxAge")
	}
	for _, c := range s.clients {
		if _, possible := q.and(c.config.Require); !possible {
			return fmt.Errorf("none of the acr values %q is one of Config.Require, %q", q.ACR, c.config.Require.ACR)
		}
	}
	return q.checkLength()
}

func (q Requirement) checkLength() error {
	if text, _ := json.Marshal(q); len(text) > longestRequirement {
		return fmt.Errorf("the requirement takes more than %d bytes", longestRequirement)
	}
	return nil
}

// StepUpFor answers a request that cannot be served because of what an API said: if
// err is a *StepUpError, who goes to a page is sent to the server to prove what the
// API takes, and then back to the page, and everything else gets 401, as by StepUp.
// It reports false, and does nothing, if err is something else; that is for the
// caller to answer, before it has written anything:
//
//	res, err := sessions.HTTPClient(r.Context()).Get(orders)
//	if sessions.StepUpFor(w, r, err) {
//		return
//	}
//
// It also reports false, so that no one goes in circles, if the session has proved
// what the API takes: then the API does not believe the server, or the token is not
// that of the session; and if the API does not say what it takes, or no login can
// meet that, what the page takes by StepUp, and Config.Require, or the first two are
// more than 256 bytes.
//
// r must have come through RequireSession, RequireFresh or StepUp.
func (s *Sessions) StepUpFor(w http.ResponseWriter, r *http.Request, err error) bool {
	var asked *StepUpError
	found, _ := r.Context().Value(contextKey{}).(inContext)
	if !errors.As(err, &asked) || found.owner != s {
		return false
	}
	client := s.of(found.session.Issuer)
	both, possible := asked.Require.and(found.require)
	if possible {
		_, possible = both.and(client.config.Require)
	}
	if !possible || both.checkLength() != nil {
		return false
	}
	unmet := asked.Require.checkMet(&found.session.Identity, s.now(), client.config.Leeway)
	if unmet == nil {
		return false
	}
	s.refuse(w, r, both, found.session, unmet)
	return true
}

// require adds a requirement to one login.
func require(q Requirement) LoginOption {
	return func(l *loginRequest) { l.require = q }
}

// sameUser makes Callback refuse anybody but the user of a session, and tells the
// server who that is.
func sameUser(session *Session) LoginOption {
	return func(l *loginRequest) {
		l.subject = session.Subject
		l.set("id_token_hint", session.IDToken)
	}
}
