// Package logout tells clients of sessions that have ended (OpenID Connect
// Back-Channel Logout). The store has the messages, written with the end of each
// session; here they become logout tokens, and are sent.
package logout

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"time"

	"github.com/sallyport-id/sallyport/internal/keys"
	"github.com/sallyport-id/sallyport/internal/oidc"
)

// tokenTTL is how long a logout token is good: it is made when it is sent (OpenID
// Connect Back-Channel Logout §2.4 advises two minutes at most).
const tokenTTL = 2 * time.Minute

// logoutToken signs a logout token for a client, as its ID tokens are signed (OpenID Connect
// Back-Channel Logout §2.6). Each has another jti.
func logoutToken(set *keys.Set, issuer string, c *oidc.Client, subject, sid string, now time.Time) (string, error) {
	body, err := json.Marshal(oidc.LogoutToken{
		Issuer: issuer, Subject: subject, Audience: c.ID, IssuedAt: now.Unix(), Expiry: now.Add(tokenTTL).Unix(),
		ID: rand.Text(), SessionID: sid, Events: map[string]struct{}{oidc.LogoutEvent: {}},
	})
	if err != nil {
		return "", fmt.Errorf("marshal logout token: %w", err)
	}
	alg := c.IDTokenAlg
	if alg == "" {
		alg = keys.RS256
	}
	jws, err := set.Sign(alg, keys.TypeLogoutToken, body)
	if err != nil {
		return "", fmt.Errorf("sign logout token: %w", err)
	}
	return jws, nil
}
