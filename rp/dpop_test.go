package rp_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"golang.org/x/oauth2"

	"github.com/sallyport-id/sallyport/rp"
	"github.com/sallyport-id/sallyport/rp/rptest"
)

func p256() *ecdsa.PrivateKey {
	key, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader) // never fails
	return key
}

// TestDPoP: sign-in, userinfo, refresh, with and without nonces, by each kind of key.
func TestDPoP(t *testing.T) {
	t.Parallel()
	_, ed, _ := ed25519.GenerateKey(rand.Reader)
	rsa2048, _ := rsa.GenerateKey(rand.Reader, 2048)
	for _, key := range []crypto.Signer{p256(), ed, rsa2048} {
		for _, nonces := range []rptest.Fault{"", rptest.DPoPNonces} {
			p := rptest.NewProvider(t)
			p.UsePrivateKeyJWT("ES256") // an assertion for each attempt
			p.Misbehave(nonces)
			a, id := signedIn(t, p, func(c *rp.Config) { c.DPoPKey, c.UserInfo = key, true })
			if id.Token.TokenType != "DPoP" || id.Email == "" || p.Requests()[0].Get("dpop_jkt") == "" {
				t.Errorf("%T %s: got %s, %q, %v", key, nonces, id.Token.TokenType, id.Email, p.Requests()[0])
			}
			source := a.client.TokenSource(t.Context(), id, nil)
			for range 2 {
				p.Advance(5 * time.Minute)
				id.Token = mustToken(t, source)
				if _, err := a.client.UserInfo(t.Context(), id); err != nil {
					t.Errorf("%T %s: %v", key, nonces, err)
				}
			}
			if want := 3; nonces == "" && p.Hits("/token") != want || nonces != "" && p.Hits("/token") != 2*want {
				t.Errorf("%T %s: got %d token requests", key, nonces, p.Hits("/token"))
			}
		}
	}
}

// A key that is configured is used, or nothing works.
func TestDPoPIsNoOption(t *testing.T) {
	t.Parallel()
	p := rptest.NewProvider(t)
	p.Misbehave(rptest.NoDPoP)
	if _, err := newApp(t, p, func(c *rp.Config) { c.DPoPKey = p256() }).signIn(); about(err) != "token_type" {
		t.Errorf("a server that binds nothing: got %v, want it refused", err)
	}
	p.Misbehave()
	_, id := signedIn(t, p, func(c *rp.Config) { c.DPoPKey = p256() })
	other := newApp(t, p, func(c *rp.Config) { c.DPoPKey = p256() })
	if _, err := other.client.UserInfo(t.Context(), id); err == nil {
		t.Error("userinfo with another key")
	}
	p.Advance(5 * time.Minute)
	if _, err := other.client.TokenSource(t.Context(), id, nil).Token(); about(err) != "invalid_grant" {
		t.Errorf("refreshing with another key: got %v", err)
	}
	none := newApp(t, p, nil)
	_, err := none.client.HTTPClient(oauth2.StaticTokenSource(id.Token)).Get(p.Issuer + "/userinfo")
	if err == nil || !strings.Contains(err.Error(), "Config.DPoPKey") {
		t.Errorf("without a key: got %v", err)
	}
	config := goodConfig()
	config.DPoPKey, _ = ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if _, err := rp.New(t.Context(), config); err == nil || !strings.Contains(err.Error(), "Config.DPoPKey: it takes") {
		t.Errorf("another curve: got %v", err)
	}
}

// dpopAPI is an API that wants its own nonce, and looks into proofs.
type dpopAPI struct {
	*httptest.Server
	mu     sync.Mutex
	nonce  string
	claims []map[string]any
	bodies []string
	always bool // refuse for want of a nonce whatever comes
}

func newDPoPAPI(t *testing.T) *dpopAPI {
	a := &dpopAPI{nonce: "first"}
	a.Server = httptest.NewServer(a)
	t.Cleanup(a.Close)
	return a
}

func (a *dpopAPI) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	a.mu.Lock()
	defer a.mu.Unlock()
	body, _ := io.ReadAll(r.Body)
	jws, err := jose.ParseSignedCompact(r.Header.Get("DPoP"), []jose.SignatureAlgorithm{jose.ES256})
	if err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	claims := map[string]any{}
	json.Unmarshal(jws.UnsafePayloadWithoutVerification(), &claims)
	a.claims, a.bodies = append(a.claims, claims), append(a.bodies, string(body))
	w.Header().Set("DPoP-Nonce", a.nonce)
	if claims["nonce"] != a.nonce || a.always {
		w.Header().Set("WWW-Authenticate", `DPoP error="use_dpop_nonce", error_description="as it says"`)
		w.WriteHeader(http.StatusUnauthorized)
	}
}

func (a *dpopAPI) change(nonce string, always bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.nonce, a.always, a.claims, a.bodies = nonce, always, nil, nil
}

func TestDPoPAtAPIs(t *testing.T) {
	t.Parallel()
	p, api := rptest.NewProvider(t), newDPoPAPI(t)
	a, id := signedIn(t, p, func(c *rp.Config) { c.DPoPKey = p256() })
	client := a.client.HTTPClient(oauth2.StaticTokenSource(id.Token))
	status := func(method string, body io.Reader) int {
		t.Helper()
		req, err := http.NewRequest(method, api.URL+"/a%2Fb/c?q=secret#top", body)
		if err != nil {
			t.Fatal(err)
		}
		res, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		return res.StatusCode
	}
	if got := status("POST", strings.NewReader("order")); got != 200 || len(api.claims) != 2 || api.bodies[1] != "order" {
		t.Fatalf("got %d after %d requests with %q, want 200 after 2 with the whole body", got, len(api.claims), api.bodies)
	}
	sum := sha256.Sum256([]byte(id.Token.AccessToken))
	first, second := api.claims[0], api.claims[1]
	if second["htm"] != "POST" || second["htu"] != api.URL+"/a%2Fb/c" || second["ath"] != base64.RawURLEncoding.EncodeToString(sum[:]) || first["jti"] == second["jti"] {
		t.Errorf("got %v after %v", second, first)
	}
	if got := status("GET", nil); got != 200 || len(api.claims) != 3 {
		t.Errorf("with the nonce at hand: got %d after %d requests, want 3", got, len(api.claims))
	}
	api.change("second", false)
	if got := status("POST", io.MultiReader(bytes.NewReader([]byte("stream")))); got != 401 || len(api.claims) != 1 {
		t.Errorf("a body that is gone: got %d after %d requests, want the refusal after 1", got, len(api.claims))
	}
	if got := status("POST", io.MultiReader(bytes.NewReader([]byte("stream")))); got != 200 || len(api.claims) != 2 {
		t.Errorf("the next one: got %d after %d requests, want the nonce learnt", got, len(api.claims))
	}
	api.change("third", true)
	if got := status("GET", nil); got != 401 || len(api.claims) != 2 {
		t.Errorf("an API that is never content: got %d after %d requests, want 401 after 2", got, len(api.claims))
	}
}
