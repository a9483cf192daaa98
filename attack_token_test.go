package sallyport_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/sallyport-id/sallyport/internal/admin"
	"github.com/sallyport-id/sallyport/internal/oidc"
)

// takenAway are what an operator does about somebody who must not get in, while he is
// on his way.
var takenAway = map[string]func(*rig){
	"the user, disabled": func(r *rig) { r.must(r.Admin().DisableUser(r.t.Context(), r.mina.id)) },
	"the user, removed":  func(r *rig) { r.must(r.Admin().RemoveUser(r.t.Context(), r.mina.id)) },
	"the user's factors": func(r *rig) { r.reset("mina", true) },
	"the client, disabled": func(r *rig) {
		r.changeClient("web", func(c *oidc.Client) { c.Disabled = true })
	},
	"the client, removed, and one of its name made": func(r *rig) {
		r.must(r.Admin().RemoveClient(r.t.Context(), "web"))
		r.addClient(r.t.Context(), admin.Web("web", "Shop", callback))
	},
	"the redirect URI": func(r *rig) {
		r.changeClient("web", func(c *oidc.Client) { c.RedirectURIs = []string{"https://shop.example.com/callback"} })
	},
	"two factors as enough": func(r *rig) {
		r.changeClient("web", func(c *oidc.Client) { c.MinLevel = oidc.LevelPHR })
	},
}

// TestAttackFinishingWhatWasTakenAway: with the password typed, he waits at the second
// factor until the operator has acted, and then sends the right code.
func TestAttackFinishingWhatWasTakenAway(t *testing.T) {
	t.Parallel()
	for name, take := range takenAway {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			b := r.browser()
			v := b.atSecondFactor(r.mina, "web")
			take(r)
			if got := b.answer(v, "totp", "code", r.code(r.mina.totp, 0)); got.location != nil && got.location.Query().Get("code") != "" {
				t.Errorf("got %v, want no code", got.location)
			}
			if got := b.get(v.path); got.location != nil && got.location.Query().Get("code") != "" {
				t.Errorf("the page: got %v, want no code", got.location)
			}
		})
	}
}

// TestAttackRedeemingWhatWasTakenAway: the same with the authorization code in hand,
// and with the refresh token.
func TestAttackRedeemingWhatWasTakenAway(t *testing.T) {
	t.Parallel()
	for name, take := range takenAway {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			b := r.browser()
			held := r.redeem("web", b.signIn(r.mina, b.authorize("web", "scope", "openid offline_access")).mustCode())
			code := b.authorize("web").mustCode()
			take(r)
			if got := r.redeem("web", code); got.status == http.StatusOK {
				t.Errorf("the code: got %+v", got)
			}
			if name == "the redirect URI" {
				return // what was redeemed before came from where it was right
			}
			if got := r.token("web", url.Values{"grant_type": {"refresh_token"}, "refresh_token": {held.Refresh}}); got.status == http.StatusOK {
				t.Errorf("the refresh token: got %+v", got)
			}
			if status, _ := r.userinfo(held.Access); status != http.StatusUnauthorized {
				t.Errorf("the access token: got %d, want 401", status)
			}
		})
	}
}

// TestAttackWiderRefresh: a refresh token brings what the user allowed, and no more.
func TestAttackWiderRefresh(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	b := r.browser()
	held := r.redeem("web", b.signIn(r.mina, b.authorize("web", "scope", "openid")).mustCode())
	for _, scope := range []string{"openid email", "profile", "offline_access openid"} {
		got := r.token("web", url.Values{"grant_type": {"refresh_token"}, "refresh_token": {held.Refresh}, "scope": {scope}})
		if got.Error != oidc.InvalidScope {
			t.Errorf("%s: got %+v, want invalid_scope", scope, got)
		}
	}
	if _, info := r.userinfo(held.Access); info["email"] != nil {
		t.Errorf("got %v, want no email", info)
	}
}

// TestAttackWithoutTheClientsSecret: a code that was intercepted, with its verifier, by
// somebody who is not the client, says to be it, or says to be a public one.
func TestAttackWithoutTheClientsSecret(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	b := r.browser()
	code := b.signIn(r.mina, b.authorize("web")).mustCode()
	redeem := func(extra ...string) url.Values {
		form := url.Values{"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {callback}, "code_verifier": {verifier}}
		for i := 0; i < len(extra); i += 2 {
			form.Set(extra[i], extra[i+1])
		}
		return form
	}
	for name, form := range map[string]url.Values{
		"no name":                redeem(),
		"the name alone":         redeem("client_id", "web"),
		"an empty secret":        redeem("client_id", "web", "client_secret", ""),
		"another client's":       redeem("client_id", "web", "client_secret", r.secret["eddsa"]),
		"a public client's name": redeem("client_id", "spa"),
		"the method of others":   redeem("client_id", "web", "client_secret", r.secret["web"]),
	} {
		if got := r.token("", form); got.Access != "" || got.status < 400 {
			t.Errorf("%s: got %+v", name, got)
		}
	}
	if got := r.redeem("web", code); got.status != http.StatusOK {
		t.Errorf("the client: got %+v: the attempts cost it the code", got)
	}
}

// TestAttackTokensInTheAddress: where proxies and histories keep addresses, the server
// takes nothing out of them.
func TestAttackTokensInTheAddress(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	b := r.browser()
	held := r.redeem("web", b.signIn(r.mina, b.authorize("web")).mustCode())
	code := b.authorize("web").mustCode()
	form := url.Values{"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {callback}, "code_verifier": {verifier}}
	req, err := http.NewRequest("POST", r.issuer+"/token?"+form.Encode(), strings.NewReader(""))
	r.must(err)
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.SetBasicAuth("web", r.secret["web"])
	if got := b.do(req); got.status != http.StatusBadRequest || strings.Contains(got.body, "access_token") {
		t.Errorf("a grant in the address: got %d %s", got.status, got.body)
	}
	if got := r.browser().get("/userinfo?access_token=" + held.Access); got.status != http.StatusUnauthorized {
		t.Errorf("an access token in the address: got %d %s", got.status, got.body)
	}
	if got := b.get("/token?" + form.Encode()); got.status != http.StatusMethodNotAllowed {
		t.Errorf("GET: got %d, want 405", got.status)
	}
}
