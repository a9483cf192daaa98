package oidc_test

import (
	"strings"
	"testing"

	"github.com/sallyport-id/sallyport/internal/oidc"
)

// RFC 9700 §2.1: byte by byte. RFC 8252 §7.3: but for a native app's port.
func TestRedirectURIExact(t *testing.T) {
	t.Parallel()
	web := []string{"https://shop.example/cb", "http://localhost:5000/callback", "http://127.0.0.1/cb"}
	native := []string{"http://127.0.0.1/cb", "http://[::1]/cb?a=b", "http://localhost", "com.example.app:/cb", "https://shop.example/cb"}
	for _, tt := range []struct {
		uri         string
		web, native bool
	}{
		{"https://shop.example/cb", true, true},
		{"http://localhost:5000/callback", true, false},
		{"http://127.0.0.1/cb", true, true},
		{"com.example.app:/cb", false, true},
		{"http://127.0.0.1:1/cb", false, true},
		{"http://127.0.0.1:65535/cb", false, true},
		{"http://[::1]:4711/cb?a=b", false, true},
		{"http://localhost:8080", false, true},

		{"https://shop.example/cb/", false, false},
		{"https://shop.example/cb?", false, false},
		{"https://shop.example/cb#", false, false},
		{"https://shop.example/cb?a=b", false, false},
		{"https://shop.example/CB", false, false},
		{"https://shop.example/c%62", false, false},
		{"https://SHOP.example/cb", false, false},
		{"https://shop.example:443/cb", false, false},
		{"https://shop.example/x/../cb", false, false},
		{"https://shop.example.evil.example/cb", false, false},
		{"https://shop.example@evil.example/cb", false, false},
		{" https://shop.example/cb", false, false},
		{"//shop.example/cb", false, false},

		{"http://127.0.0.1:1/cb#", false, false},
		{"http://127.0.0.1:1/cb?x", false, false},
		{"http://127.0.0.1:1/c%62", false, false},
		{"http://127.0.0.1:/cb", false, false},
		{"http://127.0.0.1:123456/cb", false, false},
		{"http://127.0.0.1:1@evil.example/cb", false, false},
		{"http://127.0.0.1.evil.example/cb", false, false},
		{"http://127.0.0.1:80.evil.example/cb", false, false},
		{"http://u@127.0.0.1:1/cb", false, false},
		{"HTTP://127.0.0.1:1/cb", false, false},
		{"https://127.0.0.1:1/cb", false, false},
		{"http://127.0.0.2:1/cb", false, false},
		{"http://localhost:1/cb", false, false},
		{"http://LOCALHOST:1", false, false},
		{"http://[::1]:1/cb", false, false},
		{"http://[::1]evil.example/cb?a=b", false, false},
	} {
		c := shop()
		c.RedirectURIs = web
		if _, shown, _ := answer(c, asks("redirect_uri", tt.uri)); (shown == "") != tt.web {
			t.Errorf("web %q: got error %q, want good %v", tt.uri, shown, tt.web)
		}
		c.RedirectURIs, c.NativeApp = native, true
		if _, shown, _ := answer(c, asks("redirect_uri", tt.uri)); (shown == "") != tt.native {
			t.Errorf("native %q: got error %q, want good %v", tt.uri, shown, tt.native)
		}
	}
}

// The request must name its redirect URI unless there is only one and nobody
// asked for OpenID Connect (RFC 6749 §3.1.2.3, OpenID Connect Core §3.1.2.1).
func TestRedirectURILeftOut(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, scope string
		uris        []string
		good        bool
	}{
		{"one URI", "profile", []string{"https://a.example/"}, true},
		{"one URI, no scope", "", []string{"https://a.example/"}, true},
		{"one URI, OpenID Connect", "openid", []string{"https://a.example/"}, false},
		{"two URIs", "profile", []string{"https://a.example/", "https://b.example/"}, false},
	} {
		c := shop()
		c.RedirectURIs = tt.uris
		r, _, _ := oidc.ParseAuthorizationRequest(asks("redirect_uri", "-", "scope", tt.scope))
		err := r.CheckRedirectURI(c)
		if (err == nil) != tt.good || r.RedirectSent {
			t.Errorf("%s: got error %v, sent %v, want good %v, not sent", tt.name, err, r.RedirectSent, tt.good)
		}
		if tt.good && r.RedirectURI != tt.uris[0] {
			t.Errorf("%s: got %q, want %q", tt.name, r.RedirectURI, tt.uris[0])
		}
	}
	r, _, _ := oidc.ParseAuthorizationRequest(asks())
	if err := r.CheckRedirectURI(shop()); err != nil || !r.RedirectSent {
		t.Errorf("got error %v, sent %v, want sent", err, r.RedirectSent)
	}
}

// RFC 6749 §3.1.2, RFC 8252 §7, OpenID Connect Registration §2, RFC 9700 §2.6.
func TestValidateRedirectURI(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		uri         string
		web, native bool
	}{
		{"https://shop.example/cb", true, true},
		{"https://shop.example", true, true},
		{"https://shop.example:8443/cb?tenant=1", true, true},
		{"https://xn--hq1bm8jm9l.example/cb", true, true},
		{"http://localhost:5000/callback", true, true},
		{"http://127.0.0.1/cb", true, true},
		{"http://[::1]:1/cb", true, true},
		{"com.example.app:/cb", false, true},

		{"https://shop.example/" + strings.Repeat("a", 2027), true, true},
		{"https://shop.example/" + strings.Repeat("a", 2028), false, false},
		{"", false, false},
		{"/cb", false, false},
		{"//shop.example/cb", false, false},
		{"shop.example/cb", false, false},
		{"https:///cb", false, false},
		{"https://:443/cb", false, false},
		{"https://shop.example:/cb", false, false},
		{"https:shop.example", false, false},
		{"https://shop.example/cb#", false, false},
		{"https://shop.example/cb#x", false, false},
		{"https://user@shop.example/cb", false, false},
		{"https://user:pass@shop.example/cb", false, false},
		{"https://*.shop.example/cb", false, false},
		{"https://shop.example/*", false, false},
		{"https://shop.example/a b", false, false},
		{"https://shop.example\\cb", false, false},
		{"https://shop.example/cb\r\nX: y", false, false},
		{"https://shop.example/%zz", false, false},
		{"https://shop.example/cb?a=%zz", false, false},
		{"https://가게.example/cb", false, false},
		{"https://shop.example;script-src/cb", false, false},
		{"https://shop.example,evil.example/cb", false, false},
		{"https://shop.example/cb?code=1", false, false},
		{"https://shop.example/cb?a=b&st%61te=1", false, false},
		{"http://shop.example/cb", false, false},
		{"http://localhost.evil.example/cb", false, false},
		{"http://0.0.0.0/cb", false, false},
		{"http://[::1%25eth0]/cb", false, false},
		{"http://169.254.169.254/", false, false},
		{"javascript:alert(1)", false, false},
		{"data:text/html,hello", false, false},
		{"file:///etc/passwd", false, false},
		{"ftp://shop.example/cb", false, false},
		{"myapp:/cb", false, false},
		{"com.example.app://host/cb", false, false},
		{"com.example.app:cb", false, false},
		{"java.script:alert(1)", false, false},
	} {
		if err := oidc.ValidateRedirectURI(tt.uri, false); (err == nil) != tt.web {
			t.Errorf("web %q: got %v, want good %v", tt.uri, err, tt.web)
		}
		if err := oidc.ValidateRedirectURI(tt.uri, true); (err == nil) != tt.native {
			t.Errorf("native %q: got %v, want good %v", tt.uri, err, tt.native)
		}
	}
}

// RFC 8414 §2.
func TestCheckIssuer(t *testing.T) {
	t.Parallel()
	for issuer, good := range map[string]bool{
		"https://id.example.com":            true,
		"https://id.example.com:8443":       true,
		"https://id.example.com/tenant/one": true,
		"http://localhost:8080":             true,
		"http://127.0.0.1:8080/id":          true,
		"http://[::1]:8080":                 true,

		"":                                false,
		"id.example.com":                  false,
		"https://":                        false,
		"https://:8443":                   false,
		"https://id.example.com:":         false,
		"http://id.example.com":           false,
		"ftp://id.example.com":            false,
		"https://id.example.com/":         false,
		"https://id.example.com/a/":       false,
		"https://id.example.com?a":        false,
		"https://id.example.com?":         false,
		"https://id.example.com#":         false,
		"https://u@id.example.com":        false,
		"https://ID.example.com":          false,
		"HTTPS://id.example.com":          false,
		"https://id.example.com:443":      false,
		"http://localhost:80":             false,
		"https://id.example.com/a//b":     false,
		"https://id.example.com/a/../b":   false,
		"https://id.example.com/{id}":     false,
		"https://id.example.com/a%2fb":    false,
		"https://id.example.com/a b":      false,
		"https://신원.example":              false,
		"https://id.example.com;a=b":      false,
		"https://id.example.com\r\nX: y":  false,
		"http://localhost.evil.example:1": false,
	} {
		if err := oidc.CheckIssuer(issuer); (err == nil) != good {
			t.Errorf("%q: got %v, want good %v", issuer, err, good)
		}
	}
}

// TestCheckInsecureIssuer: http on any host, and nothing else more.
func TestCheckInsecureIssuer(t *testing.T) {
	t.Parallel()
	for issuer, good := range map[string]bool{
		"http://id.example.com": true, "https://id.example.com": true, "http://192.0.2.1:8080/sso": true,
		"ftp://id.example.com": false, "http://id.example.com/": false, "http://id.example.com:80": false, "id.example.com": false,
	} {
		if err := oidc.CheckInsecureIssuer(issuer); (err == nil) != good {
			t.Errorf("%q: got %v, want good %v", issuer, err, good)
		}
	}
	if oidc.CheckIssuer("http://id.example.com") == nil {
		t.Error("CheckIssuer takes http on a public host")
	}
}
