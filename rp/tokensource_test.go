package rp_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/oauth2"

	"github.com/sallyport-id/sallyport/rp"
	"github.com/sallyport-id/sallyport/rp/rptest"
)

// row is the row of a session that several processes see.
type row struct {
	mu   sync.Mutex
	text []byte
	down error

	failures int // of CompareAndSwap that are still to come, beginning with the second
	swaps    int
}

func (r *row) Load(context.Context) ([]byte, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.text, r.down
}

func (r *row) CompareAndSwap(_ context.Context, old, next []byte) (bool, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.swaps++
	if r.swaps > 1 && r.failures > 0 {
		r.failures--
		return false, errors.New("the connection was lost")
	}
	if r.down != nil || !bytes.Equal(r.text, old) {
		return false, r.down
	}
	r.text = next
	return true, nil
}

func (r *row) set(text []byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.text = text
}

// signedIn is a sign-in at a provider.
func signedIn(t *testing.T, p *rptest.Provider, change func(*rp.Config)) (*app, *rp.Identity) {
	t.Helper()
	a := newApp(t, p, change)
	id, err := a.signIn()
	if err != nil {
		t.Fatal(err)
	}
	return a, id
}

func TestTokenSourceRefreshes(t *testing.T) {
	t.Parallel()
	p := rptest.NewProvider(t)
	a, id := signedIn(t, p, nil)
	source := a.client.TokenSource(t.Context(), id, nil)
	first := mustToken(t, source)
	if first.AccessToken != id.Token.AccessToken || p.Hits("/token") != 1 {
		t.Errorf("while it is good: got another token after %d requests", p.Hits("/token"))
	}
	p.Advance(270*time.Second - 100*time.Millisecond) // of 300, with 30 of leeway
	second := mustToken(t, source)
	if second.AccessToken != first.AccessToken {
		t.Error("refreshed before the leeway began")
	}
	for range 3 {
		p.Advance(280 * time.Second)
		next := mustToken(t, source)
		if next.AccessToken == second.AccessToken || next.RefreshToken == second.RefreshToken || next.Extra("id_token") == second.Extra("id_token") ||
			next.Extra("scope") != "openid profile" {
			t.Error("got the tokens that were there, want new ones")
		}
		second = next
	}
	if got := p.Hits("/token"); got != 4 {
		t.Errorf("got %d token requests, want 4", got)
	}
}

func mustToken(t *testing.T, source oauth2.TokenSource) *oauth2.Token {
	t.Helper()
	token, err := source.Token()
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// TestRefreshTokenUsedOnce: 64 callers in two processes need a token at once, at a
// server that ends everything if a refresh token comes twice.
func TestRefreshTokenUsedOnce(t *testing.T) {
	t.Parallel()
	p := rptest.NewProvider(t)
	a, id := signedIn(t, p, nil)
	store := new(row)
	sources := []oauth2.TokenSource{a.client.TokenSource(t.Context(), id, store), a.client.TokenSource(t.Context(), id, store)}
	for round := 1; round <= 3; round++ {
		p.Advance(5 * time.Minute)
		var all sync.WaitGroup
		got := make([]*oauth2.Token, 64)
		errs := make([]error, 64)
		for i := range got {
			all.Go(func() { got[i], errs[i] = sources[i%2].Token() })
		}
		all.Wait()
		for i, err := range errs {
			if err != nil {
				t.Fatalf("round %d, caller %d: %v", round, i, err)
			}
			if got[i].AccessToken != got[0].AccessToken {
				t.Fatalf("round %d, caller %d has another token", round, i)
			}
		}
		if hits := p.Hits("/token"); hits != 1+round {
			t.Fatalf("round %d: got %d token requests, want %d", round, hits, 1+round)
		}
	}
}

// A process that died while it refreshed holds the others up, not for ever.
func TestTokenSourceTakesOverFromTheDead(t *testing.T) {
	t.Parallel()
	p := rptest.NewProvider(t)
	a, id := signedIn(t, p, nil)
	store := new(row)
	mustToken(t, a.client.TokenSource(t.Context(), id, store))
	p.Advance(5 * time.Minute)
	until, _ := p.Now().Add(time.Minute).MarshalText()
	store.set([]byte(strings.TrimSuffix(string(store.text), "}") + `,"refresher":"dead","until":"` + string(until) + `"}`))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := a.client.TokenSource(ctx, id, store).Token(); !errors.Is(err, context.Canceled) {
		t.Errorf("while it may be alive: got %v, want to wait", err)
	}
	p.Advance(2 * time.Minute)
	mustToken(t, a.client.TokenSource(t.Context(), id, store))
}

func TestTokenSourceEnds(t *testing.T) {
	t.Parallel()
	p := rptest.NewProvider(t)
	a, id := signedIn(t, p, nil)
	store := new(row)
	source := a.client.TokenSource(t.Context(), id, store)
	mustToken(t, source)
	p.Advance(5 * time.Minute)
	p.Misbehave(rptest.InvalidGrant)
	_, err := source.Token()
	var response *rp.ResponseError
	if !errors.Is(err, rp.ErrEnded) || !errors.As(err, &response) || response.Code != "invalid_grant" {
		t.Errorf("got %v, want that it ended, by invalid_grant", err)
	}
	p.Misbehave()
	hits := p.Hits("/token")
	for what, s := range map[string]oauth2.TokenSource{"again": source, "in another process": a.client.TokenSource(t.Context(), id, store)} {
		if _, err := s.Token(); !errors.Is(err, rp.ErrEnded) {
			t.Errorf("%s: got %v, want that it ended", what, err)
		}
	}
	if p.Hits("/token") != hits {
		t.Error("asked again with a refresh token that was refused")
	}

	_, other := signedIn(t, p, nil)
	other.Token.RefreshToken = ""
	p.Advance(5 * time.Minute)
	if _, err := a.client.TokenSource(t.Context(), other, nil).Token(); !errors.Is(err, rp.ErrEnded) {
		t.Errorf("no refresh token: got %v, want that it ended", err)
	}
}

// A session that was deleted is not brought back by who still knows its tokens.
func TestTokenSourceForgottenStaysForgotten(t *testing.T) {
	t.Parallel()
	p := rptest.NewProvider(t)
	a, id := signedIn(t, p, nil)
	store := new(row)
	source := a.client.TokenSource(t.Context(), id, store)
	mustToken(t, source)
	store.set(nil)
	p.Advance(5 * time.Minute)
	if _, err := source.Token(); !errors.Is(err, rp.ErrEnded) || store.text != nil {
		t.Errorf("got %v and %d bytes stored", err, len(store.text))
	}
	id.Token = nil
	if _, err := a.client.TokenSource(t.Context(), id, store).Token(); !errors.Is(err, rp.ErrEnded) {
		t.Errorf("a session without tokens: got %v", err)
	}
}

// What is stored goes before what an old session remembers.
func TestTokenSourceOfAnotherProcess(t *testing.T) {
	t.Parallel()
	p := rptest.NewProvider(t)
	a, id := signedIn(t, p, nil)
	store := new(row)
	first := a.client.TokenSource(t.Context(), id, store)
	mustToken(t, first)
	p.Advance(5 * time.Minute)
	want := mustToken(t, first)
	later := &rp.Identity{Issuer: id.Issuer, Subject: id.Subject, AuthTime: id.AuthTime, Token: id.Token}
	for _, token := range []*oauth2.Token{id.Token, nil} {
		later.Token = token
		got := mustToken(t, a.client.TokenSource(t.Context(), later, store))
		if got.AccessToken != want.AccessToken || got.Extra("id_token") != want.Extra("id_token") || got.RefreshToken != want.RefreshToken {
			t.Error("got other tokens than the stored ones")
		}
	}
}

// Trouble on the way ends nothing.
func TestTokenSourceTriesAgain(t *testing.T) {
	t.Parallel()
	p := rptest.NewProvider(t)
	a, id := signedIn(t, p, nil)
	store := new(row)
	source := a.client.TokenSource(t.Context(), id, store)
	mustToken(t, source)
	p.Advance(5 * time.Minute)
	p.Misbehave(rptest.Down)
	var unavailable *rp.UnavailableError
	if _, err := source.Token(); !errors.As(err, &unavailable) {
		t.Errorf("server down: got %v", err)
	}
	p.Misbehave()
	store.down = errors.New("no database")
	if _, err := source.Token(); !errors.Is(err, store.down) {
		t.Errorf("store down: got %v", err)
	}
	store.down = nil
	mustToken(t, source)
	p.Advance(5 * time.Minute)
	store.set([]byte("{}"))
	if _, err := source.Token(); err == nil || errors.Is(err, rp.ErrEnded) {
		t.Errorf("junk in the store: got %v", err)
	}
}

// cutting cancels when a token request is on its way.
type cutting struct{ cancel *context.CancelFunc }

func (c cutting) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.Path == "/token" && *c.cancel != nil {
		(*c.cancel)()
	}
	return http.DefaultTransport.RoundTrip(r)
}

// A new refresh token is kept when who wanted it has gone, and when the store loses
// the connection.
func TestTokenSourceKeepsWhatItGot(t *testing.T) {
	t.Parallel()
	p := rptest.NewProvider(t)
	var cancel context.CancelFunc
	a, id := signedIn(t, p, func(c *rp.Config) { c.HTTPClient = &http.Client{Transport: cutting{&cancel}} })
	store := new(row)
	mustToken(t, a.client.TokenSource(t.Context(), id, store))
	p.Advance(5 * time.Minute)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	cancel = stop
	mustToken(t, a.client.TokenSource(ctx, id, store))
	p.Advance(5 * time.Minute)
	store.swaps, store.failures = 0, 2
	mustToken(t, a.client.TokenSource(t.Context(), id, store))
	if p.Hits("/token") != 3 || store.failures != 0 {
		t.Errorf("got %d token requests, want 3", p.Hits("/token"))
	}
}

// TestRefreshedIDToken: one that comes with a refresh is of the same sign-in (OpenID
// Connect Core §12.2); after another one nothing is believed.
func TestRefreshedIDToken(t *testing.T) {
	t.Parallel()
	for what, test := range map[string]struct {
		fault  rptest.Fault
		claims map[string]any
		about  string // "" if nothing is wrong
	}{
		"as it must be":       {},
		"no auth_time":        {claims: map[string]any{"auth_time": nil}},
		"another user":        {claims: map[string]any{"sub": "another"}, about: "sub"},
		"another sign-in":     {claims: map[string]any{"auth_time": time.Now().Unix() - 60}, about: "auth_time"},
		"another nonce":       {claims: map[string]any{"nonce": "another"}, about: "nonce"},
		"another server":      {fault: rptest.WrongIssuer, about: "iss"},
		"another client":      {fault: rptest.WrongAudience, about: "aud"},
		"another token":       {fault: rptest.WrongTokenHash, about: "at_hash"},
		"another key":         {fault: rptest.BadSignature, about: "signature"},
		"expired":             {fault: rptest.Expired, about: "exp"},
		"no ID token, as may": {fault: rptest.NoIDToken},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			p := rptest.NewProvider(t)
			a, id := signedIn(t, p, nil)
			source := a.client.TokenSource(t.Context(), id, nil)
			p.Advance(5 * time.Minute)
			p.Misbehave(test.fault)
			p.SetClaims(test.claims)
			_, err := source.Token()
			if test.about == "" {
				if err != nil {
					t.Errorf("got %v", err)
				}
				return
			}
			if about(err) != test.about || !errors.Is(err, rp.ErrEnded) {
				t.Errorf("got %v, want it refused for %s", err, test.about)
			}
			p.Misbehave()
			p.SetClaims(nil)
			if _, err := source.Token(); !errors.Is(err, rp.ErrEnded) {
				t.Errorf("afterwards: got %v, want that it ended", err)
			}
		})
	}
}

func TestHTTPClient(t *testing.T) {
	t.Parallel()
	p := rptest.NewProvider(t)
	a, id := signedIn(t, p, nil)
	client := a.client.HTTPClient(a.client.TokenSource(t.Context(), id, nil))
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		t.Errorf("another origin was asked, with Authorization %q", r.Header.Get("Authorization"))
	}))
	defer other.Close()
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/away":
			http.Redirect(w, r, other.URL, http.StatusFound)
		case "/here":
			http.Redirect(w, r, "/", http.StatusFound)
		default:
			io.WriteString(w, r.Header.Get("Authorization"))
		}
	}))
	defer api.Close()
	for path, want := range map[string]string{"/": "Bearer " + id.Token.AccessToken, "/here": "Bearer " + id.Token.AccessToken, "/away": "302"} {
		res, err := client.Get(api.URL + path)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(res.Body)
		res.Body.Close()
		if got := string(body); got != want && !(want == "302" && res.StatusCode == 302) {
			t.Errorf("%s: got %s %q, want %q", path, res.Status, got, want)
		}
	}
	if _, err := client.Get("http://api.example.com/"); err == nil || !strings.Contains(err.Error(), "plain http") {
		t.Errorf("plain http: got %v, want it refused", err)
	}
}
