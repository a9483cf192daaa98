package authn

import (
	"fmt"
	"html"
	"strings"

	"rsc.io/qr"
)

// quietZone is the white border that scanners need, in modules (ISO/IEC 18004
// §6.3.8).
const quietZone = 4

// QRSVG draws a text as a QR code: an SVG of one path, black on white whatever
// the page's colours are, so that it scans in dark mode, without a style attribute
// that the page's policy would refuse. label names it for screen readers. The
// result is safe as HTML. It is an error if the text does not fit in a QR code:
// 2,331 bytes.
func QRSVG(text, label string) (string, error) {
	code, err := qr.Encode(text, qr.M)
	if err != nil {
		return "", fmt.Errorf("authn: qr code: %w", err)
	}
	var path strings.Builder
	for y := range code.Size {
		for x := 0; x < code.Size; {
			from := x
			for x < code.Size && code.Black(x, y) {
				x++
			}
			if width := x - from; width > 0 {
				fmt.Fprintf(&path, "M%d %dh%dv1h-%dz", from+quietZone, y+quietZone, width, width)
			} else {
				x++
			}
		}
	}
	size := code.Size + 2*quietZone
	return fmt.Sprintf(`<svg xmlns="http://www.w3.org/2000/svg" class="qr" viewBox="0 0 %d %d" role="img" aria-label="%s" shape-rendering="crispEdges"><rect width="%d" height="%d" fill="#fff"/><path fill="#000" d="%s"/></svg>`,
		size, size, html.EscapeString(label), size, size, path.String()), nil
}
