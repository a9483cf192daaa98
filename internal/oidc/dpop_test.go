package oidc_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/sallyport-id/sallyport/internal/oidc"
)

// rfc9449 is the proof of RFC 9449 §4.1.
const rfc9449 = "eyJ0eXAiOiJkcG9wK2p3dCIsImFsZyI6IkVTMjU2IiwiandrIjp7Imt0eSI6IkVDIiwieCI6Imw4dEZyaHgtMzR0VjNoUklDUkRZOXpDa0RscEJoRjQyVVFVZldWQVdCRnMiLCJ5IjoiOVZFNGpmX09rX282NHpiVFRsY3VOSmFqSG10NnY5VERWclUwQ2R2R1JEQSIsImNydiI6IlAtMjU2In19" +
	".eyJqdGkiOiItQndDM0VTYzZhY2MybFRjIiwiaHRtIjoiUE9TVCIsImh0dSI6Imh0dHBzOi8vc2VydmVyLmV4YW1wbGUuY29tL3Rva2VuIiwiaWF0IjoxNTYyMjYyNjE2fQ" +
	".2-GxA6T8lP4vfrg8v-FdWP0A0zdrj8igiMLvqRMUvwnQg4PtFLbdLXiOSsX0x7NVY-FNyJK70nfbV37xRZT3Lg"

const tokenURL = "https://server.example.com/token"

func TestDPoPProofOfTheRFC(t *testing.T) {
	t.Parallel()
	p, err := oidc.ParseDPoPProof([]string{rfc9449}, "POST", tokenURL, time.Unix(1562262616, 0))
	if err != nil {
		t.Fatal(err)
	}
	if p.Thumbprint != "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I" || p.ID != "-BwC3ESc6acc2lTc" { // RFC 9449 §6.1
		t.Errorf("got %+v", p)
	}
	if p, err := oidc.ParseDPoPProof(nil, "POST", tokenURL, time.Now()); p != nil || err != nil {
		t.Errorf("none: got %v, %v", p, err)
	}
}

// prove signs claims with a header, as a client would.
func prove(t testing.TB, key any, alg jose.SignatureAlgorithm, header, claims map[string]any) string {
	t.Helper()
	o := &jose.SignerOptions{ExtraHeaders: map[jose.HeaderKey]any{}}
	for name, value := range header {
		o.ExtraHeaders[jose.HeaderKey(name)] = value
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: alg, Key: key}, o)
	if err != nil {
		t.Fatal(err)
	}
	body, err := json.Marshal(claims)
	if err != nil {
		t.Fatal(err)
	}
	jws, err := signer.Sign(body)
	if err != nil {
		t.Fatal(err)
	}
	text, err := jws.CompactSerialize()
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// fapi2-security-profile-final-dpop-negative-tests, and what RFC 9449 §4.3 says.
func TestDPoPProofIsChecked(t *testing.T) {
	t.Parallel()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	other, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	p384, _ := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	weak, _ := rsa.GenerateKey(rand.Reader, 1024)
	strong, _ := rsa.GenerateKey(rand.Reader, 2048)
	public := func(k any) jose.JSONWebKey { return jose.JSONWebKey{Key: k} }
	now := time.Unix(1764300000, 0)
	type m = map[string]any
	good := func() (header, claims m) {
		return m{"typ": "dpop+jwt", "jwk": public(&key.PublicKey)}, m{"jti": "j1", "htm": "POST", "htu": tokenURL, "iat": now.Unix()}
	}
	with := func(of string, change m) string {
		h, c := good()
		into := c
		if of == "header" {
			into = h
		}
		for name, value := range change {
			if into[name] = value; value == nil {
				delete(into, name)
			}
		}
		return prove(t, key, jose.ES256, h, c)
	}
	plain := with("", nil)
	h, c := good()
	for name, tt := range map[string]struct {
		headers []string
		why     string // "": it is good
	}{
		"good":                     {[]string{plain}, ""},
		"with a query":             {[]string{with("", m{"htu": tokenURL + "?a=b#c"})}, ""},
		"in capitals, with a port": {[]string{with("", m{"htu": "HTTPS://Server.Example.com:443/token"})}, ""},
		"more than is known":       {[]string{with("", m{"foo": 1})}, ""},
		"a header more":            {[]string{with("header", m{"foo": "bar"})}, ""},
		"a nonce":                  {[]string{with("", m{"nonce": "n"})}, ""},
		"a minute old":             {[]string{with("", m{"iat": now.Unix() - 60})}, ""},
		"PS256":                    {[]string{prove(t, strong, jose.PS256, m{"typ": "dpop+jwt", "jwk": public(&strong.PublicKey)}, c)}, ""},

		"two":                {[]string{plain, plain}, "more than one"},
		"no JWT":             {[]string{"abc"}, "compact JWS"},
		"nothing":            {[]string{""}, "compact JWS"},
		"with a line break":  {[]string{plain[:20] + "\n" + plain[20:]}, "compact JWS"},
		"too long":           {[]string{strings.Repeat("a", 9000)}, "too long"},
		"no typ":             {[]string{with("header", m{"typ": nil})}, "typ"},
		"typ JWT":            {[]string{with("header", m{"typ": "JWT"})}, "typ"},
		"no jwk":             {[]string{with("header", m{"jwk": nil})}, "jwk"},
		"a private key":      {[]string{with("header", m{"jwk": jose.JSONWebKey{Key: key}})}, "compact JWS"},
		"a symmetric key":    {[]string{with("header", m{"jwk": jose.JSONWebKey{Key: []byte("secret")}})}, "compact JWS"},
		"another's key":      {[]string{with("header", m{"jwk": public(&other.PublicKey)})}, "signature"},
		"a changed claim":    {[]string{plain[:strings.LastIndex(plain, ".")] + plain[strings.LastIndex(plain, "."):][:10] + "AAAA" + plain[strings.LastIndex(plain, ".")+14:]}, "signature"},
		"crit":               {[]string{with("header", m{"crit": []string{"foo"}, "foo": 1})}, ""},
		"RS256":              {[]string{prove(t, strong, jose.RS256, m{"typ": "dpop+jwt", "jwk": public(&strong.PublicKey)}, c)}, "algorithm"},
		"HS256":              {[]string{prove(t, []byte(strings.Repeat("k", 32)), jose.HS256, h, c)}, "algorithm"},
		"ES384":              {[]string{prove(t, p384, jose.ES384, m{"typ": "dpop+jwt", "jwk": public(&p384.PublicKey)}, c)}, "algorithm"},
		"a weak key":         {[]string{prove(t, weak, jose.PS256, m{"typ": "dpop+jwt", "jwk": public(&weak.PublicKey)}, c)}, "jwk"},
		"none":               {[]string{"eyJhbGciOiJub25lIiwidHlwIjoiZHBvcCtqd3QifQ." + strings.Split(plain, ".")[1] + "."}, "algorithm"},
		"no jti":             {[]string{with("", m{"jti": nil})}, "jti"},
		"a long jti":         {[]string{with("", m{"jti": strings.Repeat("a", 129)})}, "jti"},
		"no htm":             {[]string{with("", m{"htm": nil})}, "htm"},
		"htm GET":            {[]string{with("", m{"htm": "GET"})}, "htm"},
		"htm in small":       {[]string{with("", m{"htm": "post"})}, "htm"},
		"no htu":             {[]string{with("", m{"htu": nil})}, "htu"},
		"another host":       {[]string{with("", m{"htu": "https://other.example.com/token"})}, "htu"},
		"another path":       {[]string{with("", m{"htu": tokenURL + "/"})}, "htu"},
		"http":               {[]string{with("", m{"htu": "http://server.example.com/token"})}, "htu"},
		"another port":       {[]string{with("", m{"htu": "https://server.example.com:8443/token"})}, "htu"},
		"somebody before it": {[]string{with("", m{"htu": "https://a@server.example.com/token"})}, "htu"},
		"no iat":             {[]string{with("", m{"iat": nil})}, "iat"},
		"iat as text":        {[]string{with("", m{"iat": "now"})}, "claims"},
		"an hour old":        {[]string{with("", m{"iat": now.Unix() - 3600})}, "iat"},
		"61 seconds old":     {[]string{with("", m{"iat": now.Unix() - 61})}, "iat"},
		"of the future":      {[]string{with("", m{"iat": now.Unix() + 61})}, "iat"},
		"iat beyond all":     {[]string{with("", m{"iat": 1e30})}, "iat"},
		"a long nonce":       {[]string{with("", m{"nonce": strings.Repeat("n", 257)})}, "nonce"},
	} {
		p, refusal := oidc.ParseDPoPProof(tt.headers, "POST", tokenURL, now)
		if name == "crit" { // go-jose refuses what it does not know
			tt.why = "signature"
		}
		switch {
		case tt.why == "" && (refusal != nil || p == nil || p.ID != "j1"):
			t.Errorf("%s: got %v, %v; want a proof", name, p, refusal)
		case tt.why != "" && (p != nil || refusal == nil || refusal.Code != oidc.InvalidDPoPProof || !strings.Contains(refusal.Description, tt.why)):
			t.Errorf("%s: got %v, %v; want an error about %s", name, p, refusal, tt.why)
		}
	}
	hash := m{"ath": "fUHyO2r2Z3DZ53EsNrWBb0xWXoaNy59IiKCAqksmQEo"} // RFC 9449 §7.1
	p, refusal := oidc.ParseDPoPProof([]string{with("", hash)}, "POST", tokenURL, now)
	if refusal != nil || !p.Of("Kz~8mXK1EalYznwH-LC-1fBAo.4Ljp~zsPE_NeO.gxU") || p.Of("another") || p.Of("") {
		t.Errorf("ath: got %+v, %v", p, refusal)
	}
}

func FuzzParseDPoPProof(f *testing.F) {
	at := time.Unix(1562262616, 0)
	for _, text := range []string{"", "a.b.c", rfc9449, rfc9449 + "A", strings.Replace(rfc9449, "eyJ0", "eyJ1", 1), "eyJhbGciOiJFUzI1NiIsImp3ayI6e319.e30.AA", "....", "\xff"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		p, refusal := oidc.ParseDPoPProof([]string{text}, "POST", tokenURL, at)
		if (p == nil) == (refusal == nil) {
			t.Fatalf("got %v and %v", p, refusal)
		}
		if p != nil {
			clean(t, p)
			if len(p.Thumbprint) != 43 || p.ID == "" {
				t.Errorf("got %+v", p)
			}
		}
	})
}
