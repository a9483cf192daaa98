package sallyport_test

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/sallyport-id/sallyport/internal/admin"
	"github.com/sallyport-id/sallyport/internal/oidc"
	"github.com/sallyport-id/sallyport/internal/store"
)

const asksForGroups = `{"userinfo":{"groups":null},"id_token":{"groups":{"essential":true}}}`

// TestRule29GroupsOnlyWithScopeAndConsent: no client gets them that may not ask, and
// none for a user who was not asked.
func TestRule29GroupsOnlyWithScopeAndConsent(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.must(r.Admin().SetGroups(t.Context(), r.mina.id, []string{"staff", "admins"}))
	b := r.browser()
	b.signIn(r.mina, b.authorize("web")).mustCode()
	b.authorize("web", "scope", "openid groups").mustRefuse(oidc.InvalidScope)
	none := func(what string, got tokens) {
		t.Helper()
		if _, info := r.userinfo(got.Access); info["sub"] != r.mina.id || info["groups"] != nil {
			t.Errorf("%s: got %v at userinfo", what, info)
		}
		if id := claims(t, got.ID); id["groups"] != nil {
			t.Errorf("%s: got %v in the ID token", what, id)
		}
	}
	none("by name, without the scope", r.redeem("web", b.authorize("web", "claims", asksForGroups).mustCode()))

	r.changeClient("asks", func(c *oidc.Client) { c.Scopes = append(c.Scopes, oidc.ScopeGroups) })
	consent := b.authorize("asks", "scope", "openid profile email").mustStep("consent", 200)
	if strings.Contains(consent.body, "groups") {
		t.Error("a request for other things mentions groups")
	}
	none("of a client that did not ask", r.redeem("asks", b.answer(consent, "consent", "decision", "allow").mustCode()))
	for name, extra := range map[string][]string{"by scope": {"scope", "openid groups"}, "by name": {"scope", "openid", "claims", asksForGroups}} {
		consent = b.authorize("asks", extra...).mustStep("consent", 200)
		if !strings.Contains(consent.body, "See which groups you are in") {
			t.Errorf("%s: the page does not say that groups are asked for:\n%s", name, consent.body)
		}
	}
	b.answer(consent, "consent", "decision", "deny").mustRefuse(oidc.AccessDenied)
}

// TestGroupsAreTodays: at userinfo and, by the claims parameter, in ID tokens, by
// refresh, too; somebody in no group is in none, and not unknown.
func TestGroupsAreTodays(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.changeClient("web", func(c *oidc.Client) { c.Scopes = append(c.Scopes, oidc.ScopeGroups) })
	b := r.browser()
	v := b.signIn(r.mina, b.authorize("web", "scope", "openid groups offline_access", "prompt", "consent", "claims", asksForGroups))
	got := r.redeem("web", v.mustConsent(b).mustCode())
	for _, groups := range [][]string{{}, {"admins", "staff"}, {"운영"}, {}} {
		r.must(r.Admin().SetGroups(t.Context(), r.mina.id, groups))
		_, info := r.userinfo(got.Access)
		next := r.token("web", url.Values{"grant_type": {"refresh_token"}, "refresh_token": {got.Refresh}})
		for where, told := range map[string]map[string]any{"userinfo": info, "the ID token": claims(t, next.ID)} {
			if list, ok := told["groups"].([]any); !ok || fmt.Sprint(list) != fmt.Sprint(groups) {
				t.Errorf("%s: got %v, want %v", where, told["groups"], groups)
			}
		}
	}
	// By scope alone an ID token, which applications keep, has none.
	got = r.redeem("web", b.authorize("web", "scope", "openid groups").mustCode())
	if id := claims(t, got.ID); id["groups"] != nil {
		t.Errorf("got %v in an ID token that nobody asked it of", id["groups"])
	}
}

// TestRule29NobodysClaimIsGroups: a further claim cannot take the name, nor speak for
// it where it was stored before the name was the server's.
func TestRule29NobodysClaimIsGroups(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	u := r.user("mina")
	for _, name := range []string{"groups", "Groups", "GROUPS"} {
		if err := r.Admin().SetProfile(t.Context(), u, admin.ProfileChange{Claims: map[string]string{name: `["root"]`}}); err == nil {
			t.Errorf("%s was taken", name)
		}
	}
	r.must(r.Store().SetProfile(t.Context(), u.ID, u.Claims, store.Profile{Name: u.Name, Claims: []byte(`{"groups":["root"],"Groups":["root"],"tier":"gold"}`)}, r.clock.Now()))
	r.changeClient("web", func(c *oidc.Client) { c.Scopes = append(c.Scopes, oidc.ScopeGroups) })
	b := r.browser()
	v := b.signIn(r.mina, b.authorize("web", "scope", "openid groups", "claims", `{"userinfo":{"groups":null,"Groups":null,"tier":null}}`))
	_, info := r.userinfo(r.redeem("web", v.mustCode()).Access)
	if fmt.Sprint(info["groups"]) != "[]" || info["Groups"] != nil || info["tier"] != "gold" {
		t.Errorf("got %v", info)
	}
}

// TestAPIsGetNoGroups: an access token says who and how, and not what somebody is
// (RFC 9068 §2.2.3.1).
func TestAPIsGetNoGroups(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.must(r.Admin().SetGroups(t.Context(), r.mina.id, []string{"staff"}))
	r.addJWTAPI(signer, "ES256", "robot")
	app := admin.Web("app", "App", callback)
	app.Scopes = append(app.Scopes, oidc.ScopeGroups)
	r.must(r.Admin().Allow(t.Context(), app, signer))
	r.addClient(t.Context(), app)
	b := r.browser()
	got := r.redeem("app", b.signIn(r.mina, b.authorize("app", "resource", signer, "scope", "openid groups sign", "claims", asksForGroups)).mustCode())
	for where, c := range map[string]map[string]any{"the token": r.verified(got.Access, "ES256"), "introspection": r.introspect("signer", got.Access)} {
		if c["sub"] != r.mina.id || c["groups"] != nil || c["scope"] != "sign" {
			t.Errorf("%s: got %v", where, c)
		}
	}
	if err := r.Admin().AddResource(t.Context(), &oidc.Resource{URI: "https://own.example.com/", Name: "Own", Scopes: []string{oidc.ScopeGroups}}); err == nil {
		t.Error("an API has a scope of that name")
	}
	if !slices.Contains(oidc.NewMetadata(r.issuer).ClaimsSupported, oidc.ClaimGroups) {
		t.Error("the claim is not in the metadata")
	}
}
