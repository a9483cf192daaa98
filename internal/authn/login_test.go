package authn_test

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/sallyport-id/sallyport/internal/authn"
)

// TestRule19LoginsThatReadTheSame are the same.
func TestRule19LoginsThatReadTheSame(t *testing.T) {
	t.Parallel()
	for login, want := range map[string]string{
		"alice": "alice", "Alice": "alice", "ALICE": "alice", " alice ": "alice",
		"ａｌｉｃｅ": "alice", "ﬁsh": "fish", "Straße": "strasse", "STRASSE": "strasse",
		"alice@Example.COM": "alice@example.com", "a.b+c_d-e'f": "a.b+c_d-e'f", "42": "42",
		"caf\u00e9": "caf\u00e9", "CAFE\u0301": "caf\u00e9",
		"김철수": "김철수", "\u1100\u1175\u11b7철수": "김철수", "金哲洙": "金哲洙", "김哲수2": "김哲수2",
		"さくら": "さくら", "ラーメン": "ラーメン", "ﾗｰﾒﾝ": "ラーメン", "お茶ラテ": "お茶ラテ", "佐々木": "佐々木",
		"Δημήτρης": "δημήτρησ", "Владимир": "владимир", "محمد": "محمد", "משה": "משה", "राम": "राम", "สมชาย": "สมชาย",
	} {
		got, err := authn.LoginKey(login)
		if err != nil || got != want {
			t.Errorf("LoginKey(%q) = %q, %v; want %q", login, got, err, want)
		}
		if again, err := authn.LoginKey(got); err != nil || again != got {
			t.Errorf("LoginKey(%q) = %q, %v; want itself", got, again, err)
		}
	}
}

// TestRule19DeceivingLogins are refused.
func TestRule19DeceivingLogins(t *testing.T) {
	t.Parallel()
	for name, login := range map[string]string{
		"empty": "", "only spaces": " \t", "space inside": "al ice", "no-break space inside": "al\u00a0ice", "too long": strings.Repeat("a", 129),
		"too long when folded": strings.Repeat("ﬃ", 50), "NUL": "alice\x00", "line break inside": "al\nice", "not UTF-8": "alice\xff",
		"right-to-left override": "alice\u202e", "isolate": "\u2066alice", "left-to-right mark": "alice\u200e",
		"zero width space": "al\u200bice", "zero width joiner": "al\u200dice", "soft hyphen": "al\u00adice", "byte order mark": "\ufeffalice",
		"variation selector": "alice\ufe0f", "grapheme joiner": "al\u034fice", "Hangul filler": "김\u3164", "choseong filler": "\u115f",
		"tag character": "alice\U000e0041", "private use": "alice\ue000", "unassigned": "alice\u0378",
		"Cyrillic a": "\u0430lice", "Greek o": "b\u03bfb", "Cyrillic in Hangul": "김\u0430", "Latin with Hangul": "kim철수",
		"Hebrew starting with a digit": "1משה", "Hebrew ending in a dot": "משה.", "Arabic mark on Latin": "al\u0650ice\u0903",
		"symbol": "alice™️", "emoji": "alice😀", "look-alike dot": "alice\u2024\u00b7", "quotation mark": "o’brien", "box": "alice│",
		"lone jamo": "ㅋㅋ",
	} {
		if got, err := authn.LoginKey(login); err == nil {
			t.Errorf("%s: LoginKey(%q) = %q; want an error", name, login, got)
		}
	}
	if _, err := authn.LoginKey(strings.Repeat("김", 128)); err != nil {
		t.Errorf("128 code points: %v", err)
	}
}

// FuzzLoginKey: a key is its own key, short, and shows every character it has.
func FuzzLoginKey(f *testing.F) {
	for _, seed := range []string{"Alice", "김철수", "ﬃ", "\u0130I\u0131", "\u1e9e", "\u0345\u03b1", "ᏸꭰ", "a\u0323\u0307", "ΐ\u1fd3", "משה1"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, login string) {
		key, err := authn.LoginKey(login)
		if err != nil {
			return
		}
		if again, err := authn.LoginKey(key); err != nil || again != key {
			t.Errorf("LoginKey(%q) = %q, whose key is %q, %v", login, key, again, err)
		}
		if n := utf8.RuneCountInString(key); n == 0 || n > 128 || !utf8.ValidString(key) {
			t.Errorf("LoginKey(%q) = %q of %d code points", login, key, n)
		}
		for _, r := range key {
			if !unicode.IsPrint(r) || unicode.IsSpace(r) || unicode.In(r, unicode.Bidi_Control, unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector) {
				t.Errorf("LoginKey(%q) = %q with %U", login, key, r)
			}
		}
		if upper, err := authn.LoginKey(strings.ToUpper(key)); isASCII(key) && (err != nil || upper != key) {
			t.Errorf("LoginKey(%q) = %q, %v; want %q", strings.ToUpper(key), upper, err, key)
		}
	})
}

func isASCII(s string) bool { return strings.IndexFunc(s, func(r rune) bool { return r > 127 }) < 0 }

func BenchmarkLoginKey(b *testing.B) {
	for name, login := range map[string]string{"ASCII": "alice@example.com", "Hangul": "김철수"} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if _, err := authn.LoginKey(login); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
