package authn_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/sallyport-id/sallyport/internal/authn"
)

// TestRule29AddressesCannotDeceive: what is taken is ASCII, and like an address.
func TestRule29AddressesCannotDeceive(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("a", 64)
	for typed, want := range map[string]string{
		"sora@example.com":               "sora@example.com",
		"  Sora.Kim+shop@Example.COM\n":  "Sora.Kim+shop@example.com",
		"o'neill@mail.example.com":       "o'neill@mail.example.com",
		"a@xn--bcher-kva.example":        "a@xn--bcher-kva.example",
		long + "@example.com":            long + "@example.com",
		"":                               "",
		"sora":                           "",
		"@example.com":                   "",
		"sora@":                          "",
		"sora@localhost":                 "",
		"sora@example.com.":              "",
		"sora@.example.com":              "",
		"sora@-example.com":              "",
		"sora@exa_mple.com":              "",
		"sora@192.0.2.1":                 "",
		"sora@[192.0.2.1]":               "",
		"so ra@example.com":              "",
		".sora@example.com":              "",
		"sora..kim@example.com":          "",
		`"sora"@example.com`:             "",
		"sora@example.com@evil.example":  "",
		"sora@example.com,v@evil.com":    "",
		"sora@example.com\r\nBcc: v@e.x": "",
		"Sora <sora@example.com>":        "",
		"sora@bücher.example":            "",
		"sоra@example.com":               "", // a Cyrillic о
		"sora@exаmple.com":               "", // a Cyrillic а
		"sora@example.com\x00":           "",
		long + "a@example.com":           "",
		"a@" + long + ".com":             "",
	} {
		got, err := authn.ParseEmail(typed)
		if got != want || (err == nil) != (want != "") || err != nil && !errors.Is(err, authn.ErrEmail) {
			t.Errorf("%q: got %q, %v, want %q", typed, got, err, want)
		}
	}
}

// FuzzParseEmail: what is taken is taken again, and has one @ and nothing that a mail
// server would read as more than an address.
func FuzzParseEmail(f *testing.F) {
	for _, s := range []string{"sora@example.com", "a@b", "A.B+c@D.example", "\"a\"@b.example", "a@xn--bcher-kva.example"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, typed string) {
		got, err := authn.ParseEmail(typed)
		if err != nil {
			return
		}
		if again, err := authn.ParseEmail(got); again != got || err != nil {
			t.Errorf("%q became %q, and then %q, %v", typed, got, again, err)
		}
		if strings.Count(got, "@") != 1 || len(got) > 254 || strings.ContainsAny(got, " \t\r\n,;:<>()[]\"\\") || strings.ContainsFunc(got, func(r rune) bool { return r < '!' || r > '~' }) {
			t.Errorf("%q became %q", typed, got)
		}
	})
}

// TestRule29LoginIsNoOthersAddress: a login that is like an address is the proven one.
func TestRule29LoginIsNoOthersAddress(t *testing.T) {
	t.Parallel()
	const own = "sora@example.com"
	for typed, want := range map[string]string{
		"sora": "sora", " Sora ": "sora", own: own, "SORA@example.com": own, "소라": "소라",
		"mina@example.com": "", "sora@examp1e.com": "", "@": "", "mina＠example.com": "", "": "", "so ra": "", "sоra": "",
	} {
		login, key, err := authn.LoginFor(typed, own)
		if key != want || (err == nil) != (want != "") || err == nil && login != strings.TrimSpace(typed) {
			t.Errorf("%q: got %q, %q, %v, want the key %q", typed, login, key, err, want)
		}
	}
}
