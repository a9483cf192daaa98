package rp

import (
	"context"
	"crypto"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/sallyport-id/sallyport/internal/issuer"
)

const (
	useNonce     = "use_dpop_nonce"
	longestNonce = 1024 // bytes
	mostNonces   = 100  // servers and APIs whose nonce is remembered
)

// A prover proves that the client has its DPoP key (RFC 9449 §4.2), with the nonce
// that each server or API gave last (§8.2, §9).
type prover struct {
	key        crypto.Signer
	alg        string
	thumbprint string // RFC 7638
	now        func() time.Time

	mu     sync.Mutex
	nonces map[string]string // by origin
}

func newProver(key crypto.Signer, now func() time.Time) (*prover, error) {
	alg, err := issuer.KeyAlgorithm(key, "")
	if err != nil {
		return nil, err
	}
	sum, err := (&jose.JSONWebKey{Key: key.Public()}).Thumbprint(crypto.SHA256)
	if err != nil {
		return nil, err
	}
	return &prover{key: key, alg: alg, thumbprint: base64.RawURLEncoding.EncodeToString(sum), now: now, nonces: map[string]string{}}, nil
}

// prove adds a proof to a request, with the access token that it uses, if any.
func (p *prover) prove(r *http.Request, accessToken string) error {
	target := url.URL{Scheme: r.URL.Scheme, Host: r.URL.Host, Path: r.URL.Path, RawPath: r.URL.RawPath} // no query
	claims := map[string]any{"jti": rand.Text(), "htm": r.Method, "htu": target.String(), "iat": p.now().Unix()}
	if accessToken != "" {
		claims["ath"] = digest(accessToken)
	}
	if nonce := p.nonce(r.URL); nonce != "" {
		claims["nonce"] = nonce
	}
	proof, err := issuer.Sign(p.key, p.alg, (&jose.SignerOptions{EmbedJWK: true}).WithType("dpop+jwt"), claims)
	if err != nil {
		return fmt.Errorf("DPoP proof: %w", err)
	}
	r.Header.Set("DPoP", proof)
	return nil
}

func origin(u *url.URL) string { return u.Scheme + "://" + u.Host }

func (p *prover) nonce(u *url.URL) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.nonces[origin(u)]
}

// learn remembers the nonce of an answer, and reports whether there is one.
func (p *prover) learn(u *url.URL, h http.Header) bool {
	nonce := h.Get("DPoP-Nonce")
	if nonce == "" || len(nonce) > longestNonce || strings.ContainsFunc(nonce, issuer.NotVisible) {
		return false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.nonces) >= mostNonces {
		clear(p.nonces)
	}
	p.nonces[origin(u)] = nonce
	return true
}

// postProven is postForm with a proof of the client's DPoP key, if it has one. It
// is sent once more if the server wants its nonce in it (RFC 9449 §8).
func (c *Client) postProven(ctx context.Context, endpoint string, form url.Values) (issuer.Answer, error) {
	if c.prover == nil {
		return c.postForm(ctx, endpoint, form)
	}
	a, again, err := c.postProof(ctx, endpoint, form)
	if again {
		a, _, err = c.postProof(ctx, endpoint, form)
	}
	return a, err
}

// postProof reports whether the same with the nonce that came may do.
func (c *Client) postProof(ctx context.Context, endpoint string, form url.Values) (issuer.Answer, bool, error) {
	req, err := c.formRequest(ctx, endpoint, form)
	if err != nil {
		return issuer.Answer{}, false, err
	}
	if err := c.prover.prove(req, ""); err != nil {
		return issuer.Answer{}, false, err
	}
	a, err := c.server.Do(req, longestAnswer)
	if err != nil || !c.prover.learn(req.URL, a.Header) || a.Status == http.StatusOK {
		return a, false, err
	}
	object, _ := issuer.ParseObject(a.Body)
	r := issuer.Reader{Object: object}
	return a, r.Text("error") == useNonce, nil
}
