// Package rstest has an authorization server for the tests of APIs that use rs. It
// issues whatever tokens a test asks for:
//
//	server := rstest.NewIssuer(t)
//	api := newAPI(server.Config("https://orders.example.com/")) // an http.Handler
//	token := server.JWT(server.Claims("https://orders.example.com/", "orders:read"))
//
// It is for tests and nothing else: it knows no users and keeps no promises.
package rstest

import (
	"crypto/rand"
	"encoding/json"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/sallyport-id/sallyport/rs"
)

// Who the tokens of Claims are about.
const (
	Subject  = "248289761001" // the user
	ClientID = "shop"         // the application
)

// An Issuer is an authorization server. Its methods are safe for concurrent use.
type Issuer struct {
	URL string // its issuer identifier

	clientID, clientSecret string

	mu     sync.Mutex
	key    Key
	opaque map[string]map[string]any
	offset time.Duration
	down   bool
	hits   map[string]int
	client *Key            // the API's, if it has one in place of its secret
	used   map[string]bool // jti of its assertions
}

// NewIssuer starts a server on a loopback address; it stops with the test. It signs
// with ES256.
func NewIssuer(t testing.TB) *Issuer {
	t.Helper()
	i := &Issuer{
		clientID: "orders-api", clientSecret: rand.Text() + "%+:", // must survive form-encoding
		key: NewKey("ES256"), opaque: map[string]map[string]any{}, hits: map[string]int{}, used: map[string]bool{},
	}
	server := httptest.NewServer(i.handler())
	t.Cleanup(server.Close)
	i.URL = server.URL
	return i
}

// Config is the configuration of an API of this server, which may introspect, with
// the server's clock.
func (i *Issuer) Config(resource string) rs.Config {
	config := rs.Config{Issuer: i.URL, Resource: resource, ClientID: i.clientID, ClientSecret: i.clientSecret, Now: i.Now}
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.client != nil {
		config.ClientSecret, config.PrivateKey, config.KeyID, config.KeyAlg = "", i.client.private, i.client.ID, i.client.Alg
	}
	return config
}

// Claims are those of a good token for an API, of a user who signed in now with two
// factors. scope is a list separated by spaces. Change them as a test needs it.
func (i *Issuer) Claims(resource, scope string) map[string]any {
	now := i.Now()
	return map[string]any{
		"iss": i.URL, "aud": resource, "sub": Subject, "client_id": ClientID, "scope": scope, "jti": rand.Text(),
		"iat": now.Unix(), "exp": now.Add(5 * time.Minute).Unix(),
		"acr": rs.ACR2FA, "amr": []string{"pwd", "otp", "mfa"}, "auth_time": now.Unix(),
	}
}

// Sign signs a payload under any header with the server's key.
func (i *Issuer) Sign(header map[string]any, payload []byte) string {
	return i.signing().Sign(header, payload)
}

// JWT signs claims as a JWT access token (RFC 9068 §2.1).
func (i *Issuer) JWT(claims map[string]any) string {
	payload, _ := json.Marshal(claims)
	key := i.signing()
	return key.Sign(map[string]any{"alg": key.Alg, "kid": key.ID, "typ": "at+jwt"}, payload)
}

// Opaque issues a token that says nothing by itself: introspection answers with the
// claims until they expire, or the token is revoked.
func (i *Issuer) Opaque(claims map[string]any) string {
	token := rand.Text() + "." + rand.Text()
	i.mu.Lock()
	defer i.mu.Unlock()
	i.opaque[token] = maps.Clone(claims)
	return token
}

// Revoke makes a token of Opaque worth nothing.
func (i *Issuer) Revoke(token string) {
	i.mu.Lock()
	defer i.mu.Unlock()
	delete(i.opaque, token)
}

// SignWith makes a new key for ES256, RS256, PS256 or EdDSA, and withdraws the old
// one.
func (i *Issuer) SignWith(alg string) {
	key := NewKey(alg)
	i.mu.Lock()
	defer i.mu.Unlock()
	i.key = key
}

// SetDown makes the server answer 503 to everything, or work again.
func (i *Issuer) SetDown(down bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.down = down
}

// Now is the server's clock: the real time and what Advance added.
func (i *Issuer) Now() time.Time {
	i.mu.Lock()
	defer i.mu.Unlock()
	return time.Now().Add(i.offset)
}

// Advance moves the server's clock forward.
func (i *Issuer) Advance(d time.Duration) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.offset += d
}

// Hits counts the requests to a path, such as "/introspect".
func (i *Issuer) Hits(path string) int {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.hits[path]
}

func (i *Issuer) signing() Key {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.key
}

func (i *Issuer) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /.well-known/openid-configuration", i.serveMetadata)
	mux.HandleFunc("GET /jwks.json", i.serveKeys)
	mux.HandleFunc("POST /introspect", i.serveIntrospect)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		i.mu.Lock()
		i.hits[r.URL.Path]++
		down := i.down
		i.mu.Unlock()
		if down {
			http.Error(w, "down", http.StatusServiceUnavailable)
			return
		}
		mux.ServeHTTP(w, r)
	})
}

func answerJSON(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v) // the client may be gone
}

func (i *Issuer) serveMetadata(w http.ResponseWriter, _ *http.Request) {
	answerJSON(w, map[string]any{
		"issuer": i.URL, "jwks_uri": i.URL + "/jwks.json", "introspection_endpoint": i.URL + "/introspect",
	})
}

func (i *Issuer) serveKeys(w http.ResponseWriter, _ *http.Request) {
	key := i.signing()
	answerJSON(w, jose.JSONWebKeySet{Keys: []jose.JSONWebKey{
		{Key: key.private.Public(), KeyID: key.ID, Use: "sig", Algorithm: key.Alg},
	}})
}

func (i *Issuer) serveIntrospect(w http.ResponseWriter, r *http.Request) {
	if !i.authenticated(r) {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	i.mu.Lock()
	claims := maps.Clone(i.opaque[r.PostFormValue("token")])
	i.mu.Unlock()
	exp, _ := claims["exp"].(int64)
	if claims == nil || claims["exp"] != nil && exp <= i.Now().Unix() {
		answerJSON(w, map[string]any{"active": false})
		return
	}
	if claims["active"] == nil {
		claims["active"] = true
	}
	answerJSON(w, claims)
}

// UsePrivateKeyJWT gives the API a key for ES256, RS256, PS256 or EdDSA in place of its
// secret at the introspection endpoint. The following Configs have it.
func (i *Issuer) UsePrivateKeyJWT(alg string) {
	key := NewKey(alg)
	i.mu.Lock()
	defer i.mu.Unlock()
	i.client = &key
}

// asserted reports whether the API signed who it is, for this server, and has not said
// so before (RFC 7523 §3).
func (i *Issuer) asserted(r *http.Request, key Key) bool {
	jws, err := jose.ParseSignedCompact(r.PostFormValue("client_assertion"), []jose.SignatureAlgorithm{jose.SignatureAlgorithm(key.Alg)})
	if err != nil || jws.Signatures[0].Header.KeyID != key.ID {
		return false
	}
	payload, err := jws.Verify(key.Public())
	if err != nil {
		return false
	}
	var claims struct {
		Issuer   string `json:"iss"`
		Subject  string `json:"sub"`
		Audience string `json:"aud"`
		ID       string `json:"jti"`
		Expiry   int64  `json:"exp"`
	}
	if json.Unmarshal(payload, &claims) != nil || claims.ID == "" {
		return false
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	used := i.used[claims.ID]
	i.used[claims.ID] = true
	now := time.Now().Add(i.offset).Unix()
	return !used && r.PostFormValue("client_assertion_type") == "urn:ietf:params:oauth:client-assertion-type:jwt-bearer" &&
		r.Header.Get("Authorization") == "" && claims.Issuer == i.clientID && claims.Subject == i.clientID && claims.Audience == i.URL &&
		claims.Expiry > now && claims.Expiry <= now+3600
}

// authenticated accepts an assertion if the API has a key, else its secret.
func (i *Issuer) authenticated(r *http.Request) bool {
	i.mu.Lock()
	key := i.client
	i.mu.Unlock()
	if key != nil {
		return i.asserted(r, *key)
	}
	id, secret, _ := r.BasicAuth()
	id, errID := url.QueryUnescape(id)
	secret, errSecret := url.QueryUnescape(secret)
	return errID == nil && errSecret == nil && id == i.clientID && secret == i.clientSecret
}
