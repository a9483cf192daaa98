package sallyport_test

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-id/sallyport"
	"github.com/sallyport-id/sallyport/internal/keys"
	"github.com/sallyport-id/sallyport/internal/store/storetest"
)

// twin is another server on the rig's database, with its clock.
func (r *rig) twin(database string) *rig {
	r.t.Helper()
	s, err := sallyport.New(r.t.Context(), sallyport.Config{
		Issuer: r.issuer, Database: database, MasterKey: make([]byte, 32), Now: r.clock.Now, InsecureNoLimits: true,
	})
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { s.Close() })
	twin := *r
	twin.Server = s
	return &twin
}

// kids are those of the published key set.
func (r *rig) kids() (kids []string) {
	r.t.Helper()
	w := r.serve(httptest.NewRequest("GET", "/jwks.json", nil))
	if got := w.Header().Get("Cache-Control"); got != "public, max-age=300" {
		r.t.Errorf("Cache-Control of the key set: got %q, want five minutes, keys.JWKSMaxAge", got)
	}
	var set struct {
		Keys []struct{ Kid, Alg string }
	}
	if err := json.Unmarshal(w.Body.Bytes(), &set); err != nil {
		r.t.Fatal(err)
	}
	for _, k := range set.Keys {
		if k.Alg == "RS256" {
			kids = append(kids, k.Kid)
		}
	}
	return kids
}

// signsWith returns the kid of an ID token that the server signs now, for a
// refresh token that it is given, and the next refresh token.
func (r *rig) signsWith(refresh *string) (kid, idToken string) {
	r.t.Helper()
	w := r.serve(r.formRequest("web", "grant_type=refresh_token&refresh_token="+*refresh))
	var got tokens
	if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil || w.Code != 200 {
		r.t.Fatalf("got %d %s", w.Code, w.Body)
	}
	if got.Refresh != "" {
		*refresh = got.Refresh
	}
	header, err := base64.RawURLEncoding.DecodeString(strings.Split(got.ID, ".")[0])
	if err != nil {
		r.t.Fatal(err)
	}
	var h struct{ Kid string }
	if err := json.Unmarshal(header, &h); err != nil {
		r.t.Fatal(err)
	}
	return h.Kid, got.ID
}

func (r *rig) keepKeys() {
	r.t.Helper()
	if err := r.KeepKeys(r.t.Context()); err != nil {
		r.t.Fatal(err)
	}
}

// TestRule30KeysArePublishedBeforeTheySign: two servers on one database. Neither
// signs with the next key before every key set that was fetched without it is too
// old to be kept, from whichever server; both do afterwards. The old key stays
// published for what it signed.
func TestRule30KeysArePublishedBeforeTheySign(t *testing.T) {
	t.Parallel()
	for name, database := range map[string]func(testing.TB) string{
		"SQLite":     func(t testing.TB) string { return filepath.Join(t.TempDir(), "test.db") },
		"PostgreSQL": func(t testing.TB) string { return storetest.FindPostgres(t, 1).Schema(t) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := database(t)
			one := newRig(t, func(c *sallyport.Config) {
				c.Database, c.KeyRotation, c.SessionIdle, c.SessionTTL = path, 10*24*time.Hour, 1000*time.Hour, 1000*time.Hour
			})
			checkRotation(t, one, one.twin(path))
		})
	}
}

func checkRotation(t *testing.T, one, two *rig) {
	b := one.browser()
	refresh := one.redeem("web", b.signIn(one.mina, b.authorize("web")).mustCode()).Refresh
	first, _ := one.signsWith(&refresh)
	both := func(moment, want string, published ...string) {
		t.Helper()
		for i, r := range []*rig{one, two} {
			if kid, _ := r.signsWith(&refresh); kid != want {
				t.Errorf("%s: server %d signs with %s, want %s", moment, i+1, kid, want)
			}
			kids := r.kids()
			for _, kid := range published {
				if !slices.Contains(kids, kid) {
					t.Errorf("%s: server %d publishes %v, without %s", moment, i+1, kids, kid)
				}
			}
		}
	}
	both("at first", first, first)
	one.clock.advance(8*24*time.Hour - time.Hour)
	one.keepKeys()
	two.keepKeys()
	if kids := one.kids(); len(kids) != 1 {
		t.Fatalf("before its time: %v is published, want the first key alone", kids)
	}
	one.clock.advance(2 * time.Hour)
	one.keepKeys() // publishes the next key; the other server has not looked yet
	kids := one.kids()
	if len(kids) != 2 {
		t.Fatalf("when it is time: %v is published, want two keys", kids)
	}
	next := kids[slices.IndexFunc(kids, func(kid string) bool { return kid != first })]
	both("one server has published it", first)
	two.keepKeys() // finds it, and makes none of its own
	both("both have published it", first, first, next)
	one.clock.advance(keys.JWKSMaxAge + keys.RefreshEvery)
	one.keepKeys()
	two.keepKeys()
	both("no key set without it is kept any more", first, first, next)
	one.clock.advance(keys.Lead - keys.JWKSMaxAge - time.Minute)
	one.keepKeys()
	two.keepKeys()
	both("just before", first, first, next)
	_, hint := one.signsWith(&refresh)
	one.clock.advance(time.Minute)
	one.keepKeys()
	two.keepKeys()
	both("its time has come", next, first, next)
	if len(one.kids()) != 2 || len(two.kids()) != 2 {
		t.Errorf("published: %v and %v, want the same two", one.kids(), two.kids())
	}
	if w := two.serve(httptest.NewRequest("GET", "/end_session?id_token_hint="+hint, nil)); w.Code == 400 {
		t.Errorf("what the first key signed as a hint: got %d %s", w.Code, w.Body)
	}
}

// TestOtherServersKeysAreTakenUp: in the background, without a restart.
func TestOtherServersKeysAreTakenUp(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "test.db")
	one := newRig(t, func(c *sallyport.Config) { c.Database = path })
	two := one.twin(path)
	first := one.kids()
	keeper := &keys.Keeper{Store: one.Store(), Sealer: zeroSealer(t), Plan: keys.NewPlan(-1, time.Hour), Now: time.Now}
	made, err := keeper.RotateAtOnce(t.Context(), keys.RS256)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range []*rig{one, two} {
		kids := r.kids()
		for end := time.Now().Add(30 * time.Second); slices.Equal(kids, first) && time.Now().Before(end); kids = r.kids() {
			time.Sleep(10 * time.Millisecond)
		}
		if !slices.Equal(kids, []string{made.ID}) {
			t.Errorf("got %v, want the new key alone", kids)
		}
	}
}

func zeroSealer(t *testing.T) *keys.Sealer {
	t.Helper()
	s, err := keys.NewSealer(make([]byte, 32))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestNotReadyWithAnotherClock than the database's, neither before nor after it,
// nor with keys that cannot be opened.
func TestNotReadyWithAnotherClock(t *testing.T) {
	t.Parallel()
	for name, database := range map[string]func(testing.TB) string{
		"SQLite":     func(t testing.TB) string { return filepath.Join(t.TempDir(), "test.db") },
		"PostgreSQL": func(t testing.TB) string { return storetest.FindPostgres(t, 1).Schema(t) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := database(t)
			r := newRig(t, func(c *sallyport.Config) { c.Database = path })
			for _, off := range []time.Duration{0, keys.MaxClockSkew - time.Second, time.Minute, -time.Minute, 1000 * time.Hour, -1000 * time.Hour} {
				r.clock.ahead.Store(int64(off))
				err := r.Ready(t.Context())
				if off.Abs() < keys.MaxClockSkew && err != nil || off.Abs() > keys.MaxClockSkew && !errors.Is(err, sallyport.ErrClock) {
					t.Errorf("%v off: got %v", off, err)
				}
			}
			r.clock.ahead.Store(0)
			other, err := keys.NewSealer(keys.NewMasterKey())
			if err != nil {
				t.Fatal(err)
			}
			keeper := &keys.Keeper{Store: r.Store(), Sealer: other, Plan: keys.NewPlan(-1, time.Hour), Now: time.Now}
			if _, err := keeper.RotateAtOnce(t.Context(), keys.EdDSA); err != nil {
				t.Fatal(err)
			}
			if err := r.RefreshKeys(t.Context()); err == nil {
				t.Error("a key of another master key was opened")
			}
			if err := r.Ready(t.Context()); !errors.Is(err, sallyport.ErrSigningKeys) {
				t.Errorf("with a key that cannot be opened: got %v, want ErrSigningKeys", err)
			}
		})
	}
}

// TestKeyRotationHasALeast: and negative is never.
func TestKeyRotationHasALeast(t *testing.T) {
	t.Parallel()
	for period, ok := range map[time.Duration]bool{-1: true, time.Hour: false, keys.MinPeriod - 1: false, keys.MinPeriod: true} {
		s, err := sallyport.New(t.Context(), sallyport.Config{
			Issuer: "http://localhost:1", Database: filepath.Join(t.TempDir(), "test.db"), MasterKey: make([]byte, 32), KeyRotation: period,
		})
		if (err == nil) != ok {
			t.Errorf("%v: got %v, want it taken: %v", period, err, ok)
		}
		if err == nil {
			s.Close()
		}
	}
}
