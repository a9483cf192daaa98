package store

import (
	"context"
	"time"
)

// What bounds the messages of logouts. One beyond that is not written; the session
// ends all the same, and an event says what was left out.
const (
	MostLogoutsPerClient = 5_000
	MostLogouts          = 20_000
	// LogoutKept is how long a message is of use: a day is as long as sessions last
	// unless an operator says otherwise.
	LogoutKept = 24 * time.Hour
)

// Logout is a message to a client: a session of a user has ended. There is no secret
// in it, and no token: that is made when it is sent.
type Logout struct {
	ID       string
	ClientID string
	UserID   string
	SID      string    // the session's name for the client, as in its ID tokens
	At       time.Time // when the session ended
	// Attempts counts the claims, this one included.
	Attempts int
	DueAt    time.Time // not before; the end of the claim while somebody sends it
	Error    string    // of the last attempt, in words; "" before it
}

// LogoutCount is how many messages wait, and how many of them were tried in vain.
type LogoutCount struct{ Pending, Failing int }

// Logouts keeps the messages that clients with a backchannel_logout_uri are to have,
// until they are delivered, at least once. Each is written by the verb that ends the
// session, in its transaction, to every client that the session has answered since the
// client has that URI. A session that ends by time alone brings none.
type Logouts interface {
	// LogoutClients returns the clients that a message is due for.
	LogoutClients(ctx context.Context, now time.Time) ([]string, error)
	// NextLogout claims the message to a client that has been due for longest: until
	// the lease ends nobody else gets it. ErrNotFound if none is due.
	NextLogout(ctx context.Context, clientID string, now time.Time, lease time.Duration) (*Logout, error)
	// EndLogout deletes a message, whoever has claimed it. Again is no error, and no event.
	EndLogout(ctx context.Context, id string, events ...Event) error
	// LogoutFailed ends a claim, named by its Attempts: the message is due at retryAt.
	// ErrStale if somebody else has claimed it since, or it is gone.
	LogoutFailed(ctx context.Context, m *Logout, retryAt time.Time, why string) error
	// Logouts returns the messages to a client, or all ("" for its id), the oldest
	// first, at most limit.
	Logouts(ctx context.Context, clientID string, limit int) ([]Logout, error)
	// CountLogouts counts them likewise.
	CountLogouts(ctx context.Context, clientID string) (LogoutCount, error)
}
