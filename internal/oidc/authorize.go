package oidc

import "time"

// AuthorizationRequest is a parsed authorization request (RFC 6749 §4.1.1,
// OpenID Connect Core §3.1.2.1). Its JSON form is what an interaction keeps.
type AuthorizationRequest struct {
	ClientID            string    `json:"client_id"`
	RedirectURI         string    `json:"redirect_uri"`
	ResponseType        string    `json:"response_type"`
	ResponseMode        string    `json:"response_mode,omitempty"` // query or form_post, after Check
	Scope               []string  `json:"scope,omitempty"`         // as asked for, doubles removed; the default one after Check
	State               string    `json:"state,omitempty"`
	Nonce               string    `json:"nonce,omitempty"`
	CodeChallenge       string    `json:"code_challenge,omitempty"`
	CodeChallengeMethod string    `json:"code_challenge_method,omitempty"`
	Prompt              PromptSet `json:"prompt,omitempty"`

	MaxAge      *time.Duration `json:"max_age,omitempty"` // nil: not asked
	ACRValues   []string       `json:"acr_values,omitempty"`
	LoginHint   string         `json:"login_hint,omitempty"`
	UILocales   []string       `json:"ui_locales,omitempty"`
	IDTokenHint string         `json:"id_token_hint,omitempty"`
	Display     string         `json:"display,omitempty"`
	Claims      ClaimsRequest  `json:"claims,omitzero"`
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
