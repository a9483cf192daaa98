package web

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"strings"
	"time"

	"github.com/sallyport-id/sallyport/internal/authn"
	"github.com/sallyport-id/sallyport/internal/flow"
	"github.com/sallyport-id/sallyport/internal/store"
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

// newlyKnown is the browser in which the user has signed in for this request, nil if
// the user knows it already.
func (s *server) newlyKnown(r *http.Request, v *flow.Visit) (*store.KnownBrowser, error) {
	if !v.SignedInHere() {
		return nil, nil
	}
	known, err := s.Checker.Knows(r.Context(), v.User, s.knownBrowser(r, v.User.Login))
	if known || err != nil {
		return nil, err
	}
	return &store.KnownBrowser{ID: store.NewID(), UserID: v.User.ID, CreatedAt: s.Now()}, nil
}

func (s *server) knownValue(id, loginKey string) string {
	mac := hmac.New(sha256.New, s.KnownKey)
	mac.Write([]byte(id + "\x00" + loginKey))
	return id + "." + base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}
