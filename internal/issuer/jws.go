package issuer

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"github.com/go-jose/go-jose/v4"
)

// A Header is the protected header of a signed token. Nothing in it is to be used
// but to choose among keys that are known from elsewhere (RFC 8725 §3.1, §3.5):
// jku, jwk, x5u and x5c are not even fields.
type Header struct {
	Algorithm jose.SignatureAlgorithm
	KeyID     string
	Type      string
	Extension string // the name of one that is not understood, crit or b64
	Object    Object
}

// UnverifiedClaims reads the claims of a signed token in compact form, which may be
// anybody's: they only choose who is to verify it.
func UnverifiedClaims(token string) (Object, error) {
	_, rest, _ := strings.Cut(token, ".")
	payload, _, _ := strings.Cut(rest, ".")
	text, err := base64.RawURLEncoding.Strict().DecodeString(payload)
	if err != nil {
		return nil, errors.New("its claims are malformed")
	}
	return ParseObject(text)
}

// ParseHeader reads the header of a signed token in compact form (RFC 7515 §7.1).
// The signature is not looked at.
func ParseHeader(token string) (Header, error) {
	first, rest, _ := strings.Cut(token, ".")
	if strings.Count(rest, ".") != 1 {
		return Header{}, errors.New("it is no signed token")
	}
	text, err := base64.RawURLEncoding.Strict().DecodeString(first)
	if err != nil {
		return Header{}, errors.New("its header is malformed")
	}
	object, err := ParseObject(text)
	if err != nil {
		return Header{}, fmt.Errorf("its header is malformed: %v", err)
	}
	r := Reader{Object: object}
	h := Header{Algorithm: jose.SignatureAlgorithm(r.Text("alg")), KeyID: r.Text("kid"), Type: r.Text("typ"), Object: object}
	if r.Err != nil {
		return Header{}, fmt.Errorf("its header is malformed: %v", r.Err)
	}
	for _, name := range []string{"crit", "b64"} {
		if _, there := object[name]; there {
			h.Extension = name
		}
	}
	return h, nil
}
