// Package authn checks people: passwords, TOTP, recovery codes, each attempt
// counted before it is checked; and it says what the proofs are worth: level,
// acr, amr and auth_time, always derived from evidence.
package authn

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"golang.org/x/crypto/argon2"
	"golang.org/x/text/unicode/norm"
)

// ErrBusy: too many people are signing in at once; nothing was checked.
var ErrBusy = errors.New("authn: busy")

// HasherConfig says what a hash costs and how many run at once. Zero values are
// the defaults: 19 MiB, 2 passes, one thread (OWASP Password Storage), as many at
// once as there are processors, and 64 waiting. A cost beyond what ParsePHC takes
// is brought within.
type HasherConfig struct {
	Memory     uint32 // KiB
	Time       uint32 // passes
	Threads    uint8
	Concurrent int // hashes at once
	Queue      int // waiting, in each lane; negative: none
}

// Hasher is argon2id behind a bounded queue: each hash holds its memory while it
// runs, so a flood of sign-ins must wait or be refused. Known browsers wait in a
// lane of their own, and the lanes take turns. It is safe for concurrent use.
type Hasher struct {
	params params
	gate   gate
	dummy  string
	calls  atomic.Int64
}

// params are the cost of a hash.
type params struct {
	memory  uint32 // KiB
	time    uint32 // passes
	threads uint8
}

// The bounds of parameters that are read from a hash, so that a damaged or
// hostile row cannot take all memory.
const (
	maxMemory  = 128 << 10 // KiB
	maxTime    = 10
	maxThreads = 16
	saltSize   = 16
	tagSize    = 32
)

// NewHasher returns a hasher.
func NewHasher(c HasherConfig) *Hasher {
	threads := min(orElse(c.Threads, 1), maxThreads)
	p := params{min(max(orElse(c.Memory, 19456), 8*uint32(threads)), maxMemory), min(orElse(c.Time, 2), maxTime), threads}
	h := &Hasher{params: p, gate: gate{longest: orElse(c.Queue, 64)}}
	h.gate.most = max(orElse(c.Concurrent, runtime.GOMAXPROCS(0)), 1)
	h.gate.free = h.gate.most
	h.dummy = PHC{p, make([]byte, saltSize), make([]byte, tagSize)}.String()
	return h
}

func orElse[T comparable](v, otherwise T) T {
	var zero T
	if v == zero {
		return otherwise
	}
	return v
}

// Calls is the number of hashes that were computed, for tests that count work.
func (h *Hasher) Calls() int64 { return h.calls.Load() }

// HasherStats says what a hasher does.
type HasherStats struct {
	Running, Waiting, WaitingKnown int // WaitingKnown: in the lane of known browsers
	Done, Refused                  int64
}

// Stats returns what it does now, and has done since it was made.
func (h *Hasher) Stats() HasherStats {
	s := h.gate.stats()
	s.Done = h.Calls()
	return s
}

// Hash returns the PHC string of a password, normalised to NFC, under a new salt
// (NIST SP 800-63B-4 §3.1.1.2). ErrBusy if the queue is full, the context's error
// if it ends while waiting.
func (h *Hasher) Hash(ctx context.Context, password string) (string, error) {
	turn, err := h.Turn(ctx, false)
	if err != nil {
		return "", err
	}
	defer turn.End()
	salt := NewSalt()
	tag := turn.hash(h.params, salt, []byte(norm.NFC.String(password)))
	return PHC{h.params, salt, tag}.String(), nil
}

// Verify reports whether the password is the hash's, and whether the hash is
// weaker than today's and should be made anew. known is a browser that this user
// has signed in with before. ErrBusy if its lane is full, the context's error if
// it ends while waiting, another if the hash cannot be read.
func (h *Hasher) Verify(ctx context.Context, phc, password string, known bool) (ok, rehash bool, err error) {
	turn, err := h.Turn(ctx, known)
	if err != nil {
		return false, false, err
	}
	defer turn.End()
	return turn.Verify(phc, password)
}

// VerifyDummy costs what Verify costs and is never right: for users who do not
// exist or have no password.
func (h *Hasher) VerifyDummy(ctx context.Context, password string, known bool) error {
	_, _, err := h.Verify(ctx, h.dummy, password, known)
	return err
}

// Turn is somebody's turn to hash. End gives it to who is next. It is not for
// concurrent use.
type Turn struct {
	hasher *Hasher
	ended  bool
}

// Turn waits for one. ErrBusy if the lane is full, the context's error if it ends
// while waiting.
func (h *Hasher) Turn(ctx context.Context, known bool) (*Turn, error) {
	if err := h.gate.enter(ctx, known); err != nil {
		return nil, err
	}
	return &Turn{hasher: h}, nil
}

// End ends the turn. Again is nothing.
func (t *Turn) End() {
	if !t.ended {
		t.ended = true
		t.hasher.gate.leave()
	}
}

// Verify is Hasher.Verify in this turn.
func (t *Turn) Verify(phc, password string) (ok, rehash bool, err error) {
	parsed, err := ParsePHC(phc)
	if err != nil {
		return false, false, err
	}
	tag := t.hash(parsed.params, parsed.salt, []byte(norm.NFC.String(password)))
	return subtle.ConstantTimeCompare(tag, parsed.tag) == 1, parsed.weaker(t.hasher.params), nil
}

// VerifyDummy is Hasher.VerifyDummy in this turn.
func (t *Turn) VerifyDummy(password string) {
	_, _, _ = t.Verify(t.hasher.dummy, password) // cannot fail: the hash is our own
}

// HashRecovery hashes a recovery code under the salt of its set, so that looking
// one up costs one hash, however many there are. The code has the form that
// ParseRecoveryCode returns.
func (t *Turn) HashRecovery(salt []byte, code string) []byte {
	return t.hash(t.hasher.params, salt, []byte(code))
}

func (t *Turn) hash(p params, salt, secret []byte) []byte {
	t.hasher.calls.Add(1)
	return argon2.IDKey(secret, salt, p.time, p.memory, p.threads, tagSize)
}

// gate lets a number through at once; the others wait in two lanes that are
// served in turn, so that however many strangers wait, a known browser is next or
// next but one.
type gate struct {
	mu      sync.Mutex
	most    int // at once
	free    int
	lanes   [2][]chan struct{} // who waits: strangers, known browsers
	longest int                // of a lane
	next    int                // the lane whose turn it is
	refused int64
}

// enter waits for a place, which leave gives back. ErrBusy if the lane is full,
// the context's error if it ends first.
func (g *gate) enter(ctx context.Context, known bool) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	lane := 0
	if known {
		lane = 1
	}
	turn, err := g.line(lane)
	if turn == nil {
		return err
	}
	select {
	case <-turn:
		return nil
	case <-ctx.Done():
		g.mu.Lock()
		defer g.mu.Unlock()
		if i := slices.Index(g.lanes[lane], turn); i >= 0 {
			g.lanes[lane] = slices.Delete(g.lanes[lane], i, i+1)
		} else {
			g.pass() // it had just been called
		}
		return ctx.Err()
	}
}

// line takes a free place and returns nil, or lines up and returns what is closed
// when its turn comes.
func (g *gate) line(lane int) (turn chan struct{}, err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.free > 0 {
		g.free--
		return nil, nil
	}
	if len(g.lanes[lane]) >= g.longest {
		g.refused++
		return nil, ErrBusy
	}
	turn = make(chan struct{})
	g.lanes[lane] = append(g.lanes[lane], turn)
	return turn, nil
}

func (g *gate) leave() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.pass()
}

// pass gives a place to who is next, if anyone waits.
func (g *gate) pass() {
	for range g.lanes {
		lane := g.next
		g.next = 1 - g.next
		if waiting := g.lanes[lane]; len(waiting) > 0 {
			g.lanes[lane] = waiting[1:]
			close(waiting[0])
			return
		}
	}
	g.free++
}

func (g *gate) stats() HasherStats {
	g.mu.Lock()
	defer g.mu.Unlock()
	return HasherStats{Running: g.most - g.free, Waiting: len(g.lanes[0]), WaitingKnown: len(g.lanes[1]), Refused: g.refused}
}

// NewSalt returns 128 random bits.
func NewSalt() []byte {
	salt := make([]byte, saltSize)
	rand.Read(salt)
	return salt
}

// PHC is an argon2id hash in the PHC string format, with its salt and cost (RFC
// 9106 §3.1). It is not to be logged.
type PHC struct {
	params
	salt, tag []byte
}

// LogValue keeps the hash out of logs.
func (PHC) LogValue() slog.Value { return slog.StringValue("[redacted]") }

// String is the form that is stored.
func (p PHC) String() string {
	b64 := base64.RawStdEncoding
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, p.memory, p.time, p.threads,
		b64.EncodeToString(p.salt), b64.EncodeToString(p.tag))
}

// weaker reports whether memory or passes are lower than today's.
func (p PHC) weaker(today params) bool {
	return p.memory < today.memory || p.time < today.time
}

var errPHC = errors.New("authn: not an argon2id hash in PHC format, or its cost is out of bounds")

// ParsePHC reads a hash in the one form that String writes. It is an error if its
// cost is more than 128 MiB, 10 passes or 16 threads, or less than argon2 takes.
func ParsePHC(text string) (PHC, error) {
	var p PHC
	parts := strings.Split(text, "$")
	if len(text) > 512 || len(parts) != 6 || parts[0] != "" || parts[1] != "argon2id" || parts[2] != "v=19" {
		return p, errPHC
	}
	m, t, lanes, err := parseCost(parts[3])
	if err != nil || m < 8*lanes || m > maxMemory || t < 1 || t > maxTime || lanes < 1 || lanes > maxThreads {
		return p, errPHC
	}
	p.params = params{uint32(m), uint32(t), uint8(lanes)}
	b64 := base64.RawStdEncoding.Strict()
	if p.salt, err = b64.DecodeString(parts[4]); err != nil || len(p.salt) < 8 || len(p.salt) > 64 {
		return PHC{}, errPHC
	}
	if p.tag, err = b64.DecodeString(parts[5]); err != nil || len(p.tag) != tagSize || p.String() != text {
		return PHC{}, errPHC
	}
	return p, nil
}

func parseCost(text string) (m, t, p uint64, err error) {
	values := strings.Split(text, ",")
	if len(values) != 3 {
		return 0, 0, 0, errPHC
	}
	for i, into := range []*uint64{&m, &t, &p} {
		digits, ok := strings.CutPrefix(values[i], []string{"m=", "t=", "p="}[i])
		if !ok {
			return 0, 0, 0, errPHC
		}
		if *into, err = strconv.ParseUint(digits, 10, 32); err != nil {
			return 0, 0, 0, errPHC
		}
	}
	return m, t, p, nil
}
