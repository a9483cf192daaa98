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
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"

	"golang.org/x/crypto/argon2"
	"golang.org/x/text/unicode/norm"
)

// ErrBusy: too many people are signing in at once; nothing was checked.
var ErrBusy = errors.New("authn: busy")

// HasherConfig says what a hash costs and how many run at once. Zero values are
// the defaults: 19 MiB, 2 passes, one lane (OWASP Password Storage), as many at
// once as there are processors, and 64 waiting.
type HasherConfig struct {
	Memory     uint32 // KiB
	Time       uint32 // passes
	Threads    uint8
	Concurrent int // hashes at once
	Queue      int // waiting, in each lane
}

// Hasher is argon2id behind a bounded queue: each hash holds its memory while it
// runs, so a flood of sign-ins must wait or be refused. Known browsers have a
// lane of their own.
type Hasher struct {
	params params
	slots  chan struct{}
	lanes  [2]chan struct{} // strangers, known
	dummy  string
	calls  atomic.Int64
}

// params are the cost of a hash.
type params struct {
	memory  uint32
	time    uint32
	threads uint8
}

// The bounds of parameters that are read from a hash, so that a damaged or
// hostile row costs no more than a few real ones.
const (
	maxMemory  = 256 << 10 // KiB
	maxTime    = 10
	maxThreads = 16
	saltSize   = 16
	tagSize    = 32
)

// NewHasher returns a hasher.
func NewHasher(c HasherConfig) *Hasher {
	p := params{orElse(c.Memory, 19456), orElse(c.Time, 2), orElse(c.Threads, 1)}
	queue := orElse(c.Queue, 64)
	h := &Hasher{params: p, slots: make(chan struct{}, orElse(c.Concurrent, runtime.GOMAXPROCS(0)))}
	h.lanes = [2]chan struct{}{make(chan struct{}, queue), make(chan struct{}, queue)}
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

// Hash returns the PHC string of a password under a new salt. ErrBusy if the
// queue is full.
func (h *Hasher) Hash(ctx context.Context, password string) (string, error) {
	salt := NewSalt()
	tag, err := h.run(ctx, h.params, salt, []byte(norm.NFC.String(password)), false)
	if err != nil {
		return "", err
	}
	return PHC{h.params, salt, tag}.String(), nil
}

// Verify reports whether the password is the hash's, and whether the hash is
// weaker than today's and should be made anew. ErrBusy if the queue is full.
func (h *Hasher) Verify(ctx context.Context, phc, password string, known bool) (ok, rehash bool, err error) {
	parsed, err := ParsePHC(phc)
	if err != nil {
		return false, false, err
	}
	tag, err := h.run(ctx, parsed.params, parsed.salt, []byte(norm.NFC.String(password)), known)
	if err != nil {
		return false, false, err
	}
	return subtle.ConstantTimeCompare(tag, parsed.tag) == 1, parsed.weaker(h.params), nil
}

// VerifyDummy costs what Verify costs and is never right: for users who do not
// exist or have no password.
func (h *Hasher) VerifyDummy(ctx context.Context, password string, known bool) error {
	_, _, err := h.Verify(ctx, h.dummy, password, known)
	return err
}

// HashRecovery hashes a recovery code under the salt of its set, so that looking
// one up costs one hash, however many there are.
func (h *Hasher) HashRecovery(ctx context.Context, salt []byte, code string) ([]byte, error) {
	return h.run(ctx, h.params, salt, []byte(code), false)
}

// run computes one hash when there is room. A place in the lane is taken first:
// the lanes bound who waits, the slots bound who works.
func (h *Hasher) run(ctx context.Context, p params, salt, secret []byte, known bool) ([]byte, error) {
	lane := h.lanes[0]
	if known {
		lane = h.lanes[1]
	}
	select {
	case lane <- struct{}{}:
		defer func() { <-lane }()
	default:
		return nil, ErrBusy
	}
	select {
	case h.slots <- struct{}{}:
		defer func() { <-h.slots }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	h.calls.Add(1)
	return argon2.IDKey(secret, salt, p.time, p.memory, p.threads, tagSize), nil
}

// NewSalt returns 128 random bits.
func NewSalt() []byte {
	salt := make([]byte, saltSize)
	rand.Read(salt)
	return salt
}

// PHC is an argon2id hash in the PHC string format, with its salt and cost.
type PHC struct {
	params
	salt, tag []byte
}

// String is the form that is stored.
func (p PHC) String() string {
	b64 := base64.RawStdEncoding
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, p.memory, p.time, p.threads,
		b64.EncodeToString(p.salt), b64.EncodeToString(p.tag))
}

// weaker reports whether any cost is lower than today's.
func (p PHC) weaker(today params) bool {
	return p.memory < today.memory || p.time < today.time
}

var errPHC = errors.New("authn: not an argon2id hash in PHC format, or its cost is out of bounds")

// ParsePHC reads a hash and bounds its cost.
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
	if p.tag, err = b64.DecodeString(parts[5]); err != nil || len(p.tag) != tagSize {
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
