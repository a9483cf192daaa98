package rp

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"

	"golang.org/x/oauth2"

	"github.com/sallyport-id/sallyport/internal/issuer"
)

const (
	deviceInterval = 5 // seconds, if the server does not say (RFC 8628 §3.2)
	slowDown       = 5 // seconds more (RFC 8628 §3.5)
)

// DeviceAuthorization begins a sign-in where there is no browser (RFC 8628 §3.1),
// with Config.Scopes. Show VerificationURI and UserCode, and call Poll.
//
// Errors: *ResponseError; *CheckError; *UnavailableError, also if the server has no
// such endpoint.
func (c *Client) DeviceAuthorization(ctx context.Context) (*oauth2.DeviceAuthResponse, error) {
	const doing = "asking for a device code"
	m, err := c.serverMetadata(ctx)
	if err != nil {
		return nil, err
	}
	if m.deviceEndpoint == "" {
		return nil, &UnavailableError{Doing: doing, Err: errors.New("the server has no endpoint for devices")}
	}
	form := url.Values{"scope": {strings.Join(c.config.Scopes, " ")}}
	c.addResource(form)
	a, err := c.postForm(ctx, m.deviceEndpoint, form)
	if err != nil {
		return nil, &UnavailableError{Doing: doing, Err: err}
	}
	if a.Status != http.StatusOK {
		return nil, answerError(doing, a)
	}
	return c.parseDeviceAuthorization(a.Body)
}

// parseDeviceAuthorization reads the answer (RFC 8628 §3.2).
func (c *Client) parseDeviceAuthorization(data []byte) (*oauth2.DeviceAuthResponse, error) {
	object, err := issuer.ParseObject(data)
	if err != nil {
		return nil, refuse("device response", "%v", err)
	}
	r := issuer.Reader{Object: object}
	d := &oauth2.DeviceAuthResponse{
		DeviceCode: r.Text("device_code"), UserCode: r.Text("user_code"), VerificationURI: r.Text("verification_uri"),
		VerificationURIComplete: r.Text("verification_uri_complete"), Interval: deviceInterval,
	}
	var lifetime int64
	r.Decode("expires_in", &lifetime)
	r.Decode("interval", &d.Interval)
	switch {
	case r.Err != nil:
		return nil, refuse("device response", "%v", r.Err)
	case d.DeviceCode == "" || d.UserCode == "" || strings.ContainsFunc(d.UserCode, notPrintable):
		return nil, refuse("device response", "a code is missing or malformed")
	case lifetime <= 0:
		return nil, refuse("expires_in", "it is missing")
	}
	uris := []string{d.VerificationURI}
	if d.VerificationURIComplete != "" {
		uris = append(uris, d.VerificationURIComplete)
	}
	for _, uri := range uris { // people will be told to go there
		if err := issuer.CheckEndpoint(c.config.Issuer, uri, c.config.InsecureAllowHTTP); err != nil {
			return nil, refuse("verification_uri", "%v", err)
		}
	}
	d.Expiry = c.config.Now().Add(time.Duration(min(lifetime, 1<<31)) * time.Second)
	return d, nil
}

func notPrintable(r rune) bool { return r < ' ' || r > '~' }

// Poll waits until the user has answered, as often as the server allows (RFC 8628
// §3.4, §3.5), and checks what comes as Callback does, Config.Require too; Fresh
// counts from the call. A server that does not answer is asked again, later.
//
// Errors are those of Callback: a *ResponseError with access_denied if the user, or
// the server, said no, with expired_token if nobody answered in time; and that of
// ctx.
func (c *Client) Poll(ctx context.Context, d *oauth2.DeviceAuthResponse) (*Identity, error) {
	login := pending{started: c.config.Now(), returnTo: "/"}
	t, err := c.poll(ctx, d)
	if err == nil && t.idToken == "" {
		err = refuse("id_token", "it is missing")
	}
	if err != nil {
		return nil, err
	}
	return c.identifyBy(ctx, t, login)
}

func (c *Client) poll(ctx context.Context, d *oauth2.DeviceAuthResponse) (tokens, error) {
	interval := d.Interval
	if interval <= 0 {
		interval = deviceInterval
	}
	for {
		if err := sleep(ctx, time.Duration(interval)*time.Second); err != nil {
			return tokens{}, err
		}
		t, err := c.redeemDevice(ctx, d.DeviceCode)
		var response *ResponseError
		var unavailable *UnavailableError
		switch {
		case ctx.Err() != nil:
			return tokens{}, ctx.Err()
		case errors.As(err, &response) && response.Code == "authorization_pending":
		case errors.As(err, &response) && response.Code == "slow_down", errors.As(err, &unavailable):
			interval += slowDown
		default:
			return t, err
		}
		if !c.config.Now().Before(d.Expiry) {
			return tokens{}, newResponseError("expired_token", "nobody answered in time", true)
		}
	}
}

func (c *Client) redeemDevice(ctx context.Context, code string) (tokens, error) {
	m, err := c.serverMetadata(ctx)
	if err != nil {
		return tokens{}, err
	}
	form := url.Values{"grant_type": {"urn:ietf:params:oauth:grant-type:device_code"}, "device_code": {code}}
	c.addResource(form)
	return c.grant(ctx, m, "redeeming the device code", form)
}
