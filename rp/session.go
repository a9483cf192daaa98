package rp

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/sallyport-id/sallyport/internal/issuer"
)

// A Session says that a user is signed in in a browser, and how that was done. It
// has an Identity without Claims, Token and ReturnTo; what else an application
// needs of a login it takes from Callback.
type Session struct {
	Identity

	ID      string    // random, and another one after each Begin: a key for what belongs to the session, and no secret
	Began   time.Time // when Begin was called
	Expires time.Time // when it ends if nothing more comes
}

// sessionText is a session as text.
type sessionText struct {
	ID                string   `json:"id,omitempty"`
	Issuer            string   `json:"iss"`
	Subject           string   `json:"sub"`
	SID               string   `json:"sid,omitempty"`
	Name              string   `json:"name,omitempty"`
	PreferredUsername string   `json:"preferred_username,omitempty"`
	Email             string   `json:"email,omitempty"`
	EmailVerified     bool     `json:"email_verified,omitempty"`
	Locale            string   `json:"locale,omitempty"`
	ACR               string   `json:"acr,omitempty"`
	AMR               []string `json:"amr,omitempty"`
	AuthTime          int64    `json:"auth_time,omitempty"` // Unix seconds, as are the next two
	Began             int64    `json:"began"`
	Expires           int64    `json:"exp"`
	IDToken           string   `json:"id_token,omitempty"`
}

// MarshalJSON writes all of the session, the ID token too: for a SessionStore.
// Times are cut to seconds.
func (s Session) MarshalJSON() ([]byte, error) {
	t := sessionText{
		ID: s.ID, Issuer: s.Issuer, Subject: s.Subject, SID: s.SID, Name: s.Name, PreferredUsername: s.PreferredUsername,
		Email: s.Email, EmailVerified: s.EmailVerified, Locale: s.Locale, ACR: s.ACR, AMR: s.AMR,
		Began: s.Began.Unix(), Expires: s.Expires.Unix(), IDToken: s.IDToken,
	}
	if !s.AuthTime.IsZero() {
		t.AuthTime = s.AuthTime.Unix()
	}
	return json.Marshal(t)
}

// UnmarshalJSON reads what MarshalJSON wrote.
func (s *Session) UnmarshalJSON(data []byte) error {
	var t sessionText
	if err := json.Unmarshal(data, &t); err != nil {
		return err
	}
	*s = Session{ID: t.ID, Began: time.Unix(t.Began, 0), Expires: time.Unix(t.Expires, 0), Identity: Identity{
		Issuer: t.Issuer, Subject: t.Subject, SID: t.SID, Name: t.Name, PreferredUsername: t.PreferredUsername,
		Email: t.Email, EmailVerified: t.EmailVerified, Locale: t.Locale, ACR: t.ACR, AMR: t.AMR, IDToken: t.IDToken,
	}}
	if t.AuthTime != 0 {
		s.AuthTime = time.Unix(t.AuthTime, 0)
	}
	return nil
}

const (
	defaultIdle     = time.Hour
	defaultAbsolute = 12 * time.Hour
	shortestIdle    = time.Minute
)

// SessionConfig says how long sessions last and where they are kept. Its zero
// value is good: a sealed cookie, an hour idle, twelve in all.
type SessionConfig struct {
	// Idle is how long a session lasts without a request, give or take a tenth of
	// it; at least a minute, zero means an hour.
	Idle time.Duration
	// Absolute is how long it lasts in all, at least Idle; zero means 12 hours.
	Absolute time.Duration
	// Store keeps the sessions, and the cookie has but a random key to it. nil
	// means that the cookie has all of the session.
	Store SessionStore
	// AfterLogout is the absolute URL where the browser ends up after Logout, exactly
	// as registered with the server (post_logout_redirect_uris). Empty means that
	// the server decides, or "/" if it has no part in it.
	AfterLogout string
	// Tokens is where the tokens of a session are kept, by its ID: Begin stores them,
	// Sessions.HTTPClient uses them, Logout ends them and revokes them at the server
	// (RFC 7009), if that is there. nil keeps none. What a store has of sessions that
	// have ended otherwise is for it to forget.
	Tokens func(session *Session) TokenStore
	// SignIn answers who goes to a page without a session, such as with a page where
	// one chooses a provider, whose links have the request's URI for ReturnTo. What
	// the page takes beyond Config.Require is asked for when the user is back there.
	// nil calls Login.
	SignIn http.Handler
}

// Sessions begins, finds and ends the sessions of a Client or a Registry. It is safe
// for concurrent use.
type Sessions struct {
	clients []*Client // each of another server
	config  SessionConfig
	cookie  string // its name
}

// Sessions makes sessions for those who sign in with this client. The routes that
// use them must be on the host of Config.RedirectURL. The error names the field
// that is wrong.
//
// Without a Store, a session holds no more than a cookie can (3800 bytes): a long
// ID token is left out. And it cannot be ended on this side: Logout takes the
// cookie away from the browser, but who copied it before has it until it expires.
func (c *Client) Sessions(config SessionConfig) (*Sessions, error) {
	if c.config.CookieKey == nil {
		return nil, errors.New("rp: Config.CookieKey is nil: the client signs nobody in by a browser")
	}
	return newSessions([]*Client{c}, sessionName(c.cookies), config)
}

func newSessions(clients []*Client, cookie string, config SessionConfig) (*Sessions, error) {
	if config.Idle == 0 {
		config.Idle = defaultIdle
	}
	if config.Absolute == 0 {
		config.Absolute = max(defaultAbsolute, config.Idle)
	}
	if config.Idle < shortestIdle {
		return nil, fmt.Errorf("rp: SessionConfig.Idle: %v is less than %v", config.Idle, shortestIdle)
	}
	if config.Absolute < config.Idle {
		return nil, fmt.Errorf("rp: SessionConfig.Absolute: %v is less than Idle, %v", config.Absolute, config.Idle)
	}
	if config.AfterLogout != "" {
		if err := issuer.CheckURL(config.AfterLogout, clients[0].config.InsecureAllowHTTP); err != nil {
			return nil, fmt.Errorf("rp: SessionConfig.AfterLogout: %w", err)
		}
	}
	return &Sessions{clients, config, cookie}, nil
}

// of is the client at a server, nil if there is none.
func (s *Sessions) of(issuer string) *Client {
	for _, c := range s.clients {
		if c.config.Issuer == issuer {
			return c
		}
	}
	return nil
}

// now is the time; the clients agree about it.
func (s *Sessions) now() time.Time { return s.clients[0].config.Now() }

// fail answers a request that could not be served.
func (s *Sessions) fail(w http.ResponseWriter, r *http.Request, err error) {
	s.clients[0].report(r.Context(), err)
	s.clients[0].config.ErrorPage(w, r, err)
}

// Begin starts a session for who Callback says has signed in. It takes the place of
// any other in this browser, of whomever it was, under a new cookie: nothing of
// an old session is left in the new one. Begin writes headers alone; redirect to
// Identity.ReturnTo then. The error is an *UnavailableError if a store fails.
func (s *Sessions) Begin(w http.ResponseWriter, r *http.Request, id *Identity) error {
	if s.of(id.Issuer) == nil || id.Subject == "" {
		return errors.New("rp: the identity is not one of this client's Callback")
	}
	now := s.now()
	session := Session{Identity: *id, ID: rand.Text(), Began: now}
	session.Claims, session.Token, session.ReturnTo = nil, nil, ""
	session.Expires = s.expiry(&session, now)
	if err := s.keepTokens(r.Context(), &session, id.Token); err != nil {
		return err
	}
	return s.put(w, r, session)
}

// expiry is when a session ends that is used now.
func (s *Sessions) expiry(session *Session, now time.Time) time.Time {
	end, idle := session.Began.Add(s.config.Absolute), now.Add(s.config.Idle)
	if idle.Before(end) {
		return idle
	}
	return end
}

// current is the session of a request; it lasts longer for that. The error is
// ErrNoSession, or an *UnavailableError if the store fails.
func (s *Sessions) current(w http.ResponseWriter, r *http.Request) (*Session, error) {
	session, err := s.get(r)
	if err != nil {
		return nil, err
	}
	now := s.now()
	if !now.Before(session.Expires) {
		return nil, ErrNoSession
	}
	expires := s.expiry(session, now)
	if expires.Sub(session.Expires) < s.config.Idle/10 {
		return session, nil
	}
	session.Expires = expires
	return session, s.extend(w, r, session)
}

type contextKey struct{}

type inContext struct {
	session *Session
	owner   *Sessions
	require Requirement // what the handlers around took, which the session meets
}

// FromContext is the session that RequireSession, RequireFresh, StepUp or WithSession
// found for a request; nil outside of them. It must not be changed.
func FromContext(ctx context.Context) *Session {
	found, _ := ctx.Value(contextKey{}).(inContext)
	return found.session
}
