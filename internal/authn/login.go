package authn

import (
	"errors"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"
)

// longestLogin is the longest login, in code points.
const longestLogin = 128

var errLogin = errors.New("authn: a login has 1 to 128 letters, digits and marks of one script, without spaces or control characters")

// LoginKey returns what a login is looked up by: compatibility-normalised and
// case-folded, so that no two logins look the same (RFC 8265 §3.3). It refuses
// what could deceive: control and bidirectional characters, mixed scripts.
func LoginKey(login string) (string, error) {
	if len(login) > 4*longestLogin || !utf8.ValidString(login) {
		return "", errLogin
	}
	key := fold(strings.TrimSpace(login))
	n := utf8.RuneCountInString(key)
	if n == 0 || n > longestLogin || !oneScript(key) {
		return "", errLogin
	}
	for _, r := range key {
		if !unicode.IsOneOf([]*unicode.RangeTable{unicode.L, unicode.M, unicode.N, unicode.P, unicode.S}, r) {
			return "", errLogin
		}
	}
	return key, nil
}

// fold is repeated until nothing changes: folding can denormalise.
func fold(s string) string {
	for range 4 {
		folded := norm.NFKC.String(cases.Fold().String(norm.NFKC.String(s)))
		if folded == s {
			break
		}
		s = folded
	}
	return s
}

// oneScript allows letters of one script; Han with Hangul or Kana, as they are
// written together.
func oneScript(s string) bool {
	seen := map[string]bool{}
	for _, r := range s {
		if unicode.IsLetter(r) {
			seen[scriptOf(r)] = true
		}
	}
	if seen["Hangul"] || seen["Hiragana"] || seen["Katakana"] {
		delete(seen, "Han")
	}
	if seen["Hiragana"] && seen["Katakana"] {
		delete(seen, "Katakana")
	}
	return len(seen) <= 1
}

func scriptOf(r rune) string {
	if r < utf8.RuneSelf {
		return "Latin"
	}
	for name, table := range unicode.Scripts {
		if name != "Common" && name != "Inherited" && unicode.Is(table, r) {
			return name
		}
	}
	return "Common"
}
