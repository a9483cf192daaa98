package e2e

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
)

// authority is a certification authority of the run's own, and the certificate that it
// gave to this machine. Nothing but the tests and what they start trusts it.
type authority struct {
	bundle    string // the file of its certificate
	cert, key string // the files of localhost's
	pin       string // the SHA-256 of localhost's public key, as Chromium takes it
}

func newAuthority(dir string) (*authority, error) {
	now := time.Now()
	root := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Authority of a test"}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign, NotBefore: now.Add(-time.Hour), NotAfter: now.Add(24 * time.Hour),
	}
	rootKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	leaf := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "localhost"}, DNSNames: []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}, BasicConstraintsValid: true,
		NotBefore: root.NotBefore, NotAfter: root.NotAfter,
	}
	leafKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	rootDER, err := x509.CreateCertificate(rand.Reader, root, root, rootKey.Public(), rootKey)
	if err != nil {
		return nil, err
	}
	leafDER, err := x509.CreateCertificate(rand.Reader, leaf, root, leafKey.Public(), rootKey)
	if err != nil {
		return nil, err
	}
	private, err := x509.MarshalPKCS8PrivateKey(leafKey)
	if err != nil {
		return nil, err
	}
	public, err := x509.MarshalPKIXPublicKey(leafKey.Public())
	if err != nil {
		return nil, err
	}
	pin := sha256.Sum256(public)
	a := &authority{
		bundle: filepath.Join(dir, "authority.pem"), cert: filepath.Join(dir, "localhost.pem"), key: filepath.Join(dir, "localhost.key"),
		pin: base64.StdEncoding.EncodeToString(pin[:]),
	}
	for name, block := range map[string]*pem.Block{
		a.bundle: {Type: "CERTIFICATE", Bytes: rootDER}, a.cert: {Type: "CERTIFICATE", Bytes: leafDER}, a.key: {Type: "PRIVATE KEY", Bytes: private},
	} {
		if err := os.WriteFile(name, pem.EncodeToMemory(block), 0o600); err != nil {
			return nil, err
		}
	}
	// Apache's workers, who are another user, read this one.
	if err := os.Chmod(dir, 0o711); err != nil {
		return nil, err
	}
	return a, os.Chmod(a.bundle, 0o644)
}

// trust tells this process and those that it starts: Go and Python's ssl, Python's
// requests, Node.js.
func (a *authority) trust() error {
	for _, name := range []string{"SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "NODE_EXTRA_CA_CERTS"} {
		if err := os.Setenv(name, a.bundle); err != nil {
			return err
		}
	}
	return nil
}
