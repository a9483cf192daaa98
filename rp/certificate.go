package rp

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"strings"
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
