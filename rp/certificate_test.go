package rp_test

import (
	"crypto/tls"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"golang.org/x/oauth2"

	"github.com/sallyport-id/sallyport/rp"
	"github.com/sallyport-id/sallyport/rp/rptest"
)

// newTLSApp is newApp, whose browser trusts the provider.
func newTLSApp(t *testing.T, p *rptest.Provider, change func(*rp.Config)) *app {
	t.Helper()
	a := newApp(t, p, change)
	a.Others = p.Config("").HTTPClient.Transport
	return a
}

func showing(c tls.Certificate) func() (*tls.Certificate, error) {
	return func() (*tls.Certificate, error) { return &c, nil }
}

// TestCertificate: the client is known by its certificate at the endpoints that ask for
// it, for all that it does.
func TestCertificate(t *testing.T) {
	t.Parallel()
	for _, pushed := range []bool{false, true} {
		for _, method := range []string{"", rp.AuthTLS, rp.AuthSelfSignedTLS} {
			p := rptest.NewTLSProvider(t)
			a := newTLSApp(t, p, func(c *rp.Config) { c.AuthMethod, c.PushRequests, c.UserInfo = method, pushed, true })
			id, err := a.signIn()
			if err != nil || id.Email == "" {
				t.Fatalf("%q: got %v, %v", method, id, err)
			}
			source := a.client.TokenSource(t.Context(), id, nil)
			for range 2 {
				p.Advance(5 * time.Minute)
				id.Token = mustToken(t, source)
			}
			if _, err := a.client.UserInfo(t.Context(), id); err != nil {
				t.Errorf("%q: userinfo: %v", method, err)
			}
			if err := a.client.Revoke(t.Context(), id.Token); err != nil {
				t.Errorf("%q: revoking: %v", method, err)
			}
		}
	}
}

// TestCertificateWithDPoP: a client may bind its tokens to a key as well.
func TestCertificateWithDPoP(t *testing.T) {
	t.Parallel()
	p := rptest.NewTLSProvider(t)
	p.Misbehave(rptest.DPoPNonces)
	if _, err := newTLSApp(t, p, func(c *rp.Config) { c.DPoPKey, c.UserInfo = p256(), true }).signIn(); err != nil {
		t.Error(err)
	}
}

// TestCertificateRefused: another certificate, none that can be had, none at all.
func TestCertificateRefused(t *testing.T) {
	t.Parallel()
	p := rptest.NewTLSProvider(t)
	other := newTLSApp(t, p, func(c *rp.Config) { c.Certificate = showing(rptest.NewCertificate()) })
	if _, err := other.signIn(); about(err) != "invalid_client" {
		t.Errorf("another certificate: got %v", err)
	}
	gone := errors.New("the card is not in the reader")
	for what, certificate := range map[string]func() (*tls.Certificate, error){
		gone.Error():           func() (*tls.Certificate, error) { return nil, gone },
		"returned none":        func() (*tls.Certificate, error) { return nil, nil },
		"certificate required": func() (*tls.Certificate, error) { return &tls.Certificate{}, nil }, // the provider says so
	} {
		a := newTLSApp(t, p, func(c *rp.Config) { c.Certificate = certificate })
		if _, err := a.signIn(); rp.ReasonCode(err) != rp.CodeUnavailable || !strings.Contains(err.Error(), what) {
			t.Errorf("%s: got %v", what, err)
		}
	}
}

// TestCertificateRenewed: the next connection shows what Certificate returns then.
func TestCertificateRenewed(t *testing.T) {
	t.Parallel()
	p := rptest.NewTLSProvider(t)
	good := p.Config("").Certificate
	current := showing(rptest.NewCertificate())
	a := newTLSApp(t, p, func(c *rp.Config) {
		transport := c.HTTPClient.Transport.(*http.Transport).Clone()
		transport.DisableKeepAlives = true
		c.HTTPClient = &http.Client{Transport: transport}
		c.Certificate = func() (*tls.Certificate, error) { return current() }
	})
	if _, err := a.signIn(); about(err) != "invalid_client" {
		t.Errorf("before: got %v", err)
	}
	current = good
	if _, err := a.signIn(); err != nil {
		t.Errorf("after: got %v", err)
	}
}

// TestCertificateAtAnAPI: HTTPClient shows it, and a client without one does not.
func TestCertificateAtAnAPI(t *testing.T) {
	t.Parallel()
	p := rptest.NewTLSProvider(t)
	api := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if len(r.TLS.PeerCertificates) == 1 {
			io.WriteString(w, r.Header.Get("Authorization"))
		}
	}))
	api.TLS = &tls.Config{ClientAuth: tls.RequestClientCert}
	api.StartTLS()
	t.Cleanup(api.Close)
	for _, test := range []struct {
		change func(*rp.Config)
		want   string
	}{
		{nil, "Bearer token"},
		{func(c *rp.Config) { c.Certificate, c.AuthMethod = nil, rp.AuthNone }, ""},
	} {
		client := newTLSApp(t, p, test.change).client
		res, err := client.HTTPClient(oauth2.StaticTokenSource(&oauth2.Token{AccessToken: "token"})).Get(api.URL)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(res.Body)
		res.Body.Close()
		if string(body) != test.want {
			t.Errorf("got %q, want %q", body, test.want)
		}
	}
}

func TestNewChecksTheCertificate(t *testing.T) {
	t.Parallel()
	some := showing(rptest.NewCertificate())
	strange := &http.Client{Transport: http.NewFileTransport(http.Dir("."))}
	for what, test := range map[string]struct {
		change func(*rp.Config)
		want   string // "" if nothing is wrong
	}{
		"a certificate alone":         {func(c *rp.Config) { c.Certificate, c.ClientSecret = some, "" }, ""},
		"and a secret":                {func(c *rp.Config) { c.Certificate = some }, ""},
		"and a key":                   {func(c *rp.Config) { c.Certificate, c.PrivateKey, c.ClientSecret = some, p256(), "" }, ""},
		"and nothing":                 {func(c *rp.Config) { c.Certificate, c.AuthMethod, c.ClientSecret = some, rp.AuthNone, "" }, ""},
		"the method without it":       {func(c *rp.Config) { c.AuthMethod, c.ClientSecret = rp.AuthTLS, "" }, "Config.Certificate is nil"},
		"the method and a secret":     {func(c *rp.Config) { c.Certificate, c.AuthMethod = some, rp.AuthSelfSignedTLS }, "Config.ClientSecret is set"},
		"the method and a key":        {func(c *rp.Config) { c.Certificate, c.AuthMethod, c.PrivateKey = some, rp.AuthTLS, p256() }, "Config.PrivateKey is set"},
		"a server without TLS":        {func(c *rp.Config) { c.Certificate, c.ClientSecret, c.Issuer = some, "", "http://localhost" }, "Config.Certificate: "},
		"a transport of another kind": {func(c *rp.Config) { c.Certificate, c.HTTPClient = some, strange }, "Config.HTTPClient: "},
	} {
		config := goodConfig()
		test.change(&config)
		_, err := rp.New(t.Context(), config)
		if test.want == "" && err != nil || test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) {
			t.Errorf("%s: got %v, want %q", what, err, test.want)
		}
	}
}
