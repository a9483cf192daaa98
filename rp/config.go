package rp

import (
	"context"
	"crypto"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/sallyport-id/sallyport/internal/issuer"
)

// How the client authenticates wherever it speaks to the server itself (OpenID Connect Core §9).
const (
	AuthBasic = "client_secret_basic" // the secret in the Authorization header, form-encoded (RFC 6749 §2.3.1)
	AuthPost  = "client_secret_post"  // the secret in the body
	AuthNone  = "none"                // no secret: a public client, held by PKCE alone

	AuthPrivateKeyJWT = "private_key_jwt" // an assertion that PrivateKey signs, for the issuer, once

	AuthTLS           = "tls_client_auth"             // Certificate, of an authority that the server knows (RFC 8705 §2.1)
	AuthSelfSignedTLS = "self_signed_tls_client_auth" // Certificate, whose key is registered (RFC 8705 §2.2)
)

const (
	shortestCookieKey = 32 // bytes
	defaultLeeway     = 30 * time.Second
	longestLeeway     = 60 * time.Second
	userAgent         = "sallyport-rp"
)

// Config describes a client as it is registered with the server. Issuer and
// ClientID must be set, and RedirectURL and CookieKey, which are both left zero if
// the client signs nobody in by a browser.
type Config struct {
	// Issuer is the server's issuer identifier, an https URL without query. It must
	// equal the server's own, byte for byte.
	Issuer string
	// ClientID and ClientSecret are what the server knows the client by. A client
	// without a secret sets AuthMethod to AuthNone.
	ClientID     string
	ClientSecret string
	// PrivateKey signs who the client is, in place of a secret. It is of P-256,
	// Ed25519 or RSA with 2048 bits and more, and may be in hardware.
	PrivateKey crypto.Signer
	// KeyID is the kid of the key as it is registered, and KeyAlg its algorithm;
	// empty means ES256, EdDSA or PS256, as the key is.
	KeyID, KeyAlg string
	// Certificate is the certificate, with its key, that is shown to every server and API
	// that asks for one, and the mtls_endpoint_aliases of the server are used (RFC 8705
	// §5). It is how the client authenticates, if there is neither ClientSecret nor
	// PrivateKey; in any case servers may bind tokens to it, which are good on
	// connections with it alone. It is called for each new connection, so that it may
	// return a renewed one, but tokens end with the certificate that they are bound to.
	Certificate func() (*tls.Certificate, error)
	// AuthMethod is one of the constants; empty means AuthPrivateKeyJWT if there is a
	// PrivateKey, AuthTLS if there is a Certificate and no secret, else AuthBasic.
	AuthMethod string
	// DPoPKey binds all tokens of the client to this key, with which each request
	// that uses them proves itself (RFC 9449): a stolen token is of no use. It is as
	// PrivateKey, but another one, and the same on all nodes. Tokens that the server
	// does not bind are refused.
	DPoPKey crypto.Signer
	// RedirectURL is the absolute URL of the route that calls Callback, exactly as
	// registered. With https, cookies get the prefix __Host- and Secure.
	RedirectURL string
	// CookieKey seals the cookies of pending logins and of Sessions: at least 32
	// random bytes, the same on all nodes. Changing it ends those and nothing else.
	CookieKey []byte
	// Scopes are what to ask for; nil means openid and profile. openid is added
	// where it is missing.
	Scopes []string
	// Resource is the API that the access tokens of people are for, an absolute URI
	// without fragment (RFC 8707 §2); empty leaves that to the server. Such tokens
	// are not for the userinfo endpoint: UserInfo says what happens then.
	Resource string
	// PushRequests makes Login send its request to the server itself and give the
	// browser a reference, so that nobody between reads or changes it (RFC 9126). It
	// happens in any case if the server's metadata require it.
	PushRequests bool
	// Require is what every login must prove. The zero value requires nothing; MFA
	// requires a second factor.
	Require Requirement
	// FormPost has the server's answer come as a form that the browser posts to
	// RedirectURL (response_mode form_post; OAuth 2.0 Form Post Response Mode §2), so that
	// no code stands in an address. Its route takes POST then, from another site:
	// http.CrossOriginProtection needs AddInsecureBypassPattern for it. Over plain http
	// browsers send the login's cookie along only if the server is of the same site,
	// as on one machine. They keep the session's to themselves: one that Begin
	// replaces is forgotten by the browser, and lasts in a SessionStore until its end.
	FormPost bool
	// UserInfo makes Callback ask the userinfo endpoint too, and fill what the ID
	// token left out: many servers put name and e-mail there only. A login fails
	// if the answer does. With a Resource there is no such endpoint for the token:
	// the ID token is asked for name, preferred_username, email and locale
	// instead, if the server knows the claims parameter (OpenID Connect Core §5.5).
	UserInfo bool

	// HTTPClient speaks to the server. It is copied: the copy follows no redirects,
	// has no cookies, and times out after 10 s if the original does not say when.
	// nil means one that uses http.DefaultTransport. With a Certificate its transport
	// must be an *http.Transport that makes its TLS connections itself.
	HTTPClient *http.Client
	// Now is the clock; nil means time.Now.
	Now func() time.Time
	// Leeway is how far the server's clock may be off, at most 60 s; zero means 30 s.
	Leeway time.Duration
	// ErrorPage answers a request for which Login could not redirect. nil writes
	// Reason as plain text, with the status 503 where the server is unavailable
	// and 403 otherwise. Cache-Control is set already.
	ErrorPage func(w http.ResponseWriter, r *http.Request, err error)
	// Logger gets what a person must know to set things right, such as a server
	// that cannot be reached; nil means slog.Default().
	Logger *slog.Logger

	// InsecureAllowHTTP permits http URLs of other hosts than this one, for a
	// network that nobody else can read or write to. Loopback hosts need no
	// permission.
	InsecureAllowHTTP bool
}

// LogValue hides the client's secret and the cookie key.
func (c Config) LogValue() slog.Value {
	return slog.GroupValue(slog.String("issuer", c.Issuer), slog.String("client_id", c.ClientID),
		slog.String("redirect_url", c.RedirectURL), slog.String("secrets", "[redacted]"))
}

func (c Config) String() string {
	return fmt.Sprintf("rp.Config{Issuer: %q, ClientID: %q, RedirectURL: %q, [redacted]}", c.Issuer, c.ClientID, c.RedirectURL)
}

// GoString is String.
func (c Config) GoString() string { return c.String() }

// A Client is one relying party at one server. It is safe for concurrent use and
// meant to live as long as the program.
type Client struct {
	config   Config
	server   *issuer.Client
	secure   bool // cookies are Secure
	cookies  string
	family   []*Client // those of its Registry: their logins are counted together
	metadata *issuer.Cache[metadata]
	keys     *issuer.Keys
	prover   *prover // nil without DPoPKey
}

func (c *Client) String() string   { return c.config.String() }
func (c *Client) GoString() string { return c.config.String() }

// LogValue hides the client's secret and the cookie key.
func (c *Client) LogValue() slog.Value { return c.config.LogValue() }

// New checks the configuration and makes a client. It sends nothing: the
// server is asked for its metadata at the first login, so that it may start
// later than the application. ctx is not kept; it is there for what New may
// have to wait for one day.
//
// The error names the field that is wrong.
func New(ctx context.Context, config Config) (*Client, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	config = config.withDefaults()
	if err := config.check(); err != nil {
		return nil, fmt.Errorf("rp: %w", err)
	}
	if config.Certificate != nil {
		var err error
		if config.HTTPClient, err = withCertificate(config.HTTPClient, config.Certificate); err != nil {
			return nil, fmt.Errorf("rp: Config.HTTPClient: %w", err)
		}
	}
	c := &Client{config: config, server: issuer.NewClient(config.HTTPClient, userAgent)}
	if config.DPoPKey != nil {
		var err error
		if c.prover, err = newProver(config.DPoPKey, config.Now); err != nil {
			return nil, fmt.Errorf("rp: Config.DPoPKey: %w", err)
		}
	}
	c.secure = strings.HasPrefix(config.RedirectURL, "https:")
	c.cookies = cookiePrefix(c.secure, config.Issuer, config.ClientID)
	c.family = []*Client{c}
	c.metadata = issuer.NewCache(config.Now, c.fetchMetadata)
	c.keys = issuer.NewKeys(config.Now, c.server, func(ctx context.Context) (string, error) {
		m, err := c.metadata.Get(ctx)
		return m.jwksURI, err
	})
	return c, nil
}

func (c Config) withDefaults() Config {
	if c.AuthMethod == "" {
		switch {
		case c.PrivateKey != nil:
			c.AuthMethod = AuthPrivateKeyJWT
		case c.Certificate != nil && c.ClientSecret == "":
			c.AuthMethod = AuthTLS
		default:
			c.AuthMethod = AuthBasic
		}
	}
	if c.PrivateKey != nil && c.KeyAlg == "" {
		c.KeyAlg, _ = issuer.KeyAlgorithm(c.PrivateKey, "") // check has the error
	}
	if c.Scopes == nil {
		c.Scopes = []string{"openid", "profile"}
	}
	if !slices.Contains(c.Scopes, "openid") {
		c.Scopes = slices.Concat([]string{"openid"}, c.Scopes)
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Leeway == 0 {
		c.Leeway = defaultLeeway
	}
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	if c.ErrorPage == nil {
		c.ErrorPage = plainErrorPage
	}
	c.Scopes, c.CookieKey, c.Require = slices.Clone(c.Scopes), slices.Clone(c.CookieKey), c.Require.clone()
	return c
}

func (c Config) check() error {
	if err := issuer.CheckURL(c.Issuer, c.InsecureAllowHTTP); err != nil {
		return fmt.Errorf("Config.Issuer: %w", err)
	}
	if strings.Contains(c.Issuer, "?") {
		return errors.New("Config.Issuer: an issuer has no query")
	}
	if err := c.checkBrowser(); err != nil {
		return err
	}
	if c.ClientID == "" {
		return errors.New("Config.ClientID is empty")
	}
	if err := c.checkAuth(); err != nil {
		return err
	}
	for _, s := range c.Scopes {
		if s == "" || strings.ContainsFunc(s, issuer.NotScope) {
			return fmt.Errorf("Config.Scopes: %q is no scope", s)
		}
	}
	if err := checkResource(c.Resource); err != nil {
		return fmt.Errorf("Config.Resource: %w", err)
	}
	if err := c.Require.check(); err != nil {
		return fmt.Errorf("Config.Require: %w", err)
	}
	if c.Leeway < 0 || c.Leeway > longestLeeway {
		return fmt.Errorf("Config.Leeway: %v is not between 0 and %v", c.Leeway, longestLeeway)
	}
	return nil
}

// checkBrowser checks what Login and Callback need.
func (c Config) checkBrowser() error {
	if c.RedirectURL == "" && c.CookieKey == nil {
		return nil
	}
	if err := issuer.CheckURL(c.RedirectURL, c.InsecureAllowHTTP); err != nil {
		return fmt.Errorf("Config.RedirectURL: %w", err)
	}
	if err := checkCookieKey(c.CookieKey); err != nil {
		return fmt.Errorf("Config.CookieKey: %w", err)
	}
	return nil
}

func (c Config) checkAuth() error {
	if c.PrivateKey != nil && c.AuthMethod != AuthPrivateKeyJWT {
		return fmt.Errorf("Config.PrivateKey is set, but AuthMethod is %q", c.AuthMethod)
	}
	switch c.AuthMethod {
	case AuthPrivateKeyJWT:
		return c.checkPrivateKey()
	case AuthBasic, AuthPost:
		if c.ClientSecret == "" {
			return errors.New("Config.ClientSecret is empty; a client that has none sets AuthMethod to rp.AuthNone")
		}
	case AuthTLS, AuthSelfSignedTLS:
		return c.checkCertificate()
	case AuthNone:
		if c.ClientSecret != "" {
			return errors.New("Config.ClientSecret is set, but AuthMethod is rp.AuthNone")
		}
	default:
		return fmt.Errorf("Config.AuthMethod: %q is not known", c.AuthMethod)
	}
	return nil
}

func (c Config) checkPrivateKey() error {
	if c.PrivateKey == nil {
		return errors.New("Config.PrivateKey is nil, but AuthMethod is rp.AuthPrivateKeyJWT")
	}
	if c.ClientSecret != "" {
		return errors.New("Config.ClientSecret is set, but the client has a PrivateKey")
	}
	if _, err := issuer.KeyAlgorithm(c.PrivateKey, c.KeyAlg); err != nil {
		return fmt.Errorf("Config.PrivateKey: %w", err)
	}
	return nil
}

func checkCookieKey(key []byte) error {
	if len(key) < shortestCookieKey {
		return fmt.Errorf("%d bytes are too few, it takes %d from crypto/rand", len(key), shortestCookieKey)
	}
	if !slices.ContainsFunc(key, func(b byte) bool { return b != 0 }) {
		return errors.New("all bytes are zero")
	}
	return nil
}
