package flow

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"strings"

	"github.com/sallyport-id/sallyport/internal/oidc"
	"github.com/sallyport-id/sallyport/internal/store"
)

// Finish ends an interaction whose next step is Done: one transaction,
// conditional on what Next decided on. known is the browser, nil if it is known
// already or not to be. store.ErrStale: ask again; store.ErrUsed: the request
// was sent ahead, and is answered already.
func (e *Engine) Finish(ctx context.Context, v *Visit, known *store.KnownBrowser) (*Answer, error) {
	if v.Step.Name != Done {
		return nil, fmt.Errorf("flow: finish at step %q", v.Step.Name)
	}
	if _, err := v.Policy.Allows(v.Case(), v.Session.UserEpoch, v.Evidence()); err != nil {
		return nil, fmt.Errorf("flow: done, but the policy refuses: %w", err)
	}
	grant, value := v.grant(), ""
	f := store.Finish{
		InteractionID:  v.Interaction,
		SessionVersion: v.Session.Version,
		Grant:          grant,
		DeviceCode:     v.Progress.DeviceCode,
		PushedRequest:  v.Request.PushedID,
		KnownBrowser:   known,
		TouchSession:   !v.Request.Prompt.None && v.Now.Sub(v.Session.LastSeenAt) > touchEvery,
		Now:            v.Now,
		Events:         []store.Event{v.event(store.EventAuthorizeGranted, strings.Join(v.Step.Evidence.AMR, " "))},
	}
	if !v.forDevice() {
		f.Code, value = newCode(grant, v.Request)
	}
	if v.interaction != nil {
		f.InteractionVersion = v.interaction.Version
		f.Consent = v.rememberedConsent()
	}
	if known != nil {
		f.Events = append(f.Events, v.event(store.EventLoginNewBrowser, BrowserName(v.Origin.UserAgent)))
	}
	device := e.relyOnDevice(v, &f)
	if err := e.Store.FinishInteraction(ctx, f); err != nil {
		return nil, fmt.Errorf("finish interaction: %w", err)
	}
	return &Answer{Request: v.Request, Code: value, Device: device}, nil
}

// grant is the snapshot of what was proven and allowed.
func (v *Visit) grant() *store.Grant {
	names, _ := v.Request.RequestedACR()
	var resources []store.GrantedResource
	for _, api := range v.APIs {
		resources = append(resources, store.GrantedResource{ID: api.ID, URI: api.URI, Scopes: v.ScopesAt(api)})
	}
	g := &store.Grant{
		ID: store.NewID(), ClientID: v.Client.ID, UserID: v.User.ID, UserEpoch: v.Session.UserEpoch,
		SessionID: v.Session.ID, SID: sid(v.Session.ID, v.Client.ID), Interaction: v.Interaction,
		Address: v.Origin.Address, Scope: v.Request.Scope, Resources: resources, Offline: oidc.HasScope(v.Request.Scope, oidc.ScopeOfflineAccess),
		Proofs: v.Evidence().Counting(), RequestedACR: names,
		UserInfo: v.Client.MayAsk(v.Request.Claims.UserInfo), IDToken: v.Client.MayAsk(v.Request.Claims.IDToken), // not what it may later
		Nonce: v.Request.Nonce, CreatedAt: v.Now,
	}
	if v.forDevice() { // it knows nothing of the session that was at hand, and does not end with it
		g.Offline, g.SID = true, ""
	}
	return g
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
		RedirectURI: req.RedirectURI, RedirectSent: req.RedirectSent, CodeChallenge: req.CodeChallenge, JKT: req.DPoPJKT,
		CreatedAt: g.CreatedAt, ExpiresAt: g.CreatedAt.Add(codeTTL),
	}
	return c, CodePrefix + c.ID + "." + secret
}

// NamesSession reports whether a sid claim, in a token for the client, names
// the session.
func NamesSession(s *store.Session, clientID, claim string) bool {
	return claim != "" && claim == sid(s.ID, clientID)
}
