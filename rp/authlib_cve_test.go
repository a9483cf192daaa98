package rp_test

import (
	"net/url"
	"strings"
	"testing"

	"github.com/sallyport-id/sallyport/rp"
	"github.com/sallyport-id/sallyport/rp/rptest"
)

// What went wrong in a library for the same purpose, Authlib, and must not here, by
// the names of the advisories. Those about servers and APIs are at the server's
// tests and at those of rs.

// mustRefuseToken wants an ID token and, of the same form, a logout token refused
// because of what is named.
func mustRefuseToken(t *testing.T, fault rptest.Fault, want string) *site {
	t.Helper()
	s := newBackchannel(t, new(rp.MemoryStore))
	s.show("/")
	began := s.session().Began
	s.Misbehave(fault)
	if s.show("/login"); s.err == nil || about(s.err) != want {
		t.Errorf("%s: got %v, want %q refused", fault, s.err, want)
	}
	if w := s.tell(s.LogoutToken(map[string]any{"sub": rptest.Subject})); w.Code != 400 {
		t.Errorf("%s in a logout token: got %d", fault, w.Code)
	}
	if now := s.session(); now == nil || !now.Began.Equal(began) {
		t.Errorf("%s: got session %v, want the one before", fault, now)
	}
	return s
}

// The public key as the secret of a MAC.
func TestCVE2024_37568(t *testing.T) {
	t.Parallel()
	mustRefuseToken(t, rptest.HMACPublicKey, "alg")
}

// Extensions that are critical and unknown.
func TestCVE2025_59420(t *testing.T) {
	t.Parallel()
	mustRefuseToken(t, rptest.CriticalHeader, "crit")
}

// Tokens without a limit.
func TestCVE2025_61920(t *testing.T) {
	t.Parallel()
	s := mustRefuseToken(t, rptest.HugeIDToken, "")
	if rp.ReasonCode(s.err) != rp.CodeUnavailable {
		t.Errorf("got %v, want it not even to be read", s.err)
	}
}

// Encrypted tokens that are a thousand times as long when they are unpacked.
func TestCVE2025_62706(t *testing.T) {
	t.Parallel()
	mustRefuseToken(t, rptest.EncryptedBomb, "id_token")
}

// State that is in a cache and not in the browser: the answer to a login of the
// attacker signs the victim in as him.
func TestCVE2025_68158(t *testing.T) {
	t.Parallel()
	p := rptest.NewProvider(t)
	key := []byte(strings.Repeat("k", 32))
	change := func(c *rp.Config) { c.CookieKey = key }
	attacker, victim := newApp(t, p, change), newApp(t, p, change)
	answer := attacker.start(t)
	victim.Get(answer)
	if diagnosis(victim.err) != rp.CookieMissing || victim.identity != nil {
		t.Errorf("got %v, %v", victim.identity, victim.err)
	}
	if p.Hits("/token") != 0 {
		t.Error("the code was used")
	}
}

// The same while the victim is signing in: the state must be that of one of the
// browser's own logins, and the code that of this one.
func TestCVE2026_41425(t *testing.T) {
	t.Parallel()
	p := rptest.NewProvider(t)
	key := []byte(strings.Repeat("k", 32))
	change := func(c *rp.Config) { c.CookieKey = key }
	attacker, victim := newApp(t, p, change), newApp(t, p, change)
	answer, own := attacker.start(t), victim.start(t)
	victim.Get(answer)
	if diagnosis(victim.err) != rp.StateMismatch || p.Hits("/token") != 0 {
		t.Errorf("got %v and %d token requests", victim.err, p.Hits("/token"))
	}
	theirs, mine := query(t, answer), query(t, own)
	mine.Set("code", theirs.Get("code"))
	if victim.Get("/callback?" + mine.Encode()); about(victim.err) != "invalid_grant" || victim.identity != nil {
		t.Errorf("the attacker's code in the victim's answer: got %v, %v", victim.identity, victim.err)
	}
}

func query(t *testing.T, uri string) url.Values {
	t.Helper()
	u, err := url.Parse(uri)
	if err != nil {
		t.Fatal(err)
	}
	return u.Query()
}

// A key that comes in the token which it is to verify.
func TestCVE2026_27962(t *testing.T) {
	t.Parallel()
	mustRefuseToken(t, rptest.OwnKey, "signature")
	if s := mustRefuseToken(t, rptest.OwnKeyAddress, "signature"); s.Hits("/other-keys.json") != 0 {
		t.Error("the address of the key was looked up")
	}
}

// RSA1_5, which answers whether the padding was good.
func TestCVE2026_28490(t *testing.T) {
	t.Parallel()
	mustRefuseToken(t, rptest.EncryptedRSA15, "id_token")
}

// at_hash that passes because nobody knows how to make it.
func TestCVE2026_28498(t *testing.T) {
	t.Parallel()
	for _, alg := range []string{"ES256", "RS256", "PS256", "EdDSA"} {
		p := rptest.NewProvider(t)
		p.SignWith(alg)
		a := newApp(t, p, nil)
		if _, err := a.signIn(); err != nil {
			t.Errorf("%s: %v", alg, err)
		}
		p.Misbehave(rptest.WrongTokenHash)
		if _, err := a.signIn(); about(err) != "at_hash" {
			t.Errorf("%s: got %v", alg, err)
		}
	}
	mustRefuseToken(t, rptest.UnknownAlg, "alg")
}

// Tokens that say that they are not signed; also where the metadata do not say
// which algorithms there are, as the test's do not.
func TestCVE2026_28802(t *testing.T) {
	t.Parallel()
	mustRefuseToken(t, rptest.AlgNone, "alg")
}

// Redirects to where a request says: Login and Callback lead to this origin.
func TestCVE2026_44681(t *testing.T) {
	t.Parallel()
	for _, evil := range []string{"https://evil.example/", "//evil.example/", `/\evil.example/`, "/\t/evil.example/"} {
		id, err := newApp(t, rptest.NewProvider(t), nil, rp.ReturnTo(evil)).signIn()
		if err != nil || id.ReturnTo != "/" {
			t.Errorf("%q: got %v, %v", evil, id, err)
		}
	}
}
