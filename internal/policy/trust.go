package policy

import (
	"slices"
	"time"

	"github.com/sallyport-id/sallyport/internal/authn"
	"github.com/sallyport-id/sallyport/internal/oidc"
	"github.com/sallyport-id/sallyport/internal/store"
)

// TrustsDevices reports whether users may trust their browsers here: the rule lets
// them, and no floor is above one factor.
func (p Policy) TrustsDevices(c Case) bool {
	return p.TrustFor(c) > 0 && c.Floor() <= oidc.Level1FA
}

// Trusts reports whether the device that the evidence has stands for the second
// factor: beside a password, for no more than was proven when the user trusted it,
// and for no longer than the rule says today. It makes the evidence worth no more
// (NIST SP 800-63B-4 §5.1).
func (p Policy) Trusts(c Case, e authn.Evidence) bool {
	d := e.Device
	return d != nil && p.TrustsDevices(c) && d.Level >= p.Required(c) &&
		e.At.Sub(d.Since) < p.TrustFor(c) &&
		slices.ContainsFunc(e.Counting(), func(p store.Proof) bool { return p.Method == store.MethodPassword })
}

// TrustFor is how long a browser stays trusted; 0: none is.
func (p Policy) TrustFor(c Case) time.Duration {
	return time.Duration(p.Rule(c).TrustedDeviceDays) * 24 * time.Hour
}
