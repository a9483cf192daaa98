package authn

import (
	"errors"
	"strings"
)

// ErrEmail says that something is no address that an account can be made for.
var ErrEmail = errors.New("authn: an e-mail address is like name@example.com, in ASCII, without quotes")

const (
	longestEmail = 254 // RFC 5321 §4.5.3.1.3, with the angle brackets 256
	longestLocal = 64  // RFC 5321 §4.5.3.1.1
	longestHost  = 253
	longestLabel = 63 // RFC 1035 §2.3.4
	atext        = "!#$%&'*+-/=?^_`{|}~"
)

// ParseEmail reads an address as somebody types it: Local-part "@" Domain of RFC 5321
// §4.1.2 without quoted strings, address literals and internationalised parts, which
// are refused: what looks like another address could be one. Of the domain, in which
// case says nothing, it makes lower case; the rest is as typed. ErrEmail.
func ParseEmail(typed string) (string, error) {
	local, domain, ok := strings.Cut(strings.TrimSpace(typed), "@")
	domain = lowerASCII(domain)
	if !ok || len(local)+1+len(domain) > longestEmail || len(local) > longestLocal || CheckDomain(domain) != nil {
		return "", ErrEmail
	}
	for atom := range strings.SplitSeq(local, ".") {
		if atom == "" || strings.ContainsFunc(atom, func(r rune) bool { return !letterOrDigit(r) && !strings.ContainsRune(atext, r) }) {
			return "", ErrEmail
		}
	}
	return local + "@" + domain, nil
}

// CheckDomain says whether something is the domain of an address, in lower case: names
// of letters, digits and hyphens, two at least (RFC 1123 §2.1). What is not ASCII is
// written with xn-- (RFC 5890 §2.3.2.1).
func CheckDomain(domain string) error {
	labels := strings.Split(domain, ".")
	if len(labels) < 2 || len(domain) > longestHost || domain != lowerASCII(domain) {
		return ErrEmail
	}
	for _, label := range labels {
		if label == "" || len(label) > longestLabel || strings.Trim(label, "-") != label ||
			strings.ContainsFunc(label, func(r rune) bool { return !letterOrDigit(r) && r != '-' }) {
			return ErrEmail
		}
	}
	if last := labels[len(labels)-1]; strings.Trim(last, "0123456789") == "" { // an IPv4 address
		return ErrEmail
	}
	return nil
}

func letterOrDigit(r rune) bool {
	return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9'
}

// lowerASCII leaves alone what is not ASCII: there is more than one lower case of it.
func lowerASCII(s string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'A' && r <= 'Z' {
			return r + 'a' - 'A'
		}
		return r
	}, s)
}

// LoginFor is what somebody with a proven address is to sign in with, and its key. One
// that is like an address must be that address: else it would read as somebody else's.
func LoginFor(typed, email string) (login, key string, err error) {
	login = strings.TrimSpace(typed)
	if key, err = LoginKey(login); err != nil {
		return "", "", err
	}
	if own, err := LoginKey(email); strings.Contains(key, "@") && (err != nil || own != key) {
		return "", "", errLogin
	}
	return login, key, nil
}
