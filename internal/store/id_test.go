package store_test

import (
	"testing"

	"github.com/sallyport-id/sallyport/internal/store"
)

// TestIDsAscend: also within a millisecond.
func TestIDsAscend(t *testing.T) {
	t.Parallel()
	last := ""
	for range 10_000 {
		id := store.NewID()
		if len(id) != 26 || id <= last {
			t.Fatalf("got %q after %q", id, last)
		}
		last = id
	}
}

// TestSecretsAreStoredAsHashes: 256 bits, never the same.
func TestSecretsAreStoredAsHashes(t *testing.T) {
	t.Parallel()
	a, hash := store.NewSecret()
	b, _ := store.NewSecret()
	if len(a) != 43 || a == b || string(store.HashSecret(a)) != string(hash) || len(hash) != 32 {
		t.Errorf("got %q %q %x", a, b, hash)
	}
}

func BenchmarkNewID(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		store.NewID()
	}
}
