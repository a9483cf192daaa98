package main

import (
	"context"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sallyport-id/sallyport/internal/admin"
	"github.com/sallyport-id/sallyport/internal/store/sqlstore"
	"github.com/sallyport-id/sallyport/internal/store/storetest"
)

// TestInstallOnPostgres: init and two servers on one database, whose password is
// in a file of its own and nowhere else. What the CLI changes both know at once.
func TestInstallOnPostgres(t *testing.T) {
	t.Parallel()
	database, password := withoutPassword(t, storetest.FindPostgres(t, 1).Schema(t))
	dir := filepath.Join(t.TempDir(), "one")
	address := freeAddress(t)
	var said strings.Builder
	first := initCmd{Dir: dir, Issuer: "http://" + address, Listen: address, Database: database, DatabasePasswordFile: password}
	if err := first.run(t.Context(), &said); err != nil {
		t.Fatal(err)
	}
	config := filepath.Join(dir, "sallyport.yaml")
	second := first
	second.Dir = filepath.Join(t.TempDir(), "two")
	if err := second.run(t.Context(), io.Discard); err == nil || !strings.Contains(err.Error(), "init overwrites nothing") {
		t.Errorf("init again: got %v", err)
	}
	if left, _ := os.ReadDir(second.Dir); len(left) != 0 {
		t.Errorf("init again left %v", left)
	}

	s, _, err := loadSettings(config, environment("SALLYPORT_PRIVATE_LISTEN", freeAddress(t)))
	if err != nil {
		t.Fatal(err)
	}
	other := s
	other.Listen, other.PrivateListen = freeAddress(t), freeAddress(t)
	var log lockedBuffer
	serving(t, s, &log)
	serving(t, other, &log)
	if err := (configFlag{config}).operate(func(ctx context.Context, _ *sqlstore.Store, a *admin.Admin) error {
		_, err := a.AddClient(ctx, admin.Web("shop", "Shop", "http://localhost:1/callback"))
		return err
	}); err != nil {
		t.Fatal(err)
	}
	for _, at := range []string{s.Listen, other.Listen} {
		req, err := http.NewRequest("GET", "http://"+at+"/authorize?client_id=shop&redirect_uri=http://localhost:1/callback&response_type=code&scope=openid"+
			"&code_challenge_method=S256&code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Host = address
		resp, err := http.DefaultTransport.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != http.StatusSeeOther || !strings.Contains(resp.Header.Get("Location"), "/interaction/") {
			t.Errorf("%s: got %d %s, want the sign-in page", at, resp.StatusCode, resp.Header.Get("Location"))
		}
	}

	written, err := os.ReadFile(config)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := readSecretFile(password)
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"the log": log.String(), "what init said": said.String(), "the configuration": string(written)} {
		if strings.Contains(text, secret) {
			t.Errorf("the password is in %s:\n%s", name, text)
		}
	}
}

// withoutPassword moves the password of a URL into a file.
func withoutPassword(t *testing.T, database string) (without, file string) {
	t.Helper()
	u, err := url.Parse(database)
	if err != nil {
		t.Fatal(err)
	}
	password, _ := u.User.Password()
	if password == "" {
		t.Skip("SALLYPORT_TEST_POSTGRES has no password: the one of ./test has")
	}
	file = filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(file, []byte(password+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	u.User = url.User(u.User.Username())
	return u.String(), file
}

// TestServeRefusesOnPostgres: what init has not made, and it makes nothing there.
func TestServeRefusesOnPostgres(t *testing.T) {
	t.Parallel()
	s, _ := installed(t)
	s.Database = storetest.FindPostgres(t, 1).Schema(t)
	for range 2 {
		if err := serve(t.Context(), s, io.Discard); err == nil || !strings.Contains(err.Error(), `was not made by "sallyport init"`) {
			t.Errorf("an empty database: got %v", err)
		}
	}
	mark(t, s.Database, devMark)
	if err := serve(t.Context(), s, io.Discard); err == nil || !strings.Contains(err.Error(), `database of a "sallyport dev"`) {
		t.Errorf("a database of dev: got %v", err)
	}
}

// TestDatabasePasswordIsMasked wherever a URL is shown.
func TestDatabasePasswordIsMasked(t *testing.T) {
	t.Parallel()
	for _, database := range []string{
		"postgres://u:s3cret@h/d", "postgres://u@h/d?password=s3cret", "postgres://u:s3cret@h/d?sslmode=disable&password=s3cret",
		"postgres://u:s3cret@h:port/d", "postgres://u:%zzs3cret@h/d",
	} {
		s := defaultSettings()
		s.Database = database
		for _, f := range s.fields() {
			if strings.Contains(f.text(), "s3cret") {
				t.Errorf("%s: shown as %s", database, f.text())
			}
		}
		if strings.Contains(databaseName(database), "s3cret") {
			t.Errorf("%s: named %s", database, databaseName(database))
		}
		err := (&initCmd{Dir: t.TempDir(), Issuer: "http://localhost:9000", Listen: ":9000", Database: database}).run(t.Context(), io.Discard)
		if err == nil || strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%s: init says %v", database, err)
		}
	}
}
