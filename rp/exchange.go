package rp

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"golang.org/x/oauth2"
)

// tokens is a token response.
type tokens struct {
	oauth2  *oauth2.Token
	idToken string
}

// exchange redeems a code (RFC 6749 §4.1.3, RFC 7636 §4.5).
func (c *Client) exchange(ctx context.Context, m metadata, code, verifier string) (tokens, error) {
	form := url.Values{
		"grant_type": {"authorization_code"}, "code": {code},
		"redirect_uri": {c.config.RedirectURL}, "code_verifier": {verifier},
	}
	a, err := c.postForm(ctx, m.tokenEndpoint, form)
	if err != nil {
		return tokens{}, &UnavailableError{Doing: "redeeming the code", Err: err}
	}
	if a.status != http.StatusOK {
		return tokens{}, tokenError(a)
	}
	return parseTokens(a.body, c.config.Now())
}

// postForm sends a form that the client authenticates (RFC 6749 §2.3.1).
func (c *Client) postForm(ctx context.Context, endpoint string, form url.Values) (answer, error) {
	if c.config.AuthMethod != AuthBasic {
		form.Set("client_id", c.config.ClientID)
	}
	if c.config.AuthMethod == AuthPost {
		form.Set("client_secret", c.config.ClientSecret)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, endpoint, strings.NewReader(form.Encode()))
	if err != nil {
		return answer{}, err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if c.config.AuthMethod == AuthBasic {
		req.SetBasicAuth(url.QueryEscape(c.config.ClientID), url.QueryEscape(c.config.ClientSecret))
	}
	return c.do(req, longestAnswer)
}

// tokenError is the error that an answer of the token endpoint stands for
// (RFC 6749 §5.2).
func tokenError(a answer) error {
	object, err := parseObject(a.body)
	r := reader{claims: object}
	code, description := r.text("error"), r.text("error_description")
	if err != nil || r.err != nil || code == "" {
		return &UnavailableError{Doing: "redeeming the code", Err: fmt.Errorf("the token endpoint answered with status %d", a.status)}
	}
	return newResponseError(code, description, true)
}

// parseTokens reads a successful token response (OpenID Connect Core §3.1.3.3).
func parseTokens(data []byte, now time.Time) (tokens, error) {
	object, err := parseObject(data)
	if err != nil {
		return tokens{}, refuse("token response", "%v", err)
	}
	r := reader{claims: object}
	t := &oauth2.Token{AccessToken: r.text("access_token"), TokenType: r.text("token_type"), RefreshToken: r.text("refresh_token")}
	idToken, scope := r.text("id_token"), r.text("scope")
	r.decode("expires_in", &t.ExpiresIn)
	if r.err != nil {
		return tokens{}, refuse("token response", "%v", r.err)
	}
	if t.AccessToken == "" || strings.ContainsFunc(t.AccessToken, notVisible) {
		return tokens{}, refuse("access_token", "it is missing or malformed")
	}
	if !strings.EqualFold(t.TokenType, "Bearer") {
		return tokens{}, refuse("token_type", "it is not Bearer")
	}
	if idToken == "" {
		return tokens{}, refuse("id_token", "it is missing")
	}
	if t.ExpiresIn > 0 {
		t.Expiry = now.Add(time.Duration(min(t.ExpiresIn, 1<<31)) * time.Second)
	}
	return tokens{t.WithExtra(map[string]any{"id_token": idToken, "scope": scope}), idToken}, nil
}
