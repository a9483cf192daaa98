package keys

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sallyport-id/sallyport/internal/store"
)

// Keeper keeps a ring as the stored keys say, makes the first ones and rotates
// them. Several processes may do all of it on one store.
type Keeper struct {
	Store  store.Keys
	Sealer *Sealer
	Plan   Plan
	Now    func() time.Time
	Ring   Ring
	// Operator is who acts, for the audit log; "" for a server that does it itself.
	Operator string

	mu     sync.Mutex
	opened map[string]*Key // by kid; under mu

	failure atomic.Pointer[error] // of the last refresh
}

// Start makes the first key of each algorithm that has none, and loads all. A key
// that cannot be opened is an error. RSA takes a while, so they are made at once.
func (k *Keeper) Start(ctx context.Context) error {
	stored, err := k.Store.SigningKeys(ctx)
	if err != nil {
		return fmt.Errorf("keys: load: %w", err)
	}
	var made sync.WaitGroup
	errs := make([]error, len(algs))
	for i, alg := range algs {
		if !slices.ContainsFunc(stored, func(sk store.SigningKey) bool { return sk.Alg == alg }) {
			made.Go(func() { errs[i] = k.makeFirst(ctx, alg) })
		}
	}
	made.Wait()
	if err := errors.Join(errs...); err != nil {
		return err
	}
	return k.Refresh(ctx)
}

func (k *Keeper) makeFirst(ctx context.Context, alg string) error {
	first := store.SigningKey{Alg: alg, CreatedAt: k.Now()}
	if err := k.generate(&first); err != nil {
		return err
	}
	if err := k.Store.AddFirstSigningKey(ctx, first, k.event(store.EventKeyCreated, first.CreatedAt, alg+" "+first.ID)); err != nil && !errors.Is(err, store.ErrExists) {
		return fmt.Errorf("keys: store: %w", err)
	}
	return nil
}

// generate makes the private key of a key.
func (k *Keeper) generate(sk *store.SigningKey) error {
	made, err := GenerateKey(sk.Alg)
	if err != nil {
		return err
	}
	der, err := made.MarshalPrivate()
	if err != nil {
		return fmt.Errorf("keys: marshal: %w", err)
	}
	sk.ID = made.ID
	if sk.Sealed, err = k.Sealer.Seal(der, keyPlace(sk.ID)); err != nil {
		return fmt.Errorf("keys: seal: %w", err)
	}
	return nil
}

func keyPlace(id string) Place { return Place{Table: "signing_keys", Column: "sealed", Row: id} }

// Refresh makes the ring what the stored keys are at this moment. One that cannot
// be opened neither signs nor is published, and is an error unless it is retired;
// what the store says of the others holds all the same.
func (k *Keeper) Refresh(ctx context.Context) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	err := k.refresh(ctx)
	k.failure.Store(&err)
	return err
}

// Err is nil, or why the last refresh failed. It does not wait for one under way.
func (k *Keeper) Err() error {
	if err := k.failure.Load(); err != nil {
		return *err
	}
	return nil
}

func (k *Keeper) refresh(ctx context.Context) error {
	stored, err := k.Store.SigningKeys(ctx)
	if err != nil {
		return fmt.Errorf("keys: load: %w", err)
	}
	now := k.Now()
	newestFirst(stored)
	list, failed := k.open(slices.DeleteFunc(stored, func(sk store.SigningKey) bool {
		return stateOf(sk.NotBefore, sk.Retire, now) == StateRetired
	}))
	set, err := SetAt(list, now)
	if err != nil {
		return err
	}
	k.Ring.Replace(set)
	return failed
}

// open opens those that were not opened before, and forgets those that are gone.
func (k *Keeper) open(stored []store.SigningKey) (list []*Key, err error) {
	opened := make(map[string]*Key, len(stored))
	for _, sk := range stored {
		key, known := k.opened[sk.ID]
		if !known {
			var failed error
			if key, failed = k.openKey(sk); failed != nil {
				err = errors.Join(err, failed)
				continue
			}
		}
		// A set that is in use has the key, so its times change in a copy.
		timed := *key
		timed.CreatedAt, timed.NotBefore, timed.Retire = sk.CreatedAt, sk.NotBefore, sk.Retire
		opened[sk.ID] = &timed
		list = append(list, &timed)
	}
	k.opened = opened
	return list, err
}

func (k *Keeper) openKey(sk store.SigningKey) (*Key, error) {
	der, err := k.Sealer.Open(sk.Sealed, keyPlace(sk.ID))
	if err != nil {
		return nil, fmt.Errorf("keys: signing key %s: %w", sk.ID, err)
	}
	return ParsePrivate(sk.Alg, der)
}

// RotateDue publishes the next key of each algorithm whose time has come, and
// returns those that this process made.
func (k *Keeper) RotateDue(ctx context.Context) (made []store.SigningKey, err error) {
	for _, alg := range algs {
		newest, err := k.newest(ctx, alg)
		if err != nil {
			return made, err
		}
		if !k.Plan.due(newest, k.Now()) {
			continue
		}
		next, err := k.rotate(ctx, k.Plan.next(newest, k.Now()), store.EventKeyRotated)
		switch {
		case err == nil:
			made = append(made, next)
		case !errors.Is(err, store.ErrStale): // then another process was first
			return made, err
		}
	}
	return made, nil
}

// ErrWaiting: the next key is published already, and does not sign yet.
var ErrWaiting = errors.New("keys: the next key is published already")

// Rotate publishes the next key of an algorithm, which signs after Lead. ErrWaiting
// if there is one.
func (k *Keeper) Rotate(ctx context.Context, alg string) (next store.SigningKey, err error) {
	newest, err := k.newest(ctx, alg)
	if err != nil {
		return next, err
	}
	next, err = k.rotate(ctx, k.Plan.next(newest, k.Now()), store.EventKeyRotated)
	if errors.Is(err, store.ErrStale) {
		return next, ErrWaiting
	}
	return next, err
}

// RotateAtOnce takes every key of an algorithm away, the next one, too, and makes
// one that signs from now on. What the old ones signed verifies no more.
func (k *Keeper) RotateAtOnce(ctx context.Context, alg string) (next store.SigningKey, err error) {
	const tries = 10 // others may rotate meanwhile; their keys go, too
	for range tries {
		newest, err := k.newest(ctx, alg)
		if err != nil {
			return next, err
		}
		next, err = k.rotate(ctx, emergency(newest, k.Now()), store.EventKeyReplaced)
		if !errors.Is(err, store.ErrStale) {
			return next, err
		}
	}
	return next, fmt.Errorf("keys: others rotate %s without end: %w", alg, store.ErrStale)
}

// newest is the key of an algorithm whose end is not planned.
func (k *Keeper) newest(ctx context.Context, alg string) (store.SigningKey, error) {
	stored, err := k.Store.SigningKeys(ctx)
	if err != nil {
		return store.SigningKey{}, fmt.Errorf("keys: load: %w", err)
	}
	newestFirst(stored)
	for _, sk := range stored {
		if sk.Alg == alg && sk.Retire.IsZero() {
			return sk, nil
		}
	}
	return store.SigningKey{}, fmt.Errorf("keys: there is no key for %s", alg)
}

func (k *Keeper) rotate(ctx context.Context, r store.Rotation, event string) (store.SigningKey, error) {
	if err := k.generate(&r.Next); err != nil {
		return store.SigningKey{}, err
	}
	r.Events = []store.Event{k.event(event, r.Now, r.Next.Alg+" "+r.Replaces+" "+r.Next.ID)}
	if err := k.Store.RotateSigningKey(ctx, r); err != nil {
		return store.SigningKey{}, fmt.Errorf("keys: rotate %s: %w", r.Next.Alg, err)
	}
	return r.Next, nil
}

func (k *Keeper) event(kind string, at time.Time, detail string) store.Event {
	return store.Event{At: at, Type: kind, Actor: k.Operator, Detail: detail}
}
