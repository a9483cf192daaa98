package oidc_test

import (
	"reflect"
	"strings"
	"testing"

	"github.com/sallyport-id/sallyport/internal/oidc"
)

func TestEndSessionRequest(t *testing.T) {
	t.Parallel()
	got, err := oidc.ParseEndSessionRequest(parseQuery(t,
		"id_token_hint=a.b.c&client_id=shop&post_logout_redirect_uri=https%3A%2F%2Fshop.example%2Fbye&state=s&ui_locales=ko+en&logout_hint=me&foo=1&foo=2"))
	want := &oidc.EndSessionRequest{IDTokenHint: "a.b.c", ClientID: "shop", PostLogoutRedirectURI: "https://shop.example/bye",
		State: "s", UILocales: []string{"ko", "en"}, LogoutHint: "me"}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, %v, want %+v", got, err, want)
	}
	for _, name := range oidc.EndSessionParameters {
		if _, err := oidc.ParseEndSessionRequest(parseQuery(t, name+"=a&"+name+"=a")); codeOf(err) != oidc.InvalidRequest {
			t.Errorf("%s twice: got %v, want invalid_request", name, err)
		}
	}
	if _, err := oidc.ParseEndSessionRequest(parseQuery(t, "state="+strings.Repeat("a", 4097))); codeOf(err) != oidc.InvalidRequest {
		t.Errorf("long state: got %v, want invalid_request", err)
	}
}

// OpenID Connect RP-Initiated Logout §3: exactly a registered URI, of a client
// that is proven.
func TestEndSessionCheck(t *testing.T) {
	t.Parallel()
	native := shop()
	native.NativeApp, native.PostLogoutRedirectURIs = true, []string{"http://127.0.0.1/bye"}
	for _, tt := range []struct {
		name   string
		client *oidc.Client
		uri    string
		good   bool
	}{
		{"registered", shop(), "https://shop.example/bye", true},
		{"none asked", shop(), "", true},
		{"none asked, no client", nil, "", true},
		{"no client", nil, "https://shop.example/bye", false},
		{"query added", shop(), "https://shop.example/bye?a=b", false},
		{"a redirect URI", shop(), "https://shop.example/cb", false},
		{"a port is part of it", native, "http://127.0.0.1:1/bye", false},
	} {
		err := (&oidc.EndSessionRequest{PostLogoutRedirectURI: tt.uri}).Check(tt.client)
		if (err == nil) != tt.good {
			t.Errorf("%s: got %v, want good %v", tt.name, err, tt.good)
		}
	}
}

func TestEndSessionReturnURL(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ uri, state, want string }{
		{"https://shop.example/bye", "", "https://shop.example/bye"},
		{"https://shop.example/bye", "a b&c", "https://shop.example/bye?state=a+b%26c"},
		{"https://shop.example/bye?a=%7e", "s", "https://shop.example/bye?a=%7e&state=s"},
		{"com.example.app:/bye", "s", "com.example.app:/bye?state=s"},
	} {
		r := &oidc.EndSessionRequest{PostLogoutRedirectURI: tt.uri, State: tt.state}
		if got := r.ReturnURL(); got != tt.want {
			t.Errorf("got %s, want %s", got, tt.want)
		}
	}
}
