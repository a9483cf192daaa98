package rs

import (
	"crypto/sha256"
	"crypto/subtle"
	"crypto/x509"
	"encoding/base64"
	"net/http"
)

// checkBinding refuses a token that is bound to a key without the proof of that key,
// the other way round (RFC 9449 §7.1, §7.2), and one that is bound to a certificate
// without that. A token can be bound to both.
func (s *Server) checkBinding(r *http.Request, c credentials, t *Token) *refusal {
	if refused := s.checkCertificate(r, t.Certificate); refused != nil {
		return refused
	}
	switch {
	case t.Confirmation == "" && c.scheme == bearer:
		return nil
	case c.scheme == bearer:
		return invalid("the access token is bound to a key and was sent without its proof")
	case t.Confirmation == "":
		return invalid("the access token is not bound to a key")
	}
	return s.checkProof(r, c.token, t.Confirmation)
}

// checkCertificate checks that a request came with the certificate that its token is
// bound to (RFC 8705 §3), if it is. Who issued the certificate, and whether it is
// still good, was for the authorization server to look at.
func (s *Server) checkCertificate(r *http.Request, thumbprint string) *refusal {
	if thumbprint == "" {
		if s.config.CertificateRequired {
			return invalid("the access token is not bound to a certificate")
		}
		return nil
	}
	certificate := s.config.PeerCertificate(r)
	if certificate == nil {
		return invalid("the access token is bound to a certificate and was sent without it")
	}
	sum := sha256.Sum256(certificate.Raw)
	if subtle.ConstantTimeCompare([]byte(base64.RawURLEncoding.EncodeToString(sum[:])), []byte(thumbprint)) != 1 {
		return invalid("the access token is bound to another certificate")
	}
	return nil
}

// peerCertificate is the certificate whose key the other end of the connection has,
// nil if it showed none.
func peerCertificate(r *http.Request) *x509.Certificate {
	if r.TLS == nil || len(r.TLS.PeerCertificates) == 0 {
		return nil
	}
	return r.TLS.PeerCertificates[0]
}
