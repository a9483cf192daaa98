package authn_test

import (
	"encoding/base64"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/descope/virtualwebauthn"

	"github.com/sallyport-id/sallyport/internal/authn"
	"github.com/sallyport-id/sallyport/internal/oidc"
	"github.com/sallyport-id/sallyport/internal/store"
)

// TestCheckSignIn: who is signed in by a passkey alone, and who is not (WebAuthn L3
// §7.2). Only whose credential it is decides; the log hears of the user, nobody else.
func TestCheckSignIn(t *testing.T) {
	t.Parallel()
	rp := relyingParty(t, home)
	type state struct {
		key    *key
		asked  *store.Ceremony
		user   *store.User
		list   []store.Authenticator
		nobody bool
		at     time.Duration
	}
	for name, c := range map[string]struct {
		change func(*state)
		want   authn.WebAuthnReason
		known  bool // whose it was
	}{
		"right":               {func(*state) {}, "", true},
		"nobody's":            {func(s *state) { s.nobody = true }, authn.ReasonUnknown, false},
		"another handle":      {func(s *state) { s.user.Handle = "AAAA" }, authn.ReasonUnknown, true},
		"no handle":           {func(s *state) { s.key.device.Options.UserHandle = nil }, authn.ReasonUnknown, true},
		"nor has the account": {func(s *state) { s.key.device.Options.UserHandle, s.user.Handle = nil, "" }, authn.ReasonUnknown, true},
		"disabled key":        {func(s *state) { s.list[0].Disabled = true }, authn.ReasonUnknown, true},
		"disabled user":       {func(s *state) { s.user.Disabled = true }, authn.ReasonDisabled, true},
		"not alone yet":       {func(s *state) { s.list[0].Credential.Alone = false }, authn.ReasonPasswordFirst, true},
		"user not verified":   {func(s *state) { s.key.device.Options.UserNotVerified = true }, authn.ReasonUnverified, false},
		"nobody was there":    {func(s *state) { s.key.device.Options.UserNotPresent = true }, authn.ReasonInvalid, true},
		"another origin":      {func(s *state) { s.key.site.Origin = "https://evil.example" }, authn.ReasonOrigin, false},
		"another host":        {func(s *state) { s.key.site.ID = "example.com" }, authn.ReasonInvalid, true},
		"suddenly not synced": {func(s *state) { s.key.device.Options.BackupEligible = false }, authn.ReasonInvalid, true},
		"counter stays":       {func(s *state) { s.key.cred.Counter = 7 }, authn.ReasonCounter, true},
		"another challenge":   {func(s *state) { s.asked = authn.NewSignIn(noon) }, authn.ReasonChallenge, false},
		"too late":            {func(s *state) { s.at = 10 * time.Minute }, authn.ReasonCeremony, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			k, u := newKey(virtualwebauthn.AuthenticatorOptions{BackupEligible: true}), *mina
			k.cred.Counter = 7
			s := &state{key: k, user: &u, list: k.enrolled(t, rp, mina), asked: authn.NewSignIn(noon)}
			waiting := s.asked
			k.cred.Counter, s.list[0].Credential.Alone = 8, true
			k.device.Options.UserHandle = []byte("mina's handle")
			u.Handle = base64.RawURLEncoding.EncodeToString(k.device.Options.UserHandle)
			c.change(s)
			who, got, err := rp.CheckSignIn(waiting, k.sign(s.asked), noon.Add(s.at), func(id []byte) (*store.User, []store.Authenticator, error) {
				if s.nobody || string(id) != string(k.cred.ID) {
					return nil, nil, fmt.Errorf("load: %w", store.ErrNotFound)
				}
				return s.user, s.list, nil
			})
			if reason(err) != c.want || (err == nil) != (c.want == "") {
				t.Fatalf("got %v, want %q", err, c.want)
			}
			attempt := (*authn.AttemptError)(nil)
			if known := errors.As(err, &attempt); err != nil && known != c.known {
				t.Errorf("the user is known: got %v, want %v", known, c.known)
			}
			if c.want == "" && (who.ID != mina.ID || got.Authenticator != "k" || !got.UserVerified) {
				t.Errorf("got %+v, %+v", who, got)
			}
		})
	}
}

// TestUserVerificationIsNotBelievedAtFirst: a key that did not verify its user when it
// was registered is no way in when it suddenly does, even if it may stand alone, until
// it did so beside the password (WebAuthn L3 §7.2, uvInitialized).
func TestUserVerificationIsNotBelievedAtFirst(t *testing.T) {
	t.Parallel()
	rp, u := relyingParty(t, home), *mina
	k := newKey(virtualwebauthn.AuthenticatorOptions{UserNotVerified: true})
	list := k.enrolled(t, rp, mina)
	list[0].Credential.Alone = true
	signIn := func() error {
		c := authn.NewSignIn(noon)
		alone := *k
		alone.device.Options.UserHandle = []byte("h")
		u.Handle = base64.RawURLEncoding.EncodeToString([]byte("h"))
		_, _, err := rp.CheckSignIn(c, alone.sign(c), noon, func([]byte) (*store.User, []store.Authenticator, error) { return &u, list, nil })
		return err
	}
	k.device.Options.UserNotVerified = false
	if err := signIn(); reason(err) != authn.ReasonPasswordFirst {
		t.Errorf("alone: got %v", err)
	}
	c := authn.NewCeremony(store.CeremonyGet, mina, noon)
	got, err := rp.CheckAssertion(c, mina, list, k.sign(c), noon)
	if err != nil {
		t.Fatal(err)
	}
	got.Credential.Alone = true
	list[0].Credential = &got.Credential
	if err := signIn(); err != nil {
		t.Errorf("after the password: got %v", err)
	}
}

// TestMakesAlone: all three are needed.
func TestMakesAlone(t *testing.T) {
	t.Parallel()
	password, code := store.Proof{Method: store.MethodPassword}, store.Proof{Method: store.MethodTOTP}
	for _, c := range []struct {
		verified, bound bool
		beside          []store.Proof
		want            bool
	}{
		{true, false, []store.Proof{code, password}, true},
		{true, false, []store.Proof{code}, false},
		{true, false, nil, false},
		{false, false, []store.Proof{password}, false},
		{true, true, []store.Proof{password}, false},
	} {
		if got := authn.MakesAlone(store.Proof{Method: store.MethodWebAuthn, UserVerified: c.verified, Bound: c.bound}, c.beside); got != c.want {
			t.Errorf("%+v: got %v", c, got)
		}
	}
}

// TestReachWithoutAPassword: only a passkey that may stand alone proves anything.
func TestReachWithoutAPassword(t *testing.T) {
	t.Parallel()
	alone := store.Authenticator{ID: "k", Kind: store.KindWebAuthn, Credential: &store.Credential{Alone: true}}
	notYet := store.Authenticator{ID: "l", Kind: store.KindWebAuthn, Credential: &store.Credential{}}
	off := alone
	off.Disabled = true
	app := store.Authenticator{ID: "t", Kind: store.KindTOTP}
	bound := []store.Proof{{Method: store.MethodWebAuthn, Authenticator: "k", Bound: true}}
	for name, c := range map[string]struct {
		list   []store.Authenticator
		proofs []store.Proof
		want   oidc.Level
	}{
		"a passkey":             {[]store.Authenticator{app, notYet, alone}, nil, oidc.LevelPHR},
		"enrolled here":         {[]store.Authenticator{alone}, bound, oidc.Level2FA},
		"disabled":              {[]store.Authenticator{off}, nil, oidc.LevelNone},
		"not alone, and an app": {[]store.Authenticator{notYet, app}, nil, oidc.LevelNone},
		"nothing":               {nil, nil, oidc.LevelNone},
	} {
		if got := authn.Reach(&store.User{}, c.list, c.proofs); got != c.want {
			t.Errorf("%s: got %v, want %v", name, got, c.want)
		}
	}
}
