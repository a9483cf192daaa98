package sallyport_test

import (
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/sallyport-id/sallyport/internal/admin"
	"github.com/sallyport-id/sallyport/internal/oidc"
	"github.com/sallyport-id/sallyport/internal/store"
)

// fapi2 registers the suite's clients, as the preset makes them: they sign who they are,
// send their requests ahead and bind their tokens to a key.
func fapi2(s *suite) {
	for id, uri := range map[string]string{"one": suiteCallback, "two": suiteCallback + "?dummy1=lorem&dummy2=ipsum"} {
		s.keys[id] = s.holder().key
		c := admin.FAPI2(id, "Suite "+id, "ES256", uri)
		c.SkipConsent, c.Scopes = false, append(c.Scopes, oidc.ScopeAddress, oidc.ScopePhone, oidc.ScopeGroups)
		var err error
		c.JWKS, err = json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: s.keys[id].Public(), KeyID: "1", Algorithm: "ES256", Use: "sig"}}})
		s.must(err)
		s.addClient(s.t.Context(), c)
	}
}

// party is one of the suite's clients: it signs with one key, and its tokens are bound
// to another.
type party struct {
	*suite
	id, uri string
	signs   *signing
	holds   *holder
}

func (s *suite) party(id string) *party {
	s.t.Helper()
	c, err := s.Store().Client(s.t.Context(), id)
	s.must(err)
	return &party{s, id, c.RedirectURIs[0], &signing{s.rig, id, jose.JSONWebKey{Key: s.keys[id], KeyID: "1", Algorithm: "ES256"}}, s.rig.holder()}
}

func (p *party) request(change ...string) url.Values {
	return changed(url.Values{"client_id": {p.id}, "redirect_uri": {p.uri}, "response_type": {"code"}, "scope": {"openid"}, "state": {random(10)},
		"nonce": {random(10)}, "code_challenge": {challenge}, "code_challenge_method": {"S256"}}, change...)
}

// asserted is a form with the client's assertion.
func (p *party) asserted(form url.Values, assertion ...string) url.Values {
	return changed(form, "client_assertion_type", oidc.AssertionType, "client_assertion", append(assertion, p.signs.assertion())[0])
}

// push sends a request ahead, with a proof of the key.
func (p *party) push(request url.Values) reply {
	p.t.Helper()
	return p.send("/par", p.asserted(request), "DPoP", p.holds.proof("POST", "/par"))
}

// reference is the request that the browser is sent with, of a request that was sent
// ahead.
func (p *party) reference(got reply, change ...string) url.Values {
	p.t.Helper()
	uri, _ := got.json["request_uri"].(string)
	lasts, _ := got.json["expires_in"].(float64)
	if got.status != http.StatusCreated || got.header.Get("Content-Type") != "application/json" || lasts < 5 || len(got.json) != 2 ||
		got.header.Get("Cache-Control") != "no-store" {
		p.t.Fatalf("pushed: got %d %v %v, want 201 with a request_uri", got.status, got.header, got.json)
	}
	p.unguessable("request_uri", strings.TrimPrefix(uri, oidc.RequestURIPrefix))
	return changed(url.Values{"client_id": {p.id}, "request_uri": {uri}}, change...)
}

// code is that of a request that is sent ahead and answered.
func (p *party) code(request url.Values) string {
	p.t.Helper()
	return p.gotCode(p.through(p.open(p.reference(p.push(request)))), request)
}

func (p *party) redemption(code string) url.Values {
	return url.Values{"grant_type": {oidc.GrantAuthorizationCode}, "code": {code}, "redirect_uri": {p.uri}, "code_verifier": {verifier}}
}

// redeem sends a form to the token endpoint, with a proof of the key.
func (p *party) redeem(form url.Values) reply {
	p.t.Helper()
	return p.send("/token", form, "DPoP", p.holds.proof("POST", "/token"))
}

func (p *party) bound(got reply, request url.Values) issued {
	p.t.Helper()
	i := p.tokens(got, request)
	if got.json["token_type"] != "DPoP" || i.header.Algorithm != "ES256" {
		p.t.Errorf("got token_type %v, %s, want DPoP, ES256", got.json["token_type"], i.header.Algorithm)
	}
	return i
}

// signsIn is the flow from end to end.
func (p *party) signsIn(request url.Values) issued {
	p.t.Helper()
	return p.bound(p.redeem(p.asserted(p.redemption(p.code(request)))), request)
}

// proofFor is one for the resource; change are claims.
func (p *party) proofFor(token string, change ...any) string {
	return p.holds.proof("GET", "/userinfo", append([]any{"ath", ath(token)}, change...)...)
}

// resource asks the suite's resource, which is userinfo.
func (p *party) resource(i issued, header ...string) reply {
	p.t.Helper()
	return p.send("/userinfo", nil, append([]string{"Authorization", "DPoP " + i.access, "DPoP", p.proofFor(i.access)}, header...)...)
}

func (p *party) opens(i issued) map[string]any {
	p.t.Helper()
	got := p.resource(i)
	if _, err := http.ParseTime(got.header.Get("Date")); err != nil {
		p.t.Errorf("userinfo: Date: %v", err)
	}
	return p.userinfoOf(got)
}

// works is a module of a request that must work.
func works(change ...string) func(*suite) {
	return func(s *suite) { one := s.party("one"); one.opens(one.signsIn(one.request(change...))) }
}

// refusedAhead is a module of a request that is refused where it is sent ahead.
func refusedAhead(code string, change ...string) func(*suite) {
	return func(s *suite) { one := s.party("one"); one.refused(one.push(one.request(change...)), code) }
}

// inFront is a module of a front channel that says otherwise: what was sent ahead counts.
func inFront(without string, change ...string) func(*suite) {
	return func(s *suite) {
		one := s.party("one")
		request := one.request()
		if without != "" {
			request = one.request(without, "")
		}
		code := one.gotCode(one.through(one.open(one.reference(one.push(request), change...))), request)
		one.opens(one.bound(one.redeem(one.asserted(one.redemption(code))), request))
	}
}

// assertion is a module of an assertion that is not good, wherever it comes, and uses up
// nothing.
func assertion(made func(*party) string) func(*suite) {
	return func(s *suite) {
		one := s.party("one")
		request := one.request()
		one.refused(one.send("/par", one.asserted(request, made(one)), "DPoP", one.holds.proof("POST", "/par")), oidc.InvalidClient)
		code := one.code(request)
		one.refused(one.redeem(one.asserted(one.redemption(code), made(one))), oidc.InvalidClient)
		one.opens(one.bound(one.redeem(one.asserted(one.redemption(code))), request))
	}
}

func claimed(change ...any) func(*suite) {
	return assertion(func(p *party) string { return p.signs.assertion(change...) })
}

// seconds is a claim, so far from now.
func (s *suite) seconds(n int) int64 { return s.clock.Now().Unix() + int64(n) }

// skewed is a module of proofs with these claims everywhere, which are good.
func skewed(claims func(s *suite) []any) func(*suite) {
	return func(s *suite) {
		one := s.party("one")
		request, change := one.request(), claims(s)
		ref := one.reference(one.send("/par", one.asserted(request), "DPoP", one.holds.proof("POST", "/par", change...)))
		code := one.gotCode(one.through(one.open(ref)), request)
		got := one.bound(one.send("/token", one.asserted(one.redemption(code)), "DPoP", one.holds.proof("POST", "/token", change...)), request)
		one.userinfoOf(one.send("/userinfo", nil, "Authorization", "DPoP "+got.access, "DPoP", one.proofFor(got.access, change...)))
	}
}

// keyBound is a module of a code that is bound to a key from its beginning, by a proof or
// by dpop_jkt.
func keyBound(byProof, sameKey bool) func(*suite) {
	return func(s *suite) {
		one := s.party("one")
		request := one.request()
		got := one.push(request)
		if !byProof {
			got = one.send("/par", one.asserted(changed(request, "dpop_jkt", one.holds.thumbprint())))
		}
		form := one.redemption(one.gotCode(one.through(one.open(one.reference(got))), request))
		if !sameKey {
			other := s.party("one")
			one.refused(other.redeem(other.asserted(form)), oidc.InvalidGrant)
		}
		one.opens(one.bound(one.redeem(one.asserted(form)), request))
	}
}

var fapi2Modules = map[string]func(*suite){
	"discovery-end-point-verification": func(s *suite) {
		got := s.discovery()
		s.schema(got)
		for list, values := range map[string][]string{
			"response_types_supported": {"code"}, "code_challenge_methods_supported": {"S256"}, "grant_types_supported": {"authorization_code"},
			"token_endpoint_auth_methods_supported": {"private_key_jwt"}, "token_endpoint_auth_signing_alg_values_supported": {"ES256", "EdDSA", "PS256"},
			"dpop_signing_alg_values_supported": {"ES256", "EdDSA", "PS256"}, "id_token_signing_alg_values_supported": {"ES256", "EdDSA"},
			"scopes_supported": {"openid"}, "claims_supported": {"sub"},
		} {
			for _, value := range values {
				if !s.supports(list, value) {
					s.t.Errorf("%s lacks %s: %v", list, value, got[list])
				}
			}
		}
		if got["authorization_response_iss_parameter_supported"] != true || got["pushed_authorization_request_endpoint"] != s.issuer+"/par" {
			s.t.Errorf("got %v", got)
		}
	},
	"happy-flow": func(s *suite) {
		one, two := s.party("one"), s.party("two")
		request := one.request("nonce", random(43))
		ref := one.reference(one.send("/par", one.asserted(changed(request, "dpop_jkt", one.holds.thumbprint()))))
		first := one.bound(one.redeem(one.asserted(one.redemption(one.gotCode(one.through(one.open(ref)), request)))), request)
		one.opens(first)
		for _, accept := range []string{"application/json", "application/json;charset=UTF-8", "*/*", "text/html, image/gif, *; q=.2"} {
			one.userinfoOf(one.resource(first, "Accept", accept, "X-FAPI-Interaction-Id", "c770aef3-6784-41f7-8e0e-ff5f97bddb3a"))
		}
		if got := one.send("/userinfo?access_token="+url.QueryEscape(first.access), nil); got.status != http.StatusUnauthorized {
			s.t.Errorf("the token in the query: got %d, want 401", got.status)
		}
		second := two.signsIn(two.request("nonce", random(43)))
		two.opens(second)
		if got := one.resource(second); got.status != http.StatusUnauthorized {
			s.t.Errorf("client 1's key with client 2's token: got %d, want 401", got.status)
		}
	},
	"user-rejects-authentication": func(s *suite) {
		for _, id := range []string{"one", "two"} {
			p := s.party(id)
			request := p.request("state", random(128))
			page := p.open(p.reference(p.push(request))).mustStep("login", 200)
			p.refusedWith(p.answer(page, "cancel"), request, oidc.AccessDenied)
		}
	},
	"ensure-authorization-request-without-state-success":      works("state", ""),
	"ensure-authorization-request-without-nonce-success":      works("nonce", ""),
	"ensure-authorization-request-with-64-char-nonce-success": works("nonce", random(64)),
	"ensure-other-scope-order-succeeds":                       works("scope", "email profile openid"),
	"test-claims-parameter-identity-claims":                   identityClaims,
	"access-token-type-header-case-sensitivity": func(s *suite) {
		one := s.party("one")
		got := one.signsIn(one.request())
		for _, scheme := range []string{"dPoP", "dpop", "DPOP"} {
			one.userinfoOf(one.send("/userinfo", nil, "Authorization", scheme+" "+got.access, "DPoP", one.proofFor(got.access)))
		}
	},
	"check-dpop-proof-nbf-exp":                            skewed(func(s *suite) []any { return []any{"nbf", s.seconds(0), "exp", s.seconds(60)} }),
	"ensure-dpopproof-with-iat-10seconds-before-succeeds": skewed(func(s *suite) []any { return []any{"iat", s.seconds(-10)} }),
	"ensure-dpopproof-with-iat-10seconds-after-succeeds":  skewed(func(s *suite) []any { return []any{"iat", s.seconds(10)} }),
	"ensure-mismatched-dpop-jkt-fails": func(s *suite) {
		one := s.party("one")
		one.refused(one.push(one.request("dpop_jkt", s.holder().thumbprint())), oidc.InvalidDPoPProof, oidc.InvalidRequest)
	},
	"ensure-token-endpoint-fails-with-mismatched-dpop-proof-jkt": keyBound(true, false),
	"ensure-token-endpoint-fails-with-mismatched-dpop-jkt":       keyBound(false, false),
	"ensure-dpopproof-at-par-endpoint-binding-success":           keyBound(true, true),
	"ensure-dpop-auth-code-binding-success":                      keyBound(false, true),
	"ensure-different-nonce-inside-and-outside-request-object":   inFront("", "nonce", random(10)),
	"ensure-different-state-inside-and-outside-request-object":   inFront("", "state", random(10)),
	"ensure-authorization-request-with-long-nonce":               works("nonce", random(384)),
	"ensure-authorization-request-with-long-state":               works("state", random(1000)),
	"state-only-outside-request-object-not-used":                 inFront("state", "state", random(10)),
	"ensure-request-object-without-redirect-uri-fails":           refusedAhead(oidc.InvalidRequest, "redirect_uri", ""),
	"ensure-redirect-uri-in-authorization-request":               refusedAhead(oidc.InvalidRequest, "redirect_uri", ""),
	"plain-fapi-tolerate-unregistered-redirect-uri":              refusedAhead(oidc.InvalidRequest, "redirect_uri", suiteCallback+"/"+random(10)),
	"ensure-unsigned-authorization-request-without-using-par-fails": func(s *suite) {
		request := s.party("one").request()
		s.refusedWith(s.open(request), request, oidc.InvalidRequest)
	},
	"ensure-response-type-code-idtoken-fails": refusedAhead(oidc.UnsupportedResponseType, "response_type", "code id_token"),
	"ensure-response-type-token-fails":        refusedAhead(oidc.UnsupportedResponseType, "response_type", "token"),
	"ensure-client-id-in-token-endpoint": func(s *suite) {
		one := s.party("one")
		form := one.asserted(one.redemption(one.code(one.request())))
		one.refused(one.redeem(changed(form, "client_id", "two")), oidc.InvalidClient)
	},
	"ensure-holder-of-key-required": func(s *suite) { // what TLS takes is TestTLS of the command
		one := s.party("one")
		request := one.request()
		code := one.code(request)
		one.refused(one.send("/token", one.asserted(one.redemption(code))), oidc.InvalidDPoPProof, oidc.InvalidRequest, oidc.InvalidGrant)
		one.opens(one.bound(one.redeem(one.asserted(one.redemption(code))), request))
	},
	"ensure-authorization-code-is-bound-to-client": func(s *suite) {
		one, two := s.party("one"), s.party("two")
		request := one.request()
		code := one.code(request)
		two.refused(two.redeem(two.asserted(one.redemption(code))), oidc.InvalidGrant)
	},
	"attempt-reuse-authorization-code-after-one-second": func(s *suite) {
		one := s.party("one")
		request := one.request()
		code := one.code(request)
		first := one.bound(one.redeem(one.asserted(one.redemption(code))), request)
		s.clock.advance(time.Second)
		one.refused(one.redeem(one.asserted(one.redemption(code))), oidc.InvalidGrant)
		if got := one.resource(first); got.status != http.StatusUnauthorized {
			s.t.Errorf("the first access token: got %d, want 401", got.status)
		}
	},
	"ensure-token-endpoint-fails-with-expired-auth-code": func(s *suite) {
		one := s.party("one")
		code := one.code(one.request())
		s.clock.advance(62 * time.Second)
		one.refused(one.redeem(one.asserted(one.redemption(code))), oidc.InvalidGrant)
	},
	"ensure-signed-client-assertion-with-RS256-fails": rs256Assertion,
	"ensure-client-assertion-in-token-endpoint": func(s *suite) {
		one := s.party("one")
		request := one.request()
		code := one.code(request)
		one.refused(one.redeem(changed(one.redemption(code), "client_id", "one")), oidc.InvalidClient)
		one.opens(one.bound(one.redeem(one.asserted(one.redemption(code))), request))
	},
	"ensure-client-assertion-with-exp-is-5-minutes-in-past-fails": assertion(func(p *party) string {
		return p.signs.assertion("exp", p.seconds(-300))
	}),
	"ensure-client-assertion-with-wrong-aud-fails": claimed("aud", "https://other.example"),
	"ensure-client-assertion-with-no-sub-fails":    claimed("sub", nil),
	"dpop-negative-tests":                          proofs,
	"refresh-token":                                refreshToken,
	"par-ensure-reused-request-uri-prior-to-auth-completion-succeeds": func(s *suite) {
		one := s.party("one")
		request := one.request()
		ref := one.reference(one.push(request))
		one.open(ref).mustStep("login", 200)
		code := one.gotCode(one.through(one.open(ref)), request)
		one.opens(one.bound(one.redeem(one.asserted(one.redemption(code))), request))
	},
	"par-attempt-reuse-request_uri": func(s *suite) {
		one := s.party("one")
		request := one.request()
		ref := one.reference(one.push(request))
		one.gotCode(one.through(one.open(ref)), request)
		one.shown(one.open(ref))
	},
	"par-attempt-to-use-expired-request_uri": func(s *suite) {
		one := s.party("one")
		got := one.push(one.request())
		s.clock.advance(time.Duration(got.json["expires_in"].(float64)) * time.Second)
		one.shown(one.open(one.reference(got)))
	},
	"par-ensure-jwt-client-assertions-nbf-8-seconds-in-the-future-is-accepted": func(s *suite) {
		one := s.party("one")
		ahead := one.signs.assertion("nbf", s.seconds(8), "exp", s.seconds(68))
		one.reference(one.send("/par", one.asserted(one.request(), ahead), "DPoP", one.holds.proof("POST", "/par")))
	},
	"par-ensure-jwt-client-assertions-nbf-over-60-seconds-in-the-future-fails": assertion(func(p *party) string {
		return p.signs.assertion("nbf", p.seconds(61), "exp", p.seconds(121))
	}),
	"par-attempt-to-use-request_uri-for-different-client": func(s *suite) {
		one := s.party("one")
		s.shown(s.open(changed(one.reference(one.push(one.request())), "client_id", "two")))
	},
	"par-authorization-request-containing-request_uri-form-param": func(s *suite) {
		one := s.party("one")
		uri := one.reference(one.push(one.request())).Get("request_uri")
		one.refused(one.push(one.request("request_uri", uri)), oidc.InvalidRequest)
	},
	"par-attempt-invalid-http-method": func(s *suite) {
		one := s.party("one")
		for _, method := range []string{"GET", "PUT"} {
			req, err := http.NewRequest(method, s.issuer+"/par?"+one.asserted(one.request()).Encode(), nil)
			s.must(err)
			if status, _ := s.answerTo(req); status != http.StatusMethodNotAllowed {
				s.t.Errorf("%s: got %d, want 405", method, status)
			}
		}
	},
	"par-ensure-pkce-required":              refusedAhead(oidc.InvalidRequest, "code_challenge", "", "code_challenge_method", ""),
	"par-plain-pkce-rejected":               refusedAhead(oidc.InvalidRequest, "code_challenge", verifier, "code_challenge_method", "plain"),
	"ensure-pkce-code-verifier-required":    wrongVerifier(""),
	"incorrect-pkce-code-verifier-rejected": wrongVerifier(random(43)),
	"par-without-duplicate-parameters":      works(),
	"par-test-array-as-audience-fails": assertion(func(p *party) string {
		return p.signs.assertion("aud", []string{p.issuer, "https://other.example"})
	}),
	"par-test-par-endpoint-url-as-audience-fails":   assertion(func(p *party) string { return p.signs.assertion("aud", p.issuer+"/par") }),
	"par-test-token-endpoint-url-as-audience-fails": assertion(func(p *party) string { return p.signs.assertion("aud", p.issuer+"/token") }),
}

// wrongVerifier is a module of a token request with this code_verifier.
func wrongVerifier(wrong string) func(*suite) {
	return func(s *suite) {
		one := s.party("one")
		code := one.code(one.request())
		one.refused(one.redeem(one.asserted(changed(one.redemption(code), "code_verifier", wrong))), oidc.InvalidGrant)
	}
}

// identityClaims asks for every claim that is advertised, in each form that there is, and
// for some that are not.
func identityClaims(s *suite) {
	one := s.party("one")
	protocol := []string{"iss", "aud", "exp", "iat", "auth_time", "nonce", "acr", "amr", "sid", "at_hash"}
	var names []string
	for _, name := range s.discovery()["claims_supported"].([]any) {
		if !slices.Contains(protocol, name.(string)) {
			names = append(names, name.(string))
		}
	}
	for _, form := range []any{nil, map[string]any{"essential": true}, map[string]any{"essential": false}} {
		set := map[string]any{"unknown": form, "urn:unknown": form}
		for _, name := range names {
			set[name] = form
		}
		claims, err := json.Marshal(map[string]any{"userinfo": set, "unknown": set})
		s.must(err)
		info := one.opens(one.signsIn(one.request("claims", string(claims))))
		for _, name := range names {
			if info[name] == nil {
				s.t.Errorf("userinfo: %s is missing, asked for as %v", name, form)
			}
		}
		if len(info) != len(names) {
			s.t.Errorf("userinfo: got %v, want %v", info, names)
		}
	}
}

// rs256Assertion: a client that has a key for RS256, too, may not sign with it.
func rs256Assertion(s *suite) {
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	s.must(err)
	one := s.party("one")
	s.changeClient("one", func(c *oidc.Client) {
		var set jose.JSONWebKeySet
		s.must(json.Unmarshal(c.JWKS, &set))
		set.Keys = append(set.Keys, jose.JSONWebKey{Key: private.Public(), KeyID: "rsa", Algorithm: "RS256", Use: "sig"})
		c.JWKS, err = json.Marshal(set)
		s.must(err)
		s.must(c.Validate())
	})
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.RS256, Key: jose.JSONWebKey{Key: private, KeyID: "rsa"}}, nil)
	s.must(err)
	assertion(func(*party) string {
		jws, err := jose.ParseSignedCompact(one.signs.assertion(), []jose.SignatureAlgorithm{jose.ES256})
		s.must(err)
		again, err := signer.Sign(jws.UnsafePayloadWithoutVerification())
		s.must(err)
		text, err := again.CompactSerialize()
		s.must(err)
		return text
	})(s)
}

// refreshToken: one is its client's, good with proof of client and key alone, and good
// again after an answer that was lost (FAPI 2.0 Security Profile §5.3.2.1).
func refreshToken(s *suite) {
	one, two := s.party("one"), s.party("two")
	request := one.request("scope", "openid offline_access", "prompt", "consent")
	first := one.signsIn(request)
	form := refreshing(first.refresh)
	two.refused(two.redeem(two.asserted(form)), oidc.InvalidGrant)
	one.refused(one.redeem(changed(form, "client_id", "one")), oidc.InvalidClient)
	one.refused(one.send("/token", one.asserted(form)), oidc.InvalidDPoPProof)
	without := changed(request, "nonce", "")
	next := one.bound(one.redeem(one.asserted(form)), without)
	one.opens(next)
	s.clock.advance(30 * time.Second)
	one.opens(one.bound(one.redeem(one.asserted(form)), without)) // the old one, though the answer may have had another
	if next.refresh != "" && next.refresh != first.refresh {
		one.opens(one.bound(one.redeem(one.asserted(refreshing(next.refresh))), without))
	}
}

// proofs are good and bad ones at the resource.
func proofs(s *suite) {
	one, other := s.party("one"), s.party("two")
	got := one.signsIn(one.request())
	key := jose.JSONWebKey{Key: one.holds.key.Public()}
	header := map[string]any{"typ": "dpop+jwt", "alg": "ES256", "jwk": key}
	claims := func() map[string]any {
		return map[string]any{"jti": store.NewID(), "htm": "GET", "htu": s.issuer + "/userinfo", "iat": s.seconds(0), "ath": ath(got.access)}
	}
	private := jose.JSONWebKey{Key: one.holds.key}
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	s.must(err)
	host := strings.TrimPrefix(s.issuer, "http://")
	sends := func(proofs ...string) reply {
		headers := []string{"Authorization", "DPoP " + got.access}
		for _, proof := range proofs {
			headers = append(headers, "DPoP", proof)
		}
		return s.send("/userinfo", nil, headers...)
	}
	with := func(of map[string]any, name string, value any) map[string]any {
		of = maps.Clone(of)
		if of[name] = value; value == nil {
			delete(of, name)
		}
		return of
	}
	for what, proof := range map[string]string{
		"query":           one.forged(header, with(claims(), "htu", s.issuer+"/userinfo?a=b")),
		"fragment":        one.forged(header, with(claims(), "htu", s.issuer+"/userinfo?a=b#c")),
		"neither":         one.forged(header, claims()),
		"unknown header":  one.forged(with(header, "unknown", "x"), claims()),
		"unknown claim":   one.forged(header, with(claims(), "unknown", "x")),
		"upper-case host": one.forged(header, with(claims(), "htu", "http://"+strings.ToUpper(host)+"/userinfo")),
	} {
		if got := sends(proof); got.status != http.StatusOK {
			s.t.Errorf("%s: got %d %v, want 200", what, got.status, got.json)
		}
	}
	again := one.forged(header, claims())
	sends(again)
	bad := map[string][]string{
		"used": {again}, "two": {one.forged(header, claims()), one.forged(header, claims())}, "none": {}, "empty": {""}, "no JWT": {"abc"},
		"RS256": {rs256Proof(s, rsaKey, claims())}, "of another key": {other.proofFor(got.access)},
		"unsigned":     {strings.TrimRight(one.forged(with(header, "alg", "none"), claims()), base64Letters)},
		"badly signed": {one.forged(header, claims())[:strings.LastIndex(again, ".")] + again[strings.LastIndex(again, "."):]},
		"private key":  {one.forged(with(header, "jwk", private), claims())}, "wrong typ": {one.forged(with(header, "typ", "JWT"), claims())},
		"wrong htm": {one.forged(header, with(claims(), "htm", "POST"))}, "wrong htu": {one.forged(header, with(claims(), "htu", s.issuer+"/token"))},
		"wrong ath": {one.forged(header, with(claims(), "ath", ath("other")))},
		"old":       {one.forged(header, with(claims(), "iat", s.seconds(-3600)))}, "of the future": {one.forged(header, with(claims(), "iat", s.seconds(3600)))},
	}
	for _, name := range []string{"typ", "alg", "jwk"} {
		bad["no "+name] = []string{one.forged(with(header, name, nil), claims())}
	}
	for _, name := range []string{"jti", "htm", "htu", "iat", "ath"} {
		bad["no "+name] = []string{one.forged(header, with(claims(), name, nil))}
	}
	for what, proofs := range bad {
		if got := sends(proofs...); got.status != http.StatusUnauthorized {
			s.t.Errorf("%s: got %d %v, want 401", what, got.status, got.json)
		}
	}
	if got := s.send("/userinfo", nil, "Authorization", "Bearer "+got.access, "DPoP", one.proofFor(got.access)); got.status != http.StatusUnauthorized {
		s.t.Errorf("as Bearer: got %d, want 401", got.status)
	}
}

const base64Letters = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz-_"

// forged is a JWS of the holder's with any header.
func (p *party) forged(header, claims map[string]any) string {
	p.t.Helper()
	var parts []string
	for _, part := range []map[string]any{header, claims} {
		text, err := json.Marshal(part)
		p.must(err)
		parts = append(parts, base64.RawURLEncoding.EncodeToString(text))
	}
	input := strings.Join(parts, ".")
	sum := sha256.Sum256([]byte(input))
	r, v, err := ecdsa.Sign(rand.Reader, p.holds.key, sum[:])
	p.must(err)
	return input + "." + base64.RawURLEncoding.EncodeToString(append(r.FillBytes(make([]byte, 32)), v.FillBytes(make([]byte, 32))...))
}

func rs256Proof(s *suite, key *rsa.PrivateKey, claims map[string]any) string {
	s.t.Helper()
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.RS256, Key: key}, (&jose.SignerOptions{EmbedJWK: true}).WithType("dpop+jwt"))
	s.must(err)
	payload, err := json.Marshal(claims)
	s.must(err)
	jws, err := signer.Sign(payload)
	s.must(err)
	text, err := jws.CompactSerialize()
	s.must(err)
	return text
}
