package store

import (
	"context"
	"time"

	"github.com/sallyport-id/sallyport/internal/oidc"
)

// PushedRequest is an authorization request that a client sent ahead (RFC 9126). Its
// secret is in its request_uri.
type PushedRequest struct {
	ID         string
	SecretHash []byte
	ClientID   string
	Request    oidc.AuthorizationRequest // checked when it came
	CreatedAt  time.Time
	ExpiresAt  time.Time // a sign-in must begin before
	// NeededUntil is when whatever began with it has ended.
	NeededUntil time.Time
}

// PushedRequests are answered once: see Finish.PushedRequest.
type PushedRequests interface {
	PushRequest(ctx context.Context, p *PushedRequest) error
	// PushedRequest returns what a sign-in may begin with, any number of times;
	// ErrNotFound with a wrong secret, for another client, once it has expired, or once
	// it was answered with a code.
	PushedRequest(ctx context.Context, id string, secretHash []byte, clientID string, now time.Time) (*PushedRequest, error)
}
