package rp

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
)

const (
	sessionPurpose = "sallyport rp session 1"
	longestSession = 3800 // bytes of name and value; browsers keep 4096, attributes included
)

// sessionName is the name of the session's cookie, from a prefix of cookies. It does not begin like those of
// pending logins, which come and go.
func sessionName(prefix string) string { return strings.TrimSuffix(prefix, "-") + ".session" }

// put keeps a new session in place of the one before.
func (s *Sessions) put(w http.ResponseWriter, r *http.Request, session Session) error {
	if s.config.Store == nil {
		return s.sealSession(w, session)
	}
	if err := s.endStored(r); err != nil {
		return err
	}
	t := ticket{secret: rand.Text(), expires: session.Began.Add(s.config.Absolute)}
	if err := s.config.Store.Put(r.Context(), t.key(), session); err != nil {
		return storeError("beginning a session", err)
	}
	client := s.of(session.Issuer)
	value, err := client.seal(ticketPurpose, s.cookie, t.text())
	if err != nil {
		return err
	}
	client.setCookie(w, s.cookie, value, 0)
	return nil
}

// open opens a cookie that one of the clients sealed; each has a key of its own.
func (s *Sessions) open(purpose, value string) (text string, err error) {
	for _, c := range s.clients {
		if text, err = c.open(purpose, s.cookie, value); err == nil {
			return text, nil
		}
	}
	return "", err
}

// get is the session of a request. The error is ErrNoSession or an
// *UnavailableError.
func (s *Sessions) get(r *http.Request) (*Session, error) {
	if s.config.Store == nil {
		return s.openSession(r)
	}
	t, err := s.openTicket(r)
	if err != nil {
		return nil, err
	}
	session, err := s.config.Store.Get(r.Context(), t.key())
	if err != nil {
		return nil, storeError("looking for a session", err)
	}
	if s.of(session.Issuer) == nil { // not what was put there
		return nil, ErrNoSession
	}
	return &session, nil
}

// extend keeps a session for longer.
func (s *Sessions) extend(w http.ResponseWriter, r *http.Request, session *Session) error {
	if s.config.Store == nil {
		return s.sealSession(w, *session)
	}
	t, err := s.openTicket(r)
	if err != nil {
		return err
	}
	return storeError("extending a session", s.config.Store.Extend(r.Context(), t.key(), session.Expires))
}

// endStored ends the session of a request in the store.
func (s *Sessions) endStored(r *http.Request) error {
	if s.config.Store == nil {
		return nil
	}
	for _, cookie := range r.CookiesNamed(s.cookie) {
		t, err := s.parseTicket(cookie.Value)
		if err != nil {
			continue
		}
		if err := s.config.Store.Delete(r.Context(), t.key()); err != nil {
			return storeError("ending a session", err)
		}
	}
	return nil
}

func storeError(doing string, err error) error {
	if err == nil || errors.Is(err, ErrNoSession) {
		return err
	}
	return &UnavailableError{Doing: doing, Err: err}
}

// sealSession gives the browser a session.
func (s *Sessions) sealSession(w http.ResponseWriter, session Session) error {
	client := s.of(session.Issuer)
	for {
		text, err := json.Marshal(session)
		if err != nil {
			return err
		}
		value, err := client.seal(sessionPurpose, s.cookie, string(text))
		switch {
		case err != nil:
			return err
		case len(s.cookie)+len(value) <= longestSession:
			client.setCookie(w, s.cookie, value, 0) // until the browser is closed
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
		text, err := s.open(sessionPurpose, cookie.Value)
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
