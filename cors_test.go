package sallyport_test

import (
	"net/http"
	"strings"
	"testing"
)

// TestScriptsOfOtherOrigins: a single-page application may read what its tokens
// open, and what was wrong; no cookie goes with it.
func TestScriptsOfOtherOrigins(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	for _, c := range []struct {
		method, path string
		status       int
	}{
		{"OPTIONS", "/token", http.StatusNoContent},
		{"OPTIONS", "/userinfo", http.StatusNoContent},
		{"OPTIONS", "/revoke", http.StatusNoContent},
		{"POST", "/revoke", http.StatusBadRequest},
		{"POST", "/token", http.StatusBadRequest},
		{"GET", "/userinfo", http.StatusUnauthorized},
		{"GET", "/.well-known/openid-configuration", http.StatusOK},
		{"GET", "/jwks.json", http.StatusOK},
	} {
		req, err := http.NewRequest(c.method, r.issuer+c.path, strings.NewReader("grant_type=authorization_code"))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Origin", "https://spa.example.com")
		req.Header.Set("Sec-Fetch-Site", "cross-site")
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		got := r.serve(req)
		h := got.Header()
		if got.Code != c.status || h.Get("Access-Control-Allow-Origin") != "*" || h.Get("Access-Control-Allow-Credentials") != "" {
			t.Errorf("%s %s: got %d %v", c.method, c.path, got.Code, h)
		}
		if c.method == "OPTIONS" && !strings.Contains(h.Get("Access-Control-Allow-Headers"), "Authorization") {
			t.Errorf("%s %s: got %v", c.method, c.path, h)
		}
	}
	for path, method := range map[string]string{"/authorize": "GET", "/end_session": "GET", "/introspect": "POST"} {
		req, _ := http.NewRequest(method, r.issuer+path, nil)
		req.Header.Set("Origin", "https://spa.example.com")
		if got := r.serve(req); got.Header().Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("%s may be read by scripts: %v", path, got.Header())
		}
	}
}
