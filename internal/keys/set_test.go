package keys_test

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/sallyport-id/sallyport/internal/keys"
)

var (
	algs   = []string{keys.RS256, keys.ES256, keys.EdDSA}
	claims = []byte(`{"iss":"https://id.example.com","sub":"u1","aud":"shop","exp":1800000000,"iat":1799999700,"auth_time":1799999690,"acr":"urn:sallyport:acr:2fa","amr":["pwd","otp","mfa"]}`)
)

func generate(t testing.TB, alg string) *keys.Key {
	t.Helper()
	k, err := keys.GenerateKey(alg)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func newSet(t testing.TB, list ...*keys.Key) *keys.Set {
	t.Helper()
	s, err := keys.NewSet(list)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func sign(t testing.TB, s *keys.Set, alg, typ string) string {
	t.Helper()
	jws, err := s.Sign(alg, typ, claims)
	if err != nil {
		t.Fatal(err)
	}
	return jws
}

// published is the key set as a foreign verifier reads it.
func published(t testing.TB, s *keys.Set) jose.JSONWebKeySet {
	t.Helper()
	body, _ := s.JWKS()
	var set jose.JSONWebKeySet
	if err := json.Unmarshal(body, &set); err != nil {
		t.Fatal(err)
	}
	return set
}

// TestSignedTokensVerifyElsewhere: go-jose accepts what is signed by hand, with
// nothing but the published keys.
func TestSignedTokensVerifyElsewhere(t *testing.T) {
	t.Parallel()
	for _, alg := range algs {
		for _, typ := range []string{keys.TypeJWT, keys.TypeAccessToken, keys.TypeLogoutToken} {
			t.Run(alg+" "+typ, func(t *testing.T) {
				t.Parallel()
				s := newSet(t, generate(t, alg))
				jws, err := jose.ParseSignedCompact(sign(t, s, alg, typ), []jose.SignatureAlgorithm{jose.SignatureAlgorithm(alg)})
				if err != nil {
					t.Fatal(err)
				}
				header := jws.Signatures[0].Protected
				if got := header.ExtraHeaders[jose.HeaderType]; got != typ {
					t.Errorf("typ = %v, want %s", got, typ)
				}
				public := published(t, s)
				found := public.Key(header.KeyID)
				if len(found) != 1 {
					t.Fatalf("kid %q names %d published keys, want 1", header.KeyID, len(found))
				}
				payload, err := jws.Verify(found[0])
				if err != nil || !bytes.Equal(payload, claims) {
					t.Errorf("Verify = %s, %v; want the claims", payload, err)
				}
			})
		}
	}
}

// TestES256SignatureHasFixedLength: one r or s in 128 is shorter than 32 bytes
// and must be padded (RFC 7518 §3.4).
func TestES256SignatureHasFixedLength(t *testing.T) {
	t.Parallel()
	s := newSet(t, generate(t, keys.ES256))
	for range 1500 {
		jws := sign(t, s, keys.ES256, keys.TypeJWT)
		signature, err := base64.RawURLEncoding.DecodeString(jws[strings.LastIndex(jws, ".")+1:])
		if err != nil || len(signature) != 64 {
			t.Fatalf("signature of %d bytes, %v; want 64", len(signature), err)
		}
		if _, err := s.Verify(jws, keys.ES256); err != nil {
			t.Fatalf("Verify(%s): %v", jws, err)
		}
	}
}

func TestSignRefusesWhatItHasNoKeyFor(t *testing.T) {
	t.Parallel()
	s := newSet(t, generate(t, keys.ES256))
	for _, c := range []struct{ alg, typ string }{
		{keys.RS256, keys.TypeJWT}, {"none", keys.TypeJWT}, {"", ""}, {keys.ES256, "dpop+jwt"}, {keys.ES256, ""},
	} {
		if got, err := s.Sign(c.alg, c.typ, claims); err == nil {
			t.Errorf("Sign(%q, %q) = %s; want an error", c.alg, c.typ, got)
		}
	}
	if _, ok := s.Signer(keys.RS256); ok {
		t.Error("Signer(RS256) of a set with an ES256 key only")
	}
}

// TestJWKSHoldsPublicKeysOnly (RFC 7517 §9.2): each key with kid, use and alg,
// and no member that is not public.
func TestJWKSHoldsPublicKeysOnly(t *testing.T) {
	t.Parallel()
	s := newSet(t, generate(t, keys.RS256), generate(t, keys.ES256), generate(t, keys.EdDSA))
	body, etag := s.JWKS()
	var set struct{ Keys []map[string]string }
	if err := json.Unmarshal(body, &set); err != nil || len(set.Keys) != 3 {
		t.Fatalf("JWKS = %s, %v; want three keys", body, err)
	}
	want := map[string]string{
		"RSA": "RS256 kty,kid,use,alg,n,e",
		"EC":  "ES256 kty,kid,use,alg,crv,x,y",
		"OKP": "EdDSA kty,kid,use,alg,crv,x",
	}
	for _, k := range set.Keys {
		alg, members, _ := strings.Cut(want[k["kty"]], " ")
		delete(want, k["kty"])
		if k["alg"] != alg || k["use"] != "sig" || k["kid"] == "" {
			t.Errorf("key %v; want alg %s, use sig and a kid", k, alg)
		}
		for _, member := range strings.Split(members, ",") {
			delete(k, member)
		}
		if len(k) != 0 {
			t.Errorf("%s key has also %v", alg, k)
		}
	}
	if _, again := newSet(t, generate(t, keys.ES256)).JWKS(); etag == again || !strings.HasPrefix(etag, `"`) {
		t.Errorf("entity tags of two sets: %s and %s", etag, again)
	}
	if empty, _ := newSet(t).JWKS(); string(empty) != `{"keys":[]}` {
		t.Errorf("empty set = %s", empty)
	}
}

// TestKeyIDIsThumbprint: the example key of RFC 8037 App. A.1 and its thumbprint
// of App. A.3.
func TestKeyIDIsThumbprint(t *testing.T) {
	t.Parallel()
	seed, err := base64.RawURLEncoding.DecodeString("nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A")
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(ed25519.NewKeyFromSeed(seed))
	if err != nil {
		t.Fatal(err)
	}
	k, err := keys.ParsePrivate(keys.EdDSA, der)
	if err != nil {
		t.Fatal(err)
	}
	if want := "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"; k.ID != want {
		t.Errorf("kid = %s, want %s", k.ID, want)
	}

	ec := generate(t, keys.ES256)
	jwk := published(t, newSet(t, ec)).Keys[0]
	raw, err := jwk.MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	var p struct{ X, Y string }
	if err := json.Unmarshal(raw, &p); err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(fmt.Appendf(nil, `{"crv":"P-256","kty":"EC","x":"%s","y":"%s"}`, p.X, p.Y)) // RFC 7638 §3.2
	if want := base64.RawURLEncoding.EncodeToString(sum[:]); ec.ID != want {
		t.Errorf("kid = %s, want %s", ec.ID, want)
	}
}

func TestPrivateKeyRoundTrip(t *testing.T) {
	t.Parallel()
	for _, alg := range algs {
		k := generate(t, alg)
		der, err := k.MarshalPrivate()
		if err != nil {
			t.Fatal(err)
		}
		for _, as := range algs {
			got, err := keys.ParsePrivate(as, der)
			if (err == nil) != (as == alg) {
				t.Errorf("%s key read as %s: %v", alg, as, err)
			}
			if err == nil && got.ID != k.ID {
				t.Errorf("%s: kid %s comes back as %s", alg, k.ID, got.ID)
			}
		}
	}
	if _, err := keys.GenerateKey("HS256"); err == nil {
		t.Error("a key for HS256 was made")
	}
}

func TestShortRSAKeyIsRefused(t *testing.T) {
	t.Parallel()
	short, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Skipf("this Go makes none: %v", err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(short)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := keys.ParsePrivate(keys.RS256, der); err == nil {
		t.Error("an RSA key of 1024 bits is taken")
	}
}

// TestVerifyTakesNothingFromTheToken (RFC 8725 §3.1, §3.11).
func TestVerifyTakesNothingFromTheToken(t *testing.T) {
	t.Parallel()
	ours, theirs := generate(t, keys.ES256), generate(t, keys.ES256)
	s := newSet(t, ours, generate(t, keys.EdDSA))
	good := sign(t, s, keys.ES256, keys.TypeJWT)
	part := strings.Split(good, ".")
	with := func(header string) string {
		return base64.RawURLEncoding.EncodeToString([]byte(header)) + "." + part[1]
	}
	foreign := sign(t, newSet(t, theirs), keys.ES256, keys.TypeJWT)
	cases := map[string]string{
		"empty":                     "",
		"two parts":                 part[0] + "." + part[1],
		"four parts":                good + ".AA",
		"no signature":              part[0] + "." + part[1] + ".",
		"other payload":             part[0] + ".e30." + part[2],
		"none":                      with(`{"alg":"none","kid":"`+ours.ID+`","typ":"JWT"}`) + ".",
		"HS256":                     with(`{"alg":"HS256","kid":"`+ours.ID+`","typ":"JWT"}`) + "." + part[2],
		"foreign key":               foreign,
		"foreign key under our kid": with(`{"alg":"ES256","kid":"`+ours.ID+`","typ":"JWT"}`) + foreign[strings.LastIndex(foreign, "."):],
		"jwk of its own":            joseSigned(t, theirs, ours.ID),
		"allowed, but not its kid":  with(`{"alg":"EdDSA","kid":"`+ours.ID+`","typ":"JWT"}`) + "." + part[2],
		"an access token":           sign(t, s, keys.ES256, keys.TypeAccessToken),
		"a logout token":            sign(t, s, keys.ES256, keys.TypeLogoutToken),
		"too long":                  part[0] + "." + strings.Repeat("A", 16<<10) + "." + part[2],
		"line break":                good + "\n",
	}
	for name, jws := range cases {
		if got, err := s.Verify(jws, algs...); !errors.Is(err, keys.ErrSignature) {
			t.Errorf("%s: Verify = %s, %v; want ErrSignature", name, got, err)
		}
	}
	if got, err := s.Verify(good, algs...); err != nil || !bytes.Equal(got, claims) {
		t.Errorf("Verify = %s, %v; want the claims", got, err)
	}
	for _, allowed := range [][]string{nil, {keys.RS256}, {"none"}} {
		if _, err := s.Verify(good, allowed...); !errors.Is(err, keys.ErrSignature) {
			t.Errorf("only %v allowed: %v; want ErrSignature", allowed, err)
		}
	}
	_, got, err := s.VerifyType(sign(t, s, keys.ES256, keys.TypeAccessToken), keys.TypeAccessToken, keys.ES256)
	if want := (keys.Header{KeyID: ours.ID, Alg: keys.ES256, Type: keys.TypeAccessToken}); err != nil || got != want {
		t.Errorf("VerifyType: %+v, %v; want %+v", got, err, want)
	}
}

// joseSigned is a token of a foreign key that claims a kid and brings its key.
func joseSigned(t *testing.T, k *keys.Key, kid string) string {
	t.Helper()
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: jose.JSONWebKey{Key: k.Private, KeyID: kid}},
		(&jose.SignerOptions{EmbedJWK: true}).WithType("JWT"))
	if err != nil {
		t.Fatal(err)
	}
	jws, err := signer.Sign(claims)
	if err != nil {
		t.Fatal(err)
	}
	compact, err := jws.CompactSerialize()
	if err != nil {
		t.Fatal(err)
	}
	return compact
}

// TestKeyIsPublishedBeforeItSigns, and after it stopped: security.md's order of
// a rotation.
func TestKeyIsPublishedBeforeItSigns(t *testing.T) {
	t.Parallel()
	start := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	first, next := generate(t, keys.ES256), generate(t, keys.ES256)
	next.NotBefore = start.Add(time.Hour)
	first.Retire = start.Add(2 * time.Hour)
	list := []*keys.Key{next, first}
	for _, c := range []struct {
		at        time.Duration
		signs     *keys.Key
		published int
	}{
		{0, first, 2},
		{time.Hour - 1, first, 2},
		{time.Hour, next, 2},
		{2*time.Hour - 1, next, 2},
		{2 * time.Hour, next, 1},
	} {
		s, err := keys.SetAt(list, start.Add(c.at))
		if err != nil {
			t.Fatal(err)
		}
		k, ok := s.Signer(keys.ES256)
		if got := len(published(t, s).Keys); !ok || k.ID != c.signs.ID || got != c.published {
			t.Errorf("after %v: signs with the next one: %v, %d published; want %v, %d", c.at, k == next, got, c.signs == next, c.published)
		}
	}
	early, err := keys.SetAt([]*keys.Key{next}, start)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := early.Sign(keys.ES256, keys.TypeJWT, claims); err == nil {
		t.Error("a key signed before its time")
	}
	if len(list) != 2 {
		t.Error("SetAt changed its argument")
	}
}

func TestRingIsReplacedWhileItSigns(t *testing.T) {
	t.Parallel()
	var ring keys.Ring
	if ring.Load() != nil {
		t.Fatal("the zero Ring has a set")
	}
	ring.Replace(newSet(t, generate(t, keys.EdDSA)))
	var group sync.WaitGroup
	for range 4 {
		group.Go(func() {
			for range 50 {
				s := ring.Load()
				jws, err := s.Sign(keys.EdDSA, keys.TypeJWT, claims)
				if err == nil {
					_, err = s.Verify(jws, keys.EdDSA)
				}
				if err != nil {
					t.Error(err)
				}
			}
		})
		ring.Replace(newSet(t, generate(t, keys.EdDSA)))
	}
	group.Wait()
}

func FuzzVerify(f *testing.F) {
	s := newSet(f, generate(f, keys.EdDSA), generate(f, keys.ES256))
	good := sign(f, s, keys.EdDSA, keys.TypeJWT)
	f.Add(good)
	f.Add("..")
	f.Add(base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"EdDSA","crit":["b64"],"b64":false}`)) + ".e30.AA")
	f.Fuzz(func(t *testing.T, jws string) {
		payload, err := s.Verify(jws, algs...)
		if err == nil && !bytes.Equal(payload, claims) {
			t.Errorf("Verify(%q) = %s; want only what was signed", jws, payload)
		}
	})
}

func FuzzParsePrivate(f *testing.F) {
	for _, alg := range algs[1:] {
		der, err := generate(f, alg).MarshalPrivate()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(alg, der)
	}
	f.Fuzz(func(t *testing.T, alg string, der []byte) {
		if k, err := keys.ParsePrivate(alg, der); err == nil {
			newSet(t, k)
		}
	})
}

func BenchmarkSign(b *testing.B) {
	for _, alg := range algs {
		b.Run(alg, func(b *testing.B) {
			s := newSet(b, generate(b, alg))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := s.Sign(alg, keys.TypeJWT, claims); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkVerify(b *testing.B) {
	for _, alg := range algs {
		b.Run(alg, func(b *testing.B) {
			s := newSet(b, generate(b, alg))
			jws := sign(b, s, alg, keys.TypeJWT)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := s.Verify(jws, alg); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkGenerateKey(b *testing.B) {
	for _, alg := range algs {
		b.Run(alg, func(b *testing.B) {
			for b.Loop() {
				generate(b, alg)
			}
		})
	}
}
