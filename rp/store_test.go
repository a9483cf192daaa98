package rp_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sallyport-id/sallyport/rp"
	"github.com/sallyport-id/sallyport/rp/rptest"
)

// The session before is not only out of the browser, it is over.
func TestStoreEndsTheSessionBefore(t *testing.T) {
	t.Parallel()
	s := newSite(t, rp.SessionConfig{Store: new(rp.MemoryStore)}, nil)
	s.show("/")
	before := s.sessionCookie()
	s.show("/login")
	if w := s.with(before, "/"); w.Code != http.StatusUnauthorized {
		t.Errorf("got %d for the session before the login", w.Code)
	}
	if w := s.with(s.sessionCookie(), "/"); w.Code != http.StatusOK {
		t.Errorf("got %d for the session after it", w.Code)
	}
}

// With a store, only what is in it is a session: a cookie that was sealed before
// there was one is not, and the other way round.
func TestStoreTakesNoSealedSession(t *testing.T) {
	t.Parallel()
	p := rptest.NewProvider(t)
	config := p.Config(origin + "/callback")
	client, err := rp.New(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	var kinds [2]*rp.Sessions
	for i, store := range []rp.SessionStore{nil, new(rp.MemoryStore)} {
		if kinds[i], err = client.Sessions(rp.SessionConfig{Store: store}); err != nil {
			t.Fatal(err)
		}
	}
	for i := range kinds {
		w := httptest.NewRecorder()
		if err := kinds[i].Begin(w, httptest.NewRequest(http.MethodGet, "/", nil), &rp.Identity{Issuer: p.Issuer, Subject: "1"}); err != nil {
			t.Fatal(err)
		}
		for j := range kinds {
			r, answer := httptest.NewRequest(http.MethodGet, "/", nil), httptest.NewRecorder()
			r.AddCookie(w.Result().Cookies()[0])
			kinds[j].RequireSession(http.HandlerFunc(whoami)).ServeHTTP(answer, r)
			if want := map[bool]int{true: 200, false: 401}[i == j]; answer.Code != want {
				t.Errorf("session of kind %d, taken for kind %d: got %d, want %d", i, j, answer.Code, want)
			}
		}
	}
}

// brokenStore fails at everything.
type brokenStore struct{}

var errBroken = errors.New("broken")

func (brokenStore) Put(context.Context, string, rp.Session) error        { return errBroken }
func (brokenStore) Get(context.Context, string) (rp.Session, error)      { return rp.Session{}, errBroken }
func (brokenStore) Extend(context.Context, string, time.Time) error      { return errBroken }
func (brokenStore) Delete(context.Context, string) error                 { return errBroken }
func (brokenStore) Logout(context.Context, rp.LogoutToken) (bool, error) { return false, errBroken }

// flaky is a store that can be broken and mended.
type flaky struct {
	rp.SessionStore
	good rp.SessionStore
}

// A store that does not answer is no reason to send people to sign in again.
func TestStoreThatFails(t *testing.T) {
	t.Parallel()
	f := &flaky{good: new(rp.MemoryStore)}
	f.SessionStore = f.good
	s := newSite(t, rp.SessionConfig{Store: f}, func(c *rp.Config) { c.Logger = slog.New(slog.DiscardHandler) })
	s.show("/")
	f.SessionStore = brokenStore{}
	if res := s.Browser.Get("/"); res.StatusCode != http.StatusServiceUnavailable || s.logins() != 1 {
		t.Errorf("got %s and %d logins", res.Status, s.logins())
	}
	if greeted := s.greet(); greeted.Code != http.StatusServiceUnavailable {
		t.Errorf("WithSession: got %d, want 503", greeted.Code)
	}
	s.show("/login")
	if rp.ReasonCode(s.err) != rp.CodeUnavailable || !errors.Is(s.err, errBroken) {
		t.Errorf("got %v of Begin", s.err)
	}
	f.SessionStore = f.good
	if res := s.Browser.Get("/"); res.StatusCode != http.StatusOK || s.logins() != 2 {
		t.Errorf("got %s and %d logins, want the session of before", res.Status, s.logins())
	}
}

// A request that is under way does not bring back a session that has ended.
func TestStoreExtendsNothingThatEnded(t *testing.T) {
	t.Parallel()
	m, ctx := new(rp.MemoryStore), t.Context()
	if err := m.Extend(ctx, "k", time.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	if _, err := m.Get(ctx, "k"); !errors.Is(err, rp.ErrNoSession) {
		t.Errorf("got %v, want %v", err, rp.ErrNoSession)
	}
}

// Of many uses of one logout token at the same time, one is the first.
func TestStoreLogoutOnce(t *testing.T) {
	t.Parallel()
	m := new(rp.MemoryStore)
	var firsts atomic.Int32
	var wait sync.WaitGroup
	for range 64 {
		wait.Go(func() {
			first, err := m.Logout(t.Context(), rp.LogoutToken{ID: "1", Issuer: "i", Subject: "s", Expires: time.Now().Add(time.Hour)})
			if err != nil {
				t.Error(err)
			}
			if first {
				firsts.Add(1)
			}
		})
	}
	wait.Wait()
	if firsts.Load() != 1 {
		t.Errorf("got %d first uses", firsts.Load())
	}
}

func TestLogoutTokenEnds(t *testing.T) {
	t.Parallel()
	session := rp.Session{Identity: rp.Identity{Issuer: "i", SID: "1", Subject: "s"}}
	tests := []struct {
		token rp.LogoutToken
		want  bool
	}{
		{rp.LogoutToken{Issuer: "i", SID: "1"}, true},
		{rp.LogoutToken{Issuer: "i", Subject: "s"}, true},
		{rp.LogoutToken{Issuer: "i", SID: "1", Subject: "s"}, true},
		{rp.LogoutToken{Issuer: "i", SID: "1", Subject: "x"}, false},
		{rp.LogoutToken{Issuer: "i", SID: "2", Subject: "s"}, false},
		{rp.LogoutToken{Issuer: "x", SID: "1", Subject: "s"}, false},
		{rp.LogoutToken{Issuer: "i"}, false},
	}
	for _, test := range tests {
		if got := test.token.Ends(session); got != test.want {
			t.Errorf("%+v: got %t, want %t", test.token, got, test.want)
		}
	}
	if (rp.LogoutToken{Issuer: "i", Subject: ""}).Ends(rp.Session{Identity: rp.Identity{Issuer: "i"}}) {
		t.Error("a token for nobody ends a session without a subject")
	}
}

// What has expired does not pile up, and what has not stays.
func TestMemoryStoreForgets(t *testing.T) {
	t.Parallel()
	now := time.Now()
	m := &rp.MemoryStore{Now: func() time.Time { return now }}
	ctx := t.Context()
	m.Put(ctx, "long", rp.Session{Expires: now.Add(time.Hour)})
	m.Logout(ctx, rp.LogoutToken{ID: "long", Expires: now.Add(time.Hour)})
	for i := range 40 {
		m.Put(ctx, fmt.Sprint(i), rp.Session{Expires: now.Add(time.Minute)})
		m.Logout(ctx, rp.LogoutToken{ID: fmt.Sprint(i), Expires: now.Add(time.Minute)})
	}
	now = now.Add(time.Minute)
	for i := range 200 {
		m.Put(ctx, "new "+fmt.Sprint(i), rp.Session{Expires: now.Add(time.Minute)})
	}
	if _, err := m.Get(ctx, "1"); !errors.Is(err, rp.ErrNoSession) {
		t.Errorf("an old session: got %v", err)
	}
	if first, _ := m.Logout(ctx, rp.LogoutToken{ID: "1"}); !first {
		t.Error("an old token is still remembered")
	}
	if _, err := m.Get(ctx, "long"); err != nil {
		t.Errorf("a session that lasts: got %v", err)
	}
	if first, _ := m.Logout(ctx, rp.LogoutToken{ID: "long"}); first {
		t.Error("a token that could come again was forgotten")
	}
}

// A store that writes sessions as JSON gets back what it was given, and the text
// for logs has no token.
func TestSessionAsJSON(t *testing.T) {
	t.Parallel()
	want := rp.Session{
		Identity: rp.Identity{
			Issuer: "i", Subject: "s", SID: "1", Name: "n", PreferredUsername: "p", Email: "e", EmailVerified: true, Locale: "ko",
			ACR: rp.ACRPHR, AMR: []string{"hwk", "mfa"}, AuthTime: time.Unix(1, 0), IDToken: "a.secret.token",
		},
		Began: time.Unix(2, 0), Expires: time.Unix(3, 0),
	}
	text, err := json.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	var got rp.Session
	if err := json.Unmarshal(text, &got); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %s, %v", text, err)
	}
	for _, text := range []string{fmt.Sprintf("%v %+v %#v %s", got, &got, got, got), logged(got), logged(&got)} {
		if strings.Contains(text, got.IDToken) {
			t.Errorf("%q contains the ID token", text)
		}
	}
}
