package issuer

import (
	"strings"
	"testing"
)

func FuzzParseKeys(f *testing.F) {
	f.Add([]byte(`{"keys":[{"kty":"OKP","crv":"Ed25519","kid":"1","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}`))
	f.Add([]byte(`{"keys":[{"kty":"oct","k":"AAAA"},{"kty":"AKP"}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		keys, _ := parseKeys(data)
		for _, k := range keys {
			if _, secret := k.public.([]byte); secret || len(k.algs) == 0 {
				t.Errorf("got key %+v", k)
			}
		}
	})
}

// FuzzParseHeader: no panic; what is read has three parts and no extension that
// went unseen.
func FuzzParseHeader(f *testing.F) {
	f.Add("eyJhbGciOiJFUzI1NiIsImtpZCI6IjEifQ.e30.AAAA")
	f.Add("eyJhbGciOiJub25lIn0.e30.")
	f.Fuzz(func(t *testing.T, token string) {
		h, err := ParseHeader(token)
		if err != nil {
			return
		}
		_, crit := h.Object["crit"]
		if strings.Count(token, ".") != 2 || crit && h.Extension == "" {
			t.Errorf("got %+v of %q", h, token)
		}
	})
}

// FuzzParseObject: what is accepted has each member once, and reads back.
func FuzzParseObject(f *testing.F) {
	f.Add([]byte(`{"a":{"b":[1,"x",null]},"A":1}`))
	f.Add([]byte(`{"a":1,"a":2}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		object, err := ParseObject(data)
		if err != nil {
			return
		}
		for name := range object {
			var v any
			if _, err := object.Decode(name, &v); err != nil {
				t.Errorf("%q of %s: %v", name, data, err)
			}
		}
	})
}
