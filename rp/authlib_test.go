package rp_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-id/sallyport/rp"
	"github.com/sallyport-id/sallyport/rp/rptest"
)

// TestWhatAuthlibAccepts has what versions 1.2 to 1.7 of Authlib let pass, or
// stumbled over, when a server misbehaved; see TestCallbackRefuses for the rest.
func TestWhatAuthlibAccepts(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		fault rptest.Fault
		about string
		code  string
	}{
		// Refused there too, but not for what was wrong.
		{rptest.WrongAudience, "aud", rp.CodeFailed},
		// Accepted by all versions.
		{rptest.OnlyParty, "aud", rp.CodeFailed},
		{rptest.NonceExcused, "nonce", rp.CodeFailed},
		{rptest.OldAuthTime, "auth_time", rp.CodeOld},
		{rptest.NoAuthTime, "auth_time", rp.CodeOld},
		{rptest.OneFactor, "acr", rp.CodeWeak},
		{rptest.OtherResponseIss, "iss", rp.CodeFailed},
		// Accepted by those where amr rules were passed over.
		{rptest.PasswordOnly, "amr", rp.CodeWeak},
		// A requirement took away the check of the issuer.
		{rptest.WrongIssuer, "iss", rp.CodeFailed},
		// An exception that nobody expects, or none.
		{rptest.EmptyTokens, "access_token", rp.CodeFailed},
		{rptest.TooManyRequests, "", rp.CodeUnavailable},
		// Accepted by 1.6.0 where the metadata have no list of algorithms: here they have
		// none, either.
		{rptest.AlgNone, "alg", rp.CodeFailed},
		// Rejected by all.
		{rptest.BadSignature, "signature", rp.CodeFailed},
		{rptest.WrongNonce, "nonce", rp.CodeFailed},
		{rptest.NoNonce, "nonce", rp.CodeFailed},
		{rptest.Expired, "exp", rp.CodeFailed},
		{rptest.WrongTokenHash, "at_hash", rp.CodeFailed},
	} {
		t.Run(string(test.fault), func(t *testing.T) {
			t.Parallel()
			p := rptest.NewProvider(t)
			a := newApp(t, p, func(c *rp.Config) { c.Require.MaxAge = time.Minute })
			if _, err := a.signIn(); err != nil {
				t.Fatalf("without the fault: %v", err)
			}
			if q := p.Requests()[0]; q.Get("max_age") != "60" || !strings.Contains(q.Get("claims"), rp.ACR2FA) {
				t.Errorf("the server was not asked: %v", q)
			}
			p.Misbehave(test.fault)
			id, err := a.signIn()
			if id != nil || err == nil || about(err) != test.about || rp.ReasonCode(err) != test.code {
				t.Errorf("got %v, %v (%s), want %q refused (%s)", id, err, rp.ReasonCode(err), test.about, test.code)
			}
		})
	}
}

// An at_hash that is missing is none that is wrong: the access token came over the
// same connection (OpenID Connect Core §3.1.3.6 leaves it to the server).
func TestTokenHashIsOptional(t *testing.T) {
	t.Parallel()
	p := rptest.NewProvider(t)
	p.Misbehave(rptest.NoTokenHash)
	if _, err := newApp(t, p, nil).signIn(); err != nil {
		t.Error(err)
	}
}

// TestErrorsAreOfALogin: an error in an answer counts as little as a code without
// the state of a login that is pending here.
func TestErrorsAreOfALogin(t *testing.T) {
	t.Parallel()
	a := newApp(t, rptest.NewProvider(t), nil)
	answer := a.start(t)
	var response *rp.ResponseError
	for _, uri := range []string{"/callback?error=access_denied", "/callback?error=access_denied&state=forged"} {
		if a.Get(uri); a.err == nil || errors.As(a.err, &response) {
			t.Errorf("%s: got %v, want it not believed", uri, a.err)
		}
	}
	if a.Get(answer); a.err != nil {
		t.Errorf("the login that was pending: %v", a.err)
	}
}
