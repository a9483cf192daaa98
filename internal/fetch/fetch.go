// Package fetch makes every HTTP request that the server sends. Where to is what
// clients' owners have registered, so it is told apart here what may be reached: the
// address is judged after its name was resolved, at the moment it is dialled.
package fetch

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"syscall"
	"time"

	"github.com/sallyport-id/sallyport/internal/oidc"
)

// DefaultTimeout is that of a whole request, from its name's resolution to the last
// byte of its answer.
const DefaultTimeout = 5 * time.Second

const (
	maxHeader = 16 << 10 // bytes of an answer's header
	maxIgnore = 4 << 10  // bytes of an answer that nobody reads, for its connection's sake
	userAgent = "Sallyport"
)

// Config says what a Client may reach; its zero value is the public Internet.
type Config struct {
	// Allow are networks that are reached although they are not public.
	Allow []netip.Prefix
	// Timeout is DefaultTimeout if 0.
	Timeout time.Duration
	// RootCAs are who may sign a server's certificate; nil: whom this machine trusts.
	RootCAs *x509.CertPool
	// Resolver knows the names; nil: this machine's.
	Resolver *net.Resolver
}

// Client sends requests with TLS 1.2 or later, or without to this machine, where that
// is allowed. It follows no redirect, asks no proxy and keeps no cookie. It is for
// concurrent use.
type Client struct {
	timeout       time.Duration
	secure, plain *http.Transport
}

// New makes a client.
func New(c Config) *Client {
	if c.Timeout == 0 {
		c.Timeout = DefaultTimeout
	}
	return &Client{
		timeout: c.Timeout,
		secure:  c.transport(guard{allow: c.Allow}),
		plain:   c.transport(guard{allow: c.Allow, loopbackOnly: true}),
	}
}

// transport speaks HTTP/1.1: a request now and then gains nothing from HTTP/2. It
// dials for itself, and not for the request alone, so that dialling has its own limit.
func (c Config) transport(g guard) *http.Transport {
	dialer := &net.Dialer{Timeout: c.Timeout, Resolver: c.Resolver, Control: g.control}
	return &http.Transport{
		DialContext:            dialer.DialContext,
		TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: c.RootCAs},
		TLSHandshakeTimeout:    c.Timeout,
		DisableCompression:     true, // a limit of bytes is one of what is read
		MaxIdleConns:           20,
		MaxIdleConnsPerHost:    2,
		IdleConnTimeout:        30 * time.Second,
		MaxResponseHeaderBytes: maxHeader,
	}
}

// Close closes the connections that nobody uses.
func (c *Client) Close() {
	c.secure.CloseIdleConnections()
	c.plain.CloseIdleConnections()
}

// guard judges an address between its name's resolution and its dialling, so that
// no later resolution can be another.
type guard struct {
	allow        []netip.Prefix
	loopbackOnly bool
}

func (g guard) control(_, address string, _ syscall.RawConn) error {
	to, err := netip.ParseAddrPort(address)
	if err != nil {
		return err
	}
	a := to.Addr().Unmap().WithZone("")
	switch {
	case g.loopbackOnly && !a.IsLoopback():
		return errPlain
	case !public(a) && !within(g.allow, a):
		return &RefusedError{a}
	}
	return nil
}

var errPlain = errors.New("must be https, unless it is on this machine")

// parseURL reads a URL as clients' registrations have it.
func parseURL(text string) (*url.URL, error) {
	if err := oidc.ValidateServerURI(text); err != nil {
		return nil, fmt.Errorf("fetch: the URL %w", err)
	}
	return url.Parse(text)
}

// Response is an answer with 200.
type Response struct {
	Header http.Header
	Body   []byte
}

// StatusError is an answer of Get that is not 200, or one that PostForm does not take.
type StatusError struct{ Status int }

func (e *StatusError) Error() string {
	if e.Status >= 300 && e.Status < 400 {
		return fmt.Sprintf("it answered with %d, and redirects are not followed: register the URL that it redirects to", e.Status)
	}
	return fmt.Sprintf("it answered with %d", e.Status)
}

// Get fetches a JSON document of at most limit bytes. Errors name the host and neither
// the rest of the URL nor anything of the answer; among them are *RefusedError and
// *StatusError.
func (c *Client) Get(ctx context.Context, from string, limit int64) (*Response, error) {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	a, err := c.send(ctx, http.MethodGet, from, nil)
	if err != nil {
		return nil, err
	}
	defer a.Body.Close()
	if a.StatusCode != http.StatusOK {
		return nil, at(a.Request.URL, &StatusError{a.StatusCode})
	}
	body, err := io.ReadAll(io.LimitReader(a.Body, limit+1))
	switch {
	case err != nil:
		return nil, at(a.Request.URL, c.plainly(err))
	case int64(len(body)) > limit:
		return nil, at(a.Request.URL, fmt.Errorf("the answer has more than %d bytes", limit))
	}
	return &Response{Header: a.Header, Body: body}, nil
}

// PostForm sends a form and returns the answer's status, whatever it is but a
// redirect, or the begin of another protocol, which ends when the other side wants;
// nobody reads its body. Errors are as of Get.
func (c *Client) PostForm(ctx context.Context, to string, form url.Values) (status int, err error) {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	a, err := c.send(ctx, http.MethodPost, to, form)
	if err != nil {
		return 0, err
	}
	defer a.Body.Close()
	if a.StatusCode < 200 || a.StatusCode >= 300 && a.StatusCode < 400 {
		return 0, at(a.Request.URL, &StatusError{a.StatusCode})
	}
	_, _ = io.CopyN(io.Discard, a.Body, maxIgnore) // then its connection is good for another
	return a.StatusCode, nil
}

// send returns an answer whose body is to be closed.
func (c *Client) send(ctx context.Context, method, to string, form url.Values) (*http.Response, error) {
	u, err := parseURL(to)
	if err != nil {
		return nil, err
	}
	q, err := http.NewRequestWithContext(ctx, method, u.String(), strings.NewReader(form.Encode()))
	if err != nil {
		return nil, errors.New("fetch: the URL is none")
	}
	q.Header.Set("User-Agent", userAgent)
	q.Header.Set("Accept", "application/json")
	if method == http.MethodPost {
		q.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	transport := c.secure
	if u.Scheme == "http" {
		transport = c.plain
	}
	a, err := transport.RoundTrip(q)
	if err != nil {
		return nil, at(u, c.plainly(err))
	}
	return a, nil
}

var errNoHTTP = errors.New("it does not speak HTTP as it should")

// plainly leaves the errors that say what is wrong with the way there. Others, of
// reading the answer, may quote it.
func (c *Client) plainly(err error) error {
	var (
		refused  *RefusedError
		network  *net.OpError
		name     *net.DNSError
		timeout  net.Error
		untrust  *tls.CertificateVerificationError
		noTLS    tls.RecordHeaderError
		tlsAlert tls.AlertError
	)
	switch {
	case errors.As(err, &refused):
		return refused
	case errors.Is(err, errPlain):
		return fmt.Errorf("it %w", errPlain)
	case errors.Is(err, context.Canceled):
		return context.Canceled
	case errors.As(err, &timeout) && timeout.Timeout():
		return fmt.Errorf("there was no whole answer within %v", c.timeout)
	case errors.As(err, &name):
		return name
	case errors.As(err, &untrust):
		return untrust
	case errors.As(err, &noTLS):
		return errors.New("it does not speak TLS")
	case errors.As(err, &tlsAlert):
		return tlsAlert
	case errors.As(err, &network):
		return network
	case errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF):
		return errors.New("it closed the connection before the end of its answer")
	}
	return errNoHTTP
}

// at names where something went wrong: by the host alone, for the rest of a URL may
// be somebody's secret.
func at(u *url.URL, err error) error { return fmt.Errorf("fetch: %s: %w", u.Host, err) }
