package rp

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"

	"golang.org/x/oauth2"

	"github.com/sallyport-id/sallyport/internal/issuer"
)

// HTTPClient sends requests to APIs with the tokens of a source and, with
// Config.DPoPKey, proofs, through Config.HTTPClient's transport and with its
// timeout. A request whose proof lacks the API's nonce is sent again, once, if it
// has no body or a GetBody, as http.NewRequest makes. It sends them over https
// only, as Config.InsecureAllowHTTP says, and follows no redirect to another
// origin, which would get the token as well. Answers are as they came; CheckStepUp
// says whether one takes another sign-in.
func (c *Client) HTTPClient(source oauth2.TokenSource) *http.Client {
	client := &http.Client{CheckRedirect: sameOrigin}
	t := &transport{client: c, source: source, base: http.DefaultTransport}
	if own := c.config.HTTPClient; own != nil {
		client.Timeout = own.Timeout
		if own.Transport != nil {
			t.base = own.Transport
		}
	}
	client.Transport = t
	return client
}

func sameOrigin(r *http.Request, via []*http.Request) error {
	if first := via[0].URL; r.URL.Scheme != first.Scheme || r.URL.Host != first.Host {
		return http.ErrUseLastResponse
	}
	if len(via) >= 10 {
		return errors.New("rp: stopped after 10 redirects")
	}
	return nil
}

// transport adds a token to requests, and the proof that goes with it.
type transport struct {
	client *Client
	source oauth2.TokenSource
	base   http.RoundTripper
}

// RoundTrip closes the request's body in any case, as it must.
func (t *transport) RoundTrip(r *http.Request) (*http.Response, error) {
	token, err := t.token(r)
	if err != nil {
		if r.Body != nil {
			r.Body.Close()
		}
		return nil, err
	}
	if !isDPoP(token) {
		return t.base.RoundTrip(with(r, token))
	}
	res, err := t.prove(r, token)
	if err != nil || !t.wantsNonce(r, res) {
		return res, err
	}
	body := r.Body
	if r.GetBody != nil {
		if body, err = r.GetBody(); err != nil {
			return res, nil // the API's refusal says enough
		}
	}
	io.Copy(io.Discard, io.LimitReader(res.Body, longestAnswer))
	res.Body.Close()
	again := r.Clone(r.Context())
	again.Body = body
	res, err = t.prove(again, token)
	if err == nil {
		t.client.prover.learn(r.URL, res.Header)
	}
	return res, err
}

// token gets a token for a request that may carry one.
func (t *transport) token(r *http.Request) (*oauth2.Token, error) {
	if err := issuer.CheckURL(origin(r.URL), t.client.config.InsecureAllowHTTP); err != nil {
		return nil, fmt.Errorf("rp: the API's URL: %w", err)
	}
	token, err := t.source.Token()
	if err == nil && strings.EqualFold(token.TokenType, noAccessToken) {
		err = errors.New("rp: the token is none for APIs")
	}
	if err == nil && isDPoP(token) && t.client.prover == nil {
		err = errors.New("rp: the token is bound to a key, but there is no Config.DPoPKey")
	}
	return token, err
}

func isDPoP(t *oauth2.Token) bool { return strings.EqualFold(t.TokenType, "DPoP") }

// with is a copy of a request, with a token.
func with(r *http.Request, token *oauth2.Token) *http.Request {
	r = r.Clone(r.Context())
	token.SetAuthHeader(r)
	return r
}

// prove sends a request with a token and a proof for both (RFC 9449 §7.1).
func (t *transport) prove(r *http.Request, token *oauth2.Token) (*http.Response, error) {
	sent := with(r, token)
	if err := t.client.prover.prove(sent, token.AccessToken); err != nil {
		if r.Body != nil {
			r.Body.Close()
		}
		return nil, err
	}
	return t.base.RoundTrip(sent)
}

// wantsNonce reports whether the API refused for want of the nonce that it gave
// (RFC 9449 §9), and the request can be sent again.
func (t *transport) wantsNonce(r *http.Request, res *http.Response) bool {
	if !t.client.prover.learn(r.URL, res.Header) || res.StatusCode != http.StatusUnauthorized {
		return false
	}
	replayable := r.Body == nil || r.Body == http.NoBody || r.GetBody != nil
	return replayable && slices.ContainsFunc(parseChallenges(res.Header.Values("WWW-Authenticate")), func(c challenge) bool {
		return c.isError(useNonce)
	})
}
