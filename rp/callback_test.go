package rp_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-id/sallyport/rp"
	"github.com/sallyport-id/sallyport/rp/rptest"
)

func TestCallbackIdentifies(t *testing.T) {
	t.Parallel()
	for _, alg := range []string{"ES256", "RS256", "PS256", "EdDSA"} {
		t.Run(alg, func(t *testing.T) {
			t.Parallel()
			p := rptest.NewProvider(t)
			p.SignWith(alg)
			id, err := newApp(t, p, nil, rp.ReturnTo("/cart?item=1")).signIn()
			if err != nil {
				t.Fatal(err)
			}
			if id.Issuer != p.Issuer || id.Subject != rptest.Subject {
				t.Errorf("got %v", id)
			}
			if id.ACR != rp.ACR2FA || !slices.Equal(id.AMR, []string{"pwd", "otp", "mfa"}) || id.AuthTime.IsZero() {
				t.Errorf("got acr %q, amr %q, auth_time %v", id.ACR, id.AMR, id.AuthTime)
			}
			if id.ReturnTo != "/cart?item=1" {
				t.Errorf("got ReturnTo %q", id.ReturnTo)
			}
			if !id.Token.Valid() || id.Token.Extra("scope") != "openid profile" || id.IDToken == "" {
				t.Errorf("tokens are missing")
			}
		})
	}
}

func TestCallbackAuthenticatesTheClient(t *testing.T) {
	t.Parallel()
	for _, method := range []string{rp.AuthBasic, rp.AuthPost} {
		p := rptest.NewProvider(t)
		if _, err := newApp(t, p, func(c *rp.Config) { c.AuthMethod = method }).signIn(); err != nil {
			t.Errorf("%s: %v", method, err)
		}
		_, err := newApp(t, p, func(c *rp.Config) { c.AuthMethod, c.ClientSecret = method, "wrong" }).signIn()
		if about(err) != "invalid_client" {
			t.Errorf("%s with a wrong secret: got %v", method, err)
		}
	}
	p := rptest.NewProvider(t)
	if _, err := newApp(t, p, func(c *rp.Config) { c.AuthMethod, c.ClientSecret = rp.AuthNone, "" }).signIn(); err != nil {
		t.Errorf("none: %v", err)
	}
}

// TestCallbackRefuses has a line for each way that a provider, or who sits
// between, can be wrong.
func TestCallbackRefuses(t *testing.T) {
	t.Parallel()
	check, unmet, response, down := new(rp.CheckError), new(rp.UnmetError), new(rp.ResponseError), new(rp.UnavailableError)
	tests := []struct {
		fault rptest.Fault
		want  error  // the type
		about string // what the error is about
		code  string
	}{
		{rptest.WrongNonce, check, "nonce", rp.CodeFailed},
		{rptest.NoNonce, check, "nonce", rp.CodeFailed},
		{rptest.WrongIssuer, check, "iss", rp.CodeFailed},
		{rptest.WrongAudience, check, "aud", rp.CodeFailed},
		{rptest.TwoAudiences, check, "aud", rp.CodeFailed},
		{rptest.WrongParty, check, "azp", rp.CodeFailed},
		{rptest.NoSubject, check, "sub", rp.CodeFailed},
		{rptest.Expired, check, "exp", rp.CodeFailed},
		{rptest.NoExpiry, check, "exp", rp.CodeFailed},
		{rptest.NoIssuedAt, check, "iat", rp.CodeFailed},
		{rptest.FromTheFuture, check, "iat", rp.CodeFailed},
		{rptest.NotYetValid, check, "nbf", rp.CodeFailed},
		{rptest.FutureAuthTime, check, "auth_time", rp.CodeFailed},
		{rptest.WrongTokenHash, check, "at_hash", rp.CodeFailed},

		{rptest.OneFactor, unmet, "acr", rp.CodeWeak},
		{rptest.NoACR, unmet, "acr", rp.CodeWeak},
		{rptest.PasswordOnly, unmet, "amr", rp.CodeWeak},
		{rptest.NoAMR, unmet, "amr", rp.CodeWeak},
		{rptest.UpperCaseClaims, unmet, "acr amr", rp.CodeWeak},
		{rptest.OldAuthTime, unmet, "auth_time", rp.CodeOld},
		{rptest.NoAuthTime, unmet, "auth_time", rp.CodeOld},
		{rptest.AMRText, check, "id_token", rp.CodeFailed},

		{rptest.DuplicateClaims, check, "id_token", rp.CodeFailed},
		{rptest.AlgNone, check, "alg", rp.CodeFailed},
		{rptest.HMACPublicKey, check, "alg", rp.CodeFailed},
		{rptest.BadSignature, check, "signature", rp.CodeFailed},
		{rptest.UnknownKey, check, "kid", rp.CodeFailed},
		{rptest.WrongKeyAlg, check, "kid", rp.CodeFailed},
		{rptest.CriticalHeader, check, "crit", rp.CodeFailed},
		{rptest.AccessTokenType, check, "typ", rp.CodeFailed},
		{rptest.LogoutTokenType, check, "typ", rp.CodeFailed},

		{rptest.OtherResponseIss, check, "iss", rp.CodeFailed},
		{rptest.NoResponseIss, check, "iss", rp.CodeFailed},
		{rptest.AccessDenied, response, "access_denied", rp.CodeCancelled},
		{rptest.Unmet, response, "unmet_authentication_requirements", rp.CodeWeak},
		{rptest.InvalidGrant, response, "invalid_grant", rp.CodeFailed},
		{rptest.GarbageTokens, check, "token response", rp.CodeFailed},
		{rptest.DuplicateTokens, check, "token response", rp.CodeFailed},
		{rptest.NoIDToken, check, "id_token", rp.CodeFailed},
		{rptest.NotBearer, check, "token_type", rp.CodeFailed},
		{rptest.HugeTokens, down, "", rp.CodeUnavailable},
		{rptest.TokenRedirect, down, "", rp.CodeUnavailable},
		{rptest.OtherUserInfo, check, "sub", rp.CodeFailed},
	}
	for _, test := range tests {
		t.Run(string(test.fault), func(t *testing.T) {
			t.Parallel()
			p := rptest.NewProvider(t)
			a := newApp(t, p, func(c *rp.Config) {
				c.Require.MaxAge = time.Hour
				c.UserInfo = test.fault == rptest.OtherUserInfo // else it would see to iss and sub, too
			})
			if _, err := a.signIn(); err != nil {
				t.Fatalf("without the fault: %v", err)
			}
			p.Misbehave(test.fault)
			id, err := a.signIn()
			if id != nil || err == nil {
				t.Fatalf("got %v and error %v, want it refused", id, err)
			}
			if got, want := fmt.Sprintf("%T", err), fmt.Sprintf("%T", test.want); got != want {
				t.Fatalf("got %s (%v), want %s", got, err, want)
			}
			if got := about(err); got != test.about {
				t.Errorf("the error is about %q, want %q: %v", got, test.about, err)
			}
			if got := rp.ReasonCode(err); got != test.code {
				t.Errorf("got reason %q, want %q", got, test.code)
			}
			if len(a.Cookies()) != 0 {
				t.Errorf("the login's cookie is still there")
			}
			if p.Hits("/token") > 2 {
				t.Errorf("the token request was repeated")
			}
		})
	}
}

// about is what an error says was wrong.
func about(err error) string {
	var check *rp.CheckError
	var unmet *rp.UnmetError
	var response *rp.ResponseError
	switch {
	case errors.As(err, &check):
		return check.What
	case errors.As(err, &unmet):
		return strings.Join(unmet.Claims, " ")
	case errors.As(err, &response):
		return response.Code
	}
	return ""
}

// Without a requirement the same claims are nobody's business.
func TestCallbackRequiresNothingByDefault(t *testing.T) {
	t.Parallel()
	p := rptest.NewProvider(t)
	a := newApp(t, p, func(c *rp.Config) { c.Require = rp.Requirement{} })
	for _, fault := range []rptest.Fault{rptest.OneFactor, rptest.PasswordOnly, rptest.NoACR, rptest.NoAMR, rptest.NoAuthTime, rptest.OldAuthTime} {
		p.Misbehave(fault)
		if _, err := a.signIn(); err != nil {
			t.Errorf("%s: %v", fault, err)
		}
	}
}

func TestCallbackAcceptsStrongerLevels(t *testing.T) {
	t.Parallel()
	p := rptest.NewProvider(t)
	a := newApp(t, p, nil)
	for acr, want := range map[string]bool{
		rp.ACRPHR: true, rp.ACRPHRH: true, rp.ACR2FA: true,
		rp.ACR1FA: false, "PHR": false, "urn:sallyport:acr:2fa ": false, "": false, "phr phrh": false,
	} {
		p.SetClaims(map[string]any{"acr": acr})
		if _, err := a.signIn(); (err == nil) != want {
			t.Errorf("acr %q: got %v, want accepted = %t", acr, err, want)
		}
	}
}

// A new authentication is measured from when Login was called: one second more
// than the leeway before it is too old.
func TestCallbackMeasuresAuthTime(t *testing.T) {
	t.Parallel()
	p := rptest.NewProvider(t)
	start := time.Now().Truncate(time.Second)
	tests := []struct {
		require rp.Requirement
		age     time.Duration // auth_time is that long before Login
		want    bool
	}{
		{rp.Requirement{Fresh: true}, 0, true},
		{rp.Requirement{Fresh: true}, 10 * time.Second, true},
		{rp.Requirement{Fresh: true}, 11 * time.Second, false},
		{rp.Requirement{Fresh: true, MaxAge: time.Hour}, time.Minute, false},
		{rp.Requirement{MaxAge: time.Minute}, 70 * time.Second, true},
		{rp.Requirement{MaxAge: time.Minute}, 71 * time.Second, false},
	}
	for _, test := range tests {
		now := start
		p.SetClaims(map[string]any{"auth_time": start.Add(-test.age).Unix()})
		a := newApp(t, p, func(c *rp.Config) {
			c.Require, c.Leeway, c.Now = test.require, 10*time.Second, func() time.Time { return now }
		})
		answer := a.start(t)
		now = now.Add(4 * time.Minute) // the user takes a while
		_, err := a.answer(answer, a.Cookies()...)
		if (err == nil) != test.want {
			t.Errorf("%+v, auth_time %v before: got %v, want accepted = %t", test.require, test.age, err, test.want)
		}
	}
}

func TestCallbackWithoutRFC9207(t *testing.T) {
	t.Parallel()
	p := rptest.NewProvider(t)
	p.Misbehave(rptest.NoIssParameter)
	if _, err := newApp(t, p, nil).signIn(); err != nil {
		t.Error(err)
	}
	p.Misbehave(rptest.NoIssParameter)
	a := newApp(t, p, nil)
	if _, err := a.answer(a.start(t)+"&iss=https%3A%2F%2Fother.example", a.Cookies()...); about(err) != "iss" {
		t.Errorf("a wrong iss that was not announced: got %v", err)
	}
}

func TestCallbackParameterTwice(t *testing.T) {
	t.Parallel()
	p := rptest.NewProvider(t)
	for _, more := range []string{"iss=" + url.QueryEscape(p.Issuer), "code=1", "state=1"} {
		a := newApp(t, p, nil)
		if _, err := a.answer(a.start(t)+"&"+more, a.Cookies()...); err == nil {
			t.Errorf("%s twice was accepted", more)
		}
	}
}

func TestCallbackFillsFromUserInfo(t *testing.T) {
	t.Parallel()
	p := rptest.NewProvider(t)
	id, err := newApp(t, p, func(c *rp.Config) { c.UserInfo = true }).signIn()
	if err != nil {
		t.Fatal(err)
	}
	if id.Name != "Jane Doe" || id.PreferredUsername != rptest.Username || id.Email != "jane@example.com" || !id.EmailVerified || id.Locale != "en" {
		t.Errorf("got %q %q %q %t %q", id.Name, id.PreferredUsername, id.Email, id.EmailVerified, id.Locale)
	}
}

// The state cookie is looked at before anything is believed.
func TestCallbackOfAnotherBrowser(t *testing.T) {
	t.Parallel()
	p := rptest.NewProvider(t)
	a := newApp(t, p, nil)
	answer := a.start(t)
	for name, uri := range map[string]string{
		"an answer":   answer,
		"an error":    strings.Replace(answer, "code=", "error=access_denied&x=", 1),
		"another iss": "/callback?code=1&state=1&iss=https://evil.example",
	} {
		if _, err := a.answer(uri); diagnosis(err) != rp.CookieMissing {
			t.Errorf("%s: got %v, want %q", name, err, rp.CookieMissing)
		}
	}
	for _, uri := range []string{"/callback", "/callback?state=", "/callback?state=1&state=1", "/callback?error=access_denied"} {
		if _, err := a.answer(uri, a.Cookies()...); diagnosis(err) != rp.StateMissing {
			t.Errorf("%s: got %v, want %q", uri, err, rp.StateMissing)
		}
	}
	if p.Hits("/token") != 0 {
		t.Errorf("a code was sent to the token endpoint")
	}
}

func diagnosis(err error) rp.Diagnosis {
	var state *rp.StateError
	if errors.As(err, &state) {
		return state.Diagnosis
	}
	return ""
}

func TestCallbackReplayed(t *testing.T) {
	t.Parallel()
	p := rptest.NewProvider(t)
	a := newApp(t, p, nil)
	answer := a.start(t)
	a.Get(answer)
	if a.err != nil {
		t.Fatal(a.err)
	}
	a.Get(answer)
	if diagnosis(a.err) != rp.CookieMissing || a.identity != nil {
		t.Errorf("got %v, want %q", a.err, rp.CookieMissing)
	}
	if got := rp.ReasonCode(a.err); got != rp.CodeLost {
		t.Errorf("got reason %q", got)
	}
	if p.Hits("/token") != 1 {
		t.Errorf("the code was sent %d times", p.Hits("/token"))
	}
}

func TestCallbackDeletesTheCookieOnError(t *testing.T) {
	t.Parallel()
	p := rptest.NewProvider(t)
	p.Misbehave(rptest.AccessDenied)
	a := newApp(t, p, nil)
	answer := a.start(t)
	if len(a.Cookies()) != 1 {
		t.Fatalf("got %d cookies, want 1", len(a.Cookies()))
	}
	res := a.Get(answer)
	if len(a.Cookies()) != 0 {
		t.Errorf("the cookie is still there")
	}
	if res.Header.Get("Cache-Control") != "no-store" || res.Header.Get("Referrer-Policy") != "no-referrer" {
		t.Errorf("got headers %v", res.Header)
	}
}

// Somebody else's link to the callback must not end a login that is pending.
func TestCallbackForgedLeavesTheLoginAlone(t *testing.T) {
	t.Parallel()
	a := newApp(t, rptest.NewProvider(t), nil)
	answer := a.start(t)
	a.Get("/callback?error=access_denied&state=forged")
	if diagnosis(a.err) != rp.StateMismatch {
		t.Errorf("got %v, want %q", a.err, rp.StateMismatch)
	}
	if a.Get(answer); a.err != nil {
		t.Errorf("the login does not work any more: %v", a.err)
	}
}

func TestCallbackTooLate(t *testing.T) {
	t.Parallel()
	for after, want := range map[time.Duration]rp.Diagnosis{
		15*time.Minute - 2*time.Second: "",
		15 * time.Minute:               rp.LoginExpired,
	} {
		p := rptest.NewProvider(t)
		a := newApp(t, p, nil)
		answer := a.start(t)
		p.Advance(after)
		if _, err := a.answer(answer, a.Cookies()...); diagnosis(err) != want {
			t.Errorf("after %v: got %v, want %q", after, err, want)
		}
	}
}

// A cookie is worth nothing under another name, key, client or server.
func TestCallbackCookieOfAnother(t *testing.T) {
	t.Parallel()
	p, other := rptest.NewProvider(t), rptest.NewProvider(t)
	key := []byte("0123456789abcdef0123456789abcdef")
	a := newApp(t, p, func(c *rp.Config) { c.CookieKey = key })
	answer := a.start(t)
	cookie := a.Cookies()[0]
	if _, err := a.answer(answer, cookie); err != nil {
		t.Fatal(err)
	}
	tests := map[string]func(*rp.Config){
		"client": func(c *rp.Config) { c.ClientID, c.CookieKey = "another", key },
		"server": func(c *rp.Config) { c.Issuer, c.CookieKey = other.Issuer, key },
		"key":    func(c *rp.Config) {},
	}
	for name, change := range tests {
		b := newApp(t, p, change)
		// The name that this client would look for, with the other's value.
		b.Browser.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
		b.Get("/login").Body.Close()
		mine := b.Cookies()[0].Name
		prefix := mine[:len(mine)-12]
		forged := &http.Cookie{Name: prefix + cookie.Name[len(cookie.Name)-12:], Value: cookie.Value}
		if _, err := b.answer(answer, forged); diagnosis(err) != rp.CookieUnreadable {
			t.Errorf("another %s: got %v, want %q", name, err, rp.CookieUnreadable)
		}
	}
}

func TestCallbackCookieTamperedWith(t *testing.T) {
	t.Parallel()
	a := newApp(t, rptest.NewProvider(t), nil)
	answer := a.start(t)
	good := a.Cookies()[0]
	flipped := []byte(good.Value)
	flipped[len(flipped)/2] ^= 1
	for _, value := range []string{"", "AAAA", string(flipped), good.Value + good.Value, strings.Repeat("A", 4000)} {
		if _, err := a.answer(answer, &http.Cookie{Name: good.Name, Value: value}); diagnosis(err) != rp.CookieUnreadable {
			t.Errorf("%.20q: got %v, want %q", value, err, rp.CookieUnreadable)
		}
	}
}

func TestCallbackWritesNoBody(t *testing.T) {
	t.Parallel()
	p := rptest.NewProvider(t)
	a := newApp(t, p, nil)
	r := httptest.NewRequest(http.MethodGet, a.start(t), nil)
	for _, c := range a.Cookies() {
		r.AddCookie(c)
	}
	w := httptest.NewRecorder()
	if _, err := a.client.Callback(w, r); err != nil {
		t.Fatal(err)
	}
	if w.Body.Len() != 0 || len(w.Result().Cookies()) != 1 || w.Result().Cookies()[0].MaxAge != -1 {
		t.Errorf("got body %q and cookies %v", w.Body, w.Result().Cookies())
	}
}

// A new key is fetched when a token names it, but not for every such token.
func TestCallbackAfterKeyRotation(t *testing.T) {
	t.Parallel()
	p := rptest.NewProvider(t)
	a := newApp(t, p, nil)
	if _, err := a.signIn(); err != nil {
		t.Fatal(err)
	}
	p.SignWith("EdDSA")
	if _, err := a.signIn(); about(err) != "kid" || p.Hits("/jwks.json") != 1 {
		t.Errorf("at once: got %v after %d fetches", err, p.Hits("/jwks.json"))
	}
	p.Advance(16 * time.Second)
	if _, err := a.signIn(); err != nil || p.Hits("/jwks.json") != 2 {
		t.Errorf("16 s later: got %v after %d fetches", err, p.Hits("/jwks.json"))
	}
}

// No error or log line may carry what opens something.
func TestErrorsAndLogsKeepSecrets(t *testing.T) {
	t.Parallel()
	p := rptest.NewProvider(t)
	a := newApp(t, p, nil)
	id, err := a.signIn()
	if err != nil {
		t.Fatal(err)
	}
	config := p.Config(origin + "/callback")
	secrets := []string{id.IDToken, id.Token.AccessToken, p.ClientSecret, fmt.Sprintf("%v", config.CookieKey), string(config.CookieKey)}
	texts := []string{
		fmt.Sprintf("%v %+v %#v %s", id, id, id, *id), fmt.Sprintf("%v %+v %#v", config, config, config),
		fmt.Sprintf("%v %+v %#v", a.client, a.client, a.client), logged(id), logged(*id), logged(config), logged(a.client),
	}
	for _, fault := range []rptest.Fault{
		rptest.WrongNonce, rptest.BadSignature, rptest.GarbageTokens, rptest.NotBearer, rptest.InvalidGrant,
		rptest.TokenRedirect, rptest.HugeTokens, rptest.OneFactor, rptest.WrongTokenHash, rptest.OtherUserInfo,
	} {
		p.Misbehave(fault)
		answer, _ := url.Parse(a.start(t))
		cookies := a.Cookies()
		_, err := a.answer(answer.String(), cookies...)
		texts = append(texts, fmt.Sprintf("%v %+v", err, err))
		secrets = append(secrets, answer.Query().Get("code"), answer.Query().Get("state"), cookies[0].Value)
	}
	for _, text := range texts {
		for _, secret := range secrets {
			if strings.Contains(text, secret) {
				t.Errorf("%q contains a secret", text)
			}
		}
	}
}
