package store

import (
	"context"
	"time"

	"github.com/sallyport-id/sallyport/internal/oidc"
)

// TrustedDevice is a browser that its user trusts: where the policy lets it, it
// stands for the second factor. It proves nothing: no level, no acr and no amr come
// of it.
type TrustedDevice struct {
	ID        string
	UserID    string
	UserEpoch int64 // the user's when it was made; it ends with that
	// Level is what the user had proven when it was made. It stands for no more.
	Level oidc.Level
	// UserAgent and Address are of the request that made it, for its user to know it by.
	UserAgent, Address string
	CreatedAt          time.Time
	LastUsedAt         time.Time
	ExpiresAt          time.Time // absolute: using it moves nothing
}

// GrantedDevice is the trusted device that a grant, or a sign-in, relies on. A grant
// ends with it.
type GrantedDevice struct {
	ID    string     `json:"id"`
	Level oidc.Level `json:"level"`
	Since time.Time  `json:"since"`
}

// TrustedDevices are the browsers that users trust. A secret of one is used once and
// rotates; presented again, two have it.
type TrustedDevices interface {
	// TrustDevice makes one and moves the interaction on, if the interaction's version,
	// the session (live) and its version, and the user's epoch are what the caller
	// decided on, else ErrStale. Of a user the oldest beyond 20 are forgotten.
	TrustDevice(ctx context.Context, t Trust) error
	// TrustedDevice returns a live one: not past its end, the user's epoch unchanged,
	// the secret the newest, or the one before it within grace if nobody has used the
	// newest. A secret that was used longer ago is ErrUsed: the caller then ends the
	// device. Anything else, and a wrong secret, is ErrNotFound.
	TrustedDevice(ctx context.Context, id string, secretHash []byte, now time.Time, grace time.Duration) (*TrustedDevice, error)
	// TrustedDevices returns a user's live ones, the oldest first.
	TrustedDevices(ctx context.Context, userID string, now time.Time) ([]TrustedDevice, error)
	// EndTrustedDevice ends one of the user's, and what was granted because of it.
	// ErrNotFound if there is none, or no longer.
	EndTrustedDevice(ctx context.Context, userID, id string, events ...Event) error
	// EndTrustedDevices ends all of the user's. None is no error.
	EndTrustedDevices(ctx context.Context, userID string, events ...Event) error
}

// Trust is all that trusting a browser makes durable.
type Trust struct {
	Device         TrustedDevice
	SecretHash     []byte // SHA-256 of the cookie's secret
	SessionID      string
	SessionVersion int64
	Interaction    Interaction // as it shall be; Version is the one that was read
	Now            time.Time
	Events         []Event
}

// DeviceUse is the use of a trusted device at the end of an interaction.
type DeviceUse struct {
	ID         string
	SecretHash []byte
	// NewSecretHash takes the place of SecretHash, which then has been used; nil: it
	// stays. Within Grace a used one is taken once more if nobody has used what
	// followed it: that is replaced.
	NewSecretHash []byte
	Grace         time.Duration
}
