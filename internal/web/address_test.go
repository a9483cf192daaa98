package web

import (
	"net/http/httptest"
	"net/netip"
	"testing"
)

// TestAddress: nobody but a trusted proxy says whose request it is, and it is
// believed no further than its own last word.
func TestAddress(t *testing.T) {
	t.Parallel()
	proxies := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("::1/128")}
	for _, c := range []struct {
		name, peer string
		forwarded  []string
		want       string
	}{
		{"no proxy", "192.0.2.1:5", nil, "192.0.2.1"},
		{"a visitor who claims", "192.0.2.1:5", []string{"203.0.113.9"}, "192.0.2.1"},
		{"a proxy that says nothing", "10.0.0.1:5", nil, "10.0.0.1"},
		{"a proxy", "10.0.0.1:5", []string{"192.0.2.1"}, "192.0.2.1"},
		{"a proxy in IPv6 clothes", "[::ffff:10.0.0.1]:5", []string{"::ffff:192.0.2.1"}, "192.0.2.1"},
		{"two proxies", "[::1]:5", []string{"192.0.2.1, 10.0.0.2"}, "192.0.2.1"},
		{"two lines", "[::1]:5", []string{"192.0.2.1", "10.0.0.2"}, "192.0.2.1"},
		{"a visitor who claims before a proxy", "10.0.0.1:5", []string{"203.0.113.9, 192.0.2.1"}, "192.0.2.1"},
		{"a visitor who claims to be a proxy", "10.0.0.1:5", []string{"203.0.113.9, 10.0.0.7, 192.0.2.1"}, "192.0.2.1"},
		{"nobody but proxies", "10.0.0.1:5", []string{"10.0.0.3, 10.0.0.2"}, "10.0.0.3"},
		{"with ports", "10.0.0.1:5", []string{"[2001:db8::1]:443, 10.0.0.2:80"}, "2001:db8::1"},
		{"in brackets", "10.0.0.1:5", []string{"[2001:db8::1]"}, "2001:db8::1"},
		{"with a zone", "10.0.0.1:5", []string{"fe80::1%eth0"}, "fe80::1"},
		{"nonsense", "10.0.0.1:5", []string{"192.0.2.1, unknown"}, "10.0.0.1"},
		{"nonsense behind a proxy", "10.0.0.1:5", []string{"unknown, 10.0.0.2"}, "10.0.0.2"},
		{"empty", "10.0.0.1:5", []string{""}, "10.0.0.1"},
		{"an empty element", "10.0.0.1:5", []string{"192.0.2.1,"}, "10.0.0.1"},
		{"no peer", "@", []string{"192.0.2.1"}, "0.0.0.0"},
	} {
		r := httptest.NewRequest("GET", "/", nil)
		r.RemoteAddr = c.peer
		for _, line := range c.forwarded {
			r.Header.Add("X-Forwarded-For", line)
		}
		s := &server{Config: Config{TrustedProxies: proxies}}
		if got := s.address(r); got.String() != c.want {
			t.Errorf("%s: got %s, want %s", c.name, got, c.want)
		}
	}
}

// FuzzAddress: whatever a visitor sends through one trusted proxy, which adds the
// address that it sees, it is that address.
func FuzzAddress(f *testing.F) {
	for _, seed := range []string{"", "203.0.113.9", "10.0.0.2", "10.0.0.2,", "[::1]:9, 10.0.0.3", "unknown", "::ffff:10.0.0.1"} {
		f.Add(seed)
	}
	s := &server{Config: Config{TrustedProxies: []netip.Prefix{netip.MustParsePrefix("10.0.0.1/32")}}}
	f.Fuzz(func(t *testing.T, claimed string) {
		r := httptest.NewRequest("GET", "/", nil)
		r.RemoteAddr = "10.0.0.1:5"
		r.Header["X-Forwarded-For"] = []string{claimed + ", 192.0.2.1"}
		if got := s.address(r); got.String() != "192.0.2.1" {
			t.Errorf("%q: got %s", claimed, got)
		}
	})
}
