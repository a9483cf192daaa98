package keys

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"

	"github.com/go-jose/go-jose/v4"
)

// publish is the key set that others verify with: public keys only (RFC 7517 §5).
func publish(list []*Key) ([]byte, error) {
	published := jose.JSONWebKeySet{Keys: []jose.JSONWebKey{}}
	for _, k := range list {
		published.Keys = append(published.Keys, k.public)
	}
	return json.Marshal(published)
}

// ETag is an entity tag over a document (RFC 9110 §8.8.3).
func ETag(body []byte) string {
	sum := sha256.Sum256(body)
	return `"` + base64.RawURLEncoding.EncodeToString(sum[:12]) + `"`
}
