package sallyport_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/sallyport-id/sallyport/internal/oidc"
	"github.com/sallyport-id/sallyport/internal/store"
)

// signing is a client that signs who it is and, if it must, what it asks for.
type signing struct {
	*rig
	id  string
	key jose.JSONWebKey
}

// signs gives a client a key instead of its secret.
func (r *rig) signs(id string) *signing {
	r.t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	r.must(err)
	s := &signing{r, id, jose.JSONWebKey{Key: private, KeyID: "1", Algorithm: "ES256", Use: "sig"}}
	r.changeClient(id, func(c *oidc.Client) {
		c.AuthMethod, c.SecretHashes = oidc.AuthPrivateKeyJWT, nil
		c.JWKS, err = json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{s.key.Public()}})
		r.must(err)
		r.must(c.Validate())
	})
	return s
}

// sign signs claims.
func (s *signing) sign(typ string, claims map[string]any) string {
	s.t.Helper()
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: s.key}, (&jose.SignerOptions{}).WithType(jose.ContentType(typ)))
	s.must(err)
	payload, err := json.Marshal(claims)
	s.must(err)
	jws, err := signer.Sign(payload)
	s.must(err)
	text, err := jws.CompactSerialize()
	s.must(err)
	return text
}

// assertion is a good one, with these claims changed; nil takes one away.
func (s *signing) assertion(change ...any) string {
	now := s.clock.Now()
	claims := map[string]any{"iss": s.id, "sub": s.id, "aud": s.issuer, "jti": store.NewID(), "iat": now.Unix(), "exp": now.Add(time.Minute).Unix()}
	for i := 0; i < len(change); i += 2 {
		if claims[change[i].(string)] = change[i+1]; change[i+1] == nil {
			delete(claims, change[i].(string))
		}
	}
	return s.sign("JWT", claims)
}

// post posts a form with an assertion.
func (s *signing) post(path, assertion string, form url.Values) (int, map[string]any) {
	s.t.Helper()
	form = maps.Clone(form)
	form.Set("client_assertion_type", oidc.AssertionType)
	form.Set("client_assertion", assertion)
	return s.postForm(path, "", form)
}

// A client that signs gets in by that at every endpoint, and by nothing else.
func TestPrivateKeyJWT(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	secret := r.secret["worker"]
	worker, api := r.signs("worker"), r.signs("orders")
	status, answer := worker.post("/token", worker.assertion(), url.Values{"grant_type": {"client_credentials"}})
	token, _ := answer["access_token"].(string)
	if status != http.StatusOK || token == "" {
		t.Fatalf("token: got %d %v", status, answer)
	}
	if status, answer = api.post("/introspect", api.assertion(), url.Values{"token": {token}}); status != http.StatusOK || answer["active"] != true {
		t.Errorf("introspection: got %d %v", status, answer)
	}
	if status, answer = worker.post("/revoke", worker.assertion(), url.Values{"token": {token}}); status != http.StatusOK {
		t.Errorf("revocation: got %d %v", status, answer)
	}
	if status, answer = api.post("/introspect", api.assertion(), url.Values{"token": {token}}); answer["active"] != false {
		t.Errorf("introspection after revocation: got %d %v", status, answer)
	}
	r.secret["worker"] = secret
	for what, refused := range map[string]tokens{"its old secret": r.clientToken("worker"), "nothing": r.token("", url.Values{"grant_type": {"client_credentials"}, "client_id": {"worker"}})} {
		if refused.Error != oidc.InvalidClient {
			t.Errorf("%s: got %+v, want invalid_client", what, refused)
		}
	}
}

// Each claim of an assertion counts, at every endpoint alike, and nothing happens
// without it.
func TestPrivateKeyJWTRefusals(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	worker, other := r.signs("worker"), r.signs("orders")
	seconds := func(n int) int64 { return r.clock.Now().Add(time.Duration(n) * time.Second).Unix() }
	stolen := other.assertion("iss", "worker", "sub", "worker")
	for what, assertion := range map[string]string{
		"signed by another client": stolen, "no iss": worker.assertion("iss", nil), "no sub": worker.assertion("sub", nil), "no aud": worker.assertion("aud", nil),
		"no exp": worker.assertion("exp", nil), "no jti": worker.assertion("jti", nil), "list of audiences": worker.assertion("aud", []string{r.issuer}),
		"token endpoint": worker.assertion("aud", r.issuer+"/token"), "expired": worker.assertion("exp", seconds(-300)), "too long": worker.assertion("exp", seconds(7200)),
		"nbf": worker.assertion("nbf", seconds(61)), "no JWT": "e30.e30.e30", "a request object": worker.sign("oauth-authz-req+jwt", map[string]any{}),
		"a client that there is not": worker.assertion("iss", "nobody", "sub", "nobody"),
	} {
		for path, form := range map[string]url.Values{
			"/token": {"grant_type": {"client_credentials"}}, "/introspect": {"token": {"at_x.y"}}, "/revoke": {"token": {"at_x.y"}},
			"/device_authorization": {"scope": {"openid"}}, "/par": wanted("worker"),
		} {
			if status, answer := worker.post(path, assertion, form); status != http.StatusBadRequest && status != http.StatusUnauthorized || answer["error"] != oidc.InvalidClient {
				t.Errorf("%s at %s: got %d %v, want invalid_client", what, path, status, answer)
			}
		}
	}
}

// An assertion is good once, whoever comes with it and wherever.
func TestPrivateKeyJWTOnce(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	worker := r.signs("worker")
	assertion := worker.assertion()
	var good, used atomic.Int32
	var all sync.WaitGroup
	for range 64 {
		all.Go(func() {
			switch status, answer := worker.post("/token", assertion, url.Values{"grant_type": {"client_credentials"}}); {
			case status == http.StatusOK:
				good.Add(1)
			case strings.Contains(answer["error_description"].(string), "it was used"):
				used.Add(1)
			}
		})
	}
	all.Wait()
	if good.Load() != 1 || used.Load() != 63 {
		t.Errorf("got %d tokens and %d refusals of one assertion, want 1 and 63", good.Load(), used.Load())
	}
	if _, answer := worker.post("/revoke", assertion, url.Values{"token": {"at_x.y"}}); answer["error"] != oidc.InvalidClient {
		t.Errorf("at another endpoint: got %v, want invalid_client", answer)
	}
}
