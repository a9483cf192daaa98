package issuer

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"unicode/utf8"
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

// FuzzParseObject: it accepts what decodeObject accepts.
func FuzzParseObject(f *testing.F) {
	for text := range objects {
		f.Add([]byte(text))
	}
	f.Add([]byte(`{"a\ud800":1,"a\ud801":2, "b" : [ 1e5 , -0.1,"x\\",null,true ,{} ,[ ] ] }`))
	f.Fuzz(func(t *testing.T, data []byte) {
		object, err := ParseObject(data)
		want, wantErr := decodeObject(data)
		if (err == nil) != (wantErr == nil) || len(object) != len(want) {
			t.Errorf("%q: got %v, %v, want %v, %v", data, object, err, want, wantErr)
		}
	})
}

// decodeObject is ParseObject by the tokens of a json.Decoder. It is slower, and plain to see.
func decodeObject(data []byte) (Object, error) {
	if !utf8.Valid(data) {
		return nil, errors.New("not UTF-8")
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return nil, errors.New("not a JSON object")
	}
	if err := walkObject(d, 1); err != nil {
		return nil, err
	}
	var object Object
	if err := json.Unmarshal(data, &object); err != nil {
		return nil, errors.New("something follows the JSON object")
	}
	return object, nil
}

// walkObject reads to the end of an object whose brace was read.
func walkObject(d *json.Decoder, depth int) error {
	seen := map[string]bool{}
	for d.More() {
		t, err := d.Token()
		if err != nil {
			return errors.New("malformed JSON")
		}
		name, _ := t.(string)
		if seen[name] {
			return errors.New("a member occurs twice")
		}
		seen[name] = true
		if err := walkValue(d, depth); err != nil {
			return err
		}
	}
	return closeDelim(d)
}

func walkValue(d *json.Decoder, depth int) error {
	t, err := d.Token()
	if err != nil {
		return errors.New("malformed JSON")
	}
	if depth >= deepestJSON {
		return errors.New("nested too deeply")
	}
	switch t {
	case json.Delim('{'):
		return walkObject(d, depth+1)
	case json.Delim('['):
		for d.More() {
			if err := walkValue(d, depth+1); err != nil {
				return err
			}
		}
		return closeDelim(d)
	}
	return nil
}

func closeDelim(d *json.Decoder) error {
	if _, err := d.Token(); err != nil {
		return errors.New("malformed JSON")
	}
	return nil
}
