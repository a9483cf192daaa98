package rs_test

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-id/sallyport/rs"
)

func TestConfigIsChecked(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change func(*rs.Config)
		want   string // "" for a good one
	}{
		"as it is":              {func(*rs.Config) {}, ""},
		"no issuer":             {func(c *rs.Config) { c.Issuer = "" }, "Config.Issuer"},
		"a plain issuer":        {func(c *rs.Config) { c.Issuer = "http://id.example.com" }, "Config.Issuer"},
		"a plain one, allowed":  {func(c *rs.Config) { c.Issuer, c.InsecureAllowHTTP = "http://id.example.com", true }, ""},
		"an issuer's query":     {func(c *rs.Config) { c.Issuer += "?a" }, "Config.Issuer"},
		"no resource":           {func(c *rs.Config) { c.Resource = "" }, "Config.Resource"},
		"a relative resource":   {func(c *rs.Config) { c.Resource = "orders" }, "Config.Resource"},
		"a resource's fragment": {func(c *rs.Config) { c.Resource += "#a" }, "Config.Resource"},
		"a resource's quote":    {func(c *rs.Config) { c.Resource += `"` }, "Config.Resource"},
		"a name as resource":    {func(c *rs.Config) { c.Resource = "urn:example:orders" }, ""},
		"a secret alone":        {func(c *rs.Config) { c.ClientSecret = "s" }, "belong together"},
		"a short nonce key":     {func(c *rs.Config) { c.NonceKey = make([]byte, 31) }, "Config.NonceKey: 31"},
		"a key alone":           {func(c *rs.Config) { c.PrivateKey = p256() }, "belong together"},
		"a key and a secret":    {func(c *rs.Config) { c.ClientID, c.ClientSecret, c.PrivateKey = "o", "s", p256() }, "has a PrivateKey"},
		"a key of another kind": {func(c *rs.Config) { c.ClientID, c.PrivateKey, c.KeyAlg = "o", p256(), "RS256" }, "Config.PrivateKey: "},
		"a client alone":        {func(c *rs.Config) { c.ClientID = "s" }, "belong together"},
		"all, but who asks?":    {func(c *rs.Config) { c.IntrospectAll = true }, "IntrospectAll"},
		"too long a cache":      {func(c *rs.Config) { c.CacheTTL = 31 * time.Second }, "Config.CacheTTL"},
		"no algorithm":          {func(c *rs.Config) { c.Algorithms = []string{} }, "Config.Algorithms"},
		"HS256":                 {func(c *rs.Config) { c.Algorithms = []string{"HS256"} }, "Config.Algorithms"},
		"none":                  {func(c *rs.Config) { c.Algorithms = []string{"none"} }, "Config.Algorithms"},
		"a scope with a space":  {func(c *rs.Config) { c.Scopes = []string{"a b"} }, "Config.Scopes"},
		"DPoP that is unknown":  {func(c *rs.Config) { c.DPoP = 7 }, "Config.DPoP"},
		"DPoP, but where?":      {func(c *rs.Config) { c.DPoP, c.Resource = rs.DPoPAllowed, "urn:example:orders" }, "Config.ExternalURL"},
		"a query of its own":    {func(c *rs.Config) { c.ExternalURL = "https://a.example/?b" }, "Config.ExternalURL"},
		"a negative leeway":     {func(c *rs.Config) { c.Leeway = -1 }, "Config.Leeway"},
		"too long a leeway":     {func(c *rs.Config) { c.Leeway = time.Hour }, "Config.Leeway"},
	} {
		config := rs.Config{Issuer: "https://id.example.com", Resource: orders}
		c.change(&config)
		_, err := rs.New(t.Context(), config)
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %q", name, err, c.want)
		}
	}
	gone, leave := context.WithCancel(t.Context())
	leave()
	if _, err := rs.New(gone, rs.Config{}); err == nil {
		t.Error("a server was made for nobody")
	}
}

// TestSecretsAreNotPrinted: however somebody logs what has one.
func TestSecretsAreNotPrinted(t *testing.T) {
	t.Parallel()
	config := rs.Config{Issuer: "https://id.example.com", Resource: orders, ClientID: "orders-api", ClientSecret: "hunter2"}
	s, err := rs.New(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	log := slog.New(slog.NewTextHandler(&b, nil))
	log.Info("made", "config", config, "server", s)
	fmt.Fprintf(&b, "%v %+v %#v %s %v %+v %#v", config, config, config, s, s, s, &config)
	if strings.Contains(b.String(), "hunter2") || !strings.Contains(b.String(), "orders-api") {
		t.Errorf("got %s", b.String())
	}
}
