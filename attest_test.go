package sallyport_test

import (
	"encoding/json"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/descope/virtualwebauthn"

	"github.com/sallyport-id/sallyport"
	"github.com/sallyport-id/sallyport/internal/authn/authntest"
	"github.com/sallyport-id/sallyport/internal/oidc"
	"github.com/sallyport-id/sallyport/internal/store"
)

// makes is a metadata file with its authority, and a maker of keys that it knows.
type makes struct {
	t         testing.TB
	authority *authntest.Authority
	maker     *authntest.Maker
	config    sallyport.Metadata
	number    int
	until     time.Time
}

func newMakes(t testing.TB) *makes {
	t.Helper()
	dir := t.TempDir()
	m := &makes{t: t, authority: authntest.NewAuthority(t, "MDS"), maker: authntest.NewMaker(t, "Seoul Key 1"), until: time.Now().AddDate(0, 1, 0)}
	m.config = sallyport.Metadata{File: filepath.Join(dir, "blob.jwt"), RootFile: filepath.Join(dir, "root.pem")}
	m.put(m.config.RootFile, m.authority.PEM())
	m.publish(m.maker.Entry())
	return m
}

func (m *makes) put(name string, text []byte) {
	m.t.Helper()
	if err := os.WriteFile(name, text, 0o600); err != nil {
		m.t.Fatal(err)
	}
	later := time.Now().Add(time.Duration(m.number) * time.Minute) // two in one tick of the file system are two
	if err := os.Chtimes(name, later, later); err != nil {
		m.t.Fatal(err)
	}
}

// publish is the next issue of the file.
func (m *makes) publish(entries ...map[string]any) {
	m.t.Helper()
	m.number++
	m.put(m.config.File, m.authority.Blob(m.t, m.number, m.until, entries...))
}

// attesting is a rig with metadata, which asks for level 4 at the application "asks".
func attesting(t testing.TB, change ...func(*sallyport.Config)) (*rig, *makes) {
	t.Helper()
	m := newMakes(t)
	return newRig(t, append([]func(*sallyport.Config){func(c *sallyport.Config) {
		c.Metadata = &m.config
		c.Policy = []sallyport.Rule{{Clients: []string{"asks"}, Require: sallyport.HardwareBound}, {}}
		sallyport.MetadataByHand(c)
	}}, change...)...), m
}

// made is a passkey of the make, which says so when it registers.
func (m *makes) made(r *rig, o virtualwebauthn.AuthenticatorOptions) *passkey {
	k := r.passkey(o)
	k.device.Aaguid = m.maker.AAGUID
	k.attest = m.maker.Attest
	return k
}

// signsIn signs joon in with the password and the passkey, and allows what is asked.
func (b *browser) signsIn(r *rig, k *passkey, client string, extra ...string) *view {
	b.t.Helper()
	v := b.answer(b.authorize(client, extra...).mustStep("login", 200), "password", "username", "joon", "password", r.joon.password)
	v = b.answer(v.mustStep("second_factor", 200), "webauthn", "answer", k.sign(v))
	if v.step() == "consent" {
		v = b.answer(v, "consent", "decision", "allow")
	}
	return v
}

const phrh = "phrh [hwk user mfa]"

// TestRule20Level4: from the registration to the tokens, and down again once the make
// is known to be unsafe: at the next use of a token, of the session, and of the key.
func TestRule20Level4(t *testing.T) {
	t.Parallel()
	r, m := attesting(t)
	k := m.made(r, virtualwebauthn.AuthenticatorOptions{})
	first := r.browser()
	v := first.answer(first.authorize("web"), "password", "username", "joon", "password", r.joon.password).mustStep("enroll", 200)
	if !strings.Contains(v.options(), `"attestation":"direct"`) || !strings.Contains(v.body, "its make and model") {
		t.Errorf("the make is not asked for, or the page does not say so:\n%s", v.body)
	}
	v = first.answer(v, "register", "answer", k.register(v)).mustStep("save_codes", 200)
	enrolled := r.redeem("web", first.answer(v, "saved", "saved", "1").mustCode())
	if got := proven(t, enrolled); got != "urn:sallyport:acr:2fa [hwk user mfa]" {
		t.Errorf("where it was enrolled: got %s, want level 2", got)
	}
	first.authorize("asks").mustStep("refuse", 200)
	if name := r.factor(r.joon.id, store.KindWebAuthn).Name; name != "Seoul Key 1" {
		t.Errorf("the key is called %q", name)
	}

	b := r.browser()
	got := r.redeem("asks", b.signsIn(r, k, "asks", "scope", "openid offline_access", "prompt", "consent").mustCode())
	if proven(t, got) != phrh {
		t.Fatalf("got %s, want %s", proven(t, got), phrh)
	}
	elsewhere := r.redeem("web", b.authorize("web", "acr_values", "phrh", "scope", "openid offline_access", "prompt", "consent").mustConsent(b).mustCode())
	if proven(t, elsewhere) != phrh {
		t.Errorf("where it is only wished for: got %s", proven(t, elsewhere))
	}
	refresh := func(client string, of tokens) tokens {
		return r.token(client, url.Values{"grant_type": {"refresh_token"}, "refresh_token": {of.Refresh}})
	}
	if again := refresh("asks", got); proven(t, again) != phrh {
		t.Errorf("refreshed: got %s", proven(t, again))
	}

	m.publish(m.maker.Entry("USER_KEY_REMOTE_COMPROMISE"))
	r.RefreshMetadata(t.Context())
	if status, _ := r.userinfo(got.Access); status != http.StatusUnauthorized {
		t.Errorf("the access token of before: got %d, want 401", status)
	}
	if again := refresh("asks", got); again.Error != oidc.InvalidGrant {
		t.Errorf("the refresh token of before: got %+v", again)
	}
	if again := refresh("web", elsewhere); proven(t, again) != "phr [pop user mfa]" {
		t.Errorf("where level 4 was not needed: got %s, want level 3", proven(t, again))
	}
	mustBeUnknown(t, b.authorize("asks"))
	fresh := r.browser()
	mustBeUnknown(t, fresh.answer(fresh.authorize("asks"), "password", "username", "joon", "password", r.joon.password))
	if got := proven(t, r.redeem("web", r.browser().signsIn(r, k, "web").mustCode())); got != "phr [pop user mfa]" {
		t.Errorf("for all else: got %s, want level 3", got)
	}

	m.publish(m.maker.Entry()) // it was another one
	r.RefreshMetadata(t.Context())
	if again := refresh("asks", got); proven(t, again) != phrh {
		t.Errorf("taken back: got %+v", again)
	}
}

// mustBeUnknown: the page says why no key of the user's is good enough.
func mustBeUnknown(t *testing.T, v *view) {
	t.Helper()
	if v.step() != "refuse" || !strings.Contains(v.body, "keep its secret in hardware") {
		t.Errorf("got %d, want the page that asks for another key\n%s", v.status, v.body)
	}
}

// TestRule20PasskeyAloneAtLevel4: without a password, too.
func TestRule20PasskeyAloneAtLevel4(t *testing.T) {
	t.Parallel()
	r, m := attesting(t)
	k := m.made(r, virtualwebauthn.AuthenticatorOptions{})
	u := r.aloneFor(k)
	b := r.browser()
	v := b.authorize("asks")
	v = b.answer(v, "passkey", "answer", k.alone(v, u)).mustStep("consent", 200)
	if got := proven(t, r.redeem("asks", b.answer(v, "consent", "decision", "allow").mustCode())); got != phrh {
		t.Errorf("got %s, want %s", got, phrh)
	}
}

// TestRule20OtherKeysAreRefusedAtLevel4: with a page that says why, and no loop; they
// are good for all else. One of Chromium's virtual ones is like the first.
func TestRule20OtherKeysAreRefusedAtLevel4(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		made func(r *rig, m *makes) *passkey
		want string
	}{
		"says its make itself": {func(r *rig, m *makes) *passkey {
			k := m.made(r, virtualwebauthn.AuthenticatorOptions{})
			k.attest = nil
			return k
		}, "phr [pop user mfa]"},
		"of no known make": {func(r *rig, _ *makes) *passkey { return r.passkey(virtualwebauthn.AuthenticatorOptions{}) }, "phr [pop user mfa]"},
		"may be synced": {func(r *rig, m *makes) *passkey {
			return m.made(r, virtualwebauthn.AuthenticatorOptions{BackupEligible: true})
		}, "phr [swk user mfa]"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, m := attesting(t)
			k := c.made(r, m)
			r.enrolls(k)
			b := r.browser()
			if got := proven(t, r.redeem("web", b.signsIn(r, k, "web").mustCode())); got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
			mustBeUnknown(t, b.authorize("asks"))
			b.authorize("web", "claims", `{"id_token":{"acr":{"essential":true,"values":["phrh"]}}}`).mustRefuse(oidc.UnmetAuthentication)
		})
	}
}

// TestRule20OfTwoKeysTheAttestedOne is the only one that is offered for level 4, and
// for changes of the account.
func TestRule20OfTwoKeysTheAttestedOne(t *testing.T) {
	t.Parallel()
	r, m := attesting(t)
	good, other := m.made(r, virtualwebauthn.AuthenticatorOptions{}), r.passkey(virtualwebauthn.AuthenticatorOptions{})
	r.enrolls(other)
	b := r.browser()
	v := b.get("/account").mustStep("login", 200)
	v = b.answer(v, "password", "username", "joon", "password", r.joon.password).mustStep("second_factor", 200)
	v = b.answer(v, "webauthn", "answer", other.sign(v)).mustStep("manage", 200)
	v = b.get(v.page()+"?add=webauthn").mustStep("manage", 200)
	b.answer(v, "register", "answer", good.register(v), "name", "").mustStep("manage", 200)
	for _, at := range []func(*browser) *view{func(b *browser) *view { return b.authorize("asks") }, func(b *browser) *view { return b.get("/account") }} {
		b := r.browser()
		v := b.answer(at(b).mustStep("login", 200), "password", "username", "joon", "password", r.joon.password).mustStep("second_factor", 200)
		o, err := virtualwebauthn.ParseAssertionOptions(v.options())
		r.must(err)
		if !good.cred.IsAllowedForAssertion(*o) || other.cred.IsAllowedForAssertion(*o) {
			t.Errorf("want the attested key alone: %s", v.options())
		}
		v = b.answer(v, "webauthn", "answer", virtualwebauthn.CreateAssertionResponse(other.site, other.device, other.cred, *o))
		v.mustStep("second_factor", 422)
		b.answer(v, "webauthn", "answer", good.sign(v))
	}
}

// TestRule20RefusedMakes: nobody registers one, the page says why, and so does the log.
func TestRule20RefusedMakes(t *testing.T) {
	t.Parallel()
	r, m := attesting(t, func(c *sallyport.Config) {
		c.Metadata.Allow = []string{"ee882879-721c-4913-9775-3dfcce97072a"}
	})
	b := r.browser()
	v := b.answer(b.authorize("web"), "password", "username", "joon", "password", r.joon.password).mustStep("enroll", 200)
	for _, k := range []*passkey{m.made(r, virtualwebauthn.AuthenticatorOptions{}), r.passkey(virtualwebauthn.AuthenticatorOptions{})} {
		v = b.answer(v, "register", "answer", k.register(v)).mustStep("enroll", 422)
		if !strings.Contains(v.body, "its make is not accepted here") {
			t.Errorf("the page does not say why:\n%s", v.body)
		}
		events, err := r.Store().Events(t.Context(), store.EventQuery{Limit: 1})
		if err != nil || events[0].Type != store.EventEnrollWebAuthnFailed || events[0].Detail != "make" {
			t.Errorf("got %+v, %v", events, err)
		}
	}
	r.mustHave(r.joon, 0)
}

// TestACRValuesSupported: level 4 is offered where it can be reached.
func TestACRValuesSupported(t *testing.T) {
	t.Parallel()
	with, _ := attesting(t)
	for r, want := range map[*rig]bool{with: true, newRig(t): false} {
		resp, err := http.Get(r.issuer + "/.well-known/openid-configuration")
		r.must(err)
		defer resp.Body.Close()
		var m struct {
			ACR []string `json:"acr_values_supported"`
		}
		r.must(json.NewDecoder(resp.Body).Decode(&m))
		if slices.Contains(m.ACR, "phrh") != want || !slices.Contains(m.ACR, "phr") {
			t.Errorf("got %v, want phrh: %v", m.ACR, want)
		}
	}
}

// TestMetadataFollowTheirFile: a file that is broken, forged or older changes nothing,
// and the metric says how old the metadata are.
func TestMetadataFollowTheirFile(t *testing.T) {
	t.Parallel()
	log := &logged{}
	r, m := attesting(t, func(c *sallyport.Config) { c.Log = slog.New(slog.NewJSONHandler(log, nil)) })
	k := m.made(r, virtualwebauthn.AuthenticatorOptions{})
	r.enrolls(k)
	reach := func(what string, want bool) {
		t.Helper()
		r.RefreshMetadata(t.Context())
		b := r.browser()
		v := b.answer(b.authorize("asks"), "password", "username", "joon", "password", r.joon.password)
		if got := v.step() == "second_factor"; got != want {
			t.Errorf("%s: got the step %s", what, v.step())
		}
	}
	reach("at the start", true)
	forger, refused := *m, 0
	forger.authority = authntest.NewAuthority(t, "MDS")
	for what, change := range map[string]func(){
		"broken": func() { m.put(m.config.File, []byte("<html>502</html>")) },
		"forged": func() { forger.publish(m.maker.Entry("REVOKED")) },
		"older":  func() { m.put(m.config.File, m.authority.Blob(t, 0, m.until, m.maker.Entry("REVOKED"))) },
		"gone":   func() { r.must(os.Remove(m.config.File)) },
	} {
		m.number++
		change()
		reach(what, true)
		if said := strings.Count(log.String(), "the new metadata are not taken") - refused; said != map[bool]int{true: 1}[what != "gone"] {
			t.Errorf("%s: said %d times that it is not taken: %s", what, said, log)
		} else {
			refused += said
		}
		m.publish(m.maker.Entry())
		reach("after one that is "+what, true)
	}
	m.until = time.Now().AddDate(0, 0, -3)
	m.publish(m.maker.Entry())
	reach("outdated", true)
	if !strings.Contains(log.String(), `"outdated":true`) || !strings.Contains(r.scrape(), "sallyport_webauthn_metadata_next_update_timestamp_seconds 1.") {
		t.Errorf("nobody hears that the metadata are outdated: %s", log)
	}
	m.publish(m.maker.Entry("REVOKED"))
	reach("revoked", false)
}

// TestMetadataAreCheckedAtTheStart: what cannot work is said before the server runs.
func TestMetadataAreCheckedAtTheStart(t *testing.T) {
	t.Parallel()
	m := newMakes(t)
	for want, change := range map[string]func(c *sallyport.Config){
		`rule 1: require hardware-bound is never met without Metadata`: func(c *sallyport.Config) { c.Metadata = nil },
		`metadata: no file`:       func(c *sallyport.Config) { c.Metadata = &sallyport.Metadata{} },
		`"yubikey" is no AAGUID`:  func(c *sallyport.Config) { c.Metadata.Deny = []string{"yubikey"} },
		`no such file`:            func(c *sallyport.Config) { c.Metadata.File += ".none" },
		`has no certificate`:      func(c *sallyport.Config) { c.Metadata.RootFile = c.Metadata.File },
		`metadata: who signed it`: func(c *sallyport.Config) { c.Metadata.RootFile = "" },
	} {
		metadata := m.config
		c := sallyport.Config{Issuer: "http://localhost:1", Database: filepath.Join(t.TempDir(), "db"), MasterKey: make([]byte, 32),
			Metadata: &metadata, Policy: []sallyport.Rule{{Require: sallyport.HardwareBound}}}
		change(&c)
		s, err := sallyport.New(t.Context(), c)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
		if s != nil {
			s.Close()
		}
	}
}
