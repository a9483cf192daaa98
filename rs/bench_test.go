package rs_test

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/sallyport-id/sallyport/rs"
)

// BenchmarkVerify measures Protect with a JWT whose key is known.
func BenchmarkVerify(b *testing.B) {
	for _, alg := range []string{"ES256", "RS256", "EdDSA"} {
		b.Run(alg, func(b *testing.B) {
			a := newAPI(b)
			a.SignWith(alg)
			benchmark(b, a, a.JWT(a.Claims(orders, "orders:read orders:write")))
		})
	}
}

// BenchmarkCachedIntrospection measures Protect with a token that the server was
// asked about a moment ago.
func BenchmarkCachedIntrospection(b *testing.B) {
	fixed := time.Now() // the answer must not grow old
	a := newAPI(b, func(c *rs.Config) { c.Now = func() time.Time { return fixed } })
	benchmark(b, a, a.Opaque(a.Claims(orders, "orders:read orders:write")))
}

func benchmark(b *testing.B, a api, token string) {
	h := a.Protect(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}), rs.Scope("orders:read"), rs.ACR(rs.ACR2FA, rs.AnyAge))
	r := httptest.NewRequest("GET", "/items", nil)
	r.Header.Set("Authorization", "Bearer "+token)
	b.ReportAllocs()
	for b.Loop() {
		w := httptest.NewRecorder()
		if h.ServeHTTP(w, r); w.Code != http.StatusOK {
			b.Fatal(w.Code)
		}
	}
}
