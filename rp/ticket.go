package rp

import (
	"net/http"
	"strconv"
	"strings"
	"time"
)

const ticketPurpose = "sallyport rp session ticket 1"

// A ticket is what the cookie has of a session that is in a store.
type ticket struct {
	secret  string
	expires time.Time
}

// key is where the session is: who reads the store has no cookie for it.
func (t ticket) key() string { return digest(t.secret) }

func (t ticket) text() string { return t.secret + "\n" + strconv.FormatInt(t.expires.Unix(), 10) }

// openTicket reads the ticket of a request. The error is ErrNoSession.
func (s *Sessions) openTicket(r *http.Request) (ticket, error) {
	for _, cookie := range r.CookiesNamed(s.cookie) {
		if t, err := s.parseTicket(cookie.Value); err == nil {
			return t, nil
		}
	}
	return ticket{}, ErrNoSession
}

func (s *Sessions) parseTicket(value string) (ticket, error) {
	text, err := s.open(ticketPurpose, value)
	if err != nil {
		return ticket{}, err
	}
	secret, expires, _ := strings.Cut(text, "\n")
	seconds, err := strconv.ParseInt(expires, 10, 64)
	if err != nil || !s.now().Before(time.Unix(seconds, 0)) {
		return ticket{}, ErrNoSession
	}
	return ticket{secret, time.Unix(seconds, 0)}, nil
}
