package oidc

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"
)

// Client is a registered client: an application that may ask for tokens
// (OpenID Connect Registration §2).
type Client struct {
	ID   string `json:"client_id"`
	Name string `json:"client_name"`

	// AuthMethod is how the client authenticates at the token endpoint:
	// client_secret_basic (also when empty), client_secret_post, client_secret_jwt, private_key_jwt or none.
	AuthMethod string `json:"token_endpoint_auth_method,omitempty"`
	// SecretHashes are the SHA-256 of the client's secrets; several while a
	// rotation lasts. Empty for clients that are public or sign.
	SecretHashes [][]byte `json:"secret_hashes,omitempty"`
	// SealedSecrets name the secrets in which a client of client_secret_jwt signs, the newest
	// first: store.ClientSecret.
	SealedSecrets []string `json:"sealed_secrets,omitempty"`
	// JWKS are the public keys in which the client signs, a JWK Set, and JWKSURI is where
	// they are fetched. One of them is empty, or both for a client without keys.
	JWKS    json.RawMessage `json:"jwks,omitempty"`
	JWKSURI string          `json:"jwks_uri,omitempty"`
	// AssertionAlg is the algorithm of its assertions; empty for any of ClientAlgs.
	AssertionAlg string `json:"token_endpoint_auth_signing_alg,omitempty"`
	// InsecureTokenEndpointAudience lets assertions name the token endpoint as their
	// audience, too: another server could have asked for them.
	InsecureTokenEndpointAudience bool `json:"insecure_token_endpoint_audience,omitempty"`

	RedirectURIs           []string `json:"redirect_uris"`
	PostLogoutRedirectURIs []string `json:"post_logout_redirect_uris,omitempty"`
	// BackchannelLogoutURI is told of sessions that end, always with sid and sub; "": the
	// client is not (OpenID Connect Back-Channel Logout §2.2).
	BackchannelLogoutURI string   `json:"backchannel_logout_uri,omitempty"`
	GrantTypes           []string `json:"grant_types"`    // authorization_code, refresh_token; or client_credentials alone
	ResponseTypes        []string `json:"response_types"` // code
	ResponseModes        []string `json:"response_modes"` // query, form_post
	Scopes               []string `json:"scopes"`         // what it may ask for at this server

	// Resources are the APIs that it may use, or is.
	Resources []ResourceAccess `json:"resources,omitempty"`

	// DefaultScope stands in for a request without a scope; empty means that
	// such a request is refused (RFC 6749 §3.3).
	DefaultScope []string `json:"default_scope,omitempty"`
	// InsecureOptionalPKCE lets a confidential client leave PKCE out
	// (RFC 9700 §2.1.1 recommends it for all).
	InsecureOptionalPKCE bool `json:"insecure_optional_pkce,omitempty"`
	// RequirePushed lets the client ask for sign-ins only by requests that it sent ahead
	// (RFC 9126 §6).
	RequirePushed bool `json:"require_pushed_authorization_requests,omitempty"`
	// RequireSigned lets the client ask for sign-ins only by request objects (RFC 9101
	// §10.5).
	RequireSigned bool `json:"require_signed_request_object,omitempty"`
	// RequestObjectAlg is the algorithm of its request objects; empty for any of ClientAlgs.
	RequestObjectAlg string `json:"request_object_signing_alg,omitempty"`
	// NativeApp lets the port of loopback redirect URIs vary and allows
	// private-use schemes (RFC 8252 §7).
	NativeApp bool `json:"native_app,omitempty"`

	// IDTokenAlg is the algorithm of ID tokens: RS256 (also when empty),
	// ES256 or EdDSA.
	IDTokenAlg string `json:"id_token_signed_response_alg,omitempty"`

	// SubjectType is what the client knows users by: public (also when empty), or
	// pairwise. Sector is a host, and whose name for a user the client shares, if it is
	// pairwise: it is fixed when the client is made (OpenID Connect Core §8.1).
	SubjectType string `json:"subject_type,omitempty"`
	Sector      string `json:"sector_identifier,omitempty"`

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
	// the CLI, decides nothing but what Validate asks of the tutorial's client.
	Preset string `json:"preset,omitempty"`

	AccessTokenTTL  time.Duration `json:"access_token_ttl,omitempty"`  // 0: the server's default
	RefreshTokenTTL time.Duration `json:"refresh_token_ttl,omitempty"` // absolute; 0: the server's default
	// RefreshTokenIdle ends a refresh token that is not used for so long; 0: the server's
	// default.
	RefreshTokenIdle time.Duration `json:"refresh_token_idle,omitempty"`

	// DPoPBound: its access tokens are bound to a key of its own, always; and with
	// RequireDPoPNonce proofs need a nonce of the server's (RFC 9449 §5.2, §8).
	DPoPBound        bool `json:"dpop_bound_access_tokens,omitempty"`
	RequireDPoPNonce bool `json:"require_dpop_nonce,omitempty"`

	Disabled bool `json:"disabled,omitempty"`
}

// Clone returns a client that shares nothing with c.
func (c *Client) Clone() *Client {
	own := *c
	own.SecretHashes = slices.Clone(c.SecretHashes)
	for i, hash := range own.SecretHashes {
		own.SecretHashes[i] = slices.Clone(hash)
	}
	own.JWKS = slices.Clone(c.JWKS)
	own.Resources = slices.Clone(c.Resources)
	for i, r := range own.Resources {
		own.Resources[i].Scopes = slices.Clone(r.Scopes)
	}
	for _, list := range []*[]string{
		&own.RedirectURIs, &own.PostLogoutRedirectURIs, &own.GrantTypes, &own.ResponseTypes, &own.ResponseModes,
		&own.Scopes, &own.SealedSecrets, &own.DefaultScope, &own.DefaultACRValues,
	} {
		*list = slices.Clone(*list)
	}
	if c.DefaultMaxAge != nil {
		age := *c.DefaultMaxAge
		own.DefaultMaxAge = &age
	}
	return &own
}

// Public reports whether the client has no secret and no key and so proves nothing about
// itself (RFC 6749 §2.1).
func (c *Client) Public() bool { return c.AuthMethod == AuthNone }

// HasKeys reports whether the client has registered keys in which it signs.
func (c *Client) HasKeys() bool { return len(c.JWKS) > 0 || c.JWKSURI != "" }

// HasSecret reports whether the client proves itself by a secret.
func (c *Client) HasSecret() bool { return !c.Public() && c.AuthMethod != AuthPrivateKeyJWT }

// SignsWithSecret reports whether the client signs who it is with its secret, which so is
// kept sealed, and never as a hash that could be compared with what is sent.
func (c *Client) SignsWithSecret() bool { return c.AuthMethod == AuthSecretJWT }

// Secrets is how many secrets of the client are good.
func (c *Client) Secrets() int { return len(c.SecretHashes) + len(c.SealedSecrets) }

// Machine reports whether the client acts for itself and never for a user
// (RFC 6749 §4.4).
func (c *Client) Machine() bool { return slices.Contains(c.GrantTypes, GrantClientCredentials) }

// Refreshes reports whether the client gets refresh tokens (RFC 6749 §1.5).
func (c *Client) Refreshes() bool { return slices.Contains(c.GrantTypes, GrantRefreshToken) }

// Validate says what is wrong with a registration, in words for the operator;
// nil if nothing is. A client that passed can be relied on everywhere.
func (c *Client) Validate() error {
	for _, validate := range []func() error{
		c.validateID, c.validateName, c.validateSecrets, c.validateKeys, c.validateRedirectURIs, c.validateLogout, c.validateGrants,
		c.validateScopes, c.validateResources, c.validateAuthentication, c.validateSubject, c.validateLifetimes, c.validatePreset,
	} {
		if err := validate(); err != nil {
			return err
		}
	}
	return nil
}

// validateID: the same bytes raw, in a URL, form-encoded and in a Basic header.
func (c *Client) validateID() error {
	if c.ID == "" || len(c.ID) > 128 || strings.ContainsFunc(c.ID, notBase64URL) {
		return errors.New("client_id must be 1 to 128 letters, digits, - or _")
	}
	if subjectForm(c.ID) {
		return errors.New("client_id must not look like a user's subject")
	}
	return nil
}

// subjectForm: the form of the ids that this server makes. A token of a client
// for itself names it as the subject, which must be no user's (RFC 9700 §4.15).
func subjectForm(id string) bool {
	return len(id) == 26 && !strings.ContainsFunc(id, func(r rune) bool {
		return !strings.ContainsRune("0123456789abcdefghjkmnpqrstvwxyz", r)
	})
}

func (c *Client) validateName() error {
	if !visibleName(c.Name) {
		return errors.New("client_name must be 1 to 64 visible characters")
	}
	return nil
}

func visibleName(name string) bool {
	return strings.TrimSpace(name) != "" && len([]rune(name)) <= 64 && printable(name) && !strings.ContainsFunc(name, bidirectional)
}

// bidirectional characters, and those without width, can make a name read like
// another.
func bidirectional(r rune) bool {
	return r >= 0x200b && r <= 0x200f || r >= 0x2028 && r <= 0x202e || r >= 0x2060 && r <= 0x2069 || r == 0xfeff || r == 0x061c
}

func (c *Client) validateSecrets() error {
	switch {
	case !slices.Contains([]string{"", AuthBasic, AuthPost, AuthSecretJWT, AuthPrivateKeyJWT, AuthNone}, c.AuthMethod):
		return errors.New("token_endpoint_auth_method is not supported")
	case c.HasSecret() != (c.Secrets() > 0):
		return errors.New("a confidential client has a secret, one that is public or signs with a key has none")
	case c.SignsWithSecret() && len(c.SecretHashes) > 0, !c.SignsWithSecret() && len(c.SealedSecrets) > 0:
		return errors.New("a secret is for signing with, or for sending, and never for both")
	case c.Public() && c.InsecureOptionalPKCE:
		return errors.New("a public client must use PKCE")
	case slices.ContainsFunc(c.SecretHashes, func(hash []byte) bool { return len(hash) != sha256.Size }):
		return errors.New("a secret hash is not a SHA-256")
	}
	return nil
}

// validateKeys: a client that signs has keys, and they are good for it.
func (c *Client) validateKeys() error {
	signs := c.AuthMethod == AuthPrivateKeyJWT
	switch {
	case len(c.JWKS) > 0 && c.JWKSURI != "":
		return errors.New("jwks and jwks_uri exclude each other")
	case signs && !c.HasKeys():
		return errors.New("private_key_jwt needs jwks or jwks_uri")
	case !signs && c.AssertionAlg != "":
		return errors.New("token_endpoint_auth_signing_alg needs private_key_jwt")
	case !signs && !c.SignsWithSecret() && c.InsecureTokenEndpointAudience:
		return errors.New("what is said of assertions needs private_key_jwt or client_secret_jwt")
	case c.AssertionAlg != "" && !slices.Contains(ClientAlgs, c.AssertionAlg):
		return errors.New("token_endpoint_auth_signing_alg must be ES256, EdDSA, PS256 or RS256")
	case c.RequestObjectAlg != "" && !slices.Contains(ClientAlgs, c.RequestObjectAlg):
		return errors.New("request_object_signing_alg must be ES256, EdDSA, PS256 or RS256")
	case (c.RequireSigned || c.RequestObjectAlg != "") && !c.HasKeys():
		return errors.New("request objects need jwks or jwks_uri")
	case c.JWKSURI != "":
		return c.validateJWKSURI()
	case len(c.JWKS) == 0:
		return nil
	}
	keys, err := ParseClientKeys(c.JWKS)
	if err != nil {
		return err
	}
	if !keys.SignsWith(c.RequestObjectAlg) {
		return errors.New("request_object_signing_alg is that of no key in jwks")
	}
	if !keys.SignsWith(c.AssertionAlg) {
		return errors.New("token_endpoint_auth_signing_alg is that of no key in jwks")
	}
	return nil
}

func (c *Client) validateJWKSURI() error {
	if err := ValidateServerURI(c.JWKSURI); err != nil {
		return fmt.Errorf("jwks_uri %w", err)
	}
	return nil
}

func (c *Client) validateRedirectURIs() error {
	if len(c.RedirectURIs) == 0 && c.redirects() && !c.Machine() {
		return errors.New("redirect_uris is empty")
	}
	for _, uri := range slices.Concat(c.RedirectURIs, c.PostLogoutRedirectURIs) {
		if err := ValidateRedirectURI(uri, c.NativeApp); err != nil {
			return fmt.Errorf("redirect URI %q: %w", uri, err)
		}
	}
	return nil
}

// validateLogout: who is told of sessions has some, and where to is a server's.
func (c *Client) validateLogout() error {
	if c.BackchannelLogoutURI == "" {
		return nil
	}
	if !c.redirects() {
		return errors.New("backchannel_logout_uri: the client is in no session that could end")
	}
	if err := ValidateServerURI(c.BackchannelLogoutURI); err != nil {
		return fmt.Errorf("backchannel_logout_uri %w", err)
	}
	return nil
}

func (c *Client) validateGrants() error {
	switch {
	case c.Machine():
		return c.validateMachine()
	case len(c.GrantTypes) == 0:
		return errors.New("grant_types is empty")
	case slices.Contains(c.GrantTypes, GrantDeviceCode) && c.MinLevel > Level2FA:
		return errors.New("grant_types: who allows a device on another can be deceived, so it never proves more than min_level 2")
	case !c.redirects():
		return c.validateDevice()
	}
	for _, field := range [...]struct {
		name           string
		got, supported []string
	}{
		{"grant_types", c.GrantTypes, []string{GrantAuthorizationCode, GrantRefreshToken, GrantDeviceCode}},
		{"response_types", c.ResponseTypes, []string{ResponseTypeCode}},
		{"response_modes", c.ResponseModes, []string{ResponseModeQuery, ResponseModeFormPost}},
	} {
		if len(field.got) == 0 {
			return fmt.Errorf("%s is empty", field.name)
		}
		if extra := outside(field.got, field.supported); extra != "" {
			return fmt.Errorf("%s: %q is not supported", field.name, extra)
		}
	}
	return nil
}

// redirects reports whether the client sends users to the authorization endpoint.
func (c *Client) redirects() bool { return slices.Contains(c.GrantTypes, GrantAuthorizationCode) }

// validateDevice: a client without a browser has nothing that is for one.
func (c *Client) validateDevice() error {
	switch extra := outside(c.GrantTypes, []string{GrantDeviceCode, GrantRefreshToken}); {
	case extra != "":
		return fmt.Errorf("grant_types: %q is not supported", extra)
	case !slices.Contains(c.GrantTypes, GrantDeviceCode):
		return errors.New("grant_types: refresh_token needs authorization_code or the device flow beside it")
	case len(c.RedirectURIs)+len(c.PostLogoutRedirectURIs)+len(c.ResponseTypes)+len(c.ResponseModes) > 0:
		return errors.New("a client without authorization_code has no redirect URIs, response types and modes")
	}
	return nil
}

// validateMachine: a client that acts for itself has nothing that is for users.
func (c *Client) validateMachine() error {
	switch {
	case len(c.GrantTypes) != 1:
		return errors.New("grant_types: client_credentials stands alone")
	case c.Public():
		return errors.New("grant_types: client_credentials needs a secret")
	case len(c.RedirectURIs)+len(c.PostLogoutRedirectURIs)+len(c.ResponseTypes)+len(c.ResponseModes) > 0:
		return errors.New("a client with client_credentials has no redirect URIs, response types and modes")
	case len(c.Scopes)+len(c.DefaultScope) > 0:
		return errors.New("a client with client_credentials has the scopes of APIs alone")
	}
	return nil
}

func (c *Client) validateScopes() error {
	for _, scope := range c.Scopes {
		if !scopeForm(scope) {
			return fmt.Errorf("scopes: %q is not a scope", scope)
		}
	}
	if extra := outside(c.DefaultScope, c.Scopes); extra != "" {
		return fmt.Errorf("default_scope: %q is not one of the client's scopes", extra)
	}
	return nil
}

// outside returns the first of list that is not in all, "" if there is none.
func outside(list, all []string) string {
	for _, s := range list {
		if !slices.Contains(all, s) {
			return s
		}
	}
	return ""
}

func (c *Client) validateAuthentication() error {
	switch {
	case !slices.Contains([]string{"", "RS256", "ES256", "EdDSA"}, c.IDTokenAlg):
		return errors.New("id_token_signed_response_alg is not supported")
	case c.MinLevel < LevelNone || c.MinLevel > LevelPHRH:
		return errors.New("min_level must be 0 to 4")
	case c.DefaultMaxAge != nil && (*c.DefaultMaxAge < 0 || *c.DefaultMaxAge > longestMaxAge*time.Second):
		return errors.New("default_max_age is out of range")
	case slices.ContainsFunc(c.DefaultACRValues, func(name string) bool { return name == "" || strings.ContainsFunc(name, notURI) }):
		return errors.New("default_acr_values has a name that no request could send")
	}
	return nil
}

func (c *Client) validateLifetimes() error {
	if c.AccessTokenTTL < 0 || c.RefreshTokenTTL < 0 || c.RefreshTokenIdle < 0 {
		return errors.New("a token's lifetime is negative")
	}
	return nil
}

// validatePreset: two of them are promises.
func (c *Client) validatePreset() error {
	switch c.Preset {
	case "tutorial":
		return c.validateTutorial()
	case "fapi2":
		return c.validateFAPI2()
	}
	return nil
}

// validateFAPI2: what the profile wants of a client (FAPI 2.0 Security Profile §5.3.2.1,
// §5.3.2.2, §5.4.1).
func (c *Client) validateFAPI2() error {
	fits := []string{"ES256", "EdDSA", "PS256"}
	switch {
	case c.AuthMethod != AuthPrivateKeyJWT || c.InsecureTokenEndpointAudience:
		return errors.New("a client of FAPI 2.0 signs who it is, for the issuer alone")
	case !slices.Contains(fits, c.AssertionAlg) || !slices.Contains(fits, c.IDTokenAlg):
		return errors.New("a client of FAPI 2.0 signs with ES256, EdDSA or PS256, and so does the server for it")
	case !c.DPoPBound || !c.RequirePushed || c.InsecureOptionalPKCE:
		return errors.New("a client of FAPI 2.0 binds its tokens, sends its requests ahead and uses PKCE")
	case slices.Contains(c.GrantTypes, GrantDeviceCode) || slices.Contains(c.ResponseModes, ResponseModeFormPost):
		return errors.New("a client of FAPI 2.0 has a browser, and the response mode query")
	}
	return nil
}

// validateTutorial: what the tutorial's client gives up, it pays for. It takes any
// access token for a second factor, so it never gets one for less.
func (c *Client) validateTutorial() error {
	switch {
	case c.MinLevel < Level2FA:
		return errors.New("the tutorial's client needs level 2: it cannot see acr")
	case len(c.RedirectURIs) != 1:
		return errors.New("the tutorial's client has one redirect URI")
	case c.Refreshes():
		return errors.New("the tutorial's client has no refresh tokens")
	case slices.Contains(c.GrantTypes, GrantDeviceCode):
		return errors.New("the tutorial's client has a browser")
	}
	if u, err := url.Parse(c.RedirectURIs[0]); err != nil || !loopback(u.Hostname()) {
		return errors.New("the tutorial's client is on this machine")
	}
	return nil
}
