package oidc

import (
	"encoding/base64"
	"strings"
	"time"
)

// AssertionType is the client_assertion_type that there is (RFC 7523 §2.2).
const AssertionType = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

const (
	// longestAssertion is how far ahead an assertion may end. Libraries make them for
	// an hour; each is good once, however long.
	longestAssertion = time.Hour
	// clockSkew is how far a client's clock may be off.
	clockSkew = 30 * time.Second
)

// Assertion is a client's proof of itself that was checked, but for one thing that needs
// memory: that it is used once.
type Assertion struct {
	ID    string    // jti: at most 128 characters
	Until time.Time // it is worth nothing from then on
}

// assertion reads a client assertion without believing it: whom it names is who must
// have signed it. A client_id beside it must say the same (RFC 7521 §4.2).
func (p *params) assertion(id string) ClientAuth {
	text := p.text("client_assertion", longestSigned)
	if kind := p.text("client_assertion_type", longestParam); kind != AssertionType || text == "" {
		p.fail(Errorf(InvalidRequest, "client_assertion and its client_assertion_type, jwt-bearer, go together"))
		return ClientAuth{}
	}
	subject := unprovenSubject(text)
	switch {
	case subject == "":
		p.fail(Errorf(InvalidClient, "client_assertion has no sub"))
	case id != "" && id != subject:
		p.fail(Errorf(InvalidClient, "client_id is not the assertion's sub"))
	}
	return ClientAuth{Method: AuthPrivateKeyJWT, ID: subject, Assertion: Secret(text)}
}

func unprovenSubject(text string) string {
	var claims struct {
		Subject string `json:"sub"`
	}
	parts := strings.Split(text, ".")
	if len(parts) != 3 {
		return ""
	}
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil || decodeObject(payload, &claims) != nil || len(claims.Subject) > longestID || !printable(claims.Subject) {
		return ""
	}
	return claims.Subject
}

// CheckAssertion checks a client's assertion (RFC 7523 §3, OpenID Connect Core §9):
// signed by one of its keys or, with client_secret_jwt, by one of its secrets, by
// itself, for this server and no other. An audience is the issuer, as one string: who
// takes its endpoints or lists, too, takes what another server was told to ask the
// client for.
func CheckAssertion(c *Client, keys AssertionKeys, auth ClientAuth, issuer string, now time.Time) (*Assertion, *Error) {
	if c.AuthMethod != keys.method() || auth.Method != AuthPrivateKeyJWT {
		return nil, Errorf(InvalidClient, "client authentication failed")
	}
	payload, typ, err := keys.open(string(auth.Assertion), c.AssertionAlg)
	if err != nil {
		return nil, wrongAssertion(err.Error())
	}
	var claims struct {
		times
		Issuer   string   `json:"iss"`
		Subject  string   `json:"sub"`
		Audience audience `json:"aud"`
		ID       string   `json:"jti"`
	}
	if err := decodeObject(payload, &claims); err != nil || !claims.valid() {
		return nil, wrongAssertion("its claims cannot be read")
	}
	switch {
	case !assertionType(typ):
		return nil, wrongAssertion("typ is of something else")
	case claims.Issuer != c.ID || claims.Subject != c.ID:
		return nil, wrongAssertion("iss and sub must be the client_id")
	case !claims.Audience.one || !c.assertionFor(claims.Audience.list[0], issuer):
		return nil, wrongAssertion("aud must be the issuer, as one string")
	case claims.ID == "" || len(claims.ID) > 128 || !printable(claims.ID):
		return nil, wrongAssertion("jti must be 1 to 128 characters")
	}
	until, why := claims.within(now, longestAssertion)
	if why != "" {
		return nil, wrongAssertion(why)
	}
	return &Assertion{ID: claims.ID, Until: until}, nil
}

// assertionFor: the old audience, the token endpoint, is one for clients that know no
// other, if the operator said so.
func (c *Client) assertionFor(aud, issuer string) bool {
	return aud == issuer || c.InsecureTokenEndpointAudience && aud == issuer+"/token"
}

// assertionType: without typ, or a general one. What is signed for something else says
// so (RFC 8725 §3.11).
func assertionType(typ string) bool {
	switch strings.ToLower(strings.TrimPrefix(strings.ToLower(typ), "application/")) {
	case "", "jwt", "client-authentication+jwt":
		return true
	}
	return false
}

// within says until when what was signed can be taken, or why it cannot now.
func (t times) within(now time.Time, longest time.Duration) (until time.Time, why string) {
	if t.Expires == nil {
		return until, "exp is missing"
	}
	until = time.Unix(int64(*t.Expires), 0).Add(clockSkew)
	switch {
	case !now.Before(until):
		return until, "it has expired"
	case until.After(now.Add(longest + 2*clockSkew)):
		return until, "exp is too far ahead"
	case t.NotBefore != nil && time.Unix(int64(*t.NotBefore), 0).After(now.Add(clockSkew)):
		return until, "nbf is ahead"
	case t.IssuedAt != nil && time.Unix(int64(*t.IssuedAt), 0).After(now.Add(clockSkew)):
		return until, "iat is ahead"
	}
	return until, ""
}

func wrongAssertion(why string) *Error { return Errorf(InvalidClient, "client_assertion: %s", why) }
