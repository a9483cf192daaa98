package keys_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/sallyport-id/sallyport/internal/keys"
)

func TestDecodeClaimsIsStrict(t *testing.T) {
	t.Parallel()
	type claims struct {
		Subject string `json:"sub"`
		Expiry  int64  `json:"exp"`
	}
	for _, c := range []struct {
		name, payload string
		want          claims
		ok            bool
	}{
		{"plain", `{"sub":"a","exp":1}`, claims{"a", 1}, true},
		{"unknown names", `{"sub":"a","x":{"y":[1,null]}}`, claims{"a", 0}, true},
		{"white space", " \n{\"sub\" : \"a\"}\t", claims{"a", 0}, true},
		{"other case is another name", `{"sub":"a","SUB":"b","Exp":2}`, claims{"a", 0}, true},
		{"twice", `{"sub":"a","sub":"b"}`, claims{}, false},
		{"twice, escaped", `{"sub":"a","s\u0075b":"b"}`, claims{}, false},
		{"twice below", `{"sub":"a","cnf":{"jkt":"1","jkt":"2"}}`, claims{}, false},
		{"two objects", `{"sub":"a"}{"sub":"b"}`, claims{}, false},
		{"something after", `{"sub":"a"} x`, claims{}, false},
		{"array", `[{"sub":"a"}]`, claims{}, false},
		{"null", `null`, claims{}, false},
		{"string", `"sub"`, claims{}, false},
		{"empty", ``, claims{}, false},
		{"wrong type", `{"sub":1}`, claims{}, false},
		{"number as text", `{"exp":"1"}`, claims{}, false},
		{"fraction", `{"exp":1.5}`, claims{}, false},
		{"not UTF-8", "{\"sub\":\"\xff\"}", claims{}, false},
		{"cut", `{"sub":"a"`, claims{}, false},
		{"too long", `{"sub":"` + strings.Repeat("a", 64<<10) + `"}`, claims{}, false},
		{"too deep", `{"x":` + strings.Repeat("[", 30000) + strings.Repeat("]", 30000) + `}`, claims{}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var got claims
			err := keys.DecodeClaims([]byte(c.payload), &got)
			if (err == nil) != c.ok || c.ok && got != c.want {
				t.Errorf("DecodeClaims(%.60s) = %+v, %v; want %+v, accepted: %v", c.payload, got, err, c.want, c.ok)
			}
		})
	}
}

// FuzzDecodeClaims: what is accepted is JSON, and stands once: written out and
// read again it is the same.
func FuzzDecodeClaims(f *testing.F) {
	for _, seed := range []string{`{"sub":"a","exp":1}`, `{"a":{"b":[1,2,{"c":null}]}}`, `{"a":1,"a":2}`, `{"\u0000":"\ud800"}`, `[]`, `{"a":1e999}`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, payload []byte) {
		var strict map[string]any
		if keys.DecodeClaims(payload, &strict) != nil {
			return
		}
		if !json.Valid(payload) {
			t.Fatalf("accepted %q, which is not JSON", payload)
		}
		var lax map[string]any
		if err := json.Unmarshal(payload, &lax); err != nil || len(lax) != len(strict) {
			t.Fatalf("%q: %d names, %v; encoding/json: %d", payload, len(strict), err, len(lax))
		}
		if got := strings.Count(string(payload), ":"); got < len(strict) {
			t.Fatalf("%q: %d names from %d colons", payload, len(strict), got)
		}
	})
}
