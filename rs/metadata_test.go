package rs_test

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/sallyport-id/sallyport/rs"
)

// TestMetadataOfTheAPI: where a challenge says that it is, and what is in it.
func TestMetadataOfTheAPI(t *testing.T) {
	t.Parallel()
	const head = `,"authorization_servers":["https://id.example.com"]`
	for resource, c := range map[string]struct {
		path, body string
		change     func(*rs.Config)
	}{
		"https://orders.example.com/": {"/.well-known/oauth-protected-resource",
			head + `,"scopes_supported":["orders:read","orders:write"],"bearer_methods_supported":["header"]}`,
			func(c *rs.Config) { c.Scopes = []string{"orders:read", "orders:write"} }},
		"https://example.com": {"/.well-known/oauth-protected-resource", head + `,"bearer_methods_supported":["header"]}`, nil},
		"https://example.com/orders": {"/.well-known/oauth-protected-resource/orders",
			head + `,"bearer_methods_supported":["header"],"dpop_signing_alg_values_supported":["ES256"]}`,
			func(c *rs.Config) { c.DPoP, c.Algorithms = rs.DPoPAllowed, []string{"ES256"} }},
		"https://example.com/orders/": {"/.well-known/oauth-protected-resource/orders/",
			head + `,"bearer_methods_supported":[],"dpop_signing_alg_values_supported":["EdDSA"],"dpop_bound_access_tokens_required":true}`,
			func(c *rs.Config) { c.DPoP, c.Algorithms = rs.DPoPRequired, []string{"EdDSA"} }},
		"https://example.com/invoices": {"/.well-known/oauth-protected-resource/invoices",
			head + `,"bearer_methods_supported":["header"],"tls_client_certificate_bound_access_tokens":true}`,
			func(c *rs.Config) { c.CertificateRequired = true }},
	} {
		config := rs.Config{Issuer: "https://id.example.com", Resource: resource}
		if c.change != nil {
			c.change(&config)
		}
		s, err := rs.New(t.Context(), config)
		if err != nil {
			t.Fatal(err)
		}
		mux := http.NewServeMux()
		mux.Handle(s.Metadata())
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, httptest.NewRequest("GET", c.path, nil))
		if want := `{"resource":"` + resource + `"` + c.body; w.Code != 200 || w.Body.String() != want || w.Header().Get("Content-Type") != "application/json" {
			t.Errorf("%s: got %d %s, want %s", resource, w.Code, w.Body, want)
		}
		w = httptest.NewRecorder()
		mux.ServeHTTP(w, httptest.NewRequest("POST", c.path, nil))
		if w.Code != http.StatusMethodNotAllowed {
			t.Errorf("%s: POST: got %d", resource, w.Code)
		}
	}
	s, err := rs.New(t.Context(), rs.Config{Issuer: "https://id.example.com", Resource: "urn:example:orders"})
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.Handle(s.Metadata())
	w := httptest.NewRecorder()
	mux.ServeHTTP(w, httptest.NewRequest("GET", "/.well-known/oauth-protected-resource", nil))
	if w.Code != http.StatusNotFound {
		t.Errorf("a resource that is no URL: got %d", w.Code)
	}
	w = httptest.NewRecorder()
	s.Protect(http.NotFoundHandler()).ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
	if got := w.Header().Get("WWW-Authenticate"); got != "Bearer" {
		t.Errorf("its challenge: got %q", got)
	}
}

// TestOAuthMetadata: a server without OpenID Connect has its metadata elsewhere;
// one that is somebody else's is nobody's.
func TestOAuthMetadata(t *testing.T) {
	t.Parallel()
	var base, says string
	mux := http.NewServeMux()
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	base = server.URL + "/tenant"
	mux.HandleFunc("GET /.well-known/oauth-authorization-server/tenant", func(w http.ResponseWriter, _ *http.Request) {
		w.Write([]byte(`{"issuer":"` + says + `","jwks_uri":"` + server.URL + `/keys"}`))
	})
	mux.HandleFunc("GET /keys", func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte(`{"keys":[]}`)) })
	for issuer, status := range map[string]int{base: 401, base + "/": 503, "https://evil.example": 503} {
		says = issuer
		a := newAPI(t)
		s, err := rs.New(t.Context(), rs.Config{Issuer: base, Resource: orders, Logger: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		a.Server = s
		if w := a.bearer(a.JWT(a.Claims(orders, ""))); w.Code != status {
			t.Errorf("issuer %s: got %d, want %d", issuer, w.Code, status)
		}
	}
}
