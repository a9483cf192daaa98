package token

import (
	"context"
	"errors"
	"fmt"

	"github.com/sallyport-id/sallyport/internal/flow"
	"github.com/sallyport-id/sallyport/internal/oidc"
	"github.com/sallyport-id/sallyport/internal/store"
)

// redeemCode is the grant authorization_code (RFC 6749 §4.1.3).
func (s *Service) redeemCode(ctx context.Context, r *call) (*Response, error) {
	id, hash, ok := parse(flow.CodePrefix, r.Code)
	if !ok {
		return nil, errGrant
	}
	code, grant, user, err := s.Store.Code(ctx, id, hash)
	if err != nil {
		return nil, notFoundIs(errGrant, err)
	}
	if refusal := checkCode(r, code); refusal != nil {
		return nil, refusal
	}
	api, err := s.audience(ctx, r, grant)
	if err != nil {
		return nil, err
	}
	resp, err := s.issue(ctx, r, issuance{
		grant: grant, user: user, api: api, scope: grant.Scope, nonce: grant.Nonce, event: store.EventTokenCode,
		refresh: r.client.Refreshes(), refreshExpires: r.refreshEnd(),
		write: func(t store.Tokens) error { return s.Store.RedeemCode(ctx, id, hash, r.now, t) },
	})
	if errors.Is(err, store.ErrUsed) {
		return nil, s.reused(ctx, r, grant, store.EventTokenCodeReused)
	}
	return resp, err
}

// checkCode: the code is this client's, and what was sent at its beginning is
// sent again (RFC 6749 §4.1.3, RFC 7636 §4.6).
func checkCode(r *call, code *store.Code) *oidc.Error {
	switch {
	case code.ClientID != r.client.ID || !r.client.HasRedirectURI(code.RedirectURI):
		return errGrant // another client's, or sent to where nothing of this one's goes any more
	case (code.RedirectSent || r.RedirectURI != "") && code.RedirectURI != r.RedirectURI:
		return oidc.Errorf(oidc.InvalidGrant, "redirect_uri is not the one of the authorization request")
	case code.JKT != "" && code.JKT != r.jkt:
		return oidc.Errorf(oidc.InvalidGrant, "the code is bound to another key (dpop_jkt)")
	case !oidc.CheckVerifier(code.CodeChallenge, r.CodeVerifier):
		return oidc.Errorf(oidc.InvalidGrant, "code_verifier does not fit the code_challenge")
	}
	return nil
}

// reused ends all that came of a code or refresh token that was used twice: one
// of the two users stole it (RFC 9700 §4.14.2).
func (s *Service) reused(ctx context.Context, r *call, g *store.Grant, event string) error {
	if err := s.Store.RevokeGrant(ctx, g.ID, r.now, r.event(event, g)); err != nil {
		return fmt.Errorf("revoke grant: %w", err)
	}
	return errGrant
}
