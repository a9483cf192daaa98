package oidc

import (
	"net/url"
	"strings"
	"unicode/utf8"
)

// The lengths of single parameters, in bytes. What is longer is refused, never
// cut.
const (
	longestParam  = 4096
	longestClaims = 16 << 10
	longestHint   = 16 << 10 // an ID token

	mostWords = 128 // in a list of words
)

// params reads parameters one by one and keeps the first thing that was wrong.
type params struct {
	values url.Values
	err    *Error
}

// text returns a parameter that is sent at most once (RFC 6749 §3.1). One
// without a value counts as omitted. Control characters are in none.
func (p *params) text(name string, longest int) string {
	list := p.values[name]
	if len(list) == 0 {
		return ""
	}
	switch value := list[0]; {
	case len(list) > 1:
		p.fail(Errorf(InvalidRequest, "%s is sent more than once", name))
	case len(value) > longest:
		p.fail(Errorf(InvalidRequest, "%s is longer than %d bytes", name, longest))
	case !printable(value):
		p.fail(Errorf(InvalidRequest, "%s has characters that are not allowed", name))
	default:
		return value
	}
	return ""
}

// words returns a parameter that is a list of words, with spaces between them
// and nothing else (RFC 6749 §3.3).
func (p *params) words(name string) []string {
	words := strings.FieldsFunc(p.text(name, longestParam), func(r rune) bool { return r == ' ' })
	switch {
	case len(words) == 0:
		return nil
	case len(words) > mostWords:
		p.fail(Errorf(InvalidRequest, "%s has more than %d words", name, mostWords))
		return nil
	}
	return words
}

// fail keeps the first error: the order of reading is the order of answering.
func (p *params) fail(err *Error) {
	if p.err == nil {
		p.err = err
	}
}

// printable: valid UTF-8 without control characters.
func printable(s string) bool {
	return utf8.ValidString(s) && !strings.ContainsFunc(s, func(r rune) bool {
		return r < 0x20 || r >= 0x7f && r < 0xa0
	})
}
