package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/sallyport-id/sallyport/internal/oidc"
)

// prover signs with a key of its own: assertions (RFC 7523) and DPoP proofs (RFC 9449).
// Making them costs the load program what the server pays to check them.
type prover struct {
	key                jose.JSONWebKey
	assertions, proofs jose.Signer
}

func newProver() (*prover, error) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	p := &prover{key: jose.JSONWebKey{Key: private, KeyID: "1", Algorithm: "ES256", Use: "sig"}}
	with := jose.SigningKey{Algorithm: jose.ES256, Key: p.key}
	var errs [2]error
	p.assertions, errs[0] = jose.NewSigner(with, (&jose.SignerOptions{}).WithType("JWT"))
	p.proofs, errs[1] = jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: private}, (&jose.SignerOptions{EmbedJWK: true}).WithType("dpop+jwt"))
	return p, errors.Join(errs[:]...)
}

// public is the key as the client registers it.
func (p *prover) public() ([]byte, error) {
	return json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{p.key.Public()}})
}

func signed(by jose.Signer, claims map[string]any) (string, error) {
	payload, err := json.Marshal(claims)
	if err != nil {
		return "", err
	}
	jws, err := by.Sign(payload)
	if err != nil {
		return "", err
	}
	return jws.CompactSerialize()
}

// assertion says that the client is here (RFC 7523 §3).
func (p *prover) assertion(client, issuer string) (string, error) {
	now := time.Now()
	return signed(p.assertions, map[string]any{"iss": client, "sub": client, "aud": issuer, "jti": rand.Text(), "iat": now.Unix(), "exp": now.Add(time.Minute).Unix()})
}

// proof is one for a request; token "" is for none.
func (p *prover) proof(method, address, token string) (string, error) {
	claims := map[string]any{"jti": rand.Text(), "htm": method, "htu": address, "iat": time.Now().Unix()}
	if token != "" {
		sum := sha256.Sum256([]byte(token))
		claims["ath"] = base64.RawURLEncoding.EncodeToString(sum[:])
	}
	return signed(p.proofs, claims)
}

// proven is a token for a client that signs who it is, bound to its key.
func proven(_ context.Context, c *client) (func() error, error) {
	prover, app := c.load.clients.prover, c.load.clients.proving
	return func() error {
		assertion, err := prover.assertion(app.ID, c.issuer)
		if err != nil {
			return err
		}
		proof, err := prover.proof("POST", c.issuer+"/token", "")
		if err != nil {
			return err
		}
		a, err := c.post("/token", "", "", url.Values{"grant_type": {oidc.GrantClientCredentials}, "resource": {api},
			"client_assertion_type": {oidc.AssertionType}, "client_assertion": {assertion}}, "DPoP", proof)
		if err != nil {
			return err
		}
		var t tokens
		if err := json.Unmarshal(a.body, &t); err != nil || a.status != http.StatusOK || t.Access == "" || t.Type != "DPoP" {
			return fmt.Errorf("want a token bound to a key, got %s", a)
		}
		return nil
	}, nil
}

// pushed sends an authorization request ahead (RFC 9126).
func pushed(_ context.Context, c *client) (func() error, error) {
	app := c.load.clients.es256
	return func() error {
		c.mayCount()
		a, err := c.post("/par", app.ID, c.load.clients.secrets[app.ID], authorizeForm(app.ID))
		if err != nil {
			return err
		}
		var says oidc.PushedResponse
		if err := json.Unmarshal(a.body, &says); err != nil || a.status != http.StatusCreated || says.RequestURI == "" {
			return fmt.Errorf("want a request_uri, got %s", a)
		}
		return nil
	}, nil
}

// userinfoProven shows a token that is bound to a key, with a proof each time.
func userinfoProven(ctx context.Context, c *client) (func() error, error) {
	prover, app := c.load.clients.prover, c.load.clients.spa
	c.move()
	p := c.load.people.take()
	code, err := c.browser().signIn(ctx, app, p)
	if err != nil {
		return nil, fmt.Errorf("sign in: %w", err)
	}
	proof, err := prover.proof("POST", c.issuer+"/token", "")
	if err != nil {
		return nil, err
	}
	a, err := c.post("/token", app.ID, "", redemption(code), "DPoP", proof)
	if err != nil {
		return nil, err
	}
	var t tokens
	if err := json.Unmarshal(a.body, &t); err != nil || t.Type != "DPoP" {
		return nil, fmt.Errorf("want tokens bound to a key, got %s", a)
	}
	return func() error {
		proof, err := prover.proof("GET", c.issuer+"/userinfo", t.Access)
		if err != nil {
			return err
		}
		a, err := c.get("/userinfo", "Authorization", "DPoP "+t.Access, "DPoP", proof)
		if err != nil {
			return err
		}
		return checkUserinfo(a, p)
	}, nil
}
