package oidc

import (
	"encoding/json"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// longestRequestObject is how long a request object may be good (FAPI 2.0 Message
// Signing §5.3.1).
const longestRequestObject = time.Hour

// RequestObjectType is the typ of request objects (RFC 9101 §10.8).
const RequestObjectType = "oauth-authz-req+jwt"

// HasRequestObject reports whether an authorization request is in a request object.
func HasRequestObject(v url.Values) bool {
	p := params{values: v}
	return p.text("request", longestSigned) != "" || p.err != nil
}

// OpenRequestObject returns the parameters of an authorization request that the client
// has signed (RFC 9101): those inside and no other, but the request's client_id, which
// must be the same. The redirect URI is in there, too, so that an error of the object
// is never redirected. The keys are the client's.
func OpenRequestObject(c *Client, keys *ClientKeys, v url.Values, issuer string, now time.Time) (url.Values, *Error) {
	p := params{values: v}
	text := p.text("request", longestSigned)
	p.text("client_id", longestID)
	if p.text("request_uri", longestParam) != "" {
		p.fail(Errorf(InvalidRequest, "request and request_uri are sent together"))
	}
	if p.err != nil {
		return nil, p.err
	}
	payload, typ, err := keys.open(text, c.RequestObjectAlg)
	if err != nil {
		return nil, wrongRequestObject(err.Error())
	}
	if kind := strings.TrimPrefix(strings.ToLower(typ), "application/"); kind != "" && kind != "jwt" && kind != RequestObjectType {
		return nil, wrongRequestObject("typ is of something else")
	}
	return requestParameters(c, payload, issuer, now)
}

// requestParameters checks what the object says of itself, and reads the rest.
func requestParameters(c *Client, payload []byte, issuer string, now time.Time) (url.Values, *Error) {
	var claims struct {
		times
		Issuer   string   `json:"iss"`
		Audience audience `json:"aud"`
		ClientID string   `json:"client_id"`
	}
	members := map[string]json.RawMessage{}
	if err := decodeObject(payload, &claims); err != nil || !claims.valid() || json.Unmarshal(payload, &members) != nil {
		return nil, wrongRequestObject("its claims cannot be read")
	}
	_, nested := members["request"]
	_, referring := members["request_uri"]
	_, subject := members["sub"]
	switch {
	case nested || referring:
		return nil, wrongRequestObject("request and request_uri have no place in it")
	case subject: // else it could be an assertion (RFC 9101 §10.8)
		return nil, wrongRequestObject("sub has no place in it")
	case claims.Issuer != c.ID || claims.ClientID != c.ID:
		return nil, wrongRequestObject("iss and client_id must be the client's")
	case !claims.Audience.has(issuer):
		return nil, wrongRequestObject("aud must have the issuer")
	case claims.NotBefore == nil && c.RequireSigned: // FAPI 2.0 Message Signing §5.3.1
		return nil, wrongRequestObject("nbf is missing")
	case claims.NotBefore != nil && claims.Expires != nil && *claims.Expires-*claims.NotBefore > longestRequestObject.Seconds():
		return nil, wrongRequestObject("it is good for more than an hour")
	case claims.NotBefore != nil && time.Unix(int64(*claims.NotBefore), 0).Before(now.Add(-longestRequestObject-clockSkew)):
		return nil, wrongRequestObject("nbf is more than an hour ago")
	}
	if _, why := claims.within(now, longestRequestObject); why != "" {
		return nil, wrongRequestObject(why)
	}
	v := url.Values{}
	for name, value := range members {
		switch name {
		case "iss", "aud", "exp", "nbf", "iat", "jti":
			continue
		}
		text, ok := parameterText(name, value)
		if !ok {
			return nil, wrongRequestObject("a parameter in it is not a string")
		}
		v[name] = text
	}
	return v, nil
}

// parameterText is a member as the parameter that it stands for: max_age is a number,
// claims an object, resource may be a list (RFC 9101 §4, OpenID Connect Core §6.1).
func parameterText(name string, value json.RawMessage) ([]string, bool) {
	var text string
	if json.Unmarshal(value, &text) == nil {
		return []string{text}, true
	}
	var list []string
	var number int64
	switch {
	case name == "claims" && strings.HasPrefix(string(value), "{"):
		return []string{string(value)}, true
	case name == "max_age" && json.Unmarshal(value, &number) == nil:
		return []string{strconv.FormatInt(number, 10)}, true
	case name == "resource" && json.Unmarshal(value, &list) == nil:
		return list, true
	}
	return nil, !known(name)
}

// known: a parameter that is read. What is not is ignored, whatever it is.
func known(name string) bool {
	switch name {
	case "client_id", "redirect_uri", "response_type", "response_mode", "scope", "state", "nonce", "code_challenge", "code_challenge_method", "dpop_jkt",
		"prompt", "max_age", "acr_values", "login_hint", "ui_locales", "id_token_hint", "display", "claims", "resource", "registration":
		return true
	}
	return false
}

func (a audience) has(issuer string) bool {
	for _, one := range a.list {
		if one == issuer {
			return true
		}
	}
	return false
}

func wrongRequestObject(why string) *Error { return Errorf(InvalidRequestObject, "request: %s", why) }
