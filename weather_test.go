package sallyport_test

import (
	"context"
	"database/sql"
	"io"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sallyport-id/sallyport"
	"github.com/sallyport-id/sallyport/internal/store/storetest"
)

// outage is a rig whose database can be taken away.
type outage struct {
	*rig
	signedIn *browser
	tokens   tokens
}

func newOutage(t *testing.T, change func(*sallyport.Config)) *outage {
	t.Helper()
	r := newRig(t, change)
	b := r.browser()
	return &outage{rig: r, signedIn: b, tokens: r.redeem("web", b.signIn(r.mina, b.authorize("web")).mustCode())}
}

// ask sends a request in a language and returns the answer with its body.
func (o *outage) ask(method, path, language string, form url.Values) (*http.Response, string) {
	o.t.Helper()
	req, err := http.NewRequest(method, o.issuer+path, strings.NewReader(form.Encode()))
	if err != nil {
		o.t.Fatal(err)
	}
	req.Header.Set("Accept-Language", language)
	switch {
	case path == "/token":
		req.SetBasicAuth("web", o.secret["web"])
	case path == "/userinfo":
		req.Header.Set("Authorization", "Bearer "+o.tokens.Access)
	}
	if form != nil {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		o.t.Error(err)
		return &http.Response{Header: http.Header{}}, ""
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		o.t.Error(err)
	}
	return resp, string(body)
}

const authorizePath = "/authorize?response_type=code&client_id=web&redirect_uri=http%3A%2F%2Flocalhost%3A5999%2Fcallback&scope=openid&code_challenge=" + challenge + "&code_challenge_method=S256"

// wantUnavailable for a request that needs the database: 503, when to come again,
// which request it was, and not a word of why.
func (o *outage) wantUnavailable(method, path, language, want string, form url.Values) {
	o.t.Helper()
	resp, body := o.ask(method, path, language, form)
	if resp.StatusCode != http.StatusServiceUnavailable || resp.Header.Get("Retry-After") == "" || resp.Header.Get("X-Request-Id") == "" {
		o.t.Errorf("%s %s: got %d, Retry-After %q, X-Request-Id %q, want 503 and both", method, path, resp.StatusCode, resp.Header.Get("Retry-After"), resp.Header.Get("X-Request-Id"))
	}
	if !strings.Contains(body, want) {
		o.t.Errorf("%s %s in %s: want %q:\n%s", method, path, language, want, body)
	}
	if strings.HasPrefix(body, "<") && !strings.Contains(body, resp.Header.Get("X-Request-Id")) {
		o.t.Errorf("%s %s: the page does not name the request", method, path)
	}
	for _, secret := range []string{"sql", "postgres", "database", "connect", "127.0.0.1", "context"} {
		if strings.Contains(strings.ToLower(body), secret) {
			o.t.Errorf("%s %s: the answer says %q:\n%s", method, path, secret, body)
		}
	}
}

// wantWritesUnavailable in either language, and for programs.
func (o *outage) wantWritesUnavailable() {
	o.t.Helper()
	var all sync.WaitGroup
	all.Go(func() { o.wantUnavailable("GET", authorizePath, "en", "Back in a moment", nil) })
	all.Go(func() { o.wantUnavailable("GET", authorizePath, "ko", "잠시 후 다시 시도해 주세요", nil) })
	all.Go(func() {
		o.wantUnavailable("POST", "/token", "en", `"error":"temporarily_unavailable"`, url.Values{"grant_type": {"refresh_token"}, "refresh_token": {o.tokens.Refresh}})
	})
	all.Wait()
	ctx, cancel := context.WithTimeout(o.t.Context(), time.Second) // as a load balancer waits
	defer cancel()
	if err := o.Ready(ctx); err == nil {
		o.t.Error("Ready: got nil, want an error")
	}
}

// wantStillServed: what needs no database.
func (o *outage) wantStillServed() {
	o.t.Helper()
	for _, path := range []string{"/.well-known/openid-configuration", "/jwks.json", "/"} {
		if resp, body := o.ask("GET", path, "en", nil); resp.StatusCode != http.StatusOK {
			o.t.Errorf("%s: got %d %s, want 200", path, resp.StatusCode, body)
		}
	}
}

// wantRecovered: the very next requests are answered.
func (o *outage) wantRecovered() {
	o.t.Helper()
	if err := o.Ready(o.t.Context()); err != nil {
		o.t.Errorf("Ready: got %v", err)
	}
	if got := o.redeem("web", o.signedIn.authorize("web").mustCode()); got.status != http.StatusOK {
		o.t.Errorf("afterwards: got %+v", got)
	}
}

// TestPostgresAwayAndBack: no restart is needed, and what needs no database is
// served meanwhile.
func TestPostgresAwayAndBack(t *testing.T) {
	t.Parallel()
	line := storetest.NewLine(t, storetest.FindPostgres(t, 1).Schema(t))
	o := newOutage(t, func(c *sallyport.Config) { c.Database = line.URL })
	page := o.browser().authorize("web").mustStep("login", 200).page()
	for range 2 {
		line.Cut()
		o.wantWritesUnavailable()
		o.wantUnavailable("GET", "/userinfo", "en", `"error":"temporarily_unavailable"`, nil)
		b := o.browser()
		b.http.Jar = o.signedIn.http.Jar
		if v := b.get(page); v.status != http.StatusServiceUnavailable {
			t.Errorf("an interaction: got %d, want 503", v.status)
		}
		o.wantStillServed()
		line.Mend()
		o.wantRecovered()
	}
}

// TestLockedSQLite: another program has the file for itself. Requests wait a
// bounded time; what only reads is answered.
func TestLockedSQLite(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "test.db")
	o := newOutage(t, func(c *sallyport.Config) { c.Database = path })
	other, err := sql.Open("sqlite", path+"?_txlock=immediate")
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	tx, err := other.Begin()
	if err != nil {
		t.Fatal(err)
	}
	o.wantWritesUnavailable()
	o.wantStillServed()
	if status, _ := o.userinfo(o.tokens.Access); status != http.StatusOK {
		t.Errorf("userinfo: got %d, want 200", status)
	}
	if err := tx.Rollback(); err != nil {
		t.Fatal(err)
	}
	o.wantRecovered()
}

// TestAnswerLostAtCommit (PostgreSQL): it is not known whether it happened, and the
// user or the client is told to come again. What may happen once has not happened
// twice then, and nobody is stuck.
func TestAnswerLostAtCommit(t *testing.T) {
	t.Parallel()
	line := storetest.NewLine(t, storetest.FindPostgres(t, 1).Schema(t))
	o := newOutage(t, func(c *sallyport.Config) { c.Database = line.URL })
	code := func() string { return o.signedIn.authorize("web").mustCode() }
	for _, c := range []struct {
		name  string
		lose  func(int)
		again int // status of the second try
	}{
		{"the commit was lost", line.LoseCommit, http.StatusOK},
		{"its answer was lost", line.LoseAnswer, http.StatusBadRequest},
	} {
		once := code()
		c.lose(1)
		if got := o.redeem("web", once); got.status != http.StatusServiceUnavailable || got.Access != "" {
			t.Errorf("%s: redeem: got %d, want 503", c.name, got.status)
		}
		if got := o.redeem("web", once); got.status != c.again {
			t.Errorf("%s: redeem again: got %d %s, want %d", c.name, got.status, got.Error, c.again)
		}
		if got := o.redeem("web", once); got.status != http.StatusBadRequest {
			t.Errorf("%s: redeem for the third time: got %d, want 400", c.name, got.status)
		}

		spa := o.browser()
		spa.http.Jar = o.signedIn.http.Jar
		first := o.token("", url.Values{"grant_type": {"authorization_code"}, "client_id": {"spa"}, "code": {spa.authorize("spa").mustCode()}, "redirect_uri": {callback}, "code_verifier": {verifier}})
		refresh := url.Values{"grant_type": {"refresh_token"}, "client_id": {"spa"}, "refresh_token": {first.Refresh}}
		c.lose(1)
		if got := o.token("", refresh); got.status != http.StatusServiceUnavailable {
			t.Errorf("%s: refresh: got %d, want 503", c.name, got.status)
		}
		if got := o.token("", refresh); got.status != http.StatusOK || got.Refresh == "" { // within the grace
			t.Errorf("%s: refresh again: got %d %s, want 200", c.name, got.status, got.Error)
		}
	}
}

// TestStepLostAtCommit (PostgreSQL): a TOTP step is used if it was committed, whoever
// heard of it, and the user gets in with the next one.
func TestStepLostAtCommit(t *testing.T) {
	t.Parallel()
	line := storetest.NewLine(t, storetest.FindPostgres(t, 1).Schema(t))
	r := newRig(t, func(c *sallyport.Config) { c.Database = line.URL })
	for _, c := range []struct {
		name string
		lose func(int)
		used bool
	}{
		{"the commit was lost", line.LoseCommit, false},
		{"its answer was lost", line.LoseAnswer, true},
	} {
		code := r.code(r.mina.totp, 0)
		try := func(lose bool) *view {
			b := r.browser()
			v := b.answer(b.authorize("web").mustStep("login", 200), "password", "username", "mina", "password", r.mina.password).mustStep("second_factor", 200)
			if lose {
				c.lose(2) // the attempt is counted in the first
			}
			return b.answer(v, "totp", "code", code)
		}
		if v := try(true); v.status != http.StatusServiceUnavailable || v.header.Get("Set-Cookie") != "" {
			t.Errorf("%s: got %d, Set-Cookie %q, want 503 and none", c.name, v.status, v.header.Get("Set-Cookie"))
		}
		if v := try(false); (v.location == nil) != c.used {
			t.Errorf("%s: the code again: got %d %v, want it used: %v", c.name, v.status, v.location, c.used)
		}
		r.clock.advance(time.Minute)
		b := r.browser()
		b.signIn(r.mina, b.authorize("web")).mustCode()
		r.clock.advance(time.Minute)
	}
}
