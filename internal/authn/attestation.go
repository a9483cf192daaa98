package authn

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/go-webauthn/webauthn/webauthn"

	"github.com/sallyport-id/sallyport/internal/store"
)

// AAGUID names a make of authenticators (WebAuthn L3 §6.5.1). All zeros name none.
type AAGUID [16]byte

// ParseAAGUID reads one as it is written: 8-4-4-4-12 hexadecimal digits.
func ParseAAGUID(text string) (id AAGUID, err error) {
	digits, err := hex.DecodeString(strings.ReplaceAll(text, "-", ""))
	if err != nil || len(digits) != len(id) {
		return id, fmt.Errorf("%q is no AAGUID, like cb69481e-8ff7-4039-93ec-0a2729a154a8", text)
	}
	copy(id[:], digits)
	if !strings.EqualFold(id.String(), text) || id == (AAGUID{}) {
		return id, fmt.Errorf("%q is no AAGUID, like cb69481e-8ff7-4039-93ec-0a2729a154a8", text)
	}
	return id, nil
}

func (id AAGUID) String() string {
	return fmt.Sprintf("%x-%x-%x-%x-%x", id[:4], id[4:6], id[6:8], id[8:10], id[10:])
}

// Makes are the operator's lists of makes. They are about makes whose attestation was
// verified: what any other key says of its own make anybody can say.
type Makes struct {
	// Allow are the only makes of which new keys are registered; empty: any, and those
	// of which nobody vouches for the make.
	Allow []AAGUID
	// AllowHardwareBound are the only makes that reach level 4; empty: any that the
	// metadata knows to.
	AllowHardwareBound []AAGUID
	// Deny are makes of which no new key is registered, and none reaches level 4.
	Deny []AAGUID
}

// UseMetadata lets the relying party ask new authenticators for their attestation, and
// judge by this metadata from now on. It may be called at any time.
func (rp *RelyingParty) UseMetadata(m *Metadata) {
	if rp != nil {
		rp.metadata.Store(m)
	}
}

// Attests reports whether authenticators are asked for the attestation of their make.
func (rp *RelyingParty) Attests() bool { return rp != nil && rp.metadata.Load() != nil }

// HardwareBound reports whether a credential cannot leave its device, as today's
// metadata and lists know its make. All of it is found out anew from the attestation
// that was kept with the registration: nothing is believed that was stored as a result.
func (rp *RelyingParty) HardwareBound(c *store.Credential) bool {
	if c == nil || !rp.Attests() {
		return false
	}
	var k webauthn.Credential
	return json.Unmarshal(c.Record, &k) == nil && rp.hardwareBound(k)
}

// Judge fills in which credentials of the list are hardware-bound.
func (rp *RelyingParty) Judge(list []store.Authenticator) {
	for _, a := range list {
		if a.Credential != nil {
			a.Credential.Attested = rp.HardwareBound(a.Credential)
		}
	}
}

func (rp *RelyingParty) hardwareBound(k webauthn.Credential) bool {
	m := rp.metadata.Load()
	if m == nil || k.Flags.BackupEligible {
		return false
	}
	entry, err := m.verify(k)
	if err != nil || compromised(entry) != nil || !inHardware(entry) {
		return false
	}
	id, hw := AAGUID(entry.AaGUID), rp.Makes.AllowHardwareBound
	return !slices.Contains(rp.Makes.Deny, id) && (len(hw) == 0 || slices.Contains(hw, id))
}

// admits says why a new key of this make is not registered. One of which nobody vouches
// for the make is, unless the operator lists those that are.
func (rp *RelyingParty) admits(k webauthn.Credential) error {
	m := rp.metadata.Load()
	if m == nil {
		return nil
	}
	entry, err := m.verify(k)
	if err != nil {
		if len(rp.Makes.Allow) == 0 {
			return nil
		}
		return &WebAuthnError{ReasonMake, err}
	}
	id := AAGUID(entry.AaGUID)
	switch err := compromised(entry); {
	case err != nil:
		return &WebAuthnError{ReasonMake, err}
	case slices.Contains(rp.Makes.Deny, id):
		return &WebAuthnError{ReasonMake, errors.New("denied: " + id.String())}
	case len(rp.Makes.Allow) > 0 && !slices.Contains(rp.Makes.Allow, id):
		return &WebAuthnError{ReasonMake, errors.New("not allowed: " + id.String())}
	}
	return nil
}
