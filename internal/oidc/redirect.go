package oidc

import (
	"errors"
	"net/netip"
	"net/url"
	"path"
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
	if !c.HasRedirectURI(r.RedirectURI) {
		return Errorf(InvalidRequest, "redirect_uri is not registered for the client")
	}
	return nil
}

// HasRedirectURI reports whether a redirect URI is one of the client's, as
// CheckRedirectURI compares them.
func (c *Client) HasRedirectURI(uri string) bool {
	return slices.ContainsFunc(c.RedirectURIs, func(registered string) bool {
		return uri == registered || c.NativeApp && sameButPort(uri, registered)
	})
}

// sameButPort compares two http loopback URIs byte by byte, but for their ports.
func sameButPort(asked, registered string) bool {
	a, okA := withoutPort(asked)
	b, okB := withoutPort(registered)
	return okA && okB && a == b
}

// withoutPort cuts the port out of an http URI of this machine. It works on the
// text: what url.Parse makes equal (case, escapes, an empty fragment) is not.
func withoutPort(uri string) (string, bool) {
	for _, origin := range [...]string{"http://127.0.0.1", "http://[::1]", "http://localhost"} {
		rest, ok := strings.CutPrefix(uri, origin)
		if !ok {
			continue
		}
		if port, ok := strings.CutPrefix(rest, ":"); ok {
			rest = strings.TrimLeft(port, "0123456789")
			if digits := len(port) - len(rest); digits < 1 || digits > 5 {
				return "", false
			}
		}
		return origin + rest, true
	}
	return "", false
}

// loopback reports whether a host is this machine by name or by number.
func loopback(host string) bool {
	if host == "localhost" {
		return true
	}
	a, err := netip.ParseAddr(host)
	return err == nil && a.IsLoopback()
}

// ValidateRedirectURI says whether a redirect URI, or one for after the logout,
// may be registered: absolute, without fragment or credentials; https, or http
// on a loopback host, or, for native apps, a private-use scheme with a dot
// (RFC 6749 §3.1.2, RFC 8252 §7, RFC 9700 §2.6). The error is for the operator.
func ValidateRedirectURI(uri string, native bool) error {
	u, err := parseURI(uri)
	if err != nil {
		return err
	}
	if err := checkQuery(u.RawQuery); err != nil {
		return err
	}
	return checkScheme(u, native)
}

// ValidateServerURI says whether a URI to which this server sends requests of its own
// may be registered: absolute, without fragment or credentials; https, or http on a
// loopback host. Where its host is shows when it is asked. The error is for the operator.
func ValidateServerURI(uri string) error {
	u, err := parseURI(uri)
	if err != nil {
		return err
	}
	return checkScheme(u, false)
}

// parseURI reads an absolute URI that somebody registers.
func parseURI(uri string) (*url.URL, error) {
	u, err := url.Parse(uri)
	switch {
	case err != nil:
		return nil, errors.New("is not a URI")
	case len(uri) > longestURI:
		return nil, errors.New("is too long")
	case strings.ContainsFunc(uri, notURI):
		return nil, errors.New("has characters that are not allowed: no wildcards, and others than ASCII as %XX or xn--")
	case !u.IsAbs() || strings.Contains(uri, "#") || u.User != nil:
		return nil, errors.New("must be absolute, without fragment and credentials")
	}
	return u, nil
}

// longestURI bounds a redirect URI, in bytes.
const longestURI = 2048

// notURI: what stands in no URI (RFC 3986 §2), and the wildcard, which would
// match only itself.
func notURI(r rune) bool {
	return r <= ' ' || r >= 0x7f || strings.ContainsRune("*\"<>\\^`{|}", r)
}

func checkScheme(u *url.URL, native bool) error {
	switch {
	case u.Scheme == "https" && hostForm(u):
		return nil
	case u.Scheme == "http" && hostForm(u) && loopback(u.Hostname()):
		return nil
	case u.Scheme == "http":
		return errors.New("must be https, unless it is on this machine")
	case native && strings.Contains(u.Scheme, ".") && u.Host == "" && strings.HasPrefix(u.Path, "/"):
		return nil
	case native:
		return errors.New("must be https, or like com.example.app:/callback")
	}
	return errors.New("must be https, with a host")
}

// hostForm: a host and perhaps a port. It stands in headers between other words,
// so it holds nothing that could end one.
func hostForm(u *url.URL) bool {
	return u.Hostname() != "" && !strings.HasSuffix(u.Host, ":") && !strings.ContainsFunc(u.Host, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-._:[]", r))
	})
}

// checkQuery: a parameter of the response that is registered, too, would reach
// the client twice.
func checkQuery(query string) error {
	values, err := url.ParseQuery(query)
	if err != nil {
		return errors.New("has a query that cannot be read")
	}
	for _, name := range [...]string{"code", "state", "iss", "error", "error_description", "error_uri", "response"} {
		if values.Has(name) {
			return errors.New("must not have the response's parameter " + name)
		}
	}
	return nil
}

// CheckIssuer says whether a URL can be an issuer: https, or http on a loopback
// host; no query, fragment, credentials or slash at the end; written in the one
// way in which everybody will compare it (RFC 8414 §2). The error is for the
// operator.
func CheckIssuer(issuer string) error { return checkIssuer(issuer, loopback) }

// CheckInsecureIssuer is CheckIssuer for a server that was told to do without TLS:
// http on any host.
func CheckInsecureIssuer(issuer string) error {
	return checkIssuer(issuer, func(string) bool { return true })
}

func checkIssuer(issuer string, plain func(host string) bool) error {
	u, err := url.Parse(issuer)
	switch {
	case err != nil || !hostForm(u):
		return errors.New("is not an absolute URL")
	case u.Scheme != "https" && !(u.Scheme == "http" && plain(u.Hostname())):
		return errors.New("must be https, or http on this machine")
	case strings.ContainsAny(issuer, "?#") || u.User != nil:
		return errors.New("must have no query, fragment or credentials")
	case strings.HasSuffix(issuer, "/"):
		return errors.New("must not end with a slash")
	case !strings.HasPrefix(issuer, u.Scheme+"://"+strings.ToLower(u.Host)):
		return errors.New("must have its scheme and host in lower case")
	case u.Scheme == "https" && u.Port() == "443", u.Scheme == "http" && u.Port() == "80":
		return errors.New("must not name the default port: browsers leave it out")
	}
	return checkIssuerPath(u.EscapedPath())
}

// checkIssuerPath: the path is part of route patterns and cookies.
func checkIssuerPath(p string) error {
	if p == "" {
		return nil
	}
	if path.Clean(p) != p || strings.ContainsFunc(p, func(r rune) bool { return notBase64URL(r) && !strings.ContainsRune("/.~", r) }) {
		return errors.New("must have a path of plain segments")
	}
	return nil
}
