package rs_test

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/sallyport-id/sallyport/rs"
	"github.com/sallyport-id/sallyport/rs/rstest"
)

const itemsURL = "https://orders.example.com/items"

// A bound is an API that takes DPoP, a client's key and a token bound to it.
type bound struct {
	api
	key   rstest.Key
	token string
}

func newBound(t *testing.T, mode rs.DPoPMode) bound {
	a := newAPI(t, func(c *rs.Config) { c.DPoP = mode })
	b := bound{api: a, key: rstest.NewKey("ES256")}
	b.token = a.JWT(b.claims(b.key))
	return b
}

func (b bound) claims(key rstest.Key) map[string]any {
	claims := b.Claims(orders, "")
	claims["cnf"] = map[string]any{"jkt": key.Thumbprint()}
	return claims
}

func (b bound) send(authorization string, proofs ...string) *httptest.ResponseRecorder {
	b.t.Helper()
	return b.get(http.Header{"Authorization": {authorization}, "Dpop": proofs})
}

func (b bound) proof() string { return b.key.Proof("GET", itemsURL, b.token, b.Now()) }

// TestDPoPAccepted: a bound token with the proof of its key, JWT or not, and only
// once with each.
func TestDPoPAccepted(t *testing.T) {
	t.Parallel()
	b := newBound(t, rs.DPoPAllowed)
	for _, alg := range []string{"ES256", "RS256", "PS256", "EdDSA"} {
		b.key = rstest.NewKey(alg)
		for _, token := range []string{b.JWT(b.claims(b.key)), b.Opaque(b.claims(b.key))} {
			b.token = token
			proof := b.proof()
			b.wantAccepted(alg, b.send("DPoP "+token, proof))
			b.wantDPoPRefused(alg+", again", b.send("dpop "+token, proof), "invalid_dpop_proof")
			b.wantAccepted(alg+", another proof", b.send("dpop "+token, b.proof()))
		}
	}
	b.wantAccepted("an unbound token as Bearer", b.bearer(b.JWT(b.Claims(orders, ""))))
}

// wantDPoPRefused wants the error in the challenge of DPoP, and none in that of
// Bearer.
func (b bound) wantDPoPRefused(what string, w *httptest.ResponseRecorder, code string) {
	b.t.Helper()
	challenges := w.Header()["Www-Authenticate"]
	if w.Code != 401 || len(challenges) != 2 || !strings.HasPrefix(challenges[1], `DPoP error="`+code+`"`) || strings.Contains(challenges[0], "error") {
		b.t.Errorf("%s: got %d %q, want 401 %s", what, w.Code, challenges, code)
	}
}

// TestBoundTokensNeedTheirProof: a stolen token is of no use without the key.
func TestBoundTokensNeedTheirProof(t *testing.T) {
	t.Parallel()
	b := newBound(t, rs.DPoPAllowed)
	thief := rstest.NewKey("ES256")
	b.wantInvalid("as Bearer", b.send("Bearer "+b.token))
	b.wantInvalid("as Bearer, with a proof", b.send("Bearer "+b.token, b.proof()))
	b.wantDPoPRefused("without a proof", b.send("DPoP "+b.token), "invalid_dpop_proof")
	b.wantDPoPRefused("with two proofs", b.send("DPoP "+b.token, b.proof(), b.proof()), "invalid_dpop_proof")
	b.wantDPoPRefused("with two proofs in one", b.send("DPoP "+b.token, b.proof()+", "+b.proof()), "invalid_dpop_proof")
	b.wantDPoPRefused("with an empty proof", b.send("DPoP "+b.token, ""), "invalid_dpop_proof")
	b.wantDPoPRefused("with a proof of 20 kB", b.send("DPoP "+b.token, b.proof()+strings.Repeat("A", 20<<10)), "invalid_dpop_proof")
	b.wantDPoPRefused("with a thief's proof", b.send("DPoP "+b.token, thief.Proof("GET", itemsURL, b.token, b.Now())), "invalid_token")
	b.wantDPoPRefused("an unbound token", b.send("DPoP "+b.JWT(b.Claims(orders, "")), b.proof()), "invalid_token")
	twice := b.claims(b.key)
	twice["cnf"] = map[string]any{"jkt": b.key.Thumbprint(), "x5t#S256": "A"}
	b.token = b.JWT(twice)
	b.wantDPoPRefused("bound to a certificate too", b.send("DPoP "+b.token, b.proof()), "invalid_token")
	b.token = b.JWT(b.claims(b.key))
	header := map[string]any{"alg": "ES256", "typ": "dpop+jwt", "jwk": jose.JSONWebKey{Key: b.key.Public()}, "pad": strings.Repeat("A", 20<<10)}
	b.wantDPoPRefused("with a good proof of 20 kB", b.send("DPoP "+b.token, b.key.Sign(header, payloadOf(t, b.proof()))), "invalid_dpop_proof")
	off := newBound(t, rs.DPoPOff)
	off.wantRefused("DPoP is off", off.send("DPoP "+off.token, off.proof()), 401, "")
	off.wantInvalid("DPoP is off, as Bearer", off.send("Bearer "+off.token, off.proof()))
	only := newBound(t, rs.DPoPRequired)
	only.wantAccepted("DPoP alone", only.send("DPoP "+only.token, only.proof()))
	only.wantRefused("DPoP alone, as Bearer", only.bearer(only.JWT(only.Claims(orders, ""))), 401, "")
}

func TestDPoPChallenges(t *testing.T) {
	t.Parallel()
	const algs = `algs="RS256 PS256 ES256 EdDSA", ` + aboutOrders
	for mode, want := range map[rs.DPoPMode][]string{
		rs.DPoPOff:      {"Bearer " + aboutOrders},
		rs.DPoPAllowed:  {"Bearer " + aboutOrders, "DPoP " + algs},
		rs.DPoPRequired: {"DPoP " + algs},
	} {
		b := newBound(t, mode)
		if got := b.get(nil).Header()["Www-Authenticate"]; !slices.Equal(got, want) {
			t.Errorf("%d: got %q, want %q", mode, got, want)
		}
	}
	b := newBound(t, rs.DPoPAllowed)
	got := b.get(http.Header{"Authorization": {"DPoP " + b.token}, "Dpop": {b.proof()}}, rs.ACR(rs.ACRPHR, time.Minute)).Header()["Www-Authenticate"]
	want := `DPoP error="insufficient_user_authentication", error_description="this takes a stronger sign-in", acr_values="phr", max_age="60", ` + algs
	if len(got) != 2 || got[1] != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// TestDPoPProofs: each check of RFC 9449 §4.3, by what fails it.
func TestDPoPProofs(t *testing.T) {
	t.Parallel()
	b := newBound(t, rs.DPoPAllowed)
	const missing = "(missing)"
	ath := func(token string) string {
		sum := sha256.Sum256([]byte(token))
		return base64.RawURLEncoding.EncodeToString(sum[:])
	}
	seconds := func(d time.Duration) int64 { return b.Now().Add(d).Unix() }
	public := jose.JSONWebKey{Key: b.key.Public()}
	text, _ := json.Marshal(public)
	withPrivate := append([]byte(`{"d":"AAAA",`), text[1:]...)
	withPrime := append([]byte(`{"p":"AAAA",`), text[1:]...)
	p384 := map[string]string{"kty": "EC", "crv": "P-384", "x": "AA", "y": "AA"}
	for name, c := range map[string]struct {
		header, claim string
		value         any
		ok            bool
	}{
		"as it should be":        {ok: true},
		"the long type":          {header: "typ", value: "application/dpop+jwt", ok: true},
		"an access token's type": {header: "typ", value: "at+jwt"},
		"no type":                {header: "typ", value: missing},
		"alg none":               {header: "alg", value: "none"},
		"alg HS256":              {header: "alg", value: "HS256"},
		"another key's alg":      {header: "alg", value: "RS256"},
		"critical":               {header: "crit", value: []string{"jwk"}},
		"no jwk":                 {header: "jwk", value: missing},
		"a string as jwk":        {header: "jwk", value: "key"},
		"a jwk with its private": {header: "jwk", value: json.RawMessage(withPrivate)},
		"a jwk for another alg":  {header: "jwk", value: jose.JSONWebKey{Key: b.key.Public(), Algorithm: "ES384"}},
		"a jwk with a prime":     {header: "jwk", value: json.RawMessage(withPrime)},
		"a symmetric jwk":        {header: "jwk", value: map[string]string{"kty": "oct", "k": "AAAA"}},
		"a malformed jwk":        {header: "jwk", value: p384},
		"another's jwk":          {header: "jwk", value: jose.JSONWebKey{Key: rstest.NewKey("ES256").Public()}},
		"kid is noise":           {header: "kid", value: "../../etc/passwd", ok: true},
		"no jti":                 {claim: "jti", value: missing},
		"an empty jti":           {claim: "jti", value: ""},
		"a jti of a kilobyte":    {claim: "jti", value: strings.Repeat("j", 1024)},
		"a number as jti":        {claim: "jti", value: 1},
		"no htm":                 {claim: "htm", value: missing},
		"another method":         {claim: "htm", value: "POST"},
		"a method in lower case": {claim: "htm", value: "get"},
		"no htu":                 {claim: "htu", value: missing},
		"another path":           {claim: "htu", value: "https://orders.example.com/item"},
		"a longer path":          {claim: "htu", value: itemsURL + "/"},
		"another host":           {claim: "htu", value: "https://evil.example/items"},
		"another scheme":         {claim: "htu", value: "http://orders.example.com/items"},
		"another port":           {claim: "htu", value: "https://orders.example.com:8443/items"},
		"a user in it":           {claim: "htu", value: "https://orders.example.com@orders.example.com/items"},
		"a path alone":           {claim: "htu", value: "/items"},
		"the default port":       {claim: "htu", value: "https://orders.example.com:443/items", ok: true},
		"capitals":               {claim: "htu", value: "HTTPS://Orders.Example.COM/items", ok: true},
		"a path in capitals":     {claim: "htu", value: "https://orders.example.com/ITEMS"},
		"needless escapes":       {claim: "htu", value: "https://orders.example.com/%69tem%73", ok: true},
		"a query and a fragment": {claim: "htu", value: itemsURL + "?a=b#c", ok: true},
		"no iat":                 {claim: "iat", value: missing},
		"an old one":             {claim: "iat", value: seconds(-92 * time.Second)},
		"one of the future":      {claim: "iat", value: seconds(40 * time.Second)},
		"a minute old":           {claim: "iat", value: seconds(-time.Minute), ok: true},
		"a clock that is fast":   {claim: "iat", value: seconds(20 * time.Second), ok: true},
		"no ath":                 {claim: "ath", value: missing},
		"another token's ath":    {claim: "ath", value: ath(b.JWT(b.claims(b.key)))},
		"the token's ath":        {claim: "ath", value: ath(b.token), ok: true},
		"a nonce is noise":       {claim: "nonce", value: "n", ok: true},
	} {
		header := map[string]any{"alg": "ES256", "typ": "dpop+jwt", "jwk": public}
		claims := map[string]any{"jti": name, "htm": "GET", "htu": itemsURL, "iat": b.Now().Unix(), "ath": ath(b.token)}
		for key, m := range map[string]map[string]any{c.header: header, c.claim: claims} {
			switch {
			case key == "":
			case c.value == missing:
				delete(m, key)
			default:
				m[key] = c.value
			}
		}
		payload, _ := json.Marshal(claims)
		w := b.send("DPoP "+b.token, b.key.Sign(header, payload))
		if c.ok {
			b.wantAccepted(name, w)
		} else {
			b.wantDPoPRefused(name, w, "invalid_dpop_proof")
		}
	}
	payload := []byte(`{"jti":"a","jti":"b","htm":"GET","htu":"` + itemsURL + `","iat":1}`)
	b.wantDPoPRefused("jti twice", b.send("DPoP "+b.token, b.key.Sign(map[string]any{"alg": "ES256", "typ": "dpop+jwt", "jwk": public}, payload)), "invalid_dpop_proof")
	parts := strings.Split(b.proof(), ".")
	b.wantDPoPRefused("no signature", b.send("DPoP "+b.token, parts[0]+"."+parts[1]+"."), "invalid_dpop_proof")
}

// TestProofIsForOurURL: not for what a header says that we are.
func TestProofIsForOurURL(t *testing.T) {
	t.Parallel()
	b := newBound(t, rs.DPoPAllowed)
	proof := b.key.Proof("GET", "https://evil.example/items", b.token, b.Now())
	r := httptest.NewRequest("GET", "https://evil.example/items", nil)
	for _, name := range []string{"X-Forwarded-Host", "X-Original-Host", "X-Host"} {
		r.Header.Set(name, "evil.example")
	}
	r.Header.Set("Forwarded", "host=evil.example;proto=https")
	r.Header.Set("Authorization", "DPoP "+b.token)
	r.Header.Set("DPoP", proof)
	b.wantDPoPRefused("another host", b.serve(r), "invalid_dpop_proof")

	for target, c := range map[string]struct{ external, url string }{
		"/items?a=b":     {"https://api.example.com/orders/", "https://api.example.com/orders/items"},
		"/a%20b%2Fc":     {"https://api.example.com", "https://api.example.com/a%20b%2fc"},
		"/":              {"http://127.0.0.1:8080", "http://127.0.0.1:8080"},
		"/caf%C3%A9":     {"https://api.example.com:443", "https://API.example.com/caf%c3%a9"},
		"/items/../x":    {"https://api.example.com", "https://api.example.com/items/../x"},
		"http://h/items": {"https://api.example.com", "https://api.example.com/items"},
	} {
		a := newAPI(t, func(c2 *rs.Config) { c2.DPoP, c2.ExternalURL = rs.DPoPRequired, c.external })
		b := bound{api: a, key: rstest.NewKey("EdDSA")}
		token := a.JWT(b.claims(b.key))
		r := httptest.NewRequest("GET", target, nil)
		r.Header.Set("Authorization", "DPoP "+token)
		r.Header.Set("DPoP", b.key.Proof("GET", c.url, token, a.Now()))
		w := httptest.NewRecorder()
		inner := a.Protect(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { w.Write([]byte(rs.FromContext(r.Context()).Subject)) }))
		http.StripPrefix("/", inner).ServeHTTP(w, r) // a handler around it changes nothing
		b.wantAccepted(target, w)
	}
}

// TestProofIsUsedOnce: of many at once, one.
func TestProofIsUsedOnce(t *testing.T) {
	t.Parallel()
	b := newBound(t, rs.DPoPAllowed)
	proof := b.proof()
	b.wantAccepted("another", b.send("DPoP "+b.token, b.proof())) // keys are fetched
	var mu sync.Mutex
	count := map[int]int{}
	var wait sync.WaitGroup
	for range 64 {
		wait.Go(func() {
			w := b.send("DPoP "+b.token, proof)
			mu.Lock()
			defer mu.Unlock()
			count[w.Code]++
		})
	}
	wait.Wait()
	if count[200] != 1 || count[401] != 63 {
		t.Errorf("got %v, want one 200", count)
	}
	b.Advance(89 * time.Second)
	b.wantDPoPRefused("as long as it is good", b.send("DPoP "+b.token, proof), "invalid_dpop_proof")
}

// TestRefusedProofIsNotUsed: a proof that failed with another token is as good as
// before: nobody fills the memory without a token and its key.
func TestRefusedProofIsNotUsed(t *testing.T) {
	t.Parallel()
	b := newBound(t, rs.DPoPAllowed)
	proof := b.proof()
	b.wantDPoPRefused("another token", b.send("DPoP "+b.JWT(b.claims(b.key)), proof), "invalid_dpop_proof")
	b.wantAccepted("its own", b.send("DPoP "+b.token, proof))
}

type replays func() (bool, error)

func (f replays) Use(context.Context, [sha256.Size]byte, time.Time) (bool, error) { return f() }

func TestSharedReplays(t *testing.T) {
	t.Parallel()
	var failure error
	first := true
	a := newAPI(t, func(c *rs.Config) {
		c.DPoP, c.Replays = rs.DPoPAllowed, replays(func() (bool, error) { return first, failure })
	})
	b := bound{api: a, key: rstest.NewKey("ES256")}
	b.token = a.JWT(b.claims(b.key))
	b.wantAccepted("first", b.send("DPoP "+b.token, b.proof()))
	first = false
	b.wantDPoPRefused("used at another node", b.send("DPoP "+b.token, b.proof()), "invalid_dpop_proof")
	first, failure = true, errors.New("the database is away")
	b.wantUnavailable("nobody knows", b.send("DPoP "+b.token, b.proof()))
}

func payloadOf(t *testing.T, token string) []byte {
	t.Helper()
	payload, err := base64.RawURLEncoding.DecodeString(strings.Split(token, ".")[1])
	if err != nil {
		t.Fatal(err)
	}
	return payload
}
