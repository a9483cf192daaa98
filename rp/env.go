package rp

import (
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"strings"
)

// ConfigFromEnv reads a Config from environment variables whose names begin with a
// prefix, such as SHOP_:
//
//	SHOP_ISSUER         Config.Issuer
//	SHOP_CLIENT_ID      Config.ClientID
//	SHOP_CLIENT_SECRET  Config.ClientSecret
//	SHOP_AUTH_METHOD    Config.AuthMethod
//	SHOP_REDIRECT_URL   Config.RedirectURL
//	SHOP_COOKIE_KEY     Config.CookieKey, in base64
//	SHOP_SCOPES         Config.Scopes, separated by spaces
//	SHOP_RESOURCE       Config.Resource
//
// The secret and the key may be in files instead, which SHOP_CLIENT_SECRET_FILE and
// SHOP_COOKIE_KEY_FILE name; a line break at the end is left out. What a login must
// prove is not for the environment to say: set Config.Require. The error names the
// variable that cannot be read; New checks the rest.
func ConfigFromEnv(prefix string) (Config, error) {
	secret, err := secretFromEnv(prefix + "CLIENT_SECRET")
	if err != nil {
		return Config{}, err
	}
	key, err := cookieKeyFromEnv(prefix)
	if err != nil {
		return Config{}, err
	}
	c := Config{
		Issuer: os.Getenv(prefix + "ISSUER"), ClientID: os.Getenv(prefix + "CLIENT_ID"), ClientSecret: secret,
		AuthMethod: os.Getenv(prefix + "AUTH_METHOD"), RedirectURL: os.Getenv(prefix + "REDIRECT_URL"),
		Resource: os.Getenv(prefix + "RESOURCE"), CookieKey: key,
	}
	if scopes := strings.Fields(os.Getenv(prefix + "SCOPES")); len(scopes) > 0 {
		c.Scopes = scopes
	}
	return c, nil
}

// ConfigsFromEnv reads the configurations of a Registry. SHOP_PROVIDERS has the names
// of the providers, of small letters and digits, separated by spaces; the variables
// of one that is called corp begin with SHOP_CORP_, and are those of ConfigFromEnv.
// A provider without a key for its cookies has that of all, SHOP_COOKIE_KEY.
func ConfigsFromEnv(prefix string) (map[string]Config, error) {
	configs := map[string]Config{}
	for _, name := range strings.Fields(os.Getenv(prefix + "PROVIDERS")) {
		if strings.ContainsFunc(name, func(r rune) bool { return (r < 'a' || r > 'z') && (r < '0' || r > '9') }) {
			return nil, fmt.Errorf("rp: %sPROVIDERS: %q has other characters than a to z and 0 to 9", prefix, name)
		}
		config, err := ConfigFromEnv(prefix + strings.ToUpper(name) + "_")
		if err != nil {
			return nil, err
		}
		if len(config.CookieKey) == 0 {
			if config.CookieKey, err = cookieKeyFromEnv(prefix); err != nil {
				return nil, err
			}
		}
		configs[name] = config
	}
	if len(configs) == 0 {
		return nil, fmt.Errorf("rp: %sPROVIDERS names no provider", prefix)
	}
	return configs, nil
}

func cookieKeyFromEnv(prefix string) ([]byte, error) {
	text, err := secretFromEnv(prefix + "COOKIE_KEY")
	if err != nil || text == "" { // "": a client without a browser has no cookies
		return nil, err
	}
	key, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return nil, fmt.Errorf("rp: %sCOOKIE_KEY is not in base64; make one with: openssl rand -base64 32", prefix)
	}
	return key, nil
}

// secretFromEnv is the value of a variable, or of the file that the variable with
// _FILE at its end names; "" if there is neither.
func secretFromEnv(name string) (string, error) {
	value, file := os.Getenv(name), os.Getenv(name+"_FILE")
	switch {
	case file == "":
		return value, nil
	case value != "":
		return "", fmt.Errorf("rp: both %s and %s_FILE are set", name, name)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return "", fmt.Errorf("rp: %s_FILE: %w", name, err)
	}
	secret := strings.TrimRight(string(text), "\r\n")
	if secret == "" {
		return "", errors.New("rp: the file that " + name + "_FILE names is empty")
	}
	return secret, nil
}
