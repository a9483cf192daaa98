package main

import (
	"context"
	"errors"
	"fmt"
	"html"
	"net/http"
	"net/url"
	"regexp"
	"strings"

	"github.com/sallyport-id/sallyport/internal/oidc"
)

const (
	verifier  = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk" // RFC 7636 App. B
	challenge = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
)

// authorizeForm is an authorization request, with further parameters in pairs.
func authorizeForm(client string, more ...string) url.Values {
	q := url.Values{"response_type": {"code"}, "client_id": {client}, "redirect_uri": {callback}, "state": {"st"}, "nonce": {"n-1"},
		"scope": {"openid profile email"}, "code_challenge": {challenge}, "code_challenge_method": {"S256"}}
	for i := 0; i < len(more); i += 2 {
		q.Set(more[i], more[i+1])
	}
	return q
}

// authorizePath is the request as a browser brings it.
func authorizePath(client string, more ...string) string {
	return "/authorize?" + authorizeForm(client, more...).Encode()
}

// response reads the answer that a redirect brings to the application, and checks
// what all of them have.
func (c *client) response(a *answer) (url.Values, error) {
	to := a.header.Get("Location")
	query, ours := strings.CutPrefix(to, callback+"?")
	q, err := url.ParseQuery(query)
	if err != nil || !ours || a.status != http.StatusSeeOther || q.Get("state") != "st" || q.Get("iss") != c.issuer {
		return nil, fmt.Errorf("want a redirect to the application, got %s", a)
	}
	return q, nil
}

func (c *client) code(a *answer) (string, error) {
	q, err := c.response(a)
	if err == nil && q.Get("code") == "" {
		err = fmt.Errorf("want a code, got %v", q)
	}
	return q.Get("code"), err
}

func redemption(code string) url.Values {
	return url.Values{"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {callback}, "code_verifier": {verifier}}
}

// redeem brings the code to the token endpoint, and checks the answer.
func (c *client) redeem(app *oidc.Client, code, subject string) (*tokens, error) {
	a, err := c.token(app.ID, c.load.clients.secrets[app.ID], redemption(code))
	if err != nil {
		return nil, err
	}
	return c.checkTokens(a, app, subject, "n-1")
}

// signIn takes a person from an authorization request, which answered with the
// first page, through password and TOTP to the code.
func (b *browser) signIn(ctx context.Context, app *oidc.Client, p *person) (code string, err error) {
	at, err := b.do(ctx, "GET", b.issuer+authorizePath(app.ID), nil)
	if err != nil {
		return "", err
	}
	if at, err = b.fill(ctx, at, "password", url.Values{"username": {p.login}, "password": {password}}); err != nil {
		return "", err
	}
	totp, err := p.code()
	if err != nil {
		return "", err
	}
	if at, err = b.fill(ctx, at, "totp", url.Values{"code": {totp}}); err != nil {
		return "", err
	}
	return b.code(at.answer)
}

var hidden = regexp.MustCompile(`<input type="hidden" name="([a-z]+)" value="([^"]*)"`)

// fill sends the page's form with what a person has typed.
func (b *browser) fill(ctx context.Context, at *page, action string, typed url.Values) (*page, error) {
	begin := regexp.MustCompile(`<form method="post" action="(/interaction/[^/"]+/` + action + `)">`).FindSubmatch(at.body)
	if at.status != http.StatusOK || begin == nil {
		return nil, fmt.Errorf("want the form %q, got %s", action, at)
	}
	_, form, _ := strings.Cut(string(at.body), string(begin[0]))
	form, _, ended := strings.Cut(form, "</form>")
	if !ended {
		return nil, errors.New("the form has no end")
	}
	for _, m := range hidden.FindAllStringSubmatch(form, -1) {
		typed.Set(m[1], html.UnescapeString(m[2]))
	}
	return b.do(ctx, "POST", b.issuer+string(begin[1]), typed)
}

// session signs somebody in and returns the cookies of that.
func (c *client) session(ctx context.Context, app *oidc.Client) (cookies string, t *tokens, p *person, err error) {
	c.move()
	b, p := c.browser(), c.load.people.take()
	code, err := b.signIn(ctx, app, p)
	if err != nil {
		return "", nil, nil, fmt.Errorf("sign in: %w", err)
	}
	if t, err = c.redeem(app, code, p.id); err != nil {
		return "", nil, nil, fmt.Errorf("redeem: %w", err)
	}
	cookies, err = b.cookies()
	return cookies, t, p, err
}
