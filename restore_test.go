package sallyport_test

import (
	"bytes"
	"context"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/sallyport-id/sallyport"
	"github.com/sallyport-id/sallyport/internal/admin"
	"github.com/sallyport-id/sallyport/internal/store"
	"github.com/sallyport-id/sallyport/internal/store/sqlstore"
	"github.com/sallyport-id/sallyport/internal/store/storetest"
)

// saved is a database as it was at a moment. restore puts it back, after the
// server has ended, and returns where it is.
type saved struct {
	restore func(t *testing.T) (database string)
}

// TestRule24RestoreEndsWhatWasIssued: after a restore of a backup that was made
// while the server worked, everything durable is there, nothing that was spent
// before or after the backup can be spent again, nobody is signed in, and people
// sign in with what they know and have.
func TestRule24RestoreEndsWhatWasIssued(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		database func(t *testing.T) string
		save     func(t *testing.T, database string) saved
	}{
		"SQLite":     {func(t *testing.T) string { return filepath.Join(t.TempDir(), "test.db") }, saveSQLite},
		"PostgreSQL": {func(t *testing.T) string { return storetest.FindPostgres(t, 1).Schema(t) }, savePostgres},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			database := c.database(t)
			r := newRig(t, func(c *sallyport.Config) { c.Database = database })
			before := r.live()
			var backup saved
			r.underLoad(func() { backup = c.save(t, database) })
			r.spend(t, before)
			for steps := int64(-1); steps <= 1; steps++ {
				before.codes = append(before.codes, r.code(r.mina.totp, steps))
			}
			if err := r.Close(); err != nil {
				t.Fatal(err)
			}
			database = backup.restore(t)
			after := emptyRig(t, func(c *sallyport.Config) { c.Database = database })
			after.mina, after.joon, after.secret = r.mina, r.joon, r.secret
			after.refuseWhatWas(before)
			after.signInAnew(t, before)
		})
	}
}

// life is what people and clients hold at a moment.
type life struct {
	browser *browser // Mina's, signed in
	issued  tokens
	code    string // of another sign-in, not redeemed
	parked  *view  // an enrolment of Joon's, begun
	joons   *browser
	kid     string
	codes   []string // of Mina's app, valid before the restore
}

func (r *rig) live() life {
	r.t.Helper()
	l := life{browser: r.browser(), joons: r.browser()}
	l.issued = r.redeem("web", l.browser.signIn(r.mina, l.browser.authorize("web", "scope", "openid offline_access", "prompt", "consent")).mustConsent(l.browser).mustCode())
	if l.issued.status != 200 || l.issued.Refresh == "" {
		r.t.Fatalf("got %+v", l.issued)
	}
	l.code = l.browser.authorize("web").mustCode()
	l.parked = l.joons.app(l.joons.answer(l.joons.authorize("web"), "password", "username", "joon", "password", r.joon.password))
	l.kid = r.keyIDs()
	return l
}

// mustConsent allows what the page asks for.
func (v *view) mustConsent(b *browser) *view {
	v.t.Helper()
	return b.answer(v.mustStep("consent", 200), "consent", "decision", "allow")
}

// keyIDs are the ids of the signing keys.
func (r *rig) keyIDs() string {
	r.t.Helper()
	list, err := r.Store().SigningKeys(r.t.Context())
	if err != nil {
		r.t.Fatal(err)
	}
	var ids []string
	for _, k := range list {
		ids = append(ids, k.ID)
	}
	return fmt.Sprint(ids)
}

// underLoad does something while others write to the database.
func (r *rig) underLoad(do func()) {
	ctx, stop := context.WithCancel(r.t.Context())
	var writers sync.WaitGroup
	for range 4 {
		writers.Go(func() {
			for ctx.Err() == nil {
				if err := r.Store().Record(ctx, store.Event{At: r.clock.Now(), Type: "load"}); err != nil && ctx.Err() == nil {
					r.t.Error(err)
				}
			}
		})
	}
	do()
	stop()
	writers.Wait()
}

// spend uses up what may be used once, after the backup.
func (r *rig) spend(t *testing.T, l life) {
	t.Helper()
	if got := r.redeem("web", l.code); got.status != 200 {
		r.t.Fatalf("the code: got %+v", got)
	}
	b := r.browser()
	v := b.answer(b.authorize("web"), "password", "username", "mina", "password", r.mina.password)
	b.recover(v, r.mina.recovery[0]).mustCode()
	l.joons.answer(l.parked, "enroll", "code", r.code(shownKey(t, l.parked), 0)).mustStep("save_codes", 200)
}

// browserOf is a browser with another's cookies.
func (r *rig) browserOf(other *browser) *browser {
	b := r.browser()
	b.http.Jar = other.http.Jar
	return b
}

// refuseWhatWas tries all that was issued, spent or not.
func (r *rig) refuseWhatWas(l life) {
	r.t.Helper()
	old := r.browserOf(l.browser)
	if v := old.authorize("web"); v.step() != "login" {
		r.t.Errorf("the session of before: got step %q %v, want login", v.step(), v.location)
	}
	if status, _ := r.userinfo(l.issued.Access); status != 401 {
		r.t.Errorf("the access token of before: got %d, want 401", status)
	}
	if got := r.token("web", url.Values{"grant_type": {"refresh_token"}, "refresh_token": {l.issued.Refresh}}); got.status != 400 {
		r.t.Errorf("the refresh token of before: got %+v, want 400", got)
	}
	if got := r.redeem("web", l.code); got.status != 400 {
		r.t.Errorf("the code of before: got %+v, want 400", got)
	}
	joons := r.browserOf(l.joons)
	if v := joons.get(l.parked.page()); v.step() != "" {
		r.t.Errorf("the interaction of before: got step %q, want none", v.step())
	}
	fresh := r.browser()
	v := fresh.answer(fresh.authorize("web"), "password", "username", "joon", "password", r.joon.password)
	if v.step() == "enroll" || v.location != nil {
		r.t.Errorf("Joon, who has enrolled since: got step %q %v, want no second first enrolment", v.step(), v.location)
	}
	b := r.browser()
	v = b.answer(b.authorize("web"), "password", "username", "mina", "password", r.mina.password).mustStep("second_factor", 200)
	for _, code := range l.codes {
		b.answer(v, "totp", "code", code).mustStep("second_factor", 422)
	}
	for i := range 2 { // one that was used since, and one that was not
		fields := v.fields("totp")
		fields.Set("code", r.mina.recovery[i])
		if got := b.post(v.page()+"/recovery", fields); got.location != nil {
			r.t.Errorf("recovery code %d: got %v, want a refusal", i, got.location)
		}
	}
}

// signInAnew is what people do after a restore, a minute later.
func (r *rig) signInAnew(t *testing.T, l life) {
	t.Helper()
	r.clock.advance(5 * time.Minute) // beyond the wait that the wrong codes have earned
	b := r.browser()
	got := r.redeem("web", b.signIn(r.mina, b.authorize("web")).mustCode())
	if got.status != 200 || claims(t, got.ID)["sub"] != r.mina.id || claims(t, got.ID)["acr"] != "urn:sallyport:acr:2fa" {
		r.t.Errorf("got %+v, want Mina with two factors", got)
	}
	if kids := r.keyIDs(); kids != l.kid {
		r.t.Errorf("got the signing keys %s, want %s", kids, l.kid)
	}
	clients, err := r.Store().Clients(r.t.Context())
	if err != nil || len(clients) != len(r.secret) {
		r.t.Errorf("got %d clients %v, want %d", len(clients), err, len(r.secret))
	}
	events, err := r.Store().Events(r.t.Context(), store.EventQuery{Limit: 1000})
	found := 0
	for _, e := range events {
		if e.Type == "database.restored" {
			found++
		}
	}
	if err != nil || found != 1 {
		r.t.Errorf("got %d events of a restore, %v; want 1", found, err)
	}
}

// cleanUp does what the command restore does.
func cleanUp(t *testing.T, db *sqlstore.Store) error {
	done, err := (&admin.Admin{Store: db, Now: time.Now}).AfterRestore(t.Context(), "")
	if err == nil && (fmt.Sprint(done.WithoutCodes) != "[mina]" || fmt.Sprint(done.WithoutRight) != "[joon]") {
		t.Errorf("got %+v, want Mina without codes and Joon without the right", done)
	}
	return err
}

func saveSQLite(t *testing.T, database string) saved {
	copied := filepath.Join(t.TempDir(), "copy")
	if err := sqlstore.Backup(t.Context(), database, copied, nil); err != nil {
		t.Fatal(err)
	}
	return saved{func(t *testing.T) string {
		r := sqlstore.Restore{From: copied, To: database, Replace: true, Now: time.Now(), Prepare: func(db *sqlstore.Store) error { return cleanUp(t, db) }}
		if _, err := r.Run(t.Context()); err != nil {
			t.Fatal(err)
		}
		return database
	}}
}

// savePostgres uses what operators use: pg_dump and pg_restore.
func savePostgres(t *testing.T, database string) saved {
	u, err := url.Parse(database)
	if err != nil {
		t.Fatal(err)
	}
	schema := u.Query().Get("search_path")
	u.RawQuery = ""
	dump := filepath.Join(t.TempDir(), "dump")
	postgresTool(t, "pg_dump", "--format=custom", "--schema="+schema, "--file="+dump, u.String())
	return saved{func(t *testing.T) string {
		postgresTool(t, "psql", "--quiet", "--command=DROP SCHEMA "+schema+" CASCADE", u.String())
		postgresTool(t, "pg_restore", "--exit-on-error", "--dbname="+u.String(), dump)
		db, err := sqlstore.Open(t.Context(), sqlstore.Config{URL: database})
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		if err := cleanUp(t, db); err != nil {
			t.Fatal(err)
		}
		return database
	}}
}

func postgresTool(t *testing.T, name string, args ...string) {
	t.Helper()
	found, err := exec.LookPath(name)
	if err != nil {
		t.Fatalf("%s is needed where PostgreSQL is tested: %v", name, err)
	}
	cmd := exec.CommandContext(t.Context(), found, args...)
	cmd.Env = append(os.Environ(), "PGOPTIONS=--client-min-messages=warning")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", name, err, bytes.TrimSpace(out))
	}
}
