package token

import (
	"context"
	"errors"
	"fmt"

	"github.com/sallyport-id/sallyport/internal/oidc"
	"github.com/sallyport-id/sallyport/internal/store"
)

// useAssertion takes a client's assertion, once (RFC 7523 §3 item 7).
func (s *Service) useAssertion(ctx context.Context, c *oidc.Client, auth oidc.ClientAuth) error {
	if c.AuthMethod != oidc.AuthPrivateKeyJWT {
		return oidc.Errorf(oidc.InvalidClient, "client authentication failed")
	}
	keys, err := oidc.ParseClientKeys(c.JWKS)
	if err != nil {
		return fmt.Errorf("client's keys: %w", err)
	}
	now := s.Now()
	assertion, refusal := oidc.CheckAssertion(c, keys, auth, s.Issuer, now)
	if refusal != nil {
		return refusal
	}
	err = s.Store.UseOnce(ctx, "client_assertion", c.ID+"\x00"+assertion.ID, assertion.Until, now)
	if errors.Is(err, store.ErrUsed) {
		return oidc.Errorf(oidc.InvalidClient, "client_assertion: it was used")
	}
	if err != nil {
		return fmt.Errorf("use assertion: %w", err)
	}
	return nil
}
