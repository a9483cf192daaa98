package rp

import (
	"strings"
	"testing"
	"time"
)

// An introspection that says nothing of a token is none.
func FuzzParseIntrospection(f *testing.F) {
	f.Add([]byte(`{"active":true,"iss":"https://id.example.com","sub":"1","aud":["a"],"scope":"read write","exp":1700000000}`))
	f.Add([]byte(`{"active":false,"sub":"1"}`))
	f.Add([]byte(`{"active":false,"active":true}`))
	f.Add([]byte(`{"Active":true}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		i, err := parseIntrospection(data)
		if err == nil && i.Active && !strings.Contains(string(data), "true") || err == nil && !i.Active && (i.Subject != "" || i.Scope != nil) {
			t.Errorf("got %+v", i)
		}
	})
}

// A token of an exchange is of the type that was requested, and of the client's kind
// if it is an access token.
func FuzzParseExchange(f *testing.F) {
	f.Add([]byte(`{"access_token":"a","issued_token_type":"`+TypeAccessToken+`","token_type":"DPoP","expires_in":60}`), TypeAccessToken)
	f.Add([]byte(`{"access_token":"a","issued_token_type":"`+TypeJWT+`","token_type":"N_A"}`), "")
	f.Add([]byte(`{"access_token":"a","issued_token_type":"`+TypeAccessToken+`","token_type":"N_A"}`), "")
	f.Fuzz(func(t *testing.T, data []byte, requested string) {
		e, err := parseExchange(data, requested, "DPoP", time.Now())
		if err != nil {
			return
		}
		isNone := strings.EqualFold(e.TokenType, noAccessToken)
		if e.AccessToken == "" || requested != "" && e.IssuedTokenType != requested || isNone && e.IssuedTokenType == TypeAccessToken || !isNone && !isDPoP(e.Token) {
			t.Errorf("got %+v", e)
		}
	})
}
