package oidc

import (
	"errors"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strings"
)

// CheckRedirectURI proves that the request's redirect URI is the client's:
// exactly one of the registered ones (RFC 9700 §2.1). Of native apps on a
// loopback address the port may differ (RFC 8252 §7.3). A request without one
// gets the only registered one, unless it is an OpenID Connect request, which
// must send it.
func (r *AuthorizationRequest) CheckRedirectURI(c *Client) *Error {
	if r.RedirectURI == "" {
		if len(c.RedirectURIs) != 1 || HasScope(r.Scope, ScopeOpenID) {
			return Errorf(InvalidRequest, "redirect_uri is missing")
		}
		r.RedirectURI = c.RedirectURIs[0]
		return nil
	}
	r.RedirectSent = true
	for _, registered := range c.RedirectURIs {
		if r.RedirectURI == registered || c.NativeApp && sameButPort(r.RedirectURI, registered) {
			return nil
		}
	}
	return Errorf(InvalidRequest, "redirect_uri is not registered for the client")
}

// sameButPort compares two http loopback URIs without their ports.
func sameButPort(asked, registered string) bool {
	a, errA := url.Parse(asked)
	b, errB := url.Parse(registered)
	if errA != nil || errB != nil || a.Scheme != "http" || b.Scheme != "http" || !loopback(b.Hostname()) {
		return false
	}
	a.Host, b.Host = withoutPort(a), withoutPort(b)
	return a.String() == b.String() && a.User == nil
}

func withoutPort(u *url.URL) string { return strings.ToLower(u.Hostname()) }

// loopback reports whether a host is this machine by name or by number.
func loopback(host string) bool {
	if strings.EqualFold(host, "localhost") {
		return true
	}
	a, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return err == nil && a.IsLoopback()
}

// ValidateRedirectURI says whether a redirect URI may be registered: absolute,
// without fragment or credentials, https, or http on a loopback host, or, for
// native apps, a private-use scheme with a dot (RFC 8252 §7, RFC 9700 §2.6).
func ValidateRedirectURI(uri string, native bool) error {
	u, err := url.Parse(uri)
	switch {
	case err != nil:
		return errors.New("is not a URI")
	case !u.IsAbs() || strings.Contains(uri, "#") || u.User != nil:
		return errors.New("must be absolute, without fragment and credentials")
	case strings.Contains(u.Host, "*") || !printable(uri) || strings.ContainsAny(uri, " \\"):
		return errors.New("has characters that are not allowed")
	}
	switch {
	case u.Scheme == "https" && u.Host != "":
		return nil
	case u.Scheme == "http" && loopback(u.Hostname()):
		return nil
	case u.Scheme == "http":
		return errors.New("must be https, unless it is on this machine")
	case native && strings.Contains(u.Scheme, ".") && u.Host == "":
		return nil
	}
	return errors.New("must be https")
}

// CheckIssuer says whether a URL can be an issuer: https, or http on a loopback
// host; no query, fragment, credentials or slash at the end (RFC 8414 §2).
func CheckIssuer(issuer string) error {
	u, err := url.Parse(issuer)
	switch {
	case err != nil || u.Host == "":
		return errors.New("is not an absolute URL")
	case u.Scheme != "https" && !(u.Scheme == "http" && loopback(u.Hostname())):
		return errors.New("must be https, or http on this machine")
	case u.RawQuery != "" || u.ForceQuery || strings.Contains(issuer, "#") || u.User != nil:
		return errors.New("must have no query, fragment or credentials")
	case strings.HasSuffix(issuer, "/"):
		return errors.New("must not end with a slash")
	case u.Host != strings.ToLower(u.Host):
		return errors.New("must have its host in lower case")
	}
	if host, port, err := net.SplitHostPort(u.Host); err == nil && (host == "" || port == "") {
		return errors.New("has an incomplete host")
	}
	return nil
}

// Validate says what is wrong with a client's registration.
func (c *Client) Validate() error {
	switch {
	case c.ID == "" || len(c.ID) > 128 || strings.ContainsFunc(c.ID, notBase64URL):
		return errors.New("client_id must be 1 to 128 letters, digits, - or _")
	case c.Name == "" || len([]rune(c.Name)) > 64 || !printable(c.Name) || strings.ContainsFunc(c.Name, bidirectional):
		return errors.New("client_name must be 1 to 64 visible characters")
	case !slices.Contains([]string{"", AuthBasic, AuthPost, AuthNone}, c.AuthMethod):
		return errors.New("token_endpoint_auth_method is not supported")
	case !slices.Contains([]string{"", "RS256", "ES256", "EdDSA"}, c.IDTokenAlg):
		return errors.New("id_token_signed_response_alg is not supported")
	case c.Public() != (len(c.SecretHashes) == 0):
		return errors.New("a confidential client has a secret, a public one has none")
	case c.Public() && c.InsecureOptionalPKCE:
		return errors.New("a public client must use PKCE")
	case len(c.RedirectURIs) == 0:
		return errors.New("redirect_uris is empty")
	}
	for _, uri := range slices.Concat(c.RedirectURIs, c.PostLogoutRedirectURIs) {
		if err := ValidateRedirectURI(uri, c.NativeApp); err != nil {
			return errors.New(uri + " " + err.Error())
		}
	}
	return c.validatePreset()
}

// validatePreset: what the tutorial's client gives up, it pays for.
func (c *Client) validatePreset() error {
	if c.Preset != "tutorial" {
		return nil
	}
	switch {
	case c.MinLevel < Level2FA:
		return errors.New("the tutorial's client needs level 2: it cannot see acr")
	case len(c.RedirectURIs) != 1:
		return errors.New("the tutorial's client has one redirect URI")
	case slices.Contains(c.GrantTypes, GrantRefreshToken):
		return errors.New("the tutorial's client has no refresh tokens")
	}
	if u, err := url.Parse(c.RedirectURIs[0]); err != nil || !loopback(u.Hostname()) {
		return errors.New("the tutorial's client is on this machine")
	}
	return nil
}

// bidirectional characters can make a name read like another.
func bidirectional(r rune) bool {
	return r >= 0x200b && r <= 0x200f || r >= 0x202a && r <= 0x202e || r >= 0x2060 && r <= 0x2069 || r == 0xfeff || r == 0x061c
}
