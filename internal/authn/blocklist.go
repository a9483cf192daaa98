package authn

import (
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/ccojocar/zxcvbn-go"
	"github.com/ccojocar/zxcvbn-go/frequency"
	"golang.org/x/text/unicode/norm"
)

// The lengths of a password, in code points, for accounts that always need a
// second factor (NIST SP 800-63B-4 §3.1.1.2).
const (
	shortestPassword = 8
	longestPassword  = 256
	scored           = 72 // characters: what the estimate costs grows with the third power
	lowestScore      = 2  // of 0 to 4
)

// PasswordError says why a new password is not taken. Code is a locale key.
type PasswordError struct{ Code, Reason string }

func (e *PasswordError) Error() string { return e.Reason }

var commonPasswords = sync.OnceValue(func() map[string]struct{} {
	common := map[string]struct{}{}
	for _, p := range frequency.Lists["Passwords"].List {
		common[strings.ToLower(p)] = struct{}{}
	}
	return common
})

// CheckNewPassword returns a *PasswordError if the password is too short, too
// long, common, or made of the words of its context: the service's name, the
// login. No rule asks for kinds of characters, and nothing is cut off.
func CheckNewPassword(password string, context []string) error {
	password = norm.NFC.String(password)
	length := utf8.RuneCountInString(password)
	switch {
	case !utf8.ValidString(password):
		return &PasswordError{"password.invalid", "the password is not valid text"}
	case length < shortestPassword:
		return &PasswordError{"password.short", "the password has fewer than 8 characters"}
	case length > longestPassword:
		return &PasswordError{"password.long", "the password has more than 256 characters"}
	}
	lower := strings.ToLower(password)
	if _, ok := commonPasswords()[lower]; ok {
		return &PasswordError{"password.common", "the password is one of the most common ones"}
	}
	if ofContext(lower, context) {
		return &PasswordError{"password.context", "the password is made of the login or the name of the service"}
	}
	if zxcvbn.PasswordStrength(string([]rune(password)[:min(length, scored)]), context).Score < lowestScore {
		return &PasswordError{"password.guessable", "the password is easy to guess"}
	}
	return nil
}

// ofContext: without a context word, less than half of the shortest password is
// left.
func ofContext(lower string, context []string) bool {
	for _, word := range context {
		word, _, _ = strings.Cut(strings.ToLower(word), "@")
		if utf8.RuneCountInString(word) < 3 {
			continue
		}
		if rest := strings.ReplaceAll(lower, word, ""); rest != lower && utf8.RuneCountInString(rest) < shortestPassword/2 {
			return true
		}
	}
	return false
}
