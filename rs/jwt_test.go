package rs_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/sallyport-id/sallyport/rs"
	"github.com/sallyport-id/sallyport/rs/rstest"
)

func TestJWTAccepted(t *testing.T) {
	t.Parallel()
	for _, alg := range []string{"ES256", "RS256", "PS256", "EdDSA"} {
		t.Run(alg, func(t *testing.T) {
			t.Parallel()
			a := newAPI(t)
			a.SignWith(alg)
			a.wantAccepted(alg, a.bearer(a.JWT(a.Claims(orders, "orders:read"))))
			if a.Hits("/introspect") != 0 {
				t.Error("the server was asked about a JWT")
			}
		})
	}
}

// TestJWTClaims: what is missing, foreign, of another time or another type refuses
// the token.
func TestJWTClaims(t *testing.T) {
	t.Parallel()
	a := newAPI(t)
	seconds := func(d time.Duration) int64 { return a.Now().Add(d).Unix() }
	const missing = "(missing)"
	for name, c := range map[string]struct {
		claim string
		value any
		ok    bool
	}{
		"one of several audiences":       {"aud", []string{"https://other.example.com/", orders}, true},
		"an array of one audience":       {"aud", []string{orders}, true},
		"another API's":                  {"aud", "https://other.example.com/", false},
		"almost our audience":            {"aud", strings.TrimSuffix(orders, "/"), false},
		"an audience that begins so":     {"aud", orders + "admin", false},
		"the audience in capitals":       {"aud", strings.ToUpper(orders), false},
		"the client as audience":         {"aud", rstest.ClientID, false},
		"no audience":                    {"aud", missing, false},
		"an empty audience":              {"aud", []string{}, false},
		"an audience of another type":    {"aud", map[string]string{"a": orders}, false},
		"a number among the audiences":   {"aud", []any{orders, 1}, false},
		"an issuer with a slash":         {"iss", a.URL + "/", false},
		"another issuer":                 {"iss", "https://evil.example", false},
		"no issuer":                      {"iss", missing, false},
		"no subject":                     {"sub", missing, false},
		"an empty subject":               {"sub", "", false},
		"a number as subject":            {"sub", 7, false},
		"a subject of a kilobyte":        {"sub", strings.Repeat("s", 1024), false},
		"no client_id":                   {"client_id", missing, false},
		"no jti":                         {"jti", missing, false},
		"no iat":                         {"iat", missing, false},
		"no exp":                         {"exp", missing, false},
		"null as exp":                    {"exp", nil, false},
		"a string as exp":                {"exp", "2099-01-01", false},
		"exp before 1970":                {"exp", -1, false},
		"exp beyond all times":           {"exp", 1e300, false},
		"expired":                        {"exp", seconds(-31 * time.Second), false},
		"expired within the leeway":      {"exp", seconds(-20 * time.Second), true},
		"issued in the future":           {"iat", seconds(2 * time.Minute), false},
		"issued by a clock that is fast": {"iat", seconds(20 * time.Second), true},
		"not valid yet":                  {"nbf", seconds(2 * time.Minute), false},
		"valid since a minute":           {"nbf", seconds(-time.Minute), true},
		"a sign-in of the future":        {"auth_time", seconds(2 * time.Minute), false},
		"no scope":                       {"scope", missing, true},
		"an array as scope":              {"scope", []string{"orders:read"}, false},
		"amr as a string":                {"amr", "mfa", false},
		"acr as a number":                {"acr", 2, false},
		"bound to a certificate":         {"cnf", map[string]string{"x5t#S256": "A"}, false},
		"bound to a key":                 {"cnf", map[string]string{"jkt": "A"}, false},
		"bound to who knows what":        {"cnf", "A", false},
		"claims that nobody knows":       {"https://example.com/extra", []int{1}, true},
	} {
		claims := a.Claims(orders, "orders:read")
		claims[c.claim] = c.value
		if c.value == missing {
			delete(claims, c.claim)
		}
		w := a.bearer(a.JWT(claims))
		if c.ok {
			a.wantAccepted(name, w)
		} else {
			a.wantInvalid(name, w)
		}
	}
}

// TestJWTForgeries: what a header says never decides how it is verified, and only
// an access token is one.
func TestJWTForgeries(t *testing.T) {
	t.Parallel()
	a := newAPI(t)
	payload, _ := json.Marshal(a.Claims(orders, "orders:read"))
	good := strings.Split(a.JWT(a.Claims(orders, "orders:read")), ".")
	encode := base64.RawURLEncoding.EncodeToString
	key, kid := issuerKey(t, a)
	thief := rstest.NewKey("ES256")
	own := jose.JSONWebKey{Key: thief.Public(), KeyID: kid}

	header := func(changes ...any) map[string]any {
		h := map[string]any{"alg": "ES256", "kid": kid, "typ": "at+jwt"}
		for i := 0; i < len(changes); i += 2 {
			h[changes[i].(string)] = changes[i+1]
		}
		return h
	}
	unsigned := func(h map[string]any) string {
		text, _ := json.Marshal(h)
		return encode(text) + "." + encode(payload) + "."
	}
	hmacWith := func(secret []byte) string {
		input := strings.TrimSuffix(unsigned(header("alg", "HS256")), ".")
		mac := hmac.New(sha256.New, secret)
		mac.Write([]byte(input))
		return input + "." + encode(mac.Sum(nil))
	}
	der, _ := x509.MarshalPKIXPublicKey(key.Key)
	jwk, _ := key.MarshalJSON()
	twice := append([]byte(`{"sub":"admin",`), payload[1:]...)

	for name, token := range map[string]string{
		"alg none":                       unsigned(header("alg", "none")),
		"alg NoNe":                       unsigned(header("alg", "NoNe")),
		"no alg":                         unsigned(header("alg", nil)),
		"HS256 with the public key, DER": hmacWith(der),
		"HS256 with the public key, PEM": hmacWith(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})),
		"HS256 with the public key, JWK": hmacWith(jwk),
		"HS256 with nothing":             hmacWith(nil),
		"another's key":                  thief.Sign(header(), payload),
		"its own key in jwk":             thief.Sign(header("jwk", own), payload),
		"its own key behind jku":         thief.Sign(header("jku", "https://evil.example/jwks.json"), payload),
		"its own key behind x5u":         thief.Sign(header("x5u", "https://evil.example/cert.pem"), payload),
		"a path as kid":                  thief.Sign(header("kid", "../../../dev/null"), payload),
		"SQL as kid":                     thief.Sign(header("kid", "x' UNION SELECT 'key"), payload),
		"an empty kid":                   thief.Sign(header("kid", ""), payload),
		"an array as kid":                thief.Sign(header("kid", []string{kid}), payload),
		"RS256 for the key of ES256":     rstest.NewKey("RS256").Sign(header("alg", "RS256"), payload),
		"our claims, another signature":  strings.Split(a.JWT(a.Claims(orders, "admin")), ".")[0] + "." + encode(payload) + "." + good[2],
		"no signature":                   good[0] + "." + good[1] + ".",
		"a short signature":              good[0] + "." + good[1] + "." + good[2][:10],
		"two parts":                      good[0] + "." + good[1],
		"four parts":                     strings.Join(good, ".") + "." + good[2],
		"five parts, as if encrypted":    strings.Join(good, ".") + ".a.b",
		"padding":                        strings.Join(good, ".") + "=",
		"a token of 20 kB":               strings.Join(good, ".") + strings.Repeat("A", 20<<10),
	} {
		a.wantInvalid(name, a.bearer(token))
	}

	signed := map[string]struct {
		header  map[string]any
		payload []byte
		ok      bool
	}{
		"as it should be":        {header(), payload, true},
		"the long type":          {header("typ", "application/at+jwt"), payload, true},
		"the type in capitals":   {header("typ", "AT+JWT"), payload, true},
		"headers that are noise": {header("jku", "https://evil.example/", "x5u", "https://evil.example/", "x5t", "A"), payload, true},
		"an ID token":            {header("typ", "JWT"), payload, false},
		"no type":                {header("typ", nil), payload, false},
		"a logout token":         {header("typ", "logout+jwt"), payload, false},
		"a DPoP proof":           {header("typ", "dpop+jwt"), payload, false},
		"a critical header":      {header("crit", []string{"exp"}, "exp", 1), payload, false},
		"an empty crit":          {header("crit", []string{}), payload, false},
		"an unencoded payload":   {header("b64", false), payload, false},
		"sub twice":              {header(), twice, false},
		"an array of claims":     {header(), []byte("[]"), false},
		"no JSON":                {header(), []byte("sub=1"), false},
		"nothing":                {header(), nil, false},
		"bytes that are no text": {header(), []byte("{\"sub\":\"\xff\"}"), false},
	}
	long := a.Claims(orders, "")
	long["pad"] = strings.Repeat("A", 12<<10)
	a.wantInvalid("a good token of 17 kB", a.bearer(a.JWT(long)))
	for name, c := range signed {
		w := a.bearer(a.Sign(c.header, c.payload))
		if c.ok {
			a.wantAccepted(name, w)
		} else {
			a.wantInvalid(name, w)
		}
	}
}

// issuerKey is the key that the server publishes.
func issuerKey(t *testing.T, a api) (jose.JSONWebKey, string) {
	t.Helper()
	res, err := http.Get(a.URL + "/jwks.json")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	var set jose.JSONWebKeySet
	if err := json.NewDecoder(res.Body).Decode(&set); err != nil {
		t.Fatal(err)
	}
	return set.Keys[0], set.Keys[0].KeyID
}

// TestJWTIsNeverAskedAbout: a JWT that fails is not tried at the server; what would
// come of it is a second opinion for whoever forges.
func TestJWTIsNeverAskedAbout(t *testing.T) {
	t.Parallel()
	a := newAPI(t)
	a.wantInvalid("for another API", a.bearer(a.JWT(a.Claims("https://other.example.com/", ""))))
	a.wantInvalid("of another's key", a.bearer(rstest.NewKey("ES256").Sign(map[string]any{"alg": "ES256", "typ": "at+jwt"}, []byte("{}"))))
	if got := a.Hits("/introspect"); got != 0 {
		t.Errorf("the server was asked %d times", got)
	}
}

// TestAlgorithmsAreAList: what the API does not accept is refused, though the
// server has such a key.
func TestAlgorithmsAreAList(t *testing.T) {
	t.Parallel()
	a := newAPI(t, func(c *rs.Config) { c.Algorithms = []string{"EdDSA"} })
	a.wantInvalid("ES256", a.bearer(a.JWT(a.Claims(orders, ""))))
	a.SignWith("EdDSA")
	a.wantAccepted("EdDSA", a.bearer(a.JWT(a.Claims(orders, ""))))
}

// TestKeysRotate: a new key is found, made-up ones do not flood the server, and an
// outage refuses nobody whose key is known.
func TestKeysRotate(t *testing.T) {
	t.Parallel()
	a := newAPI(t)
	a.wantAccepted("first", a.bearer(a.JWT(a.Claims(orders, ""))))
	a.SignWith("RS256")
	a.Advance(15 * time.Second)
	a.wantAccepted("rotated", a.bearer(a.JWT(a.Claims(orders, ""))))
	before := a.Hits("/jwks.json")
	for range 50 {
		a.wantInvalid("a made-up key", a.bearer(rstest.NewKey("EdDSA").Sign(map[string]any{"alg": "EdDSA", "typ": "at+jwt", "kid": "x"}, []byte("{}"))))
	}
	if got := a.Hits("/jwks.json"); got != before {
		t.Errorf("the keys were fetched %d times more", got-before)
	}
	a.SetDown(true)
	a.Advance(2 * time.Hour)
	a.wantAccepted("while the server is away", a.bearer(a.JWT(a.Claims(orders, ""))))
	a.SignWith("ES256")
	a.wantUnavailable("a new key, while the server is away", a.bearer(a.JWT(a.Claims(orders, ""))))
	a.Advance(24 * time.Hour)
	a.SetDown(false)
	a.wantAccepted("back again", a.bearer(a.JWT(a.Claims(orders, ""))))
}

// TestUnavailableIsNoRefusal: who cannot ask says so; a client would throw away a
// good token otherwise.
func TestUnavailableIsNoRefusal(t *testing.T) {
	t.Parallel()
	a := newAPI(t)
	a.SetDown(true)
	a.wantUnavailable("a JWT", a.bearer(a.JWT(a.Claims(orders, ""))))
	a.wantUnavailable("an opaque token", a.bearer(a.Opaque(a.Claims(orders, ""))))
	a.wantRefused("no token", a.get(nil), http.StatusUnauthorized, "")
	a.SetDown(false)
	a.Advance(time.Second)
	a.wantAccepted("up again", a.bearer(a.JWT(a.Claims(orders, ""))))
}
