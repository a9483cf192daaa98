package page

import (
	"regexp"
	"slices"
	"strings"
	"testing"
)

func TestLocale(t *testing.T) {
	t.Parallel()
	r := newRenderer(t)
	for _, tt := range []struct {
		ui     []string
		accept string
		want   string
	}{
		{nil, "", "en"},
		{nil, "ko", "ko"},
		{nil, "ko-KR,ko;q=0.9,en-US;q=0.8,en;q=0.7", "ko"},
		{nil, "en-GB,en;q=0.9,ko;q=0.8", "en"},
		{nil, "en;q=0.1, ko;q=0.9", "ko"},
		{nil, "fr-CH, fr;q=0.9, ko;q=0.2", "ko"},
		{nil, "fr", "en"},
		{nil, "*", "en"},
		{nil, "KO-kr", "ko"},
		{nil, "ko_KR", "ko"},
		{[]string{"ko"}, "en", "ko"},
		{[]string{"en"}, "ko", "en"},
		{[]string{"fr", "ko"}, "en", "ko"},
		{[]string{"fr"}, "ko", "ko"},
		{[]string{"", "!!", "ko-KR"}, "", "ko"},
		{[]string{strings.Repeat("ko-", 1000)}, "en", "en"},
		{nil, strings.Repeat("ko,", 1000), "en"},
		{slices.Repeat([]string{"fr"}, 1000), "ko", "ko"},
		{nil, ";;;q=,,,=\x00\xff", "en"},
	} {
		if got := r.Locale(tt.ui, tt.accept); got != tt.want {
			t.Errorf("Locale(%.40q, %.40q) = %q, want %q", tt.ui, tt.accept, got, tt.want)
		}
	}
}

func FuzzLocale(f *testing.F) {
	r, err := New(nil)
	if err != nil {
		f.Fatal(err)
	}
	f.Add("ko", "en-GB,en;q=0.9,ko;q=0.8")
	f.Add("zh-Hant-TW-x-private", "*;q=0, -,;q=2")
	f.Fuzz(func(t *testing.T, ui, accept string) {
		if got := r.Locale(strings.Fields(ui), accept); got != "en" && got != "ko" {
			t.Errorf("Locale(%q, %q) = %q", ui, accept, got)
		}
	})
}

func TestFill(t *testing.T) {
	t.Parallel()
	plain := func(s string) string { return s }
	for _, tt := range []struct {
		text string
		args []any
		want string
	}{
		{"in {Minutes} min", []any{map[string]any{"Minutes": 5}}, "in 5 min"},
		{"{A} and {B}", []any{"A", "{B}", "B", "b"}, "{B} and b"}, // a value is not a text
		{"{A}", nil, "{A}"},
		{"{A}", []any{map[string]any(nil)}, "{A}"},
	} {
		if got := fill(tt.text, tt.args, plain); got != tt.want {
			t.Errorf("fill(%q, %v) = %q, want %q", tt.text, tt.args, got, tt.want)
		}
	}
}

// TestSamePlaceholders: a translation fills in what the original does.
func TestSamePlaceholders(t *testing.T) {
	t.Parallel()
	c := newRenderer(t).catalog
	for key, en := range c.texts["en"] {
		if got, want := placeholders(c.texts["ko"][key]), placeholders(en); !slices.Equal(got, want) {
			t.Errorf("%s: ko has %v, en has %v", key, got, want)
		}
	}
}

var placeholder = regexp.MustCompile(`\{\w+\}`)

func placeholders(s string) []string {
	found := placeholder.FindAllString(s, -1)
	slices.Sort(found)
	return found
}
