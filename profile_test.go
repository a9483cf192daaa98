package sallyport_test

import (
	"fmt"
	"testing"

	"github.com/sallyport-id/sallyport/internal/admin"
	"github.com/sallyport-id/sallyport/internal/oidc"
)

// TestRule29ProfileIsReleasedByScope: the standard claims by the scopes that ask for
// them, one's own by the claims parameter alone; none takes a name of the protocol.
func TestRule29ProfileIsReleasedByScope(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	name, email := "Mina Kim", "mina.kim@example.com"
	r.must(r.Admin().SetProfile(t.Context(), r.user("mina"), admin.ProfileChange{Name: &name, Email: &email, Claims: map[string]string{
		"given_name": "Mina", "birthdate": "1990", "phone_number": "+82 2 1234 5678", "phone_number_verified": "true",
		"address": `{"country":"KR"}`, "roles": `["admin"]`,
	}}))
	r.must(r.Admin().SetProfile(t.Context(), r.user("mina"), admin.ProfileChange{Without: []string{"birthdate"}}))
	for _, wrong := range []admin.ProfileChange{
		{Claims: map[string]string{"sub": "joon"}}, {Claims: map[string]string{"acr": "phrh"}}, {Without: []string{"birthdate"}},
	} {
		if err := r.Admin().SetProfile(t.Context(), r.user("mina"), wrong); err == nil {
			t.Errorf("%v was taken", wrong)
		}
	}
	r.changeClient("web", func(c *oidc.Client) { c.Scopes = append(c.Scopes, oidc.ScopeAddress, oidc.ScopePhone) })
	b := r.browser()
	b.signIn(r.mina, b.authorize("web")).mustCode()
	told := func(request ...string) map[string]any {
		t.Helper()
		status, info := r.userinfo(r.redeem("web", b.authorize("web", request...).mustCode()).Access)
		if status != 200 || info["sub"] != r.mina.id {
			t.Fatalf("userinfo: got %d %v", status, info)
		}
		return info
	}
	info := told()
	if info["name"] != name || info["given_name"] != "Mina" || info["email"] != email || info["email_verified"] != false || info["updated_at"] == nil {
		t.Errorf("profile and email: got %v", info)
	}
	for _, not := range []string{"phone_number", "address", "roles", "birthdate"} {
		if info[not] != nil {
			t.Errorf("without their scopes: got %s", not)
		}
	}
	info = told("scope", "openid phone address")
	if info["phone_number"] != "+82 2 1234 5678" || info["phone_number_verified"] != true || fmt.Sprint(info["address"]) != "map[country:KR]" || info["name"] != nil {
		t.Errorf("phone and address: got %v", info)
	}
	info = told("scope", "openid", "claims", `{"userinfo":{"roles":null}}`)
	if fmt.Sprint(info["roles"]) != "[admin]" || info["email"] != nil {
		t.Errorf("one's own: got %v", info)
	}
	b.authorize("asks", "scope", "openid phone").mustRefuse(oidc.InvalidScope)
}
