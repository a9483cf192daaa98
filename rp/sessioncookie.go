package rp

import (
	"encoding/json"
	"errors"
	"net/http"
	"strings"
)

const (
	sessionPurpose = "sallyport rp session 1"
	longestSession = 3800 // bytes of name and value; browsers keep 4096, attributes included
)

// sessionName is the name of the session's cookie. It does not begin like those of
// pending logins, which come and go.
func (c *Client) sessionName() string { return strings.TrimSuffix(c.cookies, "-") + ".session" }

// sealSession gives the browser a session.
func (s *Sessions) sealSession(w http.ResponseWriter, session Session) error {
	for {
		text, err := json.Marshal(session)
		if err != nil {
			return err
		}
		value, err := s.client.seal(sessionPurpose, s.cookie, string(text))
		switch {
		case err != nil:
			return err
		case len(s.cookie)+len(value) <= longestSession:
			s.client.setCookie(w, s.cookie, value, 0) // until the browser is closed
			return nil
		case session.IDToken == "":
			return errors.New("rp: the session is too long for a cookie")
		}
		session.IDToken = "" // only a hint, for the next login and the logout
	}
}

// openSession reads the session of a request. The error is ErrNoSession.
func (s *Sessions) openSession(r *http.Request) (*Session, error) {
	for _, cookie := range r.CookiesNamed(s.cookie) {
		text, err := s.client.open(sessionPurpose, s.cookie, cookie.Value)
		if err != nil {
			continue
		}
		session := new(Session)
		if err := json.Unmarshal([]byte(text), session); err != nil {
			continue
		}
		return session, nil
	}
	return nil, ErrNoSession
}
