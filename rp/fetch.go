package rp

import (
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
)

// Longest answers of the server, in bytes.
const (
	longestDocument = 512 << 10 // metadata, keys
	longestAnswer   = 128 << 10 // tokens, userinfo
)

// guarded copies a client: no redirects, since a token request must not follow
// one and a key set should not; no cookies; never without a timeout.
func guarded(client *http.Client) *http.Client {
	var c http.Client
	if client != nil {
		c = *client
	}
	c.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	c.Jar = nil
	if c.Timeout == 0 {
		c.Timeout = defaultTimeout
	}
	return &c
}

// an answer is a response with its whole body.
type answer struct {
	status int
	header http.Header
	body   []byte
}

// do sends a request and reads the answer, of at most limit bytes.
func (c *Client) do(req *http.Request, limit int64) (answer, error) {
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", "sallyport-rp")
	res, err := c.http.Do(req)
	if err != nil {
		return answer{}, err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, limit+1))
	if err != nil {
		return answer{}, fmt.Errorf("%s %s: %w", req.Method, req.URL.Redacted(), err)
	}
	if int64(len(body)) > limit {
		return answer{}, fmt.Errorf("%s %s: the answer is longer than %d bytes", req.Method, req.URL.Redacted(), limit)
	}
	return answer{res.StatusCode, res.Header, body}, nil
}

// get fetches a document unless its entity tag is still the same; then the
// error is errNotModified.
func (c *Client) get(ctx context.Context, url, etag string) (answer, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return answer{}, err
	}
	if etag != "" {
		req.Header.Set("If-None-Match", etag)
	}
	a, err := c.do(req, longestDocument)
	switch {
	case err != nil:
		return answer{}, err
	case a.status == http.StatusNotModified && etag != "":
		return answer{}, errNotModified
	case a.status != http.StatusOK:
		return answer{}, fmt.Errorf("GET %s: status %d", url, a.status)
	}
	return a, nil
}

var errNotModified = errors.New("not modified")

func isJSON(contentType string) bool {
	kind, _, err := mime.ParseMediaType(contentType)
	return err == nil && kind == "application/json"
}
