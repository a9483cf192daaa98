//go:build unix

package sqlstore

import (
	"fmt"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/sallyport-id/sallyport/internal/store"
)

// bench is a store with a user who is signed in.
type bench struct {
	*testing.B
	*Store
	now     time.Time
	user    *store.User
	session *store.Session
}

func newBench(b *testing.B) *bench {
	w := &bench{B: b, Store: openTest(b, tempPath(b)), now: time.Now()}
	w.user = &store.User{ID: store.NewID(), Login: "mina", LoginKey: "mina", CreatedAt: w.now}
	proof := store.Proof{Method: store.MethodPassword, At: w.now, UserID: w.user.ID, Interaction: store.NewID()}
	second := proof
	second.Method, second.Authenticator = store.MethodTOTP, store.NewID()
	w.session = &store.Session{ID: store.NewID(), SecretHash: w.hash(), UserID: w.user.ID, Version: 2, Proofs: []store.Proof{proof, second},
		CreatedAt: w.now, LastSeenAt: w.now, ExpiresAt: w.now.Add(24 * time.Hour)}
	w.must(w.CreateUser(b.Context(), w.user))
	w.must(w.StartSession(b.Context(), w.session, "", "", store.Settle{}))
	return w
}

func (w *bench) hash() []byte {
	_, hash := store.NewSecret()
	return hash
}

func (w *bench) must(err error) {
	if err != nil {
		w.Error(err)
	}
}

func (w *bench) event(kind string) []store.Event {
	return []store.Event{{At: w.now, Type: kind, UserID: w.user.ID, ClientID: "shop", Session: w.session.ID, Address: "192.0.2.1", RequestID: store.NewID()}}
}

func (w *bench) finish() store.Finish {
	g := &store.Grant{ID: store.NewID(), ClientID: "shop", UserID: w.user.ID, SessionID: w.session.ID, SID: "sid", Scope: []string{"openid", "profile"},
		Proofs: w.session.Proofs, Nonce: "n-0S6_WzA2Mj", CreatedAt: w.now}
	c := &store.Code{ID: store.NewID(), SecretHash: w.hash(), GrantID: g.ID, ClientID: "shop", RedirectURI: "https://shop.example/callback",
		CodeChallenge: "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM", CreatedAt: w.now, ExpiresAt: w.now.Add(time.Minute)}
	return store.Finish{SessionVersion: 2, Grant: g, Code: c, Now: w.now, Events: w.event("authorize.granted")}
}

func (w *bench) finished() store.Finish {
	f := w.finish()
	w.must(w.FinishInteraction(w.Context(), f))
	return f
}

func (w *bench) tokens(grant string) store.Tokens {
	return store.Tokens{
		Access:  &store.AccessToken{ID: store.NewID(), SecretHash: w.hash(), GrantID: grant, Scope: []string{"openid", "profile"}, CreatedAt: w.now, ExpiresAt: w.now.Add(10 * time.Minute)},
		Refresh: &store.RefreshToken{ID: store.NewID(), SecretHash: w.hash(), GrantID: grant, Scope: []string{"openid", "profile"}, CreatedAt: w.now, ExpiresAt: w.now.Add(24 * time.Hour)},
		Events:  w.event("token"),
	}
}

// verbs are what is measured: each is prepared for n operations and then done by
// number.
var verbs = []struct {
	name    string
	prepare func(w *bench, n int) func(i int) error
}{
	{"Record", func(w *bench, n int) func(int) error {
		return func(int) error { return w.Record(w.Context(), w.event("bench")...) }
	}},
	{"CreateInteraction", func(w *bench, n int) func(int) error {
		return func(int) error {
			return w.CreateInteraction(w.Context(), &store.Interaction{ID: store.NewID(), BrowserHash: w.hash(), ClientID: "shop", SessionID: w.session.ID,
				Version: 1, CreatedAt: w.now, ExpiresAt: w.now.Add(time.Minute)})
		}
	}},
	{"FinishInteraction", func(w *bench, n int) func(int) error {
		return func(int) error { return w.FinishInteraction(w.Context(), w.finish()) }
	}},
	{"RedeemCode", func(w *bench, n int) func(int) error {
		codes := make([]store.Finish, n)
		for i := range codes {
			codes[i] = w.finished()
		}
		return func(i int) error {
			c := codes[i].Code
			return w.RedeemCode(w.Context(), c.ID, c.SecretHash, w.now, w.tokens(c.GrantID))
		}
	}},
	{"RotateRefresh", func(w *bench, n int) func(int) error {
		old := make([]store.Tokens, n)
		for i := range old {
			f := w.finished()
			old[i] = w.tokens(f.Grant.ID)
			w.must(w.RedeemCode(w.Context(), f.Code.ID, f.Code.SecretHash, w.now, old[i]))
		}
		return func(i int) error {
			return w.RotateRefresh(w.Context(), old[i].Refresh.ID, w.now, 0, w.tokens(old[i].Refresh.GrantID))
		}
	}},
	{"Attempt", func(w *bench, n int) func(int) error {
		return func(i int) error {
			_, err := w.Attempt(w.Context(), []store.Bucket{{Key: fmt.Sprint("fast", i), Limit: 50, Delays: true}, {Key: fmt.Sprint("slow", i), Limit: 300, Window: time.Hour}}, w.now)
			return err
		}
	}},
	{"ReadSession", func(w *bench, n int) func(int) error {
		return func(int) error {
			_, err := w.Session(w.Context(), w.session.ID, w.session.SecretHash, w.now)
			return err
		}
	}},
	{"ReadAccessToken", func(w *bench, n int) func(int) error {
		f := w.finished()
		t := w.tokens(f.Grant.ID)
		w.must(w.RedeemCode(w.Context(), f.Code.ID, f.Code.SecretHash, w.now, t))
		return func(int) error {
			_, _, _, err := w.AccessToken(w.Context(), t.Access.ID, t.Access.SecretHash, w.now)
			return err
		}
	}},
}

// BenchmarkVerbs says what a verb costs one caller, and 64 at once: the CPU time
// of the process and the commits, for each operation.
func BenchmarkVerbs(b *testing.B) {
	for _, verb := range verbs {
		for _, callers := range []int{1, 8, 64} {
			b.Run(fmt.Sprintf("%s/%d", verb.name, callers), func(b *testing.B) {
				w := newBench(b)
				do := verb.prepare(w, b.N)
				commits, cpu := w.Commits(), cpuTime()
				b.ReportAllocs()
				b.ResetTimer()
				w.run(callers, do)
				b.StopTimer()
				b.ReportMetric(float64(w.Commits()-commits)/float64(b.N), "commits/op")
				b.ReportMetric(float64((cpuTime()-cpu).Microseconds())/float64(b.N), "cpu-µs/op")
			})
		}
	}
}

func (w *bench) run(callers int, do func(i int) error) {
	var next atomic.Int64
	done := make(chan struct{})
	for range callers {
		go func() {
			defer func() { done <- struct{}{} }()
			for i := int(next.Add(1)) - 1; i < w.N; i = int(next.Add(1)) - 1 {
				w.must(do(i))
			}
		}()
	}
	for range callers {
		<-done
	}
}

// cpuTime is what the process has used, user and system together.
func cpuTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
