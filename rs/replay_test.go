package rs

import (
	"crypto/sha256"
	"errors"
	"strconv"
	"testing"
	"time"
)

func name(i int) [sha256.Size]byte { return sha256.Sum256([]byte(strconv.Itoa(i))) }

// TestMemoryKeepsProofsAsLongAsTheyAreGood: whenever a proof comes, it is known until
// no proof of its time is good; and some time later it is gone.
func TestMemoryKeepsProofsAsLongAsTheyAreGood(t *testing.T) {
	t.Parallel()
	now := time.Unix(1e9, 0)
	m := &memory{now: func() time.Time { return now }, most: 1000}
	used := map[int]time.Time{}
	for i := range 2000 {
		now = now.Add(time.Duration(i%7) * time.Second)
		if first, err := m.Use(t.Context(), name(i), now); !first || err != nil {
			t.Fatalf("%d: got %t, %v", i, first, err)
		}
		used[i] = now
		for j := i; j >= 0 && now.Sub(used[j]) < longestProof; j-- {
			if first, _ := m.Use(t.Context(), name(j), now); first {
				t.Fatalf("%d was forgotten after %v", j, now.Sub(used[j]))
			}
		}
	}
	if got := len(m.young) + len(m.old); got > 200 {
		t.Errorf("%d are remembered", got)
	}
	now = now.Add(2 * longestProof)
	m.turn(now)
	if got := len(m.young) + len(m.old); got != 0 {
		t.Errorf("%d are remembered after all ended", got)
	}
}

// TestFullMemoryForgetsNothing: flooding it lets no proof pass twice.
func TestFullMemoryForgetsNothing(t *testing.T) {
	t.Parallel()
	now := time.Unix(1e9, 0)
	m := &memory{now: func() time.Time { return now }, most: 1000}
	for i := range 1000 {
		if first, err := m.Use(t.Context(), name(i), now); !first || err != nil {
			t.Fatalf("%d: got %t, %v", i, first, err)
		}
	}
	if first, err := m.Use(t.Context(), name(1000), now); first || !errors.Is(err, errManyProofs) {
		t.Errorf("one more: got %t, %v", first, err)
	}
	if first, err := m.Use(t.Context(), name(0), now); first || err != nil {
		t.Errorf("the first again: got %t, %v", first, err)
	}
	now = now.Add(2 * longestProof)
	if first, err := m.Use(t.Context(), name(1000), now); !first || err != nil {
		t.Errorf("later: got %t, %v", first, err)
	}
}
