package rp_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sallyport-id/sallyport/rp"
	"github.com/sallyport-id/sallyport/rp/rptest"
)

// inMemory reaches a provider without a network, so that time can pass by itself.
type inMemory struct{ *rptest.Provider }

func (m inMemory) RoundTrip(r *http.Request) (*http.Response, error) {
	w := httptest.NewRecorder()
	m.ServeHTTP(w, r)
	return w.Result(), nil
}

// device is a client without a browser.
func device(t *testing.T, p *rptest.Provider) *rp.Client {
	t.Helper()
	config := p.Config("")
	config.CookieKey, config.HTTPClient, config.Require = nil, &http.Client{Transport: inMemory{p}}, rp.MFA
	client, err := rp.New(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	return client
}

func TestDeviceFlow(t *testing.T) {
	t.Parallel()
	const wait, slow = "authorization_pending", "slow_down"
	for what, test := range map[string]struct {
		answers []string
		fault   rptest.Fault
		after   time.Duration // when it is over
		about   string        // "" for a sign-in
	}{
		"at once":          {nil, "", 5 * time.Second, ""},
		"after a while":    {[]string{wait, wait}, "", 15 * time.Second, ""},
		"slower":           {[]string{wait, slow, slow, wait}, "", (5 + 5 + 10 + 15 + 15) * time.Second, ""},
		"refused":          {[]string{wait, "access_denied"}, "", 10 * time.Second, "access_denied"},
		"too late":         {[]string{wait, "expired_token"}, "", 10 * time.Second, "expired_token"},
		"one factor":       {nil, rptest.PasswordOnly, 5 * time.Second, "amr"},
		"another client":   {nil, rptest.WrongAudience, 5 * time.Second, "aud"},
		"a nonce, of whom": {nil, rptest.WrongNonce, 5 * time.Second, "nonce"},
		"no ID token":      {nil, rptest.NoIDToken, 5 * time.Second, "id_token"},
	} {
		p := rptest.NewProvider(t)
		synctest.Test(t, func(t *testing.T) {
			p.AnswerDevices(test.answers...)
			p.Misbehave(test.fault)
			c := device(t, p)
			d, err := c.DeviceAuthorization(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if d.UserCode != "WDJB-MJHT" || d.VerificationURI != p.Issuer+"/device" || d.Interval != 5 || time.Until(d.Expiry) != 10*time.Minute {
				t.Errorf("%s: got %+v", what, d)
			}
			began := time.Now()
			id, err := c.Poll(t.Context(), d)
			if about(err) != test.about || (id == nil) != (err != nil) {
				t.Errorf("%s: got %v, %v, want %q", what, id, err, test.about)
			}
			if got := time.Since(began); got != test.after {
				t.Errorf("%s: it took %v, want %v", what, got, test.after)
			}
			if id != nil && (id.Subject != rptest.Subject || id.Token.RefreshToken == "" || id.ReturnTo != "/") {
				t.Errorf("%s: got %v", what, id)
			}
		})
	}
}

func TestDevicePollEndsByItself(t *testing.T) {
	t.Parallel()
	p := rptest.NewProvider(t)
	synctest.Test(t, func(t *testing.T) {
		p.AnswerDevices(strings.Fields(strings.Repeat("authorization_pending ", 200))...)
		c := device(t, p)
		d, err := c.DeviceAuthorization(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if _, err := c.Poll(ctx, d); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("the caller gives up: got %v", err)
		}
		if _, err := c.Poll(t.Context(), d); about(err) != "expired_token" || time.Now().Before(d.Expiry) {
			t.Errorf("nobody answers: got %v at %v", err, time.Until(d.Expiry))
		}
		p.AnswerDevices()
		d, _ = c.DeviceAuthorization(t.Context())
		p.Misbehave(rptest.Down)
		time.AfterFunc(time.Minute, func() { p.Misbehave() })
		if _, err := c.Poll(t.Context(), d); err != nil {
			t.Errorf("the server was down for a minute: got %v", err)
		}
	})
}

func TestDeviceAuthorizationFails(t *testing.T) {
	t.Parallel()
	p := rptest.NewProvider(t)
	p.Misbehave(rptest.NoDevices)
	var unavailable *rp.UnavailableError
	if _, err := device(t, p).DeviceAuthorization(t.Context()); !errors.As(err, &unavailable) {
		t.Errorf("no endpoint: got %v", err)
	}
	p = rptest.NewProvider(t)
	p.UsePrivateKeyJWT("ES256")
	c := device(t, p)
	p.UsePrivateKeyJWT("ES256") // the key was taken from it
	if _, err := c.DeviceAuthorization(t.Context()); about(err) != "invalid_client" {
		t.Errorf("an old key: got %v", err)
	}
	w := httptest.NewRecorder()
	c.Login(w, httptest.NewRequest(http.MethodGet, "/login", nil))
	_, err := c.Callback(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/callback?code=x&state=y", nil))
	if w.Code != http.StatusServiceUnavailable || !errors.As(err, &unavailable) {
		t.Errorf("a browser at a client without: got %d and %v", w.Code, err)
	}
	if _, err := c.Sessions(rp.SessionConfig{}); err == nil || !strings.Contains(err.Error(), "Config.CookieKey") {
		t.Errorf("sessions without a key for their cookies: got %v", err)
	}
}

func TestClientCredentials(t *testing.T) {
	t.Parallel()
	p := rptest.NewProvider(t)
	p.UsePrivateKeyJWT("EdDSA")
	c := device(t, p)
	source := c.ClientCredentials(t.Context(), "https://orders.example.com/", "read", "write")
	first := mustToken(t, source)
	if again := mustToken(t, source); again.AccessToken != first.AccessToken || p.Hits("/token") != 1 {
		t.Errorf("asked %d times for one token", p.Hits("/token"))
	}
	if first.Extra("scope") != "read write" || first.RefreshToken != "" {
		t.Errorf("got %v", first.Extra("scope"))
	}
	p.Advance(5 * time.Minute)
	if next := mustToken(t, source); next.AccessToken == first.AccessToken {
		t.Error("got an old token")
	}
	p.Advance(5 * time.Minute)
	p.Misbehave(rptest.InvalidGrant)
	if _, err := source.Token(); about(err) != "invalid_grant" {
		t.Errorf("got %v", err)
	}
}
