package sallyport_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sallyport-id/sallyport"
	"github.com/sallyport-id/sallyport/internal/admin"
	"github.com/sallyport-id/sallyport/internal/authn"
	"github.com/sallyport-id/sallyport/internal/oidc"
	"github.com/sallyport-id/sallyport/internal/store/storetest"
)

// childEnv makes the test binary a server: it holds a childConfig.
const childEnv = "SALLYPORT_TEST_CHILD"

// childConfig is what a server in a process of its own needs. It listens on file 3.
type childConfig struct {
	Issuer, Database string
	Now              time.Time // its clock stands still; zero: it goes
}

func TestMain(m *testing.M) {
	if config := os.Getenv(childEnv); config != "" {
		fmt.Fprintln(os.Stderr, serveChild(config))
		os.Exit(1)
	}
	os.Exit(m.Run())
}

func serveChild(text string) error {
	var c childConfig
	if err := json.Unmarshal([]byte(text), &c); err != nil {
		return err
	}
	listener, err := net.FileListener(os.NewFile(3, "listener"))
	if err != nil {
		return err
	}
	s, err := sallyport.New(context.Background(), c.config())
	if err != nil {
		return err
	}
	return http.Serve(listener, s)
}

func (c childConfig) config() sallyport.Config {
	now := func() time.Time { return c.Now }
	if c.Now.IsZero() {
		now = time.Now
	}
	return sallyport.Config{
		Issuer: c.Issuer, Database: c.Database, MasterKey: make([]byte, 32), InsecureNoLimits: true,
		Log: slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelError})),
		Now: now,
	}
}

// crash is a server in a process of its own, which is killed under load and
// started again.
type crash struct {
	*rig  // its Server is nil: the process is another
	child childConfig
	web   *http.Transport // to the process that runs
	kill  func()          // SIGKILL

	byCode     []person // sign in with TOTP
	byRecovery []person
}

func newCrash(t *testing.T, database string) *crash {
	t.Helper()
	c := &crash{
		rig:   &rig{t: t, secret: map[string]string{}, issuer: "http://localhost:4000"},
		child: childConfig{Issuer: "http://localhost:4000", Database: database, Now: time.Now().Truncate(30 * time.Second)},
	}
	var err error
	if c.Server, err = sallyport.New(t.Context(), c.child.config()); err != nil {
		t.Fatal(err)
	}
	c.mina = c.addPerson(t.Context(), "mina", true)
	for i := range 2 {
		c.byCode = append(c.byCode, c.addPerson(t.Context(), fmt.Sprint("code", i), true))
		c.byRecovery = append(c.byRecovery, c.addPerson(t.Context(), fmt.Sprint("recovery", i), true))
	}
	c.addClient(t.Context(), admin.Web("web", "Shop", callback))
	spa := admin.Web("spa", "SPA", callback)
	spa.AuthMethod, spa.IDTokenAlg = oidc.AuthNone, "ES256"
	c.addClient(t.Context(), spa)
	if err := c.Server.Close(); err != nil {
		t.Fatal(err)
	}
	c.Server = nil
	return c
}

// start runs the server with its clock so much later. Each process has a socket of
// its own: what was sent to a killed one comes to no other.
func (c *crash) start(later time.Duration) {
	c.t.Helper()
	c.child.Now = c.child.Now.Add(later)
	c.web, c.kill = startChild(c.t, c.child)
}

// startChild runs a server in a process of its own until the test ends or it is
// killed; web leads to it.
func startChild(t testing.TB, child childConfig) (web *http.Transport, kill func()) {
	t.Helper()
	config, err := json.Marshal(child)
	if err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp("", "crash") // a socket's path must be short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	address := &net.UnixAddr{Net: "unix", Name: filepath.Join(dir, "s")}
	listener, err := net.ListenUnix("unix", address)
	if err != nil {
		t.Fatal(err)
	}
	file, err := listener.File()
	if err != nil {
		t.Fatal(err)
	}
	listener.SetUnlinkOnClose(false)
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childEnv+"="+string(config))
	cmd.Stderr, cmd.ExtraFiles = testLog{t}, []*os.File{file}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	_, _ = file.Close(), listener.Close()
	kill = sync.OnceFunc(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	t.Cleanup(kill)
	web = &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", address.Name)
	}}
	t.Cleanup(web.CloseIdleConnections)
	return web, kill
}

func (c *crash) browser() *browser {
	b := c.rig.browser()
	b.http.Transport = c.web
	return b
}

func (c *crash) totpCode(p person) string {
	return authn.TOTPCode(p.totp, c.child.Now.Unix()/30, 6)
}

// second is a browser at the second factor.
func (c *crash) second(p person, method string) (*browser, *view) {
	c.t.Helper()
	b := c.browser()
	v := b.answer(b.authorize("web").mustStep("login", 200), "password", "username", p.login, "password", p.password)
	return b, b.get(v.page()+"?method="+method).mustStep("second_factor", 200)
}

// mayOnce is something that may happen once, and what became of it.
type mayOnce struct {
	name string
	// send sends it, and returns an error if there was no answer.
	send func(ctx context.Context) error
	// again tries it once more, and says whether it happened.
	again func() bool
	// kept checks that what was answered is there; nil: nothing but again.
	kept           func()
	sent, answered bool
}

// post returns the status and the body of an answer.
func (c *crash) post(ctx context.Context, b *browser, path string, form url.Values) (status int, body []byte, err error) {
	req, err := http.NewRequestWithContext(ctx, "POST", c.issuer+path, strings.NewReader(form.Encode()))
	if err != nil {
		return 0, nil, err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if path == "/token" && form.Get("client_id") == "" {
		req.SetBasicAuth("web", c.secret["web"])
	}
	resp, err := b.http.Do(req)
	if err != nil {
		return 0, nil, err
	}
	defer resp.Body.Close()
	body, err = io.ReadAll(resp.Body)
	return resp.StatusCode, body, err
}

// grant asks the token endpoint, and returns an error if there was no answer. A
// refusal is an answer without tokens.
func (c *crash) grant(ctx context.Context, form url.Values) (t tokens, err error) {
	status, body, err := c.post(ctx, c.browser(), "/token", form)
	if err == nil {
		err = json.Unmarshal(body, &t)
	}
	t.status = status
	return t, err
}

func (c *crash) mustGrant(form url.Values) tokens {
	c.t.Helper()
	got, err := c.grant(context.Background(), form)
	if err != nil {
		c.t.Fatal(err)
	}
	return got
}

func codeForm(code string) url.Values {
	return url.Values{"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {callback}, "code_verifier": {verifier}}
}

func refreshForm(token string) url.Values {
	return url.Values{"grant_type": {"refresh_token"}, "client_id": {"spa"}, "refresh_token": {token}}
}

// redemption of a code.
func (c *crash) redemption(b *browser) *mayOnce {
	form := codeForm(b.authorize("web").mustCode())
	var got tokens
	return &mayOnce{
		name:  "a code",
		send:  func(ctx context.Context) (err error) { got, err = c.grant(ctx, form); return err },
		again: func() bool { return c.mustGrant(form).status == http.StatusOK },
		kept: func() {
			req, _ := http.NewRequest("GET", c.issuer+"/userinfo", nil)
			req.Header.Set("Authorization", "Bearer "+got.Access)
			if v := c.browser().do(req); v.status != http.StatusOK {
				c.t.Errorf("the access token of a redeemed code: got %d, want 200", v.status)
			}
		},
	}
}

// rotation of a refresh token. That it happened is seen by its successor, which is
// used at once: from then on the old one is worth nothing, grace or not.
func (c *crash) rotation(b *browser) *mayOnce {
	form := codeForm(b.authorize("spa").mustCode())
	form.Set("client_id", "spa")
	old := refreshForm(c.mustGrant(form).Refresh)
	var got tokens
	return &mayOnce{
		name: "a refresh token",
		send: func(ctx context.Context) (err error) { got, err = c.grant(ctx, old); return err },
		again: func() bool {
			next := c.mustGrant(old)
			return next.status == http.StatusOK && c.mustGrant(refreshForm(next.Refresh)).status == http.StatusOK
		},
		kept: func() {
			if next := c.mustGrant(refreshForm(got.Refresh)); next.status != http.StatusOK {
				c.t.Errorf("the refresh token of an answer: got %d %s, want 200", next.status, next.Error)
			}
		},
	}
}

// signIn with the second factor's method and a code.
func (c *crash) signIn(p person, method, code string) *mayOnce {
	b, v := c.second(p, method)
	form := v.fields(method)
	form.Set("code", code)
	return &mayOnce{
		name: method,
		send: func(ctx context.Context) error {
			_, _, err := c.post(ctx, b, v.page()+"/"+method, form)
			return err
		},
		again: func() bool {
			fresh, v := c.second(p, method)
			return fresh.answer(v, method, "code", code).location != nil
		},
	}
}

// round does many things that may happen once, kills the server after so many
// answers, starts it again and looks what is left.
func (c *crash) round(killAfter int64, number int) {
	c.t.Helper()
	c.start(time.Minute)
	b := c.browser()
	b.answer(b.answer(b.authorize("web"), "password", "username", "mina", "password", c.mina.password), "totp", "code", c.totpCode(c.mina)).mustCode()
	var all []*mayOnce
	for i := range c.byCode {
		all = append(all, c.redemption(b), c.rotation(b), c.redemption(b), c.rotation(b), c.redemption(b), c.rotation(b),
			c.signIn(c.byCode[i], "totp", c.totpCode(c.byCode[i])),
			c.signIn(c.byRecovery[i], "recovery", c.byRecovery[i].recovery[number]))
	}
	c.sendAndKill(all, killAfter)
	c.start(20 * time.Second) // past the grace of a refresh, within the step of a code
	answered := 0
	for _, once := range all {
		if once.answered {
			answered++
		}
		c.check(once)
	}
	c.t.Logf("killed after %d answers of %d", answered, len(all))
	c.kill()
}

// sendAndKill sends with a few callers at once until the server is dead.
func (c *crash) sendAndKill(all []*mayOnce, killAfter int64) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	line := make(chan *mayOnce, len(all))
	for _, once := range all {
		line <- once
	}
	close(line)
	var answers atomic.Int64
	var done sync.WaitGroup
	for range 8 {
		done.Go(func() {
			for once := range line {
				if ctx.Err() != nil {
					return
				}
				once.sent = true
				once.answered = once.send(ctx) == nil
				if once.answered && answers.Add(1) == killAfter {
					c.kill()
					cancel()
				}
			}
		})
	}
	done.Wait()
}

// check: what was answered is there and cannot happen again; what was not sent can
// happen; whatever it was, after that it cannot.
func (c *crash) check(once *mayOnce) {
	c.t.Helper()
	if once.answered && once.kept != nil {
		once.kept()
	}
	happens := once.again()
	if once.answered && happens {
		c.t.Errorf("%s: answered before the crash, and accepted again after it", once.name)
	}
	if !once.sent && !happens {
		c.t.Errorf("%s: handed out before the crash, and not accepted after it", once.name)
	}
	if happens && once.again() {
		c.t.Errorf("%s: accepted twice after the crash", once.name)
	}
}

// TestKilled (security rule 24): a server that is killed under load has done what
// it answered, and nothing that may happen once happens twice across the crash.
// The kernel outlives it, so this does not see whether fsync was called.
func TestKilled(t *testing.T) {
	t.Parallel()
	for name, database := range map[string]func(*testing.T) string{
		"SQLite":     func(t *testing.T) string { return filepath.Join(t.TempDir(), "test.db") },
		"PostgreSQL": func(t *testing.T) string { return storetest.FindPostgres(t, 1).Schema(t) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newCrash(t, database(t))
			for i, killAfter := range []int64{1, 5, 11} {
				c.round(killAfter, i)
			}
		})
	}
}
