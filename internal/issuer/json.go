package issuer

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"time"
	"unicode/utf8"
)

const deepestJSON = 32

// An Object has the members of a JSON object by their exact names. encoding/json
// would match them whatever their case and let the last of several win.
type Object map[string]json.RawMessage

// Decode stores a member in what v points to, as json.Unmarshal does, and
// reports whether it is there. One that is null counts as missing.
func (o Object) Decode(name string, v any) (bool, error) {
	raw, ok := o[name]
	if !ok || string(raw) == "null" {
		return false, nil
	}
	if err := json.Unmarshal(raw, v); err != nil {
		return false, fmt.Errorf("%s is no %T", name, v)
	}
	return true, nil
}

// ParseObject reads one JSON object. It refuses a name that occurs twice, at any
// depth, invalid UTF-8 and whatever follows the object.
func ParseObject(data []byte) (Object, error) {
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

// A Reader reads members of known types and keeps the first error, so that many
// can be read in a row. What is missing reads as zero.
type Reader struct {
	Object Object
	Err    error
}

// Decode stores a member in what v points to and reports whether it is there.
func (r *Reader) Decode(name string, v any) bool {
	ok, err := r.Object.Decode(name, v)
	if err != nil && r.Err == nil {
		r.Err = err
	}
	return ok
}

// Text reads a string.
func (r *Reader) Text(name string) (s string) {
	r.Decode(name, &s)
	return s
}

// Flag reads a boolean.
func (r *Reader) Flag(name string) (b bool) {
	r.Decode(name, &b)
	return b
}

// Texts reads an array of strings.
func (r *Reader) Texts(name string) (list []string) {
	r.Decode(name, &list)
	return list
}

// OneOrMore reads a string or an array of strings (RFC 7519 §4.1.3).
func (r *Reader) OneOrMore(name string) []string {
	if raw := r.Object[name]; len(raw) > 0 && raw[0] == '"' {
		return []string{r.Text(name)}
	}
	return r.Texts(name)
}

// Instant reads a NumericDate, seconds since 1970 (RFC 7519 §2); zero if missing.
func (r *Reader) Instant(name string) time.Time {
	var seconds float64
	if !r.Decode(name, &seconds) {
		return time.Time{}
	}
	if seconds <= 0 || seconds > 1<<40 {
		if r.Err == nil {
			r.Err = fmt.Errorf("%s is no date", name)
		}
		return time.Time{}
	}
	whole, part := math.Modf(seconds)
	return time.Unix(int64(whole), int64(part*1e9))
}
