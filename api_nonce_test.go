package sallyport_test

import (
	"crypto/ecdsa"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/sallyport-id/sallyport/rp"
	"github.com/sallyport-id/sallyport/rs"
)

// TestNoncesOfAnAPI: rp, rs and the server together. The API asks for a nonce in each
// proof and signs who it is when it asks about tokens; a request takes a second try
// where the client does not have the nonce of the time, and no other does.
func TestNoncesOfAnAPI(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	now := r.clock.Now()
	r.clock.advance(now.Truncate(2 * time.Minute).Add(3 * time.Minute).Sub(now)) // the middle of a nonce's time
	key := r.signs("orders").key.Key.(*ecdsa.PrivateKey)
	tries := 0
	var api http.Handler
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		tries++
		api.ServeHTTP(w, req)
	}))
	t.Cleanup(server.Close)
	s, err := rs.New(t.Context(), rs.Config{
		Issuer: r.issuer, Resource: orders, ClientID: "orders", PrivateKey: key, KeyID: "1", Now: r.clock.Now,
		DPoP: rs.DPoPRequired, ExternalURL: server.URL, NonceKey: make([]byte, 32),
	})
	r.must(err)
	api = s.Protect(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}), rs.Scope("orders:read"))

	worker := r.relying("worker", func(c *rp.Config) { c.DPoPKey = r.holder().key })
	client := worker.HTTPClient(worker.ClientCredentials(t.Context(), orders))
	for _, step := range []struct {
		later time.Duration
		tries int
	}{{0, 2}, {0, 1}, {2 * time.Minute, 1}, {2 * time.Minute, 1}, {10 * time.Minute, 2}} {
		r.clock.advance(step.later)
		tries = 0
		res, err := client.Get(server.URL + "/list")
		r.must(err)
		res.Body.Close()
		if res.StatusCode != http.StatusOK || tries != step.tries {
			t.Errorf("after %v: got %s in %d tries, want %d", step.later, res.Status, tries, step.tries)
		}
	}
}
