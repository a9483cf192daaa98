package rp

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/go-jose/go-jose/v4"
)

// withCertificate copies a client, nil for one that uses http.DefaultTransport. The
// copy shows a certificate to whom asks for one, and shares no connections with the
// original.
func withCertificate(client *http.Client, certificate func() (*tls.Certificate, error)) (*http.Client, error) {
	var with http.Client
	if client != nil {
		with = *client
	}
	if with.Transport == nil {
		with.Transport = http.DefaultTransport
	}
	transport, ok := with.Transport.(*http.Transport)
	if !ok || transport.DialTLSContext != nil {
		return nil, fmt.Errorf("its transport, a %T, cannot be given Config.Certificate", with.Transport)
	}
	transport = transport.Clone()
	if transport.TLSClientConfig == nil {
		transport.TLSClientConfig = &tls.Config{}
	}
	transport.TLSClientConfig.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
		c, err := certificate()
		if err == nil && c == nil {
			err = errors.New("rp: Config.Certificate returned none")
		}
		return c, err
	}
	with.Transport = transport
	return &with, nil
}

// checkCertificate checks a client that authenticates with its certificate.
func (c Config) checkCertificate() error {
	switch {
	case c.Certificate == nil:
		return fmt.Errorf("Config.Certificate is nil, but AuthMethod is %q", c.AuthMethod)
	case c.ClientSecret != "":
		return fmt.Errorf("Config.ClientSecret is set, but AuthMethod is %q", c.AuthMethod)
	case !strings.HasPrefix(c.Issuer, "https:"):
		return errors.New("Config.Certificate: a server without TLS sees none")
	}
	return nil
}

// certificateKey is what a server knows a certificate that is signed by itself by (RFC
// 8705 §2.2).
func (c Config) certificateKey() (jose.JSONWebKey, error) {
	certificate, err := c.Certificate()
	if err == nil && (certificate == nil || len(certificate.Certificate) == 0) {
		err = errors.New("there is none")
	}
	if err != nil {
		return jose.JSONWebKey{}, fmt.Errorf("rp: Config.Certificate: %w", err)
	}
	leaf, err := x509.ParseCertificate(certificate.Certificate[0])
	if err != nil {
		return jose.JSONWebKey{}, fmt.Errorf("rp: Config.Certificate: %w", err)
	}
	sum := sha256.Sum256(leaf.Raw)
	return jose.JSONWebKey{Key: leaf.PublicKey, Certificates: []*x509.Certificate{leaf}, CertificateThumbprintSHA256: sum[:]}, nil
}
