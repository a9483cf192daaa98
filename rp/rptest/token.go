package rptest

import (
	"crypto/rand"
	"net/http"
	"net/url"
	"strings"
)

const accessToken = "urn:ietf:params:oauth:token-type:access_token"

// exchange takes a good token of a user for one of the same user with other scopes
// (RFC 8693 §2.1). Other types than an access token come as a token of no use.
func (p *Provider) exchange(form url.Values, key string) (*grant, string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.exchanges = append(p.exchanges, form)
	for _, name := range []string{"subject_token", "actor_token"} {
		token := form.Get(name)
		if g := p.grants[token]; token != "" && (g == nil || g.ended || form.Get(name+"_type") != accessToken) {
			return nil, "wrong " + name
		}
	}
	issued := form.Get("requested_token_type")
	if issued == "" {
		issued = accessToken
	}
	return &grant{request: url.Values{"scope": form["scope"]}, key: key, own: true, issued: issued}, ""
}

// answerExchange changes the answer to a token request to that of an exchange (RFC
// 8693 §2.2.1).
func (p *Provider) answerExchange(g *grant, answer map[string]any) {
	if g.issued == "" {
		return
	}
	answer["issued_token_type"] = g.issued
	if g.issued != accessToken {
		answer["token_type"] = "N_A"
	}
	if p.is(OtherTokenType) {
		answer["issued_token_type"] = "urn:ietf:params:oauth:token-type:saml2"
	}
	if p.is(NoTokenType) {
		delete(answer, "issued_token_type")
	}
}

// Exchanges are the requests for an exchange so far.
func (p *Provider) Exchanges() []url.Values {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]url.Values(nil), p.exchanges...)
}

// serveIntrospect says what a token is (RFC 7662 §2.2).
func (p *Provider) serveIntrospect(w http.ResponseWriter, r *http.Request) {
	if !p.authenticated(r) {
		w.Header().Set("WWW-Authenticate", "Basic")
		answerJSON(w, http.StatusUnauthorized, map[string]string{"error": "invalid_client"})
		return
	}
	p.mu.Lock()
	g := p.grants[r.PostFormValue("token")]
	p.mu.Unlock()
	if g == nil || g.ended {
		answerJSON(w, http.StatusOK, map[string]any{"active": false, "sub": Subject}) // the second is not to be believed
		return
	}
	now := p.Now().Unix()
	answer := map[string]any{
		"active": true, "iss": p.Issuer, "sub": Subject, "aud": "https://orders.example.com/", "client_id": p.ClientID, "username": Username,
		"scope": strings.Join(g.request["scope"], " "), "token_type": "Bearer", "jti": rand.Text(), "iat": now, "nbf": now, "exp": now + 300,
	}
	p.changeClaims(answer)
	answerJSON(w, http.StatusOK, answer)
}
