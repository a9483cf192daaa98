package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"
)

func answerOf(h http.Handler, path string) (status int, body string) {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest("GET", path, nil))
	return w.Code, w.Body.String()
}

// writeCertificate makes a self-signed certificate for 127.0.0.1.
func writeCertificate(t *testing.T, s *settings, serial int64) *x509.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: "sallyport"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	writePEM(t, s.TLSCertificateFile, "CERTIFICATE", der)
	writePEM(t, s.TLSKeyFile, "PRIVATE KEY", private)
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

func writePEM(t *testing.T, name, kind string, der []byte) {
	t.Helper()
	if err := os.WriteFile(name, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
}

// tlsInstalled is an installation with a certificate of its own.
func tlsInstalled(t *testing.T) (s settings, cert *x509.Certificate) {
	t.Helper()
	s, _ = installed(t)
	dir := t.TempDir()
	s.TLSCertificateFile, s.TLSKeyFile = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	s.Issuer = "https://" + s.Listen
	return s, writeCertificate(t, &s, 1)
}

// TestTLS: HTTP/2, and of TLS 1.2 only suites with forward secrecy and
// authenticated encryption (RFC 9325 §4.2).
func TestTLS(t *testing.T) {
	t.Parallel()
	s, cert := tlsInstalled(t)
	serving(t, s, io.Discard)
	roots := x509.NewCertPool()
	roots.AddCert(cert)
	client := &http.Client{Transport: &http.Transport{ForceAttemptHTTP2: true, TLSClientConfig: &tls.Config{RootCAs: roots}}}
	resp, err := client.Get(s.Issuer + "/jwks.json")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusOK || resp.ProtoMajor != 2 || resp.Header.Get("Strict-Transport-Security") == "" {
		t.Errorf("got %d %s, want 200 by HTTP/2 with HSTS", resp.StatusCode, resp.Proto)
	}
	dial := func(c *tls.Config) error {
		c.RootCAs = roots
		conn, err := tls.Dial("tcp", s.Listen, c)
		if err == nil {
			conn.Close()
		}
		return err
	}
	if err := dial(&tls.Config{MaxVersion: tls.VersionTLS12}); err != nil {
		t.Errorf("TLS 1.2: %v", err)
	}
	for name, c := range map[string]*tls.Config{
		"TLS 1.1": {MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11},
		"CBC": {MaxVersion: tls.VersionTLS12, CipherSuites: []uint16{
			tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA, tls.TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA, tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256}},
	} {
		if dial(c) == nil {
			t.Errorf("%s was accepted", name)
		}
	}
}

// TestCertificateFollowsItsFiles: without a restart; what cannot be used is not.
func TestCertificateFollowsItsFiles(t *testing.T) {
	t.Parallel()
	s, _ := tlsInstalled(t)
	c := &certificate{certFile: s.TLSCertificateFile, keyFile: s.TLSKeyFile, log: slog.New(slog.DiscardHandler)}
	if err := c.load(); err != nil {
		t.Fatal(err)
	}
	serial := func() int64 {
		t.Helper()
		c.looked = time.Time{}
		got, err := c.get(nil)
		if err != nil {
			t.Fatal(err)
		}
		return got.Leaf.SerialNumber.Int64()
	}
	if got := serial(); got != 1 {
		t.Errorf("got certificate %d, want 1", got)
	}
	later := time.Now().Add(time.Minute) // whatever the file system's clock can tell apart
	writeCertificate(t, &s, 2)
	if err := os.Chtimes(s.TLSKeyFile, later, later); err != nil {
		t.Fatal(err)
	}
	if got := serial(); got != 2 {
		t.Errorf("after it was replaced: got certificate %d, want 2", got)
	}
	if err := os.WriteFile(s.TLSCertificateFile, []byte("half a"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := serial(); got != 2 {
		t.Errorf("while it is being written: got certificate %d, want 2", got)
	}
	remove(t, s.TLSCertificateFile)
	if got := serial(); got != 2 {
		t.Errorf("without the file: got certificate %d, want 2", got)
	}
	writeCertificate(t, &s, 3)
	if got := serial(); got != 3 {
		t.Errorf("when it is whole: got certificate %d, want 3", got)
	}
}
