package sallyport_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/sallyport-id/sallyport/internal/admin"
	"github.com/sallyport-id/sallyport/internal/oidc"
	"github.com/sallyport-id/sallyport/internal/store"
)

// holder is a client's program that has a key.
type holder struct {
	*rig
	key *ecdsa.PrivateKey
}

func (r *rig) holder() *holder {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	r.must(err)
	return &holder{r, key}
}

// thumbprint names the key.
func (h *holder) thumbprint() string {
	sum, err := (&jose.JSONWebKey{Key: &h.key.PublicKey}).Thumbprint(crypto.SHA256)
	h.must(err)
	return base64.RawURLEncoding.EncodeToString(sum)
}

// proof is one for a request, with claims in the place of its own.
func (h *holder) proof(method, path string, change ...any) string {
	h.t.Helper()
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: h.key}, (&jose.SignerOptions{EmbedJWK: true}).WithType("dpop+jwt"))
	h.must(err)
	claims := map[string]any{"jti": store.NewID(), "htm": method, "htu": h.issuer + path, "iat": h.clock.Now().Unix()}
	for i := 0; i < len(change); i += 2 {
		claims[change[i].(string)] = change[i+1]
	}
	body, err := json.Marshal(claims)
	h.must(err)
	jws, err := signer.Sign(body)
	h.must(err)
	text, err := jws.CompactSerialize()
	h.must(err)
	return text
}

// sends posts to the token endpoint with these proofs.
func (h *holder) sends(client string, form url.Values, proofs ...string) (got tokens, nonce string) {
	h.t.Helper()
	if h.secret[client] == "" {
		form.Set("client_id", client)
	}
	req, err := http.NewRequest("POST", h.issuer+"/token", strings.NewReader(form.Encode()))
	h.must(err)
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if h.secret[client] != "" {
		req.SetBasicAuth(client, h.secret[client])
	}
	for _, proof := range proofs {
		req.Header.Add("DPoP", proof)
	}
	resp, err := http.DefaultClient.Do(req)
	h.must(err)
	defer resp.Body.Close()
	got.status = resp.StatusCode
	h.must(json.NewDecoder(resp.Body).Decode(&got))
	return got, resp.Header.Get("DPoP-Nonce")
}

func redeeming(code string) url.Values {
	return url.Values{"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {callback}, "code_verifier": {verifier}}
}

func refreshing(token string) url.Values {
	return url.Values{"grant_type": {"refresh_token"}, "refresh_token": {token}}
}

// opens asks userinfo with a scheme and proofs.
func (h *holder) opens(scheme, token string, proofs ...string) (status int, challenge string) {
	h.t.Helper()
	req, err := http.NewRequest("GET", h.issuer+"/userinfo", nil)
	h.must(err)
	req.Header.Set("Authorization", scheme+" "+token)
	for _, proof := range proofs {
		req.Header.Add("DPoP", proof)
	}
	resp, err := http.DefaultClient.Do(req)
	h.must(err)
	resp.Body.Close()
	return resp.StatusCode, resp.Header.Get("WWW-Authenticate")
}

func ath(token string) string {
	sum := sha256.Sum256([]byte(token))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// TestDPoP: what a client gets that proves a key is good with that key alone: the
// access token here and at APIs, and a public client's refresh token.
func TestDPoP(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	b := r.browser()
	h, thief := r.holder(), r.holder()
	got, nonce := h.sends("spa", redeeming(b.signIn(r.mina, b.authorize("spa")).mustCode()), h.proof("POST", "/token"))
	if got.status != 200 || got.Type != "DPoP" || nonce == "" {
		t.Fatalf("got %+v, nonce %q", got, nonce)
	}
	for name, c := range map[string]struct {
		scheme string
		proofs []string
		want   int
		says   string
	}{
		"with its key":        {"DPoP", []string{h.proof("GET", "/userinfo", "ath", ath(got.Access))}, 200, ""},
		"and a nonce":         {"dpop", []string{h.proof("GET", "/userinfo", "ath", ath(got.Access), "nonce", nonce)}, 200, ""},
		"as Bearer":           {"Bearer", nil, 401, `Bearer realm="sallyport", error="invalid_token"`},
		"as Bearer, a proof":  {"Bearer", []string{h.proof("GET", "/userinfo", "ath", ath(got.Access))}, 401, `error="invalid_token"`},
		"no proof":            {"DPoP", nil, 401, `DPoP algs="ES256 EdDSA PS256", error="invalid_dpop_proof"`},
		"another key":         {"DPoP", []string{thief.proof("GET", "/userinfo", "ath", ath(got.Access))}, 401, `error="invalid_dpop_proof"`},
		"for another token":   {"DPoP", []string{h.proof("GET", "/userinfo", "ath", ath("other"))}, 401, `error="invalid_dpop_proof"`},
		"for no token":        {"DPoP", []string{h.proof("GET", "/userinfo")}, 401, `error="invalid_dpop_proof"`},
		"for another method":  {"DPoP", []string{h.proof("POST", "/userinfo", "ath", ath(got.Access))}, 401, `error="invalid_dpop_proof"`},
		"for another address": {"DPoP", []string{h.proof("GET", "/token", "ath", ath(got.Access))}, 401, `error="invalid_dpop_proof"`},
		"old":                 {"DPoP", []string{h.proof("GET", "/userinfo", "ath", ath(got.Access), "iat", h.clock.Now().Unix()-100)}, 401, `error="invalid_dpop_proof"`},
		"two":                 {"DPoP", []string{h.proof("GET", "/userinfo", "ath", ath(got.Access)), h.proof("GET", "/userinfo", "ath", ath(got.Access))}, 401, `error="invalid_dpop_proof"`},
		"a nonce of nobody":   {"DPoP", []string{h.proof("GET", "/userinfo", "ath", ath(got.Access), "nonce", "AAAA")}, 401, `error="use_dpop_nonce"`},
	} {
		if status, challenge := h.opens(c.scheme, got.Access, c.proofs...); status != c.want || !strings.Contains(challenge, c.says) {
			t.Errorf("%s: got %d %s, want %d %s", name, status, challenge, c.want, c.says)
		}
	}
	if refused, _ := thief.sends("spa", refreshing(got.Refresh), thief.proof("POST", "/token")); refused.Error != oidc.InvalidGrant {
		t.Errorf("the refresh token with another key: got %+v", refused)
	}
	if refused, _ := thief.sends("spa", refreshing(got.Refresh)); refused.Error != oidc.InvalidGrant {
		t.Errorf("the refresh token without a key: got %+v", refused)
	}
	next, _ := h.sends("spa", refreshing(got.Refresh), h.proof("POST", "/token"))
	if next.status != 200 || next.Type != "DPoP" || next.Refresh != "" {
		t.Errorf("the refresh token with its key: got %+v", next)
	}
	plain := r.redeem("web", b.authorize("web").mustCode())
	if status, challenge := h.opens("DPoP", plain.Access, h.proof("GET", "/userinfo", "ath", ath(plain.Access))); status != 401 || !strings.Contains(challenge, "bound to no key") {
		t.Errorf("a token that is bound to no key, as DPoP: got %d %s", status, challenge)
	}
}

// TestDPoPAtAPIs: APIs are told the key, by introspection and in a JWT; machines have
// theirs, too.
func TestDPoPAtAPIs(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	h := r.holder()
	form := url.Values{"grant_type": {"client_credentials"}, "scope": {"orders:read"}, "resource": {orders}}
	got, _ := h.sends("worker", form, h.proof("POST", "/token"))
	answer := r.introspect("orders", got.Access)
	if cnf, _ := answer["cnf"].(map[string]any); got.Type != "DPoP" || answer["token_type"] != "DPoP" || cnf["jkt"] != h.thumbprint() {
		t.Errorf("got %+v, %v", got, answer)
	}
	b := r.browser()
	code := b.allowed("resource", orders, "scope", "openid orders:read")
	user, _ := h.sends("portal", redeeming(code), h.proof("POST", "/token"))
	answer = r.introspect("orders", user.Access)
	if cnf, _ := answer["cnf"].(map[string]any); cnf["jkt"] != h.thumbprint() || answer["acr"] != "urn:sallyport:acr:2fa" {
		t.Errorf("a user's: got %v", answer)
	}
	const jwtAPI = "https://jwt.example.com/"
	r.must(r.Admin().AddResource(t.Context(), &oidc.Resource{URI: jwtAPI, Name: "JWT", Scopes: []string{"x"}, TokenFormat: oidc.FormatJWT}))
	r.changeClient("worker", func(c *oidc.Client) {
		api, err := r.Store().Resource(t.Context(), jwtAPI)
		r.must(err)
		c.Resources = append(c.Resources, oidc.ResourceAccess{ResourceID: api.ID, URI: jwtAPI, Scopes: []string{"x"}})
	})
	got, _ = h.sends("worker", url.Values{"grant_type": {"client_credentials"}, "resource": {jwtAPI}}, h.proof("POST", "/token"))
	if cnf, _ := claims(t, got.Access)["cnf"].(map[string]any); cnf["jkt"] != h.thumbprint() {
		t.Errorf("a JWT: got %v", claims(t, got.Access))
	}
}

// TestDPoPBinding: a client that must, and a code that is bound from its beginning.
func TestDPoPBinding(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	wallet := admin.Web("wallet", "Wallet", callback)
	wallet.DPoPBound, wallet.RequireDPoPNonce = true, true
	r.addClient(t.Context(), wallet)
	b := r.browser()
	h, thief := r.holder(), r.holder()
	code := b.signIn(r.mina, b.authorize("wallet", "dpop_jkt", h.thumbprint())).mustCode()
	if got, _ := h.sends("wallet", redeeming(code)); got.Error != oidc.InvalidDPoPProof {
		t.Errorf("without a proof: got %+v", got)
	}
	got, nonce := h.sends("wallet", redeeming(code), h.proof("POST", "/token"))
	if got.Error != oidc.UseDPoPNonce || nonce == "" {
		t.Errorf("without a nonce: got %+v, nonce %q", got, nonce)
	}
	if got, _ := thief.sends("wallet", redeeming(code), thief.proof("POST", "/token", "nonce", nonce)); got.Error != oidc.InvalidGrant {
		t.Errorf("the code with another key: got %+v", got)
	}
	r.clock.advance(2 * time.Minute)
	if got, _ = h.sends("wallet", redeeming(b.authorize("wallet", "dpop_jkt", h.thumbprint()).mustCode()), h.proof("POST", "/token", "nonce", nonce)); got.status != 200 {
		t.Errorf("with the nonce of just before: got %+v", got)
	}
	r.clock.advance(2 * time.Minute)
	if got, fresh := h.sends("wallet", refreshing(got.Refresh), h.proof("POST", "/token", "nonce", nonce)); got.Error != oidc.UseDPoPNonce || fresh == nonce {
		t.Errorf("with an old nonce: got %+v, then %q", got, fresh)
	}
	b.authorize("wallet", "dpop_jkt", "short").mustRefuse(oidc.InvalidRequest)
}

// TestDPoPProofUsedOnce: of many who send one proof one is heard, and a client that is
// not who it says uses nothing up.
func TestDPoPProofUsedOnce(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	h := r.holder()
	form := func() url.Values { return url.Values{"grant_type": {"client_credentials"}, "resource": {orders}} }
	proof := h.proof("POST", "/token")
	secret := r.secret["worker"]
	r.secret["worker"] = "wrong"
	if got, _ := h.sends("worker", form(), proof); got.Error != oidc.InvalidClient {
		t.Errorf("with a wrong secret: got %+v", got)
	}
	r.secret["worker"] = secret
	var done sync.WaitGroup
	results := make(chan tokens, 16)
	for range 16 {
		done.Go(func() {
			got, _ := h.sends("worker", form(), proof)
			results <- got
		})
	}
	done.Wait()
	close(results)
	won := 0
	for got := range results {
		if got.status == 200 {
			won++
		} else if got.Error != oidc.InvalidDPoPProof {
			t.Errorf("got %+v", got)
		}
	}
	if won != 1 {
		t.Errorf("%d were heard, want 1", won)
	}
}
