package rp

import (
	"errors"
	"net/url"
)

// checkResource: absolute and without a fragment (RFC 8707 §2).
func checkResource(uri string) error {
	if uri == "" {
		return nil
	}
	if u, err := url.Parse(uri); err != nil || !u.IsAbs() || u.Fragment != "" {
		return errors.New("it is no absolute URI without fragment")
	}
	return nil
}

// addResource says in a request for which API its tokens are.
func (c *Client) addResource(params url.Values) {
	if c.config.Resource != "" {
		params.Set("resource", c.config.Resource)
	}
}
