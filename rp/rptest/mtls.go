package rptest

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"math/big"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/sallyport-id/sallyport/rp"
)

// mtls is what a provider of NewTLSProvider knows its client by (RFC 8705).
type mtls struct {
	client      *http.Client // trusts the provider
	demanding   string       // where a certificate is demanded
	certificate tls.Certificate
}

// NewTLSProvider starts a provider with TLS. It knows its client by a certificate, for
// which it asks at mtls_endpoint_aliases alone (RFC 8705 §2.2, §5), and its access
// tokens are good together with the certificate. Configs have it, and trust the
// provider.
func NewTLSProvider(t testing.TB) *Provider {
	t.Helper()
	p := newProvider()
	server, demanding := httptest.NewUnstartedServer(p), httptest.NewUnstartedServer(p)
	demanding.TLS = &tls.Config{ClientAuth: tls.RequireAnyClientCert}
	for _, s := range []*httptest.Server{server, demanding} {
		s.StartTLS()
		t.Cleanup(s.Close)
	}
	p.Issuer, p.mtls = server.URL, &mtls{server.Client(), demanding.URL, NewCertificate()}
	return p
}

// NewCertificate makes a certificate of a client, signed by itself.
func NewCertificate() tls.Certificate {
	key, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	der, _ := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

func (m *mtls) configure(c *rp.Config) {
	c.ClientSecret, c.HTTPClient = "", m.client
	c.AuthMethod, c.Certificate = rp.AuthSelfSignedTLS, func() (*tls.Certificate, error) { return &m.certificate, nil }
}

func (m *mtls) aliases() map[string]string {
	return map[string]string{
		"token_endpoint": m.demanding + "/token", "userinfo_endpoint": m.demanding + "/userinfo", "revocation_endpoint": m.demanding + "/revoke",
		"pushed_authorization_request_endpoint": m.demanding + "/par", "device_authorization_endpoint": m.demanding + "/device_authorization",
		"introspection_endpoint": m.demanding + "/introspect",
	}
}

// showed reports whether a request came on a connection with the client's certificate.
func (m *mtls) showed(r *http.Request) bool {
	return r.TLS != nil && len(r.TLS.PeerCertificates) > 0 && bytes.Equal(r.TLS.PeerCertificates[0].Raw, m.certificate.Certificate[0])
}

// origin is where a request came to.
func (p *Provider) origin(r *http.Request) string {
	if p.mtls != nil && p.mtls.showed(r) {
		return p.mtls.demanding
	}
	return p.Issuer
}
