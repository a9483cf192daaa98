// Package token serves machines: the token endpoint and userinfo, on one
// pipeline. It authenticates the client and checks what it may do before a
// grant function runs, and issues after it: no grant can forget a check.
//
// issue is the only way to a user's token, and policy.Allows its gate.
package token

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/sallyport-id/sallyport/internal/authn"
	"github.com/sallyport-id/sallyport/internal/flow"
	"github.com/sallyport-id/sallyport/internal/keys"
	"github.com/sallyport-id/sallyport/internal/oidc"
	"github.com/sallyport-id/sallyport/internal/policy"
	"github.com/sallyport-id/sallyport/internal/store"
)

// The prefixes of tokens: a kind and a table each.
const (
	AccessPrefix  = "at_"
	RefreshPrefix = "rt_"
)

// The lifetimes where a client names none, and the time in which the answer of
// a rotation may be asked for again.
const (
	accessTTL  = 10 * time.Minute
	refreshTTL = 90 * 24 * time.Hour
	idTokenTTL = 10 * time.Minute
	retryGrace = 10 * time.Second
)

// Store is what the token endpoint keeps and asks for.
type Store interface {
	store.Clients
	store.Codes
	store.GrantStore
}

// Service answers token and userinfo requests.
type Service struct {
	Store  Store
	Policy policy.Policy
	Keys   *keys.Ring
	Issuer string
	Now    func() time.Time
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
	origin flow.Origin
	now    time.Time
}

// issuance is what a grant function hands to issue.
type issuance struct {
	grant *store.Grant
	user  *store.User
	scope []string
	// nonce is echoed in the ID token; "" after a refresh.
	nonce string
	// refresh: bring a refresh token that lives until its end.
	refresh        bool
	refreshExpires time.Time
	event          string
	// write makes the tokens durable, conditionally.
	write func(store.Tokens) error
}

type grantFunc func(*Service, context.Context, *call) (*Response, error)

var grants = map[string]grantFunc{
	oidc.GrantAuthorizationCode: (*Service).redeemCode,
	oidc.GrantRefreshToken:      (*Service).refresh,
}

// Serve answers a token request: client first, then what it may do, then the
// grant. Errors are *oidc.Error for the client, anything else for the log.
func (s *Service) Serve(ctx context.Context, req *oidc.TokenRequest, o flow.Origin) (*Response, error) {
	c, err := s.authenticate(ctx, req)
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
	return grant(s, ctx, &call{TokenRequest: req, client: c, origin: o, now: s.Now()})
}

// authenticate returns the client that the request proves to come from
// (RFC 6749 §2.3). An unknown client and a wrong secret look the same.
func (s *Service) authenticate(ctx context.Context, req *oidc.TokenRequest) (*oidc.Client, error) {
	c, err := s.Store.Client(ctx, req.Auth.ID)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return nil, fmt.Errorf("load client: %w", err)
	}
	if err != nil || c.Disabled {
		return nil, oidc.Errorf(oidc.InvalidClient, "client authentication failed")
	}
	if refusal := oidc.CheckSecret(c, req.Auth); refusal != nil {
		return nil, refusal
	}
	return c, nil
}

var errGrant = oidc.Errorf(oidc.InvalidGrant, "the grant is invalid, expired, revoked or another client's")

// redeemCode is the grant authorization_code (RFC 6749 §4.1.3).
func (s *Service) redeemCode(ctx context.Context, r *call) (*Response, error) {
	id, hash, ok := parse(flow.CodePrefix, r.Code)
	if !ok {
		return nil, errGrant
	}
	code, grant, user, err := s.Store.Code(ctx, id, hash)
	if err != nil {
		return nil, notFoundIs(errGrant, err)
	}
	if refusal := checkCode(r, code); refusal != nil {
		return nil, refusal
	}
	refresh := slices.Contains(r.client.GrantTypes, oidc.GrantRefreshToken)
	resp, err := s.issue(ctx, r, issuance{
		grant: grant, user: user, scope: grant.Scope, nonce: grant.Nonce, event: "token.code",
		refresh: refresh, refreshExpires: r.now.Add(orDefault(r.client.RefreshTokenTTL, refreshTTL)),
		write: func(t store.Tokens) error { return s.Store.RedeemCode(ctx, id, hash, r.now, t) },
	})
	if errors.Is(err, store.ErrUsed) {
		return nil, s.reused(ctx, r, grant, "token.code.reused")
	}
	return resp, err
}

// checkCode: the code is this client's, and what was sent at its beginning is
// sent again (RFC 6749 §4.1.3, RFC 7636 §4.6).
func checkCode(r *call, code *store.Code) *oidc.Error {
	switch {
	case code.ClientID != r.client.ID:
		return errGrant
	case (code.RedirectSent || r.RedirectURI != "") && code.RedirectURI != r.RedirectURI:
		return oidc.Errorf(oidc.InvalidGrant, "redirect_uri is not the one of the authorization request")
	case !oidc.CheckVerifier(code.CodeChallenge, r.CodeVerifier):
		return oidc.Errorf(oidc.InvalidGrant, "code_verifier does not fit the code_challenge")
	}
	return nil
}

// reused ends all that came of a code or refresh token that was used twice: one
// of the two users stole it (RFC 9700 §4.14.2).
func (s *Service) reused(ctx context.Context, r *call, g *store.Grant, event string) error {
	if err := s.Store.RevokeGrant(ctx, g.ID, r.now, r.event(event, g)); err != nil {
		return fmt.Errorf("revoke grant: %w", err)
	}
	return errGrant
}

// refresh is the grant refresh_token (RFC 6749 §6). Confidential clients keep
// their token; public ones get a new one each time (RFC 9700 §2.2.2).
func (s *Service) refresh(ctx context.Context, r *call) (*Response, error) {
	id, hash, ok := parse(RefreshPrefix, r.RefreshToken)
	if !ok {
		return nil, errGrant
	}
	old, grant, user, err := s.Store.RefreshToken(ctx, id, hash, r.now)
	if err != nil {
		return nil, notFoundIs(errGrant, err)
	}
	if grant.ClientID != r.client.ID {
		return nil, errGrant
	}
	scope, refusal := narrowed(old.Scope, r.Scope)
	if refusal != nil {
		return nil, refusal
	}
	i := issuance{grant: grant, user: user, scope: scope, event: "token.refresh"}
	if r.client.Public() {
		i.refresh, i.refreshExpires = true, old.ExpiresAt
		i.write = func(t store.Tokens) error { return s.Store.RotateRefresh(ctx, id, r.now, retryGrace, t) }
	} else {
		i.write = func(t store.Tokens) error { return s.Store.IssueAccess(ctx, id, r.now, t) }
	}
	resp, err := s.issue(ctx, r, i)
	if errors.Is(err, store.ErrUsed) {
		return nil, s.reused(ctx, r, grant, "token.refresh.reused")
	}
	return resp, err
}

// narrowed returns the asked scope if it lies within the granted one; nothing
// asked is all of it.
func narrowed(granted, asked []string) ([]string, *oidc.Error) {
	if len(asked) == 0 {
		return granted, nil
	}
	for _, scope := range asked {
		if !slices.Contains(granted, scope) {
			return nil, oidc.Errorf(oidc.InvalidScope, "scope is wider than what was granted")
		}
	}
	return asked, nil
}

// issue is the only way to a user's token. It asks the policy, signs, and then
// writes once; the write may still refuse.
func (s *Service) issue(ctx context.Context, r *call, i issuance) (*Response, error) {
	result, err := s.Policy.Allows(r.client, i.user, i.grant.UserEpoch, evidence(i.grant))
	if err != nil {
		return nil, oidc.Errorf(oidc.InvalidGrant, "the sign-in behind this grant no longer suffices")
	}
	access, token := s.newAccess(r, i)
	tokens := store.Tokens{Access: access, Events: []store.Event{r.event(i.event, i.grant)}}
	resp := &Response{
		AccessToken: token, TokenType: "Bearer", Scope: strings.Join(i.scope, " "),
		ExpiresIn: int64(access.ExpiresAt.Sub(r.now) / time.Second),
	}
	if i.refresh {
		tokens.Refresh, resp.RefreshToken = newRefresh(r, i)
	}
	if oidc.HasScope(i.scope, oidc.ScopeOpenID) {
		if resp.IDToken, err = s.idToken(r, i, result, token); err != nil {
			return nil, err
		}
	}
	if err := i.write(tokens); err != nil {
		return nil, notFoundIs(errGrant, err)
	}
	return resp, nil
}

// evidence of a grant is judged as of the grant's moment: time alone does not
// make a grant worth less, a stricter policy does.
func evidence(g *store.Grant) authn.Evidence {
	return authn.Evidence{UserID: g.UserID, Proofs: g.Proofs, At: g.CreatedAt, Interaction: g.Interaction}
}

func (s *Service) newAccess(r *call, i issuance) (*store.AccessToken, string) {
	secret, hash := store.NewSecret()
	t := &store.AccessToken{ID: store.NewID(), SecretHash: hash, GrantID: i.grant.ID, Scope: i.scope,
		CreatedAt: r.now, ExpiresAt: r.now.Add(orDefault(r.client.AccessTokenTTL, accessTTL))}
	return t, AccessPrefix + t.ID + "." + secret
}

func newRefresh(r *call, i issuance) (*store.RefreshToken, string) {
	secret, hash := store.NewSecret()
	t := &store.RefreshToken{ID: store.NewID(), SecretHash: hash, GrantID: i.grant.ID, Scope: i.grant.Scope,
		CreatedAt: r.now, ExpiresAt: i.refreshExpires}
	return t, RefreshPrefix + t.ID + "." + secret
}

// idToken signs the ID token (OpenID Connect Core §2): the only signature of
// the response.
func (s *Service) idToken(r *call, i issuance, result authn.Result, access string) (string, error) {
	alg := r.client.IDTokenAlg
	if alg == "" {
		alg = "RS256"
	}
	claims := oidc.IDToken{
		Issuer: s.Issuer, Subject: i.user.ID, Audience: r.client.ID,
		Expiry: r.now.Add(idTokenTTL).Unix(), IssuedAt: r.now.Unix(), AuthTime: result.AuthTime.Unix(),
		Nonce: i.nonce, ACR: s.Policy.ACR.Name(result.Level, i.grant.RequestedACR), AMR: result.AMR,
		SessionID: i.grant.SID, ATHash: oidc.ATHash(alg, access),
	}
	if len(i.grant.IDToken) > 0 {
		claims.Extra = oidc.UserClaims(nil, i.grant.IDToken, profile(i.user))
	}
	body, err := json.Marshal(claims)
	if err != nil {
		return "", fmt.Errorf("marshal id token: %w", err)
	}
	jws, err := s.Keys.Load().Sign(alg, "JWT", body)
	if err != nil {
		return "", fmt.Errorf("sign id token: %w", err)
	}
	return jws, nil
}

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
	return store.Event{At: r.now, Type: kind, UserID: g.UserID, ClientID: r.client.ID, Session: g.SessionID,
		Address: r.origin.Address, RequestID: r.origin.RequestID, Detail: g.ID}
}
