// Package token serves machines: the token endpoint, introspection, revocation
// and userinfo, on one pipeline. It authenticates the client and checks what it
// may do before a grant function runs, and issues after it: no grant can forget a
// check.
//
// issue is the only way to a user's token, and policy.Allows its gate.
// issueToClient is the only way to a client's own token, which is of another kind
// and never says that somebody signed in.
package token

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/sallyport-id/sallyport/internal/authn"
	"github.com/sallyport-id/sallyport/internal/clientkey"
	"github.com/sallyport-id/sallyport/internal/flow"
	"github.com/sallyport-id/sallyport/internal/keys"
	"github.com/sallyport-id/sallyport/internal/oidc"
	"github.com/sallyport-id/sallyport/internal/policy"
	"github.com/sallyport-id/sallyport/internal/store"
)

// The prefixes of tokens: a kind and a table each.
const (
	AccessPrefix  = "at_" // a user's access token
	ClientPrefix  = "ct_" // a client's own access token
	RefreshPrefix = "rt_"
)

// The lifetimes where a client names none, and the time in which the answer of
// a rotation may be asked for again.
const (
	accessTTL   = 10 * time.Minute
	refreshTTL  = 90 * 24 * time.Hour
	refreshIdle = 30 * 24 * time.Hour
	idTokenTTL  = 10 * time.Minute
	retryGrace  = 10 * time.Second
)

// Store is what the token endpoint keeps and asks for.
type Store interface {
	store.Clients
	store.Resources
	store.Codes
	store.DeviceCodes
	store.PushedRequests
	store.GrantStore
	store.ClientTokens
	store.Authenticators
	store.Replay
	store.Audit
}

// Service answers token, introspection, revocation and userinfo requests.
type Service struct {
	Store  Store
	Policy policy.Source
	Keys   *keys.Ring
	Issuer string
	// ClientKeys are those in which clients sign.
	ClientKeys *clientkey.Cache
	// Sealer opens the secrets in which clients sign.
	Sealer *keys.Sealer
	// Subjects knows what users are called at clients.
	Subjects *keys.Subjects
	// NonceKey keys the MACs of DPoP nonces.
	NonceKey []byte
	// WebAuthn knows which authenticators are hardware-bound today; nil: none is.
	WebAuthn *authn.RelyingParty
	Now      func() time.Time
}

// Response is the token endpoint's answer (RFC 6749 §5.1).
type Response struct {
	AccessToken  string `json:"access_token"`
	TokenType    string `json:"token_type"`
	ExpiresIn    int64  `json:"expires_in"` // seconds
	RefreshToken string `json:"refresh_token,omitempty"`
	IDToken      string `json:"id_token,omitempty"`
	Scope        string `json:"scope,omitempty"`
}

// call is one request on its way through the pipeline.
type call struct {
	*oidc.TokenRequest
	client *oidc.Client
	// jkt is the thumbprint of the key that the request proved to have; "": none.
	jkt    string
	origin flow.Origin
	now    time.Time
}

type grantFunc func(*Service, context.Context, *call) (*Response, error)

var grants = map[string]grantFunc{
	oidc.GrantAuthorizationCode: (*Service).redeemCode,
	oidc.GrantRefreshToken:      (*Service).refresh,
	oidc.GrantClientCredentials: (*Service).clientCredentials,
	oidc.GrantDeviceCode:        (*Service).redeemDevice,
}

// Serve answers a token request: client first, then what it may do, then the
// key that it has, if it says so, then the grant. Errors are *oidc.Error for the
// client, anything else for the log.
func (s *Service) Serve(ctx context.Context, req *oidc.TokenRequest, o flow.Origin) (*Response, error) {
	c, err := s.authenticate(ctx, req.Auth, o)
	if err != nil {
		return nil, err
	}
	grant, ok := grants[req.GrantType]
	switch {
	case !ok:
		return nil, oidc.Errorf(oidc.UnsupportedGrantType, "grant_type is not supported")
	case !slices.Contains(c.GrantTypes, req.GrantType):
		return nil, oidc.Errorf(oidc.UnauthorizedClient, "the client may not use this grant_type")
	}
	jkt, err := s.possession(ctx, c, req.DPoP, http.MethodPost, TokenPath)
	if err != nil {
		return nil, err
	}
	return grant(s, ctx, &call{TokenRequest: req, client: c, jkt: jkt, origin: o, now: s.Now()})
}

// authenticate returns the client that the request proves to come from
// (RFC 6749 §2.3). An unknown client and a wrong secret look the same.
func (s *Service) authenticate(ctx context.Context, auth oidc.ClientAuth, o flow.Origin) (*oidc.Client, error) {
	c, err := s.Store.Client(ctx, auth.ID)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return nil, fmt.Errorf("load client: %w", err)
	}
	if err != nil || c.Disabled {
		return nil, oidc.Errorf(oidc.InvalidClient, "client authentication failed")
	}
	if auth.Assertion != "" {
		err = s.useAssertion(ctx, c, auth)
	} else if refusal := oidc.CheckSecret(c, auth); refusal != nil {
		err = refusal
	}
	var refusal *oidc.Error
	if errors.As(err, &refusal) {
		return nil, s.refused(ctx, c, refusal, o)
	}
	if err != nil {
		return nil, err
	}
	return c, nil
}

// refused records that somebody failed to be a client that there is. An id that is
// no client's may be anything, and stays out of the log.
func (s *Service) refused(ctx context.Context, c *oidc.Client, refusal *oidc.Error, o flow.Origin) error {
	err := s.Store.Record(ctx, store.Event{At: s.Now(), Type: store.EventClientAuthFailed, ClientID: c.ID, Address: o.Address, RequestID: o.RequestID})
	if err != nil {
		return fmt.Errorf("record: %w", err)
	}
	return refusal
}

var errGrant = oidc.Errorf(oidc.InvalidGrant, "the grant is invalid, expired, revoked or another client's")

// parse splits prefix + id + "." + secret.
func parse(prefix, token string) (id string, hash []byte, ok bool) {
	rest, ok := strings.CutPrefix(token, prefix)
	id, secret, dot := strings.Cut(rest, ".")
	if !ok || !dot || id == "" || secret == "" {
		return "", nil, false
	}
	return id, store.HashSecret(secret), true
}

// notFoundIs turns the store's ErrNotFound into the protocol's answer and keeps
// every other error for the log.
func notFoundIs(refusal *oidc.Error, err error) error {
	if errors.Is(err, store.ErrNotFound) {
		return refusal
	}
	return err
}

func orDefault(d, otherwise time.Duration) time.Duration {
	if d == 0 {
		return otherwise
	}
	return d
}

func (r *call) event(kind string, g *store.Grant) store.Event {
	e := r.ownEvent(kind, g.ID)
	e.UserID, e.Session = g.UserID, g.SessionID
	return e
}

// ownEvent is an event of the client's alone.
func (r *call) ownEvent(kind, detail string) store.Event {
	return store.Event{At: r.now, Type: kind, ClientID: r.client.ID, Address: r.origin.Address, RequestID: r.origin.RequestID, Detail: detail}
}
