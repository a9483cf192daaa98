package main

import (
	"context"
	"encoding/json"
	"fmt"
	"html"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-id/sallyport/internal/authn"
)

// startDev runs dev on free ports until the test ends.
func startDev(t *testing.T, change ...func(*devCmd)) *devInfo {
	t.Helper()
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	d := &devCmd{TutorialRedirect: "http://localhost:8000/callback", Shop: "http://localhost:8080", Output: "json", Dir: filepath.Join(t.TempDir(), "dev")}
	for _, c := range change {
		c(d)
	}
	ctx, stop := context.WithCancel(context.Background())
	out, in := io.Pipe()
	ended := make(chan error, 1)
	go func() {
		err := d.run(ctx, in)
		in.CloseWithError(err)
		ended <- err
	}()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	info := &devInfo{}
	if err := json.NewDecoder(out).Decode(info); err != nil {
		t.Fatal(err)
	}
	go func() { _, _ = io.Copy(io.Discard, out) }()
	return info
}

// person is somebody at a browser who reads pages and fills in forms.
type person struct {
	t      *testing.T
	http   *http.Client
	locale string
}

func newPerson(t *testing.T, locale string) *person {
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &person{t: t, http: &http.Client{Jar: jar}, locale: locale}
}

func (p *person) do(method, to string, form url.Values) (*http.Response, string) {
	p.t.Helper()
	req, err := http.NewRequest(method, to, strings.NewReader(form.Encode()))
	if err != nil {
		p.t.Fatal(err)
	}
	req.Header.Set("Accept-Language", p.locale)
	if method == "POST" {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		req.Header.Set("Sec-Fetch-Site", "same-origin")
	}
	resp, err := p.http.Do(req)
	if err != nil {
		p.t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		p.t.Fatal(err)
	}
	return resp, string(body)
}

var hidden = regexp.MustCompile(`<input type="hidden" name="([a-z]+)" value="([^"]*)"`)

// fill posts the form with the action.
func (p *person) fill(at *http.Response, body, action string, typed ...string) (*http.Response, string) {
	p.t.Helper()
	path := regexp.MustCompile(`action="(/(?:interaction|invitation)/[^"]*/` + action + `)"`).FindStringSubmatch(body)
	if path == nil {
		p.t.Fatalf("no form for %s at %s (%d):\n%s", action, at.Request.URL, at.StatusCode, body)
	}
	_, form, _ := strings.Cut(body, path[1]+`"`)
	form, _, _ = strings.Cut(form, "</form>")
	fields := url.Values{}
	for _, m := range hidden.FindAllStringSubmatch(form, -1) {
		fields.Set(m[1], html.UnescapeString(m[2]))
	}
	for i := 0; i < len(typed); i += 2 {
		fields.Set(typed[i], typed[i+1])
	}
	return p.do("POST", at.Request.URL.Scheme+"://"+at.Request.URL.Host+path[1], fields)
}

func (p *person) codeOf(info *devInfo, login string) string {
	p.t.Helper()
	secret, err := devSecret(context.Background(), info.Dir, login)
	if err != nil {
		p.t.Fatal(err)
	}
	return authn.TOTPCode(secret, time.Now().Unix()/30, 6)
}

// TestDevMainJob is what the README promises, for both users and in both
// languages.
func TestDevMainJob(t *testing.T) {
	info := startDev(t)
	mina, joon := info.Users[0], info.Users[1]

	p := newPerson(t, "ko")
	at, body := p.do("GET", info.Demo+"/login", nil)
	at, body = p.fill(at, body, "password", "username", mina.Login, "password", mina.Password)
	at, body = p.fill(at, body, "totp", "code", p.codeOf(info, mina.Login))
	if at.StatusCode != 200 || !strings.Contains(body, "2FA 인증이 완료되었습니다.") || !strings.Contains(body, "urn:sallyport:acr:2fa") {
		t.Errorf("got %d at %s\n%s", at.StatusCode, at.Request.URL, body)
	}
	mustBeClean(t, at, info.Demo+"/callback")

	q := newPerson(t, "en")
	at, body = q.do("GET", info.Demo+"/login", nil)
	at, body = q.fill(at, body, "password", "username", joon.Login, "password", joon.Password)
	at, body = q.do("GET", at.Request.URL.String()+"?method=totp", nil)
	at, body = q.fill(at, body, "enroll", "code", q.codeOf(info, joon.Login))
	at, body = q.fill(at, body, "saved", "saved", "1")
	if at.StatusCode != 200 || !strings.Contains(body, "Two-factor authentication is complete.") || !strings.Contains(body, "pwd otp mfa") {
		t.Errorf("got %d at %s\n%s", at.StatusCode, at.Request.URL, body)
	}
	if _, body = q.do("GET", info.Demo+"/", nil); !strings.Contains(body, "You are signed in.") {
		t.Errorf("home:\n%s", body)
	}

	c := newPerson(t, "en")
	at, body = c.do("GET", info.Demo+"/login", nil)
	at, body = c.fill(at, body, "cancel")
	if at.StatusCode != http.StatusForbidden || !strings.Contains(body, "Two-factor authentication did not happen.") {
		t.Errorf("cancelled: got %d\n%s", at.StatusCode, body)
	}
	if _, body = c.do("GET", info.Demo+"/", nil); !strings.Contains(body, "Nobody is signed in.") {
		t.Errorf("home after cancelling:\n%s", body)
	}
	if at, body = c.do("GET", info.Demo+"/callback?code=x&state=y", nil); at.StatusCode != http.StatusForbidden {
		t.Errorf("a forged callback: got %d\n%s", at.StatusCode, body)
	}
}

// mustBeClean checks that a page was come to from the callback with the code, and
// that nothing of that stays: in the address bar, a cache, or a header.
func mustBeClean(t *testing.T, page *http.Response, want string) {
	t.Helper()
	if got := page.Request.URL.String(); got != want {
		t.Errorf("the address bar has %s, want %s", got, want)
	}
	from := page.Request.Response
	if from == nil || !from.Request.URL.Query().Has("code") || from.StatusCode != http.StatusSeeOther {
		t.Fatalf("got here from %v, want 303 from the callback", from)
	}
	if h := from.Header; h.Get("Referrer-Policy") != "no-referrer" || h.Get("Cache-Control") != "no-store" {
		t.Errorf("the callback answers with %v", h)
	}
}

// TestRule17DevIsForThisMachine: loopback only, no proxy, no foreign Host, new
// passwords in each run, a marked database.
func TestRule17DevIsForThisMachine(t *testing.T) {
	info := startDev(t)
	other := startDev(t)
	if info.Users[0].Password == other.Users[0].Password || info.Tutorial.ClientSecret == other.Tutorial.ClientSecret {
		t.Error("two runs have the same secrets")
	}
	for name, value := range map[string]string{"X-Forwarded-For": "203.0.113.1", "Forwarded": "for=203.0.113.1", "X-Forwarded-Host": "localhost", "Via": "1.1 proxy"} {
		req, _ := http.NewRequest("GET", info.Metadata, nil)
		req.Header.Set(name, value)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != http.StatusMisdirectedRequest {
			t.Errorf("%s: got %d, want 421", name, resp.StatusCode)
		}
	}
	db, _, err := openDev(t.Context(), info.Dir)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if mode, err := db.Meta(t.Context(), "mode"); err != nil || mode != "dev" {
		t.Errorf("the database's mark: got %q %v", mode, err)
	}
	for _, name := range []string{"master.key", "sallyport.db", "examples.env"} {
		stat, err := os.Stat(filepath.Join(info.Dir, name))
		if err != nil || name != "sallyport.db" && stat.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v %v", name, stat, err)
		}
	}
}

// TestDevCodeNeedsADevServer: it reads no other database.
func TestDevCodeNeedsADevServer(t *testing.T) {
	info := startDev(t)
	db, _, err := openDev(t.Context(), info.Dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := db.SetMeta(t.Context(), "mode", ""); err != nil {
		t.Fatal(err)
	}
	db.Close()
	if err := (&codeCmd{Login: "mina", Dir: info.Dir}).Run(); err == nil {
		t.Error("it printed a code of a database without the mark")
	}
	if err := (&codeCmd{Login: "mina", Dir: t.TempDir()}).Run(); err == nil {
		t.Error("it found a server in an empty directory")
	}
}

// TestTakenPortIsPassedOver: and dev says so.
func TestTakenPortIsPassedOver(t *testing.T) {
	taken, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	port := taken.Addr().(*net.TCPAddr).Port
	l, err := listenLoopback(port)
	if err != nil {
		t.Fatal(err)
	}
	for _, listener := range l.listeners {
		if !listener.Addr().(*net.TCPAddr).IP.IsLoopback() {
			t.Errorf("listens on %v", listener.Addr())
		}
		defer listener.Close()
	}
	if !l.moved || l.port == port {
		t.Errorf("got port %d moved %v", l.port, l.moved)
	}
	var said strings.Builder
	d := &devCmd{Port: port, DemoPort: 5000}
	info := &devInfo{Users: []devUser{{Login: "mina", RecoveryCodes: []string{"x"}}, {Login: "joon"}}}
	if err := d.announce(&said, info, l, &loopback{port: 5000}); err != nil || !strings.Contains(said.String(), fmt.Sprintf("Port %d is taken", port)) {
		t.Errorf("got %v\n%s", err, said.String())
	}
}

// TestDevTakesNothingAway: a directory with something in it is left as it is.
func TestDevTakesNothingAway(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	dir := t.TempDir()
	path := filepath.Join(dir, "sallyport.db")
	if err := os.WriteFile(path, []byte("somebody's"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := (&devCmd{Dir: dir, Output: "json"}).run(t.Context(), io.Discard); err == nil || !strings.Contains(err.Error(), "not empty") {
		t.Errorf("got %v, want a refusal", err)
	}
	if kept, err := os.ReadFile(path); err != nil || string(kept) != "somebody's" {
		t.Errorf("got %q %v, want the file as it was", kept, err)
	}
}
