package rptest

import (
	"encoding/json"
	"net/http"

	"github.com/go-jose/go-jose/v4"
)

func (p *Provider) signsWithKey() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.client != nil
}

// asserted reports whether the client signed who it is, for this server, and has
// not said so before (RFC 7523 §3).
func (p *Provider) asserted(r *http.Request) bool {
	p.mu.Lock()
	key, alg := p.client, p.clientAlg
	p.mu.Unlock()
	jws, err := jose.ParseSignedCompact(r.PostFormValue("client_assertion"), []jose.SignatureAlgorithm{jose.SignatureAlgorithm(alg)})
	if err != nil || jws.Signatures[0].Header.KeyID != key.id {
		return false
	}
	payload, err := jws.Verify(key.private.Public())
	if err != nil {
		return false
	}
	var claims struct {
		Issuer   string `json:"iss"`
		Subject  string `json:"sub"`
		Audience string `json:"aud"`
		ID       string `json:"jti"`
		Expiry   int64  `json:"exp"`
	}
	if json.Unmarshal(payload, &claims) != nil {
		return false
	}
	now := p.Now().Unix()
	return r.PostFormValue("client_assertion_type") == "urn:ietf:params:oauth:client-assertion-type:jwt-bearer" &&
		r.PostFormValue("client_secret") == "" && r.Header.Get("Authorization") == "" &&
		claims.Issuer == p.ClientID && claims.Subject == p.ClientID && claims.Audience == p.Issuer &&
		claims.Expiry > now && claims.Expiry <= now+3600 && p.firstUse(claims.ID)
}

func (p *Provider) firstUse(id string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	used := p.used[id]
	p.used[id] = true
	return id != "" && !used
}
