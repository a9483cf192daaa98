package oidc

// Words of the protocol that more than one package uses.
const (
	GrantAuthorizationCode = "authorization_code"
	GrantRefreshToken      = "refresh_token"
	GrantClientCredentials = "client_credentials"
	GrantDeviceCode        = "urn:ietf:params:oauth:grant-type:device_code"

	ResponseTypeCode     = "code"
	ResponseModeQuery    = "query" // OAuth 2.0 Multiple Response Types §2.1
	ResponseModeFormPost = "form_post"

	AuthBasic = "client_secret_basic"
	AuthPost  = "client_secret_post"
	AuthNone  = "none"
	// AuthPrivateKeyJWT is a client that signs who it is (OpenID Connect Core §9).
	AuthPrivateKeyJWT = "private_key_jwt"
	// AuthSecretJWT is a client that does so with a secret that the server has, too.
	AuthSecretJWT = "client_secret_jwt"

	ScopeOpenID        = "openid"
	ScopeProfile       = "profile"
	ScopeEmail         = "email"
	ScopeAddress       = "address"
	ScopePhone         = "phone"
	ScopeGroups        = "groups" // no standard's, but the usual one
	ScopeOfflineAccess = "offline_access"
)
