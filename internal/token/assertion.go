package token

import (
	"context"
	"errors"
	"fmt"
	"net/url"

	"github.com/sallyport-id/sallyport/internal/clientkey"
	"github.com/sallyport-id/sallyport/internal/oidc"
	"github.com/sallyport-id/sallyport/internal/store"
)

// useAssertion takes a client's assertion, once (RFC 7523 §3 item 7).
func (s *Service) useAssertion(ctx context.Context, c *oidc.Client, auth oidc.ClientAuth) error {
	keys, err := s.assertionKeys(ctx, c, auth)
	if err != nil {
		return err
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

// assertionKeys are what a client of this method signs with, and of no other.
func (s *Service) assertionKeys(ctx context.Context, c *oidc.Client, auth oidc.ClientAuth) (oidc.AssertionKeys, error) {
	switch c.AuthMethod {
	case oidc.AuthPrivateKeyJWT:
		keys, err := s.ClientKeys.Of(ctx, c, oidc.UnprovenKeyID(string(auth.Assertion)))
		if err != nil {
			return nil, unavailable(err, oidc.InvalidClient, "client_assertion")
		}
		return keys, nil
	case oidc.AuthSecretJWT:
		sealed, err := s.Store.ClientSecrets(ctx, c)
		if err != nil {
			return nil, fmt.Errorf("client's secrets: %w", err)
		}
		return s.Sealer.OpenClientSecrets(c.ID, sealed)
	}
	return nil, oidc.Errorf(oidc.InvalidClient, "client authentication failed")
}

// OpenRequestObject returns the parameters of an authorization request that the client,
// which must have keys, has signed: see oidc.OpenRequestObject. Errors are *oidc.Error
// for the client, anything else for the log.
func (s *Service) OpenRequestObject(ctx context.Context, c *oidc.Client, v url.Values) (url.Values, error) {
	keys, err := s.ClientKeys.Of(ctx, c, oidc.UnprovenKeyID(v.Get("request")))
	if err != nil {
		return nil, unavailable(err, oidc.InvalidRequestObject, "request")
	}
	inside, refusal := oidc.OpenRequestObject(c, keys, v, s.Issuer, s.Now())
	if refusal != nil {
		return nil, refusal
	}
	return inside, nil
}

// unavailable is what a client hears whose keys there is no way to; why is in the log.
func unavailable(err error, code, parameter string) error {
	if errors.Is(err, clientkey.ErrUnavailable) {
		return oidc.Errorf(code, "%s: the client's keys cannot be had from its jwks_uri now", parameter)
	}
	return fmt.Errorf("client's keys: %w", err)
}
