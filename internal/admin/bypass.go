package admin

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/sallyport-id/sallyport/internal/store"
)

// LongestBypass is how long a bypass code may wait to be used.
const LongestBypass = 24 * time.Hour

// BypassCode is what is handed to a person who has lost the second factor: with the
// password it allows to enrol another, once. It is not to be logged.
type BypassCode struct {
	Code      string    `json:"code"`
	ExpiresAt time.Time `json:"expires_at"`
}

// LogValue keeps the code out of logs.
func (BypassCode) LogValue() slog.Value { return slog.StringValue("[redacted]") }

// ErrNothingLost is why there is no bypass code for a user who has nothing to lose.
var ErrNothingLost = errors.New("has no second factor that could be lost; a reset with --keep-password makes a link to set one up")

// MakeBypass makes a bypass code for a user in place of any before, good for a time of
// at most LongestBypass. With replaces, whoever enrols with it takes all other
// authenticators away. ErrDisabled, ErrNothingLost.
func (a *Admin) MakeBypass(ctx context.Context, u *store.User, valid time.Duration, replaces bool) (BypassCode, error) {
	switch {
	case u.Disabled:
		return BypassCode{}, ErrDisabled
	case valid < time.Minute || valid > LongestBypass:
		return BypassCode{}, fmt.Errorf("a bypass code is good for a minute at least and %v at most", LongestBypass)
	}
	code, salt, hash, err := a.Hasher.NewBypassCode(ctx)
	if err != nil {
		return BypassCode{}, err
	}
	now := a.Now().UTC().Truncate(time.Second)
	c := &store.BypassCode{
		ID: store.NewID(), UserID: u.ID, Salt: salt, Hash: hash, Replaces: replaces, MadeBy: a.Operator, CreatedAt: now, ExpiresAt: now.Add(valid),
	}
	err = a.Store.MakeBypass(ctx, c, a.event(store.EventBypassMade, u.ID, c.ID))
	if errors.Is(err, store.ErrUsed) {
		return BypassCode{}, ErrNothingLost
	}
	if err != nil {
		return BypassCode{}, fmt.Errorf("make bypass code: %w", err)
	}
	return BypassCode{Code: code, ExpiresAt: c.ExpiresAt}, nil
}

// EndTrustedDevice ends one of the browsers that a user trusts. store.ErrNotFound.
func (a *Admin) EndTrustedDevice(ctx context.Context, userID, device string) error {
	return a.Store.EndTrustedDevice(ctx, userID, device, a.event(store.EventDeviceEnded, userID, device))
}

// EndTrustedDevices ends all of them.
func (a *Admin) EndTrustedDevices(ctx context.Context, userID string) error {
	return a.Store.EndTrustedDevices(ctx, userID, a.event(store.EventDeviceEnded, userID, "all"))
}
