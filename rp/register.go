package rp

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/sallyport-id/sallyport/internal/issuer"
)

// A Registration is a client that registered itself. What a program has to keep of it
// are the client's id and secret, and URI and AccessToken, which are for its management
// (RFC 7592 §3) and "" at a server that has none.
type Registration struct {
	Config        Config    // as it was given to Register, with the client's id and secret
	SecretExpires time.Time // zero: never, or there is no secret
	Metadata      Claims    // what the server registered: it may leave out and change what was asked for
	URI           string
	AccessToken   string
}

// LogValue hides what is secret.
func (r Registration) LogValue() slog.Value { return r.Config.LogValue() }

func (r Registration) String() string { return r.Config.String() }

// GoString is String.
func (r Registration) GoString() string { return r.String() }

// Register registers a client at its server (RFC 7591, OpenID Connect Dynamic Client
// Registration 1.0). config is what New will get, without ClientID and ClientSecret,
// which the Registration's Config has. What it says becomes metadata: redirect_uris,
// token_endpoint_auth_method, the jwks of PrivateKey or Certificate, and so on. metadata adds others,
// such as client_name, scope or software_statement, and comes before those. token is
// the initial access token, "" if the server takes everyone.
//
// A client that authenticates in another way than config says, or has another
// RedirectURL, is refused.
//
// Errors: *ResponseError, such as invalid_client_metadata; *CheckError;
// *UnavailableError, also if the server has no such endpoint; what New says.
func Register(ctx context.Context, config Config, metadata map[string]any, token string) (*Registration, error) {
	if config.ClientID != "" || config.ClientSecret != "" {
		return nil, errors.New("rp: Config.ClientID and Config.ClientSecret are what the server will tell")
	}
	asking := config.withDefaults()
	asking.ClientID = "unknown"
	if asking.usesSecret() {
		asking.ClientSecret = "unknown"
	}
	c, err := New(ctx, asking)
	if err != nil {
		return nil, err
	}
	m, err := c.serverMetadata(ctx)
	if err != nil {
		return nil, err
	}
	const doing = "registering"
	if m.registrationEndpoint == "" {
		return nil, &UnavailableError{Doing: doing, Err: errors.New("the server has no registration endpoint")}
	}
	all, err := asking.clientMetadata(metadata)
	if err != nil {
		return nil, err
	}
	a, err := c.sendJSON(ctx, http.MethodPost, m.registrationEndpoint, token, all)
	if err != nil {
		return nil, &UnavailableError{Doing: doing, Err: err}
	}
	if a.Status != http.StatusCreated && a.Status != http.StatusOK { // some say 200
		return nil, answerError(doing, a)
	}
	return config.parseRegistration(a.Body, "")
}

// Read asks what the server has registered now (RFC 7592 §2.1). A server may give new
// secrets with each answer: what comes back takes the place of the Registration. Errors
// are those of Register.
func (r *Registration) Read(ctx context.Context) (*Registration, error) {
	return r.manage(ctx, "reading the registration", http.MethodGet, nil)
}

// Update replaces all metadata by those that Config says and these (RFC 7592 §2.2).
// What comes back takes the place of the Registration. Errors are those of Register.
func (r *Registration) Update(ctx context.Context, metadata map[string]any) (*Registration, error) {
	config := r.Config.withDefaults()
	all, err := config.clientMetadata(metadata)
	if err != nil {
		return nil, err
	}
	all["client_id"] = config.ClientID
	if config.ClientSecret != "" {
		all["client_secret"] = config.ClientSecret
	}
	return r.manage(ctx, "changing the registration", http.MethodPut, all)
}

// Delete ends the client, and with it what it was granted (RFC 7592 §2.3). Errors are
// those of Register.
func (r *Registration) Delete(ctx context.Context) error {
	const doing = "ending the registration"
	a, err := r.send(ctx, doing, http.MethodDelete, nil)
	if err == nil && a.Status != http.StatusNoContent {
		err = answerError(doing, a)
	}
	return err
}

func (r *Registration) manage(ctx context.Context, doing, method string, metadata map[string]any) (*Registration, error) {
	a, err := r.send(ctx, doing, method, metadata)
	if err != nil {
		return nil, err
	}
	if a.Status != http.StatusOK {
		return nil, answerError(doing, a)
	}
	next, err := r.Config.parseRegistration(a.Body, r.Config.ClientSecret)
	switch {
	case err != nil:
		return nil, err
	case next.Config.ClientID != r.Config.ClientID:
		return nil, refuse("client_id", "it is that of another client")
	}
	if next.URI == "" {
		next.URI = r.URI
	}
	if next.AccessToken == "" {
		next.AccessToken = r.AccessToken
	}
	return next, nil
}

func (r *Registration) send(ctx context.Context, doing, method string, metadata map[string]any) (issuer.Answer, error) {
	c, err := New(ctx, r.Config)
	if err != nil {
		return issuer.Answer{}, err
	}
	if r.URI == "" || r.AccessToken == "" {
		return issuer.Answer{}, &UnavailableError{Doing: doing, Err: errors.New("the server has no management of clients")}
	}
	if err := issuer.CheckEndpoint(r.Config.Issuer, r.URI, r.Config.InsecureAllowHTTP); err != nil {
		return issuer.Answer{}, fmt.Errorf("rp: Registration.URI: %w", err)
	}
	a, err := c.sendJSON(ctx, method, r.URI, r.AccessToken, metadata)
	if err != nil {
		return issuer.Answer{}, &UnavailableError{Doing: doing, Err: err}
	}
	return a, nil
}

// sendJSON sends a document, nil for none, with a token, "" for none.
func (c *Client) sendJSON(ctx context.Context, method, url, token string, document map[string]any) (issuer.Answer, error) {
	var body []byte
	if document != nil {
		var err error
		if body, err = json.Marshal(document); err != nil {
			return issuer.Answer{}, err
		}
	}
	req, err := http.NewRequestWithContext(ctx, method, url, bytes.NewReader(body))
	if err != nil {
		return issuer.Answer{}, err
	}
	if document != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	return c.server.Do(req, longestAnswer)
}

func (c Config) usesSecret() bool { return c.AuthMethod == AuthBasic || c.AuthMethod == AuthPost }

// clientMetadata is what a configuration says in the words of RFC 7591 §2, and more,
// which comes before that.
func (c Config) clientMetadata(more map[string]any) (map[string]any, error) {
	m := map[string]any{"token_endpoint_auth_method": c.AuthMethod}
	if c.RedirectURL != "" {
		m["redirect_uris"] = []string{c.RedirectURL}
		m["grant_types"], m["response_types"] = []string{"authorization_code", "refresh_token"}, []string{"code"}
	} else {
		m["redirect_uris"], m["grant_types"], m["response_types"] = []string{}, []string{"client_credentials"}, []string{}
	}
	if c.PrivateKey != nil {
		m["jwks"] = jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: c.PrivateKey.Public(), KeyID: c.KeyID, Algorithm: c.KeyAlg, Use: "sig"}}}
		m["token_endpoint_auth_signing_alg"] = c.KeyAlg
	}
	if c.AuthMethod == AuthSelfSignedTLS {
		key, err := c.certificateKey()
		if err != nil {
			return nil, err
		}
		m["jwks"] = jose.JSONWebKeySet{Keys: []jose.JSONWebKey{key}}
	}
	if c.DPoPKey != nil {
		m["dpop_bound_access_tokens"] = true // RFC 9449 §5.2
	}
	if c.Certificate != nil {
		m["tls_client_certificate_bound_access_tokens"] = true // RFC 8705 §3.4
	}
	if c.PushRequests {
		m["require_pushed_authorization_requests"] = true // RFC 9126 §6
	}
	maps.Copy(m, more)
	return m, nil
}

// parseRegistration reads what the server registered (RFC 7591 §3.2.1, RFC 7592 §3). A
// server that keeps but a hash of the secret may leave it out later: then it is still
// the one of before.
func (c Config) parseRegistration(data []byte, secret string) (*Registration, error) {
	object, err := issuer.ParseObject(data)
	if err != nil {
		return nil, refuse("registration", "%v", err)
	}
	reg := &Registration{Config: c, Metadata: Claims(object)}
	r := issuer.Reader{Object: object}
	reg.Config.ClientID, reg.Config.ClientSecret = r.Text("client_id"), cmp.Or(r.Text("client_secret"), secret)
	reg.URI, reg.AccessToken = r.Text("registration_client_uri"), r.Text("registration_access_token")
	method, redirects := r.Text("token_endpoint_auth_method"), r.Texts("redirect_uris")
	var expires int64
	r.Decode("client_secret_expires_at", &expires)
	if expires > 0 { // zero means never
		reg.SecretExpires = time.Unix(min(expires, 1<<40), 0)
	}
	asked := c.withDefaults()
	if !asked.usesSecret() { // some servers make one for everybody
		reg.Config.ClientSecret = ""
	}
	switch {
	case r.Err != nil:
		return nil, refuse("registration", "%v", r.Err)
	case reg.Config.ClientID == "":
		return nil, refuse("client_id", "it is missing")
	case method != "" && method != asked.AuthMethod || method == "" && asked.AuthMethod != AuthBasic: // RFC 7591 §2: the default
		return nil, refuse("token_endpoint_auth_method", "it is not %s", asked.AuthMethod)
	case c.RedirectURL != "" && !slices.Contains(redirects, c.RedirectURL):
		return nil, refuse("redirect_uris", "Config.RedirectURL is not among them")
	case asked.usesSecret() && reg.Config.ClientSecret == "":
		return nil, refuse("client_secret", "it is missing")
	case reg.URI != "" && issuer.CheckEndpoint(c.Issuer, reg.URI, c.InsecureAllowHTTP) != nil:
		return nil, refuse("registration_client_uri", "it is not as safe as the issuer")
	}
	return reg, nil
}
