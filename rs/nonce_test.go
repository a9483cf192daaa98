package rs_test

import (
	"bytes"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/sallyport-id/sallyport/rs"
	"github.com/sallyport-id/sallyport/rs/rstest"
)

// withNonces is an API that asks for nonces, a key and a token bound to it.
func withNonces(t *testing.T) bound {
	b := bound{key: rstest.NewKey("ES256"), api: newAPI(t, func(c *rs.Config) {
		c.DPoP, c.NonceKey = rs.DPoPAllowed, bytes.Repeat([]byte{1}, 32)
	})}
	b.token = b.JWT(b.claims(b.key))
	return b
}

func (b bound) sendNonce(nonce string) *httptest.ResponseRecorder {
	b.t.Helper()
	return b.send("DPoP "+b.token, b.key.ProofWithNonce("GET", itemsURL, b.token, nonce, b.Now()))
}

// TestDPoPNonces: a proof without a nonce, or with an old one, is told the newest.
func TestDPoPNonces(t *testing.T) {
	t.Parallel()
	b := withNonces(t)
	b.Advance(b.Now().Truncate(2 * time.Minute).Add(3 * time.Minute).Sub(b.Now())) // the middle of a period
	b.token = b.JWT(b.claims(b.key))
	refused := b.sendNonce("")
	b.wantDPoPRefused("no nonce", refused, "use_dpop_nonce")
	nonce := refused.Header().Get("DPoP-Nonce")
	for range 2 {
		accepted := b.sendNonce(nonce)
		b.wantAccepted("the nonce", accepted)
		if accepted.Header().Get("DPoP-Nonce") == "" {
			t.Error("the answer has no nonce for the next request")
		}
	}
	b.wantDPoPRefused("a made-up nonce", b.sendNonce("AAAA"), "use_dpop_nonce")
	b.Advance(2 * time.Minute)
	accepted := b.sendNonce(nonce)
	b.wantAccepted("the nonce before", accepted)
	next := accepted.Header().Get("DPoP-Nonce")
	if next == nonce || next == "" {
		t.Errorf("after two minutes: got the nonce %q again", next)
	}
	b.Advance(2 * time.Minute)
	b.wantDPoPRefused("an old nonce", b.sendNonce(nonce), "use_dpop_nonce")
	b.wantAccepted("the next nonce", b.sendNonce(next))
	ahead := b.sendNonce(next).Header().Get("DPoP-Nonce")
	b.Advance(-4 * time.Minute)
	b.wantDPoPRefused("a nonce of the future", b.sendNonce(ahead), "use_dpop_nonce")
}

// TestDPoPNoncesOfOthers: another key makes other nonces, and who is no holder of the
// token learns none.
func TestDPoPNoncesOfOthers(t *testing.T) {
	t.Parallel()
	b := withNonces(t)
	other := newAPI(t, func(c *rs.Config) { c.DPoP, c.NonceKey = rs.DPoPAllowed, bytes.Repeat([]byte{2}, 32) })
	o := bound{api: other, key: b.key}
	o.token = o.JWT(o.claims(o.key))
	b.wantDPoPRefused("another API's nonce", b.sendNonce(o.sendNonce("").Header().Get("DPoP-Nonce")), "use_dpop_nonce")

	thief := rstest.NewKey("ES256")
	w := b.send("DPoP "+b.token, thief.Proof("GET", itemsURL, b.token, b.Now()))
	b.wantDPoPRefused("a thief", w, "invalid_token")
	bearer := b.bearer(b.JWT(b.Claims(orders, "")))
	b.wantAccepted("a token that is not bound", bearer)
	for what, w := range map[string]*httptest.ResponseRecorder{"a thief": w, "a bearer": bearer, "nobody": b.get(nil)} {
		if got := w.Header().Get("DPoP-Nonce"); got != "" {
			t.Errorf("%s got the nonce %q", what, got)
		}
	}
}
