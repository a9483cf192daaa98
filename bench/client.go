package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"sync/atomic"
	"time"
)

// perAddress is how many requests that a limit counts come from one address: less
// than the least burst, that of failures.
const perAddress = 40

// addresses counts those that were given out.
var addresses atomic.Uint32

// nextAddress is one that nobody has come from, in 127.0.0.0/8: all of it is this
// machine. So the limits per address stay on, as in earnest, and hinder nobody.
func nextAddress() net.IP {
	n := addresses.Add(1)
	return net.IPv4(127, byte(1+n>>16), byte(n>>8), byte(n))
}

// client has one connection to the server, and asks one thing after another.
type client struct {
	load      *load
	issuer    string
	transport *http.Transport
	counted   int // requests of an operation that a limit counts
	left      int // of those from this address
}

func newClient(l *load, counted int) *client {
	c := &client{load: l, issuer: l.server.in.issuer, counted: counted}
	c.move()
	return c
}

// move comes from another address from now on.
func (c *client) move() {
	c.leave()
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: nextAddress()}, Timeout: 10 * time.Second}
	c.transport = &http.Transport{DialContext: dialer.DialContext, DisableCompression: true}
	c.left = perAddress
}

func (c *client) leave() {
	if c.transport != nil {
		c.transport.CloseIdleConnections()
	}
}

// mayCount begins an operation: one that limits count moves the client in time.
func (c *client) mayCount() {
	if c.left -= c.counted; c.left < 0 {
		c.move()
	}
}

// answer is a response whose body was read.
type answer struct {
	status int
	header http.Header
	body   []byte
}

func (a *answer) String() string { return fmt.Sprintf("%d %v %s", a.status, a.header, a.body) }

// send follows no redirect and keeps no cookie.
func (c *client) send(req *http.Request) (*answer, error) {
	resp, err := c.transport.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return &answer{resp.StatusCode, resp.Header, body}, err
}

func (c *client) get(path string, header ...string) (*answer, error) {
	req, err := http.NewRequest("GET", c.issuer+path, nil)
	if err != nil {
		return nil, err
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	return c.send(req)
}

// token posts to the token endpoint; secret "" is a public client.
func (c *client) token(id, secret string, form url.Values) (*answer, error) {
	return c.post("/token", id, secret, form)
}

// post sends a form of a client; id "" is one that says in the form who it is.
func (c *client) post(path, id, secret string, form url.Values, header ...string) (*answer, error) {
	if secret == "" && id != "" {
		form.Set("client_id", id)
	}
	req, err := http.NewRequest("POST", c.issuer+path, strings.NewReader(form.Encode()))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if secret != "" {
		req.SetBasicAuth(id, secret)
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	return c.send(req)
}

// browser is a fresh one: it keeps cookies, and follows redirects on the server.
type browser struct {
	*client
	http *http.Client
}

func (c *client) browser() *browser {
	jar, _ := cookiejar.New(nil) // its only error is that of its options
	follow := func(req *http.Request, via []*http.Request) error {
		if !strings.HasPrefix(req.URL.String(), c.issuer+"/") {
			return http.ErrUseLastResponse
		}
		if len(via) > 10 {
			return errors.New("redirected in a circle")
		}
		return nil
	}
	return &browser{c, &http.Client{Transport: c.transport, Jar: jar, CheckRedirect: follow}}
}

// page is what a browser shows in the end.
type page struct {
	*answer
	url *url.URL
}

func (b *browser) do(ctx context.Context, method, address string, form url.Values) (*page, error) {
	req, err := http.NewRequestWithContext(ctx, method, address, strings.NewReader(form.Encode()))
	if err != nil {
		return nil, err
	}
	if method == "POST" {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		req.Header.Set("Origin", b.issuer)
		req.Header.Set("Sec-Fetch-Site", "same-origin")
	}
	resp, err := b.http.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return &page{&answer{resp.StatusCode, resp.Header, body}, resp.Request.URL}, err
}

// cookies are those of the server, as a header's value.
func (b *browser) cookies() (string, error) {
	u, err := url.Parse(b.issuer)
	if err != nil {
		return "", err
	}
	var pairs []string
	for _, c := range b.http.Jar.Cookies(u) {
		pairs = append(pairs, c.Name+"="+c.Value)
	}
	return strings.Join(pairs, "; "), nil
}
