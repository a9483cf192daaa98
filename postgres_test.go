package sallyport_test

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-id/sallyport"
	"github.com/sallyport-id/sallyport/internal/store/storetest"
)

// TestTwoServersOnPostgres: the main job over HTTP on PostgreSQL, and what one
// server did another one knows: keys, used codes, tokens.
func TestTwoServersOnPostgres(t *testing.T) {
	t.Parallel()
	database := storetest.FindPostgres(t, 1).Schema(t)
	on := func(c *sallyport.Config) { c.Database = database }
	r := newRig(t, on)
	other, err := sallyport.New(t.Context(), sallyport.Config{
		Issuer: r.issuer, Database: database, MasterKey: make([]byte, 32), Now: r.clock.Now, InsecureNoLimits: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()

	b := r.browser()
	code := b.signIn(r.mina, b.authorize("web")).mustCode()
	got := r.redeem("web", code)
	if got.status != 200 || got.Refresh == "" || claims(t, got.ID)["acr"] != "urn:sallyport:acr:2fa" {
		t.Fatalf("got %+v", got)
	}
	there := *r
	there.Server = other
	req := there.formRequest("web", "grant_type=refresh_token&refresh_token="+got.Refresh)
	if w := there.serve(req); w.Code != 200 {
		t.Errorf("refresh at the other server: got %d %s", w.Code, w.Body)
	}
	if again := r.redeem("web", code); again.status != 400 {
		t.Errorf("the code again: got %+v, want a refusal", again)
	}
	if w := there.serve(there.formRequest("web", "grant_type=refresh_token&refresh_token="+got.Refresh)); w.Code != 400 {
		t.Errorf("refresh at the other server after reuse of the code: got %d, want 400", w.Code)
	}
}

// TestDatabasePasswordStaysSecret: neither in the error of New nor in the log.
func TestDatabasePasswordStaysSecret(t *testing.T) {
	t.Parallel()
	for _, database := range []string{
		"postgres://user:s3cret@127.0.0.1:1/db?connect_timeout=2",
		"postgres://user:1/s3cret@127.0.0.1:1/db",
		"postgress://user:s3cret@127.0.0.1:1/db",
	} {
		var log bytes.Buffer
		_, err := sallyport.New(t.Context(), sallyport.Config{
			Issuer: "http://localhost:1", Database: database, MasterKey: make([]byte, 32), Log: slog.New(slog.NewTextHandler(&log, nil)), Now: time.Now,
		})
		if err == nil || strings.Contains(err.Error()+log.String(), "s3cret") {
			t.Errorf("got %v and the log %q, want an error without the password", err, log.String())
		}
	}
}
