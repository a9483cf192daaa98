package authn

import (
	"errors"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/cases"
	"golang.org/x/text/secure/precis"
	"golang.org/x/text/unicode/norm"
)

// longestLogin is the longest login, in code points.
const longestLogin = 128

var errLogin = errors.New("authn: a login has 1 to 128 letters and digits of one script, without spaces or invisible characters")

// LoginKey returns what a login is looked up by: compatibility-normalised and
// case-folded, so that logins which read the same are the same. It refuses what
// deceives: control, invisible and direction-changing characters, symbols beyond
// ASCII, mixed scripts (RFC 8264 §4.2, RFC 8265 §3.3, UTS #39 §5.2). The key of
// a key is itself.
func LoginKey(login string) (string, error) {
	if len(login) > 4*longestLogin || !utf8.ValidString(login) {
		return "", errLogin
	}
	key, ok := fold(strings.TrimSpace(login))
	if n := utf8.RuneCountInString(key); !ok || n == 0 || n > longestLogin || !oneScript(key) {
		return "", errLogin
	}
	if _, err := precis.UsernameCaseMapped.String(key); err != nil {
		return "", errLogin
	}
	return key, nil
}

// fold is repeated until nothing changes: folding can denormalise.
func fold(s string) (string, bool) {
	s = norm.NFKC.String(s)
	for range 4 {
		folded := norm.NFKC.String(cases.Fold().String(s))
		if folded == s {
			return s, true
		}
		s = folded
	}
	return "", false
}

// oneScript allows letters and marks of one script; Han with Hangul or Kana, as
// they are written together. What all scripts share, like digits, counts for none.
func oneScript(s string) bool {
	seen := map[string]*unicode.RangeTable{}
	for _, r := range s {
		if unicode.In(r, unicode.L, unicode.M) && !seenScript(seen, r) {
			name := scriptOf(r)
			seen[name] = unicode.Scripts[name]
		}
	}
	delete(seen, "Common")
	delete(seen, "Inherited")
	if seen["Hangul"] != nil || seen["Hiragana"] != nil || seen["Katakana"] != nil {
		delete(seen, "Han")
	}
	if seen["Hiragana"] != nil {
		delete(seen, "Katakana")
	}
	return len(seen) <= 1
}

// seenScript spares the search through all scripts for every letter but the first.
func seenScript(seen map[string]*unicode.RangeTable, r rune) bool {
	for _, table := range seen {
		if unicode.Is(table, r) {
			return true
		}
	}
	return false
}

func scriptOf(r rune) string {
	if r < utf8.RuneSelf {
		return "Latin"
	}
	for name, table := range unicode.Scripts {
		if unicode.Is(table, r) {
			return name
		}
	}
	return "Common"
}
