package sallyport_test

import (
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/descope/virtualwebauthn"

	"github.com/sallyport-id/sallyport/internal/oidc"
	"github.com/sallyport-id/sallyport/internal/store"
)

// bypass is a code of the operator's for somebody.
func (r *rig) bypass(login string, replaces bool) string {
	r.t.Helper()
	made, err := r.Admin().MakeBypass(r.t.Context(), r.user(login), time.Hour, replaces)
	r.must(err)
	return made.Code
}

// bypassed types the code in, after the password.
func (b *browser) bypassed(v *view, code string) *view {
	b.t.Helper()
	return b.answer(b.get(v.mustStep("second_factor", 200).page()+"?method=bypass").mustStep("second_factor", 200), "bypass", "code", code)
}

func (r *rig) kinds(p person) (kinds []string) {
	r.t.Helper()
	list, err := r.Store().Authenticators(r.t.Context(), p.id)
	r.must(err)
	for _, a := range list {
		kinds = append(kinds, string(a.Kind))
	}
	return kinds
}

// TestRule16BypassCodeLetsOneEnrol: and signs in with what was enrolled, not with the
// code; what was lost stays, or goes.
func TestRule16BypassCodeLetsOneEnrol(t *testing.T) {
	t.Parallel()
	for _, replaces := range []bool{false, true} {
		r := newRig(t)
		elsewhere := r.browser()
		old := r.redeem("web", elsewhere.signIn(r.mina, elsewhere.authorize("web")).mustCode())
		r.clock.advance(time.Minute)
		b := r.browser()
		v := b.password(r.mina, b.authorize("web"))
		if strings.Contains(v.body, "method=bypass") {
			t.Error("a code is offered, and there is none")
		}
		code := r.bypass("mina", replaces)
		if v = b.get(v.path); !strings.Contains(v.body, "method=bypass") {
			t.Error("the code is not offered")
		}
		v = b.bypassed(v, strings.ToUpper(strings.ReplaceAll(code, "-", " ")))
		if status, _ := r.userinfo(old.Access); status != http.StatusUnauthorized {
			t.Errorf("what was issued before: got %d, want 401", status)
		}
		v = b.app(v)
		secret := shownKey(t, v)
		v = b.answer(v, "enroll", "code", r.code(secret, 0)).mustStep("save_codes", 200)
		c := claims(t, r.redeem("web", b.answer(v, "saved", "saved", "1").mustCode()).ID)
		if c["acr"] != oidc.ACR2FA || len(c["amr"].([]any)) != 3 {
			t.Errorf("got %v, want the password and the new app", c)
		}
		want := "totp totp recovery"
		if replaces {
			want = "totp recovery"
		}
		if got := strings.Join(r.kinds(r.mina), " "); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
		r.clock.advance(time.Minute)
		next := r.browser()
		v = next.answer(next.password(r.mina, next.authorize("web")), "totp", "code", r.code(r.mina.totp, 0))
		if (v.status == http.StatusUnprocessableEntity) != replaces {
			t.Errorf("the old app, replaced %v: got %d", replaces, v.status)
		}
		if v.status != http.StatusUnprocessableEntity {
			continue
		}
		next.answer(v, "totp", "code", r.code(secret, 0)).mustCode()
	}
}

// TestRule16BypassCodeAloneReachesNoClient: nor does it count in another request, of
// whichever session.
func TestRule16BypassCodeAloneReachesNoClient(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	b := r.browser()
	code := r.bypass("mina", false)
	v := b.bypassed(b.password(r.mina, b.authorize("web")), code).mustStep("enroll", 200)
	b.authorize("web").mustStep("second_factor", 200)
	b.authorize("web", "prompt", "none").mustRefuse(oidc.InteractionRequired)
	other := r.browser()
	w := other.password(r.mina, other.authorize("web")).mustStep("second_factor", 200)
	if strings.Contains(w.body, "method=bypass") {
		t.Error("a used code is offered")
	}
	forged := v.fields("register")
	forged.Set("step", "consent")
	forged.Set("decision", "allow")
	if got := b.post(v.page()+"/consent", forged); got.location != nil || got.status != http.StatusConflict {
		t.Errorf("a forged consent: got %d %v", got.status, got.location)
	}
	r.clock.advance(11 * time.Minute)
	if got := b.get(v.page()); got.status != http.StatusGone {
		t.Errorf("after the interaction: got %d, want 410", got.status)
	}
	b.authorize("web").mustStep("second_factor", 200)
}

// TestRule16BypassCodeOnce: in two browsers at once, again, another user's, a wrong
// one, one that has expired, one that was replaced.
func TestRule16BypassCodeOnce(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	joon := r.joonWithTOTP()
	first, theirs := r.bypass("mina", false), r.bypass("joon", false)
	code := r.bypass("mina", false)
	b := r.browser()
	v := b.password(r.mina, b.authorize("web")).mustStep("second_factor", 200)
	form := b.get(v.page()+"?method=bypass").mustStep("second_factor", 200)
	for name, wrong := range map[string]string{"a replaced one": first, "another user's": theirs, "a wrong one": "0000-0000-0000-0000"} {
		if got := b.answer(form, "bypass", "code", wrong); got.status != http.StatusUnprocessableEntity || got.step() != "second_factor" {
			t.Errorf("%s: got %d %q, want 422 second_factor", name, got.status, got.step())
		}
	}
	browsers := []*browser{b, r.browser(), r.browser(), r.browser()}
	forms := []*view{form}
	for _, other := range browsers[1:] {
		v := other.password(r.mina, other.authorize("web"))
		forms = append(forms, other.get(v.page()+"?method=bypass").mustStep("second_factor", 200))
	}
	steps := make([]string, len(browsers))
	var all sync.WaitGroup
	for i, b := range browsers {
		all.Go(func() { steps[i] = b.answer(forms[i], "bypass", "code", code).step() })
	}
	all.Wait()
	if n := strings.Count(strings.Join(steps, " "), "enroll"); n != 1 {
		t.Errorf("got %v, want one that enrols", steps)
	}
	r.clock.advance(time.Hour + time.Second)
	other := r.browser()
	w := other.password(joon, other.authorize("web")).mustStep("second_factor", 200)
	if got := other.get(w.page() + "?method=bypass"); strings.Contains(got.body, "/bypass\"") {
		t.Error("a code that has expired is asked for")
	}
	fields := w.fields("totp")
	fields.Set("code", theirs)
	if got := other.post(w.page()+"/bypass", fields); got.step() != "second_factor" {
		t.Errorf("a code that has expired: got %q", got.step())
	}
}

// TestRule16BypassCodeIsThrottled: as recovery codes are.
func TestRule16BypassCodeIsThrottled(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	code := r.bypass("mina", false)
	b := r.browser()
	v := b.password(r.mina, b.authorize("web"))
	v = b.get(v.page() + "?method=bypass")
	for range 6 {
		v = b.answer(v, "bypass", "code", "0000-0000-0000-0000")
	}
	if v.status != http.StatusTooManyRequests || v.header.Get("Retry-After") == "" {
		t.Errorf("after six wrong codes: got %d, want 429", v.status)
	}
	if got := b.answer(v, "bypass", "code", code); got.status != http.StatusTooManyRequests {
		t.Errorf("the right one, too early: got %d, want 429", got.status)
	}
}

// TestRule16BypassCodeIsAtMostTwoFactors: a passkey that was bound with it counts no
// more there, and a request for more than that is offered no code.
func TestRule16BypassCodeIsAtMostTwoFactors(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	code := r.bypass("mina", true)
	b := r.browser()
	k := r.passkey(virtualwebauthn.AuthenticatorOptions{})
	v := b.bypassed(b.password(r.mina, b.authorize("web")), code).mustStep("enroll", 200)
	v = b.answer(v, "register", "answer", k.register(v)).mustStep("save_codes", 200)
	c := claims(t, r.redeem("web", b.answer(v, "saved", "saved", "1").mustCode()).ID)
	if c["acr"] != oidc.ACR2FA {
		t.Errorf("got acr %v, want two factors", c["acr"])
	}
	r.bypass("mina", false)
	phr := `{"id_token":{"acr":{"essential":true,"values":["phr"]}}}`
	other := r.browser()
	if got := other.password(r.mina, other.authorize("web", "claims", phr)).mustStep("second_factor", 200); strings.Contains(got.body, "method=bypass") {
		t.Error("a code is offered for phr")
	}
}

// TestRule16BypassCodeEnds: with a reset, with everything else.
func TestRule16BypassCodeEnds(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.bypass("mina", false)
	r.must(r.Store().RevokeUser(t.Context(), r.mina.id, "", r.clock.Now()))
	b := r.browser()
	if v := b.password(r.mina, b.authorize("web")).mustStep("second_factor", 200); strings.Contains(v.body, "method=bypass") {
		t.Error("the code outlives what it was issued with")
	}
	if _, err := r.Store().Bypass(t.Context(), r.mina.id, r.clock.Now()); err == nil {
		t.Error("the code is there")
	}
}

// TestBypassCodeWhoseFactorsAreDisabled: the code is all that is left then.
func TestBypassCodeWhoseFactorsAreDisabled(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	nora := r.addPerson(t.Context(), "nora", false)
	r.must(r.Store().CreateAuthenticator(t.Context(), store.Authenticator{ID: store.NewID(), UserID: nora.id, Kind: store.KindTOTP, Secret: []byte("x"), Disabled: true}, nil))
	b := r.browser()
	v := b.password(nora, b.authorize("web"))
	if !strings.Contains(v.body, "A second factor is needed") {
		t.Fatalf("without a code: got %d %s", v.status, v.body)
	}
	code := r.bypass("nora", false)
	v = b.authorize("web").mustStep("login", 200)
	v = b.password(nora, v)
	v = b.answer(v.mustStep("second_factor", 200), "bypass", "code", code)
	v = b.app(v)
	b.answer(v, "enroll", "code", r.code(shownKey(t, v), 0)).mustStep("save_codes", 200)
}
