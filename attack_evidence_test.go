package sallyport_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/sallyport-id/sallyport"
	"github.com/sallyport-id/sallyport/internal/oidc"
)

// TestAttackAskingForLess: the request passes through the user's browser, and whoever
// has the password changes it there. What the operator demands of the client, or of
// everyone, is not the request's to lower.
func TestAttackAskingForLess(t *testing.T) {
	t.Parallel()
	strict := newRig(t)
	optional := newRig(t, func(c *sallyport.Config) { c.Policy = []sallyport.Rule{{Require: sallyport.Off}} })
	optional.changeClient("web", func(c *oidc.Client) { c.MinLevel = oidc.Level2FA })
	const one = "urn:sallyport:acr:1fa"
	for name, change := range map[string][]string{
		"nothing":                     {"acr_values", ""},
		"one factor":                  {"acr_values", one},
		"one factor, must be":         {"claims", `{"id_token":{"acr":{"essential":true,"values":["` + one + `"]}}}`},
		"one factor or a passkey":     {"claims", `{"id_token":{"acr":{"essential":true,"values":["phr","` + one + `"]}}}`},
		"no less than ten years":      {"max_age", "315360000"},
		"silence":                     {"prompt", "none"},
		"that he is somebody already": {"login_hint", "mina"},
	} {
		for rule, r := range map[string]*rig{"required": strict, "required of the client": optional} {
			b := r.browser()
			if name == "silence" {
				b.atSecondFactor(r.mina, "web")
				b.authorize("web", change...).mustRefuse(oidc.InteractionRequired)
				continue
			}
			v := b.answer(b.authorize("web", change...), "password", "username", "mina", "password", r.mina.password)
			if v.step() != "second_factor" {
				t.Errorf("%s, %s: got %d %q %v, want second_factor", name, rule, v.status, v.step(), v.location)
			}
		}
	}
}

// TestAttackAskingForMore: a name of a level that was not reached, or claims about the
// sign-in with values of the request's own, come back as what was done.
func TestAttackAskingForMore(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	b := r.browser()
	wish := `{"acr":{"values":["phrh","phr"]},"amr":{"values":["hwk","user"]},"auth_time":{"value":"1"},"exp":{"value":"9999999999"},"aud":{"value":"other"},"iss":{"value":"x"},"nonce":null,"sid":null}`
	v := b.signIn(r.mina, b.authorize("web", "acr_values", "phrh phr", "claims", `{"id_token":`+wish+`,"userinfo":`+wish+`}`))
	got := r.redeem("web", v.mustCode())
	c := claims(t, got.ID)
	if proven(t, got) != "urn:sallyport:acr:2fa [pwd otp mfa]" || c["iss"] != r.issuer || c["aud"] != "web" || c["nonce"] != "n-1" {
		t.Errorf("got %v, want what was done", c)
	}
	now := r.clock.Now().Unix()
	if at, exp := int64(c["auth_time"].(float64)), int64(c["exp"].(float64)); at < now-60 || exp > now+int64(time.Hour/time.Second) {
		t.Errorf("got auth_time %d exp %d at %d", at, exp, now)
	}
	_, info := r.userinfo(got.Access)
	for _, name := range []string{"acr", "amr", "auth_time", "exp", "aud", "iss", "sid"} {
		if info[name] != nil {
			t.Errorf("userinfo: got %s %v", name, info[name])
		}
	}
}

// TestAttackFreshPasswordStaleCode: with the password and a browser in which the second
// factor was proven a while ago, a request for a fresh sign-in gets neither a code nor
// a fresh auth_time.
func TestAttackFreshPasswordStaleCode(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	owner := r.browser()
	owner.signIn(r.mina, owner.authorize("web")).mustCode()
	signedIn := r.clock.Now().Unix()
	r.clock.advance(10 * time.Minute)
	thief := owner.copied()
	for _, fresh := range [][]string{{"max_age", "60"}, {"max_age", "0"}, {"prompt", "login"}} {
		v := thief.authorize("web", fresh...).mustStep("login", 200)
		thief.answer(v, "password", "username", "mina", "password", r.mina.password).mustStep("second_factor", 200)
	}
	c := claims(t, r.redeem("web", thief.authorize("web").mustCode()).ID)
	if at := int64(c["auth_time"].(float64)); at > signedIn || fmt.Sprint(c["amr"]) != "[pwd otp mfa]" {
		t.Errorf("got auth_time %d amr %v, want the sign-in of %d: the password typed since makes the code no younger", at, c["amr"], signedIn)
	}
}
