package oidc_test

import (
	"encoding/json"
	"testing"

	"github.com/sallyport-id/sallyport/internal/oidc"
)

func TestIDTokenJSON(t *testing.T) {
	t.Parallel()
	full := oidc.IDToken{
		Issuer: "https://id.example", Subject: "24400320", Audience: "s6BhdRkqt3", Expiry: 1311281970, IssuedAt: 1311280970,
		AuthTime: 1311280969, Nonce: "n-0S6_WzA2Mj", ACR: oidc.ACR2FA, AMR: []string{"pwd", "otp", "mfa"}, SessionID: "sid", ATHash: "hash",
	}
	refreshed := full
	refreshed.Nonce = "" // OpenID Connect Core §12.2
	extra := refreshed
	extra.Extra = map[string]any{"name": "Alice", "email": "a@example.com", "acr": "phrh", "Sub": "mallory", "exp": 0, "nonce_supported": false}
	onlyBad := refreshed
	onlyBad.Extra = map[string]any{"iss": "https://evil.example"}
	const head = `{"iss":"https://id.example","sub":"24400320","aud":"s6BhdRkqt3","exp":1311281970,"iat":1311280970,"auth_time":1311280969,`
	const tail = `"acr":"urn:sallyport:acr:2fa","amr":["pwd","otp","mfa"],"sid":"sid","at_hash":"hash"`
	for _, tt := range []struct {
		name  string
		token oidc.IDToken
		want  string
	}{
		{"all", full, head + `"nonce":"n-0S6_WzA2Mj",` + tail + `}`},
		{"refreshed", refreshed, head + tail + `}`},
		{"further claims, none of the protocol's", extra, head + tail + `,"email":"a@example.com","name":"Alice"}`},
		{"only the protocol's", onlyBad, head + tail + `}`},
		{"no methods", oidc.IDToken{Issuer: "i", Subject: "s", Audience: "a"}, `{"iss":"i","sub":"s","aud":"a","exp":0,"iat":0,"auth_time":0}`},
	} {
		got, err := json.Marshal(tt.token)
		if err != nil || string(got) != tt.want {
			t.Errorf("%s: %v\n got %s\nwant %s", tt.name, err, got, tt.want)
		}
	}
	if _, ok := extra.Extra["acr"]; !ok {
		t.Error("the caller's map was changed")
	}
	if _, err := json.Marshal(oidc.IDToken{Extra: map[string]any{"x": func() {}}}); err == nil {
		t.Error("a claim that is no JSON: got no error, want one")
	}
}

func TestATHash(t *testing.T) {
	t.Parallel()
	const token = "jHkWEdUXMU1BwAsC4vtUsZwnNvTIxEl0z9K3vx5KF0Y"
	for _, tt := range []struct{ name, alg, want string }{
		{"OpenID Connect Core A.3", "RS256", "77QmUPtjPfzWtF2AnpK9RQ"},
		{"the hash of the algorithm", "ES256", "77QmUPtjPfzWtF2AnpK9RQ"},
		{"SHA-512 for Ed25519", "EdDSA", "q7nS86GgvvFaZkzALLWqJYaJIKw2wCDAVfCAsm5CrBM"},
		{"unknown algorithm", "none", ""},
	} {
		if got := oidc.ATHash(tt.alg, token); got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.name, got, tt.want)
		}
	}
}
