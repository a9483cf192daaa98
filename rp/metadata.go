package rp

import (
	"cmp"
	"context"
	"fmt"
	"strings"

	"github.com/sallyport-id/sallyport/internal/issuer"
)

// metadata is what the client uses of the server's metadata (OpenID Connect
// Discovery §3). Each member is read by name into a field of its own and none is
// ever merged into settings.
type metadata struct {
	issuer                string
	authorizationEndpoint string
	tokenEndpoint         string
	jwksURI               string
	userinfoEndpoint      string // "" if there is none
	endSessionEndpoint    string // "" if there is none
	revocationEndpoint    string // "" if there is none
	introspectionEndpoint string // "" if there is none (RFC 8414 §2)
	pushedEndpoint        string // "" if there is none (RFC 9126 §5)
	requirePushed         bool
	deviceEndpoint        string // "" if there is none (RFC 8628 §4)
	registrationEndpoint  string // "" if there is none (RFC 7591 §3)
	claimsParameter       bool   // the server knows the claims parameter
	responseIss           bool   // authorization responses carry iss (RFC 9207 §3)
}

// fetchMetadata gets the metadata from where the issuer says (OpenID Connect
// Discovery §4).
func (c *Client) fetchMetadata(ctx context.Context, etag string) (metadata, issuer.Version, error) {
	url := strings.TrimSuffix(c.config.Issuer, "/") + "/.well-known/openid-configuration"
	a, err := c.server.Get(ctx, url, etag)
	if err != nil {
		return metadata{}, issuer.Version{}, err
	}
	m, err := parseMetadata(a.Body, c.config.Issuer, c.config.InsecureAllowHTTP, c.config.Certificate != nil)
	if err != nil {
		return metadata{}, issuer.Version{}, fmt.Errorf("metadata of %s: %w", c.config.Issuer, err)
	}
	return m, issuer.VersionOf(a.Header), nil
}

// parseMetadata reads metadata, which must be that of the issuer, and whose
// endpoints must be as safe as the issuer is (OpenID Connect Discovery §4.3). A
// client with a certificate uses those that ask for it (RFC 8705 §5).
func parseMetadata(data []byte, want string, allowHTTP, certificate bool) (metadata, error) {
	object, err := issuer.ParseObject(data)
	if err != nil {
		return metadata{}, err
	}
	r := issuer.Reader{Object: object}
	var aliases issuer.Object
	if certificate {
		r.Decode("mtls_endpoint_aliases", &aliases)
	}
	alias := issuer.Reader{Object: aliases}
	endpoint := func(name string) string { return cmp.Or(alias.Text(name), r.Text(name)) }
	m := metadata{
		issuer:                r.Text("issuer"),
		authorizationEndpoint: r.Text("authorization_endpoint"),
		tokenEndpoint:         endpoint("token_endpoint"),
		jwksURI:               r.Text("jwks_uri"),
		userinfoEndpoint:      endpoint("userinfo_endpoint"),
		endSessionEndpoint:    r.Text("end_session_endpoint"),
		pushedEndpoint:        endpoint("pushed_authorization_request_endpoint"),
		requirePushed:         r.Flag("require_pushed_authorization_requests"),
		deviceEndpoint:        endpoint("device_authorization_endpoint"),
		revocationEndpoint:    endpoint("revocation_endpoint"),
		introspectionEndpoint: endpoint("introspection_endpoint"),
		registrationEndpoint:  r.Text("registration_endpoint"),
		claimsParameter:       r.Flag("claims_parameter_supported"),
		responseIss:           r.Flag("authorization_response_iss_parameter_supported"),
	}
	if err := cmp.Or(r.Err, alias.Err); err != nil {
		return metadata{}, err
	}
	if m.issuer != want {
		return metadata{}, fmt.Errorf("the issuer is %q, not %q", issuer.Clip(m.issuer), want)
	}
	return m, m.checkEndpoints(allowHTTP)
}

func (m metadata) checkEndpoints(allowHTTP bool) error {
	endpoints := []struct {
		name, url string
		optional  bool
	}{
		{"authorization_endpoint", m.authorizationEndpoint, false},
		{"token_endpoint", m.tokenEndpoint, false},
		{"jwks_uri", m.jwksURI, false},
		{"userinfo_endpoint", m.userinfoEndpoint, true},
		{"end_session_endpoint", m.endSessionEndpoint, true},
		{"revocation_endpoint", m.revocationEndpoint, true},
		{"introspection_endpoint", m.introspectionEndpoint, true},
		{"registration_endpoint", m.registrationEndpoint, true},
		{"device_authorization_endpoint", m.deviceEndpoint, true},
		{"pushed_authorization_request_endpoint", m.pushedEndpoint, true},
	}
	for _, e := range endpoints {
		if e.url == "" && e.optional {
			continue
		}
		if err := issuer.CheckEndpoint(m.issuer, e.url, allowHTTP); err != nil {
			return fmt.Errorf("%s: %w", e.name, err)
		}
	}
	return nil
}
