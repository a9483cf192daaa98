package rp_test

import (
	"encoding/base64"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/sallyport-id/sallyport/rp"
)

func TestConfigFromEnv(t *testing.T) {
	want := goodConfig()
	want.Scopes, want.AuthMethod, want.Resource = []string{"openid", "email"}, rp.AuthPost, "https://orders.example.com/"
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	key := base64.StdEncoding.EncodeToString(want.CookieKey)
	for name, value := range map[string]string{
		"SHOP_ISSUER": want.Issuer, "SHOP_CLIENT_ID": want.ClientID, "SHOP_CLIENT_SECRET": want.ClientSecret, "SHOP_COOKIE_KEY": key,
		"SHOP_AUTH_METHOD": want.AuthMethod, "SHOP_REDIRECT_URL": want.RedirectURL, "SHOP_SCOPES": " openid  email ",
		"SHOP_RESOURCE": want.Resource,
	} {
		t.Setenv(name, value)
	}
	if got, err := rp.ConfigFromEnv("SHOP_"); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("from variables: got %v, %v", got, err)
	}

	t.Setenv("SHOP_CLIENT_SECRET_FILE", write("secret", "secret\n"))
	if _, err := rp.ConfigFromEnv("SHOP_"); err == nil || !strings.Contains(err.Error(), "both SHOP_CLIENT_SECRET and") {
		t.Errorf("two secrets: got %v", err)
	}
	t.Setenv("SHOP_CLIENT_SECRET", "")
	t.Setenv("SHOP_COOKIE_KEY", "")
	t.Setenv("SHOP_COOKIE_KEY_FILE", write("key", key+"\r\n"))
	if got, err := rp.ConfigFromEnv("SHOP_"); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("from files: got %v, %v", got, err)
	}

	for text, file := range map[string]string{
		"SHOP_COOKIE_KEY_FILE names is empty": write("empty", "\n"),
		"SHOP_COOKIE_KEY_FILE: ":              filepath.Join(dir, "missing"),
		"SHOP_COOKIE_KEY is not in base64":    write("garbage", "hunter2 is no key"),
	} {
		t.Setenv("SHOP_COOKIE_KEY_FILE", file)
		if _, err := rp.ConfigFromEnv("SHOP_"); err == nil || !strings.Contains(err.Error(), text) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("got %v, want %q", err, text)
		}
	}
}

// Without any variables there is an empty Config, and New says what is missing.
func TestConfigFromEnvWithoutAny(t *testing.T) {
	t.Parallel()
	config, err := rp.ConfigFromEnv("NO_SUCH_PREFIX_")
	if err != nil {
		t.Fatal(err)
	}
	if config.Scopes != nil {
		t.Errorf("got scopes %q, want the default of New", config.Scopes)
	}
	if _, err := rp.New(t.Context(), config); err == nil || !strings.Contains(err.Error(), "Config.Issuer") {
		t.Errorf("got %v", err)
	}
}

// A client without a browser has neither a redirect URL nor a cookie key.
func TestConfigFromEnvWithoutABrowser(t *testing.T) {
	t.Setenv("TOOL_ISSUER", "https://id.example.com")
	t.Setenv("TOOL_CLIENT_ID", "tool")
	t.Setenv("TOOL_AUTH_METHOD", rp.AuthNone)
	config, err := rp.ConfigFromEnv("TOOL_")
	if err == nil {
		_, err = rp.New(t.Context(), config)
	}
	if err != nil {
		t.Error(err)
	}
}
