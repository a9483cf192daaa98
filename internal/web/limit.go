package web

import (
	"net/netip"
	"sync"
	"time"
)

// Rate is a number of requests at once and the time that earns one back. The
// zero value limits nothing.
type Rate struct {
	Burst int
	Every time.Duration
}

// Limits are per address, in memory, before any write or hash.
type Limits struct {
	// Pages: requests of browsers that may write or hash.
	Pages Rate
	// Failures: client authentications and access tokens that were wrong, and
	// passwords, but for browsers that have signed in before.
	Failures Rate
}

// limiterSize bounds the memory that a flood of addresses takes.
const limiterSize = 1 << 16

// limiter is a generic cell rate algorithm: for each address the time at which
// its bucket would be empty again.
type limiter struct {
	name string
	rate Rate
	now  func() time.Time

	mu    sync.Mutex
	empty map[netip.Addr]time.Time
}

func newLimiter(name string, r Rate, now func() time.Time) *limiter {
	return &limiter{name: name, rate: r, now: now, empty: map[netip.Addr]time.Time{}}
}

// take counts one request and returns 0, or how long to wait if there were too
// many.
func (l *limiter) take(a netip.Addr) time.Duration { return l.count(a, true) }

// full reports how long to wait without counting.
func (l *limiter) full(a netip.Addr) time.Duration { return l.count(a, false) }

func (l *limiter) count(a netip.Addr, take bool) time.Duration {
	if l.rate.Burst == 0 {
		return 0
	}
	a, now := network(a), l.now()
	l.mu.Lock()
	defer l.mu.Unlock()
	empty := l.empty[a]
	if empty.Before(now) {
		empty = now
	}
	next := empty.Add(l.rate.Every)
	if wait := next.Sub(now) - time.Duration(l.rate.Burst)*l.rate.Every; wait > 0 {
		return wait
	}
	if take {
		if _, there := l.empty[a]; !there {
			l.makeRoom()
		}
		l.empty[a] = next
	}
	return 0
}

// makeRoom forgets, of a few addresses, the one whose bucket is empty first. A flood
// of new addresses so drives out its own, and hardly ever one that asks too much.
func (l *limiter) makeRoom() {
	if len(l.empty) < limiterSize {
		return
	}
	const few = 8
	var first netip.Addr
	looked := 0
	for a, empty := range l.empty { // in no order
		if looked == 0 || empty.Before(l.empty[first]) {
			first = a
		}
		if looked++; looked == few {
			break
		}
	}
	delete(l.empty, first)
}

// network is what one subscriber has: an IPv4 address or an IPv6 /64.
func network(a netip.Addr) netip.Addr {
	if a.Is4() {
		return a
	}
	p, err := a.Prefix(64)
	if err != nil {
		return a
	}
	return p.Addr()
}
