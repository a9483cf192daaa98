// Package rptest has an OpenID Connect provider for the tests of applications
// that use rp. It signs in everyone without asking, and misbehaves on demand, so
// that a test can show that an application refuses what it must refuse:
//
//	p := rptest.NewProvider(t)
//	app := newApp(p.Config("http://localhost/callback")) // an http.Handler
//	p.Misbehave(rptest.PasswordOnly)
//	res := rptest.NewBrowser(t, "http://localhost", app).Get("/login")
//
// It is for tests and nothing else: it knows no users and keeps no promises.
package rptest

import (
	"crypto/rand"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/sallyport-id/sallyport/rp"
)

// A Provider is an OpenID Connect server with one client. Its methods are safe
// for concurrent use.
type Provider struct {
	Issuer       string
	ClientID     string
	ClientSecret string

	mux       *http.ServeMux
	mtls      *mtls // nil without TLS
	mu        sync.Mutex
	alg       string
	key       signingKey
	client    *signingKey // the client's, if it has one in place of its secret
	clientAlg string
	used      map[string]bool       // jti of the client's assertions and proofs
	pushed    map[string]url.Values // pushed authorization requests by their references
	devices   map[string][]string   // what is still to answer to each device code, before the tokens
	answers   []string              // to the next device
	nonces    map[string]bool       // of DPoP proofs
	faults    map[Fault]bool
	claims    map[string]any
	offset    time.Duration
	codes     map[string]url.Values // the authorization request of each code
	grants    map[string]*grant     // by every token that there was
	requests  []url.Values
	logouts   []url.Values
	exchanges []url.Values
	register  registration
	hits      map[string]int
}

// NewProvider starts a provider on a loopback address; it stops with the test.
func NewProvider(t testing.TB) *Provider {
	t.Helper()
	p := newProvider()
	server := httptest.NewServer(p)
	t.Cleanup(server.Close)
	p.Issuer = server.URL
	return p
}

func newProvider() *Provider {
	p := &Provider{
		ClientID: "shop", ClientSecret: rand.Text() + "%+:", // must survive form-encoding
		alg: "ES256", key: newSigningKey("ES256"),
		codes: map[string]url.Values{}, grants: map[string]*grant{}, used: map[string]bool{}, nonces: map[string]bool{}, devices: map[string][]string{}, pushed: map[string]url.Values{}, hits: map[string]int{},
	}
	p.mux = p.routes()
	return p
}

// Config is the configuration of the provider's client, with a cookie key of its
// own and the provider's clock. It requires nothing: add what is needed.
func (p *Provider) Config(redirectURL string) rp.Config {
	key := make([]byte, 32)
	rand.Read(key)
	config := rp.Config{
		Issuer: p.Issuer, ClientID: p.ClientID, ClientSecret: p.ClientSecret,
		RedirectURL: redirectURL, CookieKey: key, Now: p.Now,
	}
	if p.mtls != nil {
		p.mtls.configure(&config)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.client != nil {
		config.ClientSecret, config.PrivateKey, config.KeyID, config.KeyAlg = "", p.client.private, p.client.id, p.clientAlg
	}
	return config
}

// AnswerDevices sets what devices hear, one after another, before they get tokens
// without further ado: authorization_pending, slow_down, access_denied, ….
func (p *Provider) AnswerDevices(codes ...string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.answers = codes
}

// UsePrivateKeyJWT gives the client a key for ES256, RS256, PS256 or EdDSA in place
// of its secret. The following Configs have it.
func (p *Provider) UsePrivateKeyJWT(alg string) {
	key := newSigningKey(alg)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.client, p.clientAlg = &key, alg
}

// Misbehave makes the provider misbehave in these ways and no others; without
// arguments it behaves again.
func (p *Provider) Misbehave(faults ...Fault) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.faults = map[Fault]bool{}
	for _, f := range faults {
		p.faults[f] = true
	}
}

// SetClaims changes claims of the following ID tokens and userinfo answers; nil
// as a value leaves a claim out.
func (p *Provider) SetClaims(claims map[string]any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.claims = maps.Clone(claims)
}

// SignWith makes a new key for ES256, RS256, PS256 or EdDSA, and withdraws the
// old one.
func (p *Provider) SignWith(alg string) {
	key := newSigningKey(alg)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.alg, p.key = alg, key
}

// Now is the provider's clock: the real time and what Advance added.
func (p *Provider) Now() time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	return time.Now().Add(p.offset)
}

// Advance moves the provider's clock forward.
func (p *Provider) Advance(d time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.offset += d
}

// Requests are the authorization requests so far.
func (p *Provider) Requests() []url.Values {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.requests)
}

// Logouts are the logout requests so far.
func (p *Provider) Logouts() []url.Values {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.logouts)
}

// Hits counts the requests to a path, such as "/jwks.json".
func (p *Provider) Hits(path string) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.hits[path]
}

func (p *Provider) is(f Fault) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.faults[f]
}

func (p *Provider) routes() *http.ServeMux {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /.well-known/openid-configuration", p.serveMetadata)
	mux.HandleFunc("GET /jwks.json", p.serveKeys)
	mux.HandleFunc("POST /par", p.servePushed)
	mux.HandleFunc("POST /device_authorization", p.serveDevice)
	mux.HandleFunc("GET /authorize", p.serveAuthorize)
	mux.HandleFunc("POST /token", p.serveToken)
	mux.HandleFunc("GET /end_session", p.serveEndSession)
	mux.HandleFunc("GET /userinfo", p.serveUserInfo)
	mux.HandleFunc("POST /revoke", p.serveRevoke)
	mux.HandleFunc("POST /introspect", p.serveIntrospect)
	mux.HandleFunc("POST /register", p.serveRegister)
	mux.HandleFunc("/register/"+p.ClientID, p.serveRegistered)
	return mux
}

// ServeHTTP answers without a network, for a test that has a transport of its own.
func (p *Provider) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	p.hits[r.URL.Path]++
	p.mu.Unlock()
	if p.is(Down) {
		http.Error(w, "down", http.StatusServiceUnavailable)
		return
	}
	p.mux.ServeHTTP(w, r)
}
