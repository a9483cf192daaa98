package e2e

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/network"
)

// apache is Debian's, with mod_auth_openidc, in front of an application.
type apache struct {
	origin  string
	reached atomic.Int64 // requests that came through
}

// startApache runs what docs/operate/apache.md shows, as it stands there but for its addresses.
func startApache(t *testing.T, in *installation) *apache {
	t.Helper()
	const modules = "/usr/lib/apache2/modules/"
	path, err := exec.LookPath("apache2")
	if err != nil {
		path, err = exec.LookPath("/usr/sbin/apache2")
	}
	if _, missing := os.Stat(modules + "mod_auth_openidc.so"); err != nil || missing != nil {
		leaveOut(t, "no Apache with mod_auth_openidc found; Debian's packages are apache2-bin and libapache2-mod-auth-openidc")
	}
	a := &apache{}
	application := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/favicon.ico" {
			a.reached.Add(1)
		}
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		fmt.Fprint(w, `<!doctype html><html lang="en"><title>Application</title><link rel="icon" href="data:,">`)
		for _, claim := range []string{"acr", "amr", "preferred_username"} {
			fmt.Fprintf(w, `<p id=%s>%s</p>`, claim, strings.Join(r.Header["Oidc_claim_"+claim], " "))
		}
	}))
	t.Cleanup(application.Close)
	port := freePort(t)
	a.origin = fmt.Sprintf("https://localhost:%d", port)
	var made struct {
		Secret string `json:"client_secret"`
	}
	in.decode(&made, "client", "add", "intranet", "--redirect-uri", a.origin+"/signin", "--post-logout-redirect-uri", a.origin+"/bye",
		"--backchannel-logout-uri", a.origin+"/signin?logout=backchannel", "--output", "json")

	dir := t.TempDir()
	text, err := os.ReadFile("../docs/operate/apache.md")
	if err != nil {
		t.Fatal(err)
	}
	_, manual, _ := strings.Cut(string(text), "```apache\n")
	manual, _, ok := strings.Cut(manual, "```")
	if !ok {
		t.Fatal("no configuration in docs/operate/apache.md")
	}
	manual = strings.NewReplacer("https://id.example.com", in.issuer, "https://www.example.com", a.origin, "http://127.0.0.1:8080", application.URL,
		"/etc/apache2/intranet.secret", filepath.Join(dir, "intranet.secret")).Replace(manual)
	var conf strings.Builder
	fmt.Fprintf(&conf, "ServerName localhost\nListen 127.0.0.1:%d\nPidFile %s/pid\nErrorLog %s/error.log\nMutex pthread\n", port, dir, dir)
	if os.Getuid() == 0 {
		fmt.Fprintln(&conf, "User www-data\nGroup www-data")
	}
	for _, name := range []string{"mpm_event", "authn_core", "authz_core", "authz_user", "ssl", "proxy", "proxy_http", "auth_openidc"} {
		fmt.Fprintf(&conf, "LoadModule %s_module %smod_%s.so\n", name, modules, name)
	}
	fmt.Fprintf(&conf, "SSLEngine on\nSSLCertificateFile %s\nSSLCertificateKeyFile %s\nOIDCCABundlePath %s\n%s", ca.cert, ca.key, ca.bundle, manual)
	for name, text := range map[string]string{
		"httpd.conf":      conf.String(),
		"intranet.secret": "OIDCClientSecret " + made.Secret + "\nOIDCCryptoPassphrase only-for-this-test\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	log := &lockedBuffer{}
	cmd := exec.Command(path, "-d", dir, "-f", filepath.Join(dir, "httpd.conf"), "-D", "FOREGROUND")
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait()
		if t.Failed() {
			errors, _ := os.ReadFile(filepath.Join(dir, "error.log"))
			t.Logf("Apache says:\n%s%s", log, errors)
		}
	})
	for deadline := time.Now().Add(patience); ; time.Sleep(50 * time.Millisecond) {
		if resp, err := http.Get(a.origin + "/bye"); err == nil {
			resp.Body.Close()
			a.reached.Store(0)
			return a
		}
		if time.Now().After(deadline) {
			t.Fatalf("Apache does not answer\n%s", log)
		}
	}
}

// TestApache: mod_auth_openidc lets nobody through to an application with less than two
// factors, and to a part of it nobody without a passkey; it signs out, and is signed out.
func TestApache(t *testing.T) {
	t.Parallel()
	needBrowser(t)
	in := install(t, "SALLYPORT_OUTBOUND_ALLOW=127.0.0.0/8,::1")
	a := startApache(t, in)
	b := newBrowser(t, "en")
	id := b.plugInBeside(passkey)
	key := in.setUpBoth(b, "sora")
	call(b, network.ClearBrowserCookies, cdp.Empty{})
	b.touches(id, false)
	hears := func(acr, amr string) {
		t.Helper()
		if got := []string{b.textOf("#preferred_username"), b.textOf("#acr"), b.textOf("#amr")}; !slices.Equal(got, []string{"sora", acr, amr}) {
			t.Errorf("the application hears of %q, want sora, %q, %q", got, acr, amr)
		}
	}

	b.open(a.origin + "/orders")
	b.password("sora", "quiet lantern otter")
	b.mustStep("second_factor")
	b.open(a.origin + "/orders")
	b.mustStep("second_factor")
	if got := a.reached.Load(); got != 0 {
		t.Errorf("%d requests came through with a password alone", got)
	}
	b.mustStatus(b.code(totp(t, key, 1)), 200)
	b.mustBeAt(a.origin + "/orders")
	hears("urn:sallyport:acr:2fa", "pwd,otp,mfa")

	before := a.reached.Load()
	b.leaveFor(a.origin + "/vault") // Apache answers with a page that leads on
	b.arrives("second_factor")
	b.asks("form[action$=webauthn]")
	if got := a.reached.Load(); got != before {
		t.Error("a request came through to the vault without a passkey")
	}
	b.touches(id, true)
	b.leaveFor(a.origin + "/vault")
	b.waitFor("the vault", func() bool { return b.textOf("#acr") != "" })
	b.mustBeAt(a.origin + "/vault")
	hears("phr", "swk,user,mfa")
	b.open(a.origin + "/orders")
	b.mustBeAt(a.origin + "/orders")
	hears("phr", "swk,user,mfa")

	b.open(a.origin + "/signin?logout=" + url.QueryEscape(a.origin+"/bye"))
	b.mustBeAt(a.origin + "/bye")
	if got := b.textOf("#preferred_username"); got != "" {
		t.Errorf("after signing out the application hears of %q", got)
	}
	b.open(a.origin + "/orders")
	b.mustStep("login")
	b.touches(id, false)
	b.open(a.origin + "/vault")
	b.password("sora", "quiet lantern otter")
	b.mustStep("second_factor")
	b.touches(id, true)
	b.leaveFor(a.origin + "/vault")
	b.waitFor("the vault", func() bool { return b.textOf("#acr") != "" })
	b.signOut(in.issuer) // whoever does not tell Apache leaves its session alive
	b.waitFor("Apache's session to end", func() bool {
		b.open(a.origin + "/orders")
		return b.step() == "login"
	})
}
