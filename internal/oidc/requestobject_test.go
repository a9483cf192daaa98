package oidc_test

import (
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/sallyport-id/sallyport/internal/oidc"
)

// objectClaims are those of a good request object, changed by pairs; nil takes one away.
func objectClaims(now time.Time, change ...any) map[string]any {
	claims := map[string]any{"iss": "shop", "aud": issuer, "exp": now.Add(time.Minute).Unix(), "nbf": now.Unix(), "client_id": "shop",
		"redirect_uri": "https://shop.example/cb", "response_type": "code", "scope": "openid", "state": "inside"}
	for i := 0; i < len(change); i += 2 {
		if claims[change[i].(string)] = change[i+1]; change[i+1] == nil {
			delete(claims, change[i].(string))
		}
	}
	return claims
}

func TestRequestObject(t *testing.T) {
	t.Parallel()
	now := time.Unix(1_800_000_000, 0)
	key, other := newKey(t, "ES256", "k"), newKey(t, "ES256", "k")
	seconds := func(d time.Duration) int64 { return now.Add(d).Unix() }
	type header = map[jose.HeaderKey]any
	good := sign(t, key, objectClaims(now), nil)
	mac := sign(t, jose.JSONWebKey{Key: []byte(strings.Repeat("k", 32)), KeyID: "k", Algorithm: "HS256"}, objectClaims(now), nil)
	for _, tt := range []struct{ name, text, want string }{
		{"good", good, ""},
		{"its typ", sign(t, key, objectClaims(now), header{"typ": oidc.RequestObjectType}), ""},
		{"several audiences", sign(t, key, objectClaims(now, "aud", []string{"https://other.example", issuer}), nil), ""},
		{"nbf 8 seconds ahead", sign(t, key, objectClaims(now, "nbf", seconds(8*time.Second)), nil), ""},
		{"numbers, objects and lists", sign(t, key, objectClaims(now, "max_age", 60, "claims", map[string]any{"id_token": map[string]any{}}, "resource", []string{"https://a.example"}, "x", 1), nil), ""},
		{"alg none", "eyJhbGciOiJub25lIn0." + strings.Split(good, ".")[1] + ".", "algorithm"},
		{"a MAC", mac, "algorithm"},
		{"signed by another", sign(t, other, objectClaims(now), nil), "not signed"},
		{"an ID token's typ", sign(t, key, objectClaims(now), header{"typ": "at+jwt"}), "typ"},
		{"no iss", sign(t, key, objectClaims(now, "iss", nil), nil), "iss"},
		{"another client_id", sign(t, key, objectClaims(now, "client_id", "bank"), nil), "client_id"},
		{"no client_id", sign(t, key, objectClaims(now, "client_id", nil), nil), "client_id"},
		{"another aud", sign(t, key, objectClaims(now, "aud", "https://other.example"), nil), "aud"},
		{"no exp", sign(t, key, objectClaims(now, "exp", nil), nil), "exp is missing"},
		{"no nbf", sign(t, key, objectClaims(now, "nbf", nil), nil), "nbf is missing"},
		{"expired", sign(t, key, objectClaims(now, "exp", seconds(-time.Minute), "nbf", seconds(-2*time.Minute)), nil), "expired"},
		{"for more than an hour", sign(t, key, objectClaims(now, "exp", seconds(time.Hour+time.Second)), nil), "hour"},
		{"of more than an hour ago", sign(t, key, objectClaims(now, "nbf", seconds(-62*time.Minute)), nil), "hour"},
		{"nbf ahead", sign(t, key, objectClaims(now, "nbf", seconds(61*time.Second)), nil), "nbf"},
		{"request inside", sign(t, key, objectClaims(now, "request", "x"), nil), "no place"},
		{"request_uri inside", sign(t, key, objectClaims(now, "request_uri", "x"), nil), "no place"},
		{"sub, as an assertion has", sign(t, key, objectClaims(now, "sub", "shop"), nil), "sub"},
		{"a number for a string", sign(t, key, objectClaims(now, "scope", 1), nil), "not a string"},
	} {
		c := signer(t, key)
		c.RequireSigned = true
		v, refusal := oidc.OpenRequestObject(c, keysOf(t, c), url.Values{"client_id": {"shop"}, "request": {tt.text}, "state": {"outside"}, "nonce": {"outside"}}, issuer, now)
		switch {
		case (refusal == nil) != (tt.want == "") || refusal != nil && (refusal.Code != oidc.InvalidRequestObject || !strings.Contains(refusal.Description, tt.want)):
			t.Errorf("%s: got %v, want invalid_request_object with %q", tt.name, refusal, tt.want)
		case refusal == nil && (v.Get("state") != "inside" || v.Get("nonce") != "" || v.Get("iss") != ""):
			t.Errorf("%s: got %v, want what is inside alone", tt.name, v)
		}
	}
	for what, v := range map[string]url.Values{
		"with request_uri": {"client_id": {"shop"}, "request": {good}, "request_uri": {"https://shop.example/r"}}, "twice": {"client_id": {"shop"}, "request": {good, good}},
		"client_id twice": {"client_id": {"shop", "shop"}, "request": {good}},
	} {
		c := signer(t, key)
		if _, refusal := oidc.OpenRequestObject(c, keysOf(t, c), v, issuer, now); refusal == nil || refusal.Code != oidc.InvalidRequest {
			t.Errorf("%s: got %v, want invalid_request", what, refusal)
		}
	}
}

func FuzzOpenRequestObject(f *testing.F) {
	now := time.Unix(1_800_000_000, 0)
	key := newKey(f, "ES256", "k")
	c := signer(f, key)
	f.Add(`{"iss":"shop","aud":"` + issuer + `","exp":1800000060,"client_id":"shop","max_age":1,"claims":{},"resource":["a"]}`)
	f.Fuzz(func(t *testing.T, payload string) {
		s, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: key}, nil)
		if err != nil {
			t.Fatal(err)
		}
		jws, err := s.Sign([]byte(payload))
		if err != nil {
			return
		}
		text, err := jws.CompactSerialize()
		if err != nil {
			return
		}
		v, refusal := oidc.OpenRequestObject(c, keysOf(t, c), url.Values{"request": {text}}, issuer, now)
		if refusal == nil && (v.Get("client_id") != "shop" || v.Has("request") || v.Has("request_uri") || v.Has("sub")) {
			t.Errorf("got %v of %s", v, payload)
		}
	})
}
