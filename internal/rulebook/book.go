// Package rulebook has the policy's rules of the store at hand, for every request. It
// decides nothing: policy does.
package rulebook

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/sallyport-id/sallyport/internal/policy"
	"github.com/sallyport-id/sallyport/internal/store"
)

const (
	// holds is how long rules hold before the store is asked again, by the next who
	// wants them: it is how late a change can be here.
	holds = time.Second
	// patience bounds one reading. Who waits for it has something to go on with.
	patience = time.Second
)

// ErrUnreadable: the store has rules that this program does not understand.
var ErrUnreadable = errors.New("rulebook: a newer release wrote the rules in the database, or something else did")

// Book is the rules of a store. It starts nothing: whoever asks first after they have
// held long enough reads them, and who asks meanwhile waits for that.
type Book struct {
	store store.Rules
	now   func() time.Time
	log   *slog.Logger
	turn  chan struct{} // has room for whose turn it is to read
	last  atomic.Pointer[reading]
}

// reading is what was found, with the rules of before where nothing was.
type reading struct {
	at      time.Time
	known   bool // there are rules
	text    string
	version int64
	policy  policy.Policy
	err     error // why nothing was found this time
}

// Open reads the rules. It fails if it cannot.
func Open(ctx context.Context, s store.Rules, now func() time.Time, log *slog.Logger) (*Book, error) {
	b := New(s, now, log)
	if _, err := b.Policy(ctx); err != nil {
		return nil, err
	}
	return b, nil
}

// New is a book that nobody has looked into.
func New(s store.Rules, now func() time.Time, log *slog.Logger) *Book {
	b := &Book{store: s, now: now, log: log, turn: make(chan struct{}, 1)}
	b.last.Store(&reading{})
	return b
}

// Policy is the rules that the store had a second ago at most; while it cannot be read,
// or what it has cannot be, the last that were. Before any were read it is an error,
// and not the default: the rules may ask for more than that.
func (b *Book) Policy(ctx context.Context) (policy.Policy, error) {
	r, err := b.reading(ctx)
	switch {
	case err != nil:
		return policy.Policy{}, err
	case !r.known:
		return policy.Policy{}, r.err
	}
	return r.policy, nil
}

// Check is nil if Policy is what the store has; store.ErrUnavailable if it cannot be
// asked; ErrUnreadable if it has something else.
func (b *Book) Check(ctx context.Context) error {
	r, err := b.reading(ctx)
	if err != nil {
		return err
	}
	return r.err
}

func (b *Book) reading(ctx context.Context) (*reading, error) {
	if last := b.last.Load(); last.holds(b.now()) {
		return last, nil
	}
	select {
	case b.turn <- struct{}{}:
		defer func() { <-b.turn }()
	case <-ctx.Done():
		return nil, fmt.Errorf("rulebook: wait: %w", ctx.Err())
	}
	last, now := b.last.Load(), b.now()
	if last.holds(now) { // read while this one waited
		return last, nil
	}
	next := b.read(ctx, *last)
	if err := ctx.Err(); err != nil && next.err != nil {
		return nil, fmt.Errorf("rulebook: read: %w", err) // which says nothing of the store
	}
	next.at = now
	b.tell(ctx, last, next)
	b.last.Store(next)
	return next, nil
}

// holds: a clock that was set back makes nothing hold longer.
func (r *reading) holds(now time.Time) bool {
	age := now.Sub(r.at)
	return age >= 0 && age < holds
}

// read is what the store has, or the last reading with why there is none.
func (b *Book) read(ctx context.Context, last reading) *reading {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	text, version, err := b.store.Rules(ctx)
	switch {
	case err != nil:
		last.err = fmt.Errorf("rulebook: read: %w", err)
		return &last
	case last.known && last.text == text && last.version == version:
		last.err = nil
		return &last
	}
	rules, err := policy.Parse(text)
	if err != nil {
		last.err = fmt.Errorf("%w (version %d): %w", ErrUnreadable, version, err)
		return &last
	}
	return &reading{known: true, text: text, version: version, policy: policy.Policy{Rules: rules}}
}

// tell says once what has changed.
func (b *Book) tell(ctx context.Context, last, next *reading) {
	unreadable := errors.Is(next.err, ErrUnreadable)
	switch {
	case !last.known: // whoever asked is told
	case next.err != nil && (last.err == nil || unreadable != errors.Is(last.err, ErrUnreadable)):
		b.log.ErrorContext(ctx, "the rules of the policy cannot be read, and the last ones apply", "version", last.version, "error", next.err)
	case next.err == nil && last.err != nil:
		b.log.InfoContext(ctx, "the rules of the policy are read again", "version", next.version)
	case next.err == nil && next.version != last.version:
		b.log.InfoContext(ctx, "the rules of the policy have changed", "version", next.version)
	}
}
