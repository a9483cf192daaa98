package token

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/sallyport-id/sallyport/internal/authn"
	"github.com/sallyport-id/sallyport/internal/keys"
	"github.com/sallyport-id/sallyport/internal/oidc"
	"github.com/sallyport-id/sallyport/internal/policy"
	"github.com/sallyport-id/sallyport/internal/store"
)

// issuance is what a grant function hands to issue.
type issuance struct {
	grant *store.Grant
	user  *store.User
	// api is what the access token is for, nil for this server itself.
	api *oidc.Resource
	// scope is of the whole answer; the access token has those of it that are api's.
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

// issue is the only way to a user's token. It asks the policy, signs, and then
// writes once; the write may still refuse.
func (s *Service) issue(ctx context.Context, r *call, i issuance) (*Response, error) {
	proven, err := s.allow(ctx, r.client, floors(i.api), i.user, i.grant)
	if err != nil {
		return nil, refusedIs(oidc.Errorf(oidc.InvalidGrant, "the sign-in behind this grant no longer suffices"), err)
	}
	access, token, err := s.newAccess(r, i, proven)
	if err != nil {
		return nil, err
	}
	tokens := store.Tokens{Access: access, Events: []store.Event{r.event(i.event, i.grant)}}
	resp := &Response{
		AccessToken: token, TokenType: tokenType(r.jkt), Scope: strings.Join(access.Scope, " "),
		ExpiresIn: int64(access.ExpiresAt.Sub(r.now) / time.Second),
	}
	if i.refresh {
		tokens.Refresh, resp.RefreshToken = newRefresh(r, i)
	}
	if oidc.HasScope(i.scope, oidc.ScopeOpenID) {
		if resp.IDToken, err = s.idToken(r, i, proven, token); err != nil {
			return nil, err
		}
	}
	if err := i.write(tokens); err != nil {
		return nil, notFoundIs(errGrant, err)
	}
	return resp, nil
}

// issueToClient is the only way to a client's own token: for an API, with scopes
// that the client has there. No policy is asked, because nobody signed in.
func (s *Service) issueToClient(ctx context.Context, r *call, api *oidc.Resource, scope []string) (*Response, error) {
	t := &store.ClientToken{ID: store.NewID(), ClientID: r.client.ID, Resource: api, Scope: scope, JKT: r.jkt,
		CreatedAt: r.now, ExpiresAt: r.now.Add(lifetime(r.client, api))}
	var token string
	var err error
	if token, t.SecretHash, err = s.mint(ClientPrefix+t.ID, api, s.clientClaims(t, scope)); err != nil {
		return nil, err
	}
	if err := s.Store.IssueClientToken(ctx, t, r.ownEvent(store.EventTokenClient, api.URI)); err != nil {
		return nil, notFoundIs(errTarget, err)
	}
	return &Response{
		AccessToken: token, TokenType: tokenType(r.jkt), Scope: strings.Join(scope, " "),
		ExpiresIn: int64(t.ExpiresAt.Sub(r.now) / time.Second),
	}, nil
}

// floors are the APIs whose minimum a token for api must reach.
func floors(api *oidc.Resource) []*oidc.Resource {
	if api == nil {
		return nil
	}
	return []*oidc.Resource{api}
}

// lifetime of an access token: what the client says, but at an API at most what the
// API says.
func lifetime(c *oidc.Client, api *oidc.Resource) time.Duration {
	if api == nil {
		return orDefault(c.AccessTokenTTL, accessTTL)
	}
	ttl := orDefault(api.AccessTokenTTL, accessTTL)
	if api.JWT() {
		ttl = min(ttl, oidc.LongestJWT)
	}
	return min(ttl, orDefault(c.AccessTokenTTL, ttl))
}

// errRefused: the policy gives nothing for the grant, or no longer.
var errRefused = errors.New("token: the policy refuses")

// allow is the gate of everything that is given for a grant: today's policy. It
// returns what the grant is told to prove. errRefused is its no; with any other error
// nobody could be asked.
func (s *Service) allow(ctx context.Context, c *oidc.Client, apis []*oidc.Resource, u *store.User, g *store.Grant) (*oidc.Authentication, error) {
	p, err := s.Policy(ctx)
	if err != nil {
		return nil, fmt.Errorf("load the policy: %w", err)
	}
	e, err := s.evidence(ctx, g)
	if err != nil {
		return nil, err
	}
	result, err := p.Allows(s.caseOf(c, apis, u, g), g.UserEpoch, e)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errRefused, err)
	}
	return &oidc.Authentication{ACR: p.ACR.Name(result.Level, g.RequestedACR), AMR: result.AMR, AuthTime: result.AuthTime.Unix()}, nil
}

// refusedIs is answer where the policy refuses, and err as it is else.
func refusedIs(answer, err error) error {
	if errors.Is(err, errRefused) {
		return answer
	}
	return err
}

// caseOf is what the policy decides about: today's rules and groups, and the network
// that the user signed in from.
func (s *Service) caseOf(c *oidc.Client, apis []*oidc.Resource, u *store.User, g *store.Grant) policy.Case {
	from, _ := netip.ParseAddr(g.Address) // the zero value, which no network knows, if it is none
	return policy.Case{Client: c, APIs: apis, User: u, Address: from, Now: s.Now()}
}

// evidence of a grant is judged as of the grant's moment: time alone does not
// make a grant worth less, a stricter policy does. The device that it relies on is
// there as long as its tokens are found. Only what is known of the make of a key is
// today's: where level 4 was reached, its authenticator must reach it still.
func (s *Service) evidence(ctx context.Context, g *store.Grant) (authn.Evidence, error) {
	e := authn.Evidence{UserID: g.UserID, Proofs: g.Proofs, At: g.CreatedAt, Interaction: g.Interaction, Device: g.Device}
	if !slices.ContainsFunc(g.Proofs, func(p store.Proof) bool { return p.Attested }) {
		return e, nil
	}
	list, err := s.Store.Authenticators(ctx, g.UserID)
	if err != nil {
		return e, fmt.Errorf("load authenticators: %w", err)
	}
	s.WebAuthn.Judge(list)
	e.Attested = authn.AttestedIDs(list)
	return e, nil
}

func (s *Service) newAccess(r *call, i issuance, proven *oidc.Authentication) (t *store.AccessToken, token string, err error) {
	t = &store.AccessToken{ID: store.NewID(), GrantID: i.grant.ID, Resource: i.api, Scope: i.scope, JKT: r.jkt,
		CreatedAt: r.now, ExpiresAt: r.now.Add(lifetime(r.client, i.api))}
	var claims *oidc.AccessToken
	if i.api == nil {
		t.Scope = within(i.scope, r.client.Scopes)
	} else {
		t.Scope = within(i.scope, scopesAt(r.client, i.api, i.grant))
		claims = s.userClaims(t, i.grant, s.Subjects.Of(r.client, i.user.ID), t.Scope, proven)
	}
	if len(t.Scope) == 0 {
		return nil, "", oidc.Errorf(oidc.InvalidScope, "nothing of scope is the client's any more, or at this API")
	}
	token, t.SecretHash, err = s.mint(AccessPrefix+t.ID, i.api, claims)
	return t, token, err
}

// mint makes what the client gets of an access token, and the hash that is stored
// of it: a secret, or for an API that wants it so a JWT with the claims, whose jti is
// the name. Either way there is a row, to ask about and to revoke.
func (s *Service) mint(name string, api *oidc.Resource, claims *oidc.AccessToken) (token string, hash []byte, err error) {
	if api == nil || !api.JWT() {
		secret, hash := store.NewSecret()
		return name + "." + secret, hash, nil
	}
	body, err := json.Marshal(oidc.JWTAccessToken{AccessToken: *claims, ID: name})
	if err != nil {
		return "", nil, fmt.Errorf("marshal access token: %w", err)
	}
	if token, err = s.Keys.Load().Sign(algOr(api.SigningAlg), keys.TypeAccessToken, body); err != nil {
		return "", nil, fmt.Errorf("sign access token: %w", err)
	}
	return token, store.HashSecret(token), nil
}

// algOr is the standards' default where no algorithm is named (OpenID Connect Core
// §10.1, RFC 9068 §2.1).
func algOr(alg string) string {
	if alg == "" {
		return keys.RS256
	}
	return alg
}

// idleAt is when a refresh token that is used now ends unless it is used again
// (RFC 9700 §4.14.2).
func (r *call) idleAt() time.Time {
	return r.now.Add(orDefault(r.client.RefreshTokenIdle, refreshIdle))
}

// refreshEnd is when the refresh tokens of a new grant end, however they are used.
func (r *call) refreshEnd() time.Time {
	return r.now.Add(orDefault(r.client.RefreshTokenTTL, refreshTTL))
}

func newRefresh(r *call, i issuance) (*store.RefreshToken, string) {
	secret, hash := store.NewSecret()
	t := &store.RefreshToken{ID: store.NewID(), SecretHash: hash, GrantID: i.grant.ID, Scope: i.grant.Scope,
		CreatedAt: r.now, ExpiresAt: i.refreshExpires, IdleAt: r.idleAt()}
	if r.client.Public() { // others prove who they are (RFC 9449 §5)
		t.JKT = r.jkt
	}
	return t, RefreshPrefix + t.ID + "." + secret
}

// idToken signs the ID token (OpenID Connect Core §2): the only signature of
// the response.
func (s *Service) idToken(r *call, i issuance, proven *oidc.Authentication, access string) (string, error) {
	alg := algOr(r.client.IDTokenAlg)
	claims := oidc.IDToken{
		Issuer: s.Issuer, Subject: s.Subjects.Of(r.client, i.user.ID), Audience: r.client.ID,
		Expiry: r.now.Add(idTokenTTL).Unix(), IssuedAt: r.now.Unix(), AuthTime: proven.AuthTime,
		Nonce: i.nonce, ACR: proven.ACR, AMR: proven.AMR,
		SessionID: i.grant.SID, ATHash: oidc.ATHash(alg, access),
	}
	if len(i.grant.IDToken) > 0 {
		claims.Extra = oidc.UserClaims(nil, r.client.MayAsk(i.grant.IDToken), profile(i.user))
	}
	body, err := json.Marshal(claims)
	if err != nil {
		return "", fmt.Errorf("marshal id token: %w", err)
	}
	jws, err := s.Keys.Load().Sign(alg, keys.TypeJWT, body)
	if err != nil {
		return "", fmt.Errorf("sign id token: %w", err)
	}
	return jws, nil
}
