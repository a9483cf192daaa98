package e2e

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"testing"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"
)

// TestGoOIDC: a Go program made of go-oidc and x/oauth2 signs somebody in, reads what it
// was told, refreshes, signs out and hears that the session has ended.
func TestGoOIDC(t *testing.T) {
	t.Parallel()
	needBrowser(t)
	in := install(t, "SALLYPORT_OUTBOUND_ALLOW=127.0.0.0/8")
	b := newBrowser(t, "en")
	key := in.setUp(b, "sora")
	logouts := make(chan string, 1)
	program := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { logouts <- r.PostFormValue("logout_token") }))
	t.Cleanup(program.Close)
	var made struct {
		Secret string `json:"client_secret"`
	}
	bye := in.callback + "/bye"
	in.decode(&made, "client", "add", "go", "--redirect-uri", in.callback, "--post-logout-redirect-uri", bye,
		"--backchannel-logout-uri", program.URL, "--output", "json")

	ctx := t.Context()
	provider, err := oidc.NewProvider(ctx, in.issuer)
	if err != nil {
		t.Fatal(err)
	}
	config := &oauth2.Config{
		ClientID: "go", ClientSecret: made.Secret, Endpoint: provider.Endpoint(), RedirectURL: in.callback,
		Scopes: []string{oidc.ScopeOpenID, "profile", oidc.ScopeOfflineAccess},
	}
	verifier := oauth2.GenerateVerifier()
	b.open(config.AuthCodeURL("of the program", oidc.Nonce("once"), oauth2.S256ChallengeOption(verifier)))
	b.password("sora", "quiet lantern otter")
	b.code(totp(t, key, 1))
	b.mustBeAt(in.callback)
	answer := mustURL(t, b.url()).Query()
	if answer.Get("state") != "of the program" || answer.Get("iss") != in.issuer {
		t.Errorf("the answer is %v", answer)
	}
	if _, err := config.Exchange(ctx, answer.Get("code"), oauth2.VerifierOption(oauth2.GenerateVerifier())); err == nil {
		t.Fatal("a code was exchanged with another verifier")
	}

	b.open(config.AuthCodeURL("again", oidc.Nonce("twice"), oauth2.S256ChallengeOption(verifier)))
	b.mustBeAt(in.callback)
	tokens, err := config.Exchange(ctx, mustURL(t, b.url()).Query().Get("code"), oauth2.VerifierOption(verifier))
	if err != nil {
		t.Fatal(err)
	}
	raw, _ := tokens.Extra("id_token").(string)
	verify := provider.Verifier(&oidc.Config{ClientID: "go"})
	token, err := verify.Verify(ctx, raw)
	if err != nil {
		t.Fatal(err)
	}
	var claims struct {
		ACR, SID string
		AMR      []string
	}
	if err := token.Claims(&claims); err != nil {
		t.Fatal(err)
	}
	if token.Nonce != "twice" || claims.ACR != "urn:sallyport:acr:2fa" || !slices.Equal(claims.AMR, []string{"pwd", "otp", "mfa"}) {
		t.Errorf("the ID token says %q, %+v", token.Nonce, claims)
	}
	if err := token.VerifyAccessToken(tokens.AccessToken); err != nil {
		t.Error(err)
	}

	old := *tokens
	old.Expiry = time.Unix(1, 0)
	source := config.TokenSource(ctx, &old)
	fresh, err := source.Token()
	if err != nil || fresh.AccessToken == tokens.AccessToken {
		t.Fatalf("refreshed: the same token, or %v", err)
	}
	info, err := provider.UserInfo(ctx, source)
	if err != nil {
		t.Fatal(err)
	}
	var about struct {
		Name string `json:"preferred_username"`
	}
	if err := info.Claims(&about); err != nil || info.Subject != token.Subject || about.Name != "sora" {
		t.Errorf("userinfo: %q, %+v, %v", info.Subject, about, err)
	}

	var more struct {
		End string `json:"end_session_endpoint"`
	}
	if err := provider.Claims(&more); err != nil {
		t.Fatal(err)
	}
	b.open(more.End + "?" + url.Values{"id_token_hint": {raw}, "post_logout_redirect_uri": {bye}, "state": {"gone"}}.Encode())
	b.mustBeAt(bye)
	if got := mustURL(t, b.url()).Query().Get("state"); got != "gone" {
		t.Errorf("state after signing out: %q", got)
	}
	b.open(in.request())
	b.mustStep("login")
	select {
	case raw := <-logouts:
		said, err := verify.VerifyLogout(ctx, raw)
		if err != nil || said.SessionID != claims.SID || said.Subject != token.Subject {
			t.Errorf("the logout token: %+v, %v; want session %q", said, err, claims.SID)
		}
	case <-time.After(patience):
		t.Error("no logout token came")
	}
}
