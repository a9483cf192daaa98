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
		_, err := parseMetadata([]byte(strings.Replace(good, test.old, test.new, 1)), "https://id.example.com", false, false)
		if test.want == "" && err != nil || test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) {
			t.Errorf("%s instead of %s: got %v, want %q", test.new, test.old, err, test.want)
		}
	}
}

// TestParseMetadataAliases: a client with a certificate uses the addresses that ask for
// it, and others do not look at them.
func TestParseMetadataAliases(t *testing.T) {
	t.Parallel()
	const good = `{"issuer":"https://id.example.com","authorization_endpoint":"https://id.example.com/a","token_endpoint":"https://id.example.com/t",
		"jwks_uri":"https://id.example.com/k","revocation_endpoint":"https://id.example.com/r","mtls_endpoint_aliases":`
	const aliases = `{"token_endpoint":"https://mtls.example.com/t","authorization_endpoint":"https://mtls.example.com/a","issuer":"https://mtls.example.com"}`
	for what, test := range map[string]struct {
		aliases string
		want    string // the token endpoint, "" if the metadata are refused
	}{
		"aliases":          {aliases, "https://mtls.example.com/t"},
		"none":             {"null", "https://id.example.com/t"},
		"without TLS":      {`{"token_endpoint":"http://mtls.example.com/t"}`, ""},
		"no object":        {`["https://mtls.example.com/t"]`, ""},
		"no text":          {`{"token_endpoint":1}`, ""},
		"one occurs twice": {`{"token_endpoint":"https://a.example/t","token_endpoint":"https://b.example/t"}`, ""},
	} {
		m, err := parseMetadata([]byte(good+test.aliases+"}"), "https://id.example.com", false, true)
		if m.tokenEndpoint != test.want && err == nil || (test.want == "") != (err != nil) {
			t.Errorf("%s: got %q, %v, want %q", what, m.tokenEndpoint, err, test.want)
		}
		if err == nil && (m.revocationEndpoint != "https://id.example.com/r" || m.authorizationEndpoint != "https://id.example.com/a") {
			t.Errorf("%s: got %+v", what, m)
		}
	}
	m, err := parseMetadata([]byte(good+aliases+"}"), "https://id.example.com", false, false)
	if err != nil || m.tokenEndpoint != "https://id.example.com/t" {
		t.Errorf("without a certificate: got %q, %v", m.tokenEndpoint, err)
	}
}
