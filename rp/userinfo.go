package rp

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"golang.org/x/oauth2"

	"github.com/sallyport-id/sallyport/internal/issuer"
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
	with := issuer.NewClient(c.HTTPClient(oauth2.StaticTokenSource(id.Token)), userAgent)
	a, err := with.Do(req, longestAnswer)
	if err == nil && (a.Status != http.StatusOK || !a.IsJSON()) {
		err = fmt.Errorf("the answer has status %d and type %q", a.Status, issuer.Clip(a.Header.Get("Content-Type")))
	}
	if err != nil {
		return nil, &UnavailableError{Doing: "asking for userinfo", Err: err}
	}
	return parseUserInfo(a.Body, id.Subject)
}

func parseUserInfo(data []byte, subject string) (Claims, error) {
	object, err := issuer.ParseObject(data)
	if err != nil {
		return nil, refuse("userinfo", "%v", err)
	}
	r := issuer.Reader{Object: object}
	if sub := r.Text("sub"); r.Err != nil || sub != subject {
		return nil, refuse("sub", "the userinfo is about somebody else")
	}
	return Claims(object), nil
}
