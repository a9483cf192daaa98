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
	if text, _ := json.Marshal(q); len(text) > longestRequirement {
		return fmt.Errorf("the requirement takes more than %d bytes", longestRequirement)
	}
	return nil
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
