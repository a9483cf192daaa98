package token

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/sallyport-id/sallyport/internal/flow"
	"github.com/sallyport-id/sallyport/internal/oidc"
	"github.com/sallyport-id/sallyport/internal/store"
)

// PushPath is the pushed authorization request endpoint's, behind the issuer.
const PushPath = "/par"

const (
	// pushedTTL is how long a sign-in may begin with a pushed request.
	pushedTTL = time.Minute
	// pushedNeeded is how long after that it may end.
	pushedNeeded = 15 * time.Minute
)

// Push keeps an authorization request for the sign-in that follows (RFC 9126 §2):
// client first, then the key that it has, if it says so, then the request itself, by
// check, as at the authorization endpoint. Nothing is kept of a request that is not
// good. Errors are *oidc.Error for the client, anything else for the log.
func (s *Service) Push(ctx context.Context, req *oidc.PushedRequest, o flow.Origin,
	check func(*oidc.Client, *oidc.AuthorizationRequest) error) (*oidc.PushedResponse, error) {
	c, err := s.authenticate(ctx, req.Auth, o)
	if err != nil {
		return nil, err
	}
	now := s.Now()
	var inside url.Values
	if req.Wanted == nil && c.HasKeys() {
		if inside, err = s.OpenRequestObject(ctx, c, req.Form); err != nil {
			return nil, err
		}
	}
	wanted, refusal := req.Open(inside)
	if refusal != nil {
		return nil, refusal
	}
	if len(req.DPoP) > 0 {
		jkt, err := s.possession(ctx, c, req.DPoP, http.MethodPost, PushPath)
		if err != nil {
			return nil, err
		}
		if refusal := wanted.BindKey(jkt); refusal != nil {
			return nil, refusal
		}
	}
	wanted.PushedID = store.NewID()
	if err := check(c, wanted); err != nil {
		return nil, err
	}
	secret, hash := store.NewSecret()
	err = s.Store.PushRequest(ctx, &store.PushedRequest{
		ID: wanted.PushedID, SecretHash: hash, ClientID: c.ID, Request: *wanted,
		CreatedAt: now, ExpiresAt: now.Add(pushedTTL), NeededUntil: now.Add(pushedTTL + pushedNeeded),
	})
	if err != nil {
		return nil, fmt.Errorf("push request: %w", err)
	}
	return &oidc.PushedResponse{RequestURI: oidc.RequestURIPrefix + wanted.PushedID + "." + secret, ExpiresIn: int64(pushedTTL / time.Second)}, nil
}

// Pushed returns the request that a client pushed and that waits for its sign-in. The
// error is an *oidc.Error if there is none: whether it is another client's, has
// expired or was answered is not told.
func (s *Service) Pushed(ctx context.Context, clientID, requestURI string) (*oidc.AuthorizationRequest, error) {
	gone := oidc.Errorf(oidc.InvalidRequestURI, "request_uri is expired, used or another client's: begin again at the application")
	id, hash, ok := parse(oidc.RequestURIPrefix, requestURI)
	if !ok {
		return nil, gone
	}
	p, err := s.Store.PushedRequest(ctx, id, hash, clientID, s.Now())
	if errors.Is(err, store.ErrNotFound) {
		return nil, gone
	}
	if err != nil {
		return nil, fmt.Errorf("load pushed request: %w", err)
	}
	return &p.Request, nil
}
