package token

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/sallyport-id/sallyport/internal/oidc"
	"github.com/sallyport-id/sallyport/internal/store"
)

// TokenPath is the token endpoint's, behind the issuer; UserinfoPath likewise.
const (
	TokenPath    = "/token"
	UserinfoPath = "/userinfo"
)

// noncePeriod is how long a nonce is the newest; it is taken as long again.
const noncePeriod = 2 * time.Minute

// DPoPNonce is what proofs may carry from now on (RFC 9449 §8). It is the time, signed:
// every server of the database makes the same, and none keeps it.
func (s *Service) DPoPNonce() string { return s.nonce(s.Now(), 0) }

func (s *Service) nonce(now time.Time, periodsAgo int64) string {
	var text [8]byte
	binary.BigEndian.PutUint64(text[:], uint64(now.Unix()/int64(noncePeriod/time.Second)-periodsAgo))
	mac := hmac.New(sha256.New, s.NonceKey)
	mac.Write(text[:])
	return base64.RawURLEncoding.EncodeToString(mac.Sum(text[:])[:24])
}

func (s *Service) nonceIs(got string, now time.Time) bool {
	return hmac.Equal([]byte(got), []byte(s.nonce(now, 0))) || hmac.Equal([]byte(got), []byte(s.nonce(now, 1)))
}

// possession returns the thumbprint of the key that the request proves to have, "" for
// none. The proof is used up by it.
func (s *Service) possession(ctx context.Context, c *oidc.Client, headers []string, method, path string) (thumbprint string, err error) {
	proof, refusal := oidc.ParseDPoPProof(headers, method, s.Issuer+path, s.Now())
	switch {
	case refusal != nil:
		return "", refusal
	case proof == nil && c.DPoPBound:
		return "", oidc.Errorf(oidc.InvalidDPoPProof, "the client's requests need a DPoP proof")
	case proof == nil:
		return "", nil
	}
	if err := s.useProof(ctx, c, proof, path); err != nil {
		return "", err
	}
	return proof.Thumbprint, nil
}

// useProof takes a proof once (RFC 9449 §11.1), with a nonce of ours if it has one or
// the client's must.
func (s *Service) useProof(ctx context.Context, c *oidc.Client, proof *oidc.DPoPProof, path string) error {
	now := s.Now()
	if (proof.Nonce != "" || c.RequireDPoPNonce) && !s.nonceIs(proof.Nonce, now) {
		return oidc.Errorf(oidc.UseDPoPNonce, "the DPoP proof needs the nonce of the header DPoP-Nonce")
	}
	err := s.Store.UseOnce(ctx, "dpop", path+"\x00"+proof.Thumbprint+"\x00"+proof.ID, proof.IssuedAt.Add(2*oidc.DPoPWindow), now)
	if errors.Is(err, store.ErrUsed) {
		return oidc.Errorf(oidc.InvalidDPoPProof, "the DPoP proof was used")
	}
	if err != nil {
		return fmt.Errorf("use proof: %w", err)
	}
	return nil
}

// presented checks how an access token came: one that is bound to a key with a proof
// of that key for this very token, and any other without (RFC 9449 §7.1, §7.2).
func (s *Service) presented(ctx context.Context, c *oidc.Client, token oidc.Presented, headers []string, method, jkt string) error {
	switch {
	case !token.DPoP && jkt == "":
		return nil
	case !token.DPoP:
		return oidc.Errorf(oidc.InvalidToken, "the access token is bound to a key, and needs a DPoP proof")
	case jkt == "":
		return oidc.Errorf(oidc.InvalidToken, "the access token is bound to no key, and comes as Bearer")
	}
	proof, refusal := oidc.ParseDPoPProof(headers, method, s.Issuer+UserinfoPath, s.Now())
	switch {
	case refusal != nil:
		return refusal
	case proof == nil:
		return oidc.Errorf(oidc.InvalidDPoPProof, "the DPoP proof is missing")
	case proof.Thumbprint != jkt || !proof.Of(token.Token):
		return oidc.Errorf(oidc.InvalidDPoPProof, "the DPoP proof is of another key or for another token")
	}
	return s.useProof(ctx, c, proof, UserinfoPath)
}

// confirmation is what a token's claims say of its key.
func confirmation(jkt string) *oidc.Confirmation {
	if jkt == "" {
		return nil
	}
	return &oidc.Confirmation{Thumbprint: jkt}
}

// tokenType is the type of a token that is bound to a key, or to none (RFC 9449 §5).
func tokenType(jkt string) string {
	if jkt == "" {
		return "Bearer"
	}
	return "DPoP"
}
