package rs

import (
	"context"
	"crypto/sha256"
	"errors"
	"sync"
	"time"
)

const (
	mostAnswers  = 10_000
	mostFlights  = 1_000           // questions under way or waiting; who comes then is sent away
	negativeTTL  = 5 * time.Second // at most: a token that is worth nothing will not be worth more
	sweepsPeriod = time.Second
)

// A verdict is what the server said of a token: what it is, or why not.
type verdict struct {
	token   *Token
	refused *refusal
}

// answers remembers verdicts by the hashes of tokens, and asks once for all
// requests that wait for the same. It forgets rather than grows.
type answers struct {
	now func() time.Time
	ttl time.Duration // not positive: nothing is remembered

	mu      sync.Mutex
	known   map[[sha256.Size]byte]answer
	flights map[[sha256.Size]byte]*flight
	swept   time.Time
}

type answer struct {
	verdict
	until time.Time
}

// A flight is a question under way. verdict and err are set when done is closed.
type flight struct {
	done    chan struct{}
	verdict verdict
	err     error
}

func newAnswers(now func() time.Time, ttl time.Duration) *answers {
	return &answers{now: now, ttl: ttl, known: map[[sha256.Size]byte]answer{}, flights: map[[sha256.Size]byte]*flight{}}
}

// get returns the verdict about a token.
func (a *answers) get(ctx context.Context, token string, ask func(context.Context, string) (verdict, error)) (verdict, error) {
	key := sha256.Sum256([]byte(token))
	a.mu.Lock()
	if known, ok := a.known[key]; ok && a.now().Before(known.until) {
		a.mu.Unlock()
		return known.verdict, nil
	}
	f := a.flights[key]
	switch {
	case f == nil && len(a.flights) >= mostFlights:
		a.mu.Unlock()
		return verdict{}, errors.New("too many access tokens to ask about at once")
	case f == nil:
		f = &flight{done: make(chan struct{})}
		a.flights[key] = f
		// A client that goes away must not fail the others that wait.
		go a.run(context.WithoutCancel(ctx), key, token, f, ask)
	}
	a.mu.Unlock()
	select {
	case <-f.done:
		return f.verdict, f.err
	case <-ctx.Done():
		return verdict{}, ctx.Err()
	}
}

// run asks once; the client's timeout bounds it. The answer is as old as the
// question: what happens while the server answers may not be in it.
func (a *answers) run(ctx context.Context, key [sha256.Size]byte, token string, f *flight, ask func(context.Context, string) (verdict, error)) {
	asked := a.now()
	f.verdict, f.err = ask(ctx, token)
	a.mu.Lock()
	defer a.mu.Unlock()
	if f.err == nil {
		a.remember(key, f.verdict, asked)
	}
	delete(a.flights, key)
	close(f.done)
}

func (a *answers) remember(key [sha256.Size]byte, v verdict, asked time.Time) {
	until := asked.Add(a.ttl)
	if v.token == nil {
		until = asked.Add(min(a.ttl, negativeTTL))
	} else if v.token.Expiry.Before(until) {
		until = v.token.Expiry
	}
	now := a.now()
	if !now.Before(until) {
		return
	}
	if len(a.known) >= mostAnswers && !a.makeRoom(now, v.token != nil) {
		return
	}
	a.known[key] = answer{v, until}
}

// makeRoom forgets what is out of date, or else any one answer. Strangers can
// make up tokens, so what is worth nothing pushes nothing out.
func (a *answers) makeRoom(now time.Time, good bool) bool {
	if now.Sub(a.swept) >= sweepsPeriod {
		a.swept = now
		for key, known := range a.known {
			if !now.Before(known.until) {
				delete(a.known, key)
			}
		}
	}
	if len(a.known) < mostAnswers {
		return true
	}
	if !good {
		return false
	}
	for key := range a.known {
		delete(a.known, key)
		break
	}
	return true
}
