package web

import (
	"encoding/binary"
	"net/netip"
	"testing"
	"time"
)

// TestRule21LimiterIsBounded: a flood from many networks takes no more memory than
// is meant for it, and an address that asked too much stays limited.
func TestRule21LimiterIsBounded(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 27, 12, 0, 0, 0, time.UTC)
	l := newLimiter("pages", Rate{Burst: 10, Every: time.Minute}, func() time.Time { return now })
	greedy := netip.MustParseAddr("192.0.2.1")
	for l.take(greedy) == 0 {
	}
	for i := range 3 * limiterSize {
		var b [16]byte
		binary.BigEndian.PutUint32(b[4:], uint32(i)) // a /64 each
		if wait := l.take(netip.AddrFrom16(b)); wait != 0 {
			t.Fatalf("address %d: got %v to wait, want none", i, wait)
		}
	}
	if n := len(l.empty); n > limiterSize {
		t.Errorf("got %d addresses, want at most %d", n, limiterSize)
	}
	if l.take(greedy) == 0 {
		t.Error("the flood made the limiter forget who asked too much")
	}
}

// TestRule21LimitsCountNetworks: what one subscriber has counts as one address.
func TestRule21LimitsCountNetworks(t *testing.T) {
	t.Parallel()
	l := newLimiter("pages", Rate{Burst: 1, Every: time.Minute}, time.Now)
	for _, c := range []struct {
		address string
		limited bool
	}{
		{"2001:db8::1", false},
		{"2001:db8::2", true},
		{"2001:db8:0:0:ffff:ffff:ffff:ffff", true},
		{"2001:db8:0:1::1", false},
		{"fe80::1%eth0", false},
		{"fe80::2%eth1", true},
		{"192.0.2.1", false},
		{"192.0.2.2", false},
		{"192.0.2.1", true},
	} {
		if got := l.take(netip.MustParseAddr(c.address)) > 0; got != c.limited {
			t.Errorf("%s: limited is %v, want %v", c.address, got, c.limited)
		}
	}
}
