package rp

import (
	"errors"
	"fmt"
	"net/http"

	"golang.org/x/oauth2"

	"github.com/sallyport-id/sallyport/internal/issuer"
)

// HTTPClient sends requests to APIs with the tokens of a source, through
// Config.HTTPClient's transport and with its timeout. It sends them over https
// only, as Config.InsecureAllowHTTP says, and follows no redirect to another
// origin, which would get the token as well.
func (c *Client) HTTPClient(source oauth2.TokenSource) *http.Client {
	client := &http.Client{CheckRedirect: sameOrigin}
	t := &transport{client: c, source: source, base: http.DefaultTransport}
	if own := c.config.HTTPClient; own != nil {
		client.Timeout = own.Timeout
		if own.Transport != nil {
			t.base = own.Transport
		}
	}
	client.Transport = t
	return client
}

func sameOrigin(r *http.Request, via []*http.Request) error {
	if first := via[0].URL; r.URL.Scheme != first.Scheme || r.URL.Host != first.Host {
		return http.ErrUseLastResponse
	}
	if len(via) >= 10 {
		return errors.New("rp: stopped after 10 redirects")
	}
	return nil
}

// transport adds a token to requests.
type transport struct {
	client *Client
	source oauth2.TokenSource
	base   http.RoundTripper
}

// RoundTrip closes the request's body in any case, as it must.
func (t *transport) RoundTrip(r *http.Request) (*http.Response, error) {
	with, err := t.authorized(r)
	if err != nil {
		if r.Body != nil {
			r.Body.Close()
		}
		return nil, err
	}
	return t.base.RoundTrip(with)
}

// authorized is a copy of the request with a token.
func (t *transport) authorized(r *http.Request) (*http.Request, error) {
	if err := issuer.CheckURL(r.URL.Scheme+"://"+r.URL.Host, t.client.config.InsecureAllowHTTP); err != nil {
		return nil, fmt.Errorf("rp: the API's URL: %w", err)
	}
	token, err := t.source.Token()
	if err != nil {
		return nil, err
	}
	with := r.Clone(r.Context())
	token.SetAuthHeader(with)
	return with, nil
}
