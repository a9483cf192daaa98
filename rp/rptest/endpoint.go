package rptest

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// The provider's user.
const (
	Subject  = "248289761001"
	Username = "j.doe"
)

func answerJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(v)
}

func (p *Provider) serveMetadata(w http.ResponseWriter, r *http.Request) {
	issuer := p.Issuer
	if p.is(OtherMetadata) {
		issuer += "/"
	}
	etag := `"` + issuer + `"`
	if r.Header.Get("If-None-Match") == etag {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	w.Header().Set("ETag", etag)
	metadata := map[string]any{
		"issuer":                     issuer,
		"authorization_endpoint":     p.Issuer + "/authorize",
		"token_endpoint":             p.Issuer + "/token",
		"userinfo_endpoint":          p.Issuer + "/userinfo",
		"end_session_endpoint":       p.Issuer + "/end_session",
		"jwks_uri":                   p.Issuer + "/jwks.json",
		"claims_parameter_supported": !p.is(NoClaimsParameter),
		"authorization_response_iss_parameter_supported": !p.is(NoIssParameter),
		// What a client must not take for settings of its own.
		"client_id": "evil", "redirect_uri": "https://evil.example", "scope": "evil", "nonce_supported": false,
	}
	if !p.is(NoDevices) {
		metadata["device_authorization_endpoint"] = p.Issuer + "/device_authorization"
	}
	if !p.is(NoPushed) {
		metadata["pushed_authorization_request_endpoint"] = p.Issuer + "/par"
		metadata["require_pushed_authorization_requests"] = p.is(OnlyPushed)
	}
	if !p.is(NoRegistration) {
		metadata["registration_endpoint"] = p.Issuer + "/register"
	}
	if !p.is(NoIntrospection) {
		metadata["introspection_endpoint"] = p.Issuer + "/introspect"
	}
	if !p.is(NoRevocation) {
		metadata["revocation_endpoint"] = p.Issuer + "/revoke"
	}
	if p.mtls != nil {
		metadata["mtls_endpoint_aliases"] = p.mtls.aliases()
	}
	if p.is(NoEndSession) {
		delete(metadata, "end_session_endpoint")
	}
	answerJSON(w, http.StatusOK, metadata)
}

func (p *Provider) serveKeys(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	io.WriteString(w, p.keySet())
}

// servePushed takes an authorization request in exchange for a reference (RFC 9126
// §2).
func (p *Provider) servePushed(w http.ResponseWriter, r *http.Request) {
	if !p.authenticated(r) {
		refuse(w, "invalid_client", "wrong client or secret")
		return
	}
	key, problem := p.proven(w, r, "")
	if problem == "" && key != "" && r.PostFormValue("dpop_jkt") != key {
		problem = "invalid_dpop_proof"
	}
	if problem != "" {
		refuse(w, problem, "the DPoP proof")
		return
	}
	reference := "urn:ietf:params:oauth:request_uri:" + rand.Text()
	p.mu.Lock()
	p.pushed[reference] = maps.Clone(r.PostForm)
	p.mu.Unlock()
	answerJSON(w, http.StatusCreated, map[string]any{"request_uri": reference, "expires_in": 60})
}

// request is the authorization request that a query is or refers to, once; nil if
// it is none.
func (p *Provider) request(q url.Values) url.Values {
	reference := q.Get("request_uri")
	if reference == "" && p.is(OnlyPushed) {
		return nil
	}
	if reference == "" {
		return q
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	pushed := p.pushed[reference]
	delete(p.pushed, reference)
	if pushed.Get("client_id") != q.Get("client_id") {
		return nil
	}
	return pushed
}

// serveAuthorize sends everyone back with a code at once.
func (p *Provider) serveAuthorize(w http.ResponseWriter, r *http.Request) {
	q := p.request(r.URL.Query())
	back, err := url.Parse(q.Get("redirect_uri"))
	if err != nil || !back.IsAbs() || q.Get("client_id") != p.ClientID || q.Get("response_type") != "code" ||
		q.Get("code_challenge_method") != "S256" || !strings.Contains(" "+q.Get("scope")+" ", " openid ") {
		http.Error(w, "bad authorization request", http.StatusBadRequest)
		return
	}
	code := rand.Text()
	p.mu.Lock()
	p.requests = append(p.requests, q)
	p.codes[code] = q
	p.mu.Unlock()

	params := back.Query()
	params.Set("state", q.Get("state"))
	params.Set("iss", p.Issuer)
	p.breakResponse(params, code)
	back.RawQuery = params.Encode()
	http.Redirect(w, r, back.String(), http.StatusSeeOther)
}

func (p *Provider) breakResponse(params url.Values, code string) {
	switch {
	case p.is(AccessDenied):
		params.Set("error", "access_denied")
		params.Set("error_description", "the user said no")
	case p.is(Unmet):
		params.Set("error", "unmet_authentication_requirements")
	default:
		params.Set("code", code)
	}
	if p.is(OtherResponseIss) {
		params.Set("iss", "https://other.example")
	}
	if p.is(NoResponseIss) || p.is(NoIssParameter) {
		params.Del("iss")
	}
}

func (p *Provider) serveToken(w http.ResponseWriter, r *http.Request) {
	if p.is(TokenRedirect) {
		http.Redirect(w, r, "/token?again", http.StatusTemporaryRedirect)
		return
	}
	if p.is(TooManyRequests) {
		http.Error(w, "slow down", http.StatusTooManyRequests)
		return
	}
	if !p.authenticated(r) {
		refuse(w, "invalid_client", "wrong client or secret")
		return
	}
	key, problem := p.proven(w, r, "")
	if problem != "" {
		refuse(w, problem, "the DPoP proof")
		return
	}
	if code := p.deviceAnswer(r.PostFormValue("device_code")); code != "" {
		refuse(w, code, "the device")
		return
	}
	grant, problem := p.grant(r, key)
	if problem != "" || p.is(InvalidGrant) {
		refuse(w, "invalid_grant", problem)
		return
	}
	accessToken := rand.Text()
	answer := map[string]any{
		"access_token": accessToken, "token_type": "Bearer", "expires_in": 300, "scope": grant.request.Get("scope"),
		"refresh_token": p.rotate(grant, accessToken), "id_token": p.sign("JWT", p.idTokenClaims(grant, accessToken)),
	}
	if grant.own {
		delete(answer, "refresh_token")
		delete(answer, "id_token")
	}
	if key != "" {
		answer["token_type"] = "DPoP"
	}
	p.answerExchange(grant, answer)
	if p.is(NoIDToken) {
		delete(answer, "id_token")
	}
	if p.is(NotBearer) {
		answer["token_type"] = "DPoP"
	}
	if p.is(HugeTokens) {
		answer["more"] = strings.Repeat("x", 1<<20)
	}
	text, _ := json.Marshal(answer)
	if p.is(EmptyTokens) {
		text = []byte("{}")
	}
	if p.is(GarbageTokens) {
		text = []byte("<!doctype html><title>Welcome</title>")
	}
	if p.is(DuplicateTokens) {
		text = append([]byte(`{"access_token":"another",`), text[1:]...)
	}
	w.Header().Set("Content-Type", "application/json")
	w.Write(text)
}

func refuse(w http.ResponseWriter, code, problem string) {
	answerJSON(w, http.StatusBadRequest, map[string]string{"error": code, "error_description": problem})
}

// A grant is what a user has granted once, and its refresh tokens.
type grant struct {
	request  url.Values // the authorization request
	started  time.Time
	refresh  string // the one that is good
	ended    bool   // one came twice, or was revoked: none is good any more
	key      string // the thumbprint of the key that all tokens are bound to, "" for none
	renewing bool   // the tokens come without a nonce: with a refresh, or to a device
	own      bool   // the client's, not a user's
	issued   string // the type of the token of an exchange, "" if it is none
}

// grant returns what a token request stands for, or what is wrong.
func (p *Provider) grant(r *http.Request, key string) (*grant, string) {
	switch r.PostFormValue("grant_type") {
	case "authorization_code":
		request, problem := p.redeem(r)
		if jkt := request.Get("dpop_jkt"); jkt != "" && jkt != key && !p.is(NoDPoP) {
			problem = "another key than dpop_jkt"
		}
		return &grant{request: request, started: p.Now(), key: key}, problem
	case "refresh_token":
		return p.refresh(r.PostFormValue("refresh_token"), key)
	case "client_credentials":
		return &grant{request: url.Values{"scope": r.PostForm["scope"]}, key: key, own: true}, ""
	case "urn:ietf:params:oauth:grant-type:token-exchange":
		return p.exchange(r.PostForm, key)
	case "urn:ietf:params:oauth:grant-type:device_code":
		return &grant{request: url.Values{"scope": {"openid profile"}}, started: p.Now(), key: key, renewing: true}, ""
	}
	return nil, "wrong grant_type"
}

// refresh takes a refresh token once: a second use ends the grant.
func (p *Provider) refresh(token, key string) (*grant, string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	g := p.grants[token]
	switch {
	case g == nil:
		return nil, "no such refresh token"
	case g.key != key:
		return nil, "another key"
	case g.refresh != token || g.ended:
		g.ended = true
		return nil, "it was used before"
	}
	g.refresh, g.renewing = "", true
	return g, ""
}

// rotate gives a grant its next refresh token, beside an access token.
func (p *Provider) rotate(g *grant, accessToken string) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	g.refresh = rand.Text()
	p.grants[g.refresh], p.grants[accessToken] = g, g
	return g.refresh
}

// serveRevoke ends the whole grant of a token (RFC 7009 §2.1).
func (p *Provider) serveRevoke(w http.ResponseWriter, r *http.Request) {
	if !p.authenticated(r) {
		refuse(w, "invalid_client", "wrong client or secret")
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if g := p.grants[r.PostFormValue("token")]; g != nil {
		g.ended = true
	}
}

// redeem returns the authorization request of a code, or what is wrong.
func (p *Provider) redeem(r *http.Request) (request url.Values, problem string) {
	p.mu.Lock()
	request = p.codes[r.PostFormValue("code")]
	delete(p.codes, r.PostFormValue("code"))
	p.mu.Unlock()
	sum := sha256.Sum256([]byte(r.PostFormValue("code_verifier")))
	switch {
	case request == nil:
		return nil, "no such code"
	case request.Get("redirect_uri") != r.PostFormValue("redirect_uri"):
		return nil, "wrong redirect_uri"
	case request.Get("code_challenge") != encode(sum[:]):
		return nil, "wrong code_verifier"
	}
	return request, ""
}

// authenticated accepts a certificate, or an assertion, if the client has one. Else it accepts the
// secret in the header, form-encoded, or in the body, and none at all, which is
// what a public client sends.
func (p *Provider) authenticated(r *http.Request) bool {
	if p.mtls != nil {
		return p.mtls.showed(r) && r.PostFormValue("client_id") == p.ClientID && !r.PostForm.Has("client_secret")
	}
	if p.signsWithKey() {
		return p.asserted(r)
	}
	id, secret, basic := r.BasicAuth()
	if !basic {
		secret := r.PostFormValue("client_secret")
		return r.PostFormValue("client_id") == p.ClientID && (secret == p.ClientSecret || secret == "")
	}
	id, errID := url.QueryUnescape(id)
	secret, errSecret := url.QueryUnescape(secret)
	return errID == nil && errSecret == nil && id == p.ClientID && secret == p.ClientSecret
}

func (p *Provider) idTokenClaims(g *grant, accessToken string) map[string]any {
	now := p.Now()
	alg, _ := p.signing()
	claims := map[string]any{
		"iss": p.Issuer, "sub": Subject, "aud": p.ClientID,
		"iat": now.Unix(), "exp": now.Add(5 * time.Minute).Unix(), "auth_time": g.started.Unix(),
		"nonce": g.request.Get("nonce"), "at_hash": tokenHash(alg, accessToken),
		"acr": "urn:sallyport:acr:2fa", "amr": []string{"pwd", "otp", "mfa"},
	}
	if g.renewing { // OpenID Connect Core §12.2
		delete(claims, "nonce")
	}
	p.changeClaims(claims)
	p.breakClaims(claims)
	return claims
}

// serveEndSession sends the browser on, as if a session had ended.
func (p *Provider) serveEndSession(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	p.mu.Lock()
	p.logouts = append(p.logouts, q)
	p.mu.Unlock()
	if q.Get("client_id") != p.ClientID || q.Get("post_logout_redirect_uri") == "" {
		io.WriteString(w, "signed out")
		return
	}
	http.Redirect(w, r, q.Get("post_logout_redirect_uri"), http.StatusSeeOther)
}

// changeClaims applies SetClaims.
func (p *Provider) changeClaims(claims map[string]any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	maps.Copy(claims, p.claims)
	maps.DeleteFunc(claims, func(_ string, v any) bool { return v == nil })
}

// good: issued to that key, and not revoked.
func (p *Provider) good(token, key string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	g := p.grants[token]
	return g != nil && !g.ended && g.key == key
}

func (p *Provider) serveUserInfo(w http.ResponseWriter, r *http.Request) {
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	key, problem := p.proven(w, r, token)
	if problem != "" {
		w.Header().Set("WWW-Authenticate", `DPoP error="`+problem+`"`)
	}
	if p.mtls != nil && !p.mtls.showed(r) || (scheme == "DPoP") != (key != "") || problem != "" || !p.good(token, key) {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	claims := map[string]any{
		"sub": Subject, "name": "Jane Doe", "preferred_username": Username,
		"email": "jane@example.com", "email_verified": true, "locale": "en",
	}
	p.changeClaims(claims)
	if p.is(OtherUserInfo) {
		claims["sub"] = "another"
	}
	answerJSON(w, http.StatusOK, claims)
}
