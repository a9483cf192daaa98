package authn_test

import (
	"strings"
	"testing"

	"github.com/descope/virtualwebauthn"

	"github.com/sallyport-id/sallyport/internal/authn"
	"github.com/sallyport-id/sallyport/internal/store"
)

// TestKeysHaveNames: that of their maker's product if it is known, else what they are.
func TestKeysHaveNames(t *testing.T) {
	t.Parallel()
	rp := relyingParty(t, home)
	yubikey := [16]byte{0xcb, 0x69, 0x48, 0x1e, 0x8f, 0xf7, 0x40, 0x39, 0x93, 0xec, 0x0a, 0x27, 0x29, 0xa1, 0x54, 0xa8}
	for name, c := range map[string]struct {
		synced     bool
		aaguid     [16]byte
		transports string
		want       string
	}{
		"known":             {false, yubikey, "", "YubiKey 5"},
		"unknown":           {false, [16]byte{1}, "", "Security key"},
		"unknown, synced":   {true, [16]byte{1}, "", "Passkey"},
		"it says nothing":   {false, [16]byte{}, "", "Security key"},
		"in the device":     {false, [16]byte{}, `"internal"`, "Passkey"},
		"in the USB socket": {false, [16]byte{}, `"nfc","usb"`, "Security key"},
	} {
		k := newKey(virtualwebauthn.AuthenticatorOptions{BackupEligible: c.synced})
		k.device.Aaguid = c.aaguid
		ceremony := authn.NewCeremony(store.CeremonyCreate, mina, noon)
		answer := strings.Replace(k.register(t, rp, ceremony, mina), `"response":{`, `"response":{"transports":[`+c.transports+`],`, 1)
		got, err := rp.CheckRegistration(ceremony, mina, nil, answer, noon)
		if err != nil {
			t.Fatal(err)
		}
		if got.Name != c.want {
			t.Errorf("%s: got %q, want %q", name, got.Name, c.want)
		}
	}
}
