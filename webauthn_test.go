package sallyport_test

import (
	"context"
	"encoding/json"
	"fmt"
	"html"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/descope/virtualwebauthn"

	"github.com/sallyport-id/sallyport"
	"github.com/sallyport-id/sallyport/internal/authn/authntest"
	"github.com/sallyport-id/sallyport/internal/oidc"
	"github.com/sallyport-id/sallyport/internal/store"
)

// passkey is a software authenticator with one credential for the rig's server.
type passkey struct {
	device virtualwebauthn.Authenticator
	cred   virtualwebauthn.Credential
	site   virtualwebauthn.RelyingParty
	// attest makes the attestation by its maker; nil: it makes its own.
	attest func(authntest.T, string) string
}

func (r *rig) passkey(o virtualwebauthn.AuthenticatorOptions) *passkey {
	cred := virtualwebauthn.NewCredential(virtualwebauthn.KeyTypeEC2)
	for len(cred.Key.AttestationData()) != 77 { // the double leaves out the leading zeros of some keys
		cred = virtualwebauthn.NewCredential(virtualwebauthn.KeyTypeEC2)
	}
	return &passkey{device: virtualwebauthn.NewAuthenticatorWithOptions(o), cred: cred,
		site: virtualwebauthn.RelyingParty{ID: "localhost", Name: "localhost", Origin: r.issuer}}
}

var optionsOnPage = regexp.MustCompile(`data-webauthn="([^"]*)"`)

func (v *view) options() string {
	v.t.Helper()
	m := optionsOnPage.FindStringSubmatch(v.body)
	if m == nil {
		v.t.Fatalf("no ceremony on the page (%d):\n%s", v.status, v.body)
	}
	return html.UnescapeString(m[1])
}

// register is the answer to the page's ceremony.
func (k *passkey) register(v *view) string {
	v.t.Helper()
	o, err := virtualwebauthn.ParseAttestationOptions(v.options())
	if err != nil {
		v.t.Fatal(err)
	}
	response := virtualwebauthn.CreateAttestationResponse(k.site, k.device, k.cred, *o)
	if k.attest != nil {
		response = k.attest(v.t, response)
	}
	return response
}

// sign is the answer to the page's challenge.
func (k *passkey) sign(v *view) string {
	v.t.Helper()
	o, err := virtualwebauthn.ParseAssertionOptions(v.options())
	if err != nil {
		v.t.Fatal(err)
	}
	if !k.cred.IsAllowedForAssertion(*o) {
		v.t.Fatalf("the page does not ask for this credential: %s", v.options())
	}
	return virtualwebauthn.CreateAssertionResponse(k.site, k.device, k.cred, *o)
}

// atPasskey takes somebody to the page that asks for a passkey.
func (b *browser) atPasskey(p person, extra ...string) *view {
	b.t.Helper()
	v := b.answer(b.authorize("web", extra...).mustStep("login", 200), "password", "username", p.login, "password", p.password)
	return v.mustStep("second_factor", 200)
}

// enrolls registers the passkey as joon's first factor, and signs in with it.
func (r *rig) enrolls(k *passkey) tokens {
	r.t.Helper()
	b := r.browser()
	v := b.answer(b.authorize("web"), "password", "username", "joon", "password", r.joon.password).mustStep("enroll", 200)
	v = b.answer(v, "register", "answer", k.register(v)).mustStep("save_codes", 200)
	return r.redeem("web", b.answer(v, "saved", "saved", "1").mustCode())
}

// proven is what the ID token says of a sign-in.
func proven(t testing.TB, got tokens) string {
	t.Helper()
	c := claims(t, got.ID)
	return fmt.Sprint(c["acr"], " ", c["amr"])
}

// TestPasskeyAsSecondFactor: enrolled at the first sign-in, used at the next.
func TestPasskeyAsSecondFactor(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		o               virtualwebauthn.AuthenticatorOptions
		enrolled, later string
	}{
		"synced passkey":       {virtualwebauthn.AuthenticatorOptions{BackupEligible: true}, "urn:sallyport:acr:2fa [swk user mfa]", "phr [swk user mfa]"},
		"device-bound passkey": {virtualwebauthn.AuthenticatorOptions{}, "urn:sallyport:acr:2fa [pop user mfa]", "phr [pop user mfa]"},
		"security key, no PIN": {virtualwebauthn.AuthenticatorOptions{UserNotVerified: true}, "urn:sallyport:acr:2fa [pwd pop mfa]", "phr [pwd pop mfa]"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			k := r.passkey(c.o)
			if got := proven(t, r.enrolls(k)); got != c.enrolled {
				t.Errorf("enrolled: got %s, want %s", got, c.enrolled)
			}
			b := r.browser()
			v := b.atPasskey(r.joon)
			got := proven(t, r.redeem("web", b.answer(v, "webauthn", "answer", k.sign(v)).mustCode()))
			if got != c.later {
				t.Errorf("signed in: got %s, want %s", got, c.later)
			}
		})
	}
}

// TestRule2PasskeyCountsLessWhereItWasEnrolled: whoever had the password alone
// reaches level 2 in that session, whatever he registered there.
func TestRule2PasskeyCountsLessWhereItWasEnrolled(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	k, b := r.passkey(virtualwebauthn.AuthenticatorOptions{}), r.browser()
	const phr = `{"id_token":{"acr":{"essential":true,"values":["phr"]}}}`
	v := b.answer(b.authorize("web", "claims", phr), "password", "username", "joon", "password", r.joon.password)
	v.mustRefuse(oidc.UnmetAuthentication)
	v = b.answer(b.authorize("web", "prompt", "login").mustStep("login", 200), "password", "username", "joon", "password", r.joon.password)
	v = b.answer(v.mustStep("enroll", 200), "register", "answer", k.register(v)).mustStep("save_codes", 200)
	b.answer(v, "saved", "saved", "1").mustCode()
	b.authorize("web", "claims", phr).mustRefuse(oidc.UnmetAuthentication)
	v = b.answer(b.authorize("web", "prompt", "login").mustStep("login", 200), "password", "username", "joon", "password", r.joon.password)
	got := r.redeem("web", b.answer(v.mustStep("second_factor", 200), "webauthn", "answer", k.sign(v)).mustCode())
	if proven(t, got) != "urn:sallyport:acr:2fa [pop user mfa]" {
		t.Errorf("proven again in the same session: got %s", proven(t, got))
	}
	fresh := r.browser()
	v = fresh.atPasskey(r.joon, "claims", phr)
	if got := proven(t, r.redeem("web", fresh.answer(v, "webauthn", "answer", k.sign(v)).mustCode())); got != "phr [pop user mfa]" {
		t.Errorf("in another session: got %s", got)
	}
}

// TestPasskeyAnswersAreRefused: each with a page that says so, with a challenge
// that is new, and a line in the log; none counts against anybody.
func TestPasskeyAnswersAreRefused(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	k := r.passkey(virtualwebauthn.AuthenticatorOptions{})
	k.cred.Counter = 5
	r.enrolls(k)
	stranger := r.passkey(virtualwebauthn.AuthenticatorOptions{})
	b := r.browser()
	v := b.atPasskey(r.joon)
	for reason, answer := range map[string]func(*view) string{
		"malformed": func(*view) string { return `{"id":1}` },
		"origin": func(v *view) string {
			evil := *k
			evil.site.Origin = "http://localhost.evil.example"
			return evil.sign(v)
		},
		"unknown_credential": func(v *view) string {
			o, _ := virtualwebauthn.ParseAssertionOptions(v.options())
			return virtualwebauthn.CreateAssertionResponse(stranger.site, stranger.device, stranger.cred, *o)
		},
		"invalid": func(v *view) string {
			forged := *k
			forged.cred.Key, forged.cred.Counter = stranger.cred.Key, 9
			return forged.sign(v)
		},
		"counter": func(v *view) string { return k.sign(v) },
	} {
		before := v.options()
		v = b.answer(v, "webauthn", "answer", answer(v)).mustStep("second_factor", 422)
		if !strings.Contains(v.body, `role="alert"`) || v.options() == before {
			t.Errorf("%s: the page does not say so, or shows the challenge again", reason)
		}
		events, err := r.Store().Events(t.Context(), store.EventQuery{Limit: 1})
		if err != nil || events[0].Type != "login.webauthn.failed" || events[0].Detail != reason || events[0].UserID != r.joon.id {
			t.Errorf("%s: got %+v, %v", reason, events, err)
		}
	}
	b.answer(v, "webauthn", "answer", "").mustStep("second_factor", 422)
	k.cred.Counter = 6
	v = b.get(v.page())
	b.answer(v, "webauthn", "answer", k.sign(v)).mustCode()
}

// TestRule12FailedWebAuthnNeverCounts: however often, it locks nobody out.
func TestRule12FailedWebAuthnNeverCounts(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	k := r.passkey(virtualwebauthn.AuthenticatorOptions{})
	r.enrolls(k)
	b := r.browser()
	v := b.atPasskey(r.joon)
	for range 120 {
		v = b.answer(v, "webauthn", "answer", "{}").mustStep("second_factor", 422)
	}
	b.answer(v, "webauthn", "answer", k.sign(v)).mustCode()
}

// TestPasskeyAnswerTakenOnce: of 16 who send the same answer at once, one is signed
// in; nobody is afterwards, with a challenge that is kept for another time.
func TestPasskeyAnswerTakenOnce(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	k := r.passkey(virtualwebauthn.AuthenticatorOptions{})
	r.enrolls(k)
	b := r.browser()
	v := b.atPasskey(r.joon)
	answer, fields := k.sign(v), v.fields("webauthn")
	fields.Set("answer", answer)
	var done sync.WaitGroup
	codes := make([]bool, 16)
	for i := range codes {
		done.Go(func() {
			got := b.post(v.page()+"/webauthn", fields)
			codes[i] = got.location != nil && got.location.Query().Get("code") != ""
		})
	}
	done.Wait()
	won := 0
	for _, code := range codes {
		if code {
			won++
		}
	}
	if won != 1 {
		t.Errorf("got %d codes, want 1", won)
	}
	// The same answer where another challenge waits.
	fresh := r.browser()
	again := fresh.atPasskey(r.joon)
	fresh.answer(again, "webauthn", "answer", answer).mustStep("second_factor", 422)
}

// TestPhishingResistanceIsNotReplacedByACode: where phr is demanded no other way is
// offered, and a code that is posted all the same is not even looked at.
func TestPhishingResistanceIsNotReplacedByACode(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	k := r.passkey(virtualwebauthn.AuthenticatorOptions{})
	r.enrolls(k)
	b := r.browser()
	v := b.atPasskey(r.joon)
	if !strings.Contains(v.body, "method=recovery") {
		t.Errorf("no other way on the page:\n%s", v.body)
	}
	v = b.authorize("web", "acr_values", "phr").mustStep("second_factor", 200)
	if strings.Contains(v.body, "method=recovery") || strings.Contains(b.get(v.page()+"?method=recovery").body, `/recovery"`) {
		t.Error("a code is offered where phr is demanded")
	}
	fields := v.fields("webauthn")
	fields.Set("code", "0000-0000-0000-0000")
	b.post(v.page()+"/recovery", fields).mustStep("second_factor", 422)
	v = b.get(v.page())
	if got := proven(t, r.redeem("web", b.answer(v, "webauthn", "answer", k.sign(v)).mustCode())); got != "phr [pop user mfa]" {
		t.Errorf("got %s", got)
	}
}

// TestInvitationWithAPasskey: an invited user's first factor may be one, and spends
// the invitation as any other.
func TestInvitationWithAPasskey(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	in, k, b := r.invite("sora"), r.passkey(virtualwebauthn.AuthenticatorOptions{BackupEligible: true}), r.browser()
	v := b.choose(b.get(in.path), in.password).mustStep("enroll", 200)
	evil := *k
	evil.site.Origin = "http://localhost"
	v = b.answer(v, "register", "answer", evil.register(v)).mustStep("enroll", 422)
	v = b.answer(v, "register", "answer", k.register(v)).mustStep("save_codes", 200)
	if v = b.answer(v, "saved", "saved", "1"); v.status != 200 || !strings.Contains(v.body, "Your account is ready") {
		t.Fatalf("got %d\n%s", v.status, v.body)
	}
	b.get(in.path).mustBeNoInvitation()
	list, err := r.Store().Authenticators(t.Context(), r.user("sora").ID)
	if err != nil || len(list) != 2 {
		t.Fatalf("got %+v, %v", list, err)
	}
	fresh := r.browser()
	v = fresh.atPasskey(person{login: "sora", password: in.password})
	if got := proven(t, r.redeem("web", fresh.answer(v, "webauthn", "answer", k.sign(v)).mustCode())); got != "phr [swk user mfa]" {
		t.Errorf("got %s", got)
	}
}

// TestCredentialOfSomebodyElse: a key that one user has registered cannot be
// registered by another, whose right to enrol stays.
func TestCredentialOfSomebodyElse(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	k := r.passkey(virtualwebauthn.AuthenticatorOptions{})
	r.enrolls(k)
	in, b := r.invite("sora"), r.browser()
	v := b.choose(b.get(in.path), in.password).mustStep("enroll", 200)
	v = b.answer(v, "register", "answer", k.register(v)).mustStep("enroll", 422)
	another := r.passkey(virtualwebauthn.AuthenticatorOptions{})
	b.answer(v, "register", "answer", another.register(v)).mustStep("save_codes", 200)
}

// TestUserHandleTellsNothing: it is not the subject, it is one for life.
func TestUserHandleTellsNothing(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	k := r.passkey(virtualwebauthn.AuthenticatorOptions{})
	r.enrolls(k)
	u := r.user("joon")
	if len(u.Handle) != 43 || strings.Contains(u.Handle, u.ID) {
		t.Fatalf("got the handle %q", u.Handle)
	}
	path := r.reset("joon", false)
	b := r.browser()
	v := b.choose(b.get(path), "another long password for joon").mustStep("enroll", 200)
	var o struct{ User struct{ ID string } }
	if err := json.Unmarshal([]byte(v.options()), &o); err != nil || o.User.ID != u.Handle {
		t.Errorf("got the handle %q, want %q (%v)", o.User.ID, u.Handle, err)
	}
}

// TestIssuerWithoutWebAuthn: on an IP address there are no passkeys, for users or
// in the metadata; one that was registered under another name is of no use, and is
// still there.
func TestIssuerWithoutWebAuthn(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(c *sallyport.Config) { c.Issuer = strings.Replace(c.Issuer, "localhost", "127.0.0.1", 1) })
	r.issuer = strings.Replace(r.issuer, "localhost", "127.0.0.1", 1)
	b := r.browser()
	if body := b.get("/.well-known/openid-configuration").body; strings.Contains(body, `"phr"`) {
		t.Errorf("the metadata promises phr: %s", body)
	}
	v := b.answer(b.authorize("web"), "password", "username", "joon", "password", r.joon.password).mustStep("enroll", 200)
	if strings.Contains(v.body, "data-webauthn") || strings.Contains(v.body, "method=webauthn") {
		t.Errorf("a passkey is offered:\n%s", v.body)
	}
	b.post(v.page()+"/register", url.Values{"csrf": v.fields("enroll")["csrf"], "step": {"enroll"}, "subject": v.fields("enroll")["subject"],
		"version": v.fields("enroll")["version"], "answer": {"{}"}}).mustStep("enroll", 422)
	r.must(r.Store().CreateAuthenticator(context.WithoutCancel(t.Context()), store.Authenticator{
		ID: store.NewID(), UserID: r.joon.id, Kind: store.KindWebAuthn, Secret: []byte{}, CreatedAt: time.Now(),
		Credential: &store.Credential{ID: []byte("k"), RPID: "localhost", Record: []byte("{}")},
	}, nil))
	b.get(v.page()).mustStep("refuse", 200)
}
