package oidc

import "time"

// Client is a registered client: an application that may ask for tokens
// (OpenID Connect Registration §2).
type Client struct {
	ID   string `json:"client_id"`
	Name string `json:"client_name"`

	// AuthMethod is how the client authenticates at the token endpoint:
	// client_secret_basic (also when empty), client_secret_post or none.
	AuthMethod string `json:"token_endpoint_auth_method,omitempty"`
	// SecretHashes are the SHA-256 of the client's secrets; several while a
	// rotation lasts. Empty for public clients.
	SecretHashes [][]byte `json:"secret_hashes,omitempty"`

	RedirectURIs           []string `json:"redirect_uris"`
	PostLogoutRedirectURIs []string `json:"post_logout_redirect_uris,omitempty"`
	GrantTypes             []string `json:"grant_types"`    // authorization_code, refresh_token
	ResponseTypes          []string `json:"response_types"` // code
	ResponseModes          []string `json:"response_modes"` // query, form_post
	Scopes                 []string `json:"scopes"`         // what it may ask for

	// DefaultScope stands in for a request without a scope; empty means that
	// such a request is refused (RFC 6749 §3.3).
	DefaultScope []string `json:"default_scope,omitempty"`
	// InsecureOptionalPKCE lets a confidential client leave PKCE out
	// (RFC 9700 §2.1.1 recommends it for all).
	InsecureOptionalPKCE bool `json:"insecure_optional_pkce,omitempty"`
	// NativeApp lets the port of loopback redirect URIs vary and allows
	// private-use schemes (RFC 8252 §7).
	NativeApp bool `json:"native_app,omitempty"`

	// IDTokenAlg is the algorithm of ID tokens: RS256 (also when empty),
	// ES256 or EdDSA.
	IDTokenAlg string `json:"id_token_signed_response_alg,omitempty"`

	// MinLevel is the floor under policy: no token for less.
	MinLevel Level `json:"min_level"`
	// EssentialACR makes every acr_values of the client essential: met or refused.
	EssentialACR bool `json:"require_acr,omitempty"`
	// DefaultACRValues and DefaultMaxAge stand in where a request has none
	// (OpenID Connect Registration §2). DefaultMaxAge is nil for none.
	DefaultACRValues []string       `json:"default_acr_values,omitempty"`
	DefaultMaxAge    *time.Duration `json:"default_max_age,omitempty"`

	// SkipConsent is for the operator's own applications.
	SkipConsent bool `json:"skip_consent,omitempty"`
	// Preset names the set of fields that the client was made from; shown by
	// the CLI, decides nothing but the tutorial's pin (see Pinned).
	Preset string `json:"preset,omitempty"`

	AccessTokenTTL  time.Duration `json:"access_token_ttl,omitempty"`  // 0: the server's default
	RefreshTokenTTL time.Duration `json:"refresh_token_ttl,omitempty"` // absolute; 0: the server's default

	Disabled bool `json:"disabled,omitempty"`
}

// Public reports whether the client has no secret and so proves nothing about
// itself (RFC 6749 §2.1).
func (c *Client) Public() bool { return c.AuthMethod == "none" }
