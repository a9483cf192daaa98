package flow

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/sallyport-id/sallyport/internal/authn"
	"github.com/sallyport-id/sallyport/internal/oidc"
	"github.com/sallyport-id/sallyport/internal/store"
)

// ErrLastFactor: the authenticator is the last of those that the account needs.
var ErrLastFactor = errors.New("flow: the last second factor stays")

// ErrManyFactors: the account has as many authenticators as an account may have.
var ErrManyFactors = errors.New("flow: too many authenticators")

const (
	mostFactors = 20
	// LongestName is of an authenticator, in characters.
	LongestName = 64
)

// LookAtAccount is the visit of a browser whose user looks at the account, and changes
// nothing. At any step but Manage it is not to be shown.
func (e *Engine) LookAtAccount(ctx context.Context, s *store.Session, o Origin) (*Visit, error) {
	return e.visitAccount(ctx, &store.Interaction{Progress: store.Progress{Account: true}}, s, o)
}

// BeginAccount begins an interaction for changes of the account, and returns its id.
// Who has not signed in does that in it.
func (e *Engine) BeginAccount(ctx context.Context, s *store.Session, browserHash []byte) (string, error) {
	now := e.Now()
	i := &store.Interaction{
		ID: store.NewID(), BrowserHash: browserHash, Version: 1, CreatedAt: now, ExpiresAt: now.Add(accountTTL),
		Progress: store.Progress{Account: true, OwnProofs: true},
	}
	if s != nil {
		i.SessionID = s.ID
	}
	if err := e.Store.CreateInteraction(ctx, i); err != nil {
		return "", fmt.Errorf("create interaction: %w", err)
	}
	return i.ID, nil
}

// EndAccount ends the interaction at the user's wish.
func (e *Engine) EndAccount(ctx context.Context, v *Visit) error {
	if err := e.Store.RefuseInteraction(ctx, v.Interaction, v.interaction.Version, v.Now); err != nil {
		return fmt.Errorf("end interaction: %w", err)
	}
	return nil
}

// OfAccount reports whether the visit is to the user's own account: no client waits.
func (v *Visit) OfAccount() bool { return v.Progress.Account }

func (e *Engine) visitAccount(ctx context.Context, i *store.Interaction, s *store.Session, o Origin) (*Visit, error) {
	now := e.Now()
	rules, err := e.policy(ctx)
	if err != nil {
		return nil, err
	}
	v := &Visit{Origin: o, interaction: i, State: State{
		Now: now, Policy: rules, Client: &oidc.Client{}, Request: &i.Request, Address: o.address(), Enrollment: e.Enrollment, NoWebAuthn: e.WebAuthn == nil,
		Interaction: i.ID, Began: i.CreatedAt, Progress: i.Progress,
	}}
	if err := e.fill(ctx, v, s); err != nil {
		return nil, err
	}
	v.Step = Next(v.State)
	return v, nil
}

// change is a change that the user makes at the step Manage.
func (v *Visit) change(kind, detail string) (store.Change, error) {
	if v.Step.Name != Manage || !v.managing() {
		return store.Change{}, fmt.Errorf("flow: %s at step %q", kind, v.Step.Name)
	}
	after := *v.interaction
	after.Progress, after.SessionID = v.Progress, v.Session.ID
	after.Progress.Enrolling, after.Progress.Ceremony, after.Progress.MailCode = nil, nil, v.Progress.MailCode.Void()
	return store.Change{
		UserID: v.User.ID, UserEpoch: v.User.Epoch, SessionID: v.Session.ID, Interaction: after, Now: v.Now,
		Events: []store.Event{v.event(kind, detail)},
	}, nil
}

// FirstFactor reports whether what the account adds is its first authenticator, for
// which it needs the right to enrol.
func (v *Visit) FirstFactor() bool { return len(v.Authenticators) == 0 }

// MayAdd reports whether the user may add an authenticator here: with the password
// alone only a first one, by right, and where that needs no more.
func (v *Visit) MayAdd() bool {
	return v.shownAll() || v.Step.Evidence.Level >= enrollReach && len(v.FirstKinds()) > 0
}

// RecordAddition makes a further authenticator active; everything else that was issued
// to the user ends. A first one is RecordEnrollment's.
func (e *Engine) RecordAddition(ctx context.Context, v *Visit, n Enrolled) (Cookie, error) {
	if v.FirstFactor() {
		return e.RecordEnrollment(ctx, v, n)
	}
	c, err := v.change(store.EventAccountFactorAdded, string(n.Authenticator.Kind)+" "+n.Authenticator.ID)
	switch {
	case err != nil:
		return "", err
	case !v.MayAdd() || !slices.Contains(v.FirstKinds(), n.Authenticator.Kind):
		return "", fmt.Errorf("flow: no further authenticator, or none of that kind: %w", store.ErrUsed)
	case len(v.Authenticators) >= mostFactors:
		return "", ErrManyFactors
	}
	add, cookie := v.addProof(n.Proof, store.Settle{}, enrolled(n))
	add.Events = nil
	return cookie.after(e.Store.AddAuthenticator(ctx, c, store.Addition{Authenticator: n.Authenticator, Handle: n.Handle, Proof: add}), add)
}

// Removable reports whether the authenticator can be removed: not a recovery set, and
// another one that can be used is left, of a kind that reaches what the policy
// requires of everyone.
func (v *Visit) Removable(id string) bool {
	found, left := false, false
	for _, a := range v.Authenticators {
		switch {
		case a.Kind == store.KindRecovery:
		case a.ID == id:
			found = true
		case authn.Usable(a) && (a.Kind == store.KindWebAuthn || !v.needsWebAuthn()):
			left = true
		}
	}
	return found && left
}

func (v *Visit) needsWebAuthn() bool { return v.Policy.Required(v.Case()) > oidc.Level2FA }

// RemoveFactor deletes an authenticator; everything else that was issued to the user
// ends. ErrLastFactor: it is needed.
func (e *Engine) RemoveFactor(ctx context.Context, v *Visit, id string) error {
	a := v.factor(id)
	if a == nil {
		return fmt.Errorf("flow: remove authenticator: %w", store.ErrNotFound)
	}
	if !v.Removable(id) {
		return ErrLastFactor
	}
	c, err := v.change(store.EventAccountFactorRemoved, string(a.Kind)+" "+id)
	if err != nil {
		return err
	}
	leave := []store.AuthenticatorKind{store.KindWebAuthn}
	if !v.needsWebAuthn() {
		leave = append(leave, store.KindTOTP)
		if v.mailbox() != nil {
			leave = append(leave, store.KindEmail)
		}
	}
	return e.Store.RemoveAuthenticator(ctx, c, id, leave...)
}

// RenameFactor gives an authenticator another name.
func (e *Engine) RenameFactor(ctx context.Context, v *Visit, id, name string) error {
	c, err := v.change(store.EventAccountFactorRenamed, id)
	if err != nil {
		return err
	}
	return e.Store.RenameAuthenticator(ctx, c, id, FactorName(name))
}

// factor is the user's authenticator of an id, nil if there is none.
func (v *Visit) factor(id string) *store.Authenticator {
	for i, a := range v.Authenticators {
		if a.ID == id && a.Kind != store.KindRecovery {
			return &v.Authenticators[i]
		}
	}
	return nil
}

// FactorName is a name as it is kept: what can be seen of it, and not too much.
func FactorName(typed string) string {
	runes := []rune(strings.TrimSpace(visible(typed)))
	return strings.TrimSpace(string(runes[:min(len(runes), LongestName)]))
}

// RenewCodes makes new recovery codes, which the next page shows, in place of all
// older ones; everything else that was issued to the user ends.
func (e *Engine) RenewCodes(ctx context.Context, v *Visit) error {
	c, err := v.change(store.EventAccountCodes, "")
	if err != nil {
		return err
	}
	if v.Step.Evidence.Level < enrollReach {
		return fmt.Errorf("flow: recovery codes with the password alone: %w", store.ErrUsed)
	}
	codes, set, hashes, err := e.Hasher.NewRecoverySet(ctx, v.User.ID, v.Now)
	if err != nil {
		return err
	}
	c.Interaction.Progress.CodesOf, c.Interaction.Progress.CodesIn = v.User.ID, v.Session.ID
	if c.Interaction.Progress.Codes, err = e.sealCodes(v, codes); err != nil {
		return err
	}
	return e.Store.RenewRecoveryCodes(ctx, c, set, hashes)
}

// ShortestPassword is the number of characters of a new password.
func (v *Visit) ShortestPassword() int { return shortestPassword(v.Policy) }

// ChangePassword gives the account another password; everything else that was issued
// to the user ends. A *authn.PasswordError says why it is not taken.
func (e *Engine) ChangePassword(ctx context.Context, v *Visit, password string, settle store.Settle) error {
	c, err := v.change(store.EventAccountPassword, "")
	if err != nil {
		return err
	}
	if v.User.PasswordHash == "" {
		return fmt.Errorf("flow: no password to change: %w", store.ErrStale)
	}
	rule := authn.PasswordRule{Shortest: v.ShortestPassword()}
	if err := rule.Check(password, []string{"sallyport", v.User.Login, v.User.Email}); err != nil {
		return err
	}
	hash, err := e.Hasher.Hash(ctx, password)
	if err != nil {
		return fmt.Errorf("hash password: %w", err)
	}
	return e.Store.ChangePassword(ctx, c, v.User.PasswordHash, hash, settle)
}

// EndOwnSession ends one of the user's other sessions.
func (e *Engine) EndOwnSession(ctx context.Context, v *Visit, id string) error {
	c, err := v.change(store.EventAccountSessionEnded, id)
	if err != nil {
		return err
	}
	return e.Store.EndOwnSession(ctx, c, id)
}

// EndOthers ends everything that was issued to the user but the session.
func (e *Engine) EndOthers(ctx context.Context, v *Visit) error {
	c, err := v.change(store.EventAccountOthersEnded, "")
	if err != nil {
		return err
	}
	return e.Store.EndOthers(ctx, c)
}

// EndOwnDevice ends the trust in one of the user's browsers.
func (e *Engine) EndOwnDevice(ctx context.Context, v *Visit, id string) error {
	if _, err := v.change(store.EventDeviceEnded, id); err != nil {
		return err
	}
	return e.Store.EndTrustedDevice(ctx, v.User.ID, id, v.event(store.EventDeviceEnded, id))
}

// RevokeConsent takes back all that a client has of the user.
func (e *Engine) RevokeConsent(ctx context.Context, v *Visit, clientID string) error {
	c, err := v.change(store.EventAccountConsentRevoked, "")
	if err != nil {
		return err
	}
	c.Events[0].ClientID = clientID
	return e.Store.RevokeConsent(ctx, c, clientID)
}

// SetLocale sets the language that the user prefers; "" for the browser's.
func (e *Engine) SetLocale(ctx context.Context, v *Visit, locale string) error {
	c, err := v.change(store.EventAccountLocale, locale)
	if err != nil {
		return err
	}
	return e.Store.SetLocale(ctx, c, locale)
}

// Application is what an application has of a user.
type Application struct {
	Client *oidc.Client
	Scope  []string  // allowed for good, those at an API, too
	Since  time.Time // when it was allowed; zero: it was not, for good
	// LastGrant is when the newest grant that is live was made; zero: none is. Stays: it
	// can be refreshed when the session is over.
	LastGrant time.Time
	Stays     bool
}

// Holdings are what was issued to the user and is still good.
type Holdings struct {
	Sessions     []store.Session
	Devices      []store.TrustedDevice
	Applications []Application
}

// Holdings loads what the user of the visit has.
func (e *Engine) Holdings(ctx context.Context, v *Visit) (h Holdings, err error) {
	if h.Sessions, err = e.Store.UserSessions(ctx, v.User.ID, v.Now); err != nil {
		return h, fmt.Errorf("load sessions: %w", err)
	}
	if h.Devices, err = e.Store.TrustedDevices(ctx, v.User.ID, v.Now); err != nil {
		return h, fmt.Errorf("load trusted devices: %w", err)
	}
	clients, err := e.Store.UserClients(ctx, v.User.ID, v.Now)
	if err != nil {
		return h, fmt.Errorf("load the user's clients: %w", err)
	}
	for _, c := range clients {
		client, err := e.Store.Client(ctx, c.ClientID)
		if errors.Is(err, store.ErrNotFound) {
			continue
		}
		if err != nil {
			return h, fmt.Errorf("load client: %w", err)
		}
		a := Application{Client: client, Since: c.AllowedAt, LastGrant: c.LastGrant, Stays: c.Stays}
		for _, scope := range c.Scope {
			a.Scope = append(a.Scope, scope[strings.LastIndexByte(scope, ' ')+1:]) // one at an API has its id before it
		}
		h.Applications = append(h.Applications, a)
	}
	return h, nil
}
