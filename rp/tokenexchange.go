package rp

import (
	"context"
	"net/url"
	"strings"
	"time"

	"golang.org/x/oauth2"

	"github.com/sallyport-id/sallyport/internal/issuer"
)

// Types of tokens in an exchange (RFC 8693 §3).
const (
	TypeAccessToken  = "urn:ietf:params:oauth:token-type:access_token"
	TypeRefreshToken = "urn:ietf:params:oauth:token-type:refresh_token"
	TypeIDToken      = "urn:ietf:params:oauth:token-type:id_token"
	TypeJWT          = "urn:ietf:params:oauth:token-type:jwt"
)

const noAccessToken = "N_A" // the token_type of what is none (RFC 8693 §2.2.1)

// An ExchangeRequest says which token is wanted for which (RFC 8693 §2.1). Only
// SubjectToken must be set.
type ExchangeRequest struct {
	SubjectToken     string // of whom the new token is to be about
	SubjectTokenType string // "" means TypeAccessToken
	ActorToken       string // of who acts for him, "" if that is the client
	ActorTokenType   string // "" means TypeAccessToken, if there is an ActorToken
	RequestedType    string // "" leaves it to the server

	Resource []string // URIs of the APIs that the new token is for (RFC 8707 §2)
	Audience []string // or the names by which the server knows them
	Scope    []string
}

func (e ExchangeRequest) form() url.Values {
	form := url.Values{
		"grant_type":    {"urn:ietf:params:oauth:grant-type:token-exchange"},
		"subject_token": {e.SubjectToken}, "subject_token_type": {e.SubjectTokenType},
		"resource": e.Resource, "audience": e.Audience,
	}
	if e.SubjectTokenType == "" {
		form.Set("subject_token_type", TypeAccessToken)
	}
	if e.ActorToken != "" {
		form.Set("actor_token", e.ActorToken)
		form.Set("actor_token_type", e.ActorTokenType)
		if e.ActorTokenType == "" {
			form.Set("actor_token_type", TypeAccessToken)
		}
	}
	if e.RequestedType != "" {
		form.Set("requested_token_type", e.RequestedType)
	}
	if len(e.Scope) > 0 {
		form.Set("scope", strings.Join(e.Scope, " "))
	}
	return form
}

// An ExchangedToken is what came of an exchange (RFC 8693 §2.2.1). Its AccessToken is
// the token, whatever its type; HTTPClient sends it to APIs if it is an access token.
// Extra has its scope. Nothing in it was verified.
type ExchangedToken struct {
	*oauth2.Token
	IssuedTokenType string // TypeAccessToken, …
}

// Exchange gets a token for another one, such as an API that calls a second one does
// for the token of its caller (RFC 8693). A token of another type than was requested
// is refused, and so is an access token that is not bound to Config.DPoPKey.
//
// Errors: *ResponseError, *CheckError, *UnavailableError.
func (c *Client) Exchange(ctx context.Context, request ExchangeRequest) (*ExchangedToken, error) {
	m, err := c.serverMetadata(ctx)
	if err != nil {
		return nil, err
	}
	body, err := c.askForTokens(ctx, m, "exchanging a token", request.form())
	if err != nil {
		return nil, err
	}
	return parseExchange(body, request.RequestedType, c.tokenType(), c.config.Now())
}

// parseExchange reads a successful answer with a token of the requested type, "" for
// any; access tokens are of a kind.
func parseExchange(body []byte, requested, kind string, now time.Time) (*ExchangedToken, error) {
	object, err := issuer.ParseObject(body)
	if err != nil {
		return nil, refuse("token response", "%v", err)
	}
	r := issuer.Reader{Object: object}
	issued, told := r.Text("issued_token_type"), r.Text("token_type")
	switch {
	case r.Err != nil || issued == "":
		return nil, refuse("issued_token_type", "it is missing or malformed")
	case requested != "" && issued != requested:
		return nil, refuse("issued_token_type", "it is not what was requested")
	case issued != TypeAccessToken && strings.EqualFold(told, noAccessToken):
		kind = noAccessToken
	}
	t, err := parseTokens(body, kind, now)
	if err != nil {
		return nil, err
	}
	return &ExchangedToken{t.oauth2, issued}, nil
}
