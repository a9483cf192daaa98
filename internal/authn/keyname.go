package authn

import (
	"cmp"

	"github.com/go-webauthn/webauthn/protocol"
	"github.com/go-webauthn/webauthn/webauthn"
)

// The names of authenticators of which nothing more is known.
const (
	namePasskey     = "Passkey"
	nameSecurityKey = "Security key"
)

// keyNames are the names that well-known authenticators have, by their AAGUID
// (WebAuthn L3 §6.5.1): the identifiers that their makers publish, in the FIDO
// metadata or the list of passkey providers. Unless it is attested an AAGUID is what
// an authenticator says of itself: a name to recognise it by, and nothing else.
var keyNames = map[string]string{
	"fbfc3007-154e-4ecc-8c0b-6e020557d7bd": "iCloud Keychain",
	"dd4ec289-e01d-41c9-bb89-70fa845d4bf2": "iCloud Keychain",
	"ea9b8d66-4d01-1d21-3ce4-b6b48cb575d4": "Google Password Manager",
	"08987058-cadc-4b81-b6e1-30de50dcbe96": "Windows Hello",
	"9ddd1817-af5a-4672-a2b9-3e3dd95000a9": "Windows Hello",
	"6028b017-b1d4-4c02-b4b3-afcdafc96bb2": "Windows Hello",
	"adce0002-35bc-c60a-648b-0b25f1f05503": "Chrome on Mac",
	"771b48fd-d3d4-4f74-9232-fc157ab0507a": "Edge on Mac",
	"53414d53-554e-4700-0000-000000000000": "Samsung Pass",
	"bada5566-a7aa-401f-bd96-45619a55120d": "1Password",
	"d548826e-79b4-db40-a3d8-11116f7e8349": "Bitwarden",
	"531126d6-e717-415c-9320-3d9aa6981239": "Dashlane",
	"f3809540-7f14-49c1-a8b3-8f813b225541": "Enpass",
	"0ea242b4-43c4-4a1b-8b17-dd6d0b6baec6": "Keeper",
	"b84e4048-15dc-4dd0-8640-f4f60813c8af": "NordPass",
	"50726f74-6f6e-5061-7373-50726f746f6e": "Proton Pass",
	"cb69481e-8ff7-4039-93ec-0a2729a154a8": "YubiKey 5",
	"ee882879-721c-4913-9775-3dfcce97072a": "YubiKey 5",
	"fa2b99dc-9e39-4257-8f92-4a30d23c4118": "YubiKey 5",
	"2fc0579f-8113-47ea-b116-bb5a8db9202a": "YubiKey 5",
	"f8a011f3-8c0a-4d15-8006-17111f9edc7d": "Security Key by Yubico",
	"b92c3f9a-c014-4056-887f-140a2501163b": "Security Key by Yubico",
	"6d44ba9b-f6ec-2e49-b930-0c8fe920cb73": "Security Key by Yubico",
	"149a2021-8ef6-4133-96b8-81f8d5b7f1f5": "Security Key by Yubico",
}

// keyName is what a new authenticator is called until its user calls it otherwise. What
// is not in the list has its maker's name for it in the metadata, if there are any.
func keyName(k *webauthn.Credential, m *Metadata) string {
	if len(k.Authenticator.AAGUID) == 16 {
		id := AAGUID(k.Authenticator.AAGUID)
		if name := cmp.Or(keyNames[id.String()], m.name(id)); name != "" {
			return name
		}
	}
	if k.Flags.BackupEligible || k.Authenticator.Attachment == protocol.Platform {
		return namePasskey
	}
	for _, t := range k.Transport {
		if t == protocol.Internal || t == protocol.Hybrid {
			return namePasskey
		}
	}
	return nameSecurityKey
}
