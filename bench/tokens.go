package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/sallyport-id/sallyport/internal/oidc"
)

// tokens is the token endpoint's answer (RFC 6749 §5.1).
type tokens struct {
	Access  string `json:"access_token"`
	Refresh string `json:"refresh_token"`
	ID      string `json:"id_token"`
	Type    string `json:"token_type"`
}

// checkTokens reads the answer of a sign-in with two factors and checks its ID
// token, signature included, as an application does.
func (c *client) checkTokens(a *answer, app *oidc.Client, subject, nonce string) (*tokens, error) {
	t := &tokens{}
	if err := json.Unmarshal(a.body, t); err != nil || a.status != http.StatusOK || t.Access == "" || t.Type != "Bearer" {
		return nil, fmt.Errorf("want tokens, got %s", a)
	}
	alg := jose.SignatureAlgorithm(app.IDTokenAlg)
	if alg == "" {
		alg = jose.RS256
	}
	jws, err := jose.ParseSignedCompact(t.ID, []jose.SignatureAlgorithm{alg})
	if err != nil {
		return nil, fmt.Errorf("id token: %w", err)
	}
	key := c.load.keys.Key(jws.Signatures[0].Protected.KeyID)
	if len(key) != 1 {
		return nil, fmt.Errorf("id token: signed by key %q, which is not published", jws.Signatures[0].Protected.KeyID)
	}
	payload, err := jws.Verify(key[0])
	if err != nil {
		return nil, fmt.Errorf("id token: %w", err)
	}
	var claims struct {
		Issuer   string   `json:"iss"`
		Subject  string   `json:"sub"`
		Audience string   `json:"aud"`
		Nonce    string   `json:"nonce"`
		Expiry   int64    `json:"exp"`
		AMR      []string `json:"amr"`
	}
	if err := json.Unmarshal(payload, &claims); err != nil {
		return nil, fmt.Errorf("id token: %w", err)
	}
	if claims.Issuer != c.issuer || claims.Subject != subject || claims.Audience != app.ID || claims.Nonce != nonce ||
		claims.Expiry < time.Now().Unix() || !slices.Contains(claims.AMR, "mfa") {
		return nil, fmt.Errorf("id token: got %s, want it for %s at %s", payload, subject, app.ID)
	}
	return t, nil
}

// fetchKeys reads the published keys.
func (l *load) fetchKeys(ctx context.Context) (*jose.JSONWebKeySet, error) {
	a, err := newClient(l, 0).get("/jwks.json")
	if err != nil {
		return nil, err
	}
	set := &jose.JSONWebKeySet{}
	if err := json.Unmarshal(a.body, set); err != nil || len(set.Keys) == 0 {
		return nil, fmt.Errorf("want published keys, got %s", a)
	}
	return set, ctx.Err()
}
