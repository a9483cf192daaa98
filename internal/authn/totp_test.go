package authn_test

import (
	"bytes"
	"encoding/base32"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-id/sallyport/internal/authn"
)

var rfcSecret = []byte("12345678901234567890")

// TestRFC4226AppendixD: the counter of HOTP is the step of TOTP.
func TestRFC4226AppendixD(t *testing.T) {
	t.Parallel()
	for counter, want := range []string{
		"755224", "287082", "359152", "969429", "338314", "254676", "287922", "162583", "399871", "520489",
	} {
		if got := authn.TOTPCode(rfcSecret, int64(counter), 6); got != want {
			t.Errorf("counter %d: %s, want %s", counter, got, want)
		}
	}
}

// TestRFC6238AppendixB: the rows with SHA-1.
func TestRFC6238AppendixB(t *testing.T) {
	t.Parallel()
	for seconds, want := range map[int64]string{
		59: "94287082", 1111111109: "07081804", 1111111111: "14050471",
		1234567890: "89005924", 2000000000: "69279037", 20000000000: "65353130",
	} {
		if got := authn.TOTPCode(rfcSecret, seconds/30, 8); got != want {
			t.Errorf("at %d: %s, want %s", seconds, got, want)
		}
		step, ok := authn.FindTOTPStep(rfcSecret, want[2:], time.Unix(seconds, 0)) // six digits are the last six
		if !ok || step != seconds/30 {
			t.Errorf("at %d: step %d, %v; want %d", seconds, step, ok, seconds/30)
		}
	}
}

// TestTOTPWindow: one step of delay and one of haste (RFC 6238 §5.2).
func TestTOTPWindow(t *testing.T) {
	t.Parallel()
	const step = 59_000_000
	code := authn.TOTPCode(rfcSecret, step, 6)
	for seconds, want := range map[int64]bool{
		-31: false, -30: true, 0: true, 29: true, 30: true, 59: true, 60: false,
	} {
		got, ok := authn.FindTOTPStep(rfcSecret, code, time.Unix(step*30+seconds, 0))
		if ok != want || ok && got != step {
			t.Errorf("%d s after the step began: %d, %v; want %v", seconds, got, ok, want)
		}
	}
	for _, wrong := range []string{"", code[:5], code + "0", "abcdef", authn.TOTPCode(rfcSecret, step, 8)} {
		if got, ok := authn.FindTOTPStep(rfcSecret, wrong, time.Unix(step*30, 0)); ok {
			t.Errorf("code %q is right for step %d", wrong, got)
		}
	}
	if got, ok := authn.FindTOTPStep([]byte("another secret 12345"), code, time.Unix(step*30, 0)); ok {
		t.Errorf("another secret's code is right for step %d", got)
	}
}

func TestNewTOTPSecretHas160Bits(t *testing.T) {
	t.Parallel()
	a, b := authn.NewTOTPSecret(), authn.NewTOTPSecret()
	if len(a) != 20 || bytes.Equal(a, b) {
		t.Errorf("secrets of %d bytes, equal: %v; want 20, false", len(a), bytes.Equal(a, b))
	}
}

// TestTOTPURI: apps split the label at its first colon, whatever is in the names.
func TestTOTPURI(t *testing.T) {
	t.Parallel()
	if got, want := authn.TOTPURI("Sallyport", "alice", rfcSecret),
		"otpauth://totp/Sallyport:alice?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&issuer=Sallyport&algorithm=SHA1&digits=6&period=30"; got != want {
		t.Errorf("TOTPURI = %s\nwant %s", got, want)
	}
	for _, c := range []struct{ issuer, account string }{
		{"Example Inc.", "alice@example.com"}, {"A: B", "c:d"}, {"R&D=1?#/%+", "x y+z%&"}, {"회사", "김철수"}, {"Sallyport", "alice+shop@example.com"},
	} {
		uri := authn.TOTPURI(c.issuer, c.account, rfcSecret)
		u, err := url.Parse(uri)
		if err != nil {
			t.Fatal(err)
		}
		issuer, account, _ := strings.Cut(strings.TrimPrefix(u.EscapedPath(), "/"), ":")
		issuer, _ = url.PathUnescape(issuer)
		account, _ = url.PathUnescape(account)
		if issuer != c.issuer || account != c.account || u.Query().Get("issuer") != c.issuer {
			t.Errorf("%s says issuer %q and %q, account %q; want %q, %q", uri, issuer, u.Query().Get("issuer"), account, c.issuer, c.account)
		}
		if strings.Contains(uri, "+") { // some apps show it as it is
			t.Errorf("%s has a + for a space", uri)
		}
	}
}

func TestFormatTOTPKey(t *testing.T) {
	t.Parallel()
	got := authn.FormatTOTPKey(rfcSecret)
	if want := "GEZD GNBV GY3T QOJQ GEZD GNBV GY3T QOJQ"; got != want {
		t.Errorf("FormatTOTPKey = %q, want %q", got, want)
	}
	back, err := base32.StdEncoding.DecodeString(strings.ReplaceAll(got, " ", ""))
	if err != nil || !bytes.Equal(back, rfcSecret) {
		t.Errorf("the key is read as %q, %v", back, err)
	}
}

func TestParseCode(t *testing.T) {
	t.Parallel()
	for typed, want := range map[string]string{
		"123456": "123456", " 123 456\n": "123456", "123-456": "123456", "1 2 3 4 5 6": "123456",
		"１２３４５６": "123456", "１２３　４５６": "123456", "123–456": "123456", "000000": "000000",
	} {
		if got, err := authn.ParseCode(typed); err != nil || got != want {
			t.Errorf("ParseCode(%q) = %q, %v; want %q", typed, got, err, want)
		}
	}
	for _, typed := range []string{"", "12345", "1234567", "12345a", "+12345", "12.456", "123456\x00", "١٢٣٤٥٦", strings.Repeat(" ", 200) + "123456", "\xff123456"} {
		if got, err := authn.ParseCode(typed); err == nil {
			t.Errorf("ParseCode(%q) = %q; want an error", typed, got)
		}
	}
}

func FuzzParseCode(f *testing.F) {
	f.Add("123 456")
	f.Add("１２３-４５６")
	f.Fuzz(func(t *testing.T, typed string) {
		code, err := authn.ParseCode(typed)
		if err != nil {
			return
		}
		if len(code) != 6 || strings.Trim(code, "0123456789") != "" {
			t.Errorf("ParseCode(%q) = %q; want six digits", typed, code)
		}
		if again, err := authn.ParseCode(code); err != nil || again != code {
			t.Errorf("ParseCode(%q) = %q, %v; want itself", code, again, err)
		}
	})
}

func BenchmarkFindTOTPStep(b *testing.B) {
	now := time.Unix(1800000000, 0)
	b.ReportAllocs()
	for b.Loop() {
		authn.FindTOTPStep(rfcSecret, "123456", now)
	}
}
