package oidc_test

import (
	"net/url"
	"reflect"
	"strings"
	"testing"

	"github.com/sallyport-id/sallyport/internal/oidc"
)

func TestRedirectURL(t *testing.T) {
	t.Parallel()
	code := oidc.AuthorizationResponse{Code: "c", State: "s", Issuer: "https://id.example"}
	for _, tt := range []struct {
		name, uri, want string
		response        oidc.AuthorizationResponse
	}{
		{"RFC 9207 §2.1", "https://client.example/cb",
			"https://client.example/cb?code=x1848ZT64p4IirMPT0R-X3141MFPTuBX-VFL_cvaplMH58&state=ZWVlNDBlYzA1NjdkMDNhYjg3ZjUxZjAyNGQzMTM2NzI&iss=https%3A%2F%2Fhonest.as.example",
			oidc.AuthorizationResponse{Code: "x1848ZT64p4IirMPT0R-X3141MFPTuBX-VFL_cvaplMH58", State: "ZWVlNDBlYzA1NjdkMDNhYjg3ZjUxZjAyNGQzMTM2NzI", Issuer: "https://honest.as.example"}},
		{"RFC 9207 §2.2", "https://client.example/cb",
			"https://client.example/cb?error=access_denied&state=N2JjNGJhY2JiZjRhYzA3MGJkMzNmMDE5OWJhZmJhZjA&iss=https%3A%2F%2Fhonest.as.example",
			oidc.AuthorizationResponse{Error: oidc.Errorf(oidc.AccessDenied, ""), State: "N2JjNGJhY2JiZjRhYzA3MGJkMzNmMDE5OWJhZmJhZjA", Issuer: "https://honest.as.example"}},
		{"registered query kept", "https://c.example/cb?a=%7e&b", "https://c.example/cb?a=%7e&b&code=c&state=s&iss=https%3A%2F%2Fid.example", code},
		{"empty query kept", "https://c.example/cb?", "https://c.example/cb?code=c&state=s&iss=https%3A%2F%2Fid.example", code},
		{"odd query kept", "https://c.example/cb??", "https://c.example/cb??&code=c&state=s&iss=https%3A%2F%2Fid.example", code},
		{"open query kept", "https://c.example/cb?a&", "https://c.example/cb?a&code=c&state=s&iss=https%3A%2F%2Fid.example", code},
		{"private-use scheme", "com.example.app:/cb", "com.example.app:/cb?code=c&state=s&iss=https%3A%2F%2Fid.example", code},
		{"no state sent, none returned", "https://c.example/cb", "https://c.example/cb?code=c&iss=i", oidc.AuthorizationResponse{Code: "c", Issuer: "i"}},
		{"an error has no code", "https://c.example/cb", "https://c.example/cb?error=server_error&error_description=a+b&iss=i",
			oidc.AuthorizationResponse{Code: "c", Error: oidc.Errorf(oidc.ServerError, "a b"), Issuer: "i"}},
	} {
		if got := tt.response.RedirectURL(tt.uri); got != tt.want {
			t.Errorf("%s:\n got %s\nwant %s", tt.name, got, tt.want)
		}
	}
}

// State comes back byte for byte, in every mode, whatever it is made of.
func TestStateComesBackWhole(t *testing.T) {
	t.Parallel()
	for _, state := range []string{"a b+c%20&d=e#f?g", "상태", `"<script>`, strings.Repeat("x", 4096), "a;b"} {
		r, shown, redirected := answer(shop(), asks("state", state))
		if shown != "" || redirected != "" {
			t.Fatalf("%q: got errors %q, %q, want none", state, shown, redirected)
		}
		response := oidc.AuthorizationResponse{Code: "c", State: r.State, Issuer: "https://id.example"}
		u, err := url.Parse(response.RedirectURL(r.RedirectURI))
		if err != nil || u.Fragment != "" {
			t.Fatalf("%q: got %v, %v, want no fragment", state, u, err)
		}
		if got := u.Query()["state"]; !reflect.DeepEqual(got, []string{state}) {
			t.Errorf("query: got %q, want %q", got, state)
		}
		if got := response.Fields()[1]; got != (oidc.Field{Name: "state", Value: state}) {
			t.Errorf("form_post: got %v, want %q", got, state)
		}
	}
}

func TestErrorDescriptionCharacters(t *testing.T) {
	t.Parallel()
	e := oidc.Errorf(oidc.InvalidScope, "scope %s", "a\"b\\c\r\n\t가\xff")
	if want := "scope a?b?c?????"; e.Description != want {
		t.Errorf("got %q, want %q (RFC 6749 §5.2)", e.Description, want)
	}
	if want := "invalid_scope: scope a?b?c?????"; e.Error() != want {
		t.Errorf("got %q, want %q", e.Error(), want)
	}
}
