package rs

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/sallyport-id/sallyport/internal/issuer"
)

// metadata is what is used of the server's metadata (OpenID Connect Discovery §3,
// RFC 8414 §2).
type metadata struct {
	issuer                string
	jwksURI               string
	introspectionEndpoint string // "" if there is none
}

// fetchMetadata gets the metadata from where OpenID Connect has it, or else from
// where OAuth has it (OpenID Connect Discovery §4, RFC 8414 §3).
func (s *Server) fetchMetadata(ctx context.Context, etag string) (metadata, issuer.Version, error) {
	a, err := s.server.Get(ctx, strings.TrimSuffix(s.config.Issuer, "/")+"/.well-known/openid-configuration", etag)
	if err != nil && !errors.Is(err, issuer.ErrNotModified) {
		if other, otherErr := s.server.Get(ctx, wellKnown(s.config.Issuer, "oauth-authorization-server"), ""); otherErr == nil {
			a, err = other, nil
		}
	}
	if err != nil {
		return metadata{}, issuer.Version{}, err
	}
	m, err := parseMetadata(a.Body, s.config.Issuer, s.config.InsecureAllowHTTP)
	if err != nil {
		return metadata{}, issuer.Version{}, fmt.Errorf("metadata of %s: %w", s.config.Issuer, err)
	}
	return m, issuer.VersionOf(a.Header), nil
}

// parseMetadata reads metadata, which must be that of the issuer, and whose
// endpoints must be as safe as the issuer is.
func parseMetadata(data []byte, want string, allowHTTP bool) (metadata, error) {
	object, err := issuer.ParseObject(data)
	if err != nil {
		return metadata{}, err
	}
	r := issuer.Reader{Object: object}
	m := metadata{r.Text("issuer"), r.Text("jwks_uri"), r.Text("introspection_endpoint")}
	if r.Err != nil {
		return metadata{}, r.Err
	}
	if m.issuer != want {
		return metadata{}, fmt.Errorf("the issuer is %q, not %q", issuer.Clip(m.issuer), want)
	}
	if err := issuer.CheckEndpoint(m.issuer, m.jwksURI, allowHTTP); err != nil {
		return metadata{}, fmt.Errorf("jwks_uri: %w", err)
	}
	if m.introspectionEndpoint == "" {
		return m, nil
	}
	if err := issuer.CheckEndpoint(m.issuer, m.introspectionEndpoint, allowHTTP); err != nil {
		return metadata{}, fmt.Errorf("introspection_endpoint: %w", err)
	}
	return m, nil
}

// wellKnown puts a well-known name between the host and the path of an identifier
// (RFC 8414 §3.1, RFC 9728 §3.1).
func wellKnown(identifier, name string) string {
	u, err := url.Parse(identifier)
	if err != nil || !isWeb(u) {
		return ""
	}
	path := u.EscapedPath()
	if path == "/" {
		path = ""
	}
	text := u.Scheme + "://" + u.Host + "/.well-known/" + name + path
	if u.RawQuery != "" {
		text += "?" + u.RawQuery
	}
	return text
}

func metadataURL(resource string) string { return wellKnown(resource, "oauth-protected-resource") }

// Metadata is where the metadata of the API are served, a pattern for
// http.ServeMux, and the handler that serves them (RFC 9728 §3): what clients find
// out from a challenge. It needs no token.
//
//	mux.Handle(api.Metadata())
//
// Where Resource is no URL there are none, and the handler answers 404.
func (s *Server) Metadata() (pattern string, handler http.Handler) {
	if s.metadataURL == "" {
		return "/.well-known/oauth-protected-resource", http.NotFoundHandler()
	}
	u, _ := url.Parse(s.metadataURL) // made by wellKnown
	pattern = u.EscapedPath()
	if strings.HasSuffix(pattern, "/") {
		pattern += "{$}"
	}
	body, _ := json.Marshal(s.describe())
	return pattern, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			h.Set("Allow", "GET, HEAD")
			w.WriteHeader(http.StatusMethodNotAllowed)
			return
		}
		h.Set("Content-Type", "application/json")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Access-Control-Allow-Origin", "*") // it is public, and applications in browsers need it
		h.Set("Cache-Control", "public, max-age=3600")
		_, _ = w.Write(body) // the client may be gone
	})
}

// description is protected resource metadata (RFC 9728 §2).
type description struct {
	Resource string   `json:"resource"`
	Servers  []string `json:"authorization_servers"`
	Scopes   []string `json:"scopes_supported,omitempty"`
	Bearer   []string `json:"bearer_methods_supported"`
	DPoPAlgs []string `json:"dpop_signing_alg_values_supported,omitempty"`
	DPoPOnly bool     `json:"dpop_bound_access_tokens_required,omitempty"`
	MTLS     bool     `json:"tls_client_certificate_bound_access_tokens,omitempty"`
}

func (s *Server) describe() description {
	d := description{Resource: s.config.Resource, Servers: []string{s.config.Issuer}, Scopes: s.config.Scopes, Bearer: []string{"header"},
		MTLS: s.config.CertificateRequired}
	if s.config.DPoP != DPoPOff {
		d.DPoPAlgs = s.config.Algorithms
	}
	if s.config.DPoP == DPoPRequired {
		d.Bearer, d.DPoPOnly = []string{}, true
	}
	return d
}
