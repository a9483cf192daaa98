package rptest

import (
	"crypto/rand"
	"maps"
	"time"
)

// LogoutToken is what the provider tells a client's backchannel_logout_uri, as the
// form parameter logout_token, when sessions have ended. Claims are added to it,
// such as sub or sid; nil as a value leaves one out. Faults of ID tokens are
// faults of logout tokens, too.
func (p *Provider) LogoutToken(claims map[string]any) string {
	return p.TypedLogoutToken("logout+jwt", claims)
}

// TypedLogoutToken is a logout token with another typ in its header, or, if that
// is empty, none.
func (p *Provider) TypedLogoutToken(typ string, claims map[string]any) string {
	now := p.Now()
	all := map[string]any{
		"iss": p.Issuer, "aud": p.ClientID, "jti": rand.Text(), "iat": now.Unix(), "exp": now.Add(2 * time.Minute).Unix(),
		"events": map[string]any{"http://schemas.openid.net/event/backchannel-logout": map[string]any{}},
	}
	maps.Copy(all, claims)
	maps.DeleteFunc(all, func(_ string, v any) bool { return v == nil })
	p.breakClaims(all)
	return p.sign(typ, all)
}
