package sallyport_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/sallyport-id/sallyport/rs"
)

// TestBoundTokensAtAnAPI: rs takes a token that the server bound to a key with the
// proof of that key, asked about or verified, and without it not at all.
func TestBoundTokensAtAnAPI(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.addJWTAPI(signer, "EdDSA", "robot")
	for resource, c := range map[string]struct{ api, client, scope string }{orders: {"orders", "worker", "orders:read"}, signer: {"signer", "robot", "sign"}} {
		s, err := rs.New(t.Context(), rs.Config{
			Issuer: r.issuer, Resource: resource, ClientID: c.api, ClientSecret: r.secret[c.api], Now: r.clock.Now, DPoP: rs.DPoPAllowed,
		})
		r.must(err)
		api := s.Protect(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Write([]byte(rs.FromContext(r.Context()).Confirmation))
		}), rs.Scope(c.scope))
		h, thief := r.holder(), r.holder()
		got, _ := h.sends(c.client, url.Values{"grant_type": {"client_credentials"}, "resource": {resource}}, h.proof("POST", "/token"))
		proofBy := func(h *holder) string {
			return h.proof("GET", "", "htu", resource+"list", "ath", ath(got.Access))
		}
		proof := proofBy(h)
		for _, try := range []struct {
			name, scheme, proof string
			status              int
			says                string
		}{
			{"with its key", "DPoP", proof, 200, h.thumbprint()},
			{"the same proof again", "DPoP", proof, 401, "invalid_dpop_proof"},
			{"another proof", "DPoP", proofBy(h), 200, h.thumbprint()},
			{"as Bearer", "Bearer", proofBy(h), 401, "invalid_token"},
			{"without a proof", "DPoP", "", 401, "invalid_dpop_proof"},
			{"with another key", "DPoP", proofBy(thief), 401, "invalid_token"},
		} {
			req, w := httptest.NewRequest("GET", "/list", nil), httptest.NewRecorder()
			req.Header.Set("Authorization", try.scheme+" "+got.Access)
			req.Header.Set("DPoP", try.proof)
			if api.ServeHTTP(w, req); w.Code != try.status || !strings.Contains(w.Body.String(), try.says) {
				t.Errorf("%s, %s: got %d %s, want %d %s", resource, try.name, w.Code, w.Body, try.status, try.says)
			}
		}
	}
}
