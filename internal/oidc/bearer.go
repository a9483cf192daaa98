package oidc

import (
	"net/http"
	"net/url"
	"strings"
)

// longestToken bounds an access token, in bytes.
const longestToken = 4096

// ParseBearer returns the access token of a request: from its Authorization
// headers or from its body, never from a query, and not from both (RFC 6750 §2).
// A request that sends none gets an error without a code, which tells the client
// no more than that a token is needed (RFC 6750 §3.1).
func ParseBearer(authorization []string, form url.Values) (string, *Error) {
	p := params{values: form}
	token := p.text("access_token", longestToken)
	switch {
	case p.err != nil:
		return "", p.err
	case len(authorization) > 1 || len(authorization) == 1 && token != "":
		return "", Errorf(InvalidRequest, "the access token is sent in more than one way")
	case len(authorization) == 1:
		scheme, rest, _ := strings.Cut(authorization[0], " ")
		if !strings.EqualFold(scheme, "Bearer") {
			return "", &Error{}
		}
		token = strings.Trim(rest, " ")
	case token == "":
		return "", &Error{}
	}
	if len(token) > longestToken || !bearerForm(token) {
		return "", Errorf(InvalidToken, "the access token is malformed")
	}
	return token, nil
}

// bearerForm: the characters of b64token (RFC 6750 §2.1).
func bearerForm(token string) bool {
	return token != "" && !strings.ContainsFunc(token, func(r rune) bool {
		return notBase64URL(r) && !strings.ContainsRune(".~+/=", r)
	})
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
	challenge := `Bearer realm="sallyport"` // the scheme must be followed by a parameter
	if e.Code != "" {
		challenge += `, error="` + e.Code + `"`
	}
	if e.Description != "" {
		challenge += `, error_description="` + e.Description + `"` // Errorf leaves no quotes in it
	}
	return challenge
}
