package oidc

import (
	"net/http"
	"net/url"
	"strings"
)

// longestToken bounds an access token, in bytes.
const longestToken = 4096

// Presented is an access token as a request brings it.
type Presented struct {
	Token string
	// DPoP: with the scheme DPoP, beside a proof (RFC 9449 §7.1); else with Bearer.
	DPoP bool
}

// ParseBearer returns the access token of a request: from its Authorization
// headers or from its body, never from a query, and not from both (RFC 6750 §2).
// A request that sends none gets an error without a code, which tells the client
// no more than that a token is needed (RFC 6750 §3.1).
func ParseBearer(authorization []string, form url.Values) (Presented, *Error) {
	p := params{values: form}
	sent := Presented{Token: p.text("access_token", longestToken)}
	switch {
	case p.err != nil:
		return Presented{}, p.err
	case len(authorization) > 1 || len(authorization) == 1 && sent.Token != "":
		return Presented{}, Errorf(InvalidRequest, "the access token is sent in more than one way")
	case len(authorization) == 1:
		scheme, rest, _ := strings.Cut(authorization[0], " ")
		sent = Presented{Token: strings.Trim(rest, " "), DPoP: strings.EqualFold(scheme, "DPoP")}
		if !sent.DPoP && !strings.EqualFold(scheme, "Bearer") {
			return Presented{}, &Error{}
		}
	case sent.Token == "":
		return Presented{}, &Error{}
	}
	if len(sent.Token) > longestToken || !bearerForm(sent.Token) {
		return Presented{DPoP: sent.DPoP}, Errorf(InvalidToken, "the access token is malformed")
	}
	return sent, nil
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

// Challenge is the WWW-Authenticate header of a protected resource's error (RFC 6750
// §3): of the scheme that the token came with, or of both if there was none (RFC 9449
// §7.1).
func Challenge(e *Error, dpop bool) string {
	bearer := `Bearer realm="sallyport"` // the scheme must be followed by a parameter
	proof := `DPoP algs="` + strings.Join(DPoPAlgs, " ") + `"`
	switch {
	case dpop:
		return proof + challengeError(e)
	case e.Code == "":
		return bearer + ", " + proof
	}
	return bearer + challengeError(e)
}

func challengeError(e *Error) (text string) {
	if e.Code != "" {
		text += `, error="` + e.Code + `"`
	}
	if e.Description != "" {
		text += `, error_description="` + e.Description + `"` // Errorf leaves no quotes in it
	}
	return text
}
