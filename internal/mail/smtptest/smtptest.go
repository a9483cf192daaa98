// Package smtptest is an SMTP server for tests: it takes mails, and can be told to
// refuse them, or to say nothing at all.
package smtptest

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"io"
	"math/big"
	"mime"
	"mime/quotedprintable"
	"net"
	"net/mail"
	"net/textproto"
	"strings"
	"sync"
	"testing"
	"time"
)

// Mail is one that was taken.
type Mail struct {
	From, To string // of the envelope
	Header   mail.Header
	Subject  string // decoded
	Text     string // decoded
	Raw      string
}

// Server takes mails with STARTTLS, or with TLS at once.
type Server struct {
	// Pool has who signed the server's certificate, which is for 127.0.0.1.
	Pool *x509.CertPool
	// User and Password are wanted, if they are set. Set them before the first mail.
	User, Password string

	t        testing.TB
	listener net.Listener
	config   *tls.Config
	implicit bool
	came     chan struct{} // a connection

	mu      sync.Mutex
	mails   []Mail
	refusal string // the answer to RCPT; "" to take all
	mute    bool
	logins  int
	conns   []net.Conn
}

// New starts a server, until the test ends.
func New(t testing.TB, implicit bool) *Server {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &Server{t: t, listener: listener, implicit: implicit, came: make(chan struct{}, 1000)}
	s.certify()
	var done sync.WaitGroup
	done.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			s.mu.Lock()
			s.conns = append(s.conns, conn)
			s.mu.Unlock()
			s.came <- struct{}{}
			done.Go(func() { s.serve(conn) })
		}
	})
	t.Cleanup(func() {
		listener.Close()
		s.mu.Lock()
		for _, c := range s.conns {
			c.Close()
		}
		s.mu.Unlock()
		done.Wait()
	})
	return s
}

// Port is where it listens, on 127.0.0.1.
func (s *Server) Port() int { return s.listener.Addr().(*net.TCPAddr).Port }

// Refuse answers each recipient like that, e.g. "550 5.1.1 no such user"; "" takes all.
func (s *Server) Refuse(answer string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refusal = answer
}

// Mute takes connections, and says nothing.
func (s *Server) Mute(mute bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mute = mute
}

// Came returns once somebody has connected.
func (s *Server) Came() { <-s.came }

// Mails are those that were taken since the last call.
func (s *Server) Mails() []Mail {
	s.mu.Lock()
	defer s.mu.Unlock()
	mails := s.mails
	s.mails = nil
	return mails
}

// Logins is how often somebody has logged in.
func (s *Server) Logins() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.logins
}

func (s *Server) certify() {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		s.t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		s.t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		s.t.Fatal(err)
	}
	s.Pool = x509.NewCertPool()
	s.Pool.AddCert(leaf)
	s.config = &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}
}

// serve is one conversation (RFC 5321).
func (s *Server) serve(conn net.Conn) {
	defer func() { conn.Close() }()
	s.mu.Lock()
	mute := s.mute
	s.mu.Unlock()
	if mute {
		_, _ = io.Copy(io.Discard, conn)
		return
	}
	protected := s.implicit
	if s.implicit {
		conn = tls.Server(conn, s.config)
	}
	text := textproto.NewConn(conn)
	say := func(line string) { _ = text.PrintfLine("%s", line) }
	say("220 test ESMTP")
	m, loggedIn := Mail{}, false
	for {
		line, err := text.ReadLine()
		if err != nil {
			return
		}
		verb, rest, _ := strings.Cut(line, " ")
		switch strings.ToUpper(verb) {
		case "EHLO":
			say("250-test")
			if !protected {
				say("250-STARTTLS")
			} else if s.User != "" {
				say("250-AUTH PLAIN")
			}
			say("250 ENHANCEDSTATUSCODES")
		case "STARTTLS":
			say("220 go on")
			conn = tls.Server(conn, s.config)
			text, protected = textproto.NewConn(conn), true
		case "AUTH":
			want := base64.StdEncoding.EncodeToString([]byte("\x00" + s.User + "\x00" + s.Password))
			if loggedIn = protected && rest == "PLAIN "+want; !loggedIn {
				say("535 5.7.8 wrong")
				continue
			}
			s.mu.Lock()
			s.logins++
			s.mu.Unlock()
			say("235 2.7.0 welcome")
		case "MAIL":
			if !protected || s.User != "" && !loggedIn {
				say("530 5.7.0 no")
				continue
			}
			m = Mail{From: address(rest)}
			say("250 2.1.0 ok")
		case "RCPT":
			s.mu.Lock()
			refusal := s.refusal
			s.mu.Unlock()
			if refusal != "" {
				say(refusal)
				continue
			}
			if m.To != "" {
				s.t.Error("a second recipient")
			}
			m.To = address(rest)
			say("250 2.1.5 ok")
		case "DATA":
			say("354 go on")
			raw, err := text.ReadDotBytes()
			if err != nil {
				return
			}
			if err := s.take(m, raw); err != nil {
				s.t.Errorf("a mail that cannot be read: %v\n%s", err, raw)
			}
			say("250 2.0.0 taken")
		case "QUIT":
			say("221 2.0.0 bye")
			return
		default: // RSET, NOOP
			say("250 2.0.0 ok")
		}
	}
}

func address(rest string) string {
	_, rest, _ = strings.Cut(rest, "<")
	a, _, _ := strings.Cut(rest, ">")
	return a
}

func (s *Server) take(m Mail, raw []byte) error {
	parsed, err := mail.ReadMessage(bytes.NewReader(raw))
	if err != nil {
		return err
	}
	m.Raw, m.Header = string(raw), parsed.Header
	if m.Subject, err = new(mime.WordDecoder).DecodeHeader(m.Header.Get("Subject")); err != nil {
		return err
	}
	var body io.Reader = parsed.Body
	switch encoding := m.Header.Get("Content-Transfer-Encoding"); encoding {
	case "quoted-printable":
		body = quotedprintable.NewReader(body)
	case "base64":
		body = base64.NewDecoder(base64.StdEncoding, body)
	case "", "7bit", "8bit":
	default:
		return fmt.Errorf("encoding %q", encoding)
	}
	text, err := io.ReadAll(body)
	if err != nil {
		return err
	}
	m.Text = strings.ReplaceAll(string(text), "\r\n", "\n")
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mails = append(s.mails, m)
	return nil
}
