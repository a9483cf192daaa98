package sallyport_test

import (
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sallyport-id/sallyport"
	"github.com/sallyport-id/sallyport/internal/oidc"
	"github.com/sallyport-id/sallyport/internal/store"
)

const day = 24 * time.Hour

// trustRig is a server whose users may trust their browsers for 30 days.
func trustRig(t testing.TB) *rig {
	return newRig(t, func(c *sallyport.Config) { c.Policy = []sallyport.Rule{{TrustedDeviceDays: 30}} })
}

// trusts is a browser that Mina trusts, a day later: nobody is signed in any more.
func (r *rig) trusts() *browser {
	r.t.Helper()
	b := r.browser()
	b.answer(b.signIn(r.mina, b.authorize("web")).mustStep("trust", 200), "trust", "decision", "yes").mustCode()
	r.clock.advance(day + time.Hour)
	return b
}

// password answers the first step.
func (b *browser) password(p person, v *view) *view {
	b.t.Helper()
	return b.answer(v.mustStep("login", 200), "password", "username", p.login, "password", p.password)
}

// has is the value of a cookie, "" if there is none.
func (b *browser) has(name string) string {
	for _, c := range b.cookies() {
		if c.Name == name {
			return c.Value
		}
	}
	return ""
}

func (b *browser) cookies() []*http.Cookie {
	u, err := url.Parse(b.issuer)
	b.must(err)
	return b.http.Jar.Cookies(u)
}

// with is another browser that has one of the cookies.
func (b *browser) with(name, value string) *browser {
	other := b.rig.browser()
	u, err := url.Parse(b.issuer)
	b.must(err)
	other.http.Jar.SetCookies(u, []*http.Cookie{{Name: name, Value: value, Path: "/"}})
	return other
}

// copied is another browser with all of the cookies, as a thief has it.
func (b *browser) copied() *browser {
	jar, err := cookiejar.New(nil)
	b.must(err)
	u, err := url.Parse(b.issuer)
	b.must(err)
	jar.SetCookies(u, b.cookies())
	other := b.rig.browser()
	other.http.Jar = jar
	return other
}

func (r *rig) devices(p person) []store.TrustedDevice {
	r.t.Helper()
	list, err := r.Store().TrustedDevices(r.t.Context(), p.id, r.clock.Now())
	r.must(err)
	return list
}

func (r *rig) happened(kind string) (n int) {
	r.t.Helper()
	list, err := r.Store().Events(r.t.Context(), store.EventQuery{Type: kind, Limit: 100})
	r.must(err)
	return len(list)
}

// TestRule22TrustedBrowserAsksForThePasswordAlone: and says so: one factor, for
// applications that want no more.
func TestRule22TrustedBrowserAsksForThePasswordAlone(t *testing.T) {
	t.Parallel()
	r := trustRig(t)
	b := r.browser()
	v := b.signIn(r.mina, b.authorize("web")).mustStep("trust", 200)
	b.answer(v, "trust", "decision", "perhaps").mustStep("trust", 422)
	first := claims(t, r.redeem("web", b.answer(v, "trust", "decision", "yes").mustCode()).ID)
	if first["acr"] != oidc.ACR2FA {
		t.Errorf("the sign-in that was asked: got %v, want both factors", first)
	}
	if list := r.devices(r.mina); len(list) != 1 || list[0].Level != oidc.Level2FA || list[0].Address != "127.0.0.1" && list[0].Address != "::1" ||
		!strings.HasPrefix(list[0].UserAgent, "Go-http-client") {
		t.Errorf("got %+v", list)
	}
	r.clock.advance(day + time.Hour)
	got := r.redeem("web", b.password(r.mina, b.authorize("web")).mustCode())
	c := claims(t, got.ID)
	if c["acr"] != oidc.ACR1FA || len(c["amr"].([]any)) != 1 || c["amr"].([]any)[0] != "pwd" {
		t.Errorf("in the trusted browser: got acr %v, amr %v, want one factor", c["acr"], c["amr"])
	}
	if status, _ := r.userinfo(got.Access); status != 200 {
		t.Errorf("userinfo: got %d", status)
	}
	silent := claims(t, r.redeem("web", b.authorize("web", "prompt", "none").mustCode()).ID)
	if silent["acr"] != oidc.ACR1FA {
		t.Errorf("in silence: got %v", silent)
	}
	stranger := r.browser()
	stranger.password(r.mina, stranger.authorize("web")).mustStep("second_factor", 200)
}

// TestRule22TrustIsIgnoredWhereMoreIsAsked: and in the session that the password
// alone began.
func TestRule22TrustIsIgnoredWhereMoreIsAsked(t *testing.T) {
	t.Parallel()
	r := trustRig(t)
	r.must(r.Admin().AddResource(t.Context(), &oidc.Resource{URI: "https://bank.example.com/", Name: "Bank", Scopes: []string{"pay"}, MinLevel: oidc.Level2FA}))
	r.changeClient("portal", func(c *oidc.Client) {
		r.must(r.Admin().Allow(t.Context(), c, "https://bank.example.com/"))
	})
	b := r.trusts()
	requests := map[string][]string{
		"acr_values":            {"web", "acr_values", oidc.ACR2FA},
		"acr_values for one":    {"web", "acr_values", oidc.ACR1FA},
		"essential acr":         {"web", "claims", `{"id_token":{"acr":{"essential":true,"values":["` + oidc.ACR2FA + `"]}}}`},
		"voluntary acr":         {"web", "claims", `{"id_token":{"acr":null}}`},
		"max_age":               {"web", "max_age", "3600"},
		"max_age=0":             {"web", "max_age", "0"},
		"prompt=login":          {"web", "prompt", "login"},
		"prompt=select_account": {"web", "prompt", "select_account"},
		"a client's floor":      {"tutorial", "scope", "openid"},
		"an API's floor":        {"portal", "resource", "https://bank.example.com/", "scope", "openid pay"},
	}
	for name, q := range requests {
		other := b.with("sallyport-device", b.has("sallyport-device"))
		if got := other.password(r.mina, other.authorize(q[0], q[1:]...)); got.step() != "second_factor" {
			t.Errorf("%s: got %q %v, want second_factor", name, got.step(), got.location)
		}
	}
	b.password(r.mina, b.authorize("web")).mustCode()
	for name, q := range requests {
		got := b.authorize(q[0], q[1:]...)
		if got.step() == "login" {
			got = b.password(r.mina, got)
		}
		if got.step() != "second_factor" {
			t.Errorf("%s, in the session: got %q %v, want second_factor", name, got.step(), got.location)
		}
	}
	b.authorize("tutorial", "scope", "openid", "prompt", "none").mustRefuse(oidc.InteractionRequired)
	if got := b.authorize("portal", "resource", orders, "scope", "openid orders:read"); got.step() != "consent" {
		t.Errorf("an API without a floor: got %q, want consent", got.step())
	}
}

// TestRule22TrustEndsAtItsEnd: however often it was used before.
func TestRule22TrustEndsAtItsEnd(t *testing.T) {
	t.Parallel()
	r := trustRig(t)
	b := r.browser()
	b.answer(b.signIn(r.mina, b.authorize("web")), "trust", "decision", "yes").mustCode()
	var last tokens
	for range 9 {
		r.clock.advance(3 * day)
		v := b.password(r.mina, b.authorize("portal", "resource", orders, "scope", "openid orders:read offline_access", "prompt", "consent"))
		last = r.redeem("portal", b.answer(v.mustStep("consent", 200), "consent", "decision", "allow").mustCode())
	}
	r.stillGood(t, last)
	r.clock.advance(3*day - 5*time.Minute)
	last = r.stillGood(t, last)
	r.clock.advance(6 * time.Minute)
	r.goodNoMore(t, last)
	b.password(r.mina, b.authorize("web")).mustStep("second_factor", 200)
}

// stillGood are the tokens after a refresh.
func (r *rig) stillGood(t *testing.T, old tokens) tokens {
	t.Helper()
	got := r.token("portal", url.Values{"grant_type": {"refresh_token"}, "refresh_token": {old.Refresh}})
	if got.status != 200 {
		t.Fatalf("refresh: got %d %s", got.status, got.Error)
	}
	if got.Refresh == "" {
		got.Refresh = old.Refresh
	}
	if answer := r.introspect("orders", got.Access); answer["active"] != true || answer["acr"] != oidc.ACR1FA {
		t.Fatalf("introspection: got %v", answer)
	}
	return got
}

func (r *rig) goodNoMore(t *testing.T, old tokens) {
	t.Helper()
	if got := r.token("portal", url.Values{"grant_type": {"refresh_token"}, "refresh_token": {old.Refresh}}); got.status != 400 || got.Error != "invalid_grant" {
		t.Errorf("refresh: got %d %s, want invalid_grant", got.status, got.Error)
	}
	if answer := r.introspect("orders", old.Access); answer["active"] != false {
		t.Errorf("introspection: got %v, want inactive", answer)
	}
}

// TestRule22TrustEndsWhenItIsEnded: what was granted because of it ends with it, and
// what was granted for two factors does not.
func TestRule22TrustEndsWhenItIsEnded(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(*rig) error{
		"by its owner or an operator": func(r *rig) error {
			return r.Store().EndTrustedDevice(r.t.Context(), r.mina.id, r.devices(r.mina)[0].ID)
		},
		"all of them":       func(r *rig) error { return r.Store().EndTrustedDevices(r.t.Context(), r.mina.id) },
		"a password change": func(r *rig) error { return r.Store().RevokeUser(r.t.Context(), r.mina.id, "", r.clock.Now()) },
		"a disabled user": func(r *rig) error {
			r.must(r.Admin().DisableUser(r.t.Context(), r.mina.id))
			return r.Admin().EnableUser(r.t.Context(), r.mina.id)
		},
		"a recovery code": func(r *rig) error {
			other := r.browser()
			other.recover(other.password(r.mina, other.authorize("web")), r.mina.recovery[0]).mustCode()
			return nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := trustRig(t)
			r.t = t
			b := r.trusts()
			v := b.password(r.mina, b.authorize("portal", "resource", orders, "scope", "openid orders:read offline_access", "prompt", "consent"))
			got := r.redeem("portal", b.answer(v.mustStep("consent", 200), "consent", "decision", "allow").mustCode())
			access := r.redeem("web", b.authorize("web").mustCode()).Access
			unredeemed := b.authorize("web").mustCode()
			got = r.stillGood(t, got)
			r.must(end(r))
			r.goodNoMore(t, got)
			if status, _ := r.userinfo(access); status != http.StatusUnauthorized {
				t.Errorf("userinfo: got %d, want 401", status)
			}
			if got := r.redeem("web", unredeemed); got.Error != "invalid_grant" {
				t.Errorf("a code that was made before: got %d %s, want invalid_grant", got.status, got.Error)
			}
			got2 := b.authorize("web")
			if got2.step() == "login" {
				got2 = b.password(r.mina, got2)
			}
			got2.mustStep("second_factor", 200)
		})
	}
}

// TestRule22TrustIsOffered: once, after two factors of one's own in this very
// sign-in, and never where it would be of no use.
func TestRule22TrustIsOffered(t *testing.T) {
	t.Parallel()
	off := newRig(t)
	b := off.browser()
	b.signIn(off.mina, b.authorize("web")).mustCode()

	r := trustRig(t)
	b = r.browser()
	b.signIn(r.mina, b.authorize("tutorial", "scope", "openid")).mustCode()
	b.authorize("web").mustCode() // two factors, but in another sign-in
	b = r.browser()
	b.recover(b.password(r.mina, b.authorize("web")), r.mina.recovery[1]).mustCode()
	r.clock.advance(time.Minute)
	b = r.browser()
	b.signIn(r.mina, b.authorize("web", "acr_values", oidc.ACR2FA)).mustCode()

	r.clock.advance(time.Minute)
	b = r.browser()
	v := b.signIn(r.mina, b.authorize("asks")).mustStep("trust", 200)
	v = b.answer(v, "trust", "decision", "no").mustStep("consent", 200)
	b.answer(v, "consent", "decision", "allow").mustCode()
	if got := b.has("sallyport-device"); got != "no" {
		t.Errorf("the cookie after a no: %q", got)
	}
	r.clock.advance(day + time.Minute)
	b.signIn(r.mina, b.authorize("web")).mustCode()
	if n := len(r.devices(r.mina)); n != 0 {
		t.Errorf("got %d trusted devices, want none", n)
	}
}

// TestRule22TrustStepIsAsked: posted where it is not next, or by the password alone,
// it records nothing.
func TestRule22TrustStepIsAsked(t *testing.T) {
	t.Parallel()
	r := trustRig(t)
	b := r.browser()
	v := b.password(r.mina, b.authorize("web")).mustStep("second_factor", 200)
	fields := v.fields("totp")
	fields.Set("step", "trust")
	fields.Set("decision", "yes")
	if got := b.post(v.page()+"/trust", fields); got.status != http.StatusConflict {
		t.Errorf("with the password alone: got %d, want 409", got.status)
	}
	v = b.answer(v, "totp", "code", r.code(r.mina.totp, 0)).mustStep("trust", 200)
	forged := v.fields("trust")
	forged.Set("subject", r.joon.id)
	forged.Set("decision", "yes")
	if got := b.post(v.page()+"/trust", forged); got.status != http.StatusConflict {
		t.Errorf("for another user: got %d, want 409", got.status)
	}
	if n := len(r.devices(r.mina)) + len(r.devices(r.joon)); n != 0 || b.has("sallyport-device") != "" {
		t.Errorf("got %d devices, want none", n)
	}
	b.answer(v, "trust", "decision", "yes").mustCode()
	if got := b.answer(v, "trust", "decision", "yes"); got.location != nil {
		t.Errorf("again: got %v", got.location)
	}
	if n := len(r.devices(r.mina)); n != 1 {
		t.Errorf("got %d devices, want 1", n)
	}
}

// TestRule22TrustIsOfItsUser: another user of the browser has none of it, and takes
// none of it away by saying no.
func TestRule22TrustIsOfItsUser(t *testing.T) {
	t.Parallel()
	r := trustRig(t)
	joon := r.joonWithTOTP()
	b := r.trusts()
	v := b.signIn(joon, b.authorize("web")).mustStep("trust", 200)
	b.answer(v, "trust", "decision", "no").mustCode()
	r.clock.advance(day + time.Minute)
	b.password(r.mina, b.authorize("web")).mustCode()
}

// TestRule22OldSecretEndsTheTrust: two have it. A wrong one is nothing.
func TestRule22OldSecretEndsTheTrust(t *testing.T) {
	t.Parallel()
	r := trustRig(t)
	b := r.trusts()
	id, _, _ := strings.Cut(b.has("sallyport-device"), ".")
	for _, forged := range []string{id + "." + strings.Repeat("A", 43), id + ".", id, ".", "no", "a.b.c"} {
		other := b.with("sallyport-device", forged)
		other.password(r.mina, other.authorize("web")).mustStep("second_factor", 200)
	}
	thief := b.copied()
	b.password(r.mina, b.authorize("web")).mustCode()
	if b.has("sallyport-device") == thief.has("sallyport-device") {
		t.Error("the secret has not rotated")
	}
	r.clock.advance(11 * time.Second)
	thief.authorize("web") // without the password nothing happens
	if r.happened(store.EventDeviceReused) != 0 || len(r.devices(r.mina)) != 1 {
		t.Fatal("a cookie without a password ended the trust")
	}
	thief.password(r.mina, thief.authorize("web")).mustStep("second_factor", 200)
	if n := r.happened(store.EventDeviceReused); n != 1 || len(r.devices(r.mina)) != 0 {
		t.Errorf("got %d events and %v, want one and no device", n, r.devices(r.mina))
	}
	b.authorize("web").mustStep("second_factor", 200)
}

// TestTrustedBrowserWhoseAnswerWasLost: the secret is taken once more for 10 s.
func TestTrustedBrowserWhoseAnswerWasLost(t *testing.T) {
	t.Parallel()
	r := trustRig(t)
	b := r.trusts()
	lost := b.copied()
	lost.password(r.mina, lost.authorize("web")).mustCode()
	r.clock.advance(9 * time.Second)
	b.password(r.mina, b.authorize("web")).mustCode()
	if r.happened(store.EventDeviceReused) != 0 {
		t.Error("a retry was taken for a theft")
	}
	r.clock.advance(day + time.Minute)
	b.password(r.mina, b.authorize("web")).mustCode()
}

// TestTrustedBrowserSignsInManyTimesAtOnce: some tabs may be asked for the second
// factor; the browser stays trusted.
func TestTrustedBrowserSignsInManyTimesAtOnce(t *testing.T) {
	t.Parallel()
	r := trustRig(t)
	b := r.trusts()
	b.password(r.mina, b.authorize("web")).mustCode()
	var all sync.WaitGroup
	steps := make([]string, 16)
	for i := range steps {
		all.Go(func() {
			got := b.authorize("web", "state", "s")
			if steps[i] = got.step(); got.location != nil && got.location.Query().Get("code") != "" {
				steps[i] = "code"
			}
		})
	}
	all.Wait()
	if slices.ContainsFunc(steps, func(s string) bool { return s != "code" }) {
		t.Errorf("requests that ask nobody: got %v, want codes", steps)
	}
	if len(r.devices(r.mina)) != 1 || r.happened(store.EventDeviceReused) != 0 {
		t.Error("the browser is trusted no more")
	}
}

// TestTrustedBrowserWhoseUserWasReset: nothing of the old trust holds for the account
// that was set up again.
func TestTrustedBrowserWhoseUserWasReset(t *testing.T) {
	t.Parallel()
	r := trustRig(t)
	b := r.trusts()
	_, err := r.Admin().ResetUser(t.Context(), r.user("mina"), true)
	r.must(err)
	if _, _, err := r.Admin().AddTOTP(t.Context(), r.mina.id); err != nil {
		t.Fatal(err)
	}
	b.password(r.mina, b.authorize("web")).mustStep("second_factor", 200)
}
