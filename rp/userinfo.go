package rp

import (
	"context"
	"errors"
	"fmt"
	"net/http"
)

// UserInfo asks the server for claims about the user whose access token it is,
// and refuses those about anybody else (OpenID Connect Core §5.3.2). Errors are
// those of Callback. A signed answer is not understood.
func (c *Client) UserInfo(ctx context.Context, id *Identity) (Claims, error) {
	m, err := c.serverMetadata(ctx)
	if err != nil {
		return nil, err
	}
	if m.userinfoEndpoint == "" {
		return nil, &UnavailableError{Doing: "asking for userinfo", Err: errors.New("the server has no userinfo endpoint")}
	}
	if id.Issuer != c.config.Issuer || id.Token == nil {
		return nil, refuse("iss", "the identity is not of this server")
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, m.userinfoEndpoint, nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Authorization", "Bearer "+id.Token.AccessToken)
	a, err := c.do(req, longestAnswer)
	if err == nil && (a.status != http.StatusOK || !isJSON(a.header.Get("Content-Type"))) {
		err = fmt.Errorf("the answer has status %d and type %q", a.status, clip(a.header.Get("Content-Type")))
	}
	if err != nil {
		return nil, &UnavailableError{Doing: "asking for userinfo", Err: err}
	}
	return parseUserInfo(a.body, id.Subject)
}

func parseUserInfo(data []byte, subject string) (Claims, error) {
	claims, err := parseObject(data)
	if err != nil {
		return nil, refuse("userinfo", "%v", err)
	}
	r := reader{claims: claims}
	if sub := r.text("sub"); r.err != nil || sub != subject {
		return nil, refuse("sub", "the userinfo is about somebody else")
	}
	return claims, nil
}
