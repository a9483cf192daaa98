package issuer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"time"
)

const (
	longestDocument = 512 << 10 // bytes of metadata or keys
	defaultTimeout  = 10 * time.Second
)

// A Client speaks to an authorization server.
type Client struct {
	http      *http.Client
	userAgent string
}

// NewClient returns a client that sends requests through a guarded copy of
// another, nil for one that uses http.DefaultTransport.
func NewClient(client *http.Client, userAgent string) *Client {
	return &Client{guarded(client), userAgent}
}

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

// An Answer is a response with its whole body.
type Answer struct {
	Status int
	Header http.Header
	Body   []byte
}

// IsJSON reports whether the answer says that it is JSON.
func (a Answer) IsJSON() bool {
	kind, _, err := mime.ParseMediaType(a.Header.Get("Content-Type"))
	return err == nil && kind == "application/json"
}

// Do sends a request and reads the answer, of at most limit bytes.
func (c *Client) Do(req *http.Request, limit int64) (Answer, error) {
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", c.userAgent)
	res, err := c.http.Do(req)
	if err != nil {
		return Answer{}, err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, limit+1))
	if err != nil {
		return Answer{}, fmt.Errorf("%s %s: %w", req.Method, req.URL.Redacted(), err)
	}
	if int64(len(body)) > limit {
		return Answer{}, fmt.Errorf("%s %s: the answer is longer than %d bytes", req.Method, req.URL.Redacted(), limit)
	}
	return Answer{res.StatusCode, res.Header, body}, nil
}

// Get fetches a document unless its entity tag is still the same; then the
// error is ErrNotModified.
func (c *Client) Get(ctx context.Context, url, etag string) (Answer, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return Answer{}, err
	}
	if etag != "" {
		req.Header.Set("If-None-Match", etag)
	}
	a, err := c.Do(req, longestDocument)
	switch {
	case err != nil:
		return Answer{}, err
	case a.Status == http.StatusNotModified && etag != "":
		return Answer{}, ErrNotModified
	case a.Status != http.StatusOK:
		return Answer{}, fmt.Errorf("GET %s: status %d", url, a.Status)
	}
	return a, nil
}

// ErrNotModified is the error of a fetch that found the document as it was.
var ErrNotModified = errors.New("not modified")
