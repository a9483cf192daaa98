package oidc_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/sallyport-id/sallyport/internal/oidc"
)

// TestRule29UserClaims: what an operator may say of a user, and how it is kept.
func TestRule29UserClaims(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, text, want, refused string }{
		{name: "given_name", text: "Mina", want: `"Mina"`},
		{name: "family_name", text: "김", want: `"김"`},
		{name: "nickname", text: "1990", want: `"1990"`},
		{name: "nickname", text: "", refused: "must be text"},
		{name: "middle_name", text: "a\nb", refused: "control"},
		{name: "gender", text: "female", want: `"female"`},
		{name: "picture", text: "https://a.example/p.png", want: `"https://a.example/p.png"`},
		{name: "picture", text: "javascript:alert(1)", refused: "http URL"},
		{name: "website", text: "https://u:p@a.example/", refused: "http URL"},
		{name: "profile", text: "/me", refused: "http URL"},
		{name: "birthdate", text: "1990-12-31", want: `"1990-12-31"`},
		{name: "birthdate", text: "0000-02-29", want: `"0000-02-29"`},
		{name: "birthdate", text: "1990", want: `"1990"`},
		{name: "birthdate", text: "1990-13-01", refused: "YYYY-MM-DD"},
		{name: "zoneinfo", text: "Asia/Seoul", want: `"Asia/Seoul"`},
		{name: "zoneinfo", text: "../etc", refused: "time zone"},
		{name: "phone_number", text: "+82 2 1234 5678;ext=90", want: `"+82 2 1234 5678;ext=90"`},
		{name: "phone_number", text: "02-1234", refused: "number like"},
		{name: "phone_number_verified", text: "true", want: `true`},
		{name: "phone_number_verified", text: "yes", refused: "true or false"},
		{name: "address", text: `{"locality":"Seoul","country":"KR"}`, want: `{"locality":"Seoul","country":"KR"}`},
		{name: "address", text: `{"locality":"Seoul","planet":"Earth"}`, refused: "planet"},
		{name: "address", text: `{"locality":1}`, refused: "locality"},
		{name: "address", text: "Seoul", refused: "JSON object"},
		{name: "roles", text: `["a","b"]`, want: `["a","b"]`},
		{name: "https://a.example/tier", text: "gold", want: `"gold"`},
		{name: "badge", text: "7", want: `7`},
		{name: "badge", text: strings.Repeat("7", 3000), refused: "longer than"},
		{name: "badge", text: "\xff", refused: "no text"},
		{name: "badge", text: "null", refused: "says nothing"},
		{name: "sub", text: "mallory", refused: "the protocol's"},
		{name: "SUB", text: "mallory", refused: "the protocol's"},
		{name: "acr", text: "phrh", refused: "the protocol's"},
		{name: "amr", text: `["hwk"]`, refused: "the protocol's"},
		{name: "auth_time", text: "1", refused: "the protocol's"},
		{name: "nonce", text: "n", refused: "the protocol's"},
		{name: "email_verified", text: "true", refused: "flags of their own"},
		{name: "Email", text: "a@b.example", refused: "flags of their own"},
		{name: "updated_at", text: "1", refused: "flags of their own"},
		{name: "Phone_Number", text: "+8221234", refused: "is written phone_number"},
		{name: "", text: "x", refused: "no name"},
		{name: "a b", text: "x", refused: "no name"},
		{name: strings.Repeat("a", 65), text: "x", refused: "no name"},
	} {
		got, err := oidc.ParseUserClaim(c.name, c.text)
		switch {
		case c.refused == "" && (err != nil || string(got) != c.want):
			t.Errorf("%s=%s: got %s %v, want %s", c.name, c.text, got, err, c.want)
		case c.refused != "" && (err == nil || !strings.Contains(err.Error(), c.refused)):
			t.Errorf("%s=%.20s: got %s %v, want a refusal with %q", c.name, c.text, got, err, c.refused)
		}
	}
}

// FuzzParseUserClaim: what is taken is JSON, and none of the protocol's names.
func FuzzParseUserClaim(f *testing.F) {
	f.Add("given_name", "Mina")
	f.Add("address", `{"locality":"Seoul"}`)
	f.Add("sub", "mallory")
	f.Fuzz(func(t *testing.T, name, text string) {
		raw, err := oidc.ParseUserClaim(name, text)
		if err != nil {
			return
		}
		if !json.Valid(raw) {
			t.Fatalf("%s: not JSON: %q", name, raw)
		}
		if got := oidc.UserClaims(nil, map[string]oidc.ClaimRequest{name: {}}, map[string]any{name: true}); len(got) != 1 {
			t.Fatalf("%s is taken, and nobody can ask for it", name)
		}
	})
}
