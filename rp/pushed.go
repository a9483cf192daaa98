package rp

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"

	"github.com/sallyport-id/sallyport/internal/issuer"
)

// push sends an authorization request ahead and returns what the browser gets of
// it: the client_id and a reference (RFC 9126 §2, §4).
func (c *Client) push(ctx context.Context, m metadata, request string) (string, error) {
	front, err := url.Parse(m.authorizationEndpoint)
	if err != nil {
		return "", fmt.Errorf("rp: authorization_endpoint: %w", err)
	}
	u, err := url.Parse(request)
	if err != nil {
		return "", fmt.Errorf("rp: authorization request: %w", err)
	}
	form, q := u.Query(), front.Query()
	for name := range q { // the endpoint's own
		form.Del(name)
	}
	reference, err := c.pushForm(ctx, m, form)
	if err != nil {
		return "", &UnavailableError{Doing: "sending the authorization request ahead", Err: err}
	}
	q.Set("client_id", c.config.ClientID)
	q.Set("request_uri", reference)
	front.RawQuery = q.Encode()
	return front.String(), nil
}

func (c *Client) pushForm(ctx context.Context, m metadata, form url.Values) (reference string, err error) {
	if m.pushedEndpoint == "" {
		return "", errors.New("the server has no endpoint for it")
	}
	a, err := c.postProven(ctx, m.pushedEndpoint, form)
	if err != nil {
		return "", err
	}
	if a.Status != http.StatusCreated {
		return "", answerError("sending it", a)
	}
	object, err := issuer.ParseObject(a.Body)
	if err != nil {
		return "", err
	}
	r := issuer.Reader{Object: object}
	if reference = r.Text("request_uri"); r.Err != nil || reference == "" {
		return "", errors.New("the answer has no request_uri")
	}
	return reference, nil
}
