package rp

import (
	"context"
	"sync"
	"time"
)

// A SessionStore keeps sessions outside of the browser, so that they can be ended
// from outside, too. Each method is one step: of two at the same time, one comes
// first. Keys are hashes of what is in the cookie; Session has MarshalJSON.
//
// A store may forget sessions that have expired (Session.Expires), and no others.
type SessionStore interface {
	// Put keeps a new session.
	Put(ctx context.Context, key string, session Session) error
	// Get returns the session, or ErrNoSession.
	Get(ctx context.Context, key string) (Session, error)
	// Extend changes Session.Expires. It does nothing if the session is not there,
	// so that a request that is under way does not bring back what has ended.
	Extend(ctx context.Context, key string, expires time.Time) error
	// Delete ends a session, if it is there.
	Delete(ctx context.Context, key string) error
	// Logout ends the sessions that a logout token Ends, once. It reports false, and
	// does nothing else, if the token's ID is known already. If it fails, it must
	// not have remembered the ID.
	Logout(ctx context.Context, token LogoutToken) (first bool, err error)
}

// A LogoutToken says which sessions a server has ended: those of its own session
// SID, or, if that is empty, all of the subject. If both are there, the sessions
// are those that have both (OpenID Connect Back-Channel Logout §2.4).
type LogoutToken struct {
	ID      string // to be remembered until Expires: a hash
	Issuer  string
	SID     string
	Subject string
	Expires time.Time
}

// Ends reports whether a session is one of those that the token ends.
func (t LogoutToken) Ends(s Session) bool {
	return s.Issuer == t.Issuer && (t.SID != "" || t.Subject != "") &&
		(t.SID == "" || s.SID == t.SID) && (t.Subject == "" || s.Subject == t.Subject)
}

// MemoryStore is a SessionStore for an application that is one process: a restart
// ends all sessions. Its zero value is empty and ready.
type MemoryStore struct {
	// Now is the clock; nil means time.Now.
	Now func() time.Time

	mu       sync.Mutex
	sessions map[string]Session
	tokens   map[string]time.Time // IDs of logout tokens, until when
	swept    int                  // entries that were left by the last sweep
}

// Put keeps a session. Now and then it forgets those that have expired.
func (m *MemoryStore) Put(_ context.Context, key string, session Session) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.sweep()
	m.sessions[key] = session
	return nil
}

// Get returns a session, or ErrNoSession.
func (m *MemoryStore) Get(_ context.Context, key string) (Session, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	session, there := m.sessions[key]
	if !there {
		return Session{}, ErrNoSession
	}
	return session, nil
}

// Extend changes when a session expires, if it is there.
func (m *MemoryStore) Extend(_ context.Context, key string, expires time.Time) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if session, there := m.sessions[key]; there {
		session.Expires = expires
		m.sessions[key] = session
	}
	return nil
}

// Delete ends a session.
func (m *MemoryStore) Delete(_ context.Context, key string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.sessions, key)
	return nil
}

// Logout ends the sessions that a logout token names.
func (m *MemoryStore) Logout(_ context.Context, token LogoutToken) (first bool, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.sweep()
	if _, known := m.tokens[token.ID]; known {
		return false, nil
	}
	m.tokens[token.ID] = token.Expires
	for key, session := range m.sessions {
		if token.Ends(session) {
			delete(m.sessions, key)
		}
	}
	return true, nil
}

// sweep makes the maps, and takes out what has expired each time that they have
// doubled, so that it costs nothing on average.
func (m *MemoryStore) sweep() {
	if m.sessions == nil {
		m.sessions, m.tokens = map[string]Session{}, map[string]time.Time{}
	}
	if len(m.sessions)+len(m.tokens) < 2*m.swept+64 {
		return
	}
	now := time.Now()
	if m.Now != nil {
		now = m.Now()
	}
	for key, session := range m.sessions {
		if !now.Before(session.Expires) {
			delete(m.sessions, key)
		}
	}
	for id, expires := range m.tokens {
		if !now.Before(expires) {
			delete(m.tokens, id)
		}
	}
	m.swept = len(m.sessions) + len(m.tokens)
}
