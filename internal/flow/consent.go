package flow

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/url"
	"slices"

	"github.com/sallyport-id/sallyport/internal/oidc"
	"github.com/sallyport-id/sallyport/internal/store"
)

// Rememberable reports whether a consent to the client may be remembered. Of a
// public client on a loopback or custom-scheme redirect URI nobody knows which
// program asks (RFC 8252 §8.6).
func Rememberable(c *oidc.Client) bool {
	return !c.Public() || !slices.ContainsFunc(c.RedirectURIs, func(uri string) bool {
		u, err := url.Parse(uri)
		return err != nil || u.Scheme != "https"
	})
}

// ClientHash is over what a user saw of the client: a remembered consent is
// void when it changes.
func ClientHash(c *oidc.Client) []byte {
	seen, _ := json.Marshal([]any{c.Name, c.RedirectURIs}) // strings: cannot fail
	sum := sha256.Sum256(seen)
	return sum[:]
}

// Asked is over what the page of the consent says: which client asks, and what for. An
// answer is one to that alone, though the client is changed meanwhile.
func (s State) Asked() string {
	seen, _ := json.Marshal([]any{ClientHash(s.Client), s.asked()}) // bytes and strings: cannot fail
	sum := sha256.Sum256(seen)
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// asked is what the request asks for, as it is remembered: the scopes of this
// server, and those at each API with the API's id before them. What was allowed at
// one API was not at another, whatever its scopes are called.
func (s State) asked() []string {
	var asked []string
	for _, scope := range s.Request.Scope {
		atAPI := false
		for _, api := range s.APIs {
			if slices.Contains(s.Client.ScopesAt(api), scope) {
				asked, atAPI = append(asked, api.ID+" "+scope), true
			}
		}
		if !atAPI || slices.Contains(s.Client.Scopes, scope) {
			asked = append(asked, scope)
		}
	}
	for _, scope := range s.claimScopes() {
		if !slices.Contains(asked, scope) {
			asked = append(asked, scope)
		}
	}
	return asked
}

// ScopesAt are what the user is asked for at an API: the scopes of the request that are
// the client's there.
func (s State) ScopesAt(api *oidc.Resource) []string {
	at := s.Client.ScopesAt(api)
	return slices.DeleteFunc(slices.Clone(s.Request.Scope), func(scope string) bool { return !slices.Contains(at, scope) })
}

// claimScopes are the scopes that stand for what the claims parameter asks for by
// name, of what the client may have.
func (s State) claimScopes() []string {
	return slices.DeleteFunc(s.Request.Claims.Scopes(), func(scope string) bool { return !slices.Contains(s.Client.Scopes, scope) })
}

// OwnScopes are what the user is asked for of this server: the scopes of the request
// that are the client's, and those that stand for its claims.
func (s State) OwnScopes() []string {
	var own []string
	for _, scope := range slices.Concat(s.Request.Scope, s.claimScopes()) {
		if slices.Contains(s.Client.Scopes, scope) && !slices.Contains(own, scope) {
			own = append(own, scope)
		}
	}
	return own
}

// rememberedConsent is the consent to keep after the user allowed the request:
// what was remembered and what was allowed now, but for offline_access, which is
// asked for each time. It is nil if there is nothing to keep.
func (s State) rememberedConsent() *store.Consent {
	if s.Progress.ConsentBy != s.User.ID || !Rememberable(s.Client) {
		return nil
	}
	hash := ClientHash(s.Client)
	var scope []string
	if s.Consent != nil && slices.Equal(s.Consent.ClientHash, hash) {
		scope = slices.Clone(s.Consent.Scope)
	}
	for _, asked := range s.asked() {
		if asked != oidc.ScopeOfflineAccess && !slices.Contains(scope, asked) {
			scope = append(scope, asked)
		}
	}
	return &store.Consent{UserID: s.User.ID, ClientID: s.Client.ID, Scope: scope, UpdatedAt: s.Now, ClientHash: hash}
}
