package rp

import (
	"encoding/json"

	"github.com/sallyport-id/sallyport/internal/issuer"
)

// Claims are the members of a JSON object by their exact names. encoding/json
// would match them whatever their case and let the last of several win.
type Claims map[string]json.RawMessage

// Decode stores a claim in what v points to, as json.Unmarshal does, and
// reports whether it is there. A claim that is null counts as missing.
func (c Claims) Decode(name string, v any) (bool, error) {
	return issuer.Object(c).Decode(name, v)
}
