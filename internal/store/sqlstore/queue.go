package sqlstore

import (
	"fmt"
	"sync"

	"github.com/sallyport-id/sallyport/internal/store"
)

// mostTogether is how many operations share a transaction at most.
const mostTogether = 128

// mostWaiting bounds a lane: whoever comes when so many wait would wait in vain.
const mostWaiting = 1 << 14

var errLaneFull = fmt.Errorf("sqlstore: %d writes are waiting: %w", mostWaiting, store.ErrUnavailable)

// lane is a line to wait in. Tokens have one of their own, so that a flood of
// sign-ins does not hold machines up, nor the other way round.
type lane int

const (
	ordinary lane = iota
	tokens
	// alone is for a verb that nobody waits behind, and that may take as long as it
	// needs. It waits in the ordinary line.
	alone
)

// queue is where operations wait for the writer.
type queue struct {
	mu     sync.Mutex
	some   sync.Cond // signalled when an operation comes or the queue is closed
	lanes  [2][]*operation
	closed error // of put, once the queue is closed
}

func (q *queue) init() { q.some.L = &q.mu }

// put lines an operation up.
func (q *queue) put(l lane, op *operation) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed != nil {
		return q.closed
	}
	if l == alone {
		l = ordinary
	}
	if len(q.lanes[l]) >= mostWaiting {
		return errLaneFull
	}
	q.lanes[l] = append(q.lanes[l], op)
	q.some.Signal()
	return nil
}

// take waits for operations and returns those that may be committed together, in
// the order in which they came; none once the queue is closed and empty. Tokens
// have the first places, but leave a quarter to others who wait.
func (q *queue) take() []*operation {
	q.mu.Lock()
	defer q.mu.Unlock()
	for len(q.lanes[ordinary])+len(q.lanes[tokens]) == 0 && q.closed == nil {
		q.some.Wait()
	}
	left := min(len(q.lanes[ordinary]), mostTogether/4)
	batch := q.pop(tokens, mostTogether-left, nil)
	return q.pop(ordinary, mostTogether-len(batch), batch)
}

func (q *queue) pop(l lane, most int, batch []*operation) []*operation {
	n := min(len(q.lanes[l]), most)
	batch = append(batch, q.lanes[l][:n]...)
	rest := copy(q.lanes[l], q.lanes[l][n:])
	clear(q.lanes[l][rest:])
	q.lanes[l] = q.lanes[l][:rest]
	return batch
}

// waiting is how many are in each lane.
func (q *queue) waiting() (inOrdinary, inTokens int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.lanes[ordinary]), len(q.lanes[tokens])
}

// close refuses whatever comes later: with the error, or ErrClosed. Those who
// wait are returned if there is an error, else they still have their turn.
func (q *queue) close(why error) (waiting []*operation) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if why != nil {
		for l := range q.lanes {
			waiting = append(waiting, q.lanes[l]...)
			q.lanes[l] = nil
		}
	}
	if q.closed == nil {
		q.closed = ErrClosed
		if why != nil {
			q.closed = why
		}
	}
	q.some.Signal()
	return waiting
}
