package sallyport_test

import (
	"encoding/json"
	"net/url"
	"slices"
	"strings"

	"github.com/go-jose/go-jose/v4"

	"github.com/sallyport-id/sallyport/internal/oidc"
)

// backChannel registers the suite's clients, of which "one" is told of logouts.
func backChannel(s *suite) {
	basic(s)
	s.told = listens(s.t, s.pool)
	s.hears("one", s.told.URL+"/backchannel")
}

var backChannelModules = map[string]func(*suite){
	"oidcc-backchannel-logout-discovery-endpoint-verification": func(s *suite) {
		got := s.discovery()
		s.schema(got)
		if got["backchannel_logout_supported"] != true || got["backchannel_logout_session_supported"] != true || got["end_session_endpoint"] == nil {
			s.t.Errorf("got %v", got)
		}
	},
	"oidcc-backchannel-rp-initiated-logout": func(s *suite) {
		signedIn := s.signsIn(s.request("one"))
		request := url.Values{"id_token_hint": {signedIn.id}, "post_logout_redirect_uri": {suiteGoodbye}, "state": {random(10)}}
		if v := s.leaves(request); v.location == nil || v.location.Query().Get("state") != request.Get("state") {
			s.t.Errorf("got %d %v, want a redirect with the state", v.status, v.location)
		}
		s.tell()
		s.logoutToken(signedIn)
		s.isOut()
	},
}

// logoutToken wants the one form that came to have a logout token of the sign-in, and
// nothing else.
func (s *suite) logoutToken(of issued) {
	s.t.Helper()
	s.told.mu.Lock()
	defer s.told.mu.Unlock()
	if len(s.told.forms) != 1 || len(s.told.forms[0]) != 1 {
		s.t.Fatalf("got the forms %v, want one with a logout_token", s.told.forms)
	}
	jws, err := jose.ParseSignedCompact(s.told.forms[0].Get("logout_token"), []jose.SignatureAlgorithm{jose.RS256})
	s.must(err)
	header := jws.Signatures[0].Protected
	if header.KeyID == "" || header.KeyID != of.header.KeyID || header.Algorithm != of.header.Algorithm {
		s.t.Errorf("got %s of key %s, want those of the ID token: %s, %s", header.Algorithm, header.KeyID, of.header.Algorithm, of.header.KeyID)
	}
	keys := s.keySet()
	payload, err := jws.Verify(keys.Key(header.KeyID)[0])
	s.must(err)
	var claims map[string]any
	s.must(json.Unmarshal(payload, &claims))
	now := float64(s.clock.Now().Unix())
	for _, name := range []string{"iat", "exp"} {
		if at, _ := claims[name].(float64); at < now-60 || at > now+120 {
			s.t.Errorf("got %s %v, now is %v", name, claims[name], now)
		}
	}
	if jti, _ := claims["jti"].(string); len(jti) < 16 {
		s.t.Errorf("got jti %q", jti)
	}
	if claims["iss"] != s.issuer || claims["aud"] != "one" || claims["sub"] != of.claims["sub"] || claims["sid"] == nil || claims["sid"] != of.claims["sid"] {
		s.t.Errorf("got %v, want iss, aud, sub and sid of %v", claims, of.claims)
	}
	events, _ := claims["events"].(map[string]any)
	if event, _ := events[oidc.LogoutEvent].(map[string]any); len(events) != 1 || event == nil || len(event) != 0 {
		s.t.Errorf("got events %v", claims["events"])
	}
	for name := range claims {
		if !slices.Contains(strings.Fields("iss aud sub sid iat exp jti events"), name) {
			s.t.Errorf("the logout token has %s", name)
		}
	}
}
