package oidc

import (
	"net/url"
	"strings"
)

// AuthorizationResponse is what the client gets: a code or an error, with the
// state of the request and the issuer (RFC 6749 §4.1.2, RFC 9207 §2).
type AuthorizationResponse struct {
	Code   string
	Error  *Error
	State  string
	Issuer string
}

// Field is a parameter of a response.
type Field struct{ Name, Value string }

// Fields are the parameters in order.
func (r AuthorizationResponse) Fields() []Field {
	var fields []Field
	if r.Error != nil {
		fields = append(fields, Field{"error", r.Error.Code})
		if r.Error.Description != "" {
			fields = append(fields, Field{"error_description", r.Error.Description})
		}
	} else {
		fields = append(fields, Field{"code", r.Code})
	}
	if r.State != "" {
		fields = append(fields, Field{"state", r.State})
	}
	return append(fields, Field{"iss", r.Issuer})
}

// RedirectURL is the redirect URI with the parameters in its query; what was
// there stays.
func (r AuthorizationResponse) RedirectURL(redirectURI string) string {
	var b strings.Builder
	b.WriteString(redirectURI)
	separator := byte('?')
	if strings.Contains(redirectURI, "?") {
		separator = '&'
	}
	for _, f := range r.Fields() {
		b.WriteByte(separator)
		b.WriteString(f.Name + "=" + url.QueryEscape(f.Value))
		separator = '&'
	}
	return b.String()
}
