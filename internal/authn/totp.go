package authn

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha1"
	"crypto/subtle"
	"encoding/base32"
	"encoding/binary"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

// TOTP as every authenticator app has it (RFC 6238 §4).
const (
	totpDigits = 6
	totpPeriod = 30 // seconds
)

// hotp is the code of a counter (RFC 4226 §5.3).
func hotp(secret []byte, counter uint64, digits int) string {
	mac := hmac.New(sha1.New, secret)
	mac.Write(binary.BigEndian.AppendUint64(nil, counter))
	sum := mac.Sum(nil)
	at := sum[len(sum)-1] & 0x0f
	number := uint64(binary.BigEndian.Uint32(sum[at:]) & 0x7fffffff)
	modulus := uint64(1)
	for range digits {
		modulus *= 10
	}
	return fmt.Sprintf("%0*d", digits, number%modulus)
}

// TOTPCode is the code of a time step, Unix seconds divided by 30, with at most
// nine digits (RFC 6238 §4.2).
func TOTPCode(secret []byte, step int64, digits int) string {
	return hotp(secret, uint64(step), digits)
}

// FindTOTPStep returns the step that a code of six digits is right for: this
// one, the one before or the one after (RFC 6238 §5.2, §6). It takes the same
// time whichever it is. The code has the form that ParseCode returns. Accepting a
// step only once is the caller's.
func FindTOTPStep(secret []byte, code string, now time.Time) (step int64, ok bool) {
	current := now.Unix() / totpPeriod
	found := 0 // 1 to 3
	for i := range 3 {
		candidate := TOTPCode(secret, current-1+int64(i), totpDigits)
		found = subtle.ConstantTimeSelect(subtle.ConstantTimeCompare([]byte(candidate), []byte(code)), i+1, found)
	}
	return current - 2 + int64(found), found != 0
}

// LatestTOTPStep is the greatest step whose code FindTOTPStep accepts now.
func LatestTOTPStep(now time.Time) int64 { return now.Unix()/totpPeriod + 1 }

// NewTOTPSecret returns 160 random bits (RFC 4226 §4 R6).
func NewTOTPSecret() []byte {
	secret := make([]byte, 20)
	rand.Read(secret)
	return secret
}

var base32Key = base32.StdEncoding.WithPadding(base32.NoPadding)

// TOTPURI is what the QR code says: the Key URI format that apps read, with the
// defaults that all of them know.
func TOTPURI(issuer, account string, secret []byte) string {
	return "otpauth://totp/" + escape(issuer) + ":" + escape(account) + "?secret=" + base32Key.EncodeToString(secret) +
		"&issuer=" + escape(issuer) + "&algorithm=SHA1&digits=6&period=30"
}

// escape escapes colons too, for the first one in a label ends the issuer, and
// never writes a plus for a space, for some apps show it.
func escape(s string) string { return strings.ReplaceAll(url.QueryEscape(s), "+", "%20") }

// FormatTOTPKey is the key in groups of four, to be typed.
func FormatTOTPKey(secret []byte) string {
	return grouped(base32Key.EncodeToString(secret), " ")
}

func grouped(s, between string) string {
	var groups []string
	for len(s) > 4 {
		groups = append(groups, s[:4])
		s = s[4:]
	}
	return strings.Join(append(groups, s), between)
}

var errCodeForm = errors.New("authn: not so many digits")

// ParseCode returns the six digits that were typed, however they were spaced;
// full-width digits too (NFKC). At most 128 bytes are looked at.
func ParseCode(typed string) (string, error) { return parseDigits(typed, totpDigits) }

// parseDigits returns the n digits that were typed.
func parseDigits(typed string, n int) (string, error) {
	if len(typed) > 128 {
		return "", errCodeForm
	}
	var digits strings.Builder
	for _, r := range norm.NFKC.String(typed) {
		switch {
		case r >= '0' && r <= '9':
			digits.WriteRune(r)
		case unicode.IsSpace(r) || unicode.Is(unicode.Pd, r): // hyphens and dashes
		default:
			return "", errCodeForm
		}
	}
	if digits.Len() != n {
		return "", errCodeForm
	}
	return digits.String(), nil
}
