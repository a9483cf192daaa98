package authn_test

import (
	"encoding/xml"
	"fmt"
	"strings"
	"testing"

	"rsc.io/qr"

	"github.com/sallyport-id/sallyport/internal/authn"
)

// TestQRSVGDrawsTheCode: painted from its path, the drawing has the black modules
// of the code and no others, inside the quiet zone.
func TestQRSVGDrawsTheCode(t *testing.T) {
	t.Parallel()
	uri := authn.TOTPURI("Sallyport", "alice@example.com", rfcSecret)
	svg, err := authn.QRSVG(uri, "QR")
	if err != nil {
		t.Fatal(err)
	}
	var drawing struct {
		ViewBox string `xml:"viewBox,attr"`
		Role    string `xml:"role,attr"`
		Rect    struct {
			Fill string `xml:"fill,attr"`
		} `xml:"rect"`
		Path struct {
			D    string `xml:"d,attr"`
			Fill string `xml:"fill,attr"`
		} `xml:"path"`
	}
	if err := xml.Unmarshal([]byte(svg), &drawing); err != nil {
		t.Fatal(err)
	}
	code, err := qr.Encode(uri, qr.M)
	if err != nil {
		t.Fatal(err)
	}
	if want := fmt.Sprintf("0 0 %d %[1]d", code.Size+8); drawing.ViewBox != want || drawing.Role != "img" || drawing.Rect.Fill != "#fff" || drawing.Path.Fill != "#000" {
		t.Errorf("viewBox %q, role %q, %s on %s; want %q, img, black on white", drawing.ViewBox, drawing.Role, drawing.Path.Fill, drawing.Rect.Fill, want)
	}
	black := map[[2]int]bool{}
	for _, run := range strings.Split(drawing.Path.D, "M")[1:] {
		var x, y, width, back int
		if _, err := fmt.Sscanf(run, "%d %dh%dv1h-%dz", &x, &y, &width, &back); err != nil || width != back {
			t.Fatalf("run %q: %v", run, err)
		}
		for i := range width {
			black[[2]int{x + i, y}] = true
		}
	}
	for y := -4; y < code.Size+4; y++ {
		for x := -4; x < code.Size+4; x++ {
			if got, want := black[[2]int{x + 4, y + 4}], code.Black(x, y); got != want {
				t.Fatalf("module %d,%d is black: %v, want %v", x, y, got, want)
			}
		}
	}
}

// TestQRSVGIsSafeHTML: nothing of the label or the text gets out of its attribute,
// and no style that a strict policy refuses.
func TestQRSVGIsSafeHTML(t *testing.T) {
	t.Parallel()
	svg, err := authn.QRSVG(`"><script>`, `"><script>alert('1')</script>&`)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(svg, "<script") || strings.Contains(svg, "style=") || !strings.Contains(svg, `aria-label="&#34;&gt;`) {
		t.Errorf("QRSVG = %.200s…", svg)
	}
	if _, err := authn.QRSVG(strings.Repeat("x", 3000), "QR"); err == nil {
		t.Error("a text that fits in no QR code was drawn")
	}
}
