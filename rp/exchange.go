package rp

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"golang.org/x/oauth2"

	"github.com/sallyport-id/sallyport/internal/issuer"
)

const longestAnswer = 128 << 10 // bytes of a token response or userinfo

// tokens is a token response.
type tokens struct {
	oauth2  *oauth2.Token
	idToken string // "" if there is none
}

// exchange redeems a code (RFC 6749 §4.1.3, RFC 7636 §4.5).
func (c *Client) exchange(ctx context.Context, m metadata, code, verifier string) (tokens, error) {
	form := url.Values{
		"grant_type": {"authorization_code"}, "code": {code},
		"redirect_uri": {c.config.RedirectURL}, "code_verifier": {verifier},
	}
	c.addResource(form)
	t, err := c.grant(ctx, m, "redeeming the code", form)
	if err == nil && t.idToken == "" {
		return tokens{}, refuse("id_token", "it is missing")
	}
	return t, err
}

// grant asks the token endpoint for tokens; doing is what for.
func (c *Client) grant(ctx context.Context, m metadata, doing string, form url.Values) (tokens, error) {
	body, err := c.askForTokens(ctx, m, doing, form)
	if err != nil {
		return tokens{}, err
	}
	return parseTokens(body, c.tokenType(), c.config.Now())
}

// askForTokens returns the answer of the token endpoint, unless it is an error.
func (c *Client) askForTokens(ctx context.Context, m metadata, doing string, form url.Values) ([]byte, error) {
	a, err := c.postProven(ctx, m.tokenEndpoint, form)
	if err != nil {
		return nil, &UnavailableError{Doing: doing, Err: err}
	}
	if a.Status != http.StatusOK {
		return nil, answerError(doing, a)
	}
	return a.Body, nil
}

// tokenType is the type of the client's access tokens.
func (c *Client) tokenType() string {
	if c.prover != nil {
		return "DPoP"
	}
	return "Bearer"
}

// postForm sends a form that the client authenticates.
func (c *Client) postForm(ctx context.Context, endpoint string, form url.Values) (issuer.Answer, error) {
	req, err := c.formRequest(ctx, endpoint, form)
	if err != nil {
		return issuer.Answer{}, err
	}
	return c.server.Do(req, longestAnswer)
}

// formRequest makes the request of postForm (RFC 6749 §2.3.1, RFC 7523 §2.2). It
// is good once, as an assertion is.
func (c *Client) formRequest(ctx context.Context, endpoint string, form url.Values) (*http.Request, error) {
	if c.config.AuthMethod != AuthBasic {
		form.Set("client_id", c.config.ClientID)
	}
	switch c.config.AuthMethod {
	case AuthPost:
		form.Set("client_secret", c.config.ClientSecret)
	case AuthPrivateKeyJWT:
		by := issuer.Asserter{Issuer: c.config.Issuer, ClientID: c.config.ClientID, Key: c.config.PrivateKey, KeyID: c.config.KeyID, Alg: c.config.KeyAlg}
		if err := by.Assert(form, c.config.Now()); err != nil {
			return nil, err
		}
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, endpoint, strings.NewReader(form.Encode()))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if c.config.AuthMethod == AuthBasic {
		req.SetBasicAuth(url.QueryEscape(c.config.ClientID), url.QueryEscape(c.config.ClientSecret))
	}
	return req, nil
}

// answerError is the error that an answer of an endpoint for clients stands for
// (RFC 6749 §5.2).
func answerError(doing string, a issuer.Answer) error {
	object, err := issuer.ParseObject(a.Body)
	r := issuer.Reader{Object: object}
	code, description := r.Text("error"), r.Text("error_description")
	if err != nil || r.Err != nil || code == "" {
		return &UnavailableError{Doing: doing, Err: fmt.Errorf("the answer has status %d", a.Status)}
	}
	return newResponseError(code, description, true)
}

// parseTokens reads a successful token response with a token of a type (OpenID
// Connect Core §3.1.3.3, RFC 9449 §5).
func parseTokens(data []byte, kind string, now time.Time) (tokens, error) {
	object, err := issuer.ParseObject(data)
	if err != nil {
		return tokens{}, refuse("token response", "%v", err)
	}
	r := issuer.Reader{Object: object}
	t := &oauth2.Token{AccessToken: r.Text("access_token"), TokenType: r.Text("token_type"), RefreshToken: r.Text("refresh_token")}
	idToken, scope := r.Text("id_token"), r.Text("scope")
	r.Decode("expires_in", &t.ExpiresIn)
	if r.Err != nil {
		return tokens{}, refuse("token response", "%v", r.Err)
	}
	if t.AccessToken == "" || strings.ContainsFunc(t.AccessToken, issuer.NotVisible) {
		return tokens{}, refuse("access_token", "it is missing or malformed")
	}
	if !strings.EqualFold(t.TokenType, kind) {
		return tokens{}, refuse("token_type", "it is not %s", kind)
	}
	if t.ExpiresIn > 0 {
		t.Expiry = now.Add(time.Duration(min(t.ExpiresIn, 1<<31)) * time.Second)
	}
	return tokens{withExtra(t, idToken, scope), idToken}, nil
}
