package logout_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/url"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/sallyport-id/sallyport/internal/keys"
	"github.com/sallyport-id/sallyport/internal/logout"
	"github.com/sallyport-id/sallyport/internal/oidc"
	"github.com/sallyport-id/sallyport/internal/store"
	"github.com/sallyport-id/sallyport/internal/store/sqlstore"
)

// applications are what a sender posts to. They answer when the test lets them.
type applications struct {
	mu        sync.Mutex
	now, most map[string]int // requests under way, by address, and all ("")
	came      chan string
	answer    chan error
}

func (a *applications) PostForm(ctx context.Context, to string, _ url.Values) (int, error) {
	a.mu.Lock()
	for _, of := range []string{"", to} {
		a.now[of]++
		a.most[of] = max(a.most[of], a.now[of])
	}
	a.mu.Unlock()
	defer func() {
		a.mu.Lock()
		defer a.mu.Unlock()
		a.now[""]--
		a.now[to]--
	}()
	a.came <- to
	select {
	case err := <-a.answer:
		return 200, err
	case <-ctx.Done():
		return 0, ctx.Err()
	}
}

// running is a sender that hears of messages when it is woken, on a clock that stands.
type running struct {
	*applications
	t    *testing.T
	db   *sqlstore.Store
	user *store.User
	now  time.Time
	wake chan struct{}
	stop func()
}

func run(t *testing.T) *running {
	t.Helper()
	db, err := sqlstore.Open(t.Context(), sqlstore.Config{Path: filepath.Join(t.TempDir(), "test.db")})
	if err != nil {
		t.Fatal(err)
	}
	r := &running{
		applications: &applications{now: map[string]int{}, most: map[string]int{}, came: make(chan string, 1000), answer: make(chan error)},
		t:            t, db: db, now: time.Now(), wake: make(chan struct{}),
	}
	r.user = &store.User{ID: store.NewID(), LoginKey: "u", CreatedAt: r.now}
	r.must(db.CreateUser(t.Context(), r.user))
	key, err := keys.GenerateKey(keys.ES256)
	r.must(err)
	set, err := keys.NewSet([]*keys.Key{key})
	r.must(err)
	ring := &keys.Ring{}
	ring.Replace(set)
	sealer, err := keys.NewSealer(make([]byte, 32))
	r.must(err)
	subjects, err := keys.OpenSubjects(t.Context(), db, sealer)
	r.must(err)
	s := &logout.Sender{Store: db, Keys: ring, Subjects: subjects, Issuer: "https://id.example.com", Poster: r.applications, Wake: r.wake,
		Log: slog.New(slog.NewTextHandler(io.Discard, nil)), Now: func() time.Time { return r.now }}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() { s.Run(ctx); close(ended) }()
	r.stop = sync.OnceFunc(func() { cancel(); <-ended })
	t.Cleanup(func() { r.stop(); db.Close() })
	return r
}

func (r *running) must(err error) {
	r.t.Helper()
	if err != nil {
		r.t.Fatal(err)
	}
}

// ends lets sessions of a new client end.
func (r *running) ends(client string, sessions int) {
	r.t.Helper()
	ctx := r.t.Context()
	r.must(r.db.CreateClient(ctx, &oidc.Client{ID: client, IDTokenAlg: keys.ES256, BackchannelLogoutURI: client}))
	for range sessions {
		s := &store.Session{ID: store.NewID(), SecretHash: []byte("s"), UserID: r.user.ID, Version: 1, CreatedAt: r.now, ExpiresAt: r.now.Add(time.Hour)}
		g := &store.Grant{ID: store.NewID(), ClientID: client, UserID: r.user.ID, SessionID: s.ID, SID: s.ID}
		r.must(r.db.StartSession(ctx, s, "", "", store.Settle{}))
		r.must(r.db.FinishInteraction(ctx, store.Finish{SessionVersion: 1, Grant: g, Now: r.now,
			Code: &store.Code{ID: store.NewID(), SecretHash: []byte("c"), GrantID: g.ID, ClientID: client}}))
		r.must(r.db.EndSession(ctx, s.ID, r.now))
	}
}

func (r *running) waiting() store.LogoutCount {
	r.t.Helper()
	n, err := r.db.CountLogouts(r.t.Context(), "")
	r.must(err)
	return n
}

// TestSenderBoundsItsRequests: to one application, and to all; what waits follows.
func TestSenderBoundsItsRequests(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ clients, each, atOnce int }{{3, 12, 12}, {20, 5, 64}} {
		t.Run(fmt.Sprint(c.clients), func(t *testing.T) {
			t.Parallel()
			r := run(t)
			for i := range c.clients {
				r.ends(fmt.Sprint("app", i), c.each)
			}
			for range 10 { // a look each, and each begins one more at most
				r.wake <- struct{}{}
			}
			for range c.atOnce {
				<-r.came
			}
			for range 300 { // in which any more would come
				r.wake <- struct{}{}
				r.waiting()
			}
			for range c.clients * c.each {
				r.answer <- nil
				r.wake <- struct{}{}
			}
			r.stop()
			if n := r.waiting(); n.Pending != 0 {
				t.Errorf("%d messages wait, though all were taken", n.Pending)
			}
			if got := r.most[""]; got != c.atOnce {
				t.Errorf("got %d requests at once, want %d", got, c.atOnce)
			}
			for to, got := range r.most {
				if to != "" && got > 4 {
					t.Errorf("got %d requests to %s at once, want 4 at most", got, to)
				}
			}
		})
	}
}

// TestSenderLeavesWhoIsInTroubleAlone: one request, not one for each message.
func TestSenderLeavesWhoIsInTroubleAlone(t *testing.T) {
	t.Parallel()
	r := run(t)
	r.ends("app", 5)
	r.wake <- struct{}{}
	<-r.came
	r.answer <- errors.New("away")
	r.ends("other", 1)
	for range 3 {
		r.wake <- struct{}{}
	}
	for to := <-r.came; to != "other"; to = <-r.came {
		t.Errorf("%s is asked again", to)
		r.answer <- errors.New("away")
	}
	r.answer <- nil
}

// TestSenderStops in the middle of a request, and leaves the message to others.
func TestSenderStops(t *testing.T) {
	t.Parallel()
	r := run(t)
	r.ends("app", 1)
	r.wake <- struct{}{}
	<-r.came
	r.stop()
	if n := r.waiting(); n != (store.LogoutCount{Pending: 1}) {
		t.Errorf("got %+v, want one that was not tried in vain", n)
	}
}
