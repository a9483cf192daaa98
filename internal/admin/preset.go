package admin

import "github.com/sallyport-id/sallyport/internal/oidc"

// A preset is a set of visible fields, no more: what it makes can be read in
// the client.

// Web is an application with a server that keeps a secret. The operator's own
// application asks for no consent.
func Web(id, name string, redirectURIs ...string) *oidc.Client {
	return &oidc.Client{
		ID: id, Name: name, Preset: "web", RedirectURIs: redirectURIs,
		AuthMethod:    oidc.AuthBasic,
		GrantTypes:    []string{oidc.GrantAuthorizationCode, oidc.GrantRefreshToken},
		ResponseTypes: []string{oidc.ResponseTypeCode},
		ResponseModes: []string{oidc.ResponseModeQuery, oidc.ResponseModeFormPost},
		Scopes:        []string{oidc.ScopeOpenID, oidc.ScopeProfile, oidc.ScopeEmail, oidc.ScopeOfflineAccess},
		MinLevel:      oidc.Level1FA,
		SkipConsent:   true,
	}
}

// Tutorial is the application of the tutorials: its request has no scope, nonce
// or PKCE, and it takes any access token as proof that the second factor
// happened. So it never gets one for less than level 2, has one redirect URI on
// this machine, and no refresh token.
func Tutorial(id, name, redirectURI string) *oidc.Client {
	return &oidc.Client{
		ID: id, Name: name, Preset: "tutorial", RedirectURIs: []string{redirectURI},
		AuthMethod:           oidc.AuthBasic,
		GrantTypes:           []string{oidc.GrantAuthorizationCode},
		ResponseTypes:        []string{oidc.ResponseTypeCode},
		ResponseModes:        []string{oidc.ResponseModeQuery},
		Scopes:               []string{oidc.ScopeOpenID, oidc.ScopeProfile, oidc.ScopeEmail},
		DefaultScope:         []string{oidc.ScopeProfile},
		InsecureOptionalPKCE: true,
		MinLevel:             oidc.Level2FA,
		SkipConsent:          true,
	}
}

// SPA is an application that is nothing but script in a browser: it has no
// secret, must use PKCE, and its refresh tokens rotate.
func SPA(id, name string, redirectURIs ...string) *oidc.Client {
	c := Web(id, name, redirectURIs...)
	c.Preset, c.AuthMethod = "spa", oidc.AuthNone
	c.ResponseModes = []string{oidc.ResponseModeQuery}
	c.Scopes = []string{oidc.ScopeOpenID, oidc.ScopeProfile, oidc.ScopeEmail}
	return c
}

// Native is an application on a phone or desktop. Whatever else is on the machine
// can pass for it, so the user is asked each time (RFC 8252 §8.6).
func Native(id, name string, redirectURIs ...string) *oidc.Client {
	c := Web(id, name, redirectURIs...)
	c.Preset, c.AuthMethod = "native", oidc.AuthNone
	c.ResponseModes = []string{oidc.ResponseModeQuery}
	c.NativeApp, c.SkipConsent = true, false
	return c
}

// FAPI2 is an application for which a stolen request, code or token must be worth nothing
// (FAPI 2.0 Security Profile §5.3.2): it signs who it is with alg, sends its requests
// ahead, and binds its tokens to a key.
func FAPI2(id, name, alg string, redirectURIs ...string) *oidc.Client {
	c := Web(id, name, redirectURIs...)
	c.Preset, c.AuthMethod, c.AssertionAlg = "fapi2", oidc.AuthPrivateKeyJWT, alg
	c.DPoPBound, c.RequirePushed, c.IDTokenAlg = true, true, "ES256"
	c.ResponseModes = []string{oidc.ResponseModeQuery}
	return c
}

// Device is a program where there is no browser: on a television, or a terminal. Its
// user allows it on another device, where nobody but the user knows whose request
// that is: so it asks each time.
func Device(id, name string) *oidc.Client {
	return &oidc.Client{
		ID: id, Name: name, Preset: "device", AuthMethod: oidc.AuthNone,
		GrantTypes: []string{oidc.GrantDeviceCode, oidc.GrantRefreshToken},
		Scopes:     []string{oidc.ScopeOpenID, oidc.ScopeProfile, oidc.ScopeEmail, oidc.ScopeOfflineAccess},
		MinLevel:   oidc.Level1FA,
	}
}

// Machine is a program that acts for itself and for no user: a service that calls
// an API, or an API that asks about tokens. It has a secret, and what it is allowed
// at APIs, and nothing else.
func Machine(id, name string) *oidc.Client {
	return &oidc.Client{
		ID: id, Name: name, Preset: "machine", AuthMethod: oidc.AuthBasic, GrantTypes: []string{oidc.GrantClientCredentials},
	}
}
