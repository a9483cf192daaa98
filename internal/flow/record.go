package flow

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/sallyport-id/sallyport/internal/authn"
	"github.com/sallyport-id/sallyport/internal/keys"
	"github.com/sallyport-id/sallyport/internal/oidc"
	"github.com/sallyport-id/sallyport/internal/store"
)

// Cookie is a session cookie's new value; "" leaves the browser's as it is.
type Cookie string

// RecordPassword records that the user's password was right: in the browser's
// session if it is the same user's, else in a new one that replaces it.
func (e *Engine) RecordPassword(ctx context.Context, v *Visit, u *store.User, settle store.Settle) (Cookie, error) {
	proof := v.proof(store.MethodPassword, u.ID, "")
	if v.Session != nil && v.Session.UserID == u.ID {
		add, cookie := v.addProof(proof, settle, store.EventLoginPassword)
		return cookie.after(e.Store.AddProof(ctx, add), add)
	}
	s, replaces, cookie, events := e.newSession(v, u, proof, store.EventLoginPassword)
	if err := e.Store.StartSession(ctx, s, replaces, v.Interaction, settle, events...); err != nil {
		return "", fmt.Errorf("start session: %w", err)
	}
	return cookie, nil
}

// RecordTOTP accepts the step and records the proof. store.ErrUsed: the step,
// or a later one, was accepted before (RFC 6238 §5.2).
func (e *Engine) RecordTOTP(ctx context.Context, v *Visit, authenticator string, step int64, settle store.Settle) (Cookie, error) {
	add, cookie := v.addProof(v.proof(store.MethodTOTP, v.User.ID, authenticator), settle, store.EventLoginTOTP)
	return cookie.after(e.Store.UseTOTPStep(ctx, authenticator, step, add), add)
}

// RecordRecovery accepts the recovery code and records the proof; everything
// else that was issued to the user ends. store.ErrUsed: the code was used before.
func (e *Engine) RecordRecovery(ctx context.Context, v *Visit, authenticator string, codeHash []byte, settle store.Settle) (Cookie, error) {
	add, cookie := v.addProof(v.proof(store.MethodRecovery, v.User.ID, authenticator), settle, store.EventLoginRecovery)
	return cookie.after(e.Store.UseRecoveryCode(ctx, authenticator, codeHash, add), add)
}

// NewTOTP returns the secret that waits for its first right code in this
// interaction and makes it if there is none.
func (e *Engine) NewTOTP(ctx context.Context, v *Visit) ([]byte, error) {
	if w := v.Progress.Enrolling; w != nil && w.UserID == v.User.ID {
		return e.Sealer.Open(w.Secret, authn.SecretPlace(w.ID, w.UserID))
	}
	secret := authn.NewTOTPSecret()
	w := &store.Enrolling{ID: store.NewID(), UserID: v.User.ID}
	sealed, err := e.Sealer.Seal(secret, authn.SecretPlace(w.ID, w.UserID))
	if err != nil {
		return nil, fmt.Errorf("seal totp secret: %w", err)
	}
	w.Secret = sealed
	v.Progress.Enrolling = w
	return secret, e.update(ctx, v)
}

// Enrolled is a first authenticator that its user has just confirmed.
type Enrolled struct {
	Authenticator store.Authenticator
	Handle        string // of a passkey or a security key
	Proof         store.Proof
}

// NewApp is the waiting authenticator app, confirmed by the code of a step.
func (v *Visit) NewApp(step int64) (Enrolled, error) {
	w := v.Progress.Enrolling
	if w == nil {
		return Enrolled{}, fmt.Errorf("flow: no app waits: %w", store.ErrStale)
	}
	return Enrolled{
		Authenticator: store.Authenticator{ID: w.ID, UserID: w.UserID, Kind: store.KindTOTP, Secret: w.Secret, LastStep: step, CreatedAt: v.Now, LastUsedAt: v.Now},
		Proof:         v.proof(store.MethodTOTP, v.User.ID, w.ID),
	}, nil
}

// enrolled is the event of it.
func enrolled(n Enrolled) string {
	switch n.Authenticator.Kind {
	case store.KindWebAuthn:
		return store.EventEnrollWebAuthn
	case store.KindEmail:
		return store.EventEnrollEmail
	}
	return store.EventEnrollTOTP
}

// RecordEnrollment makes the authenticator active, spends the right to enrol, the
// user's own or that of a bypass code, and makes the recovery codes that the next
// page shows. store.ErrUsed: the right is gone. store.ErrExists: somebody has the
// credential.
func (e *Engine) RecordEnrollment(ctx context.Context, v *Visit, n Enrolled) (Cookie, error) {
	made, err := e.confirm(ctx, v, n.Authenticator.Kind)
	if err != nil {
		return "", err
	}
	add, cookie := v.addProof(n.Proof, store.Settle{}, enrolled(n))
	made.interaction.SessionID = v.Session.ID
	err = e.Store.EnrollFirst(ctx, store.Enrollment{
		Authenticator: n.Authenticator, Handle: n.Handle, Recovery: made.recovery, CodeHashes: made.codeHashes, Proof: add, Interaction: made.interaction,
		Bypass: v.enrolsBy(),
	})
	return cookie.after(err, add)
}

// confirmed is what comes with a first authenticator.
type confirmed struct {
	recovery    store.Authenticator
	codeHashes  [][]byte
	interaction store.Interaction
}

func (e *Engine) confirm(ctx context.Context, v *Visit, kind store.AuthenticatorKind) (c confirmed, err error) {
	if v.Step.Name != Enroll && !(v.Step.Name == Manage && v.shownAll()) {
		return c, fmt.Errorf("flow: enrolment at step %q: %w", v.Step.Name, store.ErrStale)
	}
	if !slices.Contains(v.FirstKinds(), kind) {
		return c, fmt.Errorf("flow: the policy wants no %s: %w", kind, store.ErrStale)
	}
	var codes []string
	if codes, c.recovery, c.codeHashes, err = e.Hasher.NewRecoverySet(ctx, v.User.ID, v.Now); err != nil {
		return c, err
	}
	c.interaction = *v.interaction
	c.interaction.Progress = v.Progress
	c.interaction.Progress.Enrolling, c.interaction.Progress.Ceremony, c.interaction.Progress.CodesOf = nil, nil, v.User.ID
	c.interaction.Progress.MailCode = v.Progress.MailCode.Void()
	c.interaction.Progress.Codes, err = e.sealCodes(v, codes)
	return c, err
}

// Codes are the recovery codes that the SaveCodes step shows.
func (e *Engine) Codes(v *Visit) (codes []string, err error) {
	plain, err := e.Sealer.Open(v.Progress.Codes, codesPlace(v))
	if err != nil {
		return nil, fmt.Errorf("open recovery codes: %w", err)
	}
	return codes, json.Unmarshal(plain, &codes)
}

func (e *Engine) sealCodes(v *Visit, codes []string) ([]byte, error) {
	plain, err := json.Marshal(codes)
	if err != nil {
		return nil, err
	}
	return e.Sealer.Seal(plain, codesPlace(v))
}

func codesPlace(v *Visit) keys.Place {
	return keys.Place{Table: "interactions", Column: "codes", Row: v.Interaction, Owner: v.User.ID}
}

// RecordSaved records that the user has saved the recovery codes: they are not
// shown again.
func (e *Engine) RecordSaved(ctx context.Context, v *Visit) error {
	v.Progress.Codes, v.Progress.CodesOf, v.Progress.CodesIn = nil, "", ""
	return e.update(ctx, v)
}

// RecordConsent records that the user allows the request.
func (e *Engine) RecordConsent(ctx context.Context, v *Visit) error {
	v.Progress.ConsentBy, v.Progress.ConsentTo = v.User.ID, v.Asked()
	return e.update(ctx, v, v.event(store.EventConsentGiven, strings.Join(v.Request.Scope, " ")))
}

// Refuse ends the interaction with an error for the client: cancelled, denied.
func (e *Engine) Refuse(ctx context.Context, v *Visit, refusal *oidc.Error) (*Answer, error) {
	err := e.refuse(ctx, v, refusal)
	if err != nil {
		return nil, fmt.Errorf("refuse interaction: %w", err)
	}
	return &Answer{Request: v.Request, Refusal: refusal}, nil
}

func (e *Engine) refuse(ctx context.Context, v *Visit, refusal *oidc.Error) error {
	if v.DeviceCode != nil {
		return e.Store.DenyDeviceCode(ctx, v.DeviceCode.ID, v.Interaction, v.interaction.Version, v.Now, v.event(store.EventDeviceCodeDenied, v.DeviceCode.ID))
	}
	return e.Store.RefuseInteraction(ctx, v.Interaction, v.interaction.Version, v.Now, v.event(store.EventAuthorizeRefused, refusal.Code))
}

// Switch ends the browser's session so that somebody else can sign in for the
// same request.
func (e *Engine) Switch(ctx context.Context, v *Visit) error {
	if v.Session == nil {
		return nil
	}
	ended := v.Session.ID
	v.Session, v.interaction.SessionID = nil, ""
	v.Progress.Ceremony, v.Progress.MailCode, v.Progress.Confirmed = nil, v.Progress.MailCode.Void(), nil
	v.Progress.Enrolling, v.Progress.ConsentBy, v.Progress.TrustBy, v.Progress.LaterBy = nil, "", "", ""
	v.Progress.Codes, v.Progress.CodesOf, v.Progress.CodesIn = nil, "", ""
	if err := e.update(ctx, v); err != nil {
		return err
	}
	return e.Store.EndSession(ctx, ended, v.Now, store.Event{At: v.Now, Type: store.EventSessionSwitched, UserID: v.User.ID, Session: ended, Address: v.Origin.Address, RequestID: v.Origin.RequestID})
}

// update stores the progress, and asks what is next then; store.ErrStale if it was
// another's turn.
func (e *Engine) update(ctx context.Context, v *Visit, events ...store.Event) error {
	v.keep()
	if err := e.Store.UpdateInteraction(ctx, v.interaction, v.Now, events...); err != nil {
		return fmt.Errorf("update interaction: %w", err)
	}
	v.Step = Next(v.State)
	return nil
}

// keep puts what happened into the interaction as it is to be stored.
func (v *Visit) keep() {
	v.interaction.Progress = v.Progress
	if v.Session != nil {
		v.interaction.SessionID = v.Session.ID
	}
}

func (v *Visit) proof(m store.Method, userID, authenticator string) store.Proof {
	return store.Proof{Method: m, At: v.Now, UserID: userID, Authenticator: authenticator, Interaction: v.Interaction}
}

// addProof prepares a proof for the browser's session, with a new secret for its
// cookie: a stolen old one is worth nothing after a step up (OWASP ASVS 7.2.4).
func (v *Visit) addProof(p store.Proof, settle store.Settle, event string) (store.AddProof, Cookie) {
	secret, hash := store.NewSecret()
	rotated := false
	return store.AddProof{
		SessionID: v.Session.ID, UserID: p.UserID, Version: v.Session.Version, NewSecretHash: hash,
		Proof: p, Interaction: v.Interaction, Settle: settle, Now: v.Now,
		Events: []store.Event{v.event(event, "")}, Rotated: &rotated,
	}, Cookie(v.Session.ID + "." + secret)
}

// after returns the cookie if the store took its secret: the loser of a race of
// rotations sends none.
func (c Cookie) after(err error, add store.AddProof) (Cookie, error) {
	if err != nil {
		return "", fmt.Errorf("record proof: %w", err)
	}
	if !*add.Rotated {
		return "", nil
	}
	return c, nil
}

// Expected reports whether an error is one that a user can cause: a page out of
// date, or something used twice.
func Expected(err error) bool {
	return errors.Is(err, store.ErrStale) || errors.Is(err, store.ErrUsed) || errors.Is(err, store.ErrNotFound)
}
