package rs

import (
	"context"
	"crypto/sha256"
	"errors"
	"sync"
	"time"
)

// Replays remembers which DPoP proofs were used (RFC 9449 §11.1). Nodes that share
// one accept a proof once among them all; a table with a unique key will do.
type Replays interface {
	// Use records the use of a proof, named by a SHA-256 hash, and reports whether it
	// was the first: of several at once that is true for one alone. It is
	// remembered until the time at least. An error answers the request with 503.
	Use(ctx context.Context, proof [sha256.Size]byte, until time.Time) (first bool, err error)
}

const mostProofs = 1 << 20 // in memory, of about 50 bytes each

// longestProof is how far ahead of us the end of a proof can be: it was made in
// our future by the leeway, and is good for its age and the leeway.
const longestProof = proofAge + 2*longestLeeway

var errManyProofs = errors.New("more DPoP proofs than can be remembered")

// memory is the Replays of one process. It forgets a generation at a time, of
// which each lasts as long as a proof can be good: a proof that is good is in this
// one or in the one before. When it is full it remembers no more, and says so:
// to forget would be to let a proof pass twice (RFC 9449 §11.1).
type memory struct {
	now  func() time.Time
	most int

	mu         sync.Mutex
	began      time.Time // of the generation that is young
	young, old map[[sha256.Size]byte]struct{}
}

// Use implements Replays.
func (m *memory) Use(_ context.Context, proof [sha256.Size]byte, _ time.Time) (bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.turn(m.now())
	if _, used := m.old[proof]; used {
		return false, nil
	}
	if _, used := m.young[proof]; used {
		return false, nil
	}
	if len(m.young)+len(m.old) >= m.most {
		return false, errManyProofs
	}
	m.young[proof] = struct{}{}
	return true, nil
}

// turn begins a new generation when it is time. A clock that goes back makes one
// last longer.
func (m *memory) turn(now time.Time) {
	age := now.Sub(m.began)
	if m.young != nil && age < longestProof {
		return
	}
	m.old = m.young
	if age >= 2*longestProof {
		m.old = nil
	}
	m.began, m.young = now, map[[sha256.Size]byte]struct{}{}
}
