package authn_test

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/descope/virtualwebauthn"

	"github.com/sallyport-id/sallyport/internal/authn"
	"github.com/sallyport-id/sallyport/internal/store"
)

const home = "https://id.example.com"

var mina = &store.User{ID: "user-1", Login: "mina", Name: "Mina Kim"}

func relyingParty(t testing.TB, issuer string) *authn.RelyingParty {
	t.Helper()
	u, err := url.Parse(issuer)
	if err != nil {
		t.Fatal(err)
	}
	rp, err := authn.NewRelyingParty(u)
	if err != nil {
		t.Fatal(err)
	}
	return rp
}

// key is a software authenticator with one credential.
type key struct {
	device virtualwebauthn.Authenticator
	cred   virtualwebauthn.Credential
	site   virtualwebauthn.RelyingParty
}

func newKey(o virtualwebauthn.AuthenticatorOptions) *key {
	return &key{virtualwebauthn.NewAuthenticatorWithOptions(o), newCredential(),
		virtualwebauthn.RelyingParty{ID: "id.example.com", Name: "id.example.com", Origin: home}}
}

// newCredential makes keys until one has coordinates of full length: the double
// leaves out leading zeros, which no authenticator may (RFC 9053 §7.1.1).
func newCredential() virtualwebauthn.Credential {
	for {
		c := virtualwebauthn.NewCredential(virtualwebauthn.KeyTypeEC2)
		if len(c.Key.AttestationData()) == 77 {
			return c
		}
	}
}

// register is the key's answer to a ceremony that creates.
func (k *key) register(t testing.TB, rp *authn.RelyingParty, c *store.Ceremony, u *store.User) string {
	t.Helper()
	raw, err := rp.CreationOptions(c, u, nil)
	if err != nil {
		t.Fatal(err)
	}
	options, err := virtualwebauthn.ParseAttestationOptions(string(raw))
	if err != nil {
		t.Fatal(err)
	}
	return virtualwebauthn.CreateAttestationResponse(k.site, k.device, k.cred, *options)
}

// enrolled is the key as an authenticator of the user.
func (k *key) enrolled(t testing.TB, rp *authn.RelyingParty, u *store.User) []store.Authenticator {
	t.Helper()
	c := authn.NewCeremony(store.CeremonyCreate, u, noon)
	made, err := rp.CheckRegistration(c, u, nil, k.register(t, rp, c, u), noon)
	if err != nil {
		t.Fatal(err)
	}
	return []store.Authenticator{{ID: "k", UserID: u.ID, Kind: store.KindWebAuthn, Credential: &made.Credential}}
}

// sign is the key's answer to a challenge.
func (k *key) sign(c *store.Ceremony) string {
	return virtualwebauthn.CreateAssertionResponse(k.site, k.device, k.cred, virtualwebauthn.AssertionOptions{Challenge: c.Challenge})
}

func reason(err error) authn.WebAuthnReason {
	var refused *authn.WebAuthnError
	if errors.As(err, &refused) {
		return refused.Reason
	}
	return ""
}

// TestCreationOptions: what WebAuthn L3 §5.4 and §14.6.1 ask for.
func TestCreationOptions(t *testing.T) {
	t.Parallel()
	rp := relyingParty(t, home)
	list := newKey(virtualwebauthn.AuthenticatorOptions{}).enrolled(t, rp, mina)
	c := authn.NewCeremony(store.CeremonyCreate, mina, noon)
	raw, err := rp.CreationOptions(c, mina, list)
	if err != nil {
		t.Fatal(err)
	}
	var o struct {
		Challenge, Attestation string
		RP                     struct{ ID string }
		User                   struct{ ID, Name, DisplayName string }
		AuthenticatorSelection struct{ UserVerification, ResidentKey string }
		ExcludeCredentials     []struct{ ID string }
	}
	if err := json.Unmarshal(raw, &o); err != nil {
		t.Fatal(err)
	}
	handle, _ := base64.RawURLEncoding.DecodeString(o.User.ID)
	challenge, _ := base64.RawURLEncoding.DecodeString(o.Challenge)
	if len(challenge) < 32 || len(handle) != 32 || strings.Contains(string(handle), mina.ID) || o.User.ID != c.Handle {
		t.Errorf("got a challenge of %d bytes and the handle %q", len(challenge), o.User.ID)
	}
	if o.RP.ID != "id.example.com" || o.User.Name != "mina" || o.User.DisplayName != "Mina Kim" || o.Attestation != "none" ||
		o.AuthenticatorSelection.UserVerification != "preferred" || o.AuthenticatorSelection.ResidentKey != "preferred" {
		t.Errorf("got %s", raw)
	}
	if len(o.ExcludeCredentials) != 1 || o.ExcludeCredentials[0].ID != base64.RawURLEncoding.EncodeToString(list[0].Credential.ID) {
		t.Errorf("the credential that is there is not excluded: %s", raw)
	}
	known := *mina
	known.Handle = c.Handle
	if again := authn.NewCeremony(store.CeremonyCreate, &known, noon); again.Handle != c.Handle || string(again.Challenge) == string(c.Challenge) {
		t.Error("an account has one handle, and each ceremony a challenge of its own")
	}
}

// TestRule20RelyingPartyIsTheIssuersHost: and there is none where browsers have no
// WebAuthn.
func TestRule20RelyingPartyIsTheIssuersHost(t *testing.T) {
	t.Parallel()
	for issuer, want := range map[string]string{
		"https://id.example.com": "id.example.com", "https://id.example.com:8443/id": "id.example.com",
		"http://localhost:8080": "localhost", "http://id.localhost:8080": "id.localhost",
		"http://127.0.0.1:8080": "", "https://192.0.2.1": "", "https://[::1]:8443": "", "http://id.example.com": "",
	} {
		rp := relyingParty(t, issuer)
		if got := rp != nil; got != (want != "") {
			t.Errorf("%s: got WebAuthn %v", issuer, got)
		}
		a := store.Authenticator{Kind: store.KindWebAuthn, Credential: &store.Credential{RPID: want}}
		if rp.Serves(a) != (want != "") {
			t.Errorf("%s does not serve %q", issuer, want)
		}
		a.Credential.RPID = "example.com"
		if rp.Serves(a) {
			t.Errorf("%s serves the credentials of another host", issuer)
		}
		if !rp.Serves(store.Authenticator{Kind: store.KindTOTP}) {
			t.Errorf("%s serves no codes", issuer)
		}
	}
}

// TestCheckRegistration: what is registered, and what is not (WebAuthn L3 §7.1).
func TestCheckRegistration(t *testing.T) {
	t.Parallel()
	rp := relyingParty(t, home)
	for name, c := range map[string]struct {
		change func(k *key, c *store.Ceremony)
		at     time.Duration
		want   authn.WebAuthnReason
	}{
		"right":               {nil, 0, ""},
		"another origin":      {func(k *key, _ *store.Ceremony) { k.site.Origin = "https://id.example.com.evil.example" }, 0, authn.ReasonOrigin},
		"origin with a port":  {func(k *key, _ *store.Ceremony) { k.site.Origin = home + ":8443" }, 0, authn.ReasonOrigin},
		"another host's key":  {func(k *key, _ *store.Ceremony) { k.site.ID = "example.com" }, 0, authn.ReasonInvalid},
		"nobody was there":    {func(k *key, _ *store.Ceremony) { k.device.Options.UserNotPresent = true }, 0, authn.ReasonInvalid},
		"backed up, not able": {func(k *key, _ *store.Ceremony) { k.device.Options.BackupState = true }, 0, authn.ReasonInvalid},
		"another challenge":   {func(_ *key, c *store.Ceremony) { c.Challenge = []byte("another one of 32 bytes, made up") }, 0, authn.ReasonChallenge},
		"another user's":      {func(_ *key, c *store.Ceremony) { c.UserID = "v" }, 0, authn.ReasonCeremony},
		"a ceremony to sign":  {func(_ *key, c *store.Ceremony) { c.Type = store.CeremonyGet }, 0, authn.ReasonCeremony},
		"too late":            {nil, 10 * time.Minute, authn.ReasonCeremony},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			k := newKey(virtualwebauthn.AuthenticatorOptions{})
			asked := authn.NewCeremony(store.CeremonyCreate, mina, noon)
			waiting := *asked
			if c.change != nil {
				c.change(k, &waiting)
			}
			made, err := rp.CheckRegistration(&waiting, mina, nil, k.register(t, rp, asked, mina), noon.Add(c.at))
			if reason(err) != c.want || (err == nil) != (c.want == "") {
				t.Fatalf("got %v, want %q", err, c.want)
			}
			if c.want == "" && (string(made.Credential.ID) != string(k.cred.ID) || made.Credential.RPID != "id.example.com" || !json.Valid(made.Credential.Record)) {
				t.Errorf("got %+v", made)
			}
		})
	}
}

// TestCheckAssertion: what proves something, and what does not (WebAuthn L3 §7.2).
func TestCheckAssertion(t *testing.T) {
	t.Parallel()
	rp := relyingParty(t, home)
	for name, c := range map[string]struct {
		change func(k *key, c *store.Ceremony, list []store.Authenticator)
		at     time.Duration
		want   authn.WebAuthnReason
	}{
		"right":            {nil, 0, ""},
		"counter rises":    {func(k *key, _ *store.Ceremony, _ []store.Authenticator) { k.cred.Counter = 8 }, 0, ""},
		"counter stays":    {func(k *key, _ *store.Ceremony, _ []store.Authenticator) { k.cred.Counter = 7 }, 0, authn.ReasonCounter},
		"counter goes":     {func(k *key, _ *store.Ceremony, _ []store.Authenticator) { k.cred.Counter = 0 }, 0, authn.ReasonCounter},
		"another origin":   {func(k *key, _ *store.Ceremony, _ []store.Authenticator) { k.site.Origin = "https://evil.example" }, 0, authn.ReasonOrigin},
		"origin in http":   {func(k *key, _ *store.Ceremony, _ []store.Authenticator) { k.site.Origin = "http://id.example.com" }, 0, authn.ReasonOrigin},
		"another host":     {func(k *key, _ *store.Ceremony, _ []store.Authenticator) { k.site.ID = "example.com" }, 0, authn.ReasonInvalid},
		"nobody was there": {func(k *key, _ *store.Ceremony, _ []store.Authenticator) { k.device.Options.UserNotPresent = true }, 0, authn.ReasonInvalid},
		"suddenly synced":  {func(k *key, _ *store.Ceremony, _ []store.Authenticator) { k.device.Options.BackupEligible = true }, 0, authn.ReasonInvalid},
		"another handle": {func(k *key, _ *store.Ceremony, _ []store.Authenticator) {
			k.device.Options.UserHandle = []byte("another account's handle")
		}, 0, authn.ReasonInvalid},
		"another key": {func(k *key, _ *store.Ceremony, _ []store.Authenticator) {
			id := k.cred.ID
			k.cred = newCredential()
			k.cred.ID, k.cred.Counter = id, 8
		}, 0, authn.ReasonInvalid},
		"another challenge": {func(_ *key, c *store.Ceremony, _ []store.Authenticator) {
			c.Challenge = []byte("another one of 32 bytes, made up")
		}, 0, authn.ReasonChallenge},
		"a ceremony to create": {func(_ *key, c *store.Ceremony, _ []store.Authenticator) { c.Type = store.CeremonyCreate }, 0, authn.ReasonCeremony},
		"another user's":       {func(_ *key, c *store.Ceremony, _ []store.Authenticator) { c.UserID = "v" }, 0, authn.ReasonCeremony},
		"a disabled key":       {func(_ *key, _ *store.Ceremony, list []store.Authenticator) { list[0].Disabled = true }, 0, authn.ReasonUnknown},
		"too late":             {nil, 10 * time.Minute, authn.ReasonCeremony},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			k := newKey(virtualwebauthn.AuthenticatorOptions{})
			k.cred.Counter = 7
			list := k.enrolled(t, rp, mina)
			k.cred.Counter = 8
			waiting := authn.NewCeremony(store.CeremonyGet, mina, noon)
			asked := *waiting
			if c.change != nil {
				c.change(k, waiting, list)
			}
			got, err := rp.CheckAssertion(waiting, mina, list, k.sign(&asked), noon.Add(c.at))
			if reason(err) != c.want || (err == nil) != (c.want == "") {
				t.Fatalf("got %v, want %q", err, c.want)
			}
			if c.want == "" && (got.Authenticator != "k" || got.Credential.SignCount != 8) {
				t.Errorf("got %+v", got)
			}
		})
	}
}

// TestAnotherUsersCredential: a key signs for nobody but whose it is.
func TestAnotherUsersCredential(t *testing.T) {
	t.Parallel()
	rp, joon := relyingParty(t, home), &store.User{ID: "v", Login: "joon"}
	hers, his := newKey(virtualwebauthn.AuthenticatorOptions{}), newKey(virtualwebauthn.AuthenticatorOptions{})
	list := hers.enrolled(t, rp, mina)
	_ = his.enrolled(t, rp, joon)
	c := authn.NewCeremony(store.CeremonyGet, mina, noon)
	if got, err := rp.CheckAssertion(c, mina, list, his.sign(c), noon); reason(err) != authn.ReasonUnknown {
		t.Errorf("got %+v, %v, want %s", got, err, authn.ReasonUnknown)
	}
}

// TestFlagsAreThoseOfTheSignature: user verification is what the authenticator did
// this time, whatever was asked and whatever it did before.
func TestFlagsAreThoseOfTheSignature(t *testing.T) {
	t.Parallel()
	rp := relyingParty(t, home)
	for _, synced := range []bool{false, true} {
		k := newKey(virtualwebauthn.AuthenticatorOptions{BackupEligible: synced})
		list := k.enrolled(t, rp, mina)
		for _, without := range []bool{true, false, true} {
			k.device.Options.UserNotVerified = without
			c := authn.NewCeremony(store.CeremonyGet, mina, noon)
			got, err := rp.CheckAssertion(c, mina, list, k.sign(c), noon)
			if err != nil {
				t.Fatal(err)
			}
			if got.UserVerified == without || got.BackupEligible != synced {
				t.Errorf("verified %v, synced %v: got %+v", !without, synced, got)
			}
			list[0].Credential = &got.Credential
		}
	}
}

// FuzzCheckAssertion: whatever a browser sends is refused with an error of ours.
func FuzzCheckAssertion(f *testing.F) {
	rp := relyingParty(f, home)
	k := newKey(virtualwebauthn.AuthenticatorOptions{})
	list := k.enrolled(f, rp, mina)
	asked := authn.NewCeremony(store.CeremonyGet, mina, noon)
	create := authn.NewCeremony(store.CeremonyCreate, mina, noon)
	other := authn.NewCeremony(store.CeremonyGet, mina, noon)
	f.Add(k.sign(other))
	f.Add(k.register(f, rp, authn.NewCeremony(store.CeremonyCreate, mina, noon), mina))
	f.Add(`{"id":"AA","rawId":"AA","type":"public-key","response":{"clientDataJSON":"e30","authenticatorData":"","signature":""}}`)
	f.Add(`null`)
	alone := authn.NewSignIn(noon)
	f.Add(k.sign(authn.NewSignIn(noon)))
	u := *mina
	u.Handle = create.Handle
	owner := func([]byte) (*store.User, []store.Authenticator, error) { return &u, list, nil }
	f.Fuzz(func(t *testing.T, answer string) {
		if _, err := rp.CheckAssertion(asked, mina, list, answer, noon); reason(err) == "" {
			t.Errorf("assertion: got %v", err)
		}
		if _, _, err := rp.CheckSignIn(alone, answer, noon, owner); reason(err) == "" {
			t.Errorf("sign-in: got %v", err)
		}
		if _, err := rp.CheckRegistration(create, mina, nil, answer, noon); reason(err) == "" {
			t.Errorf("registration: got %v", err)
		}
	})
}
