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

// Fields are the parameters in order, as the form_post mode sends them (OAuth
// 2.0 Form Post Response Mode §2). A response with an error never has a code.
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
// there stays (RFC 6749 §3.1.2). The URI must be proven to be the client's.
func (r AuthorizationResponse) RedirectURL(redirectURI string) string {
	return withQuery(redirectURI, r.Fields())
}

// withQuery appends parameters to a URI that has no fragment, and changes not a
// byte of it.
func withQuery(uri string, fields []Field) string {
	var b strings.Builder
	b.WriteString(uri)
	separator := "?"
	if _, query, has := strings.Cut(uri, "?"); has {
		separator = "&"
		if query == "" || strings.HasSuffix(query, "&") {
			separator = ""
		}
	}
	for _, f := range fields {
		b.WriteString(separator + f.Name + "=" + url.QueryEscape(f.Value))
		separator = "&"
	}
	return b.String()
}
