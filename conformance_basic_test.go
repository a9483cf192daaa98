package sallyport_test

import (
	"encoding/base64"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/sallyport-id/sallyport/internal/admin"
	"github.com/sallyport-id/sallyport/internal/oidc"
)

const (
	suiteCallback = "https://suite.example/test/a/oidf/callback"
	suiteGoodbye  = "https://suite.example/test/a/oidf/post_logout_redirect"
)

// basic registers the suite's clients: "one" and "two" with client_secret_basic, and
// "post".
func basic(s *suite) {
	for id, method := range map[string]string{"one": oidc.AuthBasic, "two": oidc.AuthBasic, "post": oidc.AuthPost} {
		c := admin.Web(id, "Suite "+id, suiteCallback)
		c.AuthMethod, c.InsecureOptionalPKCE, c.SkipConsent = method, true, false
		c.Scopes, c.PostLogoutRedirectURIs = append(c.Scopes, oidc.ScopeAddress, oidc.ScopePhone), []string{suiteGoodbye}
		s.addClient(s.t.Context(), c)
	}
}

// request is the authorization request of the suite's client.
func (s *suite) request(client string, change ...string) url.Values {
	request := url.Values{"client_id": {client}, "redirect_uri": {suiteCallback}, "response_type": {"code"}, "scope": {"openid"},
		"state": {random(10)}, "nonce": {random(10)}}
	return changed(request, append([]string{"response_mode", s.mode}, change...)...)
}

func random(length int) string {
	const letters = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz-._~"
	text := make([]byte, length)
	for i := range text {
		text[i] = letters[rand.IntN(len(letters))]
	}
	return string(text)
}

// redeems sends a form to the token endpoint as a client.
func (s *suite) redeems(client string, form url.Values) reply {
	s.t.Helper()
	if client == "post" {
		return s.send("/token", changed(form, "client_id", client, "client_secret", s.secret[client]))
	}
	return s.send("/token", form, "Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(client+":"+s.secret[client])))
}

func redemption(code string) url.Values {
	return url.Values{"grant_type": {oidc.GrantAuthorizationCode}, "code": {code}, "redirect_uri": {suiteCallback}}
}

// signsIn is the flow from end to end.
func (s *suite) signsIn(request url.Values) issued {
	s.t.Helper()
	return s.redeemed(s.through(s.open(request)), request)
}

// silently is the flow without a page.
func (s *suite) silently(request url.Values) issued {
	s.t.Helper()
	return s.redeemed(s.open(request), request)
}

func (s *suite) redeemed(v *view, request url.Values) issued {
	s.t.Helper()
	client := request.Get("client_id")
	return s.tokens(s.redeems(client, redemption(s.gotCode(v, request))), request)
}

func (s *suite) bearer(i issued) map[string]any {
	s.t.Helper()
	return s.userinfoOf(s.send("/userinfo", nil, "Authorization", "Bearer "+i.access))
}

// accepts is a module of a parameter that must do no harm.
func accepts(name, value string) func(*suite) {
	return func(s *suite) { s.bearer(s.signsIn(s.request("one", name, value))) }
}

// asksFor is a module of scopes: their claims come from userinfo.
func asksFor(scopes ...string) func(*suite) {
	return func(s *suite) {
		for _, scope := range scopes {
			if !s.supports("scopes_supported", scope) {
				s.t.Errorf("scopes_supported lacks %s", scope)
			}
		}
		s.claims(s.bearer(s.signsIn(s.request("one", "scope", "openid "+strings.Join(scopes, " ")))), scopes...)
	}
}

// unsigned is a module that the suite skips: request objects are signed, say the
// metadata. All the same it is never ignored.
func unsigned(name, value, code string) func(*suite) {
	return func(s *suite) {
		if list, ok := s.discovery()["request_object_signing_alg_values_supported"].([]any); !ok || slices.Contains(list, "none") {
			s.t.Errorf("got request_object_signing_alg_values_supported %v, want a list without none", list)
		}
		request := s.request("one", name, value)
		s.refusedWith(s.open(request), request, code)
	}
}

// object is an unsigned request object.
func object(claims string) string {
	return base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none"}`)) + "." + base64.RawURLEncoding.EncodeToString([]byte(claims)) + "."
}

var basicModules = map[string]func(*suite){
	"oidcc-server": func(s *suite) { s.claims(s.bearer(s.signsIn(s.request("one")))) },
	"oidcc-response-type-missing": func(s *suite) {
		request := s.request("one", "response_type", "")
		s.refusedWith(s.open(request), request, oidc.InvalidRequest, oidc.UnsupportedResponseType)
	},
	"oidcc-idtoken-signature": func(s *suite) {
		if got := s.signsIn(s.request("one")).header; got.Algorithm != "RS256" {
			s.t.Errorf("got %s, want RS256", got.Algorithm)
		}
	},
	"oidcc-idtoken-unsigned": func(s *suite) {
		if s.supports("id_token_signing_alg_values_supported", "none") {
			s.t.Error("id_token_signing_alg_values_supported has none")
		}
		c := admin.Web("unsigned", "Unsigned", suiteCallback)
		c.IDTokenAlg = "none"
		if _, err := s.Admin().AddClient(s.t.Context(), c); err == nil {
			s.t.Error("a client with unsigned ID tokens was taken")
		}
	},
	"oidcc-userinfo-get": func(s *suite) { s.claims(s.bearer(s.signsIn(s.request("one")))) },
	"oidcc-userinfo-post-header": func(s *suite) {
		s.claims(s.userinfoOf(s.send("/userinfo", url.Values{}, "Authorization", "Bearer "+s.signsIn(s.request("one")).access)))
	},
	"oidcc-userinfo-post-body": func(s *suite) {
		s.claims(s.userinfoOf(s.send("/userinfo", url.Values{"access_token": {s.signsIn(s.request("one")).access}})))
	},
	"oidcc-ensure-request-without-nonce-succeeds-for-code-flow": accepts("nonce", ""),
	"oidcc-scope-profile": asksFor("profile"),
	"oidcc-scope-email":   asksFor("email"),
	"oidcc-scope-address": asksFor("address"),
	"oidcc-scope-phone":   asksFor("phone"),
	"oidcc-scope-all":     asksFor("profile", "email", "address", "phone"),
	"oidcc-alternate-happy-flow": func(s *suite) {
		request := s.request("two", "scope", "phone email openid profile")
		parts := strings.Split(request.Encode(), "&")
		slices.Reverse(parts)
		got := s.redeemed(s.through(s.get("/authorize?"+strings.Join(parts, "&"))), request)
		s.claims(s.bearer(got), "phone", "email", "profile")
	},
	"oidcc-display-page":  accepts("display", "page"),
	"oidcc-display-popup": accepts("display", "popup"),
	"oidcc-prompt-login": func(s *suite) {
		first := s.signsIn(s.request("one"))
		s.clock.advance(2 * time.Second)
		s.anew(first, s.request("one", "prompt", "login"))
	},
	"oidcc-prompt-none-not-logged-in": func(s *suite) {
		request := s.request("one", "prompt", "none", "state", random(128))
		s.refusedWith(s.open(request), request, oidc.LoginRequired, oidc.InteractionRequired, oidc.ConsentRequired, oidc.AccountSelectionRequired)
	},
	"oidcc-prompt-none-logged-in": func(s *suite) {
		first := s.signsIn(s.request("one"))
		s.clock.advance(2 * time.Second)
		s.same(first, s.silently(s.request("one", "prompt", "none")))
	},
	"oidcc-max-age-1": func(s *suite) {
		first := s.signsIn(s.request("one"))
		s.clock.advance(2 * time.Second)
		s.anew(first, s.request("one", "max_age", "1"))
	},
	"oidcc-max-age-10000": func(s *suite) {
		first := s.signsIn(s.request("one", "max_age", "15000"))
		s.clock.advance(2 * time.Second)
		s.same(first, s.silently(s.request("one", "max_age", "10000")))
	},
	"oidcc-ensure-request-with-unknown-parameter-succeeds": accepts("extra", "foobar"),
	"oidcc-id-token-hint": func(s *suite) {
		first := s.signsIn(s.request("one"))
		s.same(first, s.silently(s.request("one", "prompt", "none", "id_token_hint", first.id)))
	},
	"oidcc-login-hint":     accepts("login_hint", "bob@example.com"),
	"oidcc-ui-locales":     accepts("ui_locales", "se"),
	"oidcc-claims-locales": accepts("claims_locales", "se"),
	"oidcc-ensure-request-with-acr-values-succeeds": func(s *suite) {
		advertised := s.discovery()["acr_values_supported"].([]any)
		got := s.signsIn(s.request("one", "acr_values", strings.Trim(fmt.Sprint(advertised), "[]")))
		if !slices.Contains(advertised, got.claims["acr"]) {
			s.t.Errorf("got acr %v, want one of %v", got.claims["acr"], advertised)
		}
	},
	"oidcc-codereuse":           codeReuse(0),
	"oidcc-codereuse-30seconds": codeReuse(30 * time.Second),
	"oidcc-ensure-registered-redirect-uri": func(s *suite) {
		s.shown(s.open(s.request("one", "redirect_uri", suiteCallback+"/"+random(10))))
	},
	"oidcc-ensure-post-request-succeeds": func(s *suite) {
		request := s.request("one")
		req, err := http.NewRequest("POST", s.issuer+"/authorize", strings.NewReader(request.Encode()))
		s.must(err)
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		req.Header.Set("Origin", "https://suite.example")
		req.Header.Set("Sec-Fetch-Site", "cross-site")
		s.bearer(s.redeemed(s.through(s.do(req)), request))
	},
	"oidcc-server-client-secret-post":                                              func(s *suite) { s.claims(s.bearer(s.signsIn(s.request("post")))) },
	"oidcc-request-uri-unsigned-supported-correctly-or-rejected-as-unsupported":    unsigned("request_uri", "https://suite.example/r", oidc.RequestURINotSupported),
	"oidcc-unsigned-request-object-supported-correctly-or-rejected-as-unsupported": unsigned("request", object(`{"state":"x"}`), oidc.RequestNotSupported),
	"oidcc-ensure-request-object-with-redirect-uri":                                unsigned("request", object(`{"redirect_uri":"`+suiteCallback+`/x"}`), oidc.RequestNotSupported),
	"oidcc-claims-essential": func(s *suite) {
		info := s.bearer(s.signsIn(s.request("one", "claims", `{"userinfo":{"name":{"essential":true}}}`)))
		if info["name"] != "OIDF" || len(info) != 2 {
			s.t.Errorf("got %v, want the name and no more", info)
		}
	},
	"oidcc-refresh-token": func(s *suite) {
		scope := []string{"scope", "openid offline_access", "prompt", "consent"}
		if !s.supports("scopes_supported", "offline_access") {
			s.t.Error("scopes_supported lacks offline_access")
		}
		request := s.request("one", scope...)
		first := s.signsIn(request)
		s.clock.advance(2 * time.Second)
		refresh := url.Values{"grant_type": {"refresh_token"}, "refresh_token": {first.refresh}}
		next := s.tokens(s.redeems("one", refresh), changed(request, "nonce", ""))
		if next.access == first.access || next.claims["auth_time"] != first.claims["auth_time"] || next.claims["iat"] == first.claims["iat"] {
			s.t.Errorf("got %v, want a new token of the sign-in of %v", next.claims, first.claims)
		}
		s.bearer(next)
		foreign := s.signsIn(s.request("two", scope...))
		s.refused(s.redeems("one", url.Values{"grant_type": {"refresh_token"}, "refresh_token": {foreign.refresh}}), oidc.InvalidGrant)
	},
	"oidcc-ensure-request-with-valid-pkce-succeeds": func(s *suite) {
		request := s.request("one", "code_challenge", challenge, "code_challenge_method", "S256")
		code := s.gotCode(s.through(s.open(request)), request)
		s.bearer(s.tokens(s.redeems("one", changed(redemption(code), "code_verifier", verifier)), request))
	},
}

// anew wants a page for the password, and another auth_time.
func (s *suite) anew(first issued, request url.Values) {
	s.t.Helper()
	again := s.redeemed(s.through(s.open(request).mustStep("login", 200)), request)
	before, after := first.claims["auth_time"].(float64), again.claims["auth_time"].(float64)
	if after <= before || after < float64(s.clock.Now().Unix())-5 {
		s.t.Errorf("got auth_time %v after %v, want now's", after, before)
	}
}

// same wants the sign-in to be the same.
func (s *suite) same(first, again issued) {
	s.t.Helper()
	if again.claims["auth_time"] == nil || again.claims["auth_time"] != first.claims["auth_time"] || again.claims["sub"] != first.claims["sub"] {
		s.t.Errorf("got %v, want auth_time and sub of %v", again.claims, first.claims)
	}
}

// codeReuse is the second use of a code after a while, which ends what the first got.
func codeReuse(after time.Duration) func(*suite) {
	return func(s *suite) {
		request := s.request("one")
		code := s.gotCode(s.through(s.open(request)), request)
		first := s.tokens(s.redeems("one", redemption(code)), request)
		s.bearer(first)
		s.clock.advance(after)
		s.refused(s.redeems("one", redemption(code)), oidc.InvalidGrant)
		if got := s.send("/userinfo", nil, "Authorization", "Bearer "+first.access); got.status != http.StatusUnauthorized {
			s.t.Errorf("the first access token: got %d, want 401", got.status)
		}
	}
}
