package sallyport_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"testing"

	"github.com/sallyport-id/sallyport/internal/oidc"
	"github.com/sallyport-id/sallyport/internal/store"
)

// sets changes a client as "client set" does.
func (r *rig) sets(id string, change func(*oidc.Client)) {
	r.t.Helper()
	_, err := r.Admin().SetClient(r.t.Context(), id, func(c *oidc.Client) error { change(c); return nil })
	r.must(err)
}

// TestChangedClientLosesWhatItMayNoLonger: what a stricter registration would not give
// stops at its next use: tokens, refresh tokens and codes.
func TestChangedClientLosesWhatItMayNoLonger(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change func(*oidc.Client)
		open   string // what still opens
	}{
		"nothing":      {func(c *oidc.Client) { c.Name = "Another" }, "userinfo introspection refresh"},
		"level":        {func(c *oidc.Client) { c.MinLevel = oidc.LevelPHR }, ""},
		"disabled":     {func(c *oidc.Client) { c.Disabled = true }, ""},
		"offline":      {func(c *oidc.Client) { c.Scopes = []string{oidc.ScopeOpenID} }, "userinfo introspection"},
		"no refreshes": {func(c *oidc.Client) { c.GrantTypes = []string{oidc.GrantAuthorizationCode} }, "userinfo introspection"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			got := r.grants()
			if open := r.opens(got); open != "userinfo introspection refresh" {
				t.Fatalf("before: %q opens", open)
			}
			r.sets("web", c.change)
			r.sets("portal", c.change)
			if open := r.opens(got); open != c.open {
				t.Errorf("%q opens, want %q", open, c.open)
			}
		})
	}
}

// TestChangedClientScopes: what is taken from a client it hears no more, whatever its
// tokens and its users' consents say.
func TestChangedClientScopes(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	b := r.browser()
	got := r.redeem("web", b.signIn(r.mina, b.authorize("web", "scope", "openid email profile")).mustCode())
	if _, told := r.userinfo(got.Access); told["email"] == nil {
		t.Fatalf("before: got %v", told)
	}
	r.sets("web", func(c *oidc.Client) { c.Scopes = []string{oidc.ScopeOpenID, oidc.ScopeProfile} })
	if _, told := r.userinfo(got.Access); told["email"] != nil || told["name"] == nil {
		t.Errorf("userinfo: got %v, want the name and no e-mail", told)
	}
	next := r.token("web", url.Values{"grant_type": {"refresh_token"}, "refresh_token": {got.Refresh}})
	if next.Scope != "openid profile" {
		t.Errorf("refreshed: got the scope %q, want openid profile", next.Scope)
	}
}

// TestRule25ClaimsOfAWiderClient: a claim that the client asked for when it might not have
// it was on no page, and what it was given then does not open it when it may.
func TestRule25ClaimsOfAWiderClient(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	b := r.browser()
	asks := b.authorize("asks", "claims", `{"userinfo":{"groups":null,"email":null},"id_token":{"groups":null,"email":null}}`, "scope", "openid offline_access", "prompt", "consent")
	got := r.redeem("asks", b.answer(b.signIn(r.mina, asks).mustStep("consent", 200), "consent", "decision", "allow").mustCode())
	r.sets("asks", func(c *oidc.Client) { c.Scopes = append(c.Scopes, oidc.ScopeGroups) })
	next := r.token("asks", url.Values{"grant_type": {"refresh_token"}, "refresh_token": {got.Refresh}})
	_, told := r.userinfo(got.Access)
	_, again := r.userinfo(next.Access)
	for what, told := range map[string]map[string]any{"userinfo": told, "userinfo, refreshed": again, "ID token, refreshed": claims(t, next.ID)} {
		if told["groups"] != nil || told["email"] == nil {
			t.Errorf("%s: got %v, want the e-mail and no groups", what, told)
		}
	}
}

// TestRule25ScopesOfAWiderClient: of two APIs with a scope of one name the user allowed it
// at one. The client that may have it at the other later does not by that.
func TestRule25ScopesOfAWiderClient(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	const one, two = "https://one.example.com/", "https://two.example.com/"
	for _, uri := range []string{one, two} {
		r.must(r.Admin().AddResource(t.Context(), &oidc.Resource{URI: uri, Name: uri, Scopes: []string{"read", "write"}}))
	}
	r.must(r.Admin().AllowClient(t.Context(), "asks", one, []string{"read"}, false))
	r.must(r.Admin().AllowClient(t.Context(), "asks", two, []string{"write"}, false))
	b := r.browser()
	v := b.signIn(r.mina, b.authorize("asks", "scope", "openid read write", "resource", one, "resource", two)).mustStep("consent", 200)
	code := b.answer(v, "consent", "decision", "allow").mustCode()
	got := r.token("asks", url.Values{"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {callback}, "code_verifier": {verifier}, "resource": {two}})
	r.must(r.Admin().AllowClient(t.Context(), "asks", two, []string{"read", "write"}, false))
	next := r.token("asks", url.Values{"grant_type": {"refresh_token"}, "refresh_token": {got.Refresh}, "resource": {two}})
	if got.Scope != "write" || next.Scope != "write" {
		t.Errorf("got %q, then %q, want what was allowed: write", got.Scope, next.Scope)
	}
}

// TestChangedRedirectURI: answers under way to where they may go no more end here, and a
// code that went there is worth nothing.
func TestChangedRedirectURI(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	b := r.browser()
	code := b.signIn(r.mina, b.authorize("web")).mustCode()
	other := r.browser()
	v := other.authorize("web").mustStep("login", 200)
	r.sets("web", func(c *oidc.Client) { c.RedirectURIs = []string{"https://shop.example/callback"} })
	if got := r.redeem("web", code); got.Error != oidc.InvalidGrant {
		t.Errorf("a code that went to the old one: got %+v, want invalid_grant", got)
	}
	if v = other.answer(v, "password", "username", "mina", "password", r.mina.password); v.status != http.StatusGone || v.location != nil {
		t.Errorf("an interaction that was under way: got %d %v, want its end, here", v.status, v.location)
	}
	if v := b.authorize("web", "prompt", "none"); v.location != nil {
		t.Errorf("a request with the old one: got %v, want no redirect", v.location)
	}
}

// TestRule25ConsentOfAnotherClient: what was allowed to a client of that name and those
// URIs is asked anew of what it is now.
func TestRule25ConsentOfAnotherClient(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change func(*oidc.Client)
		asked  bool
	}{
		"name":         {func(c *oidc.Client) { c.Name = "Your bank" }, true},
		"redirect URI": {func(c *oidc.Client) { c.RedirectURIs = append(c.RedirectURIs, "https://shop.example/callback") }, true},
		"lifetime":     {func(c *oidc.Client) { c.AccessTokenTTL = 5e9 }, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			b := r.browser()
			v := b.signIn(r.mina, b.authorize("asks")).mustStep("consent", 200)
			b.answer(v, "consent", "decision", "allow").mustCode()
			b.authorize("asks", "prompt", "none").mustCode()
			r.sets("asks", c.change)
			if v := b.authorize("asks", "prompt", "none"); c.asked {
				v.mustRefuse(oidc.ConsentRequired)
			} else {
				v.mustCode()
			}
		})
	}
}

// TestRule8TutorialStaysPinned: no change loosens what the preset promises, nor what FAPI
// 2.0 does.
func TestRule8TutorialStaysPinned(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	before, err := r.Store().Client(t.Context(), "tutorial")
	r.must(err)
	for name, change := range map[string]func(*oidc.Client){
		"level":         func(c *oidc.Client) { c.MinLevel = oidc.Level1FA },
		"a second URI":  func(c *oidc.Client) { c.RedirectURIs = append(c.RedirectURIs, "http://localhost:1/") },
		"another host":  func(c *oidc.Client) { c.RedirectURIs = []string{"https://shop.example/callback"} },
		"refresh":       func(c *oidc.Client) { c.GrantTypes = append(c.GrantTypes, oidc.GrantRefreshToken) },
		"devices":       func(c *oidc.Client) { c.GrantTypes = append(c.GrantTypes, oidc.GrantDeviceCode) },
		"another level": func(c *oidc.Client) { c.MinLevel = oidc.LevelNone },
	} {
		if _, err := r.Admin().SetClient(t.Context(), "tutorial", func(c *oidc.Client) error { change(c); return nil }); err == nil {
			t.Errorf("%s: got no error, want one", name)
		}
	}
	if after, err := r.Store().Client(t.Context(), "tutorial"); err != nil || after.MinLevel != before.MinLevel || !slices.Equal(after.RedirectURIs, before.RedirectURIs) {
		t.Errorf("got %+v, %v; want what it was", after, err)
	}
}

// TestRule16ChangesOfClientsAreRecorded: with what was and what is, and no secret; what
// changes nothing is no event.
func TestRule16ChangesOfClientsAreRecorded(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.sets("web", func(c *oidc.Client) {
		c.RedirectURIs, c.SkipConsent = append(c.RedirectURIs, "https://shop.example/?a=1&b=2"), false
		c.AccessTokenTTL, c.MinLevel = 300e9, oidc.Level2FA
	})
	r.sets("web", func(*oidc.Client) {})
	if _, err := r.Admin().SetClient(t.Context(), "web", func(*oidc.Client) error { return errors.New("no") }); err == nil {
		t.Error("an error of the change got lost")
	}
	list, err := r.Store().Events(t.Context(), store.EventQuery{Type: store.EventClientChanged, Limit: 10})
	r.must(err)
	want := "access_token_ttl: none → 5m0s; min_level: 1 → 2; redirect_uris: " + callback + " → " + callback + " https://shop.example/?a=1&b=2; skip_consent: true → none"
	if len(list) != 1 || list[0].ClientID != "web" || list[0].Detail != want {
		t.Errorf("got %+v, want one, %s", list, want)
	}
}

// TestClientChangedAtOnce: of many who change different things of a client none takes back
// what another did, be it a secret that was rotated.
func TestClientChangedAtOnce(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	changes := []func() error{
		func() error { _, err := r.Admin().RotateSecret(t.Context(), "web", true); return err },
		func() error { return r.Admin().AllowClient(t.Context(), "web", orders, nil, false) },
		func() error {
			_, err := r.Admin().SetClient(t.Context(), "web", func(c *oidc.Client) error { c.Name = "Another"; return nil })
			return err
		},
		func() error {
			_, err := r.Admin().SetClient(t.Context(), "web", func(c *oidc.Client) error { c.MinLevel = oidc.Level2FA; return nil })
			return err
		},
	}
	var all sync.WaitGroup
	for _, change := range changes {
		all.Go(func() {
			if err := change(); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	c, err := r.Store().Client(t.Context(), "web")
	r.must(err)
	if len(c.SecretHashes) != 2 || len(c.Resources) != 1 || c.Name != "Another" || c.MinLevel != oidc.Level2FA {
		t.Errorf("got %d secrets, %d APIs, %q, level %d; want all four changes", len(c.SecretHashes), len(c.Resources), c.Name, c.MinLevel)
	}
}

// TestRule25ConsentOfWhatWasSeen: who allows something on a page of before the client
// changed, or has done so and not gone on, is asked anew: what was not on that page is
// neither allowed nor remembered.
func TestRule25ConsentOfWhatWasSeen(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change func(*oidc.Client)
		asked  bool
	}{
		"name":         {func(c *oidc.Client) { c.Name = "Your bank" }, true},
		"redirect URI": {func(c *oidc.Client) { c.RedirectURIs = append(c.RedirectURIs, "https://shop.example/callback") }, true},
		"scope":        {func(c *oidc.Client) { c.Scopes = append(c.Scopes, oidc.ScopeGroups) }, true},
		"lifetime":     {func(c *oidc.Client) { c.AccessTokenTTL = 5e9 }, false},
	} {
		for _, allowed := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, allowed before %t", name, allowed), func(t *testing.T) {
				t.Parallel()
				r := newRig(t)
				b := r.browser()
				v := b.signIn(r.mina, b.authorize("asks", "claims", `{"userinfo":{"groups":null}}`)).mustStep("consent", 200)
				status := http.StatusConflict
				if allowed {
					follow := b.http.CheckRedirect
					b.http.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
					b.answer(v, "consent", "decision", "allow")
					b.http.CheckRedirect, status = follow, http.StatusOK
				}
				r.sets("asks", c.change)
				next := b.get(v.page())
				if !allowed {
					next = b.answer(v, "consent", "decision", "allow")
				}
				if !c.asked {
					next.mustCode()
					return
				}
				next.mustStep("consent", status)
				b.authorize("asks", "prompt", "none").mustRefuse(oidc.ConsentRequired)
				b.answer(next, "consent", "decision", "allow").mustCode()
			})
		}
	}
}
