package oidc

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"
)

// Resource is a registered resource server: an API that takes access tokens of
// this server (RFC 6749 §1.1, RFC 8707 §2).
type Resource struct {
	// ID is made by the server and never given to another: what was allowed or
	// issued for an API that was removed is worth nothing at one that gets its URI
	// later.
	ID string `json:"id"`
	// URI is its name in requests, and the audience of its tokens.
	URI  string `json:"resource"`
	Name string `json:"resource_name"`
	// Scopes are what it knows: at least one. They mean nothing without it.
	Scopes []string `json:"scopes"`
	// TokenFormat is what its access tokens are: opaque (also when empty), or jwt,
	// which it checks by itself (RFC 9068).
	TokenFormat string `json:"token_format,omitempty"`
	// SigningAlg is the algorithm of a JWT: RS256 (also when empty), which every
	// such API must know (RFC 9068 §2.1), ES256 or EdDSA.
	SigningAlg string `json:"token_signing_alg,omitempty"`
	// AccessTokenTTL is how long its access tokens live, a JWT at most 5 minutes; 0:
	// the server's default.
	AccessTokenTTL time.Duration `json:"access_token_ttl,omitempty"`
	// MinLevel joins the client's floor under policy: no user's token for less.
	MinLevel Level `json:"min_level,omitempty"`
}

// The formats of access tokens.
const (
	FormatOpaque = "opaque"
	FormatJWT    = "jwt"
)

// longestTTL bounds what an operator may say of an access token's life.
const longestTTL = 24 * time.Hour

// LongestJWT bounds the life of an access token that nobody has to ask about: as
// long it outlives the user's.
const LongestJWT = 5 * time.Minute

// JWT reports whether the API's access tokens are JWTs.
func (r *Resource) JWT() bool { return r.TokenFormat == FormatJWT }

// Validate says what is wrong with a registration, in words for the operator;
// nil if nothing is.
func (r *Resource) Validate() error {
	if err := ValidateResourceURI(r.URI); err != nil {
		return fmt.Errorf("resource %w", err)
	}
	if !visibleName(r.Name) {
		return errors.New("resource_name must be 1 to 64 visible characters")
	}
	if err := validateResourceScopes(r.Scopes); err != nil {
		return err
	}
	switch {
	case r.ID == "":
		return errors.New("id is missing")
	case !slices.Contains([]string{"", FormatOpaque, FormatJWT}, r.TokenFormat):
		return errors.New("token_format is not supported")
	case !slices.Contains([]string{"", "RS256", "ES256", "EdDSA"}, r.SigningAlg):
		return errors.New("token_signing_alg is not supported")
	case r.SigningAlg != "" && !r.JWT():
		return errors.New("token_signing_alg is for the format jwt alone")
	case r.AccessTokenTTL < 0 || r.AccessTokenTTL > longestTTL || r.AccessTokenTTL%time.Second != 0:
		return errors.New("access_token_ttl must be whole seconds, at most 24 hours")
	case r.JWT() && r.AccessTokenTTL > LongestJWT:
		return errors.New("access_token_ttl of a JWT must be at most 5 minutes: it outlives the user that long")
	case r.MinLevel < LevelNone || r.MinLevel > LevelPHRH:
		return errors.New("min_level must be 0 to 4")
	}
	return nil
}

// validateResourceScopes: the scopes of OpenID Connect are about this server and
// are no API's.
func validateResourceScopes(scopes []string) error {
	if len(scopes) == 0 {
		return errors.New("scopes is empty")
	}
	for _, scope := range scopes {
		switch {
		case !scopeForm(scope) || len(scope) > 128:
			return fmt.Errorf("scopes: %q is not a scope", scope)
		case slices.Contains(ownScopes, scope):
			return fmt.Errorf("scopes: %q is this server's own", scope)
		}
	}
	return nil
}

// ownScopes mean something at this server (OpenID Connect Core §5.4, §11).
var ownScopes = []string{ScopeOpenID, ScopeProfile, ScopeEmail, ScopeAddress, ScopePhone, ScopeGroups, ScopeOfflineAccess}

// ValidateResourceURI says whether a URI can name a resource server: absolute and
// without a fragment (RFC 8707 §2), without credentials. It is compared byte by
// byte. The error is for the operator.
func ValidateResourceURI(uri string) error {
	u, err := url.Parse(uri)
	switch {
	case err != nil || len(uri) > longestURI || strings.ContainsFunc(uri, notURI):
		return errors.New("is not a URI")
	case !u.IsAbs() || u.Host == "" && u.Opaque == "" && u.Path == "":
		return errors.New("must be an absolute URI")
	case strings.Contains(uri, "#") || u.User != nil:
		return errors.New("must have no fragment and no credentials")
	}
	return nil
}

// mostResources bounds how many APIs one request names.
const mostResources = 8

// resources reads the APIs that a request names, each once (RFC 8707 §2). The
// parameter is the one that may be sent several times.
func (p *params) resources() (uris []string) {
	for _, uri := range p.values["resource"] {
		switch {
		case uri == "" || slices.Contains(uris, uri):
			continue
		case ValidateResourceURI(uri) != nil:
			p.fail(Errorf(InvalidTarget, "resource is not an absolute URI without fragment"))
			return nil
		case len(uris) == mostResources:
			p.fail(Errorf(InvalidTarget, "resource is sent more than %d times", mostResources))
			return nil
		}
		uris = append(uris, uri)
	}
	return uris
}

// ResourceAccess is what a client may do with one API.
type ResourceAccess struct {
	// ResourceID decides; URI is what it was when that was said, for people.
	ResourceID string `json:"resource_id"`
	URI        string `json:"resource"`
	// Scopes are those that the client may ask for; none: it gets no tokens.
	Scopes []string `json:"scopes,omitempty"`
	// Introspect: the client is the API itself, and may ask what a token for it is
	// worth (RFC 7662 §2.1).
	Introspect bool `json:"introspect,omitempty"`
}

func (c *Client) access(r *Resource) ResourceAccess {
	for _, a := range c.Resources {
		if a.ResourceID == r.ID {
			return a
		}
	}
	return ResourceAccess{}
}

// ScopesAt returns the scopes that the client may have at an API, in the API's
// order: none if it may not use it.
func (c *Client) ScopesAt(r *Resource) []string {
	allowed := c.access(r).Scopes
	return slices.DeleteFunc(slices.Clone(r.Scopes), func(s string) bool { return !slices.Contains(allowed, s) })
}

// Introspects reports whether the client is the API's own, and may ask what a
// token for it is worth; with nil, whether it is any API's.
func (c *Client) Introspects(r *Resource) bool {
	if r == nil {
		return slices.ContainsFunc(c.Resources, func(a ResourceAccess) bool { return a.Introspect })
	}
	return c.access(r).Introspect
}

// validateResources: each API once, and only a client that can prove who it is
// asks about tokens.
func (c *Client) validateResources() error {
	seen := map[string]bool{}
	for _, a := range c.Resources {
		switch {
		case a.ResourceID == "" || ValidateResourceURI(a.URI) != nil || seen[a.ResourceID]:
			return fmt.Errorf("resources: %q is no API, or is there twice", a.URI)
		case len(a.Scopes) == 0 && !a.Introspect:
			return fmt.Errorf("resources: %q is allowed nothing", a.URI)
		case a.Introspect && c.Public():
			return errors.New("resources: a public client cannot introspect")
		}
		if len(a.Scopes) > 0 {
			if err := validateResourceScopes(a.Scopes); err != nil {
				return fmt.Errorf("resources: %q: %w", a.URI, err)
			}
		}
		seen[a.ResourceID] = true
	}
	return nil
}
