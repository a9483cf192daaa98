package rp

import (
	"context"
	"errors"
	"net/http"
	"net/url"

	"github.com/sallyport-id/sallyport/internal/issuer"
)

// Callback checks the server's answer to Login and says who signed in. It writes
// no body and no status, only headers (the login's cookie goes, nothing is
// cached or referred to); answer with a redirect to Identity.ReturnTo, so that
// the code does not stay in the address bar.
//
// Errors: *StateError if the answer belongs to no login of this browser, of which
// nothing is believed then, not even an error; *ResponseError if the server
// refused; *CheckError if something does not hold; *UnmetError if the login
// proved less than was required; ErrOtherUser if another user signed in than who
// was to step up; *UnavailableError if the server does not answer. Reason has a
// sentence for each. The identity is nil then.
//
// The answer must come as a GET request (response_mode query) or, with Config.FormPost,
// as a POST.
func (c *Client) Callback(w http.ResponseWriter, r *http.Request) (*Identity, error) {
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Referrer-Policy", "no-referrer")
	id, err := c.finishLogin(w, r)
	if err != nil {
		c.report(r.Context(), err)
		return nil, err
	}
	return id, nil
}

func (c *Client) finishLogin(w http.ResponseWriter, r *http.Request) (*Identity, error) {
	if c.config.RedirectURL == "" {
		return nil, &UnavailableError{Doing: "signing in", Err: errors.New("Config.RedirectURL is empty")}
	}
	params := c.answer(w, r)
	if len(params["state"]) != 1 || params.Get("state") == "" {
		return nil, &StateError{StateMissing}
	}
	login, err := c.takePending(w, r, params.Get("state"))
	if err != nil {
		return nil, err
	}
	m, err := c.serverMetadata(r.Context())
	if err != nil {
		return nil, err
	}
	code, err := m.checkResponse(params)
	if err != nil {
		return nil, err
	}
	return c.identify(r.Context(), m, login, code)
}

// longestForm is how many bytes an answer by POST may have.
const longestForm = 64 << 10

// answer has the parameters of the server's answer, from where Config asked for it and
// from nowhere else; none if they cannot be read.
func (c *Client) answer(w http.ResponseWriter, r *http.Request) url.Values {
	if !c.config.FormPost {
		return r.URL.Query()
	}
	r.Body = http.MaxBytesReader(w, r.Body, longestForm)
	if r.Method != http.MethodPost || r.ParseForm() != nil {
		return nil
	}
	return r.PostForm
}

// checkResponse returns the code of an authorization response that comes from
// this server (RFC 6749 §4.1.2, RFC 9207 §2.4).
func (m metadata) checkResponse(params url.Values) (code string, err error) {
	for _, name := range []string{"iss", "code", "error"} {
		if len(params[name]) > 1 {
			return "", refuse(name, "it occurs twice in the answer")
		}
	}
	if iss, there := params["iss"]; there && iss[0] != m.issuer {
		return "", refuse("iss", "the answer comes from %q", issuer.Clip(iss[0]))
	} else if !there && m.responseIss {
		return "", refuse("iss", "it is missing from the answer, but the server announces it")
	}
	if params.Has("error") {
		return "", newResponseError(params.Get("error"), params.Get("error_description"), false)
	}
	if params.Get("code") == "" {
		return "", refuse("code", "it is missing from the answer")
	}
	return params.Get("code"), nil
}

// identify exchanges the code and checks what it is worth.
func (c *Client) identify(ctx context.Context, m metadata, login pending, code string) (*Identity, error) {
	tokens, err := c.exchange(ctx, m, code, login.verifier)
	if err != nil {
		return nil, err
	}
	return c.identifyBy(ctx, tokens, login)
}

// identifyBy says whose tokens these are, if they are of this login and meet what
// is required.
func (c *Client) identifyBy(ctx context.Context, tokens tokens, login pending) (*Identity, error) {
	id, err := c.verifyIDToken(ctx, tokens.idToken, expected{nonce: login.nonce, accessToken: tokens.oauth2.AccessToken})
	if err != nil {
		return nil, err
	}
	if login.subject != "" && login.subject != digest(id.Subject) {
		return nil, ErrOtherUser
	}
	for _, require := range []Requirement{c.config.Require, login.require} {
		if err := require.checkMet(id, login.started, c.config.Leeway); err != nil {
			return nil, err
		}
	}
	id.Token, id.IDToken, id.ReturnTo = tokens.oauth2, tokens.idToken, login.returnTo
	if !c.config.UserInfo || c.config.Resource != "" {
		return id, nil
	}
	claims, err := c.UserInfo(ctx, id)
	if err != nil {
		return nil, err
	}
	if err := id.fill(claims); err != nil {
		return nil, refuse("userinfo", "%v", err)
	}
	return id, nil
}
