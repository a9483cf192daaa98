package authn

import (
	"bytes"
	"compress/gzip"
	_ "embed"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// The lengths of a password, in code points (NIST SP 800-63B-4 §3.1.1.2).
const (
	ShortestPassword      = 8  // where an account always needs a second factor
	ShortestPasswordAlone = 15 // where the password is the only factor
	LongestPassword       = 256
)

// PasswordError says why a new password is not taken. Code is a locale key;
// Limit is the number of code points that a length was measured by, 0 if it was
// not the length.
type PasswordError struct {
	Code, Reason string
	Limit        int
}

func (e *PasswordError) Error() string { return e.Reason }

// PasswordRule is what a new password must be. The zero value is the rule for
// accounts that always need a second factor.
type PasswordRule struct {
	// Shortest is the least number of code points; 0 and less than
	// ShortestPassword mean ShortestPassword.
	Shortest int
}

// CheckNewPassword checks a password by the zero PasswordRule.
func CheckNewPassword(password string, context []string) error {
	return PasswordRule{}.Check(password, context)
}

// Check returns a *PasswordError if the password is too short, longer than 256
// code points, common, made of the words of its context (the service's name, the
// login, the address), or falls to simple guesses. No rule asks for kinds of
// characters, and nothing is cut off (NIST SP 800-63B-4 §3.1.1.2). The length is
// that after NFC, which is what is hashed.
func (r PasswordRule) Check(password string, context []string) error {
	if !utf8.ValidString(password) {
		return &PasswordError{Code: "password.invalid", Reason: "the password is not valid text"}
	}
	shortest := max(r.Shortest, ShortestPassword)
	switch length := utf8.RuneCountInString(norm.NFC.String(password)); {
	case length < shortest:
		return &PasswordError{"password.short", fmt.Sprintf("the password has fewer than %d characters", shortest), shortest}
	case length > LongestPassword:
		return &PasswordError{"password.long", fmt.Sprintf("the password has more than %d characters", LongestPassword), LongestPassword}
	}
	folded, _ := fold(password)
	switch {
	case common(folded):
		return &PasswordError{Code: "password.common", Reason: "the password is one of the most common ones"}
	case ofContext(folded, context) || ofContext(readings(folded)[0], context):
		return &PasswordError{Code: "password.context", Reason: "the password is made of the login or the name of the service"}
	case guessable(folded):
		return &PasswordError{Code: "password.guessable", Reason: "the password is easy to guess"}
	}
	return nil
}

// mostDecoration is how many characters around a common password, or a word of the
// context, do not help.
const mostDecoration = 4

// blocklist is, in lower case and sorted: the 15,769 passwords of at least eight
// characters among the 47,023 most frequent ones of leaks, and of the first 10,000
// those of at least four. From data/passwords.txt of github.com/trustelem/zxcvbn
// 1.0.1 (MIT, see blocklist.LICENSE), by
//
//	(awk 'length($1)>=8{print $1}' passwords.txt; head -10000 passwords.txt |
//	 awk 'length($1)>=4{print $1}') | tr A-Z a-z | LC_ALL=C sort -u | gzip -9n
//
//go:embed blocklist.txt.gz
var blocklist []byte

// commonPasswords unpacks the list when it is first asked: in 3 ms, to 0.6 MB.
var commonPasswords = sync.OnceValue(func() []string {
	r, err := gzip.NewReader(bytes.NewReader(blocklist))
	if err != nil {
		panic("authn: embedded blocklist: " + err.Error())
	}
	text, err := io.ReadAll(r)
	if err != nil {
		panic("authn: embedded blocklist: " + err.Error())
	}
	return strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")
})

func common(folded string) bool {
	_, ok := slices.BinarySearch(commonPasswords(), folded)
	return ok
}

// ofContext: without a context word, at most four characters are left. Of an
// address the part before the @ is a word too.
func ofContext(folded string, context []string) bool {
	for _, word := range context {
		word, _ = fold(strings.TrimSpace(word))
		local, _, _ := strings.Cut(word, "@")
		for _, w := range []string{word, local} {
			if utf8.RuneCountInString(w) < 3 {
				continue
			}
			if rest := strings.ReplaceAll(folded, w, ""); rest != folded && utf8.RuneCountInString(rest) <= mostDecoration {
				return true
			}
		}
	}
	return false
}

// guessable is a low bar against what a guesser tries first: few characters,
// repetitions, walks through the alphabet or over the keyboard, dates, and a
// common password with up to four characters around it. Linear in the length.
func guessable(folded string) bool {
	runes := []rune(folded)
	if distinct := len(slices.Compact(slices.Sorted(slices.Values(runes)))); distinct <= 3 {
		return true
	}
	if unit := period(runes); unit < len(runes) {
		once := string(runes[:unit])
		return unit <= 4 || common(once) || guessable(once)
	}
	return isWalk(runes) || isDate(folded) || decorated(folded)
}

// period is the length of the shortest unit whose repetition, at least twice, the
// text is; its own length if there is none.
func period(runes []rune) int {
	// border[i] is the length of the longest proper prefix of runes[:i+1] that is also its suffix
	border := make([]int, len(runes))
	for i := 1; i < len(runes); i++ {
		k := border[i-1]
		for k > 0 && runes[i] != runes[k] {
			k = border[k-1]
		}
		if runes[i] == runes[k] {
			k++
		}
		border[i] = k
	}
	if unit := len(runes) - border[len(runes)-1]; 2*unit <= len(runes) {
		return unit
	}
	return len(runes)
}

// keyboard holds the rows and the columns of the common layout.
const keyboard = "`1234567890-= qwertyuiop[]\\ asdfghjkl;' zxcvbnm,./ 1qaz2wsx3edc4rfv5tgb6yhn7ujm8ik,9ol.0p;/"

// isWalk: hardly a step that is not to the same, the next or the previous
// character or key.
func isWalk(runes []rune) bool {
	leaps := 0
	for i, r := range runes[1:] {
		before := runes[i]
		if d := r - before; d >= -1 && d <= 1 {
			continue
		}
		if strings.Contains(keyboard, string([]rune{before, r})) || strings.Contains(keyboard, string([]rune{r, before})) {
			continue
		}
		leaps++
	}
	return 4*leaps < len(runes)
}

// isDate: eight digits with a year of the last or this century at either end.
func isDate(folded string) bool {
	digits := strings.Map(func(r rune) rune {
		if strings.ContainsRune("-./ ", r) {
			return -1
		}
		return r
	}, folded)
	if len(digits) != 8 || strings.Trim(digits, "0123456789") != "" {
		return false
	}
	year := func(s string) bool { return strings.HasPrefix(s, "19") || strings.HasPrefix(s, "20") }
	dayAndMonth := func(s string) bool {
		return s[:2] != "00" && s[2:] != "00" && s[:2] <= "31" && s[2:] <= "31" && (s[:2] <= "12" || s[2:] <= "12")
	}
	return year(digits) && dayAndMonth(digits[4:]) || year(digits[4:]) && dayAndMonth(digits[:4])
}

func decorated(folded string) bool {
	core := strings.TrimFunc(folded, func(r rune) bool { return !unicode.IsLetter(r) })
	if utf8.RuneCountInString(folded)-utf8.RuneCountInString(core) > mostDecoration {
		return false
	}
	return slices.ContainsFunc(append(readings(core), core), common)
}

// The letters that people write as digits and signs; 1 is read in two ways.
var leet = []*strings.Replacer{
	strings.NewReplacer("0", "o", "1", "i", "3", "e", "4", "a", "5", "s", "7", "t", "@", "a", "$", "s", "!", "i"),
	strings.NewReplacer("0", "o", "1", "l", "3", "e", "4", "a", "5", "s", "7", "t", "@", "a", "$", "s", "!", "l"),
}

func readings(s string) []string { return []string{leet[0].Replace(s), leet[1].Replace(s)} }
