package authn

import (
	"crypto/rand"
	"encoding/base32"
	"errors"
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

// recoveryAlphabet has no letters that look like digits.
const recoveryAlphabet = "0123456789abcdefghjkmnpqrstvwxyz"

var recoveryEncoding = base32.NewEncoding(recoveryAlphabet).WithPadding(base32.NoPadding)

// recoveryLength is the number of characters: 80 bits.
const recoveryLength = 16

// NewRecoveryCodes returns n codes of 80 random bits, in four groups of four:
// short enough to type, too long to guess (NIST SP 800-63B-4 §3.1.2). They are
// stored as HashRecovery under one salt, never as they are.
func NewRecoveryCodes(n int) ([]string, error) {
	codes := make([]string, n)
	for i := range codes {
		var b [10]byte
		if _, err := rand.Read(b[:]); err != nil {
			return nil, err
		}
		codes[i] = grouped(recoveryEncoding.EncodeToString(b[:]), "-")
	}
	return codes, nil
}

var errRecoveryForm = errors.New("authn: not a recovery code")

// lookAlikes are the letters that people read for others.
var lookAlikes = strings.NewReplacer("o", "0", "i", "1", "l", "1", "u", "v")

// ParseRecoveryCode returns a code as NewRecoveryCodes made it, however its
// letters, spaces and hyphens were typed, and with O, I, L and U read as what they
// look like. At most 256 bytes are looked at.
func ParseRecoveryCode(typed string) (string, error) {
	if len(typed) > 256 {
		return "", errRecoveryForm
	}
	kept := strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) || unicode.Is(unicode.Pd, r) {
			return -1
		}
		return unicode.ToLower(r)
	}, norm.NFKC.String(typed))
	kept = lookAlikes.Replace(kept)
	if len(kept) != recoveryLength || strings.Trim(kept, recoveryAlphabet) != "" {
		return "", errRecoveryForm
	}
	return grouped(kept, "-"), nil
}
