package rp

import (
	"bytes"
	"context"
	"encoding/json"
	"sync"
	"time"

	"golang.org/x/oauth2"
)

// A TokenStore keeps the tokens of one sign-in where every process of an
// application finds them, such as in the row of its session. What it keeps is
// opaque text of a few kilobytes, and a secret.
type TokenStore interface {
	// Load returns what is stored, nil if nothing is.
	Load(ctx context.Context) ([]byte, error)
	// CompareAndSwap stores next if what is stored equals old, nil for nothing, in
	// one step that no other can come between. It reports whether it did.
	CompareAndSwap(ctx context.Context, old, next []byte) (bool, error)
}

// memoryStore is the store of a TokenSource that shares its tokens with nobody.
type memoryStore struct {
	mu   sync.Mutex
	text []byte
}

func (m *memoryStore) Load(context.Context) ([]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.text, nil
}

func (m *memoryStore) CompareAndSwap(_ context.Context, old, next []byte) (bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !bytes.Equal(m.text, old) {
		return false, nil
	}
	m.text = next
	return true, nil
}

// record is what a TokenStore keeps.
type record struct {
	Token   *oauth2.Token `json:"token,omitempty"`
	IDToken string        `json:"id_token,omitempty"`
	Scope   string        `json:"scope,omitempty"`

	// Who refreshes says so first, so that a refresh token is used once: servers
	// take a second use for theft and end everything.
	Refresher string    `json:"refresher,omitempty"`
	Until     time.Time `json:"until,omitzero"`

	Ended bool `json:"ended,omitempty"` // the server refused the refresh token
}

// newRecord leaves the extras of a token out that JSON would lose, but for two.
func newRecord(t *oauth2.Token) record {
	idToken, _ := t.Extra("id_token").(string)
	scope, _ := t.Extra("scope").(string)
	return record{Token: t, IDToken: idToken, Scope: scope}
}

func (r record) token() *oauth2.Token { return withExtra(r.Token, r.IDToken, r.Scope) }

func (r record) text() []byte {
	text, _ := json.Marshal(r) // nothing in it can fail
	return text
}

func withExtra(t *oauth2.Token, idToken, scope string) *oauth2.Token {
	return t.WithExtra(map[string]any{"id_token": idToken, "scope": scope})
}
