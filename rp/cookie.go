package rp

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"net/http"
	"strings"
)

var errMalformed = errors.New("malformed")

// cookiePrefix begins the names of a client's cookies. It differs from client to
// client because cookies of one host are shared by all its ports, and is never
// "session", which others use.
func cookiePrefix(secure bool, issuer, clientID string) string {
	prefix := "sallyport-rp-" + digest(issuer + "\x00" + clientID)[:8] + "-"
	if secure {
		return "__Host-" + prefix
	}
	return prefix
}

func digest(s string) string {
	sum := sha256.Sum256([]byte(s))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// aead makes the cipher of one cookie. Its key serves this purpose, name, server
// and client alone.
func (c *Client) aead(purpose, name string) (cipher.AEAD, error) {
	if err := checkCookieKey(c.config.CookieKey); err != nil { // a client without a browser has none
		return nil, err
	}
	info := strings.Join([]string{purpose, name, c.config.Issuer, c.config.ClientID}, "\x00")
	key, err := hkdf.Key(sha256.New, c.config.CookieKey, nil, info, 32)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCMWithRandomNonce(block)
}

func (c *Client) seal(purpose, name, text string) (value string, err error) {
	aead, err := c.aead(purpose, name)
	if err != nil {
		return "", err
	}
	return base64.RawURLEncoding.EncodeToString(aead.Seal(nil, nil, []byte(text), nil)), nil
}

func (c *Client) open(purpose, name, value string) (text string, err error) {
	sealed, err := base64.RawURLEncoding.Strict().DecodeString(value)
	if err != nil || strings.ContainsAny(value, "\r\n") { // the decoder passes over line breaks
		return "", errMalformed
	}
	aead, err := c.aead(purpose, name)
	if err != nil {
		return "", err
	}
	opened, err := aead.Open(nil, nil, sealed, nil)
	if err != nil {
		return "", errMalformed
	}
	return string(opened), nil
}

func (c *Client) setCookie(w http.ResponseWriter, name, value string, maxAge int) {
	c.setCookieFor(http.SameSiteLaxMode, w, name, value, maxAge)
}

func (c *Client) setCookieFor(sites http.SameSite, w http.ResponseWriter, name, value string, maxAge int) {
	http.SetCookie(w, &http.Cookie{
		Name: name, Value: value, Path: "/", MaxAge: maxAge,
		Secure: c.secure, HttpOnly: true, SameSite: sites,
	})
}

func (c *Client) deleteCookie(w http.ResponseWriter, name string) { c.setCookie(w, name, "", -1) }
