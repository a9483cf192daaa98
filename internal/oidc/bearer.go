package oidc

import (
	"net/http"
	"net/url"
	"strings"
)

// ParseBearer returns the access token of a request: in the Authorization header
// or in the body, never in the query, and not in both (RFC 6750 §2). Without any
// the error has no code.
func ParseBearer(authorization []string, form url.Values) (string, *Error) {
	p := params{values: form}
	body := p.text("access_token", 1024)
	if p.err != nil {
		return "", p.err
	}
	if len(authorization) == 0 {
		if body == "" {
			return "", &Error{}
		}
		return body, nil
	}
	scheme, token, ok := strings.Cut(authorization[0], " ")
	switch {
	case len(authorization) > 1 || body != "":
		return "", Errorf(InvalidRequest, "the access token is sent more than once")
	case !strings.EqualFold(scheme, "Bearer"):
		return "", &Error{}
	case !ok || token == "" || len(token) > 1024:
		return "", Errorf(InvalidToken, "the access token is malformed")
	}
	return token, nil
}

// BearerStatus is the HTTP status of a protected resource's error (RFC 6750 §3.1).
func BearerStatus(e *Error) int {
	switch e.Code {
	case InvalidRequest:
		return http.StatusBadRequest
	case InsufficientScope:
		return http.StatusForbidden
	}
	return http.StatusUnauthorized
}

// BearerChallenge is the WWW-Authenticate header of a protected resource's
// error (RFC 6750 §3).
func BearerChallenge(e *Error) string {
	if e.Code == "" {
		return "Bearer"
	}
	return `Bearer error="` + e.Code + `", error_description="` + e.Description + `"`
}
