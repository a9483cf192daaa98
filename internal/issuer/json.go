package issuer

import (
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
	var object Object
	if err := json.Unmarshal(data, &object); err != nil || object == nil {
		return nil, errors.New("not a JSON object")
	}
	w := walker{data: data}
	if err := w.value(0); err != nil {
		return nil, err
	}
	return object, nil
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
