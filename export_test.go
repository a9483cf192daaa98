package sallyport

import (
	"context"
	"crypto/x509"
	"net/netip"

	"github.com/sallyport-id/sallyport/internal/authn"
)

// KeepKeys does at once what the server does from time to time in the background:
// it publishes keys that are due, and takes up what is stored.
func (s *Server) KeepKeys(ctx context.Context) error {
	s.rotateKeys(ctx)
	return s.keeper.Refresh(ctx)
}

// RefreshKeys does only the second.
func (s *Server) RefreshKeys(ctx context.Context) error { return s.keeper.Refresh(ctx) }

// SweepNow does what the server does each minute.
func (s *Server) SweepNow(ctx context.Context) { s.sweep(ctx) }

// MailByHand leaves the sending to SendMails.
func MailByHand(c *Config) { c.mailByHand = true }

// SendMails does what the server does each second where mail is configured.
func (s *Server) SendMails(ctx context.Context) error { return s.sender.SendDue(ctx) }

// LogoutsByHand leaves the sending to SendLogouts.
func LogoutsByHand(c *Config) { c.logoutsByHand = true }

// SendLogouts does what the server does after each logout, and each second.
func (s *Server) SendLogouts(ctx context.Context) error { return s.logouts.SendDue(ctx) }

// MetadataByHand leaves looking at the files to RefreshMetadata.
func MetadataByHand(c *Config) { c.metadataByHand = true }

// RefreshMetadata does what the server does from time to time.
func (s *Server) RefreshMetadata(ctx context.Context) { s.refreshMetadata(ctx) }

// HashCheaply makes passwords and recovery codes cost nothing, so that the tests
// of the server are about all the rest.
func HashCheaply(c *Config) { c.hasher = authn.HasherConfig{Memory: 64, Time: 1} }

// ReachLoopback lets the server send requests to servers of a test, whose certificates
// the pool knows.
func ReachLoopback(c *Config, pool *x509.CertPool) {
	c.OutboundAllow = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}
	c.outboundRoots = pool
}
