package flow

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/sallyport-id/sallyport/internal/oidc"
	"github.com/sallyport-id/sallyport/internal/store"
)

// Begin starts on a request that was checked, with its APIs. If nobody needs to be asked the
// answer is there at once and nothing but its grant is stored; else the id of
// the interaction, which belongs to the browser.
func (e *Engine) Begin(ctx context.Context, req *oidc.AuthorizationRequest, c *oidc.Client, apis []*oidc.Resource, s *store.Session, browserHash []byte, o Origin) (interaction string, answer *Answer, err error) {
	now := e.Now()
	progress, refusal := e.cutOffs(req, c, now)
	if refusal != nil {
		return "", &Answer{Request: req, Refusal: refusal}, nil
	}
	rules, err := e.policy(ctx)
	if err != nil {
		return "", nil, err
	}
	v := &Visit{Origin: o, State: State{
		Now: now, Policy: rules, Client: c, Request: req, APIs: apis, Address: o.address(), Enrollment: e.Enrollment, NoWebAuthn: e.WebAuthn == nil, Progress: progress, Subjects: e.Subjects,
	}}
	if err := e.fill(ctx, v, s); err != nil {
		return "", nil, err
	}
	switch v.Step = Next(v.State); {
	case v.Step.Name == Done:
		answer, err = e.Finish(ctx, v, nil)
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

// CheckRequest checks a request of the client's whose redirect URI is proven, as it would
// be if a sign-in began with it now. What is wrong with it is an *oidc.Error.
func (e *Engine) CheckRequest(ctx context.Context, c *oidc.Client, req *oidc.AuthorizationRequest) error {
	apis, err := e.APIs(ctx, req)
	if err != nil {
		return err
	}
	if refusal := req.Check(c, apis...); refusal != nil {
		return refusal
	}
	if _, refusal := e.cutOffs(req, c, e.Now()); refusal != nil {
		return refusal
	}
	return nil
}

func refused(req *oidc.AuthorizationRequest, code, description string) *Answer {
	return &Answer{Request: req, Refusal: oidc.Errorf(code, "%s", description)}
}

// cutOffs fixes, at the beginning, which proofs will count, and for whom
// (OpenID Connect Core §3.1.2.1, §5.5.1).
func (e *Engine) cutOffs(req *oidc.AuthorizationRequest, c *oidc.Client, now time.Time) (store.Progress, *oidc.Error) {
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
	subject, err := e.Hint(req.IDTokenHint, c)
	switch {
	case err != nil:
		return p, oidc.Errorf(oidc.InvalidRequest, "id_token_hint is not an ID token of this server, or another client's")
	case p.Subject != "" && p.Subject != subject:
		return p, oidc.Errorf(oidc.InvalidRequest, "id_token_hint and the sub claim name different users")
	}
	p.Subject = subject
	return p, nil
}

func (e *Engine) createInteraction(ctx context.Context, v *Visit, browserHash []byte) (string, error) {
	i := &store.Interaction{
		ID: store.NewID(), BrowserHash: browserHash, ClientID: v.Client.ID, Request: *v.Request,
		Progress: e.offered(v), Version: 1, CreatedAt: v.Now, ExpiresAt: v.Now.Add(interactionTTL),
	}
	if v.Session != nil {
		i.SessionID = v.Session.ID
	}
	if err := e.Store.CreateInteraction(ctx, i); err != nil {
		return "", fmt.Errorf("create interaction: %w", err)
	}
	return i.ID, nil
}
