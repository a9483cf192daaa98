package authn_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/sallyport-id/sallyport/internal/authn"
)

// verdict is the code that a new password is refused with, "" if it is taken.
func verdict(t testing.TB, err error) string {
	t.Helper()
	if err == nil {
		return ""
	}
	var p *authn.PasswordError
	if !errors.As(err, &p) || p.Code == "" || p.Reason == "" {
		t.Fatalf("CheckNewPassword: %#v; want a *PasswordError", err)
	}
	return strings.TrimPrefix(p.Code, "password.")
}

func TestCheckNewPassword(t *testing.T) {
	t.Parallel()
	context := []string{"Sallyport", "Alice.Kim", "akim@example.com", "", "io"}
	for password, want := range map[string]string{
		// taken, with no rule about kinds of characters
		"correct horse battery staple": "", "blue-otter-19": "", "k8Qz!p2x": "", "mwqhtzbv": "", "안녕하세요반가워": "",
		"비밀번호는길게써요": "", "I have 3 cats.": "", "wombat tractor": "", "🦦🐢🦉🐙🦑🐸🦝🐨": "", "sallyport is a fine word": "", "81927364": "",
		"dragon and 49 monkeys": "", strings.Repeat("plum4 ", 42) + "axle": "",
		// lengths
		"": "short", "k8Qz!p2": "short", "가나다라마바사": "short", "cafe\u0301-xk": "short", // seven after NFC
		strings.Repeat("k8Qz", 64) + "x": "long", "\xff\xfe12345678": "invalid",
		// common
		"password": "common", "PassWord": "common", "12345678": "common", "sunshine": "common", "1q2w3e4r": "common",
		"ｐａｓｓｗｏｒｄ": "common", "iloveyou1": "common", "password123": "common",
		// context
		"sallyport": "context", "Sallyport1!": "context", "54llyp0rt": "context", "alice.kim": "context", "Alice.Kim99": "context",
		"akim1234": "context", "akimakim": "context", "akim@example.com": "context",
		// guessable
		"aaaaaaaaaaaa": "guessable", "abababababab": "guessable", "가가가가가가가가": "guessable", "가나가나가나가나": "guessable",
		"abcdefghij": "guessable", "zyxwvuts": "guessable", "가각갂갃간갅갆갇": "guessable", "poiuytrewq[]": "guessable", "asdfghjkl;'": "guessable",
		"qwer1234asdf": "guessable", "2wsx3edc4rfv5": "guessable", "87654321abcd": "guessable",
		"19840512": "guessable", "12.05.1984": "guessable", "2001-12-31": "guessable",
		"dragon1234": "guessable", "Monkey2024": "guessable", "p@ssw0rd!": "guessable", "!!Sh4d0w!!": "guessable", "Pa$$word99": "guessable",
		"passwordpassword": "guessable", "a1b2c3d4a1b2c3d4": "guessable", "k8zqk8zq": "guessable", "xk7xk7xk7": "guessable", "monkey12monkey12": "guessable",
	} {
		if got := verdict(t, authn.CheckNewPassword(password, context)); got != want {
			t.Errorf("CheckNewPassword(%q): %q, want %q", password, got, want)
		}
	}
}

// TestPasswordAlone: 15 code points where the password is the only factor.
func TestPasswordAlone(t *testing.T) {
	t.Parallel()
	rule := authn.PasswordRule{Shortest: authn.ShortestPasswordAlone}
	err := rule.Check("k8Qz!p2xk9Wy#b", nil)
	var p *authn.PasswordError
	if !errors.As(err, &p) || p.Limit != 15 || verdict(t, err) != "short" {
		t.Errorf("14 code points: %v; want it too short for 15", err)
	}
	if err := rule.Check("k8Qz!p2xk9Wy#b4", nil); err != nil {
		t.Errorf("15 code points: %v", err)
	}
	if err := (authn.PasswordRule{Shortest: 1}).Check("k8Q", nil); verdict(t, err) != "short" {
		t.Errorf("a rule of one: %v; want 8 all the same", err)
	}
}

// TestLongestPassword: 256 code points of four bytes each are taken whole.
func TestLongestPassword(t *testing.T) {
	t.Parallel()
	var long strings.Builder
	for i := range 256 {
		long.WriteRune(0x20000 + rune(i*i*31%40000))
	}
	if err := authn.CheckNewPassword(long.String(), nil); err != nil || long.Len() != 1024 {
		t.Errorf("256 code points of %d bytes: %v", long.Len(), err)
	}
}

// TestGoodPasswordsAreTaken: hardly any drawn password is refused.
func TestGoodPasswordsAreTaken(t *testing.T) {
	t.Parallel()
	refused, all := 0, 0
	rapid.Check(t, func(t *rapid.T) {
		password := rapid.StringOfN(rapid.RuneFrom([]rune("abcdefghijklmnopqrstuvwxyz")), 10, 20, -1).Draw(t, "password")
		if distinct(password) < 8 { // rapid likes repetitions
			return
		}
		all++
		if authn.CheckNewPassword(password, nil) != nil {
			refused++
		}
	})
	if refused > all/20 {
		t.Errorf("%d of %d drawn passwords are refused", refused, all)
	}
}

func distinct(s string) int {
	seen := map[rune]bool{}
	for _, r := range s {
		seen[r] = true
	}
	return len(seen)
}

// TestCheckNewPasswordIsQuick: a megabyte is answered at once, it is too long.
func TestCheckNewPasswordIsQuick(t *testing.T) {
	t.Parallel()
	start := time.Now()
	for _, unit := range []string{"a", "ab", "q1w2", "\u0301", "password"} {
		if err := authn.CheckNewPassword(strings.Repeat(unit, 1<<20/len(unit)), []string{"sallyport"}); verdict(t, err) != "long" {
			t.Errorf("a megabyte of %q: %v", unit, err)
		}
	}
	if took := time.Since(start); took > 5*time.Second {
		t.Errorf("five megabytes took %v", took)
	}
}

// FuzzCheckNewPassword: no panic, a typed error, and nothing short or common gets
// through.
func FuzzCheckNewPassword(f *testing.F) {
	for _, seed := range []string{"password", "abcabcabc", "2001-12-31", "가나다라마바사아", "p@$$w0rd!!", "\xff", "ﷺﷺ"} {
		f.Add(seed, "alice@example.com")
	}
	f.Fuzz(func(t *testing.T, password, word string) {
		got := verdict(t, authn.CheckNewPassword(password, []string{word}))
		if again := verdict(t, authn.CheckNewPassword(password, []string{word})); got != again {
			t.Errorf("CheckNewPassword(%q): %q, then %q", password, got, again)
		}
		if got == "" && len(password) < 8 {
			t.Errorf("CheckNewPassword(%q) takes %d bytes", password, len(password))
		}
	})
}

func BenchmarkCheckNewPassword(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if err := authn.CheckNewPassword("correct horse battery staple", []string{"sallyport", "alice"}); err != nil {
			b.Fatal(err)
		}
	}
}
