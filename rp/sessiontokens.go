package rp

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"time"

	"golang.org/x/oauth2"
)

const longestRevocation = 5 * time.Second // of the tokens of a session that ends

// HTTPClient is Client.HTTPClient with the tokens of the session that
// RequireSession, RequireFresh or StepUp found for a request, of which ctx is the
// context. It takes SessionConfig.Tokens. Without a session, requests fail with
// ErrNoSession; where the API takes a stronger or more recent sign-in, with a
// *StepUpError.
func (s *Sessions) HTTPClient(ctx context.Context) *http.Client {
	found, _ := ctx.Value(contextKey{}).(inContext)
	if found.owner != s {
		return s.clients[0].HTTPClient(noTokens{ErrNoSession})
	}
	client := s.of(found.session.Issuer)
	store, err := s.tokens(found.session)
	if err != nil {
		return client.HTTPClient(noTokens{err})
	}
	api := client.HTTPClient(client.TokenSource(ctx, &found.session.Identity, store))
	api.Transport = steppingUp{api.Transport}
	return api
}

// steppingUp makes an error of an answer that takes another sign-in.
type steppingUp struct{ http.RoundTripper }

func (s steppingUp) RoundTrip(r *http.Request) (*http.Response, error) {
	res, err := s.RoundTripper.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	if err := CheckStepUp(res); err != nil {
		return nil, err
	}
	return res, nil
}

// noTokens is the source where there is none.
type noTokens struct{ err error }

func (n noTokens) Token() (*oauth2.Token, error) { return nil, n.err }

// tokens is where the tokens of a session are. Two sessions without an ID would
// share them.
func (s *Sessions) tokens(session *Session) (TokenStore, error) {
	switch {
	case s.config.Tokens == nil:
		return nil, errors.New("rp: SessionConfig.Tokens is nil")
	case session.ID == "":
		return nil, errors.New("rp: the session has no ID: the store did not keep it")
	}
	return s.config.Tokens(session), nil
}

// keepTokens stores the tokens that a session begins with.
func (s *Sessions) keepTokens(ctx context.Context, session *Session, token *oauth2.Token) error {
	if s.config.Tokens == nil || token == nil {
		return nil
	}
	store, err := s.tokens(session)
	if err != nil {
		return err
	}
	if _, err := replace(ctx, store, newRecord(token)); err != nil {
		return &UnavailableError{Doing: "keeping the tokens of a session", Err: err}
	}
	return nil
}

// replace stores a record whatever is there, and returns that.
func replace(ctx context.Context, store TokenStore, next record) (old record, err error) {
	for {
		text, err := store.Load(ctx)
		if err != nil {
			return record{}, err
		}
		won, err := store.CompareAndSwap(ctx, text, next.text())
		if err != nil {
			return record{}, err
		}
		if won {
			_ = json.Unmarshal(text, &old) // what cannot be read is of no use to anybody
			return old, nil
		}
		if err := ctx.Err(); err != nil {
			return record{}, err
		}
	}
}

// revokeTokens ends the tokens of a session that has ended: here, and at the server
// if it answers soon. The logout does not depend on it.
func (s *Sessions) revokeTokens(ctx context.Context, session *Session) {
	if s.config.Tokens == nil || s.of(session.Issuer) == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), longestRevocation)
	defer cancel()
	client := s.of(session.Issuer)
	if err := s.tryRevoke(ctx, client, session); err != nil {
		client.config.Logger.WarnContext(ctx, "the tokens of a session that ended are not revoked",
			slog.String("issuer", session.Issuer), slog.Any("error", err))
	}
}

func (s *Sessions) tryRevoke(ctx context.Context, client *Client, session *Session) error {
	store, err := s.tokens(session)
	if err != nil {
		return err
	}
	old, err := replace(ctx, store, record{Ended: true})
	if err != nil || old.Token == nil {
		return err
	}
	m, err := client.serverMetadata(ctx)
	if err != nil || m.revocationEndpoint == "" { // then they end by themselves
		return err
	}
	return client.Revoke(ctx, old.Token)
}
