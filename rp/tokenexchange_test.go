package rp_test

import (
	"net/http"
	"net/url"
	"reflect"
	"testing"
	"time"

	"golang.org/x/oauth2"

	"github.com/sallyport-id/sallyport/rp"
	"github.com/sallyport-id/sallyport/rp/rptest"
)

const exchangeGrant = "urn:ietf:params:oauth:grant-type:token-exchange"

// TestExchange: what is asked, and that the token is good.
func TestExchange(t *testing.T) {
	t.Parallel()
	p := rptest.NewProvider(t)
	a, id := signedIn(t, p, nil)
	subject := id.Token.AccessToken
	for _, test := range []struct {
		request rp.ExchangeRequest
		want    url.Values // beside the grant_type and the subject
		issued  string
		kind    string
	}{
		{rp.ExchangeRequest{}, url.Values{}, rp.TypeAccessToken, "Bearer"},
		{rp.ExchangeRequest{Resource: []string{"https://a.example/", "https://b.example/"}, Audience: []string{"c"}, Scope: []string{"read", "write"}},
			url.Values{"resource": {"https://a.example/", "https://b.example/"}, "audience": {"c"}, "scope": {"read write"}}, rp.TypeAccessToken, "Bearer"},
		{rp.ExchangeRequest{ActorToken: subject}, url.Values{"actor_token": {subject}, "actor_token_type": {rp.TypeAccessToken}}, rp.TypeAccessToken, "Bearer"},
		{rp.ExchangeRequest{ActorToken: subject, ActorTokenType: rp.TypeAccessToken, RequestedType: rp.TypeAccessToken}, url.Values{"actor_token": {subject},
			"actor_token_type": {rp.TypeAccessToken}, "requested_token_type": {rp.TypeAccessToken}}, rp.TypeAccessToken, "Bearer"},
		{rp.ExchangeRequest{RequestedType: rp.TypeIDToken}, url.Values{"requested_token_type": {rp.TypeIDToken}}, rp.TypeIDToken, "N_A"},
	} {
		test.request.SubjectToken = subject
		got, err := a.client.Exchange(t.Context(), test.request)
		if err != nil {
			t.Errorf("%v: %v", test.want, err)
			continue
		}
		if got.IssuedTokenType != test.issued || got.AccessToken == "" || got.AccessToken == subject || got.TokenType != test.kind || time.Until(got.Expiry) < time.Minute {
			t.Errorf("%v: got %+v", test.want, got)
		}
		exchanges := p.Exchanges()
		asked := exchanges[len(exchanges)-1]
		test.want["grant_type"], test.want["subject_token"], test.want["subject_token_type"] = []string{exchangeGrant}, []string{subject}, []string{rp.TypeAccessToken}
		if !reflect.DeepEqual(asked, test.want) {
			t.Errorf("asked %v, want %v", asked, test.want)
		}
	}
}

// TestExchangeRefused: answers of the server that are not what was asked for, and
// those that say no.
func TestExchangeRefused(t *testing.T) {
	t.Parallel()
	p := rptest.NewProvider(t)
	a, id := signedIn(t, p, nil)
	request := rp.ExchangeRequest{SubjectToken: id.Token.AccessToken, RequestedType: rp.TypeAccessToken}
	for fault, want := range map[rptest.Fault]string{
		rptest.OtherTokenType: "issued_token_type", rptest.NoTokenType: "issued_token_type", rptest.NotBearer: "token_type",
		rptest.GarbageTokens: "token response", rptest.DuplicateTokens: "token response",
	} {
		p.Misbehave(fault)
		if _, err := a.client.Exchange(t.Context(), request); about(err) != want {
			t.Errorf("%s: got %v, want %s", fault, err, want)
		}
	}
	p.Misbehave()
	request.SubjectToken = "made-up"
	if _, err := a.client.Exchange(t.Context(), request); about(err) != "invalid_grant" {
		t.Errorf("a token that is none: got %v", err)
	}
	p.Misbehave(rptest.Down)
	if _, err := a.client.Exchange(t.Context(), request); rp.ReasonCode(err) != rp.CodeUnavailable {
		t.Errorf("the server is down: got %v", err)
	}
}

// TestExchangeBindsToTheKey: with a DPoP key nothing else is taken.
func TestExchangeBindsToTheKey(t *testing.T) {
	t.Parallel()
	p := rptest.NewProvider(t)
	p.Misbehave(rptest.DPoPNonces)
	a, id := signedIn(t, p, func(c *rp.Config) { c.DPoPKey = p256() })
	request := rp.ExchangeRequest{SubjectToken: id.Token.AccessToken}
	if got, err := a.client.Exchange(t.Context(), request); err != nil || got.TokenType != "DPoP" {
		t.Errorf("got %v, %v", got, err)
	}
	p.Misbehave(rptest.NoDPoP)
	if _, err := a.client.Exchange(t.Context(), request); about(err) != "token_type" {
		t.Errorf("a token that is not bound: got %v", err)
	}
}

// TestNoAccessTokenGoesToNoAPI: what an exchange gave that is no access token.
func TestNoAccessTokenGoesToNoAPI(t *testing.T) {
	t.Parallel()
	a := newApp(t, rptest.NewProvider(t), nil)
	source := oauth2.StaticTokenSource(&oauth2.Token{AccessToken: "secret", TokenType: "n_a"})
	api := a.client.HTTPClient(source)
	if res, err := api.Post("https://api.example.com/", "text/plain", http.NoBody); err == nil {
		res.Body.Close()
		t.Error("it was sent")
	} else if got := err.Error(); got != `Post "https://api.example.com/": rp: the token is none for APIs` {
		t.Errorf("got %s", got)
	}
}
