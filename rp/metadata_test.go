package rp

import (
	"strings"
	"testing"
)

func TestParseMetadata(t *testing.T) {
	t.Parallel()
	const good = `{"issuer":"https://id.example.com","authorization_endpoint":"https://id.example.com/a",
		"token_endpoint":"https://id.example.com/t","jwks_uri":"https://keys.example.net/k","userinfo_endpoint":"https://id.example.com/u"}`
	tests := []struct {
		old, new string
		want     string // "" if nothing is wrong
	}{
		{"", "", ""},
		{`"userinfo_endpoint"`, `"other"`, ""},
		{`"https://id.example.com"`, `"https://id.example.com/"`, "the issuer is"},
		{`"userinfo_endpoint"`, `"revocation_endpoint":"http://id.example.com/r","userinfo_endpoint"`, "revocation_endpoint: "},
		{`"issuer"`, `"Issuer"`, "the issuer is"},
		{`"issuer"`, `"issuer":"https://evil.example","issuer"`, "a member occurs twice"},
		{`"token_endpoint"`, `"other"`, "token_endpoint: it is empty"},
		{`"https://id.example.com/t"`, `"http://id.example.com/t"`, "token_endpoint: "},
		{`"https://id.example.com/t"`, `"http://127.0.0.1/t"`, "token_endpoint: it is not https"},
		{`"https://id.example.com/t"`, `"/t"`, "token_endpoint: "},
		{`"https://id.example.com/t"`, `["https://id.example.com/t"]`, "token_endpoint is no"},
		{`"https://id.example.com/a"`, `"javascript:alert(1)"`, "authorization_endpoint: "},
		{`"https://keys.example.net/k"`, `"file:///etc/passwd"`, "jwks_uri: "},
	}
	for _, test := range tests {
		_, err := parseMetadata([]byte(strings.Replace(good, test.old, test.new, 1)), "https://id.example.com", false)
		if test.want == "" && err != nil || test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) {
			t.Errorf("%s instead of %s: got %v, want %q", test.new, test.old, err, test.want)
		}
	}
}
