package main

import (
	"crypto/tls"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"
)

// suites are those of TLS 1.2 with forward secrecy and authenticated encryption;
// Go's own list still has CBC (RFC 9325 §4.2). Those of TLS 1.3 cannot be chosen.
var suites = []uint16{
	tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
	tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
	tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256, tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
}

// tlsConfig is nil without a certificate.
func (s *settings) tlsConfig(log *slog.Logger) (*tls.Config, error) {
	if !s.tls() {
		return nil, nil
	}
	c := &certificate{certFile: s.TLSCertificateFile, keyFile: s.TLSKeyFile, log: log}
	if err := c.load(); err != nil {
		return nil, err
	}
	return &tls.Config{MinVersion: tls.VersionTLS12, CipherSuites: suites, GetCertificate: c.get}, nil
}

// certificate is a certificate that follows its files. Safe for concurrent use.
type certificate struct {
	certFile, keyFile string
	log               *slog.Logger

	mu      sync.Mutex
	current *tls.Certificate
	of      [2]fileState // what the current one was read from
	looked  time.Time
}

type fileState struct {
	changed time.Time
	size    int64
}

// lookEvery is how often the files are looked at, if anybody connects.
const lookEvery = time.Second

// get is tls.Config.GetCertificate. A new certificate that cannot be read is
// logged, and the old one stays.
func (c *certificate) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if now := time.Now(); now.Sub(c.looked) >= lookEvery {
		c.looked = now
		if c.changed() {
			c.reload()
		}
	}
	return c.current, nil
}

func (c *certificate) changed() bool {
	of, err := c.states()
	return err == nil && of != c.of
}

func (c *certificate) reload() {
	if err := c.load(); err != nil {
		c.log.Error("the new certificate is not taken", "error", err)
		return
	}
	c.log.Info("new certificate", "expires", c.current.Leaf.NotAfter)
}

// load reads both files. That they fit each other is checked: one of them may be
// written later than the other.
func (c *certificate) load() error {
	of, err := c.states()
	if err != nil {
		return fmt.Errorf("certificate: %w", err)
	}
	pair, err := tls.LoadX509KeyPair(c.certFile, c.keyFile)
	if err != nil {
		return fmt.Errorf("certificate: %w", err)
	}
	c.current, c.of = &pair, of
	return nil
}

func (c *certificate) states() (of [2]fileState, err error) {
	for i, name := range []string{c.certFile, c.keyFile} {
		info, err := os.Stat(name)
		if err != nil {
			return of, err
		}
		of[i] = fileState{info.ModTime(), info.Size()}
	}
	return of, nil
}
