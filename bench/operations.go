package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/sallyport-id/sallyport/internal/oidc"
)

// operations are measured in this order.
var operations = []operation{
	{name: "discovery", requests: 1, target: 30_000, begin: document("/.well-known/openid-configuration", `"issuer":`)},
	{name: "JWKS", requests: 1, target: 30_000, begin: document("/jwks.json", `"keys":`)},
	{name: "code flow with a session, ES256", requests: 2, counted: 1, target: 3_000, inFull: true,
		begin: codeFlow(func(c clients) *oidc.Client { return c.es256 })},
	{name: "code flow with a session, RS256", requests: 2, counted: 1, target: 1_000,
		begin: codeFlow(func(c clients) *oidc.Client { return c.rs256 })},
	{name: "refresh with rotation, ES256", requests: 1, target: 5_000, inFull: true, begin: rotation},
	{name: "client credentials", requests: 1, target: 10_000, inFull: true, begin: clientCredentials(api)},
	{name: "client credentials, a JWT", requests: 1, begin: clientCredentials(signingAPI)},
	{name: "client credentials, private_key_jwt and DPoP", requests: 1, begin: proven},
	{name: "pushed authorization request", requests: 1, counted: 1, begin: pushed},
	{name: "introspection", requests: 1, target: 20_000, begin: introspection(api)},
	{name: "introspection of a JWT", requests: 1, begin: introspection(signingAPI)},
	{name: "userinfo", requests: 1, target: 20_000, inFull: true, begin: userinfo},
	{name: "userinfo, DPoP", requests: 1, begin: userinfoProven},
	{name: "authorize without a session, and its page", requests: 2, counted: 1, begin: firstPage},
	{name: "prompt=none without a session", requests: 1, counted: 1, begin: silent},
	{name: "client authentication that fails", requests: 1, counted: 1, begin: wrongSecret},
	{name: "sign-in, password and TOTP, to the tokens", requests: 6, counted: 3, target: 55, begin: signIn},
}

// document is public and always the same.
func document(path, has string) func(context.Context, *client) (func() error, error) {
	return func(_ context.Context, c *client) (func() error, error) {
		first, err := c.get(path)
		if err != nil || first.status != http.StatusOK || !bytes.Contains(first.body, []byte(has)) {
			return nil, fmt.Errorf("want %s, got %v %w", path, first, err)
		}
		return func() error {
			a, err := c.get(path)
			if err == nil && (a.status != http.StatusOK || !bytes.Equal(a.body, first.body)) {
				err = fmt.Errorf("want the same again, got %s", a)
			}
			return err
		}, nil
	}
}

func codeFlow(which func(clients) *oidc.Client) func(context.Context, *client) (func() error, error) {
	return func(ctx context.Context, c *client) (func() error, error) {
		app := which(c.load.clients)
		cookies, _, p, err := c.session(ctx, app)
		return func() error {
			c.mayCount()
			a, err := c.get(authorizePath(app.ID), "Cookie", cookies)
			if err != nil {
				return err
			}
			code, err := c.code(a)
			if err != nil {
				return err
			}
			_, err = c.redeem(app, code, p.id)
			return err
		}, err
	}
}

func rotation(ctx context.Context, c *client) (func() error, error) {
	app := c.load.clients.spa
	_, last, p, err := c.session(ctx, app)
	return func() error {
		a, err := c.token(app.ID, "", url.Values{"grant_type": {"refresh_token"}, "refresh_token": {last.Refresh}})
		if err != nil {
			return err
		}
		next, err := c.checkTokens(a, app, p.id, "")
		if err != nil {
			return err
		}
		if next.Refresh == "" || next.Refresh == last.Refresh {
			return fmt.Errorf("want another refresh token, got %s", a)
		}
		last = next
		return nil
	}, err
}

// clientCredentials are tokens for a client itself, in the API's format.
func clientCredentials(api string) func(context.Context, *client) (func() error, error) {
	return func(_ context.Context, c *client) (func() error, error) {
		return func() error {
			_, err := c.ownToken(api)
			return err
		}, nil
	}
}

// ownToken is one for a client itself.
func (c *client) ownToken(api string) (string, error) {
	worker := c.load.clients.worker
	a, err := c.token(worker.ID, c.load.clients.secrets[worker.ID], url.Values{"grant_type": {"client_credentials"}, "resource": {api}})
	if err != nil {
		return "", err
	}
	var t tokens
	if err := json.Unmarshal(a.body, &t); err != nil || a.status != http.StatusOK || t.Access == "" || t.Type != "Bearer" {
		return "", fmt.Errorf("want a token, got %s", a)
	}
	return t.Access, nil
}

// introspection is an API's question about a token for it.
func introspection(api string) func(context.Context, *client) (func() error, error) {
	return func(_ context.Context, c *client) (func() error, error) {
		token, err := c.ownToken(api)
		orders := c.load.clients.orders
		return func() error {
			a, err := c.post("/introspect", orders.ID, c.load.clients.secrets[orders.ID], url.Values{"token": {token}})
			if err != nil {
				return err
			}
			var says oidc.Introspection
			if err := json.Unmarshal(a.body, &says); err != nil || a.status != http.StatusOK || !says.Active || says.Audience != api || says.Scope != "read" {
				return fmt.Errorf("want what the token says, got %s", a)
			}
			return nil
		}, err
	}
}

func userinfo(ctx context.Context, c *client) (func() error, error) {
	_, t, p, err := c.session(ctx, c.load.clients.es256)
	return func() error {
		a, err := c.get("/userinfo", "Authorization", "Bearer "+t.Access)
		if err != nil {
			return err
		}
		return checkUserinfo(a, p)
	}, err
}

func checkUserinfo(a *answer, p *person) error {
	var claims struct{ Sub, Email string }
	if err := json.Unmarshal(a.body, &claims); err != nil || a.status != http.StatusOK || claims.Sub != p.id || claims.Email != p.login+"@example.com" {
		return fmt.Errorf("want the claims of %s, got %s", p.login, a)
	}
	return nil
}

func firstPage(ctx context.Context, c *client) (func() error, error) {
	return func() error {
		c.mayCount()
		at, err := c.browser().do(ctx, "GET", c.issuer+authorizePath("es256"), nil)
		if err == nil && (at.status != http.StatusOK || !strings.HasPrefix(at.url.Path, "/interaction/") || !bytes.Contains(at.body, []byte(`id="password"`))) {
			err = fmt.Errorf("want the page for the password, got %s", at)
		}
		return err
	}, nil
}

func silent(_ context.Context, c *client) (func() error, error) {
	return func() error {
		c.mayCount()
		a, err := c.get(authorizePath("es256", "prompt", "none"))
		if err != nil {
			return err
		}
		q, err := c.response(a)
		if err == nil && q.Get("error") != oidc.LoginRequired {
			err = fmt.Errorf("want login_required, got %v", q)
		}
		return err
	}, nil
}

func wrongSecret(_ context.Context, c *client) (func() error, error) {
	return func() error {
		c.mayCount()
		a, err := c.token("es256", "wrong", redemption("ac_x.y"))
		if err == nil && (a.status != http.StatusUnauthorized || !bytes.Contains(a.body, []byte(`"error":"invalid_client"`))) {
			err = fmt.Errorf("want invalid_client, got %s", a)
		}
		return err
	}, nil
}

func signIn(ctx context.Context, c *client) (func() error, error) {
	app := c.load.clients.es256
	return func() error {
		c.mayCount()
		p := c.load.people.take()
		code, err := c.browser().signIn(ctx, app, p)
		if err != nil {
			return err
		}
		_, err = c.redeem(app, code, p.id)
		return err
	}, nil
}
