package rp

import (
	"context"
	"crypto"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/sallyport-id/sallyport/internal/issuer"
)

const longestSubject = 255 // bytes (OpenID Connect Core §2)

// verifyIDToken checks an ID token (OpenID Connect Core §3.1.3.7, RFC 8725 §3) and
// says whose it is; the caller says of which login and beside which access token
// it must be. The error is a *CheckError or an *UnavailableError.
func (c *Client) verifyIDToken(ctx context.Context, token string, want expected) (*Identity, error) {
	h, err := parseHeader(token, "JWT")
	if err != nil {
		return nil, err
	}
	claims, err := c.verifySignature(ctx, token, h)
	if err != nil {
		return nil, err
	}
	want.issuerID, want.clientID, want.alg = c.config.Issuer, c.config.ClientID, h.Algorithm
	want.now, want.leeway = c.config.Now(), c.config.Leeway
	return want.check(claims)
}

// verifySignature returns the claims of a token that the server signed.
func (c *Client) verifySignature(ctx context.Context, token string, h issuer.Header) (Claims, error) {
	public, err := c.verificationKey(ctx, h)
	if err != nil {
		return nil, err
	}
	jws, err := jose.ParseSignedCompact(token, []jose.SignatureAlgorithm{h.Algorithm})
	if err != nil {
		return nil, refuse("id_token", "it is malformed")
	}
	payload, err := jws.Verify(public)
	if err != nil {
		return nil, refuse("signature", "it does not verify")
	}
	claims, err := issuer.ParseObject(payload)
	if err != nil {
		return nil, refuse("id_token", "%v", err)
	}
	return Claims(claims), nil
}

// parseHeader reads the header of a token, whose typ, if it has one, must be the
// one given.
func parseHeader(token, typ string) (issuer.Header, error) {
	h, err := issuer.ParseHeader(token)
	switch {
	case err != nil:
		return h, refuse("id_token", "%v", err)
	case !slices.Contains(issuer.SigningAlgorithms, h.Algorithm):
		return h, refuse("alg", "%q is not accepted", issuer.Clip(string(h.Algorithm)))
	case h.Type != "" && !strings.EqualFold(h.Type, typ):
		return h, refuse("typ", "it is %q, not %s", issuer.Clip(h.Type), typ)
	case h.Extension != "":
		return h, refuse(h.Extension, "extensions are not understood")
	}
	return h, nil
}

// verificationKey is the key that the header names.
func (c *Client) verificationKey(ctx context.Context, h issuer.Header) (crypto.PublicKey, error) {
	public, err := c.keys.Find(ctx, h.KeyID, h.Algorithm)
	switch {
	case errors.Is(err, issuer.ErrNoKey):
		return nil, &CheckError{What: "kid", Problem: err.Error()}
	case err != nil:
		return nil, &UnavailableError{Doing: "fetching the server's keys", Err: err}
	}
	return public, nil
}

// expected is what the claims of an ID token are compared with.
type expected struct {
	issuerID, clientID, nonce string
	alg                       jose.SignatureAlgorithm
	accessToken               string
	refreshed                 bool // it came with a refresh: the caller compares what nonce it has, if any
	now                       time.Time
	leeway                    time.Duration
}

// check checks the claims of a token whose signature is good.
func (want expected) check(claims Claims) (*Identity, error) {
	r := issuer.Reader{Object: issuer.Object(claims)}
	id := &Identity{
		Issuer: r.Text("iss"), Subject: r.Text("sub"),
		ACR: r.Text("acr"), AMR: r.Texts("amr"), AuthTime: r.Instant("auth_time"),
		SID: r.Text("sid"), Claims: claims,
	}
	audience, party := r.OneOrMore("aud"), r.Text("azp")
	expiry, issued, notBefore := r.Instant("exp"), r.Instant("iat"), r.Instant("nbf")
	nonce, atHash := r.Text("nonce"), r.Text("at_hash")
	if r.Err != nil {
		return nil, refuse("id_token", "%v", r.Err)
	}
	late, early := want.now.Add(-want.leeway), want.now.Add(want.leeway)
	switch {
	case id.Issuer != want.issuerID:
		return nil, refuse("iss", "the token comes from %q", issuer.Clip(id.Issuer))
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
	case !want.refreshed && subtle.ConstantTimeCompare([]byte(nonce), []byte(want.nonce)) != 1:
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
