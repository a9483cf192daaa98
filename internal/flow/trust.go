package flow

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/sallyport-id/sallyport/internal/authn"
	"github.com/sallyport-id/sallyport/internal/oidc"
	"github.com/sallyport-id/sallyport/internal/store"
)

// deviceGrace is how long a trusted device's last secret is taken once more: its
// answer may have been lost.
const deviceGrace = 10 * time.Second

// declinedTrust is the cookie's value in a browser whose user said no: it is not
// asked again.
const declinedTrust = "no"

// longestAgent is what is kept of the name that a browser gives itself, in bytes.
const longestAgent = 256

// DeviceCookie is a trusted device's new cookie; the zero value leaves the browser's
// as it is.
type DeviceCookie struct {
	Value string
	Lasts time.Duration
}

// plain: the request asks for nothing that a trusted device could not answer: no
// authentication context, however voluntary, and no fresh proof (security rule 22).
func (s State) plain() bool {
	_, acr := s.Request.Claims.IDToken["acr"]
	names, _ := s.Request.RequestedACR()
	return !acr && len(names) == 0 && s.Progress.NotBefore.IsZero() && !s.Progress.OwnProofs && !s.settingUp() && !s.Progress.Account
}

// trusted: no second factor is asked for in this browser. It is skipped, not proven:
// the evidence stays what it is.
func (s State) trusted() bool {
	return s.plain() && s.Policy.Trusts(s.Case(), s.Evidence())
}

// grantedDevice is the live trusted device as evidence has it.
func (s State) grantedDevice() *store.GrantedDevice {
	if s.Device == nil || !s.plain() {
		return nil
	}
	return &store.GrantedDevice{ID: s.Device.ID, Level: s.Device.Level, Since: s.Device.CreatedAt}
}

// asksForTrust: the user has just proven all that is asked for, here, could be
// spared it in this browser, and has not been asked.
func (s State) asksForTrust() bool {
	if s.Interaction == "" || !s.passwordHere() || s.Device != nil || s.TrustDeclined || s.Progress.TrustBy == s.User.ID || !s.plain() || !s.Policy.TrustsDevices(s.Case()) {
		return false
	}
	required := s.Policy.Demand(s.Case(), s.Request, s.reach()).Level
	return required >= oidc.Level2FA && s.trustLevel() >= required
}

// passwordHere: the user has given the password in this interaction. After a passkey
// alone there is nothing to spare, and trust would let the password be enough.
func (s State) passwordHere() bool {
	return slices.ContainsFunc(s.Session.Proofs, func(p store.Proof) bool {
		return p.Method == store.MethodPassword && p.Interaction == s.Interaction
	})
}

// trustLevel is what was proven in this interaction with authenticators that the user
// has: a recovery code is for those who have none at hand.
func (s State) trustLevel() oidc.Level {
	own := s.Evidence()
	own.OwnProofs = true
	own.Proofs = slices.DeleteFunc(slices.Clone(own.Proofs), func(p store.Proof) bool { return p.Method == store.MethodRecovery })
	return authn.Judge(own).Level
}

// fillDevice adds the trusted device that the browser is, if that can matter. An old
// secret that comes back ends it: two have it.
func (e *Engine) fillDevice(ctx context.Context, v *Visit) error {
	v.TrustDeclined = v.Origin.Device == declinedTrust
	id, secret, ok := strings.Cut(v.Origin.Device, ".")
	if !ok || !v.plain() || !v.Policy.TrustsDevices(v.Case()) {
		return nil
	}
	d, err := e.Store.TrustedDevice(ctx, id, store.HashSecret(secret), v.Now, deviceGrace)
	switch {
	case errors.Is(err, store.ErrUsed):
		err = e.Store.EndTrustedDevice(ctx, v.User.ID, id, v.event(store.EventDeviceReused, id))
	case err == nil && d.UserID == v.User.ID && d.UserEpoch == v.User.Epoch:
		v.Device = d
	}
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return fmt.Errorf("load trusted device: %w", err)
	}
	return nil
}

// RecordTrust records whether the user trusts the browser, and returns the cookie
// that makes it known again.
func (e *Engine) RecordTrust(ctx context.Context, v *Visit, yes bool) (DeviceCookie, error) {
	if v.Step.Name != Trust {
		return DeviceCookie{}, fmt.Errorf("flow: trust at step %q", v.Step.Name)
	}
	v.Progress.TrustBy = v.User.ID
	lasts := v.Policy.TrustFor(v.Case())
	if !yes {
		return e.declineTrust(ctx, v, lasts)
	}
	secret, hash := store.NewSecret()
	d := store.TrustedDevice{
		ID: store.NewID(), UserID: v.User.ID, UserEpoch: v.User.Epoch, Level: v.trustLevel(),
		UserAgent: agent(v.Origin.UserAgent), Address: v.Origin.Address, CreatedAt: v.Now, LastUsedAt: v.Now, ExpiresAt: v.Now.Add(lasts),
	}
	after := *v.interaction
	after.Progress, after.SessionID = v.Progress, v.Session.ID
	err := e.Store.TrustDevice(ctx, store.Trust{
		Device: d, SecretHash: hash, SessionID: v.Session.ID, SessionVersion: v.Session.Version, Interaction: after, Now: v.Now,
		Events: []store.Event{v.event(store.EventDeviceTrusted, d.ID)},
	})
	if err != nil {
		return DeviceCookie{}, fmt.Errorf("trust device: %w", err)
	}
	return DeviceCookie{Value: d.ID + "." + secret, Lasts: lasts}, nil
}

// declineTrust leaves the cookie of a browser that another user trusts.
func (e *Engine) declineTrust(ctx context.Context, v *Visit, lasts time.Duration) (DeviceCookie, error) {
	id, secret, _ := strings.Cut(v.Origin.Device, ".")
	_, err := e.Store.TrustedDevice(ctx, id, store.HashSecret(secret), v.Now, deviceGrace)
	switch {
	case err == nil:
		return DeviceCookie{}, e.update(ctx, v)
	case !Expected(err):
		return DeviceCookie{}, fmt.Errorf("load trusted device: %w", err)
	}
	return DeviceCookie{Value: declinedTrust, Lasts: lasts}, e.update(ctx, v)
}

// agent is the name that a browser gives itself, fit to be shown.
func agent(name string) string {
	name = visible(name)
	return strings.ToValidUTF8(name[:min(len(name), longestAgent)], "")
}

// visible leaves out what cannot be seen.
func visible(s string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return -1
		}
		return r
	}, s)
}

// relyOnDevice adds the trusted device to what the end of the interaction makes, if
// more than the evidence was to be asked for. A sign-in with the password uses its secret up
// and returns the next; a request that asks nobody does not, for several may come
// at once.
func (e *Engine) relyOnDevice(v *Visit, f *store.Finish) DeviceCookie {
	if v.Device == nil || v.Step.Evidence.Level >= v.Policy.Demand(v.Case(), v.Request, v.reach()).Level {
		return DeviceCookie{}
	}
	_, presented, _ := strings.Cut(v.Origin.Device, ".")
	f.Grant.Device = v.grantedDevice()
	f.Device = &store.DeviceUse{ID: v.Device.ID, SecretHash: store.HashSecret(presented), Grace: deviceGrace}
	if !v.provenHere() {
		return DeviceCookie{}
	}
	secret, hash := store.NewSecret()
	f.Device.NewSecretHash = hash
	return DeviceCookie{Value: v.Device.ID + "." + secret, Lasts: v.Device.ExpiresAt.Sub(v.Now)}
}
