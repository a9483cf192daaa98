package rp_test

import (
	"slices"
	"testing"
	"time"

	"github.com/sallyport-id/sallyport/rp"
	"github.com/sallyport-id/sallyport/rp/rptest"
)

// TestIntrospect: what the server says of a token, before and after its end.
func TestIntrospect(t *testing.T) {
	t.Parallel()
	p := rptest.NewProvider(t)
	a, id := signedIn(t, p, nil)
	p.SetClaims(map[string]any{"tenant": "blue"})
	got, err := a.client.Introspect(t.Context(), id.Token.AccessToken)
	if err != nil {
		t.Fatal(err)
	}
	var tenant string
	_, _ = got.Claims.Decode("tenant", &tenant)
	if !got.Active || got.Issuer != p.Issuer || got.Subject != rptest.Subject || !slices.Equal(got.Audience, []string{"https://orders.example.com/"}) ||
		got.ClientID != p.ClientID || got.Username != rptest.Username || !got.HasScope("openid") || got.HasScope("open") || got.TokenType != "Bearer" ||
		got.ID == "" || time.Until(got.Expiry) < time.Minute || got.IssuedAt.IsZero() || got.NotBefore.IsZero() || tenant != "blue" {
		t.Errorf("got %+v", got)
	}
	if err := a.client.Revoke(t.Context(), id.Token); err != nil {
		t.Fatal(err)
	}
	got, err = a.client.Introspect(t.Context(), id.Token.AccessToken)
	if err != nil || got.Active || got.Subject != "" || got.Claims != nil {
		t.Errorf("revoked: got %+v, %v", got, err)
	}
}

// TestIntrospectSaysWhatWentWrong: no answer is taken for a yes or a no.
func TestIntrospectSaysWhatWentWrong(t *testing.T) {
	t.Parallel()
	p := rptest.NewProvider(t)
	a, id := signedIn(t, p, nil)
	for claim, value := range map[string]any{"active": "true", "scope": []string{"a"}, "exp": "tomorrow", "aud": 1} {
		p.SetClaims(map[string]any{claim: value})
		want := map[bool]string{true: "active", false: "introspection"}[claim == "active"]
		if got, err := a.client.Introspect(t.Context(), id.Token.AccessToken); about(err) != want {
			t.Errorf("%s is %v: got %v, %v", claim, value, got, err)
		}
	}
	p.SetClaims(map[string]any{"active": nil})
	if got, err := a.client.Introspect(t.Context(), id.Token.AccessToken); about(err) != "active" {
		t.Errorf("no active: got %v, %v", got, err)
	}
	wrong := newApp(t, p, func(c *rp.Config) { c.ClientSecret = "wrong" })
	if _, err := wrong.client.Introspect(t.Context(), "token"); about(err) != "invalid_client" {
		t.Errorf("wrong secret: got %v", err)
	}
	p.Misbehave(rptest.NoIntrospection)
	poor := newApp(t, p, nil)
	if _, err := poor.client.Introspect(t.Context(), "token"); rp.ReasonCode(err) != rp.CodeUnavailable {
		t.Errorf("no endpoint: got %v", err)
	}
	p.Misbehave(rptest.Down)
	if _, err := a.client.Introspect(t.Context(), "token"); rp.ReasonCode(err) != rp.CodeUnavailable {
		t.Errorf("server down: got %v", err)
	}
}

// TestIntrospectWithCertificate: at the alias that asks for it.
func TestIntrospectWithCertificate(t *testing.T) {
	t.Parallel()
	p := rptest.NewTLSProvider(t)
	a := newTLSApp(t, p, nil)
	id, err := a.signIn()
	if err != nil {
		t.Fatal(err)
	}
	if got, err := a.client.Introspect(t.Context(), id.Token.AccessToken); err != nil || !got.Active {
		t.Errorf("got %+v, %v", got, err)
	}
}
