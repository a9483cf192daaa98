package rp_test

import (
	"strings"
	"testing"
	"time"

	"github.com/sallyport-id/sallyport/rp"
)

func goodConfig() rp.Config {
	return rp.Config{
		Issuer: "https://id.example.com", ClientID: "shop", ClientSecret: "secret",
		RedirectURL: "https://shop.example.com/callback", CookieKey: []byte(strings.Repeat("k", 32)),
	}
}

func TestNewNamesWhatIsWrong(t *testing.T) {
	t.Parallel()
	tests := []struct {
		change func(*rp.Config)
		want   string // "" if nothing is wrong
	}{
		{func(c *rp.Config) {}, ""},
		{func(c *rp.Config) { c.Issuer = "" }, "Config.Issuer: it is empty"},
		{func(c *rp.Config) { c.Issuer = "id.example.com" }, "Config.Issuer: "},
		{func(c *rp.Config) { c.Issuer = "https://id.example.com?x" }, "Config.Issuer: an issuer has no query"},
		{func(c *rp.Config) { c.Issuer = "https://id.example.com#" }, "Config.Issuer: "},
		{func(c *rp.Config) { c.Issuer = "https://u:hunter2@id.example.com" }, "Config.Issuer: "},
		{func(c *rp.Config) { c.Issuer = "http://id.example.com" }, "set InsecureAllowHTTP"},
		{func(c *rp.Config) { c.Issuer, c.InsecureAllowHTTP = "http://id.example.com", true }, ""},
		{func(c *rp.Config) { c.Issuer = "http://127.0.0.1:9000" }, ""},
		{func(c *rp.Config) { c.Issuer = "http://[::1]:9000" }, ""},
		{func(c *rp.Config) { c.Issuer = "http://localhost:9000" }, ""},
		{func(c *rp.Config) { c.Issuer = "http://localhost.example.com" }, "set InsecureAllowHTTP"},
		{func(c *rp.Config) { c.Issuer = "http://127.0.0.1.example.com" }, "set InsecureAllowHTTP"},
		{func(c *rp.Config) { c.RedirectURL = "/callback" }, "Config.RedirectURL: "},
		{func(c *rp.Config) { c.RedirectURL = "http://shop.example.com/callback" }, "Config.RedirectURL: "},
		{func(c *rp.Config) { c.ClientID = "" }, "Config.ClientID is empty"},
		{func(c *rp.Config) { c.ClientSecret = "" }, "rp.AuthNone"},
		{func(c *rp.Config) { c.ClientSecret, c.AuthMethod = "", rp.AuthNone }, ""},
		{func(c *rp.Config) { c.AuthMethod = rp.AuthNone }, "Config.ClientSecret is set"},
		{func(c *rp.Config) { c.AuthMethod = "client_secret_jwt" }, "Config.AuthMethod: "},
		{func(c *rp.Config) { c.RedirectURL, c.CookieKey = "", nil }, ""},
		{func(c *rp.Config) { c.RedirectURL = "" }, "Config.RedirectURL: it is empty"},
		{func(c *rp.Config) { c.CookieKey = nil }, "Config.CookieKey: 0 bytes"},
		{func(c *rp.Config) { c.CookieKey = []byte("short") }, "Config.CookieKey: 5 bytes"},
		{func(c *rp.Config) { c.CookieKey = make([]byte, 32) }, "Config.CookieKey: all bytes are zero"},
		{func(c *rp.Config) { c.Scopes = []string{"openid profile"} }, "Config.Scopes: "},
		{func(c *rp.Config) { c.Require.ACR = []string{""} }, "Config.Require: "},
		{func(c *rp.Config) { c.Require.AMR = []string{"pwd mfa"} }, "Config.Require: "},
		{func(c *rp.Config) { c.Require.MaxAge = -time.Second }, "MaxAge is negative"},
		{func(c *rp.Config) { c.Require.MaxAge = 30 }, "MaxAge is less than a second"},
		{func(c *rp.Config) { c.Leeway = 2 * time.Minute }, "Config.Leeway: "},
	}
	for i, test := range tests {
		config := goodConfig()
		test.change(&config)
		_, err := rp.New(t.Context(), config)
		if test.want == "" && err != nil {
			t.Errorf("%d: got %v, want no error", i, err)
		}
		if test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) {
			t.Errorf("%d: got %v, want %q", i, err, test.want)
		}
		if err != nil && (strings.Contains(err.Error(), "hunter2") || strings.Contains(err.Error(), "kkk")) {
			t.Errorf("%d: the error tells a secret: %v", i, err)
		}
	}
}

// What the caller changes later, or what New fills in, stays on its own side.
func TestNewCopiesTheConfig(t *testing.T) {
	t.Parallel()
	config := goodConfig()
	config.Scopes = make([]string, 1, 4)
	config.Scopes[0] = "email"
	if _, err := rp.New(t.Context(), config); err != nil {
		t.Fatal(err)
	}
	if got := config.Scopes[:2][1]; got != "" {
		t.Errorf("New wrote %q into the caller's scopes", got)
	}
}
