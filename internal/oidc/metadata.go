package oidc

import "slices"

// Metadata is the server's metadata (OpenID Connect Discovery §3, RFC 8414 §2).
// It says what is enabled and nothing more: no member is there that the server
// would not honour, and none with the name of a client's own setting, because
// some clients merge the document into their settings.
type Metadata struct {
	Issuer                string `json:"issuer"`
	AuthorizationEndpoint string `json:"authorization_endpoint"`
	TokenEndpoint         string `json:"token_endpoint"`
	UserinfoEndpoint      string `json:"userinfo_endpoint"`
	JWKSURI               string `json:"jwks_uri"`
	EndSessionEndpoint    string `json:"end_session_endpoint"`
	IntrospectionEndpoint string `json:"introspection_endpoint"`
	RevocationEndpoint    string `json:"revocation_endpoint"`
	DeviceEndpoint        string `json:"device_authorization_endpoint"`

	PushedRequestEndpoint string `json:"pushed_authorization_request_endpoint"`

	ScopesSupported        []string `json:"scopes_supported"`
	ResponseTypesSupported []string `json:"response_types_supported"`
	ResponseModesSupported []string `json:"response_modes_supported"`
	GrantTypesSupported    []string `json:"grant_types_supported"`
	ACRValuesSupported     []string `json:"acr_values_supported"`
	SubjectTypesSupported  []string `json:"subject_types_supported"`
	ClaimsSupported        []string `json:"claims_supported"`
	UILocalesSupported     []string `json:"ui_locales_supported"`
	PromptValuesSupported  []string `json:"prompt_values_supported"`

	IDTokenSigningAlgValuesSupported  []string `json:"id_token_signing_alg_values_supported"`
	TokenEndpointAuthMethodsSupported []string `json:"token_endpoint_auth_methods_supported"`
	IntrospectionAuthMethodsSupported []string `json:"introspection_endpoint_auth_methods_supported"`
	RevocationAuthMethodsSupported    []string `json:"revocation_endpoint_auth_methods_supported"`
	TokenEndpointAuthSigningAlgs      []string `json:"token_endpoint_auth_signing_alg_values_supported"`
	IntrospectionAuthSigningAlgs      []string `json:"introspection_endpoint_auth_signing_alg_values_supported"`
	RevocationAuthSigningAlgs         []string `json:"revocation_endpoint_auth_signing_alg_values_supported"`
	RequestObjectSigningAlgs          []string `json:"request_object_signing_alg_values_supported"`
	CodeChallengeMethodsSupported     []string `json:"code_challenge_methods_supported"`
	DPoPSigningAlgValuesSupported     []string `json:"dpop_signing_alg_values_supported"`

	ClaimsParameterSupported                   bool `json:"claims_parameter_supported"`
	RequestParameterSupported                  bool `json:"request_parameter_supported"`
	RequestURIParameterSupported               bool `json:"request_uri_parameter_supported"`
	AuthorizationResponseIssParameterSupported bool `json:"authorization_response_iss_parameter_supported"`
	BackchannelLogoutSupported                 bool `json:"backchannel_logout_supported"`
	BackchannelLogoutSessionSupported          bool `json:"backchannel_logout_session_supported"`
}

// NewMetadata is the metadata of a server with this issuer, for both well-known
// addresses: appended to the issuer (OpenID Connect Discovery §4), inserted
// before its path (RFC 8414 §3). A caller that enables more sets the fields.
func NewMetadata(issuer string) Metadata {
	return Metadata{
		Issuer:                issuer,
		AuthorizationEndpoint: issuer + "/authorize",
		TokenEndpoint:         issuer + "/token",
		UserinfoEndpoint:      issuer + "/userinfo",
		JWKSURI:               issuer + "/jwks.json",
		EndSessionEndpoint:    issuer + "/end_session",
		IntrospectionEndpoint: issuer + "/introspect",
		RevocationEndpoint:    issuer + "/revoke",
		DeviceEndpoint:        issuer + "/device_authorization",

		PushedRequestEndpoint: issuer + "/par",

		ScopesSupported:        []string{ScopeOpenID, ScopeProfile, ScopeEmail, ScopeAddress, ScopePhone, ScopeGroups, ScopeOfflineAccess},
		ResponseTypesSupported: []string{ResponseTypeCode},
		ResponseModesSupported: []string{ResponseModeQuery, ResponseModeFormPost},
		GrantTypesSupported:    []string{GrantAuthorizationCode, GrantRefreshToken, GrantClientCredentials, GrantDeviceCode},
		ACRValuesSupported:     []string{ACR1FA, ACR2FA},
		SubjectTypesSupported:  []string{SubjectPublic, SubjectPairwise},
		ClaimsSupported: slices.Concat([]string{"iss", "sub", "aud", "exp", "iat", "auth_time", "nonce", "acr", "amr", "sid", "at_hash"},
			scopeClaims[ScopeProfile], scopeClaims[ScopeEmail], scopeClaims[ScopeAddress], scopeClaims[ScopePhone], scopeClaims[ScopeGroups]),
		UILocalesSupported:    []string{"en", "ko"},
		PromptValuesSupported: []string{"none", "login", "consent", "select_account"},

		IDTokenSigningAlgValuesSupported:  []string{"RS256", "ES256", "EdDSA"},
		TokenEndpointAuthMethodsSupported: []string{AuthBasic, AuthPost, AuthSecretJWT, AuthPrivateKeyJWT, AuthNone},
		IntrospectionAuthMethodsSupported: []string{AuthBasic, AuthPost, AuthSecretJWT, AuthPrivateKeyJWT},
		RevocationAuthMethodsSupported:    []string{AuthBasic, AuthPost, AuthSecretJWT, AuthPrivateKeyJWT, AuthNone},
		TokenEndpointAuthSigningAlgs:      assertionAlgs,
		IntrospectionAuthSigningAlgs:      assertionAlgs,
		RevocationAuthSigningAlgs:         assertionAlgs,
		CodeChallengeMethodsSupported:     []string{"S256"},
		DPoPSigningAlgValuesSupported:     DPoPAlgs,

		RequestObjectSigningAlgs: ClientAlgs,

		ClaimsParameterSupported:                   true,
		RequestParameterSupported:                  true,
		AuthorizationResponseIssParameterSupported: true,
		BackchannelLogoutSupported:                 true,
		BackchannelLogoutSessionSupported:          true,
	}
}
