package rp_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-id/sallyport/rp"
	"github.com/sallyport-id/sallyport/rp/rptest"
)

func TestPrivateKeyJWT(t *testing.T) {
	t.Parallel()
	for _, alg := range []string{"ES256", "EdDSA", "PS256", "RS256"} {
		p := rptest.NewProvider(t)
		p.UsePrivateKeyJWT(alg)
		a, id := signedIn(t, p, nil)
		source := a.client.TokenSource(t.Context(), id, nil)
		for range 2 {
			p.Advance(5 * time.Minute)
			mustToken(t, source)
		}
		if err := a.client.Revoke(t.Context(), id.Token); err != nil {
			t.Errorf("%s: %v", alg, err)
		}
		wrong := newApp(t, p, func(c *rp.Config) { c.PrivateKey, _ = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); c.KeyAlg = "" })
		if _, err := wrong.signIn(); about(err) != "invalid_client" {
			t.Errorf("%s: another key: got %v", alg, err)
		}
		secret := newApp(t, p, func(c *rp.Config) { c.PrivateKey, c.KeyID, c.KeyAlg, c.ClientSecret = nil, "", "", p.ClientSecret })
		if _, err := secret.signIn(); about(err) != "invalid_client" {
			t.Errorf("%s: a secret in its place: got %v", alg, err)
		}
	}
}

// badKey is a key that cannot be used just now, as in hardware that is unplugged.
type badKey struct{ crypto.Signer }

func (badKey) Sign(io.Reader, []byte, crypto.SignerOpts) ([]byte, error) {
	return nil, io.ErrUnexpectedEOF
}

func TestPrivateKeyOutOfReach(t *testing.T) {
	t.Parallel()
	p := rptest.NewProvider(t)
	p.UsePrivateKeyJWT("ES256")
	_, err := newApp(t, p, func(c *rp.Config) { c.PrivateKey = badKey{c.PrivateKey} }).signIn()
	if rp.ReasonCode(err) != rp.CodeUnavailable || !strings.Contains(err.Error(), "signing") {
		t.Errorf("got %v, want that it is unavailable", err)
	}
}

func TestNewChecksThePrivateKey(t *testing.T) {
	t.Parallel()
	p256, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	p384, _ := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	rsa2048, _ := rsa.GenerateKey(rand.Reader, 2048)
	for what, test := range map[string]struct {
		change func(*rp.Config)
		want   string // "" if nothing is wrong
	}{
		"a key alone":        {func(c *rp.Config) { c.PrivateKey = p256 }, ""},
		"the method as well": {func(c *rp.Config) { c.PrivateKey, c.AuthMethod = p256, rp.AuthPrivateKeyJWT }, ""},
		"RS256":              {func(c *rp.Config) { c.PrivateKey, c.KeyAlg = rsa2048, "RS256" }, ""},
		"a secret as well":   {func(c *rp.Config) { c.PrivateKey, c.ClientSecret = p256, "secret" }, "Config.ClientSecret is set"},
		"no key":             {func(c *rp.Config) { c.AuthMethod = rp.AuthPrivateKeyJWT }, "Config.PrivateKey is nil"},
		"another method":     {func(c *rp.Config) { c.PrivateKey, c.AuthMethod = p256, rp.AuthNone }, "Config.PrivateKey is set"},
		"another curve":      {func(c *rp.Config) { c.PrivateKey = p384 }, "Config.PrivateKey: it takes"},
		"another algorithm":  {func(c *rp.Config) { c.PrivateKey, c.KeyAlg = p256, "RS256" }, "Config.PrivateKey: the key does not sign"},
		"HMAC":               {func(c *rp.Config) { c.PrivateKey, c.KeyAlg = p256, "HS256" }, "Config.PrivateKey: the key does not sign"},
	} {
		config := goodConfig()
		config.ClientSecret = ""
		test.change(&config)
		_, err := rp.New(t.Context(), config)
		if test.want == "" && err != nil || test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) {
			t.Errorf("%s: got %v, want %q", what, err, test.want)
		}
	}
}
