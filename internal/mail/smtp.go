// Package mail sends what is in the outbox: a sender claims mails one by one,
// writes their words in the language of whom they are for, and gives them to an
// SMTP server. Nothing waits for it.
package mail

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/mail"
	"net/netip"
	"net/textproto"
	"strconv"
	"time"

	gomail "github.com/wneessen/go-mail"
)

// TLS is how the connection to an SMTP server is protected.
type TLS string

// The values of SMTP.TLS. With TLSNone passwords and links are read on the way: it
// is for a server on this machine, and refused for any other.
const (
	TLSStart    TLS = "starttls" // also ""; a server that does not offer it is an error
	TLSImplicit TLS = "tls"
	TLSNone     TLS = "none"
)

// SMTP is the server that takes our mail. Host and From are needed.
type SMTP struct {
	Host string
	Port int // 0: 587, or 465 with TLSImplicit, or 25 with TLSNone
	// User and Password log in; "" for a server that wants no login.
	User, Password string
	// From is the sender: "id@example.com" or "Example <id@example.com>".
	From string
	TLS  TLS
	// Hello is the name that this machine gives; "": its host name.
	Hello string
	// RootCAs are who may sign the server's certificate; nil: whom this machine trusts.
	RootCAs *x509.CertPool
}

// Check says what cannot work.
func (s *SMTP) Check() error {
	if s.Host == "" {
		return errors.New("mail: the SMTP server's host is missing")
	}
	if s.Port < 0 || s.Port > 65535 {
		return fmt.Errorf("mail: %d is no port", s.Port)
	}
	if _, err := mail.ParseAddress(s.From); err != nil {
		return fmt.Errorf("mail: the sender %q is no address like id@example.com or Example <id@example.com>", s.From)
	}
	switch s.TLS {
	case TLSStart, "", TLSImplicit:
	case TLSNone:
		if !loopback(s.Host) {
			return fmt.Errorf("mail: without TLS %s could read every mail on the way, and who is in between: only a server on this machine may be spoken to like that", s.Host)
		}
	default:
		return fmt.Errorf("mail: %q is none of starttls, tls and none", s.TLS)
	}
	if (s.User == "") != (s.Password == "") {
		return errors.New("mail: a login needs both a user and a password")
	}
	return nil
}

func loopback(host string) bool {
	if host == "localhost" {
		return true
	}
	address, err := netip.ParseAddr(host)
	return err == nil && address.Unmap().IsLoopback()
}

func (s *SMTP) port() int {
	switch {
	case s.Port != 0:
		return s.Port
	case s.TLS == TLSImplicit:
		return 465
	case s.TLS == TLSNone:
		return 25
	}
	return 587
}

// Address is the server's host and port.
func (s *SMTP) Address() string { return net.JoinHostPort(s.Host, strconv.Itoa(s.port())) }

// sendTimeout bounds a conversation with the server.
const sendTimeout = 30 * time.Second

// Message is a plain text for one person.
type Message struct{ To, Subject, Text string }

// Send gives a message to the server. It ends with ctx, or after half a minute. An
// *AddressError is about this recipient alone.
func (s *SMTP) Send(ctx context.Context, m Message) error {
	msg, err := s.message(m)
	if err != nil {
		return err
	}
	err = s.converse(ctx, func(c *gomail.Client, ctx context.Context) error { return c.DialAndSendWithContext(ctx, msg) })
	var refused *gomail.SendError
	if errors.As(err, &refused) && refused.ErrorCode() >= 500 && refused.Reason == gomail.ErrSMTPRcptTo {
		return &AddressError{err}
	}
	return err
}

// Probe connects and logs in, and sends nothing.
func (s *SMTP) Probe(ctx context.Context) error {
	return s.converse(ctx, func(c *gomail.Client, ctx context.Context) error {
		client, err := c.DialToSMTPClientWithContext(ctx)
		if err != nil {
			return err
		}
		return c.CloseWithSMTPClient(client)
	})
}

var errNoAddress = errors.New("mail: that is not one address")

// AddressError says that mail for this address is refused for good.
type AddressError struct{ err error }

func (e *AddressError) Error() string { return e.err.Error() }

// Unwrap returns what the server said.
func (e *AddressError) Unwrap() error { return e.err }

// message is checked where an address could be more than one, or a header.
func (s *SMTP) message(m Message) (*gomail.Msg, error) {
	to, err := mail.ParseAddress(m.To)
	if err != nil || to.Name != "" || to.Address != m.To {
		return nil, &AddressError{errNoAddress}
	}
	msg := gomail.NewMsg(gomail.WithNoDefaultUserAgent())
	if err := msg.From(s.From); err != nil {
		return nil, fmt.Errorf("mail: sender: %w", err)
	}
	if err := msg.To(to.Address); err != nil {
		return nil, &AddressError{errNoAddress}
	}
	msg.Subject(m.Subject)
	msg.SetDate()
	msg.SetMessageID()
	msg.SetGenHeader("Auto-Submitted", "auto-generated") // RFC 3834 §5
	msg.SetBodyString(gomail.TypeTextPlain, m.Text)
	return msg, nil
}

// converse runs a conversation on a connection that is closed when it ends, however
// the server behaves.
func (s *SMTP) converse(ctx context.Context, do func(*gomail.Client, context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, sendTimeout)
	defer cancel()
	options := []gomail.Option{
		gomail.WithPort(s.port()), gomail.WithTimeout(sendTimeout), gomail.WithTLSConfig(s.tlsConfig()),
		gomail.WithDialContextFunc(func(dialing context.Context, network, address string) (net.Conn, error) {
			return s.dial(ctx, dialing, network, address)
		}),
		gomail.WithTLSPolicy(gomail.TLSMandatory),
	}
	auth := []gomail.SMTPAuthType{gomail.SMTPAuthPlain, gomail.SMTPAuthLogin}
	switch s.TLS {
	case TLSImplicit:
		options = append(options, gomail.WithTLSPolicy(gomail.NoTLS)) // the connection is by then
	case TLSNone:
		options = append(options, gomail.WithTLSPolicy(gomail.NoTLS))
		auth = []gomail.SMTPAuthType{gomail.SMTPAuthPlainNoEnc, gomail.SMTPAuthLoginNoEnc}
	}
	if s.Hello != "" {
		options = append(options, gomail.WithHELO(s.Hello))
	}
	if s.User != "" {
		options = append(options, gomail.WithUsername(s.User), gomail.WithPassword(s.Password), gomail.WithOpportunisticSMTPAuth(auth...))
	}
	client, err := gomail.NewClient(s.Host, options...)
	if err != nil {
		return fmt.Errorf("mail: %w", err)
	}
	if err := do(client, ctx); err != nil {
		if ctx.Err() != nil {
			return fmt.Errorf("mail: the server did not answer in time: %w", context.Cause(ctx))
		}
		return fmt.Errorf("mail: %w", err)
	}
	return nil
}

func (s *SMTP) tlsConfig() *tls.Config {
	return &tls.Config{ServerName: s.Host, RootCAs: s.RootCAs, MinVersion: tls.VersionTLS12}
}

// dial connects; the connection is closed with the conversation.
func (s *SMTP) dial(conversation, dialing context.Context, network, address string) (net.Conn, error) {
	conn, err := (&net.Dialer{}).DialContext(dialing, network, address)
	if err != nil {
		return nil, err
	}
	context.AfterFunc(conversation, func() { conn.Close() })
	if s.TLS != TLSImplicit {
		return conn, nil
	}
	protected := tls.Client(conn, s.tlsConfig())
	if err := protected.HandshakeContext(dialing); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return protected, nil
}

// why is an error in words that name no recipient, which what servers say may.
func why(err error) string {
	var refused *gomail.SendError
	var answer *textproto.Error
	var network *net.OpError
	var certificate *tls.CertificateVerificationError
	switch {
	case errors.As(err, &refused):
		return fmt.Sprintf("%s: %d %s", refused.Reason, refused.ErrorCode(), refused.EnhancedStatusCode())
	case errors.As(err, &answer):
		return fmt.Sprintf("the server answered %d", answer.Code)
	case errors.As(err, &certificate):
		return certificate.Error()
	case errors.Is(err, context.DeadlineExceeded):
		return "the server did not answer in time"
	case errors.As(err, &network):
		return network.Error()
	}
	return "the conversation with the server failed"
}
