package keys

import (
	"cmp"
	"slices"
	"time"

	"github.com/sallyport-id/sallyport/internal/store"
)

// The times of a rotation that are not the operator's to choose.
const (
	// JWKSMaxAge is how long others may keep the published key set.
	JWKSMaxAge = 5 * time.Minute
	// RefreshEvery is how often a process looks at the stored keys. What one process
	// does is done by all within a second.
	RefreshEvery = 500 * time.Millisecond
	// MaxClockSkew is how far a server's clock may be off the database's.
	MaxClockSkew = 2 * time.Second
	// Lead is how long a key is published before it signs: much longer than JWKSMaxAge
	// and RefreshEvery, because there are verifiers that keep a key set for a day
	// whatever it says.
	Lead = 48 * time.Hour
	// keepMargin is added to the longest life of what a key signed.
	keepMargin = 24 * time.Hour
	// DefaultPeriod is how long a key signs.
	DefaultPeriod = 90 * 24 * time.Hour
	// MinPeriod leaves a key as long to sign as it waits to.
	MinPeriod = 2 * Lead
)

// Plan says when keys are rotated.
type Plan struct {
	// Period is how long a key signs; 0 or less: until an operator rotates it.
	Period time.Duration
	// Keep is how long it is published after that: longer than anything that it
	// signed is of use.
	Keep time.Duration
}

// NewPlan takes how long a key signs and the life of sessions: as long as a session
// lasts its ID tokens, though expired, come back as id_token_hint.
func NewPlan(period, session time.Duration) Plan {
	return Plan{Period: period, Keep: session + keepMargin}
}

// due says whether it is time for the key after this one: so early that it signs
// when this one has signed for the period. The next one's next is not due yet.
func (p Plan) due(newest store.SigningKey, now time.Time) bool {
	return p.Period > 0 && !now.Before(start(newest).Add(p.Period-Lead))
}

// next is the rotation from the newest key to another, which the caller makes.
func (p Plan) next(newest store.SigningKey, now time.Time) store.Rotation {
	begins := now.Add(Lead)
	return store.Rotation{
		Next:     store.SigningKey{Alg: newest.Alg, CreatedAt: now, NotBefore: begins},
		Replaces: newest.ID, Retire: begins.Add(p.Keep), Now: now,
	}
}

// emergency is a rotation that takes every older key away at once, whatever its
// holders have signed. A server whose clock is slow does it at once, too.
func emergency(newest store.SigningKey, now time.Time) store.Rotation {
	return store.Rotation{
		Next:     store.SigningKey{Alg: newest.Alg, CreatedAt: now},
		Replaces: newest.ID, Retire: now.Add(-MaxClockSkew), Now: now, Emergency: true,
	}
}

// start is when a key begins to sign.
func start(k store.SigningKey) time.Time {
	if k.NotBefore.After(k.CreatedAt) {
		return k.NotBefore
	}
	return k.CreatedAt
}

// newestFirst puts the key first that is the last to begin, so that of those whose
// time has come the first one signs.
func newestFirst(list []store.SigningKey) {
	slices.SortFunc(list, func(a, b store.SigningKey) int {
		return cmp.Or(start(b).Compare(start(a)), cmp.Compare(b.ID, a.ID))
	})
}

// State is where a key is in its life.
type State string

// The states of a key, in their order.
const (
	StateNext      State = "next"      // published, and will sign
	StateSigning   State = "signing"   // the one of its algorithm that signs
	StatePublished State = "published" // has signed
	StateRetired   State = "retired"   // no longer published
)

// stateOf is the state of a key at a moment, if no newer one of its algorithm signs.
func stateOf(notBefore, retire, now time.Time) State {
	switch {
	case !retire.IsZero() && !now.Before(retire):
		return StateRetired
	case now.Before(notBefore):
		return StateNext
	}
	return StateSigning
}

// Listed is a stored key and its state.
type Listed struct {
	store.SigningKey
	State State
}

// List says of stored keys what each is at a moment. It opens none.
func List(stored []store.SigningKey, now time.Time) []Listed {
	stored = slices.Clone(stored)
	newestFirst(stored)
	list, signing := make([]Listed, len(stored)), map[string]bool{}
	for i, k := range stored {
		state := stateOf(k.NotBefore, k.Retire, now)
		if state == StateSigning && signing[k.Alg] {
			state = StatePublished
		}
		signing[k.Alg] = signing[k.Alg] || state == StateSigning
		list[i] = Listed{k, state}
	}
	return list
}
