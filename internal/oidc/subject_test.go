package oidc_test

import (
	"strings"
	"testing"

	"github.com/sallyport-id/sallyport/internal/oidc"
)

func TestSectorOf(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ uris, want, problem string }{
		{"https://shop.example/cb", "shop.example", ""},
		{"https://Shop.example/cb https://shop.example:8443/other", "shop.example", ""},
		{"https://[2001:db8::1]/cb", "2001:db8::1", ""},
		{"https://shop.example/cb https://www.shop.example/cb", "", "several hosts"},
		{"http://127.0.0.1/cb", "", "own machine"},
		{"http://localhost:8000/cb", "", "own machine"},
		{"com.example.app:/cb", "", "own machine"},
		{"", "", "no redirect URI"},
	} {
		got, err := oidc.SectorOf(strings.Fields(c.uris))
		if got != c.want || (err == nil) != (c.problem == "") || err != nil && !strings.Contains(err.Error(), c.problem) {
			t.Errorf("%s: got %q, %v; want %q, %q", c.uris, got, err, c.want, c.problem)
		}
	}
}

func TestValidateSubject(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		kind, sector string
		good         bool
	}{
		{"", "", true}, {"public", "", true}, {"pairwise", "shop.example", true}, {"pairwise", "xn--oi2b43d.example", true},
		{"pairwise", "192.0.2.1", true}, {"pairwise", "2001:db8::1", true},
		{"pairwise", "", false}, {"public", "shop.example", false}, {"", "shop.example", false}, {"ephemeral", "", false},
		{"pairwise", "Shop.example", false}, {"pairwise", "https://shop.example", false}, {"pairwise", "shop.example:443", false},
		{"pairwise", "shop.example.", false}, {"pairwise", "shop..example", false}, {"pairwise", "상점.example", false},
		{"pairwise", "shop.example\x00", false}, {"pairwise", "2001:DB8::1", false}, {"pairwise", strings.Repeat("a", 254), false},
	} {
		client := shop()
		client.SubjectType, client.Sector = c.kind, c.sector
		if err := client.Validate(); (err == nil) != c.good {
			t.Errorf("%q of %q: got %v, want good %v", c.kind, c.sector, err, c.good)
		}
	}
}
