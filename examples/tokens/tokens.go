// Package tokens keeps the tokens of a process's sessions, out of the browser.
package tokens

import (
	"context"
	"sync"
	"time"

	"golang.org/x/oauth2"

	"github.com/sallyport-id/sallyport/rp"
)

// longest is how long any session lasts (rp.SessionConfig.Absolute).
const longest = 12 * time.Hour

// Tokens has a source of access tokens for each session. Its zero value is empty and
// ready. An application of several processes keeps them beside its sessions, by an
// rp.TokenStore.
type Tokens struct {
	mu   sync.Mutex
	held map[string]held // by the session's ID token, which no other session has
}

type held struct {
	source oauth2.TokenSource
	since  time.Time
}

// Begin keeps the tokens of a sign-in, and forgets those of sessions that are over.
func (t *Tokens) Begin(client *rp.Client, id *rp.Identity) {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := time.Now()
	for key, h := range t.held {
		if now.Sub(h.since) > longest {
			delete(t.held, key)
		}
	}
	if t.held == nil {
		t.held = map[string]held{}
	}
	t.held[id.IDToken] = held{client.TokenSource(context.Background(), id, nil), now}
}

// Of is the source of a session's access tokens, for rp.Client.HTTPClient. Its error
// is rp.ErrEnded if the user must sign in again.
func (t *Tokens) Of(session *rp.Session) oauth2.TokenSource {
	t.mu.Lock()
	defer t.mu.Unlock()
	if h, ok := t.held[session.IDToken]; ok {
		return h.source
	}
	return ended{}
}

type ended struct{}

func (ended) Token() (*oauth2.Token, error) { return nil, rp.ErrEnded }
