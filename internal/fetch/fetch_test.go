package fetch_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sallyport-id/sallyport/internal/fetch"
)

var loopback = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}

// server is a server on an address of this machine, and counts who comes.
type server struct {
	*httptest.Server
	connections atomic.Int64
	pool        *x509.CertPool
}

func newServer(t *testing.T, secure bool, address string, h http.HandlerFunc) *server {
	t.Helper()
	s := &server{pool: x509.NewCertPool()}
	s.Server = httptest.NewUnstartedServer(h)
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			s.connections.Add(1)
		}
	}
	if address != "" {
		l, err := net.Listen("tcp", net.JoinHostPort(address, "0"))
		if err != nil {
			t.Fatal(err)
		}
		_ = s.Listener.Close()
		s.Listener = l
	}
	if secure {
		s.StartTLS()
		s.pool.AddCert(s.Certificate())
	} else {
		s.Start()
	}
	t.Cleanup(s.Close)
	return s
}

func (s *server) port() string {
	_, port, _ := net.SplitHostPort(s.Listener.Addr().String())
	return port
}

func newClient(t *testing.T, c fetch.Config) *fetch.Client {
	t.Helper()
	client := fetch.New(c)
	t.Cleanup(client.Close)
	return client
}

func say(text string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, text) }
}

// TestForbiddenAddressesAreNotReached: by whatever name one calls an address of this
// machine, nobody comes there who is not allowed to.
func TestForbiddenAddressesAreNotReached(t *testing.T) {
	t.Parallel()
	v4, v6 := newServer(t, true, "127.0.0.1", say("secret")), newServer(t, true, "::1", say("secret"))
	plain := newServer(t, false, "127.0.0.1", say("secret"))
	elsewhere := newServer(t, true, "127.0.0.1", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, v4.URL, http.StatusFound)
	})
	names := resolver(t, func(name string) []string {
		switch name {
		case "mapped.example.":
			return []string{"::ffff:127.0.0.1"}
		case "six.example.":
			return []string{"::1"}
		case "zero.example.":
			return []string{"0.0.0.0"}
		case "both.example.":
			return []string{"127.0.0.1", "0.0.0.0"}
		}
		return []string{"127.0.0.1"} // in.example, and numbers, which C libraries take for addresses
	})
	pool := x509.NewCertPool()
	pool.AddCert(v4.Certificate())
	public := newClient(t, fetch.Config{RootCAs: pool, Resolver: names})
	for _, host := range []string{
		"127.0.0.1", "127.0.0.2", "0.0.0.0", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[::]",
		"localhost", "LOCALHOST", "in.example", "mapped.example", "zero.example", "both.example",
		"2130706433", "0x7f000001", "0x7f.1", "127.1", "0177.0.0.1", "127.0.0.1.",
	} {
		for _, from := range []string{"https://" + host + ":" + v4.port(), "https://" + host + ":" + v4.port() + "/x?y=z"} {
			if _, err := public.Get(t.Context(), from, 1000); err == nil || strings.Contains(err.Error(), "secret") {
				t.Errorf("GET %s: got %v", from, err)
			}
		}
		if _, err := public.PostForm(t.Context(), "https://"+host+":"+v4.port(), nil); err == nil {
			t.Errorf("POST %s was sent", host)
		}
	}
	for _, host := range []string{"[::1]", "six.example"} {
		if _, err := public.Get(t.Context(), "https://"+host+":"+v6.port(), 1000); err == nil {
			t.Errorf("GET %s was sent", host)
		}
	}
	for _, from := range []string{plain.URL, "http://localhost:" + plain.port()} {
		if _, err := public.Get(t.Context(), from, 1000); err == nil {
			t.Errorf("GET %s was sent", from)
		}
	}
	var refused *fetch.RefusedError
	_, err := public.Get(t.Context(), v4.URL, 1000)
	if !errors.As(err, &refused) || refused.Addr != netip.MustParseAddr("127.0.0.1") || !strings.Contains(err.Error(), "outbound_allow") {
		t.Errorf("got %v, want a refusal that names the address and the setting", err)
	}

	allowed := newClient(t, fetch.Config{Allow: loopback, RootCAs: pool})
	for _, send := range []func() error{
		func() error { _, err := allowed.Get(t.Context(), elsewhere.URL, 1000); return err },
		func() error { _, err := allowed.PostForm(t.Context(), elsewhere.URL, nil); return err },
	} {
		var status *fetch.StatusError
		if err := send(); !errors.As(err, &status) || status.Status != http.StatusFound || !strings.Contains(err.Error(), "not followed") {
			t.Errorf("a redirect: got %v", err)
		}
	}
	if v4, v6, plain := v4.connections.Load(), v6.connections.Load(), plain.connections.Load(); v4+v6+plain != 0 {
		t.Errorf("%d, %d and %d connections came to addresses that are not allowed", v4, v6, plain)
	}
}

// TestAddressIsJudgedWhenItIsDialled: a name that was good once is not good for ever.
func TestAddressIsJudgedWhenItIsDialled(t *testing.T) {
	t.Parallel()
	s := newServer(t, true, "127.0.0.1", say("{}"))
	var address atomic.Pointer[string]
	good, bad := "127.0.0.1", "0.0.0.0" // which is this machine, too
	address.Store(&good)
	c := newClient(t, fetch.Config{
		Allow: loopback, RootCAs: s.pool,
		Resolver: resolver(t, func(string) []string { return []string{*address.Load()} }),
	})
	at := "https://example.com:" + s.port()
	if _, err := c.Get(t.Context(), at, 1000); err != nil {
		t.Fatal(err)
	}
	c.Close()
	came := s.connections.Load()
	address.Store(&bad)
	var refused *fetch.RefusedError
	if _, err := c.Get(t.Context(), at, 1000); !errors.As(err, &refused) {
		t.Errorf("after its name is another address: got %v", err)
	}
	if got := s.connections.Load(); came != 1 || got != came {
		t.Errorf("%d connections, then %d", came, got)
	}
}

// TestPublicAddresses: the edges of what is not.
func TestPublicAddresses(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"0.255.255.255", "10.0.0.1", "10.255.255.255", "100.64.0.0", "100.127.255.255", "127.255.255.255", "168.63.129.16", "169.254.169.254",
		"172.16.0.0", "172.31.255.255", "192.0.0.192", "192.0.2.1", "192.88.99.1", "192.168.255.255", "198.18.0.1", "198.19.255.255",
		"198.51.100.1", "203.0.113.1", "224.0.0.1", "239.255.255.255", "240.0.0.1", "255.255.255.255",
		"::", "::1", "::127.0.0.1", "::ffff:10.0.0.1", "::ffff:169.254.169.254", "64:ff9b::8.8.8.8", "64:ff9b:1::1", "100::1", "2001::1", "2001:2::1", "2001:10::1", "2001:db8::1",
		"2002:7f00:1::1", "3fff::1", "5f00::1", "fc00::1", "fd00:ec2::254", "fe80::1", "fec0::1", "ff02::1", "ff0e::1",
	} {
		var refused *fetch.RefusedError
		if err := fetch.Judge(net.JoinHostPort(text, "443"), false); !errors.As(err, &refused) {
			t.Errorf("%s: got %v, want a refusal", text, err)
		}
	}
	for _, text := range []string{
		"8.8.8.8", "::ffff:8.8.8.8", "100.63.255.255", "100.128.0.0", "172.15.255.255", "172.32.0.0", "192.0.1.1", "198.17.255.255", "198.20.0.0",
		"223.255.255.255", "2001:4860:4860::8888", "2a00::1",
	} {
		if err := fetch.Judge(net.JoinHostPort(text, "443"), false); err != nil {
			t.Errorf("%s: %v", text, err)
		}
	}
	for text, allow := range map[string]string{"10.1.2.3": "10.1.0.0/16", "::ffff:10.1.2.3": "10.1.0.0/16", "fd00::1": "fd00::/8", "fe80::1%eth0": "fe80::/10", "127.0.0.1": "127.0.0.1/32"} {
		if err := fetch.Judge(net.JoinHostPort(text, "443"), false, netip.MustParsePrefix(allow)); err != nil {
			t.Errorf("%s in %s: %v", text, allow, err)
		}
		if err := fetch.Judge(net.JoinHostPort(text, "443"), false, netip.MustParsePrefix("10.2.0.0/16")); err == nil {
			t.Errorf("%s in another network", text)
		}
	}
}

// TestURLs: what is wrong with a URL is said before anything is sent.
func TestURLs(t *testing.T) {
	t.Parallel()
	c := newClient(t, fetch.Config{Allow: loopback})
	for text, want := range map[string]string{
		"": "absolute", "a.example/keys": "absolute", "https:a.example": "host", "https://": "host", "https:///keys": "host",
		"http://a.example": "must be https", "http://localhost.a.example": "must be https", "http://10.0.0.1": "must be https",
		"ftp://a.example": "must be https", "file://a.example/etc/passwd": "must be https", "gopher://a.example": "must be https",
		"https://u@a.example": "credentials", "https://u:s3cret@a.example": "credentials", "https://a.example#": "fragment",
		"https://a.example/\r\nX: y": "not a URI", "https://a.example:port": "not a URI", "https://[::1": "not a URI",
		"https://[fe80::1%25eth0]/": "host", "https://a.example/" + strings.Repeat("x", 3000): "long",
	} {
		if _, err := c.Get(t.Context(), text, 1000); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "s3cret") {
			t.Errorf("GET %q: got %v, want %q", text, err, want)
		}
		if _, err := c.PostForm(t.Context(), text, nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("POST %q: got %v, want %q", text, err, want)
		}
	}
}

// TestPlainHTTPStaysHere: without TLS nothing leaves this machine, whatever its name
// resolves to and whatever is allowed.
func TestPlainHTTPStaysHere(t *testing.T) {
	t.Parallel()
	s := newServer(t, false, "127.0.0.1", say("{}"))
	c := newClient(t, fetch.Config{Allow: loopback})
	for _, host := range []string{"127.0.0.1", "localhost"} {
		if r, err := c.Get(t.Context(), "http://"+host+":"+s.port(), 1000); err != nil || string(r.Body) != "{}" {
			t.Errorf("http to %s: got %v", host, err)
		}
	}
	for address, want := range map[string]string{"10.0.0.1:80": "https", "8.8.8.8:80": "https", "127.0.0.1:80": "outbound_allow"} {
		if err := fetch.Judge(address, true, netip.MustParsePrefix("10.0.0.0/8")); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %s", address, err, want)
		}
	}
}

// TestAnswersAreBounded: in size, headers and time, and what is sent is what it says.
func TestAnswersAreBounded(t *testing.T) {
	t.Parallel()
	var got atomic.Pointer[http.Request]
	s := newServer(t, true, "", func(w http.ResponseWriter, r *http.Request) {
		_ = r.ParseForm()
		got.Store(r)
		switch r.URL.Path {
		case "/exact":
			_, _ = io.WriteString(w, strings.Repeat("x", 100))
		case "/large", "/unread":
			for range 101 {
				_, _ = io.WriteString(w, strings.Repeat("x", 1+len(r.Form)*1000))
				_ = http.NewResponseController(w).Flush()
			}
		case "/header":
			w.Header().Set("X", strings.Repeat("x", 32<<10))
		case "/cookie":
			http.SetCookie(w, &http.Cookie{Name: "a", Value: "b"})
		case "/gzip":
			w.Header().Set("Content-Encoding", "gzip")
			_, _ = w.Write([]byte("\x1f\x8b"))
		case "/404", "/500", "/204":
			status := map[string]int{"/404": 404, "/500": 500, "/204": 204}
			w.WriteHeader(status[r.URL.Path])
			if r.URL.Path != "/204" {
				_, _ = io.WriteString(w, "secret")
			}
		}
	})
	c := newClient(t, fetch.Config{Allow: loopback, RootCAs: s.pool})
	if r, err := c.Get(t.Context(), s.URL+"/exact", 100); err != nil || len(r.Body) != 100 {
		t.Errorf("as many bytes as may be: %v", err)
	}
	for path, want := range map[string]string{"/large": "more than 100 bytes", "/header": "HTTP", "/404": "404", "/500": "500", "/204": "204"} {
		if _, err := c.Get(t.Context(), s.URL+path, 100); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "secret") || strings.Contains(err.Error(), path) {
			t.Errorf("%s: got %v, want %q", path, err, want)
		}
	}
	if r, err := c.Get(t.Context(), s.URL+"/gzip", 100); err != nil || string(r.Body) != "\x1f\x8b" || got.Load().Header.Get("Accept-Encoding") != "" {
		t.Errorf("nothing is decompressed: %v", err)
	}
	for range 2 {
		if _, err := c.Get(t.Context(), s.URL+"/cookie", 100); err != nil {
			t.Error(err)
		}
	}
	if r := got.Load(); len(r.Cookies()) != 0 || r.Header.Get("Referer") != "" || r.Header.Get("User-Agent") != "Sallyport" {
		t.Errorf("sent with it: %v", r.Header)
	}
	for path, want := range map[string]int{"/404": 404, "/500": 500, "/204": 204, "/unread": 200} {
		status, err := c.PostForm(t.Context(), s.URL+path, url.Values{"logout_token": {"a b&c"}})
		if err != nil || status != want || got.Load().PostForm.Get("logout_token") != "a b&c" {
			t.Errorf("POST %s: got %d %v, sent %v", path, status, err, got.Load().PostForm)
		}
	}
}

// TestNoAnswerEnds: who says nothing, or says it for ever, is not waited for.
func TestNoAnswerEnds(t *testing.T) {
	t.Parallel()
	over := make(chan struct{})
	s := newServer(t, true, "", func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/drip" {
			_, _ = io.WriteString(w, "{")
			_ = http.NewResponseController(w).Flush()
		}
		<-over
	})
	t.Cleanup(func() { close(over) }) // before the server is closed
	c := newClient(t, fetch.Config{Allow: loopback, RootCAs: s.pool, Timeout: 200 * time.Millisecond})
	for _, path := range []string{"/mute", "/drip"} {
		if _, err := c.Get(t.Context(), s.URL+path, 100); err == nil || !strings.Contains(err.Error(), "within 200ms") {
			t.Errorf("%s: got %v", path, err)
		}
	}
	if _, err := c.PostForm(t.Context(), s.URL+"/mute", nil); err == nil || !strings.Contains(err.Error(), "within 200ms") {
		t.Errorf("POST: got %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := c.Get(ctx, s.URL, 100); !errors.Is(err, context.Canceled) {
		t.Errorf("a context that has ended: got %v", err)
	}
}

// TestProtocolIsNotSwitched: what follows an answer with 101 is no body, and its end is no
// timeout's.
func TestProtocolIsNotSwitched(t *testing.T) {
	t.Parallel()
	s := newServer(t, true, "", func(w http.ResponseWriter, _ *http.Request) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		_, _ = io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n")
		_ = conn.SetReadDeadline(time.Now().Add(5 * time.Second)) // the client goes before
		_, _ = conn.Read(make([]byte, 1))
	})
	c := newClient(t, fetch.Config{Allow: loopback, RootCAs: s.pool, Timeout: time.Second})
	if status, err := c.PostForm(t.Context(), s.URL, nil); err == nil {
		t.Errorf("POST: got %d", status)
	}
	if _, err := c.Get(t.Context(), s.URL, 100); err == nil {
		t.Error("GET: got an answer")
	}
}

// TestTLSIsChecked: certificates, and no version of before 1.2.
func TestTLSIsChecked(t *testing.T) {
	t.Parallel()
	s := newServer(t, true, "", say("secret"))
	plain := newServer(t, false, "", say("secret"))
	old := httptest.NewUnstartedServer(say("secret"))
	old.Config.ErrorLog = log.New(io.Discard, "", 0)
	old.TLS = &tls.Config{MaxVersion: tls.VersionTLS11, MinVersion: tls.VersionTLS10}
	old.StartTLS()
	t.Cleanup(old.Close)
	pool := x509.NewCertPool()
	pool.AddCert(s.Certificate())
	names := resolver(t, func(string) []string { return []string{"127.0.0.1"} })
	for _, c := range []struct {
		name, url string
		pool      *x509.CertPool
	}{
		{"nobody whom one trusts", s.URL, x509.NewCertPool()},
		{"another's name", "https://other.test:" + s.port(), pool},
		{"no TLS", "https://127.0.0.1:" + plain.port(), pool},
		{"TLS 1.1", old.URL, pool},
	} {
		client := newClient(t, fetch.Config{Allow: loopback, RootCAs: c.pool, Resolver: names})
		if _, err := client.Get(t.Context(), c.url, 100); err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: got %v", c.name, err)
		}
	}
}

// resolver answers from a function, without a network.
func resolver(t *testing.T, lookup func(name string) []string) *net.Resolver {
	return &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) {
		ours, theirs := net.Pipe()
		go func() {
			defer ours.Close()
			for {
				length := make([]byte, 2)
				if _, err := io.ReadFull(ours, length); err != nil {
					return
				}
				query := make([]byte, binary.BigEndian.Uint16(length))
				if _, err := io.ReadFull(ours, query); err != nil {
					return
				}
				answer := answerDNS(query, lookup)
				if _, err := ours.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(answer))), answer...)); err != nil {
					return
				}
			}
		}()
		return theirs, nil
	}}
}

// answerDNS answers the one question of a query (RFC 1035 §4.1): addresses, or none.
func answerDNS(query []byte, lookup func(string) []string) []byte {
	name, at := "", 12
	for query[at] != 0 {
		name += string(query[at+1:at+1+int(query[at])]) + "."
		at += 1 + int(query[at])
	}
	question := query[12 : at+5]
	kind := binary.BigEndian.Uint16(query[at+1:])
	var records []byte
	count := 0
	for _, text := range lookup(strings.ToLower(name)) {
		a := netip.MustParseAddr(text)
		if a.Is4() != (kind == 1) || a.Is6() != (kind == 28) {
			continue
		}
		count++
		records = append(records, 0xc0, 12, byte(kind>>8), byte(kind), 0, 1, 0, 0, 0, 0, 0, byte(len(a.AsSlice())))
		records = append(records, a.AsSlice()...)
	}
	header := []byte{query[0], query[1], 0x81, 0x80, 0, 1, 0, byte(count), 0, 0, 0, 0}
	return append(append(header, question...), records...)
}
