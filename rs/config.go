package rs

import (
	"crypto"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/sallyport-id/sallyport/internal/issuer"
)

const (
	defaultLeeway = 30 * time.Second
	longestLeeway = 60 * time.Second
	longestCache  = 30 * time.Second
)

// Config describes an API and the server whose tokens it takes. Issuer and
// Resource must be set; what else is needed depends on the tokens: for JWTs
// (RFC 9068) nothing, for others ClientID and ClientSecret or PrivateKey.
type Config struct {
	// Issuer is the server's issuer identifier, an https URL without query. It must
	// equal the server's own, byte for byte.
	Issuer string
	// Resource is the name of the API at the server: an absolute URI without
	// fragment. It must be in the aud claim of every token, byte for byte, and is
	// the resource of the metadata (RFC 9728 §2) if it is a URL.
	Resource string

	// ClientID and ClientSecret are the API's own credentials at the introspection
	// endpoint (client_secret_basic). Without them only JWTs are accepted.
	ClientID     string
	ClientSecret string
	// PrivateKey takes the place of ClientSecret (private_key_jwt). It is of P-256,
	// Ed25519 or RSA with 2048 bits and more, and may be in hardware. KeyID is its kid as
	// it is registered, and KeyAlg its algorithm; empty means ES256, EdDSA or PS256, as
	// the key is.
	PrivateKey    crypto.Signer
	KeyID, KeyAlg string
	// IntrospectAll asks the server about JWTs too, instead of verifying them here:
	// a token that was revoked stops within CacheTTL, at the price of a request.
	// Otherwise what looks like a JWT is never asked about, also not if it fails.
	IntrospectAll bool
	// CacheTTL is how long the server's word about a token is believed, at most
	// 30 s and never beyond the token's end; zero means 30 s, less than zero that
	// the server is asked at each request.
	CacheTTL time.Duration

	// Algorithms are those that may sign JWTs and DPoP proofs, of RS256, PS256,
	// ES256 and EdDSA; nil means all four.
	Algorithms []string
	// Scopes are what the metadata lists as the API's scopes; nil lists none.
	Scopes []string
	// Satisfies says which other values of acr a value is as good as, for names that
	// are not known here: {"gold": {"silver"}} accepts gold where silver is
	// required. Of the names ACR1FA, ACR2FA, ACRPHR and ACRPHRH each satisfies those
	// before it; any other satisfies itself alone.
	Satisfies map[string][]string

	// DPoP says whether tokens that are bound to a key are accepted (RFC 9449). The
	// zero value refuses them: a token that is bound is never taken without proof.
	DPoP DPoPMode
	// ExternalURL is where clients see the server's path "/", for DPoP proofs; empty
	// means the origin of Resource. It is set where a proxy takes a part of the path
	// away, or Resource is no URL. Headers like X-Forwarded-Host are never read.
	ExternalURL string
	// NonceKey makes each DPoP proof carry a nonce of the API's (RFC 9449 §9), so that
	// none is made for later: at least 32 random bytes, the same on all nodes. A nonce is
	// good for two to four minutes; clients learn the next with each answer. nil asks for
	// none.
	NonceKey []byte
	// Replays remembers the DPoP proofs that were used. nil means in memory, which
	// is right for one node: on several, one proof is good once at each.
	Replays Replays

	// PeerCertificate returns the certificate whose key the sender of a request has
	// proved to have, nil if he has not, for tokens that are bound to one (RFC 8705 §3).
	// If it is left out, that is the one of the request's own TLS connection, whose
	// tls.Config has to ask for it: tls.RequestClientCert will do, for the token says
	// which one is right. It is for an API whose TLS ends at a proxy, to read what the
	// proxy says; a header that the sender could write himself lets stolen tokens in.
	PeerCertificate func(*http.Request) *x509.Certificate
	// CertificateRequired refuses tokens that are not bound to a certificate. Those that
	// are need it in any case.
	CertificateRequired bool

	// HTTPClient speaks to the server. It is copied: the copy follows no redirects,
	// has no cookies, and times out after 10 s if the original does not say when.
	// nil means one that uses http.DefaultTransport.
	HTTPClient *http.Client
	// Now is the clock; nil means time.Now.
	Now func() time.Time
	// Leeway is how far the clocks of the server and of clients may be off, at most
	// 60 s; zero means 30 s.
	Leeway time.Duration
	// Logger gets what a person must know to set things right, such as a server
	// that cannot be reached, as warnings, and why requests were refused, for
	// debugging; never a token. nil means slog.Default().
	Logger *slog.Logger

	// InsecureAllowHTTP permits http URLs of other hosts than this one for the
	// issuer and its endpoints, for a network that nobody else can read or write
	// to. Loopback hosts need no permission.
	InsecureAllowHTTP bool
}

// LogValue hides secrets.
func (c Config) LogValue() slog.Value {
	return slog.GroupValue(slog.String("issuer", c.Issuer), slog.String("resource", c.Resource),
		slog.String("client_id", c.ClientID), slog.String("client_secret", "[redacted]"))
}

func (c Config) String() string {
	return fmt.Sprintf("rs.Config{Issuer: %q, Resource: %q, ClientID: %q, [redacted]}", c.Issuer, c.Resource, c.ClientID)
}

// GoString is String.
func (c Config) GoString() string { return c.String() }

func (c Config) withDefaults() Config {
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Leeway == 0 {
		c.Leeway = defaultLeeway
	}
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	if c.CacheTTL == 0 {
		c.CacheTTL = longestCache
	}
	if c.PrivateKey != nil && c.KeyAlg == "" {
		c.KeyAlg, _ = issuer.KeyAlgorithm(c.PrivateKey, "") // check has the error
	}
	if c.Algorithms == nil {
		for _, alg := range issuer.SigningAlgorithms {
			c.Algorithms = append(c.Algorithms, string(alg))
		}
	}
	if u, err := url.Parse(c.Resource); c.ExternalURL == "" && err == nil && isWeb(u) {
		c.ExternalURL = u.Scheme + "://" + u.Host
	}
	if c.PeerCertificate == nil {
		c.PeerCertificate = peerCertificate
	}
	if c.Replays == nil {
		c.Replays = &memory{now: c.Now, most: mostProofs}
	}
	c.Algorithms, c.Scopes, c.Satisfies = slices.Clone(c.Algorithms), slices.Clone(c.Scopes), maps.Clone(c.Satisfies)
	c.NonceKey = slices.Clone(c.NonceKey)
	return c
}

func (c Config) check() error {
	if err := issuer.CheckURL(c.Issuer, c.InsecureAllowHTTP); err != nil {
		return fmt.Errorf("Config.Issuer: %w", err)
	}
	if strings.Contains(c.Issuer, "?") {
		return errors.New("Config.Issuer: an issuer has no query")
	}
	if err := checkResource(c.Resource); err != nil {
		return fmt.Errorf("Config.Resource: %w", err)
	}
	if err := c.checkIntrospection(); err != nil {
		return err
	}
	if len(c.Algorithms) == 0 {
		return errors.New("Config.Algorithms is empty")
	}
	for _, alg := range c.Algorithms {
		if !slices.Contains(issuer.SigningAlgorithms, jose.SignatureAlgorithm(alg)) {
			return fmt.Errorf("Config.Algorithms: %q is not known", alg)
		}
	}
	if err := checkWords(c.Scopes); err != nil {
		return fmt.Errorf("Config.Scopes: %w", err)
	}
	if err := c.checkDPoP(); err != nil {
		return err
	}
	if c.Leeway < 0 || c.Leeway > longestLeeway {
		return fmt.Errorf("Config.Leeway: %v is not between 0 and %v", c.Leeway, longestLeeway)
	}
	return nil
}

func (c Config) checkIntrospection() error {
	switch {
	case c.PrivateKey != nil && c.ClientSecret != "":
		return errors.New("Config.ClientSecret is set, but the API has a PrivateKey")
	case (c.ClientID == "") != (c.ClientSecret == "" && c.PrivateKey == nil):
		return errors.New("Config.ClientID and Config.ClientSecret, or PrivateKey, belong together")
	case c.IntrospectAll && c.ClientID == "":
		return errors.New("Config.IntrospectAll needs Config.ClientID and Config.ClientSecret")
	case c.CacheTTL > longestCache:
		return fmt.Errorf("Config.CacheTTL: %v is longer than %v", c.CacheTTL, longestCache)
	}
	if c.PrivateKey == nil {
		return nil
	}
	if _, err := issuer.KeyAlgorithm(c.PrivateKey, c.KeyAlg); err != nil {
		return fmt.Errorf("Config.PrivateKey: %w", err)
	}
	return nil
}

func (c Config) checkDPoP() error {
	if c.DPoP < DPoPOff || c.DPoP > DPoPRequired {
		return fmt.Errorf("Config.DPoP: %d is not known", c.DPoP)
	}
	if c.NonceKey != nil && len(c.NonceKey) < shortestNonceKey {
		return fmt.Errorf("Config.NonceKey: %d bytes are too few, it takes %d from crypto/rand", len(c.NonceKey), shortestNonceKey)
	}
	if c.DPoP == DPoPOff && c.ExternalURL == "" {
		return nil
	}
	u, err := url.Parse(c.ExternalURL)
	if err != nil || !isWeb(u) || u.User != nil || strings.ContainsAny(c.ExternalURL, "?#") {
		return fmt.Errorf("Config.ExternalURL: %q is no URL of a server, without query and fragment", c.ExternalURL)
	}
	return nil
}

func checkResource(text string) error {
	u, err := url.Parse(text)
	switch {
	case text == "":
		return errors.New("it is empty")
	case strings.ContainsFunc(text, issuer.NotScope): // it is written between quotes
		return errors.New("it has spaces, quotes, or what is not ASCII")
	case err != nil || u.Scheme == "" || strings.Contains(text, "#"):
		return fmt.Errorf("%q is no absolute URI without fragment", text)
	}
	return nil
}

// checkWords accepts what can be a scope or an acr value in a challenge.
func checkWords(words []string) error {
	for _, w := range words {
		if w == "" || strings.ContainsFunc(w, issuer.NotScope) {
			return fmt.Errorf("%q is not made of visible ASCII without quotes", w)
		}
	}
	return nil
}

func isWeb(u *url.URL) bool {
	return (u.Scheme == "https" || u.Scheme == "http") && u.Hostname() != ""
}
