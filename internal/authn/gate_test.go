package authn

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
)

// TestRule21KnownBrowsersHaveALane: however many strangers wait, the first known
// browser is served after at most one of them.
func TestRule21KnownBrowsersHaveALane(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := &gate{free: 1, longest: 8}
		if err := g.enter(t.Context(), false); err != nil {
			t.Fatal(err)
		}
		var mu sync.Mutex
		var served []string
		wait := func(name string, known bool) {
			go func() {
				if err := g.enter(t.Context(), known); err != nil {
					t.Errorf("%s: %v", name, err)
					return
				}
				mu.Lock()
				served = append(served, name)
				mu.Unlock()
				g.leave()
			}()
			synctest.Wait()
		}
		for i := range 4 {
			wait(fmt.Sprint("stranger", i), false)
		}
		wait("known0", true)
		wait("known1", true)
		g.leave()
		synctest.Wait()
		want := []string{"stranger0", "known0", "stranger1", "known1", "stranger2", "stranger3"}
		if !slices.Equal(served, want) {
			t.Errorf("served %v, want %v", served, want)
		}
		if g.free != 1 {
			t.Errorf("%d places are free at the end, want 1", g.free)
		}
	})
}

func TestFullLaneIsBusy(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := &gate{free: 1, longest: 2}
		ctx, cancel := context.WithCancel(t.Context())
		if err := g.enter(ctx, false); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			go g.enter(ctx, false)
		}
		synctest.Wait()
		if err := g.enter(ctx, false); !errors.Is(err, ErrBusy) {
			t.Errorf("a third stranger in a lane of two: %v, want ErrBusy", err)
		}
		go func() {
			if err := g.enter(ctx, true); !errors.Is(err, context.Canceled) {
				t.Errorf("a known browser beside a full lane: %v, want to wait until cancelled", err)
			}
		}()
		synctest.Wait()
		cancel()
		synctest.Wait()
		g.leave()
		if g.free != 1 || len(g.lanes[0])+len(g.lanes[1]) != 0 {
			t.Errorf("after all gave up: %d free, %d waiting; want 1, 0", g.free, len(g.lanes[0])+len(g.lanes[1]))
		}
		if err := g.enter(ctx, false); !errors.Is(err, context.Canceled) || g.free != 1 {
			t.Errorf("a cancelled caller: %v, %d free; want its error and 1", err, g.free)
		}
	})
}

// TestGiverUpPassesItsTurnOn: a caller who gives up in the moment it is called
// does not take the place with it.
func TestGiverUpPassesItsTurnOn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := &gate{free: 1, longest: 8}
		if err := g.enter(t.Context(), false); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		go func() {
			if err := g.enter(ctx, false); !errors.Is(err, context.Canceled) {
				t.Errorf("who gave up: %v, want context.Canceled", err)
			}
		}()
		synctest.Wait()
		g.mu.Lock()
		cancel()
		g.pass()
		g.mu.Unlock()
		synctest.Wait()
		if g.free != 1 {
			t.Errorf("%d places are free at the end, want 1", g.free)
		}
	})
}

// TestGateLosesNoPlace: never more at once than places, and all places are there
// at the end, although callers give up at any moment.
func TestGateLosesNoPlace(t *testing.T) {
	t.Parallel()
	g := &gate{free: 3, longest: 100}
	var inside, most atomic.Int64
	var group sync.WaitGroup
	for i := range 64 {
		group.Go(func() {
			for j := range 200 {
				ctx, cancel := context.WithCancel(t.Context())
				if (i+j)%3 == 0 {
					go cancel()
				}
				if g.enter(ctx, i%2 == 0) == nil {
					n := inside.Add(1)
					for old := most.Load(); n > old && !most.CompareAndSwap(old, n); old = most.Load() {
					}
					inside.Add(-1)
					g.leave()
				}
				cancel()
			}
		})
	}
	group.Wait()
	if g.free != 3 || most.Load() > 3 {
		t.Errorf("%d places free at the end, %d used at once; want 3, at most 3", g.free, most.Load())
	}
}

// TestHasherStats: who computes, who waits in which lane, and who was refused.
func TestHasherStats(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := NewHasher(HasherConfig{Memory: 8, Time: 1, Concurrent: 1, Queue: 2})
		turn, err := h.Turn(t.Context(), false)
		if err != nil {
			t.Fatal(err)
		}
		var waiting sync.WaitGroup
		for _, known := range []bool{false, false, true} {
			waiting.Go(func() {
				turn, err := h.Turn(t.Context(), known)
				if err != nil {
					t.Error(err)
					return
				}
				turn.End()
			})
		}
		synctest.Wait()
		if _, err := h.Turn(t.Context(), false); !errors.Is(err, ErrBusy) {
			t.Errorf("a third in line: got %v, want ErrBusy", err)
		}
		if got, want := h.Stats(), (HasherStats{Running: 1, Waiting: 2, WaitingKnown: 1, Refused: 1}); got != want {
			t.Errorf("got %+v, want %+v", got, want)
		}
		turn.VerifyDummy("x")
		turn.End()
		waiting.Wait()
		if got, want := h.Stats(), (HasherStats{Done: 1, Refused: 1}); got != want {
			t.Errorf("at the end: got %+v, want %+v", got, want)
		}
	})
}
