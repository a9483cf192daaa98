package main

import (
	"crypto/tls"
	"crypto/x509"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/netip"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestProxyGuides: what docs/operate/proxies.md says for nginx and Caddy, with real
// ones: the visitor's address arrives and cannot be forged, pages and long requests
// pass as they are, and nothing is compressed.
func TestProxyGuides(t *testing.T) {
	t.Parallel()
	for name, start := range map[string]func(*testing.T, settings, string){"nginx": startNginx, "caddyfile": startCaddy} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			guide := fenced(t, filepath.Join("..", "..", "docs", "operate", "proxies.md"), name)
			s, cert := tlsInstalled(t)
			behind := s
			behind.Listen, behind.TLSCertificateFile, behind.TLSKeyFile = freeAddress(t), "", ""
			behind.TrustedProxies = networks{netip.MustParsePrefix("127.0.0.1/32")}
			var log lockedBuffer
			serving(t, behind, &log)
			start(t, s, strings.ReplaceAll(guide, "127.0.0.1:9000", behind.Listen))
			checkProxy(t, elsewhere(t, cert), s.Issuer, &log)
		})
	}
}

// fenced is the block of a page in a language.
func fenced(t *testing.T, page, language string) string {
	t.Helper()
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	_, block, ok := strings.Cut(string(text), "\n```"+language+"\n")
	if !ok {
		t.Fatalf("%s has no block of %s", page, language)
	}
	block, _, _ = strings.Cut(block, "\n```\n")
	return block + "\n"
}

// elsewhere is a browser at 127.0.0.5, the proxy's address being 127.0.0.1.
func elsewhere(t *testing.T, cert *x509.Certificate) *http.Client {
	t.Helper()
	roots := x509.NewCertPool()
	roots.AddCert(cert)
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	from := &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 5)}}
	return &http.Client{Jar: jar, Transport: &http.Transport{
		DialContext: from.DialContext, ForceAttemptHTTP2: true, DisableCompression: true, TLSClientConfig: &tls.Config{RootCAs: roots},
	}}
}

func checkProxy(t *testing.T, client *http.Client, issuer string, log *lockedBuffer) {
	t.Helper()
	get := func(path string) *http.Response {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), "GET", issuer+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("X-Forwarded-For", "192.0.2.77")
		req.Header.Set("Accept-Encoding", "gzip")
		resp, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		return resp
	}
	page := get("/")
	for range 500 { // the proxy may not be there yet
		if page.StatusCode == http.StatusOK {
			break
		}
		time.Sleep(10 * time.Millisecond)
		page = get("/")
	}
	if page.StatusCode != http.StatusOK || page.ProtoMajor != 2 || page.Header.Get("Strict-Transport-Security") == "" ||
		!strings.Contains(page.Header.Get("Content-Security-Policy"), "default-src 'none'") {
		t.Errorf("got %s %s %v, want 200 by HTTP/2 with the server's headers", page.Status, page.Proto, page.Header)
	}
	if got := page.Header.Get("Content-Encoding"); got != "" {
		t.Errorf("the page is compressed: %s", got)
	}
	if text := log.String(); !strings.Contains(text, `"address":"127.0.0.5"`) || strings.Contains(text, "192.0.2.77") {
		t.Errorf("got the log\n%s, want the visitor's address alone", text)
	}
	long := get("/authorize?" + url.Values{"client_id": {"nobody"}, "state": {strings.Repeat("s", 15_000)}}.Encode())
	if long.StatusCode != http.StatusBadRequest || long.Header.Get("X-Request-Id") == "" {
		t.Errorf("a long request: got %s, want the server's 400", long.Status)
	}
}

// proxyBinary finds a program, or leaves the test out where that is allowed.
func proxyBinary(t *testing.T, name string) string {
	t.Helper()
	for _, candidate := range []string{name, "/usr/sbin/" + name} {
		if found, err := exec.LookPath(candidate); err == nil {
			return found
		}
	}
	if os.Getenv("CI") == "true" {
		t.Fatalf("CI=true, and there is no %s", name)
	}
	t.Skipf("there is no %s: install it to test the guide for it", name)
	return ""
}

// startProxyProcess runs a program until the test ends, and waits until it answers.
func startProxyProcess(t *testing.T, issuer string, binary string, args ...string) {
	t.Helper()
	cmd := exec.Command(binary, args...)
	var said lockedBuffer
	cmd.Stdout, cmd.Stderr = &said, &said
	cmd.Env = append(os.Environ(), "HOME="+t.TempDir(), "XDG_DATA_HOME="+t.TempDir(), "XDG_CONFIG_HOME="+t.TempDir())
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	t.Cleanup(func() {
		_ = cmd.Process.Signal(os.Interrupt)
		<-ended
		if t.Failed() {
			t.Logf("%s said:\n%s", binary, said.String())
		}
	})
	for range 1000 {
		conn, err := net.Dial("tcp", strings.TrimPrefix(issuer, "https://"))
		if err == nil {
			conn.Close()
			return
		}
		select {
		case err := <-ended:
			ended <- err
			t.Fatalf("%s ended: %v", binary, err)
		case <-time.After(10 * time.Millisecond):
		}
	}
	t.Fatalf("%s does not answer", binary)
}

func startNginx(t *testing.T, s settings, guide string) {
	binary, dir := proxyBinary(t, "nginx"), t.TempDir()
	guide = strings.NewReplacer(
		"listen 443 ", "listen "+s.Listen+" ", "    listen [::]:443 ssl http2;\n", "",
		"listen 80;", "listen "+freeAddress(t)+";", "    listen [::]:80;\n", "",
		"id.example.com", "127.0.0.1",
		"/etc/ssl/sallyport/fullchain.pem", s.TLSCertificateFile, "/etc/ssl/sallyport/privkey.pem", s.TLSKeyFile,
	).Replace(guide)
	text := "daemon off;\nmaster_process off;\npid " + dir + "/pid;\nerror_log stderr;\nevents {}\nhttp {\n" +
		"gzip on;\naccess_log " + dir + "/access.log;\n" // as Debian has them
	for _, kind := range []string{"client_body", "proxy", "fastcgi", "uwsgi", "scgi"} {
		text += kind + "_temp_path " + dir + "/" + kind + ";\n"
	}
	if err := os.WriteFile(dir+"/nginx.conf", []byte(text+guide+"}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	startProxyProcess(t, s.Issuer, binary, "-p", dir, "-c", dir+"/nginx.conf", "-e", "stderr")
	t.Cleanup(func() {
		if text, err := os.ReadFile(dir + "/access.log"); err != nil || len(text) > 0 {
			t.Errorf("nginx logs requests: %q %v", text, err)
		}
	})
}

func startCaddy(t *testing.T, s settings, guide string) {
	binary, file := proxyBinary(t, "caddy"), filepath.Join(t.TempDir(), "Caddyfile")
	text := "{\n\tadmin off\n\tauto_https disable_redirects\n\tdefault_sni 127.0.0.1\n\tskip_install_trust\n}\n" +
		strings.Replace(guide, "id.example.com {\n", s.Issuer+" {\n\ttls "+s.TLSCertificateFile+" "+s.TLSKeyFile+"\n", 1)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	startProxyProcess(t, s.Issuer, binary, "run", "--config", file, "--adapter", "caddyfile")
}
