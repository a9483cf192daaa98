package sallyport_test

import (
	"crypto/hmac"
	"crypto/sha512"
	"encoding/base64"
	"encoding/json"
	"hash"
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

// signsWithSecret registers a client as another one is, but with a secret in which it
// signs.
func (r *rig) signsWithSecret(id, like string) (secret string) {
	r.t.Helper()
	c, err := r.Store().Client(r.t.Context(), like)
	r.must(err)
	c.ID, c.AuthMethod, c.SecretHashes = id, oidc.AuthSecretJWT, nil
	secret, err = r.Admin().AddClient(r.t.Context(), c)
	r.must(err)
	return secret
}

// secretAssertion is a good assertion of the client's that this key signs, with these
// claims changed; nil takes one away.
func (r *rig) secretAssertion(id string, alg jose.SignatureAlgorithm, key []byte, change ...any) string {
	r.t.Helper()
	now := r.clock.Now()
	claims := map[string]any{"iss": id, "sub": id, "aud": r.issuer, "jti": store.NewID(), "iat": now.Unix(), "exp": now.Add(time.Minute).Unix()}
	for i := 0; i < len(change); i += 2 {
		if claims[change[i].(string)] = change[i+1]; change[i+1] == nil {
			delete(claims, change[i].(string))
		}
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: alg, Key: key}, nil)
	r.must(err)
	payload, err := json.Marshal(claims)
	r.must(err)
	jws, err := signer.Sign(payload)
	r.must(err)
	text, err := jws.CompactSerialize()
	r.must(err)
	return text
}

func (r *rig) postAssertion(path, assertion string, form url.Values) (int, map[string]any) {
	r.t.Helper()
	form = maps.Clone(form)
	form.Set("client_assertion_type", oidc.AssertionType)
	form.Set("client_assertion", assertion)
	return r.postForm(path, "", form)
}

// A client that signs with its secret gets in by that at every endpoint.
func TestClientSecretJWT(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	worker, api := r.signsWithSecret("worker2", "worker"), r.signsWithSecret("orders2", "orders")
	status, answer := r.postAssertion("/token", r.secretAssertion("worker2", jose.HS256, []byte(worker)), url.Values{"grant_type": {"client_credentials"}})
	token, _ := answer["access_token"].(string)
	if status != http.StatusOK || token == "" {
		t.Fatalf("token: got %d %v", status, answer)
	}
	introspects := func() (int, map[string]any) {
		return r.postAssertion("/introspect", r.secretAssertion("orders2", jose.HS256, []byte(api)), url.Values{"token": {token}})
	}
	if status, answer = introspects(); status != http.StatusOK || answer["active"] != true {
		t.Errorf("introspection: got %d %v", status, answer)
	}
	if status, answer = r.postAssertion("/revoke", r.secretAssertion("worker2", jose.HS256, []byte(worker)), url.Values{"token": {token}}); status != http.StatusOK {
		t.Errorf("revocation: got %d %v", status, answer)
	}
	if status, answer = introspects(); status != http.StatusOK || answer["active"] != false {
		t.Errorf("introspection after revocation: got %d %v", status, answer)
	}
}

// macAs is an assertion with the MAC of another algorithm, by the same secret.
func macAs(alg string, hash func() hash.Hash, secret, assertion string) string {
	text := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"`+alg+`"}`)) + "." + strings.Split(assertion, ".")[1]
	mac := hmac.New(hash, []byte(secret))
	mac.Write([]byte(text))
	return text + "." + base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// Nothing else lets such a client in, and its way lets nobody else in.
func TestClientSecretJWTRefusals(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	secret, other := r.signsWithSecret("worker2", "worker"), r.signsWithSecret("orders2", "orders")
	signing := r.signs("worker")
	public, err := json.Marshal(signing.key.Public())
	r.must(err)
	set, err := r.Store().Client(t.Context(), "worker")
	r.must(err)
	good := func(change ...any) string { return r.secretAssertion("worker2", jose.HS256, []byte(secret), change...) }
	for what, assertion := range map[string]string{
		"another client's secret":            r.secretAssertion("worker2", jose.HS256, []byte(other)),
		"HS512":                              macAs("HS512", sha512.New, secret, good()),
		"HS384":                              macAs("HS384", sha512.New384, secret, good()),
		"a key of another client":            signing.assertion("iss", "worker2", "sub", "worker2"),
		"none":                               "eyJhbGciOiJub25lIn0." + strings.Split(good(), ".")[1] + ".",
		"a public key as secret":             r.secretAssertion("worker", jose.HS256, public),
		"a JWK Set as secret":                r.secretAssertion("worker", jose.HS256, set.JWKS),
		"the secret for a client with a key": r.secretAssertion("worker", jose.HS256, []byte(secret)),
		"no iss":                             good("iss", nil), "no aud": good("aud", nil), "no exp": good("exp", nil), "no jti": good("jti", nil),
		"token endpoint": good("aud", r.issuer+"/token"), "list of audiences": good("aud", []string{r.issuer}),
		"expired": good("exp", r.clock.Now().Add(-time.Hour).Unix()), "too long": good("exp", r.clock.Now().Add(2*time.Hour).Unix()),
	} {
		for path, form := range map[string]url.Values{
			"/token": {"grant_type": {"client_credentials"}}, "/introspect": {"token": {"at_x.y"}}, "/revoke": {"token": {"at_x.y"}},
			"/device_authorization": {"scope": {"openid"}}, "/par": wanted("worker2"),
		} {
			form.Del("client_id")
			if status, answer := r.postAssertion(path, assertion, form); status != http.StatusBadRequest && status != http.StatusUnauthorized || answer["error"] != oidc.InvalidClient {
				t.Errorf("%s at %s: got %d %v, want invalid_client", what, path, status, answer)
			}
		}
	}
	r.secret["worker2"] = secret
	sent := url.Values{"grant_type": {"client_credentials"}, "client_id": {"worker2"}, "client_secret": {secret}}
	for what, refused := range map[string]tokens{"basic": r.clientToken("worker2"), "post": r.token("", sent)} {
		if refused.Error != oidc.InvalidClient {
			t.Errorf("%s: got %+v, want invalid_client", what, refused)
		}
	}
}

// A secret signs no requests.
func TestClientSecretSignsNoRequests(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	secret := r.signsWithSecret("web2", "web")
	claims := []any{"jti", nil, "sub", nil}
	for name, value := range wanted("web2") {
		claims = append(claims, name, value[0])
	}
	object := url.Values{"client_id": {"web2"}, "request": {r.secretAssertion("web2", jose.HS256, []byte(secret), claims...)}}
	r.browser().get("/authorize?" + object.Encode()).mustRefuse(oidc.RequestNotSupported)
	status, answer := r.postAssertion("/par", r.secretAssertion("web2", jose.HS256, []byte(secret)), url.Values{"request": object["request"]})
	if status != http.StatusBadRequest || answer["error"] != oidc.RequestNotSupported {
		t.Errorf("pushed: got %d %v, want request_not_supported", status, answer)
	}
}

// An assertion is good once.
func TestClientSecretJWTOnce(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	assertion := r.secretAssertion("worker2", jose.HS256, []byte(r.signsWithSecret("worker2", "worker")))
	var good, used atomic.Int32
	var all sync.WaitGroup
	for range 16 {
		all.Go(func() {
			switch status, answer := r.postAssertion("/token", assertion, url.Values{"grant_type": {"client_credentials"}}); {
			case status == http.StatusOK:
				good.Add(1)
			case strings.Contains(answer["error_description"].(string), "it was used"):
				used.Add(1)
			}
		})
	}
	all.Wait()
	if good.Load() != 1 || used.Load() != 15 {
		t.Errorf("got %d tokens and %d refusals of one assertion, want 1 and 15", good.Load(), used.Load())
	}
}

// A rotation may leave the old secret good until it is ended; a client that takes the id
// later has no part in either.
func TestClientSecretJWTRotation(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	ctx := t.Context()
	first := r.signsWithSecret("worker2", "worker")
	good := func(secret string) bool {
		status, _ := r.postAssertion("/token", r.secretAssertion("worker2", jose.HS256, []byte(secret)), url.Values{"grant_type": {"client_credentials"}})
		return status == http.StatusOK
	}
	second, err := r.Admin().RotateSecret(ctx, "worker2", true)
	r.must(err)
	if !good(first) || !good(second) {
		t.Error("after a rotation that keeps the old secret one of the two is refused")
	}
	both, err := r.Store().Client(ctx, "worker2")
	r.must(err)
	r.must(r.Admin().EndOldSecrets(ctx, "worker2"))
	if left, err := r.Store().ClientSecrets(ctx, both); err != nil || len(left) != 1 {
		t.Errorf("of two secrets, one of which ended, %d are kept, %v", len(left), err)
	}
	if good(first) || !good(second) {
		t.Error("after the old secret's end it is good, or the new one is not")
	}
	third, err := r.Admin().RotateSecret(ctx, "worker2", false)
	r.must(err)
	if good(second) || !good(third) {
		t.Error("after a rotation the old secret is good, or the new one is not")
	}
	c, err := r.Store().Client(ctx, "worker2")
	r.must(err)
	r.must(r.Admin().RemoveClient(ctx, "worker2"))
	if left, err := r.Store().ClientSecrets(ctx, c); err != nil || len(left) != 0 {
		t.Errorf("a client that was removed leaves %d secrets, %v", len(left), err)
	}
	r.signsWithSecret("worker2", "worker")
	if good(third) {
		t.Error("a secret of a client that was removed is good for the next one")
	}
}
