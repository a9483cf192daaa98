package page

import (
	"math"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// TestContrast computes WCAG contrast from the style sheet's own colours: 4.5
// for text, 3 for the edges of fields and for focus (WCAG 2.2 §1.4.3, §1.4.11).
func TestContrast(t *testing.T) {
	t.Parallel()
	read := func(name string) string {
		css, err := embedded.ReadFile("assets/" + name)
		if err != nil {
			t.Fatal(err)
		}
		return string(css)
	}
	for name, part := range map[string]string{"light": read("style.css"), "dark": read("dark.css")} {
		colour := map[string]string{}
		for _, m := range regexp.MustCompile(`--([a-z-]+): (#[0-9a-f]{6});`).FindAllStringSubmatch(part, -1) {
			colour[m[1]] = m[2]
		}
		for _, pair := range []struct {
			front, back string
			least       float64
		}{
			{"text", "card", 7},
			{"text", "ground", 7},
			{"muted", "card", 4.5},
			{"muted", "ground", 4.5},
			{"muted", "accent-soft", 4.5},
			{"accent", "card", 4.5},
			{"accent", "accent-soft", 4.5},
			{"on-accent", "accent", 4.5},
			{"error", "error-soft", 4.5},
			{"error", "card", 3},
			{"field", "card", 3},
		} {
			if got := contrast(t, colour[pair.front], colour[pair.back]); got < pair.least {
				t.Errorf("%s: %s on %s has contrast %.2f, want %.1f", name, pair.front, pair.back, got, pair.least)
			}
		}
	}
}

func contrast(t *testing.T, a, b string) float64 {
	t.Helper()
	la, lb := luminance(t, a), luminance(t, b)
	return (max(la, lb) + .05) / (min(la, lb) + .05)
}

func luminance(t *testing.T, colour string) float64 {
	t.Helper()
	n, err := strconv.ParseUint(strings.TrimPrefix(colour, "#"), 16, 24)
	if err != nil {
		t.Fatal(err)
	}
	linear := func(c uint64) float64 {
		v := float64(c&0xff) / 255
		if v <= .04045 {
			return v / 12.92
		}
		return math.Pow((v+.055)/1.055, 2.4)
	}
	return .2126*linear(n>>16) + .7152*linear(n>>8) + .0722*linear(n)
}
