package sallyport_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/descope/virtualwebauthn"

	"github.com/sallyport-id/sallyport"
	"github.com/sallyport-id/sallyport/internal/admin"
	"github.com/sallyport-id/sallyport/internal/oidc"
)

// waiting is a device that asked, and waits for its user.
type waiting struct {
	*rig
	client string
	status int
	Error  string `json:"error"`
	oidc.DeviceAuthorization
}

// withDevices has a client on a television, and one in a terminal.
func withDevices(t testing.TB, change ...func(*sallyport.Config)) *rig {
	r := newRig(t, change...)
	tv := admin.Device("tv", "Television")
	r.must(r.Admin().Allow(t.Context(), tv, orders))
	r.addClient(t.Context(), tv)
	r.addClient(t.Context(), admin.Device("cli", "Terminal"))
	return r
}

func (r *rig) asks(client string, extra ...string) *waiting {
	r.t.Helper()
	form := url.Values{"client_id": {client}, "scope": {"openid profile offline_access"}}
	for i := 0; i < len(extra); i += 2 {
		form.Del(extra[i])
		if extra[i+1] != "" {
			form.Add(extra[i], extra[i+1])
		}
	}
	resp, err := http.PostForm(r.issuer+"/device_authorization", form)
	if err != nil {
		r.t.Fatal(err)
	}
	defer resp.Body.Close()
	w := &waiting{rig: r, client: client, status: resp.StatusCode}
	if err := json.NewDecoder(resp.Body).Decode(w); err != nil {
		r.t.Fatal(err)
	}
	if resp.Header.Get("Cache-Control") != "no-store" {
		r.t.Errorf("got Cache-Control %q, want no-store", resp.Header.Get("Cache-Control"))
	}
	return w
}

// poll asks for the tokens.
func (w *waiting) poll(extra ...string) tokens {
	w.t.Helper()
	form := url.Values{"grant_type": {oidc.GrantDeviceCode}, "client_id": {w.client}, "device_code": {w.DeviceCode}}
	for i := 0; i < len(extra); i += 2 {
		form.Set(extra[i], extra[i+1])
	}
	return w.token("", form)
}

// types a device's user code, and comes to the sign-in.
func (b *browser) types(code string) *view {
	b.t.Helper()
	v := b.get("/device").mustStep("device", 200)
	fields := v.fields("device")
	fields.Set("user_code", code)
	return b.post("/device", fields)
}

// allowsDevice signs mina in for the device, and says yes.
func (b *browser) allowsDevice(w *waiting) *view {
	b.t.Helper()
	return b.answer(b.signIn(b.mina, b.types(w.UserCode)).mustStep("consent", 200), "consent", "decision", "allow")
}

// TestDeviceFlow: the device asks, its user types the code elsewhere and signs in with
// both factors, and the device gets its tokens, once.
func TestDeviceFlow(t *testing.T) {
	t.Parallel()
	r := withDevices(t)
	w := r.asks("tv", "scope", "openid profile")
	if w.status != 200 || w.VerificationURI != r.issuer+"/device" || w.ExpiresIn != 600 || w.Interval != 5 || !strings.Contains(w.UserCode, "-") {
		t.Fatalf("got %+v", w)
	}
	if got := w.poll(); got.Error != oidc.AuthorizationPending {
		t.Errorf("at first: got %+v", got)
	}
	b := r.browser()
	v := b.signIn(r.mina, b.types(" "+strings.ToLower(strings.ReplaceAll(w.UserCode, "-", " ")))).mustStep("consent", 200)
	for _, text := range []string{"Television", "127.0.0.1", "Allow this device?", "stays signed in"} {
		if !strings.Contains(v.body, text) {
			t.Errorf("the page does not say %q:\n%s", text, v.body)
		}
	}
	r.clock.advance(5 * time.Second)
	if got := w.poll(); got.Error != oidc.AuthorizationPending {
		t.Errorf("before the answer: got %+v", got)
	}
	if done := b.answer(v, "consent", "decision", "allow"); done.path != "/device/done" || done.status != 200 {
		t.Fatalf("got %s %d\n%s", done.path, done.status, done.body)
	}
	r.clock.advance(5 * time.Second)
	got := w.poll()
	if got.status != 200 || got.Refresh == "" || got.Scope != "openid profile" {
		t.Fatalf("got %+v", got)
	}
	c := claims(t, got.ID)
	if c["sub"] != r.mina.id || c["aud"] != "tv" || c["acr"] != "urn:sallyport:acr:2fa" || c["sid"] != nil || c["nonce"] != nil {
		t.Errorf("got %v", c)
	}
	if status, info := r.userinfo(got.Access); status != 200 || info["name"] != "MINA" {
		t.Errorf("userinfo: got %d %v", status, info)
	}
	b.post("/end_session/confirm", b.get("/end_session").fields("end_session/confirm"))
	b.authorize("web", "prompt", "none").mustRefuse(oidc.LoginRequired)
	next := r.token("", url.Values{"grant_type": {"refresh_token"}, "refresh_token": {got.Refresh}, "client_id": {"tv"}})
	if next.status != 200 {
		t.Errorf("after the browser signed out: got %+v", next)
	}
	r.clock.advance(5 * time.Second)
	if again := w.poll(); again.Error != oidc.InvalidGrant {
		t.Errorf("a second time: got %+v", again)
	}
	if status, _ := r.userinfo(next.Access); status != http.StatusUnauthorized {
		t.Errorf("what the first got, after a second came: got %d, want 401", status)
	}
}

// TestDeviceRefreshesWithoutOfflineAccess: what a device gets outlives the browser's session
// by itself. A client that never had the scope offline_access has not lost it; one that
// asked for it, and may not any more, has.
func TestDeviceRefreshesWithoutOfflineAccess(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		scope string
		keeps bool
	}{{"openid profile", true}, {"openid offline_access", false}} {
		r := withDevices(t)
		w := r.asks("tv", "scope", c.scope)
		r.browser().allowsDevice(w)
		got := w.poll()
		r.sets("tv", func(tv *oidc.Client) { tv.Scopes = []string{oidc.ScopeOpenID, oidc.ScopeProfile} })
		next := r.token("", url.Values{"grant_type": {"refresh_token"}, "refresh_token": {got.Refresh}, "client_id": {"tv"}})
		if (next.status == 200) != c.keeps {
			t.Errorf("%s: got %+v, want it to go on: %t", c.scope, next, c.keeps)
		}
	}
}

// TestDeviceFlowAnswers: what a device hears that gets nothing (RFC 8628 §3.5).
func TestDeviceFlowAnswers(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		do   func(r *rig, b *browser, w *waiting)
		want string
	}{
		"too fast": {func(_ *rig, _ *browser, w *waiting) { w.poll() }, oidc.SlowDown},
		"denied": {func(r *rig, b *browser, w *waiting) {
			v := b.answer(b.signIn(r.mina, b.types(w.UserCode)).mustStep("consent", 200), "consent", "decision", "deny")
			if v.path != "/device/denied" {
				r.t.Errorf("got %s", v.path)
			}
		}, oidc.AccessDenied},
		"cancelled": {func(_ *rig, b *browser, w *waiting) { b.answer(b.types(w.UserCode).mustStep("login", 200), "cancel") }, oidc.AccessDenied},
		"expired":   {func(r *rig, _ *browser, _ *waiting) { r.clock.advance(10 * time.Minute) }, oidc.ExpiredToken},
		"allowed, and too late": {func(r *rig, b *browser, w *waiting) {
			b.allowsDevice(w)
			r.clock.advance(10 * time.Minute)
		}, oidc.ExpiredToken},
		"allowed, by a user who was disabled": {func(r *rig, b *browser, w *waiting) {
			b.allowsDevice(w)
			r.must(r.Admin().DisableUser(r.t.Context(), r.mina.id))
		}, oidc.InvalidGrant},
		"allowed, and the client wants more since": {func(r *rig, b *browser, w *waiting) {
			b.allowsDevice(w)
			r.changeClient("tv", func(c *oidc.Client) { c.MinLevel = oidc.LevelPHR })
		}, oidc.InvalidGrant},
		"by a client that was disabled": {func(r *rig, b *browser, w *waiting) {
			b.allowsDevice(w)
			r.changeClient("tv", func(c *oidc.Client) { c.Disabled = true })
		}, oidc.InvalidClient},
		"of another client":     {func(_ *rig, b *browser, w *waiting) { b.allowsDevice(w); w.client = "cli" }, oidc.InvalidGrant},
		"of nobody":             {func(_ *rig, _ *browser, w *waiting) { w.DeviceCode = "dc_a.b" }, oidc.InvalidGrant},
		"no code":               {func(_ *rig, _ *browser, w *waiting) { w.DeviceCode = "" }, oidc.InvalidRequest},
		"another secret":        {func(_ *rig, _ *browser, w *waiting) { w.DeviceCode = w.DeviceCode[:len(w.DeviceCode)-4] + "AAAA" }, oidc.InvalidGrant},
		"a client that may not": {func(_ *rig, _ *browser, w *waiting) { w.client = "spa" }, oidc.UnauthorizedClient},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := withDevices(t)
			w := r.asks("tv")
			c.do(r, r.browser(), w)
			if got := w.poll(); got.Error != c.want || got.Access != "" {
				t.Errorf("got %+v, want %s", got, c.want)
			}
		})
	}
}

// TestDeviceRequestIsChecked: before there is a code, and again when somebody types it.
func TestDeviceRequestIsChecked(t *testing.T) {
	t.Parallel()
	r := withDevices(t)
	for name, c := range map[string]struct {
		client string
		extra  []string
		want   string
	}{
		"a client without the grant":            {"spa", nil, oidc.UnauthorizedClient},
		"no client":                             {"nobody", nil, oidc.InvalidClient},
		"a confidential one without its secret": {"web", nil, oidc.InvalidClient},
		"a scope of others":                     {"tv", []string{"scope", "openid bills:read"}, oidc.InvalidScope},
		"no scope":                              {"tv", []string{"scope", ""}, oidc.InvalidScope},
		"an API of others":                      {"tv", []string{"resource", billing}, oidc.InvalidTarget},
		"an API without its scope":              {"tv", []string{"resource", orders}, oidc.InvalidScope},
		"twice":                                 {"tv", []string{"scope", "openid", "scope", "profile"}, oidc.InvalidRequest},
	} {
		extra := c.extra
		w := r.asks(c.client, extra...)
		if name == "twice" { // asks puts one in the place of the other
			resp, err := http.Post(r.issuer+"/device_authorization", "application/x-www-form-urlencoded", strings.NewReader("client_id=tv&scope=openid&scope=profile"))
			r.must(err)
			w = &waiting{}
			r.must(json.NewDecoder(resp.Body).Decode(w))
			resp.Body.Close()
		}
		if w.Error != c.want || w.DeviceCode != "" {
			t.Errorf("%s: got %+v, want %s", name, w, c.want)
		}
	}
	w := r.asks("tv", "resource", orders, "scope", "openid orders:read")
	b := r.browser()
	v := b.signIn(r.mina, b.types(w.UserCode)).mustStep("consent", 200)
	if !strings.Contains(v.body, "<code>orders:read</code>") {
		t.Errorf("the page does not say what is asked:\n%s", v.body)
	}
	b.answer(v, "consent", "decision", "allow")
	if got := w.poll(); got.Scope != "orders:read" || r.introspect("orders", got.Access)["active"] != true {
		t.Errorf("got %+v", got)
	}
	w = r.asks("tv")
	r.changeClient("tv", func(c *oidc.Client) { c.Scopes = []string{"openid"} })
	if v := b.types(w.UserCode); v.status != 422 {
		t.Errorf("the client may ask less by now: got %d\n%s", v.status, v.body)
	}
}

// TestRule7UserCodes: the code is typed and never in a link, wrong ones count, and say
// no more than that no device waits.
func TestRule7UserCodes(t *testing.T) {
	t.Parallel()
	r := withDevices(t, func(c *sallyport.Config) { c.InsecureNoLimits = false })
	b := r.browser()
	w := r.asks("tv")
	if v := b.get("/device?user_code=" + w.UserCode); v.step() != "device" || strings.Contains(v.body, w.UserCode) {
		t.Errorf("a link with the code: got step %s\n%s", v.step(), v.body)
	}
	used := r.asks("tv")
	b.types(used.UserCode).mustStep("login", 200)
	var pages []string
	for _, code := range []string{"", "BCDF-GHJK", "AEIO-UAEI", "BCDFGHJ", strings.Repeat("B", 100), w.UserCode + "B"} {
		v := b.types(code).mustStep("device", 422)
		pages = append(pages, hiddenField.ReplaceAllString(v.body, ""))
	}
	for i, page := range pages {
		if page != pages[0] {
			t.Errorf("code %d looks like another:\n%s", i, page)
		}
	}
	forged := url.Values{"user_code": {w.UserCode}, "csrf": {r.browser().get("/device").fields("device").Get("csrf")}}
	b.post("/device", forged).mustStep("device", http.StatusConflict)
	for range 55 { // of 100 that may open pages
		if v := b.types("BCDF-GHJK"); v.status == http.StatusTooManyRequests {
			return
		}
	}
	t.Error("nobody was stopped from guessing")
}

// TestRule7DeviceNeedsProofsOfItsOwn: whoever is signed in signs in again; neither the
// session, nor a trusted browser, nor a grace stands for that.
func TestRule7DeviceNeedsProofsOfItsOwn(t *testing.T) {
	t.Parallel()
	r := withDevices(t, func(c *sallyport.Config) { c.Policy = []sallyport.Rule{{TrustedDeviceDays: 30}} })
	b := r.browser()
	v := b.signIn(r.mina, b.authorize("web")).mustStep("trust", 200)
	b.answer(v, "trust", "decision", "yes").mustCode()
	b.authorize("web").mustCode() // signed in, and trusted
	v = b.types(r.asks("tv").UserCode).mustStep("login", 200)
	r.clock.advance(30 * time.Second)
	v = b.answer(v, "password", "username", "mina", "password", r.mina.password).mustStep("second_factor", 200)
	v = b.answer(v, "totp", "code", r.code(r.mina.totp, 0)).mustStep("consent", 200)
	other := r.browser()
	if got := other.get(v.page()); got.status != http.StatusNotFound && got.status != http.StatusGone {
		t.Errorf("in another browser: got %d\n%s", got.status, got.body)
	}
}

// TestRule7DeviceIsLevelTwoAtMost: a passkey proves no more for another device than a
// code does, and what asks for more is refused, with words for the user.
func TestRule7DeviceIsLevelTwoAtMost(t *testing.T) {
	t.Parallel()
	r := withDevices(t)
	k := r.passkey(virtualwebauthn.AuthenticatorOptions{})
	r.enrolls(k)
	atConsent := func(w *waiting) (*browser, *view) {
		b := r.browser()
		v := b.answer(b.types(w.UserCode), "password", "username", "joon", "password", r.joon.password).mustStep("second_factor", 200)
		return b, b.answer(v, "webauthn", "answer", k.sign(v))
	}
	w := r.asks("tv")
	b, v := atConsent(w)
	b.answer(v.mustStep("consent", 200), "consent", "decision", "allow")
	got := w.poll()
	if proof := proven(t, got); proof != "urn:sallyport:acr:2fa [pop user mfa]" {
		t.Errorf("with a passkey: got %s", proof)
	}
	if got := proven(t, r.redeem("web", b.authorize("web", "acr_values", "phr").mustCode())); got != "phr [pop user mfa]" {
		t.Errorf("the same session, in the application itself: got %s", got)
	}
	r.changeClient("tv", func(c *oidc.Client) { c.MinLevel = oidc.LevelPHR })
	if got := w.poll("grant_type", "refresh_token", "refresh_token", got.Refresh); got.Error != oidc.InvalidGrant {
		t.Errorf("a refresh after the client wants more: got %+v", got)
	}
	w = r.asks("tv")
	b = r.browser()
	v = b.answer(b.types(w.UserCode), "password", "username", "joon", "password", r.joon.password).mustStep("refuse", 200)
	if !strings.Contains(v.body, "Not for another device") {
		t.Errorf("the page does not say why:\n%s", v.body)
	}
	if b.answer(v, "cancel").path != "/device/denied" || w.poll().Error != oidc.AccessDenied {
		t.Error("the device was not told")
	}
}

// TestDeviceAnsweredOnce: of two browsers that have the code one is heard; the other
// is told.
func TestDeviceAnsweredOnce(t *testing.T) {
	t.Parallel()
	r := withDevices(t)
	w := r.asks("tv")
	mina, joon := r.browser(), r.browser()
	hers := mina.signIn(r.mina, mina.types(w.UserCode)).mustStep("consent", 200)
	his := joon.signIn(r.joonWithTOTP(), joon.types(w.UserCode)).mustStep("consent", 200)
	mina.answer(hers, "consent", "decision", "allow")
	v := joon.answer(his, "consent", "decision", "allow")
	if !strings.Contains(v.body, "waits no more") {
		t.Errorf("the second answer: got %s %d\n%s", v.path, v.status, v.body)
	}
	if v := joon.types(w.UserCode); v.status != 422 {
		t.Errorf("the code again: got %d", v.status)
	}
	if got := w.poll(); claims(t, got.ID)["sub"] != r.mina.id {
		t.Errorf("got %+v, want mina's", got)
	}
}

// TestDeviceRedeemedRaced: of many who have the device's code one gets tokens, and
// they end when the others come.
func TestDeviceRedeemedRaced(t *testing.T) {
	t.Parallel()
	r := withDevices(t)
	w := r.asks("tv")
	r.browser().allowsDevice(w)
	var mu sync.Mutex
	var done sync.WaitGroup
	var won []tokens
	for range 16 {
		done.Go(func() {
			got := w.poll()
			mu.Lock()
			defer mu.Unlock()
			if got.status == 200 {
				won = append(won, got)
			} else if got.Error != oidc.InvalidGrant {
				t.Errorf("got %+v", got)
			}
		})
	}
	done.Wait()
	if len(won) != 1 {
		t.Fatalf("%d got tokens, want 1", len(won))
	}
	if status, _ := r.userinfo(won[0].Access); status != http.StatusUnauthorized {
		t.Errorf("the tokens live: got %d, want 401", status)
	}
}
