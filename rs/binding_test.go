package rs_test

import (
	"crypto/tls"
	"crypto/x509"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/sallyport-id/sallyport/rs"
	"github.com/sallyport-id/sallyport/rs/rstest"
)

// overTLS serves an API on a TLS server that asks for a certificate, and returns what
// sends it a token with one, or without.
func overTLS(t *testing.T, a api) func(certificate *tls.Certificate, token string) *httptest.ResponseRecorder {
	server := httptest.NewUnstartedServer(a.Protect(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, rs.FromContext(r.Context()).Subject)
	})))
	server.TLS = &tls.Config{ClientAuth: tls.RequestClientCert}
	server.StartTLS()
	t.Cleanup(server.Close)
	return func(certificate *tls.Certificate, token string) *httptest.ResponseRecorder {
		t.Helper()
		transport := server.Client().Transport.(*http.Transport).Clone()
		defer transport.CloseIdleConnections()
		if certificate != nil {
			transport.TLSClientConfig.Certificates = []tls.Certificate{*certificate}
		}
		req, _ := http.NewRequestWithContext(t.Context(), "GET", server.URL+"/items", nil)
		req.Header.Set("Authorization", "Bearer "+token)
		res, err := transport.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		w := httptest.NewRecorder()
		w.Code = res.StatusCode
		for name, values := range res.Header {
			w.Header()[name] = values
		}
		io.Copy(w.Body, res.Body)
		return w
	}
}

func boundTo(a api, certificate tls.Certificate) map[string]any {
	claims := a.Claims(orders, "")
	claims["cnf"] = map[string]any{"x5t#S256": rstest.CertificateThumbprint(certificate)}
	return claims
}

// TestCertificateBoundTokens: a token that is bound to a certificate, verified or
// asked about, passes on a connection with that certificate and no other.
func TestCertificateBoundTokens(t *testing.T) {
	t.Parallel()
	a := newAPI(t)
	send := overTLS(t, a)
	own, thief := rstest.NewCertificate(), rstest.NewCertificate()
	claims := boundTo(a, own)
	for kind, token := range map[string]string{"JWT": a.JWT(claims), "opaque": a.Opaque(claims)} {
		a.wantAccepted(kind, send(&own, token))
		a.wantInvalid(kind+" without a certificate", send(nil, token))
		a.wantInvalid(kind+" with a thief's certificate", send(&thief, token))
		a.wantAccepted(kind+" again", send(&own, token))
		a.wantInvalid(kind+" without TLS", a.bearer(token))
	}
	a.wantAccepted("an unbound token", send(nil, a.JWT(a.Claims(orders, ""))))
	a.wantAccepted("an unbound token with a certificate", send(&own, a.JWT(a.Claims(orders, ""))))
	for name, cnf := range map[string]any{
		"an empty thumbprint":     map[string]any{"x5t#S256": ""},
		"a number as thumbprint":  map[string]any{"x5t#S256": 1},
		"a name in small letters": map[string]any{"x5t#s256": rstest.CertificateThumbprint(own)},
		"SHA-1":                   map[string]any{"x5t": rstest.CertificateThumbprint(own)},
		"something else as well":  map[string]any{"x5t#S256": rstest.CertificateThumbprint(own), "kid": "1"},
		"nothing":                 map[string]any{},
	} {
		claims["cnf"] = cnf
		a.wantInvalid(name, send(&own, a.JWT(claims)))
	}
}

// TestCertificateRequired: no token passes that is not bound to one.
func TestCertificateRequired(t *testing.T) {
	t.Parallel()
	a := newAPI(t, func(c *rs.Config) { c.CertificateRequired = true })
	send, own := overTLS(t, a), rstest.NewCertificate()
	a.wantAccepted("a bound token", send(&own, a.JWT(boundTo(a, own))))
	a.wantInvalid("an unbound token", send(&own, a.JWT(a.Claims(orders, ""))))
}

// TestCertificateOfAProxy: where TLS ends before the API, what the proxy says counts.
func TestCertificateOfAProxy(t *testing.T) {
	t.Parallel()
	own, thief := rstest.NewCertificate(), rstest.NewCertificate()
	said := map[string]*x509.Certificate{}
	for name, c := range map[string]tls.Certificate{"own": own, "thief": thief} {
		said[name], _ = x509.ParseCertificate(c.Certificate[0])
	}
	a := newAPI(t, func(c *rs.Config) {
		c.PeerCertificate = func(r *http.Request) *x509.Certificate { return said[r.Header.Get("Said-By-Proxy")] }
	})
	token := a.JWT(boundTo(a, own))
	by := func(name string) *httptest.ResponseRecorder {
		return a.get(http.Header{"Authorization": {"Bearer " + token}, "Said-By-Proxy": {name}})
	}
	a.wantAccepted("its own", by("own"))
	a.wantInvalid("a thief's", by("thief"))
	a.wantInvalid("none", by(""))
}

// TestBoundTwice: who has bound a token to a key and to a certificate has to have both.
func TestBoundTwice(t *testing.T) {
	t.Parallel()
	own := rstest.NewCertificate()
	certificate, _ := x509.ParseCertificate(own.Certificate[0])
	var shown *x509.Certificate
	b := bound{key: rstest.NewKey("ES256"), api: newAPI(t, func(c *rs.Config) {
		c.DPoP, c.PeerCertificate = rs.DPoPAllowed, func(*http.Request) *x509.Certificate { return shown }
	})}
	claims := b.claims(b.key)
	claims["cnf"].(map[string]any)["x5t#S256"] = rstest.CertificateThumbprint(own)
	b.token = b.JWT(claims)
	b.wantDPoPRefused("the key alone", b.send("DPoP "+b.token, b.proof()), "invalid_token")
	shown = certificate
	b.wantInvalid("the certificate alone", b.send("Bearer "+b.token))
	b.wantAccepted("both", b.send("DPoP "+b.token, b.proof()))
}
