package store

import (
	"context"
	"time"

	"github.com/sallyport-id/sallyport/internal/oidc"
)

// DeviceCode is a device that waits until its user allows it on another (RFC 8628).
type DeviceCode struct {
	ID         string
	SecretHash []byte // SHA-256 of the secret that the device asks with
	// UserCode is an HMAC of what the user types: no two have the same.
	UserCode []byte
	ClientID string
	Request  oidc.AuthorizationRequest
	// Address is where the device asked from.
	Address   string
	Interval  time.Duration // between two questions, at least; rises when they come faster
	CreatedAt time.Time
	ExpiresAt time.Time

	// GrantID is of what the user allowed; "": nobody has yet.
	GrantID  string
	DeniedAt time.Time // zero: nobody has
}

// Waits reports whether nobody has answered it.
func (c *DeviceCode) Waits(now time.Time) bool {
	return c.GrantID == "" && c.DeniedAt.IsZero() && now.Before(c.ExpiresAt)
}

// DevicePoll is what a device's question met.
type DevicePoll struct {
	DeviceCode
	// TooFast: it came before the interval was over.
	TooFast bool
}

// DeviceCodes are answered once, and redeemed once.
type DeviceCodes interface {
	// CreateDeviceCode is ErrExists if another has the user code.
	CreateDeviceCode(ctx context.Context, c *DeviceCode, events ...Event) error
	// DeviceCodeOf returns the one of a user code that waits for an answer;
	// ErrNotFound if there is none.
	DeviceCodeOf(ctx context.Context, userCode []byte, now time.Time) (*DeviceCode, error)
	// WaitingDeviceCode is DeviceCodeOf by id.
	WaitingDeviceCode(ctx context.Context, id string, now time.Time) (*DeviceCode, error)
	// DenyDeviceCode takes the interaction, and the device is refused; ErrStale if one
	// of them is not what the caller saw any more.
	DenyDeviceCode(ctx context.Context, id, interaction string, version int64, now time.Time, events ...Event) error
	// PollDeviceCode counts a question of the client's device, and returns the code,
	// whatever became of it. A wrong secret and another client are ErrNotFound.
	PollDeviceCode(ctx context.Context, id string, secretHash []byte, clientID string, now time.Time) (*DevicePoll, error)
	// DeviceGrant returns what the user allowed, with the user; ErrNotFound if nobody
	// has.
	DeviceGrant(ctx context.Context, id string, secretHash []byte) (*Grant, *User, error)
	// RedeemDeviceCode marks it used and makes the tokens. One caller wins; the others
	// are told ErrUsed, and the caller then revokes the grant. With the code expired,
	// the grant revoked or the user's epoch changed it is ErrNotFound.
	RedeemDeviceCode(ctx context.Context, id string, secretHash []byte, now time.Time, t Tokens) error
}
