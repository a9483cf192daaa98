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

// HintSubject returns the subject that an id_token_hint names to the client. It is an
// error if that could tell clients more of each other's users than they know.
func (s *Service) HintSubject(idToken string, c *oidc.Client) (string, error) {
	h, err := s.ParseHint(idToken)
	if err != nil {
		return "", err
	}
	if !c.TakesHint(h.Audience, h.Subject) {
		return "", oidc.Errorf(oidc.InvalidRequest, "id_token_hint is another client's")
	}
	return h.Subject, nil
}

// Names reports whether the hint is of the user, as the client knows it that the hint was
// made for; nil: a client that is there no more.
func (s *Service) Names(h *Hint, c *oidc.Client, userID string) bool {
	if c == nil {
		return h.Subject == userID
	}
	return h.Subject == s.Subjects.Of(c, userID)
}
