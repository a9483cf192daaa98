package sallyport_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/sallyport-id/sallyport"
	"github.com/sallyport-id/sallyport/internal/oidc"
)

// keyServer is where a client's keys are.
type keyServer struct {
	*httptest.Server
	mu       sync.Mutex
	keys     []byte
	status   int
	requests int
}

func newKeyServer(t *testing.T) *keyServer {
	s := &keyServer{status: http.StatusOK}
	s.Server = httptest.NewTLSServer(s)
	t.Cleanup(s.Close)
	return s
}

// trusted lets a server ask it.
func (k *keyServer) trusted(c *sallyport.Config) {
	pool := x509.NewCertPool()
	pool.AddCert(k.Certificate())
	sallyport.ReachLoopback(c, pool)
}

// ServeHTTP answers with the keys, or with a status that is not good.
func (k *keyServer) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.requests++
	w.WriteHeader(k.status)
	_, _ = w.Write(k.keys)
}

func (k *keyServer) answers(status int) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.status = status
}

// asked returns how often since it was last asked so.
func (k *keyServer) asked() (n int) {
	k.mu.Lock()
	defer k.mu.Unlock()
	n, k.requests = k.requests, 0
	return n
}

// rotate gives the client one new key, and takes the old one away.
func (k *keyServer) rotate(s *signing, kid string) {
	s.t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	s.must(err)
	s.key = jose.JSONWebKey{Key: private, KeyID: kid, Algorithm: "ES256", Use: "sig"}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.keys, err = json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{s.key.Public()}})
	s.must(err)
}

// signsAt gives a client a key whose public half is at the server.
func (r *rig) signsAt(id string, k *keyServer) *signing {
	r.t.Helper()
	s := &signing{rig: r, id: id}
	k.rotate(s, "1")
	r.changeClient(id, func(c *oidc.Client) {
		c.AuthMethod, c.SecretHashes, c.JWKSURI = oidc.AuthPrivateKeyJWT, nil, k.URL+"/keys.json"
		r.must(c.Validate())
	})
	return s
}

// mustGet wants a token for an assertion, or invalid_client.
func (s *signing) mustGet(assertion string, good bool) {
	s.t.Helper()
	status, answer := s.post("/token", assertion, url.Values{"grant_type": {"client_credentials"}})
	if good != (status == http.StatusOK) || !good && answer["error"] != oidc.InvalidClient {
		s.t.Errorf("got %d %v, want a token: %t", status, answer, good)
	}
}

// A client's keys are fetched when they are needed; a new one when it is used, and the
// old one is then worth nothing (OpenID Connect Core §10.1.1).
// oidcc-refresh-token-rp-key-rotation.
func TestJWKSURI(t *testing.T) {
	t.Parallel()
	k := newKeyServer(t)
	r := newRig(t, k.trusted)
	worker := r.signsAt("worker", k)
	worker.mustGet(worker.assertion(), true)
	worker.mustGet(worker.assertion(), true)
	if n := k.asked(); n != 1 {
		t.Errorf("asked %d times for two tokens, want 1", n)
	}
	old := *worker
	k.rotate(worker, "2")
	r.clock.advance(time.Minute)
	worker.mustGet(worker.assertion(), true)
	old.mustGet(old.assertion(), false)
	if n := k.asked(); n != 1 {
		t.Errorf("asked %d times for a new key, want 1", n)
	}
	inline := r.signs("orders")
	if status, answer := inline.post("/introspect", inline.assertion(), url.Values{"token": {"at_x.y"}}); status != http.StatusOK {
		t.Errorf("keys by value beside it: got %d %v", status, answer)
	}
}

// Requests that are signed are opened by the same keys, from a browser and pushed.
func TestJWKSURIOpensRequests(t *testing.T) {
	t.Parallel()
	k := newKeyServer(t)
	r := newRig(t, k.trusted)
	web := r.signsAt("web", k)
	r.changeClient("web", func(c *oidc.Client) { c.RequireSigned = true })
	b := r.browser()
	signed := url.Values{"client_id": {"web"}, "request": {web.object()}}
	b.signIn(r.mina, b.get("/authorize?"+signed.Encode())).mustCode()
	k.rotate(web, "2")
	r.clock.advance(time.Minute)
	status, pushed := web.post("/par", web.assertion(), url.Values{"request": {web.object()}})
	if status != http.StatusCreated {
		t.Fatalf("pushed: got %d %v, want 201", status, pushed)
	}
	b.get("/authorize?" + refers("web", pushed["request_uri"].(string)).Encode()).mustCode()
	if n := k.asked(); n != 2 {
		t.Errorf("asked %d times, want 2", n)
	}
}

// While a client's server is away its keys of before are good, for a day. Without any,
// nobody is the client; and there is no other error.
func TestJWKSURIOutage(t *testing.T) {
	t.Parallel()
	k := newKeyServer(t)
	r := newRig(t, k.trusted)
	worker, web := r.signsAt("worker", k), r.signsAt("web", k)
	k.rotate(worker, "1")
	worker.mustGet(worker.assertion(), true)
	k.answers(http.StatusBadGateway)
	r.clock.advance(2 * time.Hour)
	worker.mustGet(worker.assertion(), true)
	r.clock.advance(22 * time.Hour)
	worker.mustGet(worker.assertion(), false)
	if got := r.browser().get("/authorize?" + url.Values{"client_id": {"web"}, "request": {web.object()}}.Encode()); got.status != http.StatusBadRequest {
		t.Errorf("a signed request: got %d, want 400", got.status)
	}
	k.answers(http.StatusOK)
	r.clock.advance(15 * time.Second)
	worker.mustGet(worker.assertion(), true)
}

// Anybody can say that he is a client, and name a key that there is not. What that makes
// the server do to the client's is bounded.
func TestJWKSURIHammered(t *testing.T) {
	t.Parallel()
	k := newKeyServer(t)
	r := newRig(t, k.trusted)
	worker := r.signsAt("worker", k)
	worker.mustGet(worker.assertion(), true)
	stranger := *worker
	k.rotate(&stranger, "stranger's")
	k.rotate(worker, "2")
	k.asked()
	r.clock.advance(15 * time.Second)
	var all sync.WaitGroup
	for range 64 {
		assertion := stranger.assertion()
		all.Go(func() { stranger.mustGet(assertion, false) })
	}
	all.Wait()
	if n := k.asked(); n != 1 {
		t.Errorf("64 strange keys, and it was asked %d times, want 1", n)
	}
	worker.mustGet(worker.assertion(), true)
}

// An address of this network is not asked unless the operator allows it. Who sent the
// assertion is not told why; the log names the setting, and neither has what is there.
func TestJWKSURIForbiddenAddress(t *testing.T) {
	t.Parallel()
	k := newKeyServer(t)
	log := &lockedBuffer{}
	r := newRig(t, k.trusted, func(c *sallyport.Config) {
		c.OutboundAllow = nil
		c.Log = slog.New(slog.NewTextHandler(log, nil))
	})
	worker := r.signsAt("worker", k)
	status, answer := worker.post("/token", worker.assertion(), url.Values{"grant_type": {"client_credentials"}})
	if answer["error"] != oidc.InvalidClient || strings.Contains(answer["error_description"].(string), "127.0.0.1") {
		t.Errorf("got %d %v", status, answer)
	}
	if n := k.asked(); n != 0 {
		t.Errorf("it was asked %d times", n)
	}
	if text := log.String(); !strings.Contains(text, "outbound_allow") || !strings.Contains(text, "client_id=worker") {
		t.Errorf("the log: %s", text)
	}
}
