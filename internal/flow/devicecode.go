package flow

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"math/big"
	"strings"
	"time"

	"github.com/sallyport-id/sallyport/internal/oidc"
	"github.com/sallyport-id/sallyport/internal/store"
)

const (
	// DeviceCodePrefix begins every device code.
	DeviceCodePrefix = "dc_"

	deviceCodeTTL  = 10 * time.Minute
	deviceInterval = 5 * time.Second
)

// farthest is the level that can be proven for another device: the user may have been
// sent here by whoever holds that one, and no authenticator notices (RFC 8628 §5.4).
const farthest = oidc.Level2FA

// forDevice: what the interaction ends in goes to another device. Changes of an account
// go nowhere.
func (s State) forDevice() bool { return s.Progress.DeviceCode != "" && !s.Progress.Account }

// ForDevice reports whether the visit answers a device that waits, in the place of a
// redirect.
func (v *Visit) ForDevice() bool { return v.forDevice() }

// AskForDevice makes the codes for a device whose client was proven, and whose request
// was checked (RFC 8628 §3.2). verificationURI is where its user types the user code.
func (e *Engine) AskForDevice(ctx context.Context, c *oidc.Client, req *oidc.AuthorizationRequest, verificationURI string, o Origin) (*oidc.DeviceAuthorization, error) {
	now := e.Now()
	secret, hash := store.NewSecret()
	d := &store.DeviceCode{
		ID: store.NewID(), SecretHash: hash, ClientID: c.ID, Request: *req, Address: o.Address,
		Interval: deviceInterval, CreatedAt: now, ExpiresAt: now.Add(deviceCodeTTL),
	}
	event := store.Event{At: now, Type: store.EventDeviceCodeMade, ClientID: c.ID, Address: o.Address, RequestID: o.RequestID, Detail: d.ID}
	var typed string
	err := store.ErrExists
	for range 3 { // two of 2^34 meet
		if !errors.Is(err, store.ErrExists) {
			break
		}
		typed = newUserCode()
		d.UserCode = e.userCodeHash(typed)
		err = e.Store.CreateDeviceCode(ctx, d, event)
	}
	if err != nil {
		return nil, fmt.Errorf("create device code: %w", err)
	}
	return &oidc.DeviceAuthorization{
		DeviceCode: DeviceCodePrefix + d.ID + "." + secret, UserCode: oidc.FormatUserCode(typed), VerificationURI: verificationURI,
		ExpiresIn: int64(deviceCodeTTL / time.Second), Interval: int64(deviceInterval / time.Second),
	}, nil
}

func newUserCode() string {
	var code strings.Builder
	for range oidc.UserCodeLength {
		i, _ := rand.Int(rand.Reader, big.NewInt(int64(len(oidc.UserCodeLetters)))) // never fails
		code.WriteByte(oidc.UserCodeLetters[i.Int64()])
	}
	return code.String()
}

// userCodeHash is what is stored of a user code: too short for a plain hash.
func (e *Engine) userCodeHash(code string) []byte {
	mac := hmac.New(sha256.New, e.Sealer.Derive("user code"))
	mac.Write([]byte(code))
	return mac.Sum(nil)
}

// BeginDevice begins the interaction that answers the device of a user code, and returns
// its id. Whoever typed the code signs in there anew: nothing that the browser has
// proven before counts. store.ErrNotFound: no device waits with that code, or its
// client may not ask any more.
func (e *Engine) BeginDevice(ctx context.Context, code string, browserHash []byte) (string, error) {
	now := e.Now()
	d, err := e.Store.DeviceCodeOf(ctx, e.userCodeHash(code), now)
	if err != nil {
		return "", fmt.Errorf("load device code: %w", err)
	}
	c, err := e.Store.Client(ctx, d.ClientID)
	if err != nil {
		return "", fmt.Errorf("load the device's client: %w", err)
	}
	if refusal := e.checkDevice(ctx, &d.Request, c); refusal != nil {
		return "", refusal
	}
	i := &store.Interaction{
		ID: store.NewID(), BrowserHash: browserHash, ClientID: c.ID, Request: d.Request, Version: 1, CreatedAt: now, ExpiresAt: d.ExpiresAt,
		Progress: store.Progress{OwnProofs: true, DeviceCode: d.ID},
	}
	if err := e.Store.CreateInteraction(ctx, i); err != nil {
		return "", fmt.Errorf("create interaction: %w", err)
	}
	return i.ID, nil
}

// checkDevice asks again what was checked when the device asked.
func (e *Engine) checkDevice(ctx context.Context, req *oidc.AuthorizationRequest, c *oidc.Client) error {
	apis, err := e.APIs(ctx, req)
	if err != nil {
		return err
	}
	if refusal := req.CheckDevice(c, apis...); refusal != nil || c.Disabled {
		return fmt.Errorf("the client may not ask any more: %w", store.ErrNotFound)
	}
	return nil
}

// fillDeviceCode adds the device that waits, if it still does.
func (e *Engine) fillDeviceCode(ctx context.Context, v *Visit) (err error) {
	if !v.forDevice() {
		return nil
	}
	v.DeviceCode, err = e.Store.WaitingDeviceCode(ctx, v.Progress.DeviceCode, v.Now)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return fmt.Errorf("load device code: %w", err)
	}
	return nil
}
