package token

import (
	"context"
	"errors"

	"github.com/sallyport-id/sallyport/internal/flow"
	"github.com/sallyport-id/sallyport/internal/oidc"
	"github.com/sallyport-id/sallyport/internal/store"
)

// AuthorizeDevice answers a device authorization request (RFC 8628 §3.1): client
// first, then what it may ask for, then the codes that ask makes.
func (s *Service) AuthorizeDevice(ctx context.Context, req *oidc.DeviceAuthorizationRequest, o flow.Origin,
	ask func(*oidc.Client, *oidc.AuthorizationRequest) (*oidc.DeviceAuthorization, error)) (*oidc.DeviceAuthorization, error) {
	c, err := s.authenticate(ctx, req.Auth, o)
	if err != nil {
		return nil, err
	}
	wanted := req.AuthorizationRequest()
	var apis []*oidc.Resource
	for _, uri := range wanted.Resources {
		api, err := s.Store.Resource(ctx, uri)
		if err != nil {
			return nil, notFoundIs(errTarget, err)
		}
		apis = append(apis, api)
	}
	if refusal := wanted.CheckDevice(c, apis...); refusal != nil {
		return nil, refusal
	}
	return ask(c, wanted)
}

// redeemDevice is the grant device_code (RFC 8628 §3.4): the device asks until its
// user has answered.
func (s *Service) redeemDevice(ctx context.Context, r *call) (*Response, error) {
	id, hash, ok := parse(flow.DeviceCodePrefix, r.DeviceCode)
	if !ok {
		return nil, errGrant
	}
	code, err := s.Store.PollDeviceCode(ctx, id, hash, r.client.ID, r.now)
	if err != nil {
		return nil, notFoundIs(errGrant, err)
	}
	if refusal := stillWaits(code, r); refusal != nil {
		return nil, refusal
	}
	grant, user, err := s.Store.DeviceGrant(ctx, id, hash)
	if err != nil {
		return nil, notFoundIs(errGrant, err)
	}
	api, err := s.audience(ctx, r, grant)
	if err != nil {
		return nil, err
	}
	resp, err := s.issue(ctx, r, issuance{
		grant: grant, user: user, api: api, scope: grant.Scope, event: store.EventTokenDevice,
		refresh: r.client.Refreshes(), refreshExpires: r.refreshEnd(),
		write: func(t store.Tokens) error { return s.Store.RedeemDeviceCode(ctx, id, hash, r.now, t) },
	})
	if errors.Is(err, store.ErrUsed) {
		return nil, s.reused(ctx, r, grant, store.EventTokenDeviceReused)
	}
	return resp, err
}

// stillWaits is what a device hears as long as there is nothing for it (RFC 8628
// §3.5).
func stillWaits(p *store.DevicePoll, r *call) *oidc.Error {
	switch {
	case !r.now.Before(p.ExpiresAt):
		return oidc.Errorf(oidc.ExpiredToken, "the user has not answered in time")
	case !p.DeniedAt.IsZero():
		return oidc.Errorf(oidc.AccessDenied, "the user, or the policy, said no")
	case p.GrantID != "":
		return nil
	case p.TooFast:
		return oidc.Errorf(oidc.SlowDown, "ask every %d seconds", int(p.Interval.Seconds()))
	}
	return oidc.Errorf(oidc.AuthorizationPending, "the user has not answered yet")
}
