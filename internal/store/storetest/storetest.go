// Package storetest is the contract of package store as one suite: every promise
// is a check, and what may happen once is raced 64-way. Each database runs it.
package storetest

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/sallyport-id/sallyport/internal/oidc"
	"github.com/sallyport-id/sallyport/internal/store"
)

// Check is one promise.
type Check struct {
	Name string
	Run  func(t testing.TB, s store.Store)
}

// Run checks every promise, each on a store of its own.
func Run(t *testing.T, open func(testing.TB) store.Store) {
	for _, c := range Checks {
		t.Run(c.Name, func(t *testing.T) {
			t.Parallel()
			c.Run(t, open(t))
		})
	}
}

// racers is how many race for what may happen once.
const racers = 64

// race runs f so many times at once and returns the errors.
func race(n int, f func(i int) error) []error {
	errs := make([]error, n)
	start := make(chan struct{})
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() {
			<-start
			errs[i] = f(i)
		})
	}
	close(start)
	all.Wait()
	return errs
}

// oneWinner wants exactly one nil, and every other error to be one of the
// losers'.
func oneWinner(t testing.TB, errs []error, losers ...error) {
	t.Helper()
	won := 0
	for _, err := range errs {
		if err == nil {
			won++
		} else if !isAny(err, losers) {
			t.Errorf("a loser got %v, want one of %v", err, losers)
		}
	}
	if won != 1 {
		t.Errorf("%d of %d won, want 1", won, len(errs))
	}
}

// world is a store with a user and a client, and the clock of the checks.
type world struct {
	store.Store
	t    testing.TB
	ctx  context.Context
	now  time.Time
	user *store.User
}

func newWorld(t testing.TB, s store.Store) *world {
	t.Helper()
	w := &world{Store: s, t: t, ctx: context.Background(), now: time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)}
	w.must(s.CreateClient(w.ctx, &oidc.Client{ID: "shop", Name: "Shop"}))
	w.user = w.addUser("mina")
	return w
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// want compares an error.
func (w *world) want(what string, got, want error) {
	w.t.Helper()
	if want == nil && got != nil || want != nil && !isAny(got, []error{want}) {
		w.t.Errorf("%s: got %v, want %v", what, got, want)
	}
}

func (w *world) addUser(login string) *store.User {
	w.t.Helper()
	u := &store.User{ID: store.NewID(), Login: login, LoginKey: login, PasswordHash: "hash", MayEnroll: true, CreatedAt: w.now}
	w.must(w.CreateUser(w.ctx, u))
	return u
}

// secret is a new secret's hash.
func secret() []byte {
	_, hash := store.NewSecret()
	return hash
}

func (w *world) addInteraction(session string) *store.Interaction {
	w.t.Helper()
	i := &store.Interaction{ID: store.NewID(), BrowserHash: secret(), ClientID: "shop", SessionID: session, Version: 1,
		Request: oidc.AuthorizationRequest{ClientID: "shop", State: "st"}, CreatedAt: w.now, ExpiresAt: w.now.Add(10 * time.Minute)}
	w.must(w.CreateInteraction(w.ctx, i))
	return i
}

// signIn makes a session of the user with a password's proof, and the
// interaction that it was made in.
func (w *world) signIn(u *store.User) (*store.Session, *store.Interaction) {
	w.t.Helper()
	i := w.addInteraction("")
	s := &store.Session{ID: store.NewID(), SecretHash: secret(), UserID: u.ID, UserEpoch: u.Epoch, Version: 1,
		Proofs:    []store.Proof{{Method: store.MethodPassword, At: w.now, UserID: u.ID, Interaction: i.ID}},
		CreatedAt: w.now, LastSeenAt: w.now, ExpiresAt: w.now.Add(24 * time.Hour)}
	w.must(w.StartSession(w.ctx, s, "", i.ID, store.Settle{}, nil))
	return s, i
}

// proof is a further proof for the session, with a new secret.
func (w *world) proof(s *store.Session, i *store.Interaction, m store.Method) store.AddProof {
	rotated := false
	return store.AddProof{SessionID: s.ID, UserID: s.UserID, Version: s.Version, NewSecretHash: secret(), Interaction: i.ID, Now: w.now,
		Proof: store.Proof{Method: m, At: w.now, UserID: s.UserID, Interaction: i.ID}, Rotated: &rotated}
}

// finish is the end of the interaction: a grant and a code.
func (w *world) finish(s *store.Session, i *store.Interaction, offline bool) store.Finish {
	g := &store.Grant{ID: store.NewID(), ClientID: "shop", UserID: s.UserID, UserEpoch: s.UserEpoch, SessionID: s.ID, SID: "sid",
		Interaction: i.ID, Scope: []string{"openid"}, Offline: offline, Proofs: s.Proofs, Nonce: "n", CreatedAt: w.now}
	c := &store.Code{ID: store.NewID(), SecretHash: secret(), GrantID: g.ID, ClientID: "shop", RedirectURI: "https://shop.example/cb",
		RedirectSent: true, CodeChallenge: "ch", CreatedAt: w.now, ExpiresAt: w.now.Add(time.Minute)}
	return store.Finish{InteractionID: i.ID, InteractionVersion: i.Version, SessionVersion: s.Version, Grant: g, Code: c, Now: w.now}
}

// granted is a finished interaction.
func (w *world) granted(offline bool) (store.Finish, *store.Session) {
	w.t.Helper()
	s, i := w.signIn(w.user)
	f := w.finish(s, i, offline)
	w.must(w.FinishInteraction(w.ctx, f))
	return f, s
}

// tokens are new tokens of a grant.
func (w *world) tokens(g *store.Grant) store.Tokens {
	return store.Tokens{
		Access:  &store.AccessToken{ID: store.NewID(), SecretHash: secret(), GrantID: g.ID, Scope: g.Scope, CreatedAt: w.now, ExpiresAt: w.now.Add(10 * time.Minute)},
		Refresh: &store.RefreshToken{ID: store.NewID(), SecretHash: secret(), GrantID: g.ID, Scope: g.Scope, CreatedAt: w.now, ExpiresAt: w.now.Add(90 * 24 * time.Hour)},
	}
}

// redeemed is a grant with its first tokens.
func (w *world) redeemed(offline bool) (store.Tokens, store.Finish, *store.Session) {
	w.t.Helper()
	f, s := w.granted(offline)
	t := w.tokens(f.Grant)
	w.must(w.RedeemCode(w.ctx, f.Code.ID, f.Code.SecretHash, w.now, t))
	return t, f, s
}

// live says whether an access token is worth anything.
func (w *world) live(a *store.AccessToken) error {
	_, _, _, err := w.AccessToken(w.ctx, a.ID, a.SecretHash, w.now)
	return err
}

func (w *world) liveRefresh(r *store.RefreshToken) error {
	_, _, _, err := w.RefreshToken(w.ctx, r.ID, r.SecretHash, w.now)
	return err
}

// addTOTP enrols a TOTP as an operator does.
func (w *world) addTOTP(u *store.User) store.Authenticator {
	w.t.Helper()
	a := store.Authenticator{ID: store.NewID(), UserID: u.ID, Kind: store.KindTOTP, Secret: []byte("sealed"), CreatedAt: w.now}
	w.must(w.CreateAuthenticator(w.ctx, a, nil))
	return a
}

// addRecovery makes a set of two codes.
func (w *world) addRecovery(u *store.User) (a store.Authenticator, hashes [][]byte) {
	w.t.Helper()
	a = store.Authenticator{ID: store.NewID(), UserID: u.ID, Kind: store.KindRecovery, Secret: []byte("salt"), CreatedAt: w.now}
	hashes = [][]byte{secret(), secret()}
	w.must(w.ReplaceRecoveryCodes(w.ctx, a, hashes))
	return a, hashes
}
