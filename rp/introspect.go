package rp

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/sallyport-id/sallyport/internal/issuer"
)

// An Introspection is what the server says of a token (RFC 7662 §2.2). All but Active
// is zero where the server does not tell, and if the token is not active.
type Introspection struct {
	Active    bool
	Issuer    string
	Subject   string
	Audience  []string // whom the token is for
	ClientID  string   // whom it was issued to
	Username  string   // to show, not to know somebody by
	Scope     []string
	TokenType string // Bearer, DPoP, …
	ID        string // jti
	Expiry    time.Time
	IssuedAt  time.Time
	NotBefore time.Time

	Claims Claims // all members of the answer
}

// HasScope reports whether the token has a scope.
func (i *Introspection) HasScope(scope string) bool { return slices.Contains(i.Scope, scope) }

// Introspect asks the server about an access or a refresh token (RFC 7662). That a
// token is active says nothing of whom it is for: an API that takes tokens compares
// that, and more, as package rs does.
//
// Errors: *UnavailableError, also if the server has no such endpoint;
// *ResponseError; *CheckError for an answer that cannot be understood.
func (c *Client) Introspect(ctx context.Context, token string) (*Introspection, error) {
	const doing = "asking about a token"
	m, err := c.serverMetadata(ctx)
	if err != nil {
		return nil, err
	}
	if m.introspectionEndpoint == "" {
		return nil, &UnavailableError{Doing: doing, Err: errors.New("the server has no introspection endpoint")}
	}
	a, err := c.postForm(ctx, m.introspectionEndpoint, url.Values{"token": {token}})
	if err != nil {
		return nil, &UnavailableError{Doing: doing, Err: err}
	}
	if a.Status != http.StatusOK {
		return nil, answerError(doing, a)
	}
	return parseIntrospection(a.Body)
}

func parseIntrospection(data []byte) (*Introspection, error) {
	object, err := issuer.ParseObject(data)
	if err != nil {
		return nil, refuse("introspection", "%v", err)
	}
	r := issuer.Reader{Object: object}
	var active bool
	if told := r.Decode("active", &active); r.Err != nil || !told {
		return nil, refuse("active", "it is missing or malformed")
	}
	if !active {
		return &Introspection{}, nil
	}
	i := &Introspection{
		Active: true, Issuer: r.Text("iss"), Subject: r.Text("sub"), Audience: r.OneOrMore("aud"), ClientID: r.Text("client_id"),
		Username: r.Text("username"), Scope: strings.Fields(r.Text("scope")), TokenType: r.Text("token_type"), ID: r.Text("jti"),
		Expiry: r.Instant("exp"), IssuedAt: r.Instant("iat"), NotBefore: r.Instant("nbf"), Claims: Claims(object),
	}
	if r.Err != nil {
		return nil, refuse("introspection", "%v", r.Err)
	}
	return i, nil
}
