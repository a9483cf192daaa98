package main

import (
	"strings"
	"testing"
)

// TestNetworks: in the file a list, in the environment a list or commas.
func TestNetworks(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ file, env, want string }{
		{"[]", "", "[]"},
		{"[10.0.0.5, 192.168.0.0/24]", "", "[10.0.0.5, 192.168.0.0/24]"},
		{"10.0.0.5", "", "[10.0.0.5]"},
		{"\n  - ::1\n  - fd00::/8", "", "[::1, fd00::/8]"},
		{`["::ffff:10.0.0.1"]`, "", "[10.0.0.1]"},
		{"[10.0.0.1]", "10.0.0.2", "[10.0.0.2]"},
		{"[10.0.0.1]", "10.0.0.2, fd00::", "[10.0.0.2, fd00::]"},
		{"[10.0.0.1]", "[10.0.0.2, 10.0.0.3]", "[10.0.0.2, 10.0.0.3]"},
		{"[10.0.0.1]", " ", "[]"},
	} {
		env := environment()
		if c.env != "" {
			env = environment("SALLYPORT_TRUSTED_PROXIES", c.env)
		}
		s, _, err := parseSettings([]byte("issuer: https://a.example\ntrusted_proxies: "+c.file+"\n"), env)
		if got := strings.ReplaceAll(s.TrustedProxies.String(), `"`, ""); err != nil || got != c.want {
			t.Errorf("%q, environment %q: got %s %v, want %s", c.file, c.env, got, err, c.want)
		}
	}
	for _, text := range []string{"10.0.0.0/33", "fe80::1%eth0", "::ffff:10.0.0.0/104", "::/0", "localhost", "10.0.0.1:80"} {
		if p, err := parseNetwork(text); err == nil {
			t.Errorf("%s is taken as %v", text, p)
		}
	}
}
