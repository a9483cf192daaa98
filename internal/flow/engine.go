package flow

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/sallyport-id/sallyport/internal/authn"
	"github.com/sallyport-id/sallyport/internal/keys"
	"github.com/sallyport-id/sallyport/internal/oidc"
	"github.com/sallyport-id/sallyport/internal/policy"
	"github.com/sallyport-id/sallyport/internal/store"
)

// Lifetimes of what the flow makes.
const (
	interactionTTL = 10 * time.Minute
	codeTTL        = 60 * time.Second
	touchEvery     = 5 * time.Minute
)

// CodePrefix begins every authorization code.
const CodePrefix = "ac_"

// Store is what the flow keeps and asks for.
type Store interface {
	store.Clients
	store.Users
	store.Authenticators
	store.Sessions
	store.Interactions
	store.Consents
}

// Engine loads what Next decides on, records what happened and finishes.
type Engine struct {
	Store  Store
	Policy policy.Policy
	Sealer *keys.Sealer
	Hasher *authn.Hasher
	// Hint returns the subject of an ID token of this server, expired or not.
	Hint func(idToken string) (subject string, err error)
	// SessionIdle and SessionTTL end a session that nobody uses, and every session
	// (NIST SP 800-63B-4 §2.2.3: 1 h and 24 h).
	SessionIdle, SessionTTL time.Duration
	Now                     func() time.Time
}

// Origin says where a request came from, for the audit log.
type Origin struct {
	Address   string
	RequestID string
}

// Visit is a user's browser at an interaction: the state and its next step.
type Visit struct {
	State
	Step        Step
	Origin      Origin
	interaction *store.Interaction
}

// Version is the interaction's version, which every form carries.
func (v *Visit) Version() int64 { return v.interaction.Version }

// Subject is the user that the page is about, which every form carries.
func (v *Visit) Subject() string {
	if v.User == nil {
		return ""
	}
	return v.User.ID
}

// Answer is the end of an authorization request: a code or a refusal for the
// client.
type Answer struct {
	Request *oidc.AuthorizationRequest
	Code    string      // with a good end
	Refusal *oidc.Error // else
}

// Session returns the live session that a cookie names, nil if there is none.
func (e *Engine) Session(ctx context.Context, cookie string) (*store.Session, error) {
	id, secret, ok := strings.Cut(cookie, ".")
	if !ok {
		return nil, nil
	}
	now := e.Now()
	s, err := e.Store.Session(ctx, id, store.HashSecret(secret), now)
	if errors.Is(err, store.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("load session: %w", err)
	}
	if now.Sub(s.LastSeenAt) > e.SessionIdle {
		return nil, e.Store.EndSession(ctx, s.ID, now, store.Event{At: now, Type: "session.idle", UserID: s.UserID, Session: s.ID})
	}
	return s, nil
}

// Begin starts on a request that was checked. If nobody needs to be asked the
// answer is there at once and nothing but its grant is stored; else the id of
// the interaction, which belongs to the browser.
func (e *Engine) Begin(ctx context.Context, req *oidc.AuthorizationRequest, c *oidc.Client, s *store.Session, browserHash []byte, o Origin) (interaction string, answer *Answer, err error) {
	now := e.Now()
	progress, refusal := e.cutOffs(req, now)
	if refusal != nil {
		return "", &Answer{Request: req, Refusal: refusal}, nil
	}
	v := &Visit{Origin: o, State: State{Now: now, Policy: e.Policy, Client: c, Request: req, Progress: progress}}
	if err := e.fill(ctx, v, s); err != nil {
		return "", nil, err
	}
	switch v.Step = Next(v.State); {
	case v.Step.Name == Done:
		answer, err = e.finish(ctx, v)
		if err == nil || !errors.Is(err, store.ErrStale) {
			return "", answer, err
		}
		if req.Prompt.None {
			return "", refused(req, oidc.LoginRequired, "the session has just changed"), nil
		}
	case v.Step.Name == Refuse && v.Step.Reason == "":
		return "", &Answer{Request: req, Refusal: v.Step.Refusal}, nil
	}
	id, err := e.createInteraction(ctx, v, browserHash)
	return id, nil, err
}

func refused(req *oidc.AuthorizationRequest, code, description string) *Answer {
	return &Answer{Request: req, Refusal: oidc.Errorf(code, "%s", description)}
}

// cutOffs fixes, at the beginning, which proofs will count, and for whom
// (OpenID Connect Core §3.1.2.1, §5.5.1).
func (e *Engine) cutOffs(req *oidc.AuthorizationRequest, now time.Time) (store.Progress, *oidc.Error) {
	var p store.Progress
	p.OwnProofs = req.Prompt.Login || req.Prompt.SelectAccount || req.MaxAge != nil && *req.MaxAge == 0
	if req.MaxAge != nil {
		p.NotBefore = now.Add(-*req.MaxAge)
	}
	if sub := req.Claims.IDToken["sub"].Values; len(sub) == 1 {
		p.Subject = sub[0]
	}
	if req.IDTokenHint == "" {
		return p, nil
	}
	subject, err := e.Hint(req.IDTokenHint)
	switch {
	case err != nil:
		return p, oidc.Errorf(oidc.InvalidRequest, "id_token_hint is not an ID token of this server")
	case p.Subject != "" && p.Subject != subject:
		return p, oidc.Errorf(oidc.InvalidRequest, "id_token_hint and the sub claim name different users")
	}
	p.Subject = subject
	return p, nil
}

func (e *Engine) createInteraction(ctx context.Context, v *Visit, browserHash []byte) (string, error) {
	i := &store.Interaction{
		ID: store.NewID(), BrowserHash: browserHash, ClientID: v.Client.ID, Request: *v.Request,
		Progress: v.Progress, Version: 1, CreatedAt: v.Now, ExpiresAt: v.Now.Add(interactionTTL),
	}
	if v.Session != nil {
		i.SessionID = v.Session.ID
	}
	if err := e.Store.CreateInteraction(ctx, i); err != nil {
		return "", fmt.Errorf("create interaction: %w", err)
	}
	return i.ID, nil
}

// Visit loads an interaction as this browser with this session sees it.
// store.ErrNotFound: there is none for it, or it has ended.
func (e *Engine) Visit(ctx context.Context, id string, browserHash []byte, s *store.Session, o Origin) (*Visit, error) {
	now := e.Now()
	i, err := e.Store.Interaction(ctx, id, browserHash, now)
	if err != nil {
		return nil, fmt.Errorf("load interaction: %w", err)
	}
	c, err := e.Store.Client(ctx, i.ClientID)
	if err != nil {
		return nil, fmt.Errorf("load the interaction's client: %w", err)
	}
	if i.SessionID != "" && s != nil && i.SessionID != s.ID {
		return nil, fmt.Errorf("the interaction belongs to another session: %w", store.ErrNotFound)
	}
	v := &Visit{Origin: o, interaction: i, State: State{
		Now: now, Policy: e.Policy, Client: c, Request: &i.Request, Interaction: i.ID, Progress: i.Progress,
	}}
	if err := e.fill(ctx, v, s); err != nil {
		return nil, err
	}
	v.Step = Next(v.State)
	return v, nil
}

// fill adds what the session's user brings.
func (e *Engine) fill(ctx context.Context, v *Visit, s *store.Session) (err error) {
	if s == nil {
		return nil
	}
	v.Session = s
	if v.User, err = e.Store.User(ctx, s.UserID); err != nil {
		return fmt.Errorf("load the session's user: %w", err)
	}
	if v.Authenticators, err = e.Store.Authenticators(ctx, s.UserID); err != nil {
		return fmt.Errorf("load authenticators: %w", err)
	}
	v.Consent, err = e.Store.Consent(ctx, s.UserID, v.Client.ID)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return fmt.Errorf("load consent: %w", err)
	}
	v.HintedElsewhere = v.Request.LoginHint != "" && !names(v.Request.LoginHint, v.User)
	return nil
}

// names reports whether a login hint names the user.
func names(hint string, u *store.User) bool {
	key, err := authn.LoginKey(hint)
	return err == nil && key == u.LoginKey || strings.EqualFold(hint, u.Email) || hint == u.ID
}

// Finish ends an interaction whose next step is Done: one transaction,
// conditional on what Next decided on. store.ErrStale: ask again.
func (e *Engine) Finish(ctx context.Context, v *Visit) (*Answer, error) {
	return e.finish(ctx, v)
}

func (e *Engine) finish(ctx context.Context, v *Visit) (*Answer, error) {
	if v.Step.Name != Done {
		return nil, fmt.Errorf("flow: finish at step %q", v.Step.Name)
	}
	if _, err := e.Policy.Allows(v.Client, v.User, v.Session.UserEpoch, v.Evidence()); err != nil {
		return nil, fmt.Errorf("flow: done, but the policy refuses: %w", err)
	}
	grant := v.grant()
	code, value := newCode(grant, v.Request)
	f := store.Finish{
		InteractionID:  v.Interaction,
		SessionVersion: v.Session.Version,
		Grant:          grant,
		Code:           code,
		TouchSession:   !v.Request.Prompt.None && v.Now.Sub(v.Session.LastSeenAt) > touchEvery,
		Now:            v.Now,
		Events:         []store.Event{v.event("authorize.granted", strings.Join(v.Step.Evidence.AMR, " "))},
	}
	if v.interaction != nil {
		f.InteractionVersion = v.interaction.Version
		f.Consent = v.rememberedConsent()
	}
	if err := e.Store.FinishInteraction(ctx, f); err != nil {
		return nil, fmt.Errorf("finish interaction: %w", err)
	}
	return &Answer{Request: v.Request, Code: value}, nil
}

// grant is the snapshot of what was proven and allowed.
func (v *Visit) grant() *store.Grant {
	names, _ := v.Request.RequestedACR()
	return &store.Grant{
		ID: store.NewID(), ClientID: v.Client.ID, UserID: v.User.ID, UserEpoch: v.Session.UserEpoch,
		SessionID: v.Session.ID, SID: sid(v.Session.ID, v.Client.ID), Interaction: v.Interaction,
		Scope: v.Request.Scope, Offline: oidc.HasScope(v.Request.Scope, oidc.ScopeOfflineAccess),
		Proofs: v.Evidence().Counting(), RequestedACR: names,
		UserInfo: v.Request.Claims.UserInfo, IDToken: v.Request.Claims.IDToken,
		Nonce: v.Request.Nonce, CreatedAt: v.Now,
	}
}

// sid is a session's name for one client, so that two clients cannot compare
// (OpenID Connect Back-Channel Logout §2.1).
func sid(sessionID, clientID string) string {
	sum := sha256.Sum256([]byte(sessionID + "\x00" + clientID))
	return base64.RawURLEncoding.EncodeToString(sum[:16])
}

func newCode(g *store.Grant, req *oidc.AuthorizationRequest) (*store.Code, string) {
	secret, hash := store.NewSecret()
	c := &store.Code{
		ID: store.NewID(), SecretHash: hash, GrantID: g.ID, ClientID: g.ClientID,
		RedirectURI: req.RedirectURI, RedirectSent: req.RedirectSent, CodeChallenge: req.CodeChallenge,
		CreatedAt: g.CreatedAt, ExpiresAt: g.CreatedAt.Add(codeTTL),
	}
	return c, CodePrefix + c.ID + "." + secret
}

func (v *Visit) event(kind, detail string) store.Event {
	e := store.Event{At: v.Now, Type: kind, ClientID: v.Client.ID, Interaction: v.Interaction,
		Address: v.Origin.Address, RequestID: v.Origin.RequestID, Detail: detail}
	if v.User != nil {
		e.UserID, e.Session = v.User.ID, v.Session.ID
	}
	return e
}

// NamesSession reports whether a sid claim, in a token for the client, names
// the session.
func NamesSession(s *store.Session, clientID, claim string) bool {
	return claim != "" && claim == sid(s.ID, clientID)
}
