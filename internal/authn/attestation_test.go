package authn_test

import (
	"crypto/rand"
	"encoding/json"
	"strings"
	"testing"

	"github.com/descope/virtualwebauthn"

	"github.com/sallyport-id/sallyport/internal/authn"
	"github.com/sallyport-id/sallyport/internal/authn/authntest"
	"github.com/sallyport-id/sallyport/internal/store"
)

// attesting is a relying party whose metadata has these entries.
func attesting(t testing.TB, entries ...map[string]any) *authn.RelyingParty {
	t.Helper()
	rp := relyingParty(t, home)
	use(t, rp, entries...)
	return rp
}

// use lets the relying party judge by metadata with these entries.
func use(t testing.TB, rp *authn.RelyingParty, entries ...map[string]any) {
	t.Helper()
	authority := authntest.NewAuthority(t, "MDS")
	m, err := authn.ReadMetadata(authority.Blob(t, 1, tomorrow, entries...), authority.Pool(), noon)
	if err != nil {
		t.Fatal(err)
	}
	rp.UseMetadata(m)
}

// keyBy is a key that says it is of the maker's make.
func keyBy(m *authntest.Maker, o virtualwebauthn.AuthenticatorOptions) *key {
	k := newKey(o)
	k.device.Aaguid = m.AAGUID
	return k
}

// register lets a key register; attest makes its attestation, nil leaves the one that
// it makes of itself.
func register(t testing.TB, rp *authn.RelyingParty, k *key, attest func(authntest.T, string) string) (*authn.Answer, error) {
	t.Helper()
	c := authn.NewCeremony(store.CeremonyCreate, mina, noon)
	response := k.register(t, rp, c, mina)
	if attest != nil {
		response = attest(t, response)
	}
	return rp.CheckRegistration(c, mina, nil, response, noon)
}

// TestRule20HardwareBoundIsVerified: what a key must have for level 4, each missing
// once. Whatever is missing, the key is registered: for levels below it is as good.
func TestRule20HardwareBoundIsVerified(t *testing.T) {
	t.Parallel()
	type making struct {
		maker *authntest.Maker
		entry map[string]any
		o     virtualwebauthn.AuthenticatorOptions
	}
	for name, c := range map[string]struct {
		change  func(t *testing.T, m *making)
		self    bool
		without bool
		want    bool
	}{
		"everything": {want: true},
		"self-attestation": {self: true, change: func(_ *testing.T, m *making) {
			authntest.With(m.entry, "attestationTypes", []string{"basic_surrogate", "basic_full"})
		}},
		"no metadata":     {without: true},
		"an unknown make": {change: func(t *testing.T, m *making) { m.entry = authntest.NewMaker(t, "Other").Entry() }},
		"another root":    {change: func(t *testing.T, m *making) { m.maker.Authority = authntest.NewAuthority(t, m.maker.Name) }},
		"may be synced":   {change: func(_ *testing.T, m *making) { m.o.BackupEligible = true }},
		"may be synced, as the make may": {change: func(_ *testing.T, m *making) {
			m.o.BackupEligible = true
			authntest.With(m.entry, "multiDeviceCredentialSupport", "explicit")
		}},
		"kept in software":    {change: func(_ *testing.T, m *making) { authntest.With(m.entry, "keyProtection", []string{"software"}) }},
		"kept in both":        {change: func(_ *testing.T, m *making) { authntest.With(m.entry, "keyProtection", []string{"software", "tee"}) }},
		"kept nobody knows":   {change: func(_ *testing.T, m *making) { authntest.With(m.entry, "keyProtection", []string{}) }},
		"kept elsewhere":      {change: func(_ *testing.T, m *making) { authntest.With(m.entry, "keyProtection", []string{"remote_handle"}) }},
		"trusted environment": {want: true, change: func(_ *testing.T, m *making) { authntest.With(m.entry, "keyProtection", []string{"tee"}) }},
		"an update is there":  {want: true, change: func(_ *testing.T, m *making) { m.entry = m.maker.Entry("UPDATE_AVAILABLE") }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			maker := authntest.NewMaker(t, "Seoul Key 1")
			m := &making{maker, maker.Entry(), virtualwebauthn.AuthenticatorOptions{}}
			if c.change != nil {
				c.change(t, m)
			}
			rp := attesting(t, m.entry)
			if c.without {
				rp.UseMetadata(nil)
			}
			k, attest := keyBy(m.maker, m.o), m.maker.Attest
			if c.self {
				attest = nil
			}
			made, err := register(t, rp, k, attest)
			if err != nil {
				t.Fatalf("not registered: %v", err)
			}
			if made.Attested != c.want || rp.HardwareBound(&made.Credential) != c.want {
				t.Errorf("got %v and %v, want %v", made.Attested, rp.HardwareBound(&made.Credential), c.want)
			}
			list := []store.Authenticator{{ID: "k", UserID: mina.ID, Kind: store.KindWebAuthn, Credential: &made.Credential}}
			asked := authn.NewCeremony(store.CeremonyGet, mina, noon)
			used, err := rp.CheckAssertion(asked, mina, list, k.sign(asked), noon)
			if err != nil || used.Attested != c.want || rp.HardwareBound(&used.Credential) != c.want {
				t.Errorf("used: got %+v, %v, want %v", used, err, c.want)
			}
		})
	}
}

// TestRule20AttestationIsForThisKey: a right attestation of another key, or by a
// certificate for another make, is refused at once: somebody has made that up.
func TestRule20AttestationIsForThisKey(t *testing.T) {
	t.Parallel()
	maker := authntest.NewMaker(t, "Seoul Key 1")
	rp := attesting(t, maker.Entry())
	liar := *maker
	_, _ = rand.Read(liar.Certified[:])
	if _, err := register(t, rp, keyBy(maker, virtualwebauthn.AuthenticatorOptions{}), liar.Attest); reason(err) != authn.ReasonInvalid {
		t.Errorf("a certificate for another make: %v", err)
	}
	k, other := keyBy(maker, virtualwebauthn.AuthenticatorOptions{}), keyBy(maker, virtualwebauthn.AuthenticatorOptions{})
	c := authn.NewCeremony(store.CeremonyCreate, mina, noon)
	right, stolen := maker.Attest(t, k.register(t, rp, c, mina)), maker.Attest(t, other.register(t, rp, c, mina))
	object := func(response string) string { return between(t, response, `"attestationObject":"`, `"`) }
	// k's id with the other's attestation: the id of the credential is the attested one.
	if made, err := rp.CheckRegistration(c, mina, nil, strings.Replace(right, object(right), object(stolen), 1), noon); err == nil && string(made.Credential.ID) == string(k.cred.ID) {
		t.Error("another key's attestation was taken")
	}
}

func between(t testing.TB, text, before, after string) string {
	t.Helper()
	_, rest, ok := strings.Cut(text, before)
	found, _, ok2 := strings.Cut(rest, after)
	if !ok || !ok2 {
		t.Fatalf("no %s in %s", before, text)
	}
	return found
}

// TestRule20LevelFollowsTheMetadata: what was registered counts as today's metadata and
// lists say, down and up again.
func TestRule20LevelFollowsTheMetadata(t *testing.T) {
	t.Parallel()
	maker, other := authntest.NewMaker(t, "Seoul Key 1"), authntest.NewMaker(t, "Other")
	rp := attesting(t, maker.Entry())
	made, err := register(t, rp, keyBy(maker, virtualwebauthn.AuthenticatorOptions{}), maker.Attest)
	if err != nil {
		t.Fatal(err)
	}
	now := func(what string, want bool, entries ...map[string]any) {
		t.Helper()
		use(t, rp, entries...)
		if got := rp.HardwareBound(&made.Credential); got != want {
			t.Errorf("%s: got %v, want %v", what, got, want)
		}
	}
	for _, status := range []string{"REVOKED", "USER_VERIFICATION_BYPASS", "ATTESTATION_KEY_COMPROMISE", "USER_KEY_REMOTE_COMPROMISE", "USER_KEY_PHYSICAL_COMPROMISE"} {
		now(status, false, maker.Entry(status))
		now("mended after "+status, false, maker.Entry(status, "FIDO_CERTIFIED_L2"))
	}
	now("not known any more", false, other.Entry())
	now("as before", true, other.Entry(), maker.Entry())
	replaced := *maker
	replaced.Authority = authntest.NewAuthority(t, "Seoul Key 1")
	now("another root", false, replaced.Entry())
	for what, makes := range map[string]authn.Makes{
		"denied":             {Deny: []authn.AAGUID{maker.AAGUID}},
		"not among those":    {AllowHardwareBound: []authn.AAGUID{other.AAGUID}},
		"denied and allowed": {Deny: []authn.AAGUID{maker.AAGUID}, AllowHardwareBound: []authn.AAGUID{maker.AAGUID}},
		"":                   {AllowHardwareBound: []authn.AAGUID{other.AAGUID, maker.AAGUID}, Deny: []authn.AAGUID{other.AAGUID}},
	} {
		rp.Makes = makes
		now(what, what == "", maker.Entry())
	}
	rp.Makes = authn.Makes{}
	// What the record says of itself is nothing: the statement is what counts.
	var record map[string]any
	if err := json.Unmarshal(made.Credential.Record, &record); err != nil {
		t.Fatal(err)
	}
	record["attestation"] = map[string]any{}
	forged, _ := json.Marshal(record)
	use(t, rp, maker.Entry())
	if rp.HardwareBound(&store.Credential{Record: forged}) || rp.HardwareBound(&store.Credential{Record: []byte("{}")}) || rp.HardwareBound(nil) {
		t.Error("a record without its statement is hardware-bound")
	}
}

// TestRule20MakesThatAreRegistered: the lists are about makes that are verified, and a
// list of those that are allowed therefore asks for it.
func TestRule20MakesThatAreRegistered(t *testing.T) {
	t.Parallel()
	maker, other := authntest.NewMaker(t, "Seoul Key 1"), authntest.NewMaker(t, "Other")
	deny, allow := authn.Makes{Deny: []authn.AAGUID{maker.AAGUID}}, authn.Makes{Allow: []authn.AAGUID{maker.AAGUID}}
	for name, c := range map[string]struct {
		makes  authn.Makes
		by     *authntest.Maker
		self   bool
		status []string
		want   authn.WebAuthnReason
	}{
		"no list":              {authn.Makes{}, maker, false, nil, ""},
		"no list, no make":     {authn.Makes{}, maker, true, nil, ""},
		"revoked":              {authn.Makes{}, maker, false, []string{"REVOKED"}, authn.ReasonMake},
		"denied":               {deny, maker, false, nil, authn.ReasonMake},
		"says it is denied":    {deny, maker, true, nil, ""}, // anybody can say that
		"another is denied":    {deny, other, false, nil, ""},
		"allowed":              {allow, maker, false, nil, ""},
		"says it is allowed":   {allow, maker, true, nil, authn.ReasonMake},
		"another is allowed":   {allow, other, false, nil, authn.ReasonMake},
		"another for level 4":  {authn.Makes{AllowHardwareBound: []authn.AAGUID{other.AAGUID}}, maker, false, nil, ""},
		"allowed, and revoked": {allow, maker, false, []string{"REVOKED"}, authn.ReasonMake},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rp := attesting(t, maker.Entry(c.status...), other.Entry())
			rp.Makes = c.makes
			attest := c.by.Attest
			if c.self {
				attest = nil
			}
			if _, err := register(t, rp, keyBy(c.by, virtualwebauthn.AuthenticatorOptions{}), attest); reason(err) != c.want || (err == nil) != (c.want == "") {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}

// TestAttestationIsAskedForWithMetadataAlone: else nobody learns the make of a key. Its
// name is the one in the metadata where no other is known.
func TestAttestationIsAskedForWithMetadataAlone(t *testing.T) {
	t.Parallel()
	maker := authntest.NewMaker(t, "Seoul Key 1")
	rp := attesting(t, maker.Entry())
	c := authn.NewCeremony(store.CeremonyCreate, mina, noon)
	for want, m := range map[string]bool{"none": false, "direct": true} {
		if !m {
			rp.UseMetadata(nil)
		} else {
			use(t, rp, maker.Entry())
		}
		raw, err := rp.CreationOptions(c, mina, nil)
		if err != nil || between(t, string(raw), `"attestation":"`, `"`) != want {
			t.Errorf("got %s, %v, want %s", raw, err, want)
		}
	}
	use(t, rp, maker.Entry())
	if made, err := register(t, rp, keyBy(maker, virtualwebauthn.AuthenticatorOptions{}), nil); err != nil || made.Name != "Seoul Key 1" {
		t.Errorf("got %+v, %v", made, err)
	}
}

func BenchmarkHardwareBound(b *testing.B) {
	maker := authntest.NewMaker(b, "Seoul Key 1")
	rp := attesting(b, maker.Entry())
	made, err := register(b, rp, keyBy(maker, virtualwebauthn.AuthenticatorOptions{}), maker.Attest)
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if !rp.HardwareBound(&made.Credential) {
			b.Fatal("not hardware-bound")
		}
	}
}
