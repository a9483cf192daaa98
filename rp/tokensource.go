package rp

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"sync"
	"time"

	"golang.org/x/oauth2"
)

const (
	longestRefresh = 20 * time.Second // of one refresh, with storing what it brought
	refreshClaim   = 30 * time.Second // after that, whoever was refreshing is taken for dead
	refreshPoll    = 50 * time.Millisecond
)

// ErrEnded is the error of a TokenSource whose tokens are of no use any more: the
// server refused the refresh token or answered it with an ID token of another
// sign-in, there is none, or the store has forgotten them. The user must sign in
// again. errors.As finds the *ResponseError or *CheckError behind it.
var ErrEnded = errors.New("rp: the tokens have ended")

// TokenSource keeps the tokens of a sign-in fresh (RFC 6749 §6). It refreshes
// Config.Leeway before the access token expires, once for all who wait, and is
// safe for concurrent use. An ID token that comes with a refresh must be of the
// same sign-in as the identity (OpenID Connect Core §12.2): one that is made of
// what a session remembers needs Issuer, Subject, AuthTime and Token. The latest
// one is the token's Extra("id_token").
//
// A store shares the tokens among processes, of which one refreshes and the
// others take what it got; nil keeps them in this one. What is stored counts, and
// Identity.Token may be nil then; if nothing is, Identity.Token is stored first.
// The store is asked when an access token expires, not before.
//
// ctx bounds the waiting for others and goes to the store. A refresh that was
// sent is seen through without it, for 20 seconds, so that no new refresh token
// is lost; a process that dies over one holds the others up for 30.
//
// Errors: ErrEnded; *ResponseError for what else the server says; *CheckError if
// something does not hold; *UnavailableError if the
// server does not answer, and those of the store.
func (c *Client) TokenSource(ctx context.Context, id *Identity, store TokenStore) oauth2.TokenSource {
	if store == nil {
		store = new(memoryStore)
	}
	return &tokenSource{ctx: ctx, client: c, identity: *id, store: store}
}

type tokenSource struct {
	ctx    context.Context
	client *Client
	store  TokenStore

	mu       sync.Mutex
	identity Identity // its Token is nil once something was stored
	held     *oauth2.Token
}

// Token returns a token that is good for longer than the leeway, if the server
// gives such tokens.
func (s *tokenSource) Token() (*oauth2.Token, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.held != nil && s.client.fresh(s.held) {
		return s.held, nil
	}
	for {
		stored, text, err := s.load()
		if err != nil {
			return nil, err
		}
		switch {
		case text == nil || stored.Ended:
			return nil, ErrEnded
		case s.client.fresh(stored.Token):
			s.held = stored.token()
			return s.held, nil
		case stored.Token.RefreshToken == "":
			return nil, fmt.Errorf("%w: there is no refresh token", ErrEnded)
		case s.client.config.Now().Before(stored.Until):
			if err := sleep(s.ctx, refreshPoll); err != nil {
				return nil, err
			}
			continue
		}
		claim := stored
		claim.Refresher, claim.Until = rand.Text(), s.client.config.Now().Add(refreshClaim)
		if won, err := s.swap(s.ctx, text, claim.text()); err != nil {
			return nil, err
		} else if !won {
			continue
		}
		if token, err := s.refresh(claim); token != nil || err != nil {
			s.held = token
			return token, err
		}
	}
}

// fresh: good for longer than the leeway, as far as it says.
func (c *Client) fresh(t *oauth2.Token) bool {
	return t.Expiry.IsZero() || c.config.Now().Add(c.config.Leeway).Before(t.Expiry)
}

// load reads what is stored; the text is nil if nothing is.
func (s *tokenSource) load() (record, []byte, error) {
	text, err := s.store.Load(s.ctx)
	if err == nil && text == nil && s.identity.Token != nil {
		text, err = s.storeFirst()
	}
	if err != nil || text == nil {
		return record{}, nil, tokenStoreError(err)
	}
	s.identity.Token = nil // whoever empties the store from now on means it
	var r record
	if json.Unmarshal(text, &r) != nil || r.Token == nil && !r.Ended {
		return record{}, nil, tokenStoreError(errMalformed)
	}
	return r, text, nil
}

func (s *tokenSource) storeFirst() ([]byte, error) {
	text := newRecord(s.identity.Token).text()
	if won, err := s.store.CompareAndSwap(s.ctx, nil, text); won || err != nil {
		return text, err
	}
	return s.store.Load(s.ctx)
}

func (s *tokenSource) swap(ctx context.Context, old, next []byte) (bool, error) {
	won, err := s.store.CompareAndSwap(ctx, old, next)
	return won, tokenStoreError(err)
}

func tokenStoreError(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("rp: the token store: %w", err)
}

// refresh uses the refresh token that was claimed, and stores what comes of it.
// Without token and error somebody else has taken over meanwhile.
func (s *tokenSource) refresh(claim record) (*oauth2.Token, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(s.ctx), longestRefresh)
	defer cancel()
	token, failure := s.client.refresh(ctx, &s.identity, claim.Token.RefreshToken)
	var next record
	switch {
	case failure == nil:
		next = newRecord(token)
	case errors.Is(failure, ErrEnded):
		next = record{Ended: true}
	default: // as it was, for the next one to try
		next = claim
		next.Refresher, next.Until = "", time.Time{}
	}
	won, err := s.settle(ctx, claim.text(), next.text())
	if err != nil {
		return nil, errors.Join(failure, err)
	}
	if !won {
		return nil, nil
	}
	return token, failure
}

// settle swaps until the store answers, or time is up: the new refresh token is
// nowhere else.
func (s *tokenSource) settle(ctx context.Context, old, next []byte) (bool, error) {
	for {
		won, err := s.swap(ctx, old, next)
		if err == nil || sleep(ctx, refreshPoll) != nil {
			return won, err
		}
	}
}

// refresh asks for new tokens of the same sign-in. The error is ErrEnded if the
// refresh token is not good any more, or brought tokens of another sign-in.
func (c *Client) refresh(ctx context.Context, id *Identity, refreshToken string) (*oauth2.Token, error) {
	m, err := c.serverMetadata(ctx)
	if err != nil {
		return nil, err
	}
	form := url.Values{"grant_type": {"refresh_token"}, "refresh_token": {refreshToken}}
	c.addResource(form)
	t, err := c.grant(ctx, m, "refreshing the tokens", form)
	var response *ResponseError
	if errors.As(err, &response) && response.Code == "invalid_grant" {
		return nil, fmt.Errorf("%w: %w", ErrEnded, err)
	}
	if err != nil {
		return nil, err
	}
	if t.oauth2.RefreshToken == "" {
		t.oauth2.RefreshToken = refreshToken
	}
	if t.idToken == "" {
		return t.oauth2, nil
	}
	again, err := c.verifyIDToken(ctx, t.idToken, expected{refreshed: true, accessToken: t.oauth2.AccessToken})
	if err == nil {
		err = id.checkSame(again)
	}
	var check *CheckError
	switch {
	case errors.As(err, &check):
		return nil, fmt.Errorf("%w: %w", ErrEnded, err)
	case err != nil:
		return nil, err
	}
	return t.oauth2, nil
}

// checkSame compares an ID token that came with a refresh with that of the
// sign-in (OpenID Connect Core §12.2); that it is from the server, to this client
// alone, was checked.
func (id *Identity) checkSame(again *Identity) error {
	var nonce, first string
	again.Claims.Decode("nonce", &nonce)
	id.Claims.Decode("nonce", &first)
	switch {
	case again.Issuer != id.Issuer:
		return refuse("iss", "the new ID token is of another server than the sign-in")
	case again.Subject != id.Subject:
		return refuse("sub", "the new ID token is about somebody else")
	case !again.AuthTime.IsZero() && !id.AuthTime.IsZero() && again.AuthTime.Unix() != id.AuthTime.Unix():
		return refuse("auth_time", "the new ID token is of another sign-in")
	case nonce != "" && first != "" && nonce != first:
		return refuse("nonce", "the new ID token is of another sign-in")
	}
	return nil
}
