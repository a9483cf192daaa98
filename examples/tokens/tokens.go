// Package tokens keeps the tokens of a process's sessions, out of the browser.
package tokens

import (
	"bytes"
	"context"
	"sync"
	"time"

	"github.com/sallyport-id/sallyport/rp"
)

// longest is how long any session lasts (rp.SessionConfig.Absolute).
const longest = 12 * time.Hour

// Tokens is where the tokens of sessions are, for rp.SessionConfig.Tokens. Its zero
// value is empty and ready. An application of several processes has them in the rows
// of its sessions, in a database.
type Tokens struct {
	mu   sync.Mutex
	rows map[string]*row // by Session.ID
}

// Of is where those of one session are. Sessions that are over are forgotten when
// another one begins.
func (t *Tokens) Of(session *rp.Session) rp.TokenStore {
	t.mu.Lock()
	defer t.mu.Unlock()
	if r := t.rows[session.ID]; r != nil {
		return r
	}
	now := time.Now()
	for id, r := range t.rows {
		if now.Sub(r.since) > longest {
			delete(t.rows, id)
		}
	}
	if t.rows == nil {
		t.rows = map[string]*row{}
	}
	t.rows[session.ID] = &row{since: now}
	return t.rows[session.ID]
}

// row is an rp.TokenStore.
type row struct {
	since time.Time

	mu   sync.Mutex
	text []byte
}

// Load returns what is stored.
func (r *row) Load(context.Context) ([]byte, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.text, nil
}

// CompareAndSwap stores next if old is what is stored.
func (r *row) CompareAndSwap(_ context.Context, old, next []byte) (bool, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	same := bytes.Equal(r.text, old)
	if same {
		r.text = next
	}
	return same, nil
}
