package oidc

import (
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// AuthorizationRequest is a parsed authorization request (RFC 6749 §4.1.1,
// OpenID Connect Core §3.1.2.1). Its JSON form is what an interaction keeps.
type AuthorizationRequest struct {
	ClientID            string    `json:"client_id"`
	RedirectURI         string    `json:"redirect_uri"`
	RedirectSent        bool      `json:"redirect_sent"` // the token request must repeat it
	ResponseType        string    `json:"response_type"`
	ResponseMode        string    `json:"response_mode,omitempty"` // query or form_post, after Check
	Scope               []string  `json:"scope,omitempty"`         // as asked for, doubles removed; the default one after Check
	State               string    `json:"state,omitempty"`
	Nonce               string    `json:"nonce,omitempty"`
	CodeChallenge       string    `json:"code_challenge,omitempty"`
	CodeChallengeMethod string    `json:"code_challenge_method,omitempty"`
	DPoPJKT             string    `json:"dpop_jkt,omitempty"` // the code is good for this key alone (RFC 9449 §10)
	Prompt              PromptSet `json:"prompt,omitempty"`

	MaxAge      *time.Duration `json:"max_age,omitempty"` // nil: not asked
	ACRValues   []string       `json:"acr_values,omitempty"`
	LoginHint   string         `json:"login_hint,omitempty"`
	UILocales   []string       `json:"ui_locales,omitempty"`
	IDTokenHint string         `json:"id_token_hint,omitempty"`
	Display     string         `json:"display,omitempty"`
	Claims      ClaimsRequest  `json:"claims,omitzero"`
	Resources   []string       `json:"resources,omitempty"` // URIs of APIs, each once (RFC 8707 §2.1)

	// PushedID names the request if it was sent ahead (RFC 9126); "" if not.
	PushedID string `json:"pushed_id,omitempty"`
	// Signed: the client has signed all of it (RFC 9101).
	Signed bool `json:"signed,omitempty"`
}

// PromptSet is the set of prompt values of a request. "none" is never
// combined with another.
type PromptSet struct {
	None          bool `json:"none,omitempty"`
	Login         bool `json:"login,omitempty"`
	Consent       bool `json:"consent,omitempty"`
	SelectAccount bool `json:"select_account,omitempty"`
}

// ClaimsRequest is what Sallyport reads of the claims parameter
// (OpenID Connect Core §5.5).
type ClaimsRequest struct {
	UserInfo map[string]ClaimRequest `json:"userinfo,omitempty"`
	IDToken  map[string]ClaimRequest `json:"id_token,omitempty"`
}

// ClaimRequest is what is asked of one claim. The zero value asks for it
// without conditions (null).
type ClaimRequest struct {
	Essential bool     `json:"essential,omitempty"`
	Values    []string `json:"values,omitempty"` // value or values, strings only
}

// RequestedACR returns the requested authentication contexts in order of
// preference, and whether they are essential: the acr claim of the claims
// parameter if it has one, else acr_values (OpenID Connect Core §5.5.1.1).
func (r *AuthorizationRequest) RequestedACR() (names []string, essential bool) {
	if acr, ok := r.Claims.IDToken["acr"]; ok && len(acr.Values) > 0 {
		return acr.Values, acr.Essential
	}
	return r.ACRValues, false
}

// ParseAuthorizationRequest reads an authorization request. The request is
// returned even if something is wrong with it, with whatever could be read.
//
// shown is an error that must never be redirected: client and redirect URI
// themselves cannot be read. redirected is the first error of the other
// parameters: it goes to the redirect URI, once that is proven to be the client's.
func ParseAuthorizationRequest(v url.Values) (r *AuthorizationRequest, shown, redirected *Error) {
	proof := params{values: v}
	r = &AuthorizationRequest{ClientID: proof.text("client_id", longestID), RedirectURI: proof.text("redirect_uri", longestURI)}
	if r.ClientID == "" {
		proof.fail(Errorf(InvalidRequest, "client_id is missing"))
	}
	r.RedirectSent = r.RedirectURI != ""
	p := params{values: v}
	r.State = p.text("state", longestParam)
	r.ResponseMode = p.responseMode()
	p.unsupported()
	r.ResponseType = p.responseType()
	r.Scope = p.scope()
	r.Nonce = p.text("nonce", 1024)
	r.Prompt = p.prompt()
	r.MaxAge = p.maxAge()
	r.CodeChallenge, r.CodeChallengeMethod = p.challenge()
	r.DPoPJKT = p.dpopJKT()
	r.ACRValues = p.words("acr_values")
	r.LoginHint = p.text("login_hint", 512)
	r.UILocales = p.words("ui_locales")
	r.Display = p.text("display", 64)
	r.IDTokenHint = p.text("id_token_hint", longestHint)
	r.Claims = p.claims()
	r.Resources = p.resources()
	p.words("claims_locales") // there is one language of each claim
	return r, proof.err, p.err
}

// unsupported refuses by name what would change the request's meaning if it
// were ignored (OpenID Connect Core §3.1.2.6).
func (p *params) unsupported() {
	for _, parameter := range [...]struct{ name, code string }{
		{"request", RequestNotSupported},
		{"request_uri", RequestURINotSupported},
		{"registration", RegistrationNotSupported},
	} {
		if slices.ContainsFunc(p.values[parameter.name], func(value string) bool { return value != "" }) {
			p.fail(Errorf(parameter.code, "%s is not supported", parameter.name))
		}
	}
}

// responseMode keeps an unknown mode out, so that an error about it can be sent
// in the default one.
func (p *params) responseMode() string {
	mode := p.text("response_mode", 64)
	switch mode {
	case "", ResponseModeQuery, ResponseModeFormPost:
		return mode
	}
	p.fail(Errorf(InvalidRequest, "response_mode is not supported"))
	return ""
}

func (p *params) responseType() string {
	t := p.text("response_type", 64)
	switch t {
	case ResponseTypeCode:
	case "":
		p.fail(Errorf(InvalidRequest, "response_type is missing"))
	default:
		p.fail(Errorf(UnsupportedResponseType, "response_type is not supported, only code is"))
	}
	return t
}

// scope reads scope tokens (RFC 6749 §3.3), each once.
func (p *params) scope() []string {
	var scope []string
	for _, token := range p.words("scope") {
		if !scopeForm(token) {
			p.fail(Errorf(InvalidScope, "scope has characters that are not allowed"))
			return nil
		}
		if !slices.Contains(scope, token) {
			scope = append(scope, token)
		}
	}
	return scope
}

// scopeForm: the characters of a scope token (RFC 6749 §3.3).
func scopeForm(token string) bool {
	return token != "" && !strings.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r > 0x7e || r == '"' || r == '\\' })
}

// prompt reads the prompt values (OpenID Connect Core §3.1.2.1).
func (p *params) prompt() (set PromptSet) {
	words := p.words("prompt")
	for _, word := range words {
		switch word {
		case "none":
			set.None = true
		case "login":
			set.Login = true
		case "consent":
			set.Consent = true
		case "select_account":
			set.SelectAccount = true
		default:
			p.fail(Errorf(InvalidRequest, "prompt has a value that is not supported"))
		}
	}
	if set.None && len(words) > 1 {
		p.fail(Errorf(InvalidRequest, "prompt none stands alone"))
		return PromptSet{}
	}
	return set
}

// longestMaxAge is 10 years: more is a mistake, and would overflow.
const longestMaxAge = 10 * 365 * 24 * 60 * 60

func (p *params) maxAge() *time.Duration {
	text := p.text("max_age", 32)
	if text == "" {
		return nil
	}
	seconds, err := strconv.ParseUint(text, 10, 32)
	if err != nil || seconds > longestMaxAge {
		p.fail(Errorf(InvalidRequest, "max_age is not a number of seconds"))
		return nil
	}
	age := time.Duration(seconds) * time.Second
	return &age
}

// challenge reads a PKCE challenge: S256 and no other (RFC 7636 §4.2, §4.3).
func (p *params) challenge() (challenge, method string) {
	challenge, method = p.text("code_challenge", 256), p.text("code_challenge_method", 64)
	switch {
	case challenge == "" && method == "":
	case challenge == "":
		p.fail(Errorf(InvalidRequest, "code_challenge is missing"))
	case method != "S256":
		p.fail(Errorf(InvalidRequest, "code_challenge_method must be S256"))
	case !challengeForm(challenge):
		p.fail(Errorf(InvalidRequest, "code_challenge is not a SHA-256 in base64url"))
	}
	return challenge, method
}

func (p *params) dpopJKT() string {
	jkt := p.text("dpop_jkt", 256)
	if jkt != "" && !jktForm(jkt) {
		p.fail(Errorf(InvalidRequest, "dpop_jkt is not a SHA-256 in base64url"))
		return ""
	}
	return jkt
}

// Check asks whether the client may make the request, and puts the client's
// defaults where the request says nothing. The redirect URI is proven before. apis
// are those of the request's resources that are registered.
func (r *AuthorizationRequest) Check(c *Client, apis ...*Resource) *Error {
	r.applyDefaults(c)
	r.dropOfflineAccess(c)
	for _, check := range []func(*Client) *Error{r.checkPushed, r.checkGrant, r.checkResponse, r.checkPKCE} {
		if err := check(c); err != nil {
			return err
		}
	}
	if err := r.CheckResources(c, apis); err != nil {
		return err
	}
	return r.checkScope(c, apis)
}

// CheckResources asks whether the client may have tokens for each API that the
// request names (RFC 8707 §2.1). That can change while the user signs in.
func (r *AuthorizationRequest) CheckResources(c *Client, apis []*Resource) *Error {
	for _, uri := range r.Resources {
		i := slices.IndexFunc(apis, func(api *Resource) bool { return api.URI == uri })
		if i < 0 || len(c.ScopesAt(apis[i])) == 0 {
			return Errorf(InvalidTarget, "resource is not an API that the client may use")
		}
		if !slices.ContainsFunc(c.ScopesAt(apis[i]), func(s string) bool { return slices.Contains(r.Scope, s) }) {
			return Errorf(InvalidScope, "scope asks for nothing that the client may have at an API of the request")
		}
	}
	return nil
}

func (r *AuthorizationRequest) applyDefaults(c *Client) {
	if r.ResponseMode == "" {
		r.ResponseMode = ResponseModeQuery
	}
	if len(r.Scope) == 0 {
		r.Scope = slices.Clone(c.DefaultScope)
	}
	if r.MaxAge == nil {
		r.MaxAge = c.DefaultMaxAge
	}
	if names, _ := r.RequestedACR(); len(names) == 0 {
		r.ACRValues = c.DefaultACRValues
	}
}

// checkPushed: a client can be held to send its requests ahead (RFC 9126 §6), and to
// sign them (RFC 9101 §10.5).
func (r *AuthorizationRequest) checkPushed(c *Client) *Error {
	if c.RequirePushed && r.PushedID == "" {
		return Errorf(InvalidRequest, "the client must push its requests")
	}
	if c.RequireSigned && !r.Signed {
		return Errorf(InvalidRequest, "the client must sign its requests")
	}
	return nil
}

func (r *AuthorizationRequest) checkGrant(c *Client) *Error {
	if !slices.Contains(c.GrantTypes, GrantAuthorizationCode) {
		return Errorf(UnauthorizedClient, "the client may not use the authorization code grant")
	}
	return nil
}

func (r *AuthorizationRequest) checkResponse(c *Client) *Error {
	if !slices.Contains(c.ResponseTypes, r.ResponseType) {
		return Errorf(UnauthorizedClient, "the client may not use this response_type")
	}
	if !slices.Contains(c.ResponseModes, r.ResponseMode) {
		r.ResponseMode = ResponseModeQuery // an error in a mode that is not allowed would not arrive
		return Errorf(InvalidRequest, "the client may not use this response_mode")
	}
	return nil
}

// checkScope refuses scopes that are not registered: to ignore one would leave
// the client to find out later. RFC 6749 §3.3 allows both, OpenID Connect Core
// §3.1.2.1 would rather have them ignored: docs/divergences.md. An API's scope is
// one only beside its resource.
func (r *AuthorizationRequest) checkScope(c *Client, apis []*Resource) *Error {
	if len(r.Scope) == 0 {
		return Errorf(InvalidScope, "scope asks for nothing, and the client has no default")
	}
	for _, scope := range r.Scope {
		atAPI := func(api *Resource) bool { return slices.Contains(c.ScopesAt(api), scope) }
		if !slices.Contains(c.Scopes, scope) && !slices.ContainsFunc(apis, atAPI) {
			return Errorf(InvalidScope, "scope %s is not one of the client's", scope)
		}
	}
	return nil
}

// checkPKCE: a challenge is required of everyone but confidential clients that
// were exempted (RFC 9700 §2.1.1).
func (r *AuthorizationRequest) checkPKCE(c *Client) *Error {
	if r.CodeChallenge == "" && (c.Public() || !c.InsecureOptionalPKCE) {
		return Errorf(InvalidRequest, "code_challenge is missing: the client must use PKCE")
	}
	return nil
}

// dropOfflineAccess ignores offline_access where it cannot have an effect:
// without the user's consent, which only the operator's own applications skip,
// or without the refresh grant (OpenID Connect Core §11).
func (r *AuthorizationRequest) dropOfflineAccess(c *Client) {
	if !c.Refreshes() || !r.Prompt.Consent && !c.SkipConsent {
		r.Scope = slices.DeleteFunc(r.Scope, func(s string) bool { return s == ScopeOfflineAccess })
	}
}

// HasScope reports whether a scope is among the granted ones.
func HasScope(scope []string, name string) bool { return slices.Contains(scope, name) }
