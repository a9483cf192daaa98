package token

import (
	"fmt"

	"github.com/sallyport-id/sallyport/internal/keys"
	"github.com/sallyport-id/sallyport/internal/oidc"
)

// Hint is what an ID token of this server says when it comes back.
type Hint struct {
	Subject   string `json:"sub"`
	Audience  string `json:"aud"`
	SessionID string `json:"sid"`
	Issuer    string `json:"iss"`
}

// ParseHint reads an id_token_hint: signed by a key of this server, for any of
// its clients, expired or not (OpenID Connect RP-Initiated Logout §2).
func (s *Service) ParseHint(idToken string) (*Hint, error) {
	payload, err := s.Keys.Load().Verify(idToken, "RS256", "ES256", "EdDSA")
	if err != nil {
		return nil, fmt.Errorf("verify id_token_hint: %w", err)
	}
	var h Hint
	if err := keys.DecodeClaims(payload, &h); err != nil {
		return nil, fmt.Errorf("read id_token_hint: %w", err)
	}
	if h.Issuer != s.Issuer || h.Subject == "" || h.Audience == "" {
		return nil, oidc.Errorf(oidc.InvalidRequest, "id_token_hint is not an ID token of this server")
	}
	return &h, nil
}

// HintSubject returns the subject of an id_token_hint.
func (s *Service) HintSubject(idToken string) (string, error) {
	h, err := s.ParseHint(idToken)
	if err != nil {
		return "", err
	}
	return h.Subject, nil
}
