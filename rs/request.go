package rs

import (
	"net/http"
	"net/url"
	"strings"
)

// Authentication schemes (RFC 6750 §2.1, RFC 9449 §7.1).
const (
	bearer = "Bearer"
	dpop   = "DPoP"
)

const longestToken = 16 << 10 // bytes, also of a DPoP proof

// credentials are an access token, and how it was sent.
type credentials struct {
	scheme string // bearer or dpop
	token  string
}

// credentials reads the Authorization header. A token in the query ends up in
// histories and logs, and is refused; one in the body is not looked for: both are
// left out of bearer_methods_supported (RFC 6750 §2.2, §2.3, RFC 9728 §2).
func (s *Server) credentials(r *http.Request) (credentials, *refusal) {
	c := credentials{scheme: s.schemes()[0]}
	if hasQueryToken(r.URL.RawQuery) {
		return c, malformed("the access token belongs into the Authorization header, not into the query")
	}
	headers := r.Header.Values("Authorization")
	switch {
	case len(headers) == 0:
		return c, missing("the request has no access token")
	case len(headers) > 1:
		return c, malformed("the request has several Authorization headers")
	}
	name, token, _ := strings.Cut(headers[0], " ")
	scheme, ok := s.scheme(name)
	if !ok {
		return c, missing("the request has no access token of a scheme that is accepted")
	}
	c.scheme, c.token = scheme, strings.Trim(token, " ")
	switch {
	case c.token == "":
		return c, malformed("the Authorization header has no access token")
	case len(c.token) > longestToken || !isToken68(c.token):
		return c, invalid("the access token is malformed")
	}
	return c, nil
}

// schemes are those that are accepted, the first of which answers requests that
// used none of them.
func (s *Server) schemes() []string {
	switch s.config.DPoP {
	case DPoPAllowed:
		return []string{bearer, dpop}
	case DPoPRequired:
		return []string{dpop}
	}
	return []string{bearer}
}

func (s *Server) scheme(name string) (string, bool) {
	for _, scheme := range s.schemes() {
		if strings.EqualFold(name, scheme) {
			return scheme, true
		}
	}
	return "", false
}

// hasQueryToken reads what it can of a query: others may read more than the part
// that url.ParseQuery understands, but none reads the name differently.
func hasQueryToken(query string) bool {
	if query == "" {
		return false
	}
	values, _ := url.ParseQuery(strings.ReplaceAll(query, ";", "&"))
	return values.Has("access_token")
}

// isToken68 accepts the characters of a token (RFC 9110 §11.2).
func isToken68(s string) bool {
	s = strings.TrimRight(s, "=")
	return s != "" && !strings.ContainsFunc(s, func(c rune) bool {
		return (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && !strings.ContainsRune("-._~+/", c)
	})
}
