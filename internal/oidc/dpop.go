package oidc

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/url"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// DPoPProof is a proof that whoever sends a request has a private key (RFC 9449 §4.2).
// It was checked but for two things that need memory: that it is used once, and that
// its nonce is the server's.
type DPoPProof struct {
	// Thumbprint names the key (RFC 7638, SHA-256): the jkt of what is bound to it.
	Thumbprint string
	ID         string // jti: at most 128 characters
	IssuedAt   time.Time
	Nonce      string // "": none was sent
	tokenHash  string // ath, "" for none
}

// DPoPAlgs are the algorithms of proofs: those that FAPI 2.0 allows, too.
var DPoPAlgs = []string{"ES256", "EdDSA", "PS256"}

var dpopAlgs = []jose.SignatureAlgorithm{jose.ES256, jose.EdDSA, jose.PS256}

const (
	longestProof = 8 << 10
	leastRSA     = 2048 // bits

	// DPoPWindow is how far from now a proof may have been made, either way.
	DPoPWindow = time.Minute
)

// ParseDPoPProof checks the proof that a request's DPoP headers hold: signed by the
// public key that it shows, for this method and this URL of the server's, now (RFC
// 9449 §4.3). It is nil, without an error, if there is none.
func ParseDPoPProof(headers []string, method, uri string, now time.Time) (*DPoPProof, *Error) {
	switch {
	case len(headers) == 0:
		return nil, nil
	case len(headers) > 1:
		return nil, wrongProof("there is more than one")
	case len(headers[0]) > longestProof:
		return nil, wrongProof("it is too long")
	}
	payload, key, refusal := openProof(headers[0])
	if refusal != nil {
		return nil, refusal
	}
	var claims struct {
		ID     string   `json:"jti"`
		Method string   `json:"htm"`
		URI    string   `json:"htu"`
		At     *float64 `json:"iat"`
		Hash   string   `json:"ath"`
		Nonce  string   `json:"nonce"`
	}
	if err := json.Unmarshal(payload, &claims); err != nil {
		return nil, wrongProof("its claims cannot be read")
	}
	switch {
	case claims.ID == "" || len(claims.ID) > 128 || !printable(claims.ID):
		return nil, wrongProof("jti must be 1 to 128 characters")
	case claims.Method != method:
		return nil, wrongProof("htm is not the method of this request")
	case !sameURI(claims.URI, uri):
		return nil, wrongProof("htu is not the URL of this request")
	case claims.At == nil || *claims.At < 0 || *claims.At > 1<<40:
		return nil, wrongProof("iat is missing, or no time")
	case len(claims.Nonce) > 256 || !printable(claims.Nonce):
		return nil, wrongProof("nonce is too long")
	}
	at := time.Unix(int64(*claims.At), 0)
	if at.Before(now.Add(-DPoPWindow)) || at.After(now.Add(DPoPWindow)) {
		return nil, wrongProof("iat is too far from now")
	}
	thumbprint, err := key.Thumbprint(crypto.SHA256)
	if err != nil {
		return nil, wrongProof("its key has no thumbprint")
	}
	return &DPoPProof{
		Thumbprint: base64.RawURLEncoding.EncodeToString(thumbprint), ID: claims.ID, IssuedAt: at, Nonce: claims.Nonce, tokenHash: claims.Hash,
	}, nil
}

// openProof checks the form and the signature.
func openProof(text string) (payload []byte, key *jose.JSONWebKey, refusal *Error) {
	if strings.ContainsAny(text, "\r\n ") {
		return nil, nil, wrongProof("it is no compact JWS")
	}
	jws, err := jose.ParseSignedCompact(text, dpopAlgs)
	if err != nil {
		return nil, nil, wrongProof("it is no compact JWS of an algorithm that is supported")
	}
	header := jws.Signatures[0].Protected
	key = header.JSONWebKey
	switch typ, _ := header.ExtraHeaders[jose.HeaderType].(string); {
	case typ != "dpop+jwt":
		return nil, nil, wrongProof("typ must be dpop+jwt")
	case key == nil || !key.IsPublic() || !key.Valid() || !strongKey(key.Key):
		return nil, nil, wrongProof("jwk must be a public key of at least 128 bits of strength")
	}
	if payload, err = jws.Verify(key.Key); err != nil {
		return nil, nil, wrongProof("the signature is not of the key that it shows")
	}
	return payload, key, nil
}

func wrongProof(why string) *Error { return Errorf(InvalidDPoPProof, "the DPoP proof: %s", why) }

// strongKey: of a type and a size that is supported.
func strongKey(key any) bool {
	switch k := key.(type) {
	case *ecdsa.PublicKey:
		return k.Curve.Params().BitSize == 256
	case ed25519.PublicKey:
		return true
	case *rsa.PublicKey:
		return k.N.BitLen() >= leastRSA && k.N.BitLen() <= 4*leastRSA
	}
	return false
}

// Of reports whether the proof was made for the access token (RFC 9449 §4.3 item 11).
func (p *DPoPProof) Of(token string) bool {
	sum := sha256.Sum256([]byte(token))
	return p.tokenHash == base64.RawURLEncoding.EncodeToString(sum[:])
}

// sameURI compares without query and fragment, after the normalization of RFC 3986
// §6.2.2 and §6.2.3 (RFC 9449 §4.3).
func sameURI(htu, uri string) bool {
	a, ok := normalURI(htu)
	b, alsoOK := normalURI(uri)
	return ok && alsoOK && a == b
}

func normalURI(text string) (string, bool) {
	u, err := url.Parse(text)
	if err != nil || len(text) > longestURI || u.User != nil || u.Host == "" {
		return "", false
	}
	scheme, host := strings.ToLower(u.Scheme), strings.ToLower(u.Host)
	for of, port := range map[string]string{"https": ":443", "http": ":80"} {
		if scheme == of {
			host = strings.TrimSuffix(host, port)
		}
	}
	path := u.Path
	if path == "" {
		path = "/"
	}
	return scheme + "://" + host + path, true
}

// jktForm: a SHA-256 thumbprint in base64url.
func jktForm(jkt string) bool { return challengeForm(jkt) }
