package keys

import (
	"bytes"
	"errors"
	"fmt"
	"unicode/utf8"

	"github.com/go-jose/go-jose/v4/json"
)

// longestClaims bounds what DecodeClaims reads, in bytes.
const longestClaims = 64 << 10

var errClaims = errors.New("keys: claims are one JSON object of at most 64 KiB")

// DecodeClaims reads the claims of a JWT, one JSON object, into a struct or a
// map. Names have their exact case and may stand once, at every depth:
// encoding/json would take SUB for sub, and the last of two (RFC 7519 §4, RFC
// 8259 §4). Unknown names are ignored. It is an error if a value does not fit
// its field, and if anything but white space follows the object; what was
// decoded until then must not be used.
func DecodeClaims(payload []byte, into any) error {
	if len(payload) > longestClaims || !utf8.Valid(payload) || !bytes.HasPrefix(bytes.TrimLeft(payload, " \t\r\n"), []byte("{")) {
		return errClaims
	}
	var all map[string]any // sees the names that into has no field for
	if err := json.Unmarshal(payload, &all); err != nil {
		return fmt.Errorf("keys: claims: %w", err)
	}
	if err := json.Unmarshal(payload, into); err != nil {
		return fmt.Errorf("keys: claims: %w", err)
	}
	return nil
}
