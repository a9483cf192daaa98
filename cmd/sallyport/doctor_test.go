package main

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-id/sallyport/internal/admin"
	"github.com/sallyport-id/sallyport/internal/keys"
	"github.com/sallyport-id/sallyport/internal/oidc"
	"github.com/sallyport-id/sallyport/internal/store/sqlstore"
)

// examined is what doctor finds, one line a finding.
func examined(t *testing.T, s settings, now time.Time) string {
	t.Helper()
	config := filepath.Join(t.TempDir(), "sallyport.yaml")
	if err := os.WriteFile(config, []byte(commentedSettings(s)), 0o600); err != nil {
		t.Fatal(err)
	}
	d := &doctor{now: func() time.Time { return now }}
	d.examine(t.Context(), configFlag{config})
	var text strings.Builder
	if err := d.printText(&text); err != nil {
		t.Fatal(err)
	}
	return text.String()
}

// TestDoctor: each thing that can be wrong is named, with how to mend it.
func TestDoctor(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		spoil func(t *testing.T, s *settings)
		want  string
		mend  string
	}{
		{"a key file that others can read", func(t *testing.T, s *settings) { chmod(t, s.KeyFile, 0o644) }, "error    key file: keys: key file", "mode 0600"},
		{"another key", func(t *testing.T, s *settings) { s.KeyFile = otherKey(t) }, "error    secrets: ", "must have the key"},
		{"no database", func(t *testing.T, s *settings) { remove(t, s.Database) }, "error    database: there is no database", ""},
		{"somebody else's database", func(t *testing.T, s *settings) { mark(t, s.Database, devMark) }, `error    database: `, "Is the key"},
		{"a database that others can read", func(t *testing.T, s *settings) { chmod(t, s.Database, 0o644) }, "warning  database: ", "chmod 600"},
		{"files of somebody else", func(t *testing.T, s *settings) { makeDirectory(t, s.Database+"-wal") }, "error    database: open", "as one user"},
		{"no password file", func(t *testing.T, s *settings) {
			s.Database, s.DatabasePasswordFile = "postgres://sallyport@127.0.0.1:1/sallyport", "nowhere"
		}, "error    database: database_password_file: open", "first line"},
		{"no database server", func(t *testing.T, s *settings) {
			s.Database = "postgres://sallyport@127.0.0.1:1/sallyport"
		}, "error    database: look into database postgres://sallyport@127.0.0.1:1/sallyport: ", "let this machine in"},
		{"a certificate for somebody else", func(t *testing.T, s *settings) { ownCertificate(t, s); s.Issuer = "https://localhost:1" }, "error    certificate: x509", "host of the issuer"},
		{"no certificate", func(t *testing.T, s *settings) { ownCertificate(t, s); remove(t, s.TLSKeyFile) }, "error    certificate: open", "both PEM"},
		{"a certificate that ends soon", func(t *testing.T, s *settings) { ownCertificate(t, s) }, "warning  certificate: expires ", "Renew"},
		{"a client whose keys are in this network", func(t *testing.T, s *settings) { addBank(t, s.Database, "https://127.0.0.1:1/keys") },
			"warning  client keys: of bank: fetch: 127.0.0.1:1: 127.0.0.1 is no public address, and outbound_allow does not name it", "the client bank is nobody"},
		{"no server", func(*testing.T, *settings) {}, "warning  server: Get ", "sallyport serve"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s, _ := installed(t)
			c.spoil(t, &s)
			found := examined(t, s, time.Now())
			_, rest, has := strings.Cut(found, c.want)
			if !has || !strings.Contains(strings.Join(strings.Fields(rest), " "), c.mend) {
				t.Errorf("got\n%s, want %q, then %q", found, c.want, c.mend)
			}
		})
	}
}

// addBank adds a client whose keys are at an address.
func addBank(t *testing.T, database, jwksURI string) {
	t.Helper()
	db, err := sqlstore.Open(t.Context(), sqlstore.At(database))
	if err != nil {
		t.Fatal(err)
	}
	c := admin.Web("bank", "Bank", "https://bank.example.com/callback")
	c.AuthMethod, c.JWKSURI = oidc.AuthPrivateKeyJWT, jwksURI
	if err := errors.Join(c.Validate(), db.CreateClient(t.Context(), c), db.Close()); err != nil {
		t.Fatal(err)
	}
}

// TestDoctorFetchesClientKeys: from where the configuration allows.
func TestDoctorFetchesClientKeys(t *testing.T) {
	t.Parallel()
	keys := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, `{"keys":[{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}`)
	}))
	t.Cleanup(keys.Close)
	s, _ := installed(t)
	addBank(t, s.Database, keys.URL)
	s.OutboundAllow = networks{netip.MustParsePrefix("127.0.0.1/32")}
	if found := examined(t, s, time.Now()); !strings.Contains(found, "ok       client keys: those of 1 clients are at their jwks_uri") {
		t.Errorf("got\n%s", found)
	}
}

// TestDoctorNamesTheBrokenConfiguration and does not go on with it.
func TestDoctorNamesTheBrokenConfiguration(t *testing.T) {
	t.Parallel()
	d := &doctor{now: time.Now}
	d.examine(t.Context(), configFlag{filepath.Join(t.TempDir(), "none.yaml")})
	if len(d.findings) != 1 || d.findings[0].State != stateError || !strings.Contains(d.findings[0].Found, `"sallyport init" makes one`) {
		t.Errorf("got %+v", d.findings)
	}
}

// TestDoctorComparesClocks: with the database's, and with what has happened.
func TestDoctorComparesClocks(t *testing.T) {
	t.Parallel()
	s, _ := installed(t)
	for off, want := range map[time.Duration]string{
		3500 * time.Millisecond: "error    clock: this machine is 3.", -3 * time.Second: "error    clock: this machine is -3", time.Second: "ok       clock: ",
	} {
		if found := examined(t, s, time.Now().Add(off)); !strings.Contains(found, want) {
			t.Errorf("%v off: got\n%s, want %s", off, found, want)
		}
	}
}

// TestDoctorLooksThroughTheProxy: the headers that arrive are those that the
// limits need, and no others are believed.
func TestDoctorLooksThroughTheProxy(t *testing.T) {
	t.Parallel()
	proxies := networks{netip.MustParsePrefix("127.0.0.2/32")}
	appends := func(r *httputil.ProxyRequest) {
		r.Out.Header["X-Forwarded-For"] = r.In.Header["X-Forwarded-For"]
		r.SetXForwarded()
	}
	for _, c := range []struct {
		name    string
		trusted networks
		proxy   func(*httputil.ProxyRequest) // nil: none
		want    string
	}{
		{"no proxy", nil, nil, "ok       proxy headers: the server sees this machine as 127.0.0.1\n"},
		{"a proxy that appends", proxies, appends, "ok       proxy headers: the server sees this machine as 127.0.0.1\n"},
		{"a proxy that replaces", proxies, func(r *httputil.ProxyRequest) { r.SetXForwarded() }, "ok       proxy headers: the server sees this machine as 127.0.0.1\n"},
		{"a proxy that is not named", nil, appends, "error    proxy headers: the proxy at 127.0.0.2 says X-Forwarded-For: 127.0.0.1, and is not trusted\n"},
		{"a proxy that says nothing", proxies, func(*httputil.ProxyRequest) {}, "error    proxy headers: the trusted proxy at 127.0.0.2 sends no X-Forwarded-For\n"},
		{"a proxy that believes visitors", proxies, func(r *httputil.ProxyRequest) {
			if r.Out.Header["X-Forwarded-For"] = r.In.Header["X-Forwarded-For"]; len(r.In.Header["X-Forwarded-For"]) == 0 {
				r.SetXForwarded()
			}
		}, "error    proxy headers: a visitor is believed to be whom his X-Forwarded-For says\n"},
		{"everybody is trusted", networks{netip.MustParsePrefix("127.0.0.0/8")}, appends, "warning  proxy headers: this machine's address, 127.0.0.1, is one of trusted_proxies"},
		{"a proxy with a name of its own", proxies, func(r *httputil.ProxyRequest) { r.SetXForwarded(); r.Out.Host = "backend" }, "error    server: the server gets another Host than the issuer's\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s, _ := installed(t)
			s.TrustedProxies = c.trusted
			if c.proxy != nil {
				s.Listen = freeAddress(t)
				startProxy(t, strings.TrimPrefix(s.Issuer, "http://"), s.Listen, c.proxy)
			}
			serving(t, s, io.Discard)
			if found := examined(t, s, time.Now()); !strings.Contains(found, c.want) {
				t.Errorf("got\n%s, want %s", found, c.want)
			}
		})
	}
}

// startProxy answers at an address with what the server at another says. It
// speaks to it from 127.0.0.2.
func startProxy(t *testing.T, at, to string, rewrite func(*httputil.ProxyRequest)) {
	t.Helper()
	l, err := net.Listen("tcp4", at)
	if err != nil {
		t.Fatal(err)
	}
	from := &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 2)}}
	proxy := &httptest.Server{Listener: l, Config: &http.Server{Handler: &httputil.ReverseProxy{
		Transport: &http.Transport{DialContext: from.DialContext},
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(&url.URL{Scheme: "http", Host: to})
			r.Out.Host = r.In.Host
			rewrite(r)
		},
	}}}
	proxy.Start()
	t.Cleanup(proxy.Close)
}

// TestDoctorKnowsWhoAnswers: a server with another key, or something else.
func TestDoctorKnowsWhoAnswers(t *testing.T) {
	t.Parallel()
	s, _ := installed(t)
	answer := func(h http.HandlerFunc) string {
		l, err := net.Listen("tcp4", s.Listen)
		if err != nil {
			t.Fatal(err)
		}
		server := &httptest.Server{Listener: l, Config: &http.Server{Handler: h}}
		server.Start()
		defer server.Close()
		return examined(t, s, time.Now())
	}
	for want, h := range map[string]http.HandlerFunc{
		"error    server: something else answers at ":                                 func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "<html>") },
		"error    server: the proxy redirects to https://elsewhere.example/":          func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "https://elsewhere.example/", 302) },
		"error    server: " + s.Issuer + " answers with 502 Bad Gateway":              func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) },
		"error    server: the server at " + s.Issuer + " has another master key, a c": func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, `{"issuer":"`+s.Issuer+`"}`) },
	} {
		if found := answer(h); !strings.Contains(found, want) {
			t.Errorf("got\n%s, want %s", found, want)
		}
	}
}

// TestProbeIsForTheOperator: nobody without the master key learns what arrives.
func TestProbeIsForTheOperator(t *testing.T) {
	t.Parallel()
	s, _ := installed(t)
	serving(t, s, io.Discard)
	other, err := keys.NewSealer(keys.NewMasterKey())
	if err != nil {
		t.Fatal(err)
	}
	d := &doctor{now: time.Now, settings: s, sealer: other}
	if seen, err := d.probe(context.Background(), ""); err == nil || !strings.Contains(err.Error(), "another master key") {
		t.Errorf("got %+v %v", seen, err)
	}
}

func ownCertificate(t *testing.T, s *settings) {
	t.Helper()
	dir := t.TempDir()
	s.TLSCertificateFile, s.TLSKeyFile = filepath.Join(dir, "c.pem"), filepath.Join(dir, "k.pem")
	s.Issuer = strings.Replace(s.Issuer, "http://", "https://", 1)
	writeCertificate(t, s, 1)
}

func makeDirectory(t *testing.T, name string) {
	t.Helper()
	if err := os.Mkdir(name, 0o700); err != nil {
		t.Fatal(err)
	}
}
