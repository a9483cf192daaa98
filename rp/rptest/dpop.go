package rptest

import (
	"crypto"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"net/http"

	"github.com/go-jose/go-jose/v4"
)

// proven returns the thumbprint of the key that a request proves to have (RFC 9449
// §4.3), "" if it has no proof, or the code of an error. The proof must be for the
// access token, "" for none.
func (p *Provider) proven(w http.ResponseWriter, r *http.Request, token string) (thumbprint, problem string) {
	proofs := r.Header.Values("DPoP")
	if len(proofs) == 0 || p.is(NoDPoP) {
		return "", ""
	}
	jws, err := jose.ParseSignedCompact(proofs[0], []jose.SignatureAlgorithm{jose.ES256, jose.EdDSA, jose.PS256})
	if err != nil || len(proofs) > 1 {
		return "", "invalid_dpop_proof"
	}
	header := jws.Signatures[0].Protected
	key := header.JSONWebKey
	if typ, _ := header.ExtraHeaders[jose.HeaderType].(string); typ != "dpop+jwt" || key == nil || !key.IsPublic() {
		return "", "invalid_dpop_proof"
	}
	payload, err := jws.Verify(key)
	var claims struct {
		ID     string `json:"jti"`
		Method string `json:"htm"`
		URI    string `json:"htu"`
		At     int64  `json:"iat"`
		Hash   string `json:"ath"`
		Nonce  string `json:"nonce"`
	}
	if err != nil || json.Unmarshal(payload, &claims) != nil {
		return "", "invalid_dpop_proof"
	}
	hash := ""
	if token != "" {
		sum := sha256.Sum256([]byte(token))
		hash = encode(sum[:])
	}
	age := p.Now().Unix() - claims.At
	if claims.Method != r.Method || claims.URI != p.origin(r)+r.URL.Path || claims.Hash != hash || age < -60 || age > 60 || !p.firstUse(claims.ID) {
		return "", "invalid_dpop_proof"
	}
	if p.is(DPoPNonces) && !p.takeNonce(w, claims.Nonce) {
		return "", "use_dpop_nonce"
	}
	sum, _ := key.Thumbprint(crypto.SHA256)
	return encode(sum), ""
}

// takeNonce takes a nonce once; who comes without a good one gets the next.
func (p *Provider) takeNonce(w http.ResponseWriter, nonce string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	good := p.nonces[nonce]
	delete(p.nonces, nonce)
	if !good {
		next := rand.Text()
		p.nonces[next] = true
		w.Header().Set("DPoP-Nonce", next)
	}
	return good
}
