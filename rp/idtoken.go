package rp

import (
	"context"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/subtle"
	"encoding/base64"
	"slices"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// signingAlgs are the algorithms that may sign ID tokens. A key allows those of
// them that fit its type.
var signingAlgs = []jose.SignatureAlgorithm{jose.RS256, jose.PS256, jose.ES256, jose.EdDSA}

const longestSubject = 255 // bytes (OpenID Connect Core §2)

// verifyIDToken checks an ID token (OpenID Connect Core §3.1.3.7, RFC 8725 §3) and
// says whose it is. The error is a *CheckError or an *UnavailableError.
func (c *Client) verifyIDToken(ctx context.Context, token, nonce, accessToken string) (*Identity, error) {
	h, err := parseHeader(token)
	if err != nil {
		return nil, err
	}
	k, err := c.verificationKey(ctx, h.keyID, h.alg)
	if err != nil {
		return nil, err
	}
	jws, err := jose.ParseSignedCompact(token, []jose.SignatureAlgorithm{h.alg})
	if err != nil {
		return nil, refuse("id_token", "it is malformed")
	}
	payload, err := jws.Verify(k.public)
	if err != nil {
		return nil, refuse("signature", "it does not verify")
	}
	claims, err := parseObject(payload)
	if err != nil {
		return nil, refuse("id_token", "%v", err)
	}
	want := expected{
		issuer: c.config.Issuer, clientID: c.config.ClientID, nonce: nonce,
		alg: h.alg, accessToken: accessToken, now: c.config.Now(), leeway: c.config.Leeway,
	}
	return want.check(claims)
}

// header is the protected header of a signed token.
type header struct {
	alg   jose.SignatureAlgorithm
	keyID string
}

// parseHeader reads the header of an ID token. Nothing in it is used but to choose
// among the server's keys (RFC 8725 §3.1, §3.5, §3.11).
func parseHeader(token string) (header, error) {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return header{}, refuse("id_token", "it is no signed token")
	}
	text, err := base64.RawURLEncoding.Strict().DecodeString(parts[0])
	if err != nil {
		return header{}, refuse("id_token", "its header is malformed")
	}
	object, err := parseObject(text)
	if err != nil {
		return header{}, refuse("id_token", "its header is malformed: %v", err)
	}
	r := reader{claims: object}
	h := header{jose.SignatureAlgorithm(r.text("alg")), r.text("kid")}
	typ := r.text("typ")
	if r.err != nil {
		return header{}, refuse("id_token", "its header is malformed: %v", r.err)
	}
	if !slices.Contains(signingAlgs, h.alg) {
		return header{}, refuse("alg", "%q is not accepted", clip(string(h.alg)))
	}
	if typ != "" && !strings.EqualFold(typ, "JWT") {
		return header{}, refuse("typ", "%q is no ID token", clip(typ))
	}
	for _, name := range []string{"crit", "b64"} {
		if _, there := object[name]; there {
			return header{}, refuse(name, "extensions are not understood")
		}
	}
	return h, nil
}

// expected is what the claims of an ID token are compared with.
type expected struct {
	issuer, clientID, nonce string
	alg                     jose.SignatureAlgorithm
	accessToken             string
	now                     time.Time
	leeway                  time.Duration
}

// check checks the claims of a token whose signature is good.
func (want expected) check(claims Claims) (*Identity, error) {
	r := reader{claims: claims}
	id := &Identity{
		Issuer: r.text("iss"), Subject: r.text("sub"),
		ACR: r.text("acr"), AMR: r.texts("amr"), AuthTime: r.instant("auth_time"),
		Claims: claims,
	}
	audience, party := r.oneOrMore("aud"), r.text("azp")
	expiry, issued, notBefore := r.instant("exp"), r.instant("iat"), r.instant("nbf")
	nonce, atHash := r.text("nonce"), r.text("at_hash")
	if r.err != nil {
		return nil, refuse("id_token", "%v", r.err)
	}
	late, early := want.now.Add(-want.leeway), want.now.Add(want.leeway)
	switch {
	case id.Issuer != want.issuer:
		return nil, refuse("iss", "the token comes from %q", clip(id.Issuer))
	case id.Subject == "" || len(id.Subject) > longestSubject:
		return nil, refuse("sub", "it is missing or too long")
	case len(audience) != 1 || audience[0] != want.clientID:
		return nil, refuse("aud", "the token is not for this client alone")
	case party != "" && party != want.clientID:
		return nil, refuse("azp", "the token was issued to another client")
	case !expiry.After(late):
		return nil, refuse("exp", "it is missing or past")
	case issued.IsZero() || issued.After(early):
		return nil, refuse("iat", "it is missing or in the future")
	case notBefore.After(early):
		return nil, refuse("nbf", "it is in the future")
	case id.AuthTime.After(early):
		return nil, refuse("auth_time", "it is in the future")
	case subtle.ConstantTimeCompare([]byte(nonce), []byte(want.nonce)) != 1:
		return nil, refuse("nonce", "it is not that of this login")
	case atHash != "" && atHash != accessTokenHash(want.alg, want.accessToken):
		return nil, refuse("at_hash", "it is not that of the access token")
	}
	if err := id.fill(claims); err != nil {
		return nil, refuse("id_token", "%v", err)
	}
	return id, nil
}

// accessTokenHash is the left half of a token's hash, by the hash function of the
// algorithm (OpenID Connect Core §3.1.3.6). That of Ed25519 is SHA-512.
func accessTokenHash(alg jose.SignatureAlgorithm, accessToken string) string {
	if alg == jose.EdDSA {
		sum := sha512.Sum512([]byte(accessToken))
		return base64.RawURLEncoding.EncodeToString(sum[:32])
	}
	sum := sha256.Sum256([]byte(accessToken))
	return base64.RawURLEncoding.EncodeToString(sum[:16])
}
