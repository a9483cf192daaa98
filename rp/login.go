package rp

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
)

// A LoginOption adds to one login.
type LoginOption func(*loginRequest)

type loginRequest struct {
	returnTo string
	params   url.Values
	require  Requirement // besides Config.Require
	subject  string      // who must sign in, "" for anybody
}

// ReturnTo is where Callback shall say to go back to, in Identity.ReturnTo. A
// path of this origin, at most 512 bytes; anything else becomes "/", so that
// what a link asked for can be passed as it is.
func ReturnTo(path string) LoginOption { return func(l *loginRequest) { l.returnTo = path } }

// UILocales are the languages that the server should speak, the preferred one
// first, as tags of BCP 47 (OpenID Connect Core §3.1.2.1). What is no tag is left
// out.
func UILocales(tags ...string) LoginOption {
	return func(l *loginRequest) {
		var good []string
		for _, tag := range tags {
			if tag != "" && len(tag) <= 35 && !strings.ContainsFunc(tag, notTag) {
				good = append(good, tag)
			}
		}
		l.set("ui_locales", strings.Join(good, " "))
	}
}

func notTag(r rune) bool {
	return r != '-' && (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z')
}

// LoginHint is the name that the user will probably sign in with (OpenID Connect
// Core §3.1.2.1). It is no requirement: check Identity.Subject.
func LoginHint(name string) LoginOption {
	return func(l *loginRequest) { l.set("login_hint", name) }
}

// Prompt asks for pages of the server: none, login, consent, select_account,
// create (OpenID Connect Core §3.1.2.1). That they were shown is not verified;
// Requirement.Fresh is.
func Prompt(values ...string) LoginOption {
	return func(l *loginRequest) { l.set("prompt", strings.Join(values, " ")) }
}

func (l *loginRequest) set(name, value string) {
	if value != "" {
		l.params.Set(name, value)
	}
}

// Login redirects the browser to the server (303), and leaves it a cookie that
// Callback will ask for. At most five logins are pending in a browser, each for
// 15 minutes; a sixth ends the oldest.
//
// It answers the request in any case, by Config.ErrorPage if the server cannot be
// reached or refuses a pushed request (*UnavailableError) or if nobody navigated here
// (ErrNotNavigation).
func (c *Client) Login(w http.ResponseWriter, r *http.Request, options ...LoginOption) {
	w.Header().Set("Cache-Control", "no-store")
	location, err := c.startLogin(w, r, options)
	if err != nil {
		c.report(r.Context(), err)
		c.config.ErrorPage(w, r, err)
		return
	}
	w.Header().Set("Location", location)
	w.WriteHeader(http.StatusSeeOther)
}

// startLogin stores a pending login and returns where to send the browser.
func (c *Client) startLogin(w http.ResponseWriter, r *http.Request, options []LoginOption) (string, error) {
	if !isNavigation(r.Header) {
		return "", ErrNotNavigation
	}
	l := loginRequest{params: url.Values{}}
	for _, option := range options {
		option(&l)
	}
	if c.config.RedirectURL == "" {
		return "", &UnavailableError{Doing: "signing in", Err: errors.New("Config.RedirectURL is empty")}
	}
	m, err := c.serverMetadata(r.Context())
	if err != nil {
		return "", err
	}
	p := newPending(c.config.Now(), l.returnTo)
	p.require = l.require
	if l.subject != "" {
		p.subject = digest(l.subject)
	}
	location, err := c.authorizationURL(m, p, l)
	if err != nil {
		return "", err
	}
	if c.config.PushRequests || m.requirePushed {
		if location, err = c.push(r.Context(), m, location); err != nil {
			return "", err
		}
	}
	return location, c.storePending(w, r, p)
}

// isNavigation reports whether a person goes to a page, as far as the browser
// tells (Fetch Metadata Request Headers §2.1). Anything else would only fill the
// browser with pending logins.
func isNavigation(h http.Header) bool {
	dest := h.Get("Sec-Fetch-Dest")
	prefetch := h.Get("Sec-Purpose") + h.Get("Purpose")
	return (dest == "" || dest == "document") && !strings.Contains(prefetch, "prefetch")
}

func (c *Client) serverMetadata(ctx context.Context) (metadata, error) {
	m, err := c.metadata.Get(ctx)
	if err != nil {
		return metadata{}, &UnavailableError{Doing: "fetching the server's metadata", Err: err}
	}
	return m, nil
}

// authorizationURL is the authorization request (OpenID Connect Core §3.1.2.1).
func (c *Client) authorizationURL(m metadata, p pending, l loginRequest) (string, error) {
	u, err := url.Parse(m.authorizationEndpoint)
	if err != nil {
		return "", fmt.Errorf("rp: authorization_endpoint: %w", err)
	}
	q := u.Query()
	for name := range l.params {
		q.Set(name, l.params.Get(name))
	}
	require, possible := l.require.and(c.config.Require)
	if !possible { // StepUp has seen to it
		return "", errors.New("rp: no acr meets both requirements")
	}
	subject := l.subject
	if l.params.Has("id_token_hint") {
		subject = ""
	}
	require.addTo(q, m.claimsParameter, subject, c.config.UserInfo && c.config.Resource != "")
	challenge := sha256.Sum256([]byte(p.verifier))
	q.Set("response_type", "code")
	q.Set("client_id", c.config.ClientID)
	q.Set("redirect_uri", c.config.RedirectURL)
	q.Set("scope", strings.Join(c.config.Scopes, " "))
	c.addResource(q)
	q.Set("state", p.state)
	q.Set("nonce", p.nonce)
	q.Set("code_challenge", base64.RawURLEncoding.EncodeToString(challenge[:]))
	q.Set("code_challenge_method", "S256")
	if c.config.FormPost {
		q.Set("response_mode", "form_post")
	}
	if c.prover != nil {
		q.Set("dpop_jkt", c.prover.thumbprint) // RFC 9449 §10
	}
	u.RawQuery = q.Encode()
	return u.String(), nil
}

// report logs what a person has to set right.
func (c *Client) report(ctx context.Context, err error) {
	var unavailable *UnavailableError
	if errors.As(err, &unavailable) && ctx.Err() == nil {
		c.config.Logger.ErrorContext(ctx, "sign-in is not possible", slog.String("issuer", c.config.Issuer), slog.Any("error", err))
	}
}

func plainErrorPage(w http.ResponseWriter, _ *http.Request, err error) {
	status := http.StatusForbidden
	if ReasonCode(err) == CodeUnavailable {
		status = http.StatusServiceUnavailable
	}
	plainAnswer(w, status, Reason(err))
}
