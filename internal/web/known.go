package web

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"strings"
	"time"

	"github.com/sallyport-id/sallyport/internal/authn"
)

// knownTTL is how long a browser stays known after a sign-in.
const knownTTL = 180 * 24 * time.Hour

// knownBrowser returns the id in this browser's known-browser cookie if it was
// made for the login; whether the user still knows it is the store's to say. A
// known browser has a throttle of its own, so that strangers cannot lock the
// owner out. It proves nothing else.
func (s *server) knownBrowser(r *http.Request, login string) string {
	key, err := authn.LoginKey(login)
	if err != nil {
		return ""
	}
	value := s.cookie(r, knownCookie)
	id, _, _ := strings.Cut(value, ".")
	if !hmac.Equal([]byte(value), []byte(s.knownValue(id, key))) {
		return ""
	}
	return id
}

func (s *server) knownValue(id, loginKey string) string {
	mac := hmac.New(sha256.New, s.KnownKey)
	mac.Write([]byte(id + "\x00" + loginKey))
	return id + "." + base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}
