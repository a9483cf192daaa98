package keys_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/sallyport-id/sallyport/internal/keys"
	"github.com/sallyport-id/sallyport/internal/store"
	"github.com/sallyport-id/sallyport/internal/store/sqlstore"
)

var began = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)

// node is one of several processes on a store, with a clock of its own.
type node struct {
	*keys.Keeper
	t     testing.TB
	clock time.Time
}

func openStore(t testing.TB, path string) *sqlstore.Store {
	t.Helper()
	db, err := sqlstore.Open(t.Context(), sqlstore.Config{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

// nodes are so many processes that have just started, under the same master key.
func nodes(t testing.TB, n int, plan keys.Plan) []*node {
	t.Helper()
	path, seal := filepath.Join(t.TempDir(), "test.db"), sealer(t, make([]byte, keys.MasterKeySize))
	list := make([]*node, n)
	for i := range list {
		list[i] = newNode(t, openStore(t, path), seal, plan)
		if err := list[i].Start(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	return list
}

func newNode(t testing.TB, st store.Keys, seal *keys.Sealer, plan keys.Plan) *node {
	n := &node{t: t, clock: began}
	n.Keeper = &keys.Keeper{Store: st, Sealer: seal, Plan: plan, Now: func() time.Time { return n.clock }}
	return n
}

func (n *node) refresh() {
	n.t.Helper()
	if err := n.Refresh(n.t.Context()); err != nil {
		n.t.Fatal(err)
	}
}

func (n *node) rotateDue() []store.SigningKey {
	n.t.Helper()
	made, err := n.RotateDue(n.t.Context())
	if err != nil {
		n.t.Fatal(err)
	}
	return made
}

// signer is the kid that signs with an algorithm.
func (n *node) signer(alg string) string {
	n.t.Helper()
	k, ok := n.Ring.Load().Signer(alg)
	if !ok {
		n.t.Fatalf("nothing signs %s", alg)
	}
	return k.ID
}

func (n *node) kids() (list []string) {
	for _, k := range published(n.t, n.Ring.Load()).Keys {
		list = append(list, k.KeyID)
	}
	return list
}

func (n *node) list() []store.SigningKey {
	n.t.Helper()
	list, err := n.Store.SigningKeys(n.t.Context())
	if err != nil {
		n.t.Fatal(err)
	}
	return list
}

// step is how far a test goes at once: not far while keys come and go.
func (n *node) step(now time.Time) time.Duration {
	const near = 20 * time.Minute
	for _, k := range n.list() {
		for _, at := range []time.Time{k.CreatedAt, k.NotBefore, k.Retire} {
			if off := now.Sub(at); -near <= off && off <= near {
				return 140 * time.Second
			}
		}
	}
	return near
}

// signed is an ID token that is still of use.
type signed struct {
	at  time.Time
	kid string
	jws string
}

// TestRule30EveryTokenVerifiesThroughRotations: for weeks of rotations, two nodes
// whose clocks are as far apart as they may be sign; verifiers keep the key set of
// either for as long as they may. They verify what is signed at any moment, for as
// long as it is of use.
func TestRule30EveryTokenVerifiesThroughRotations(t *testing.T) {
	t.Parallel()
	const session, idToken = time.Hour, 10 * time.Minute
	random := rand.New(rand.NewPCG(1, 2))
	pair := nodes(t, 2, keys.NewPlan(keys.MinPeriod, session))
	type verifier struct {
		fetched time.Time
		kids    []string
	}
	verifiers := make([]verifier, 4)
	var tokens []signed
	used := map[string]bool{}
	for now := began; now.Before(began.Add(13 * 24 * time.Hour)); now = now.Add(pair[0].step(now)) {
		for i, n := range pair {
			n.clock = now.Add(time.Duration(2*i-1) * keys.MaxClockSkew / 2)
			if random.IntN(4) == 0 {
				n.rotateDue()
			}
		}
		signing := pair[random.IntN(2)]
		for i := range verifiers { // from a node that has not refreshed yet
			if v := &verifiers[i]; now.Sub(v.fetched) >= keys.JWKSMaxAge {
				*v = verifier{now, pair[random.IntN(2)].kids()}
			}
		}
		signing.refresh()
		kid := signing.signer(keys.EdDSA)
		used[kid] = true
		jws := sign(t, signing.Ring.Load(), keys.EdDSA, keys.TypeJWT)
		tokens = append(tokens, signed{now, kid, jws})
		for i, v := range verifiers {
			for _, token := range tokens {
				if now.Sub(token.at) <= idToken && !slices.Contains(v.kids, token.kid) {
					t.Fatalf("after %v verifier %d, whose keys are %v old, cannot verify a token of %v ago", now.Sub(began), i, now.Sub(v.fetched), now.Sub(token.at))
				}
			}
		}
		for now.Sub(tokens[0].at) > session {
			tokens = tokens[1:]
		}
		if _, err := signing.Ring.Load().Verify(tokens[0].jws, keys.EdDSA); err != nil {
			t.Fatalf("after %v a hint of a session that may still be there is refused: %v", now.Sub(began), err)
		}
		for _, n := range pair {
			n.refresh()
		}
	}
	if len(used) != 4 {
		t.Errorf("%d keys have signed, want 4 in 13 days of 4", len(used))
	}
	if n := len(pair[0].kids()); n > 6 {
		t.Errorf("%d keys are published at the end, want two of each algorithm at most", n)
	}
}

// TestRule30NextKeyWaits: longer than a key set may be kept and a node may not
// have looked; then it signs.
func TestRule30NextKeyWaits(t *testing.T) {
	t.Parallel()
	if least := keys.JWKSMaxAge + keys.RefreshEvery + keys.MaxClockSkew; keys.Lead <= least {
		t.Errorf("a key waits for %v, want more than %v", keys.Lead, least)
	}
	n := nodes(t, 1, keys.NewPlan(-1, time.Hour))[0]
	first := n.signer(keys.ES256)
	next, err := n.Rotate(t.Context(), keys.ES256)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := n.Rotate(t.Context(), keys.ES256); !errors.Is(err, keys.ErrWaiting) {
		t.Errorf("a second next key: %v, want ErrWaiting", err)
	}
	retired := began.Add(keys.Lead + 25*time.Hour)
	for _, c := range []struct {
		at        time.Time
		signs     string
		published int // with one each of the other algorithms
	}{
		{began, first, 4},
		{began.Add(keys.Lead - 1), first, 4},
		{began.Add(keys.Lead), next.ID, 4},
		{retired.Add(-1), next.ID, 4},
		{retired, next.ID, 3},
	} {
		n.clock = c.at
		n.refresh()
		if got := n.signer(keys.ES256); got != c.signs || len(n.kids()) != c.published {
			t.Errorf("after %v %s signs, %d are published; want %s, %d", c.at.Sub(began), got, len(n.kids()), c.signs, c.published)
		}
	}
}

// TestScheduledRotation: at the period's end the next key signs, in every
// algorithm, and a keeper that is told never to rotate does not.
func TestScheduledRotation(t *testing.T) {
	t.Parallel()
	n := nodes(t, 1, keys.NewPlan(keys.DefaultPeriod, time.Hour))[0]
	n.clock = began.Add(keys.DefaultPeriod - keys.Lead - time.Millisecond)
	if made := n.rotateDue(); len(made) != 0 {
		t.Errorf("before its time: got %d keys", len(made))
	}
	n.Plan.Period = -1
	n.clock = n.clock.Add(time.Millisecond)
	if made := n.rotateDue(); len(made) != 0 {
		t.Errorf("without a period: got %d keys", len(made))
	}
	n.Plan.Period = keys.DefaultPeriod
	made := n.rotateDue()
	if len(made) != 3 {
		t.Fatalf("got %d keys, want one of each algorithm", len(made))
	}
	if again := n.rotateDue(); len(again) != 0 {
		t.Errorf("again: got %d keys, want none", len(again))
	}
	n.clock = began.Add(keys.DefaultPeriod)
	n.refresh()
	for _, k := range made {
		if got := n.signer(k.Alg); got != k.ID {
			t.Errorf("%s: %s signs after the period, want the next key %s", k.Alg, got, k.ID)
		}
	}
}

// TestNodesMakeOneNextKey: of many that find it due at once.
func TestNodesMakeOneNextKey(t *testing.T) {
	t.Parallel()
	crowd := nodes(t, 8, keys.NewPlan(keys.MinPeriod, time.Hour))
	var done sync.WaitGroup
	made := make([]int, len(crowd))
	for i, n := range crowd {
		n.clock = began.Add(keys.MinPeriod)
		done.Go(func() { made[i] = len(n.rotateDue()) })
	}
	done.Wait()
	sum := 0
	for _, n := range made {
		sum += n
	}
	if list := crowd[0].list(); sum != 3 || len(list) != 6 {
		t.Errorf("%d keys were made, %d are stored; want one next key of each algorithm, 3 and 6", sum, len(list))
	}
}

// TestEmergency: every key of the algorithm leaves at once, the one that waits,
// too, on a node whose clock is slow as well; others stay.
func TestEmergency(t *testing.T) {
	t.Parallel()
	pair := nodes(t, 2, keys.NewPlan(-1, time.Hour))
	one, slow := pair[0], pair[1]
	jws, other := sign(t, one.Ring.Load(), keys.RS256, keys.TypeJWT), one.signer(keys.ES256)
	if _, err := one.Rotate(t.Context(), keys.RS256); err != nil {
		t.Fatal(err)
	}
	fresh, err := one.RotateAtOnce(t.Context(), keys.RS256)
	if err != nil {
		t.Fatal(err)
	}
	slow.clock = began.Add(-keys.MaxClockSkew)
	for _, n := range pair {
		n.refresh()
		if got := n.signer(keys.RS256); got != fresh.ID {
			t.Errorf("%s signs, want the new key %s", got, fresh.ID)
		}
		if got := n.kids(); len(got) != 3 {
			t.Errorf("published: %v, want one key of each algorithm", got)
		}
		if _, err := n.Ring.Load().Verify(jws, keys.RS256); !errors.Is(err, keys.ErrSignature) {
			t.Errorf("what the old key signed: %v, want ErrSignature", err)
		}
		if got := n.signer(keys.ES256); got != other {
			t.Errorf("%s signs ES256, want %s as before", got, other)
		}
	}
	if _, err := one.Rotate(t.Context(), keys.RS256); err != nil {
		t.Errorf("a planned rotation after it: %v", err)
	}
}

// TestKeyOfAnotherMasterKey neither signs nor is published; what the store says of
// the others is taken up, above all that one is gone.
func TestKeyOfAnotherMasterKey(t *testing.T) {
	t.Parallel()
	n := nodes(t, 1, keys.NewPlan(-1, time.Hour))[0]
	ahead := newNode(t, n.Store, sealer(t, keys.NewMasterKey()), n.Plan)
	if err := ahead.Start(t.Context()); !errors.Is(err, keys.ErrMasterKey) {
		t.Errorf("start with another master key: %v, want ErrMasterKey", err)
	}
	if _, err := ahead.RotateAtOnce(t.Context(), keys.EdDSA); err != nil {
		t.Fatal(err)
	}
	if err := n.Refresh(t.Context()); !errors.Is(err, keys.ErrMasterKey) || !errors.Is(n.Err(), keys.ErrMasterKey) {
		t.Errorf("refresh: %v, Err: %v; want ErrMasterKey", err, n.Err())
	}
	if k, ok := n.Ring.Load().Signer(keys.EdDSA); ok {
		t.Errorf("%s signs, though it was taken away", k.ID)
	}
	n.signer(keys.RS256)
	if _, err := n.RotateAtOnce(t.Context(), keys.EdDSA); err != nil {
		t.Fatal(err)
	}
	n.refresh()
	if n.Err() != nil || len(n.kids()) != 3 {
		t.Errorf("afterwards: %v, %d keys; want none, 3", n.Err(), len(n.kids()))
	}
}

// TestStatesOfKeys: as an operator sees them.
func TestStatesOfKeys(t *testing.T) {
	t.Parallel()
	at := func(hours int) time.Time { return began.Add(time.Duration(hours) * time.Hour) }
	stored := []store.SigningKey{
		{ID: "old", Alg: "ES256", CreatedAt: at(-90), Retire: at(0)},
		{ID: "before", Alg: "ES256", CreatedAt: at(-80), NotBefore: at(-40), Retire: at(1)},
		{ID: "now", Alg: "ES256", CreatedAt: at(-40), NotBefore: at(-1), Retire: at(60)},
		{ID: "next", Alg: "ES256", CreatedAt: at(-1), NotBefore: at(47)},
		{ID: "rsa", Alg: "RS256", CreatedAt: at(-500)},
	}
	want := map[string]keys.State{
		"old": keys.StateRetired, "before": keys.StatePublished, "now": keys.StateSigning, "next": keys.StateNext, "rsa": keys.StateSigning,
	}
	for _, k := range keys.List(stored, began) {
		if k.State != want[k.ID] {
			t.Errorf("%s: got %s, want %s", k.ID, k.State, want[k.ID])
		}
	}
	if stored[0].ID != "old" {
		t.Error("List changed its argument")
	}
}

// BenchmarkRefresh is what a process does every RefreshEvery, with as many keys as
// there are in the middle of a rotation.
func BenchmarkRefresh(b *testing.B) {
	n := nodes(b, 1, keys.NewPlan(keys.MinPeriod, time.Hour))[0]
	n.clock = began.Add(keys.MinPeriod)
	n.rotateDue()
	b.ReportAllocs()
	for b.Loop() {
		if err := n.Refresh(context.Background()); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkStart is a first start: a key of each algorithm.
func BenchmarkStart(b *testing.B) {
	for b.Loop() {
		nodes(b, 1, keys.NewPlan(-1, time.Hour))
	}
}
