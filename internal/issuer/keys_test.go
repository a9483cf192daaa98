package issuer

import (
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// keyJSON is a key as a server would publish it.
func keyJSON(t *testing.T, public any, id, use, alg string) string {
	t.Helper()
	text, err := json.Marshal(jose.JSONWebKey{Key: public, KeyID: id, Use: use, Algorithm: alg})
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestParseKeysOneByOne(t *testing.T) {
	t.Parallel()
	p256, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	p384, _ := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	ed, private, _ := ed25519.GenerateKey(rand.Reader)
	long, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	short := new(big.Int).Rsh(long.N, 1) // rsa.GenerateKey may refuse to
	tests := []struct{ id, text, want string }{
		{"ec", keyJSON(t, p256.Public(), "ec", "sig", ""), "[ES256]"},
		{"ed", keyJSON(t, ed, "ed", "", "EdDSA"), "[EdDSA]"},
		{"rsa", keyJSON(t, long.Public(), "rsa", "sig", ""), "[RS256 PS256]"},
		{"pss", keyJSON(t, long.Public(), "pss", "sig", "PS256"), "[PS256]"},
		{"short", keyJSON(t, &rsa.PublicKey{N: short, E: 65537}, "short", "sig", ""), ""},
		{"p384", keyJSON(t, p384.Public(), "p384", "sig", ""), ""},
		{"enc", keyJSON(t, p256.Public(), "enc", "enc", ""), ""},
		{"rs512", keyJSON(t, long.Public(), "rs512", "sig", "RS512"), ""},
		{"private", keyJSON(t, private, "private", "sig", ""), ""},
		{"oct", keyJSON(t, []byte("0123456789abcdef0123456789abcdef"), "oct", "sig", "HS256"), ""},
		{"akp", `{"kty":"AKP","kid":"akp","alg":"ML-DSA-44","pub":"AAAA"}`, ""},
		{"off", `{"kty":"EC","crv":"P-256","kid":"off","x":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA","y":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"}`, ""},
		{"junk", `"junk"`, ""},
	}
	var all []string
	for _, test := range tests {
		all = append(all, test.text)
	}
	keys, err := parseKeys([]byte(`{"keys":[` + strings.Join(all, ",") + `]}`))
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, k := range keys {
		got[k.id] = fmt.Sprint(k.algs)
	}
	for _, test := range tests {
		if got[test.id] != test.want {
			t.Errorf("%s: got %q, want %q", test.id, got[test.id], test.want)
		}
	}
}

func TestKeyWithoutIDMustBeTheOnlyOne(t *testing.T) {
	t.Parallel()
	one := keySet{{"a", []jose.SignatureAlgorithm{jose.ES256}, nil}, {"b", []jose.SignatureAlgorithm{jose.EdDSA}, nil}}
	two := append(one, key{"c", []jose.SignatureAlgorithm{jose.ES256}, nil})
	tests := []struct {
		set  keySet
		id   string
		want string // "" for none
	}{{one, "", "a"}, {two, "", ""}, {two, "c", "c"}, {two, "b", ""}, {two, "d", ""}}
	for i, test := range tests {
		if got, _ := test.set.find(test.id, jose.ES256); got.id != test.want {
			t.Errorf("%d: got %q, want %q", i, got.id, test.want)
		}
	}
}

// While the server is away, a key that is new to us is not said to be none.
func TestNewKeyWhileTheServerIsAway(t *testing.T) {
	t.Parallel()
	now := time.Unix(1e9, 0)
	var failure error
	k := &Keys{NewCache(func() time.Time { return now }, func(context.Context, string) (keySet, Version, error) {
		return keySet{{"a", []jose.SignatureAlgorithm{jose.ES256}, "public"}}, Version{}, failure
	})}
	find := func(what, id string, want error) {
		t.Helper()
		if _, err := k.Find(t.Context(), id, jose.ES256); !errors.Is(err, want) {
			t.Errorf("%s: got %v, want %v", what, err, want)
		}
	}
	find("known", "a", nil)
	find("unknown", "b", ErrNoKey)
	now, failure = now.Add(refetchPeriod), errors.New("down")
	find("new, while it is away", "b", failure)
	find("new, at once again", "b", failure)
	find("known, while it is away", "a", nil)
}

// Keys are asked for with the entity tag that came, as soon as the server says that
// they are old; a key that is withdrawn is gone then.
func TestKeysAreAskedForAgain(t *testing.T) {
	t.Parallel()
	p256, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	ids := []string{"a", "b"}
	var full, same int
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		etag := `"` + strings.Join(ids, "") + `"`
		w.Header().Set("ETag", etag)
		w.Header().Set("Cache-Control", "public, max-age=300")
		if r.Header.Get("If-None-Match") == etag {
			same++
			w.WriteHeader(http.StatusNotModified)
			return
		}
		full++
		var keys []string
		for _, id := range ids {
			keys = append(keys, keyJSON(t, p256.Public(), id, "sig", ""))
		}
		fmt.Fprintf(w, `{"keys":[%s]}`, strings.Join(keys, ","))
	}))
	t.Cleanup(server.Close)
	now := time.Unix(1e9, 0)
	k := NewKeys(func() time.Time { return now }, NewClient(nil, "test"), func(context.Context) (string, error) { return server.URL, nil })
	for _, step := range []struct {
		after      time.Duration
		ids        []string // published from then on
		full, same int      // answers in all
		b          error    // of looking for the second key
	}{
		{0, ids, 1, 0, nil},
		{299 * time.Second, ids, 1, 0, nil},
		{time.Second, ids, 1, 1, nil},
		{299 * time.Second, ids, 1, 1, nil},
		{time.Second, []string{"a"}, 2, 1, ErrNoKey},
	} {
		now, ids = now.Add(step.after), step.ids
		_, errA := k.Find(t.Context(), "a", jose.ES256)
		_, errB := k.Find(t.Context(), "b", jose.ES256)
		if errA != nil || !errors.Is(errB, step.b) || full != step.full || same != step.same {
			t.Errorf("%+v: got %v, %v after %d answers and %d times \"not modified\"", step, errA, errB, full, same)
		}
	}
}
