package sallyport_test

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"html"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sallyport-id/sallyport"
	"github.com/sallyport-id/sallyport/internal/admin"
	"github.com/sallyport-id/sallyport/internal/authn"
	"github.com/sallyport-id/sallyport/internal/oidc"
	"github.com/sallyport-id/sallyport/internal/store/sqlstore"
	"github.com/sallyport-id/sallyport/internal/store/storetest"
)

// rig is a server on a socket, with two users and a few clients.
type rig struct {
	*sallyport.Server
	t      testing.TB
	issuer string
	clock  *clock
	mina   person
	joon   person
	secret map[string]string // of clients
}

type person struct {
	id, login, password string
	totp                []byte
	recovery            []string
}

// clock is the server's; tests move it while the server looks at it.
type clock struct{ ahead atomic.Int64 }

func (c *clock) Now() time.Time { return time.Now().Add(time.Duration(c.ahead.Load())) }

func (c *clock) advance(d time.Duration) { c.ahead.Add(int64(d)) }

const callback = "http://localhost:5999/callback"

// onPostgres runs every test that has a rig on PostgreSQL.
var onPostgres = flag.Bool("postgres", false, "run the servers of the tests on the PostgreSQL database that SALLYPORT_TEST_POSTGRES names, not on SQLite")

// newDatabase is an empty database, gone after the test.
func newDatabase(t testing.TB) string {
	t.Helper()
	if !*onPostgres {
		path := filepath.Join(t.TempDir(), "test.db")
		if err := os.WriteFile(path, emptyDatabase(), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	return storetest.FindPostgres(t, 1).Schema(t)
}

// emptyDatabase is a file with the tables and nothing in them: to make them takes
// longer than most tests.
var emptyDatabase = sync.OnceValue(func() []byte {
	dir, err := os.MkdirTemp("", "sallyport-empty")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "empty.db")
	db, err := sqlstore.Open(context.Background(), sqlstore.Config{Path: path})
	if err != nil {
		panic(err)
	}
	if err := db.Close(); err != nil {
		panic(err)
	}
	body, err := os.ReadFile(path)
	if err != nil {
		panic(err)
	}
	return body
})

func newRig(t testing.TB, change ...func(*sallyport.Config)) *rig {
	t.Helper()
	r := emptyRig(t, change...)
	r.populate(t.Context())
	return r
}

// emptyRig is one with nobody in it.
func emptyRig(t testing.TB, change ...func(*sallyport.Config)) *rig {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{t: t, clock: &clock{}, secret: map[string]string{}, issuer: fmt.Sprintf("http://localhost:%d", listener.Addr().(*net.TCPAddr).Port)}
	config := sallyport.Config{
		Issuer: r.issuer, Database: newDatabase(t), MasterKey: make([]byte, 32),
		Log: slog.New(slog.NewTextHandler(testLog{t}, &slog.HandlerOptions{Level: slog.LevelWarn})), Now: r.clock.Now,
		InsecureNoLimits: true, Enrollment: sallyport.EnrollByPassword,
	}
	sallyport.HashCheaply(&config)
	for _, c := range change {
		c(&config)
	}
	if r.Server, err = sallyport.New(t.Context(), config); err != nil {
		t.Fatal(err)
	}
	web := &httptest.Server{Listener: listener, Config: &http.Server{Handler: r.Server}}
	web.Start()
	t.Cleanup(func() {
		web.Close()
		if err := r.Server.Close(); err != nil {
			t.Error(err)
		}
	})
	return r
}

type testLog struct{ t testing.TB }

func (l testLog) Write(b []byte) (int, error) {
	l.t.Logf("%s", b)
	return len(b), nil
}

func (r *rig) populate(ctx context.Context) {
	r.mina = r.addPerson(ctx, "mina", true)
	r.joon = r.addPerson(ctx, "joon", false)
	r.addClient(ctx, admin.Web("web", "Shop", callback))
	r.addClient(ctx, admin.Tutorial("tutorial", "Tutorial", callback))
	asks := admin.Web("asks", "Asks", callback)
	asks.SkipConsent = false
	r.addClient(ctx, asks)
	spa := admin.Web("spa", "SPA", callback)
	spa.AuthMethod, spa.IDTokenAlg = oidc.AuthNone, "ES256"
	r.addClient(ctx, spa)
	eddsa := admin.Web("eddsa", "EdDSA", callback)
	eddsa.IDTokenAlg, eddsa.AuthMethod = "EdDSA", oidc.AuthPost
	eddsa.PostLogoutRedirectURIs = []string{"http://localhost:5999/bye"}
	r.addClient(ctx, eddsa)
	r.addAPIs(ctx)
}

const (
	orders  = "https://orders.example.com/"
	billing = "https://billing.example.com/"
)

// addAPIs registers two APIs; a program that may read one; an application, which
// asks, that may use both; and the APIs' own clients.
func (r *rig) addAPIs(ctx context.Context) {
	for uri, scopes := range map[string][]string{orders: {"orders:read", "orders:write"}, billing: {"bills:read"}} {
		if err := r.Admin().AddResource(ctx, &oidc.Resource{URI: uri, Name: uri, Scopes: scopes}); err != nil {
			r.t.Fatal(err)
		}
	}
	worker := admin.Machine("worker", "Worker")
	r.must(r.Admin().Allow(ctx, worker, orders, "orders:read"))
	r.addClient(ctx, worker)
	shop := admin.Web("portal", "Portal", callback)
	shop.SkipConsent = false
	r.must(r.Admin().Allow(ctx, shop, orders))
	r.must(r.Admin().Allow(ctx, shop, billing))
	r.addClient(ctx, shop)
	for id, uri := range map[string]string{"orders": orders, "billing": billing} {
		c := admin.Machine(id, id)
		r.must(r.Admin().AllowIntrospection(ctx, c, uri))
		r.addClient(ctx, c)
	}
}

func (r *rig) must(err error) {
	r.t.Helper()
	if err != nil {
		r.t.Fatal(err)
	}
}

func (r *rig) addPerson(ctx context.Context, login string, totp bool) person {
	p := person{login: login, password: "correct horse " + login + " battery"}
	u, err := r.Admin().AddUser(ctx, admin.NewUser{Login: login, Name: strings.ToUpper(login), Email: login + "@example.com", Password: p.password})
	if err != nil {
		r.t.Fatal(err)
	}
	p.id = u.ID
	if totp {
		if p.totp, p.recovery, err = r.Admin().AddTOTP(ctx, u.ID); err != nil {
			r.t.Fatal(err)
		}
	}
	return p
}

func (r *rig) addClient(ctx context.Context, c *oidc.Client) {
	secret, err := r.Admin().AddClient(ctx, c)
	if err != nil {
		r.t.Fatal(err)
	}
	r.secret[c.ID] = secret
}

// code is the user's TOTP code, so many steps from now.
func (r *rig) code(secret []byte, steps int64) string {
	return authn.TOTPCode(secret, r.clock.Now().Unix()/30+steps, 6)
}

// browser is a person's browser: it keeps cookies and follows redirects on the
// server, and stops at what leads elsewhere.
type browser struct {
	*rig
	http *http.Client
}

func (r *rig) browser() *browser {
	jar, err := cookiejar.New(nil)
	if err != nil {
		r.t.Fatal(err)
	}
	return &browser{rig: r, http: &http.Client{Jar: jar, CheckRedirect: func(req *http.Request, via []*http.Request) error {
		if len(via) > 20 {
			return errors.New("redirected in a circle")
		}
		if !strings.HasPrefix(req.URL.String(), r.issuer+"/") {
			return http.ErrUseLastResponse
		}
		return nil
	}}}
}

// view is what a browser shows, or where it was sent.
type view struct {
	t        testing.TB
	status   int
	path     string // of the page
	body     string
	location *url.URL // to the client, nil if a page is shown
	header   http.Header
}

func (b *browser) do(req *http.Request) *view {
	b.t.Helper()
	resp, err := b.http.Do(req)
	if err != nil {
		b.t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	v := &view{t: b.t, status: resp.StatusCode, path: resp.Request.URL.Path, body: string(body), header: resp.Header}
	if to := resp.Header.Get("Location"); to != "" {
		if v.location, err = url.Parse(to); err != nil {
			b.t.Fatal(err)
		}
	}
	return v
}

func (b *browser) get(path string) *view {
	b.t.Helper()
	req, err := http.NewRequest("GET", b.issuer+path, nil)
	if err != nil {
		b.t.Fatal(err)
	}
	req.Header.Set("Accept-Language", "en")
	return b.do(req)
}

func (b *browser) post(path string, form url.Values) *view {
	b.t.Helper()
	req, err := http.NewRequest("POST", b.issuer+path, strings.NewReader(form.Encode()))
	if err != nil {
		b.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Origin", b.issuer)
	req.Header.Set("Sec-Fetch-Site", "same-origin")
	return b.do(req)
}

const (
	verifier  = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk" // RFC 7636 App. B
	challenge = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
)

// authorizeQuery is a client's request, with pairs of names and values in the place of
// its own.
func authorizeQuery(client string, extra ...string) url.Values {
	q := url.Values{"response_type": {"code"}, "client_id": {client}, "redirect_uri": {callback}, "state": {"st"},
		"scope": {"openid profile email"}, "nonce": {"n-1"}, "code_challenge": {challenge}, "code_challenge_method": {"S256"}}
	for i := 0; i < len(extra); i += 2 {
		q.Del(extra[i])
	}
	for i := 0; i < len(extra); i += 2 {
		if extra[i+1] != "" {
			q.Add(extra[i], extra[i+1])
		}
	}
	return q
}

// authorize opens the authorization endpoint as a client's request would.
func (b *browser) authorize(client string, extra ...string) *view {
	b.t.Helper()
	return b.get("/authorize?" + authorizeQuery(client, extra...).Encode())
}

var hiddenField = regexp.MustCompile(`<input type="hidden" name="([a-z]+)" value="([^"]*)"`)

// fields are the hidden fields of the page's first form with the action.
func (v *view) fields(action string) url.Values {
	v.t.Helper()
	_, form, ok := strings.Cut(v.body, `/`+action+`"`)
	if !ok {
		v.t.Fatalf("no form for %s on the page (%d):\n%s", action, v.status, v.body)
	}
	form, _, _ = strings.Cut(form, "</form>")
	fields := url.Values{}
	for _, m := range hiddenField.FindAllStringSubmatch(form, -1) {
		fields.Set(m[1], html.UnescapeString(m[2]))
	}
	return fields
}

// answer posts the page's form with what a person typed.
func (b *browser) answer(v *view, action string, typed ...string) *view {
	b.t.Helper()
	fields := v.fields(action)
	for i := 0; i < len(typed); i += 2 {
		fields.Set(typed[i], typed[i+1])
	}
	return b.post(v.page()+"/"+action, fields)
}

// page is the interaction's path.
func (v *view) page() string {
	return regexp.MustCompile(`^/interaction/[^/]+`).FindString(v.path)
}

// recover tries the other way: a recovery code.
func (b *browser) recover(v *view, code string) *view {
	b.t.Helper()
	return b.answer(b.get(v.page()+"?method=recovery").mustStep("second_factor", 200), "recovery", "code", code)
}

// app chooses, where a first factor is set up, the authenticator app.
func (b *browser) app(v *view) *view {
	b.t.Helper()
	return b.get(v.mustStep("enroll", 200).page()+"?method=totp").mustStep("enroll", 200)
}

func (v *view) step() string {
	m := regexp.MustCompile(`name="step" value="([a-z_]+)"`).FindStringSubmatch(v.body)
	if m == nil {
		return ""
	}
	return m[1]
}

func (v *view) mustStep(want string, status int) *view {
	v.t.Helper()
	if v.step() != want || v.status != status {
		v.t.Fatalf("got step %q status %d (%v), want %q %d\n%s", v.step(), v.status, v.location, want, status, v.body)
	}
	return v
}

// mustCode returns the code that the browser was sent to the client with.
func (v *view) mustCode() string {
	v.t.Helper()
	if v.location == nil || !strings.HasPrefix(v.location.String(), callback) {
		v.t.Fatalf("got status %d, location %v, want a redirect to the client\n%s", v.status, v.location, v.body)
	}
	q := v.location.Query()
	if q.Get("code") == "" || q.Get("iss") == "" {
		v.t.Fatalf("got %v, want a code and iss", v.location)
	}
	return q.Get("code")
}

// mustRefuse checks the error that the client gets.
func (v *view) mustRefuse(code string) {
	v.t.Helper()
	if v.location == nil {
		v.t.Fatalf("got status %d, no redirect, want error %s\n%s", v.status, code, v.body)
	}
	q := v.location.Query()
	if q.Get("error") != code || q.Get("code") != "" || q.Get("iss") == "" {
		v.t.Fatalf("got %v, want error %s", v.location, code)
	}
}

// signIn takes a person who has a TOTP to the code.
func (b *browser) signIn(p person, v *view) *view {
	b.t.Helper()
	v = b.answer(v.mustStep("login", 200), "password", "username", p.login, "password", p.password)
	return b.answer(v.mustStep("second_factor", 200), "totp", "code", b.code(p.totp, 0))
}

// tokens is the token endpoint's answer.
type tokens struct {
	status  int
	Access  string `json:"access_token"`
	Refresh string `json:"refresh_token"`
	ID      string `json:"id_token"`
	Type    string `json:"token_type"`
	Scope   string `json:"scope"`
	Expires int    `json:"expires_in"`
	Error   string `json:"error"`
}

func (r *rig) token(client string, form url.Values) tokens {
	r.t.Helper()
	req, err := http.NewRequest("POST", r.issuer+"/token", strings.NewReader(form.Encode()))
	if err != nil {
		r.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if client != "" {
		req.SetBasicAuth(client, r.secret[client])
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		r.t.Fatal(err)
	}
	defer resp.Body.Close()
	t := tokens{status: resp.StatusCode}
	if err := json.NewDecoder(resp.Body).Decode(&t); err != nil {
		r.t.Fatal(err)
	}
	if resp.Header.Get("Cache-Control") != "no-store" {
		r.t.Errorf("got Cache-Control %q, want no-store", resp.Header.Get("Cache-Control"))
	}
	return t
}

func (r *rig) redeem(client, code string) tokens {
	r.t.Helper()
	return r.token(client, url.Values{"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {callback}, "code_verifier": {verifier}})
}

func (r *rig) userinfo(token string) (int, map[string]any) {
	r.t.Helper()
	req, _ := http.NewRequest("GET", r.issuer+"/userinfo", nil)
	req.Header.Set("Authorization", "Bearer "+token)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		r.t.Fatal(err)
	}
	defer resp.Body.Close()
	claims := map[string]any{}
	_ = json.NewDecoder(resp.Body).Decode(&claims)
	return resp.StatusCode, claims
}
