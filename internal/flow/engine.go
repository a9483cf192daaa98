package flow

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
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
	accountTTL     = 15 * time.Minute
	invitedTTL     = 30 * time.Minute // an app may have to be found and installed first
	registeringTTL = 30 * time.Minute // a mail has to arrive, and an app may have to be found
	codeTTL        = 60 * time.Second
	touchEvery     = 5 * time.Minute
)

// CodePrefix begins every authorization code.
const CodePrefix = "ac_"

// Store is what the flow keeps and asks for.
type Store interface {
	store.Clients
	store.Resources
	store.Users
	store.Authenticators
	store.Accounts
	store.Links
	store.Registrations
	store.Sessions
	store.Interactions
	store.Consents
	store.Outbox
	store.TrustedDevices
	store.BypassCodes
	store.DeviceCodes
}

// Engine loads what Next decides on, records what happened and finishes.
type Engine struct {
	Store Store
	// Policy is asked once for each visit, which sees one set of rules to its end.
	Policy policy.Source
	Sealer *keys.Sealer
	Hasher *authn.Hasher
	// WebAuthn registers and checks passkeys and security keys; nil: there are none.
	WebAuthn *authn.RelyingParty
	// Enrollment is what a first factor is bound with.
	Enrollment Enrollment
	// Registration says who may make an account; nil: nobody may.
	Registration *Registration
	// Hint returns the subject that an ID token of this server, expired or not, names to
	// the client.
	Hint func(idToken string, c *oidc.Client) (subject string, err error)
	// Subjects knows what users are called at clients.
	Subjects *keys.Subjects
	// SessionIdle and SessionTTL end a session that nobody uses, and every session
	// (NIST SP 800-63B-4 §2.2.3: 1 h and 24 h).
	SessionIdle, SessionTTL time.Duration
	Now                     func() time.Time
}

// Origin says where a request came from.
type Origin struct {
	Address   string // for the audit log, as RequestID
	RequestID string
	UserAgent string // the name that the browser gives itself
	Device    string // the cookie of a trusted device, "" for none
}

// address is the zero value if it is none.
func (o Origin) address() netip.Addr {
	a, err := netip.ParseAddr(o.Address)
	if err != nil {
		return netip.Addr{}
	}
	return a
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

// Ends reports whether the next step has no page: the client gets its answer.
func (v *Visit) Ends() bool {
	return v.Step.Name == Done || v.Step.Name == Refuse && v.Step.Reason == ""
}

// SignedInHere reports whether the user has proven something in this very
// interaction.
func (v *Visit) SignedInHere() bool { return v.User != nil && v.provenHere() }

// Answer is the end of an authorization request: a code or a refusal for the
// client. A device learns it when it asks: of its request there is neither.
type Answer struct {
	Request *oidc.AuthorizationRequest
	Code    string      // with a good end
	Refusal *oidc.Error // else
	// Device is the cookie that goes with it.
	Device DeviceCookie
}

// Session returns the live session that a cookie names, nil if there is none.
func (e *Engine) Session(ctx context.Context, cookie string) (*store.Session, error) {
	s, err := e.SessionToEnd(ctx, cookie)
	if s == nil || err != nil {
		return nil, err
	}
	if now := e.Now(); now.Sub(s.LastSeenAt) > e.SessionIdle {
		return nil, e.Store.EndIdleSession(ctx, s.ID, store.Event{At: now, Type: store.EventSessionIdle, UserID: s.UserID, Session: s.ID})
	}
	return s, nil
}

// SessionToEnd is Session for who signs out: one that was idle for too long is returned,
// too. The user has been at applications meanwhile, and they are to be told.
func (e *Engine) SessionToEnd(ctx context.Context, cookie string) (*store.Session, error) {
	id, secret, ok := strings.Cut(cookie, ".")
	if !ok {
		return nil, nil
	}
	s, err := e.Store.Session(ctx, id, store.HashSecret(secret), e.Now())
	if errors.Is(err, store.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("load session: %w", err)
	}
	return s, nil
}

// Visit loads an interaction as this browser with this session sees it.
// store.ErrNotFound: there is none for it, or it has ended.
func (e *Engine) Visit(ctx context.Context, id string, browserHash []byte, s *store.Session, o Origin) (*Visit, error) {
	now := e.Now()
	i, err := e.Store.Interaction(ctx, id, browserHash, now)
	if err != nil {
		return nil, fmt.Errorf("load interaction: %w", err)
	}
	if i.Progress.Invited != nil {
		return e.visitInvited(ctx, i, o)
	}
	if i.Progress.Registering != nil {
		return e.visitRegistering(ctx, i, o)
	}
	if i.SessionID != "" && s != nil && i.SessionID != s.ID {
		return nil, fmt.Errorf("the interaction belongs to another session: %w", store.ErrNotFound)
	}
	if i.Progress.Account {
		return e.visitAccount(ctx, i, s, o)
	}
	c, err := e.Store.Client(ctx, i.ClientID)
	if err != nil {
		return nil, fmt.Errorf("load the interaction's client: %w", err)
	}
	if i.Progress.DeviceCode == "" && !c.HasRedirectURI(i.Request.RedirectURI) {
		return nil, fmt.Errorf("the redirect URI is not the client's any more: %w", store.ErrNotFound)
	}
	apis, err := e.APIs(ctx, &i.Request)
	if err != nil {
		return nil, err
	}
	rules, err := e.policy(ctx)
	if err != nil {
		return nil, err
	}
	v := &Visit{Origin: o, interaction: i, State: State{
		Now: now, Policy: rules, Client: c, Request: &i.Request, APIs: apis, Address: o.address(), Enrollment: e.Enrollment, NoWebAuthn: e.WebAuthn == nil,
		Interaction: i.ID, Began: i.CreatedAt, Progress: i.Progress, Subjects: e.Subjects,
	}}
	if v.Progress.ConsentTo != v.Asked() {
		v.Progress.ConsentBy = "" // the client is another by now
	}
	if err := e.fill(ctx, v, s); err != nil {
		return nil, err
	}
	if err := e.fillDeviceCode(ctx, v); err != nil {
		return nil, err
	}
	v.Step = Next(v.State)
	return v, nil
}

func (e *Engine) policy(ctx context.Context) (policy.Policy, error) {
	p, err := e.Policy(ctx)
	if err != nil {
		return p, fmt.Errorf("load the policy: %w", err)
	}
	return p, nil
}

// APIs returns those of a request's resources that are registered.
func (e *Engine) APIs(ctx context.Context, req *oidc.AuthorizationRequest) ([]*oidc.Resource, error) {
	var apis []*oidc.Resource
	for _, uri := range req.Resources {
		api, err := e.Store.Resource(ctx, uri)
		if errors.Is(err, store.ErrNotFound) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("load resource: %w", err)
		}
		apis = append(apis, api)
	}
	return apis, nil
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
	if v.Authenticators, err = e.authenticators(ctx, v.Policy, v.User); err != nil {
		return err
	}
	if v.needsConsent() {
		v.Consent, err = e.Store.Consent(ctx, s.UserID, v.Client.ID)
	}
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return fmt.Errorf("load consent: %w", err)
	}
	if err := e.fillDevice(ctx, v); err != nil {
		return err
	}
	if err := e.fillBypass(ctx, v); err != nil {
		return err
	}
	v.HintedElsewhere = v.Request.LoginHint != "" && !names(v.Request.LoginHint, v.User)
	return nil
}

// authenticators are those of a user. What was registered for another host, or for
// codes to another address, exists, and is of no use.
func (e *Engine) authenticators(ctx context.Context, p policy.Policy, u *store.User) ([]store.Authenticator, error) {
	list, err := e.Store.Authenticators(ctx, u.ID)
	if err != nil {
		return nil, fmt.Errorf("load authenticators: %w", err)
	}
	e.WebAuthn.Judge(list)
	for i, a := range list {
		list[i].Disabled = a.Disabled || !e.WebAuthn.Serves(a) || !mailsTo(p, u, a)
	}
	return list, nil
}

// needsConsent reports whether a remembered consent can matter: not where nobody is
// asked for one.
func (v *Visit) needsConsent() bool {
	return !v.Progress.Account && (!v.Client.SkipConsent || v.Request.Prompt.Consent || v.Progress.ConsentBy != "")
}

// names reports whether a login hint names the user.
func names(hint string, u *store.User) bool {
	key, err := authn.LoginKey(hint)
	return err == nil && key == u.LoginKey || strings.EqualFold(hint, u.Email) || hint == u.ID
}

func (v *Visit) event(kind, detail string) store.Event {
	e := store.Event{At: v.Now, Type: kind, ClientID: v.Client.ID, Interaction: v.Interaction,
		Address: v.Origin.Address, RequestID: v.Origin.RequestID, Detail: detail, Browser: BrowserName(v.Origin.UserAgent)}
	if v.User != nil {
		e.UserID = v.User.ID
	}
	if v.Session != nil {
		e.Session = v.Session.ID
	}
	return e
}
