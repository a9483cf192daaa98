package sallyport_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sallyport-id/sallyport"
	"github.com/sallyport-id/sallyport/internal/oidc"
)

// logged is everything that a server has logged, as JSON lines.
type logged struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *logged) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// newLoggedRig is a rig that logs all it can.
func newLoggedRig(t *testing.T, change ...func(*sallyport.Config)) (*rig, *logged) {
	t.Helper()
	l := &logged{}
	return newRig(t, append(change, func(c *sallyport.Config) {
		c.Log = slog.New(slog.NewJSONHandler(l, &slog.HandlerOptions{Level: slog.LevelDebug}))
	})...), l
}

// direct calls the handler without a socket: when an answer is there, so is its
// record. It keeps what passes for whoever looks for secrets.
type direct struct {
	http.Handler
	seen func(*http.Request, *http.Response)
}

// RoundTrip implements http.RoundTripper.
func (d direct) RoundTrip(req *http.Request) (*http.Response, error) {
	in := req.Clone(req.Context())
	in.RequestURI, in.RemoteAddr, in.Host = req.URL.RequestURI(), "192.0.2.7:4711", req.URL.Host
	if in.Body == nil {
		in.Body = http.NoBody
	}
	w := httptest.NewRecorder()
	d.ServeHTTP(w, in)
	resp := w.Result()
	resp.Request = req
	if d.seen != nil {
		d.seen(req, resp)
	}
	return resp, nil
}

func (r *rig) directBrowser(seen func(*http.Request, *http.Response)) *browser {
	b := r.browser()
	b.http.Transport = direct{r.Server, seen}
	return b
}

// record is a request's record, in the order of the document.
type record struct {
	Time    time.Time `json:"time"`
	Level   string    `json:"level"`
	Msg     string    `json:"msg"`
	Request string    `json:"request"`
	Method  string    `json:"method"`
	Route   string    `json:"route"`
	Status  int       `json:"status"`
	TookMS  float64   `json:"took_ms"`
	Bytes   int64     `json:"bytes"`
	Address string    `json:"address"`
	Client  string    `json:"client_id"`
	Step    string    `json:"step"`
	Action  string    `json:"action"`
	Next    string    `json:"next"`
	Reason  string    `json:"reason"`
}

// records are those since the last call; everything in the log must be one.
func (l *logged) records(t *testing.T) (list []record) {
	t.Helper()
	for line := range strings.Lines(l.String()) {
		var r record
		d := json.NewDecoder(strings.NewReader(line))
		d.DisallowUnknownFields()
		if err := d.Decode(&r); err != nil || r.Msg != "request" {
			t.Errorf("not the record of a request: %s %v", line, err)
		}
		if r.Time.IsZero() || r.Level != "INFO" || r.Request == "" || r.Address == "" || r.TookMS < 0 {
			t.Errorf("a field is missing: %s", line)
		}
		list = append(list, r)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.text.Reset()
	return list
}

func (r record) String() string {
	line := fmt.Sprintf("%s %s %d", r.Method, r.Route, r.Status)
	for _, f := range []struct{ name, value string }{{"client_id", r.Client}, {"step", r.Step}, {"action", r.Action}, {"next", r.Next}, {"reason", r.Reason}} {
		if f.value != "" {
			line += " " + f.name + "=" + f.value
		}
	}
	return line
}

// TestRequestRecords walks through sign-ins with wrong answers: each request
// leaves one record, which says what was asked, what was answered and why.
func TestRequestRecords(t *testing.T) {
	t.Parallel()
	r, log := newLoggedRig(t)
	log.records(t)
	var got bytes.Buffer
	step := func(what string, do func()) {
		t.Helper()
		do()
		fmt.Fprintf(&got, "# %s\n", what)
		for _, line := range log.records(t) {
			fmt.Fprintln(&got, line)
		}
		fmt.Fprintln(&got)
	}
	requests := 0
	b := r.directBrowser(func(*http.Request, *http.Response) { requests++ })
	token := func(auth string, form url.Values) {
		req := r.formRequest(auth, form.Encode())
		if auth == "" {
			req.Header.Del("Authorization")
		}
		r.serve(req)
	}
	var v *view
	used := ""
	step("begin", func() { v = b.authorize("asks") })
	step("nothing, then a wrong password", func() {
		b.answer(v, "password", "username", "mina", "password", "")
		b.answer(v, "password", "username", "mina", "password", "wrong")
	})
	step("the right one", func() { v = b.answer(v, "password", "username", "mina", "password", r.mina.password) })
	step("a wrong code, and a form of before", func() {
		stale := v.fields("totp")
		stale.Set("version", "0")
		b.answer(v, "totp", "code", "000000")
		b.post(v.page()+"/totp", stale)
	})
	step("the right one, and consent", func() {
		used = r.code(r.mina.totp, 0)
		v = b.answer(v, "totp", "code", used).mustStep("consent", 200)
		v = b.answer(v, "consent", "decision", "allow")
	})
	code := v.mustCode()
	redeem := url.Values{"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {callback}, "code_verifier": {verifier}}
	step("the code, without its verifier, right, and again", func() {
		token("asks", url.Values{"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {callback}})
		token("asks", redeem)
		token("asks", redeem)
	})
	step("clients that are not who they say", func() {
		token("nobody", redeem)
		token("", url.Values{"grant_type": {"refresh_token"}, "refresh_token": {"x"}, "client_id": {"web"}})
		token("tutorial", url.Values{"grant_type": {"refresh_token"}, "refresh_token": {"x"}})
	})
	step("userinfo", func() {
		r.serve(httptest.NewRequest("GET", "/userinfo", nil))
		req := httptest.NewRequest("GET", "/userinfo", nil)
		req.Header.Set("Authorization", "Bearer nonsense")
		r.serve(req)
	})
	step("a used code, and a recovery code", func() {
		other := r.directBrowser(nil)
		v = other.answer(other.authorize("web"), "password", "username", "mina", "password", r.mina.password)
		other.answer(v, "totp", "code", used)
		other.recover(v, r.mina.recovery[0])
	})
	step("enrolment", func() {
		b = r.directBrowser(nil)
		v = b.answer(b.authorize("web"), "password", "username", "joon", "password", r.joon.password)
		v = b.app(v)
		secret := shownKey(t, v)
		b.answer(v, "enroll", "code", "000000")
		v = b.answer(v, "enroll", "code", r.code(secret, 0))
		b.answer(v, "saved")
		b.answer(v, "saved", "saved", "1")
	})
	step("a session that is there, another user, and cancel", func() {
		b.authorize("web")
		v = b.authorize("web", "prompt", "login")
		v = b.answer(v, "switch")
		b.answer(v, "cancel")
	})
	step("an invitation, with two passwords that differ", func() {
		in := r.invite("sora")
		b := r.directBrowser(nil)
		b.typePassword(b.get(in.path), "password", in.password, "again", "another")
		b.setUp(in)
		b.get(in.path)
	})
	step("requests that are refused", func() {
		r.directBrowser(nil).authorize("web", "prompt", "none")
		r.directBrowser(nil).authorize("nobody")
		b.authorize("web", "redirect_uri", "https://evil.example/")
		r.directBrowser(nil).get("/interaction/none")
		b.get("/no/such/path?secret=1")
		r.serve(httptest.NewRequest("BREW", "/token", nil))
		cross := httptest.NewRequest("POST", "/interaction/x/password", nil)
		cross.Header.Set("Sec-Fetch-Site", "cross-site")
		r.serve(cross)
		elsewhere := httptest.NewRequest("GET", "/", nil)
		elsewhere.Host = "evil.example"
		r.Server.ServeHTTP(httptest.NewRecorder(), elsewhere)
	})
	step("too many", func() {
		var v *view
		other := r.directBrowser(nil)
		v = other.authorize("web")
		for range 6 {
			other.answer(v, "password", "username", "mina", "password", "wrong")
		}
	})
	golden(t, "records.txt", got.Bytes())
	if requests == 0 {
		t.Error("nothing passed")
	}
}

// TestLogsKeepSecrets: nothing that is secret in a complete run, and no id of a
// path, is in the log or in the metrics, whatever the level (rule 30).
func TestLogsKeepSecrets(t *testing.T) {
	t.Parallel()
	r, log := newLoggedRig(t)
	secrets := map[string]string{}
	keep := func(what, value string) {
		if len(value) >= 6 {
			secrets[value] = what
		}
	}
	ids := regexp.MustCompile(`/interaction/([^/?]+)`)
	b := r.directBrowser(func(req *http.Request, resp *http.Response) {
		for _, c := range resp.Cookies() {
			keep("cookie "+c.Name, c.Value)
		}
		for _, at := range []string{req.URL.String(), resp.Header.Get("Location")} {
			if m := ids.FindStringSubmatch(at); m != nil {
				keep("interaction", m[1])
			}
			if u, err := url.Parse(at); err == nil && u.RawQuery != "" {
				keep("query", u.RawQuery)
				keep("code", u.Query().Get("code"))
			}
		}
	})
	post := func(client string, form url.Values) tokens {
		var got tokens
		_ = json.Unmarshal(r.serve(r.formRequest(client, form.Encode())).Body.Bytes(), &got)
		for name, value := range map[string]string{"access token": got.Access, "refresh token": got.Refresh, "ID token": got.ID} {
			keep(name, value)
		}
		return got
	}
	for name, secret := range r.secret {
		keep("secret of client "+name, secret)
	}
	for _, p := range []person{r.mina, r.joon} {
		keep("login", p.login+"@example.com")
		keep("password", p.password)
		for _, code := range p.recovery {
			keep("recovery code", code)
		}
	}
	typo := "hunter2-in-the-wrong-field"
	keep("password typed as a login", typo)
	v := b.authorize("asks", "state", "state-of-the-client", "nonce", "nonce-of-the-client", "login_hint", "mina@example.com")
	keep("state", "state-of-the-client")
	keep("nonce", "nonce-of-the-client")
	keep("csrf", v.fields("password").Get("csrf"))
	b.answer(v, "password", "username", typo, "password", typo)
	v = b.answer(v, "password", "username", "mina", "password", r.mina.password)
	keep("wrong code", "918273")
	b.answer(v, "totp", "code", "918273")
	code := r.code(r.mina.totp, 0)
	keep("TOTP code", code)
	v = b.answer(v, "totp", "code", code)
	v = b.answer(v, "consent", "decision", "allow")
	got := post("asks", url.Values{"grant_type": {"authorization_code"}, "code": {v.mustCode()}, "redirect_uri": {callback}, "code_verifier": {verifier}})
	keep("code verifier", verifier)
	post("asks", url.Values{"grant_type": {"refresh_token"}, "refresh_token": {got.Refresh}})
	post("asks", url.Values{"grant_type": {"refresh_token"}, "refresh_token": {"rt_nearly.the-right-one"}})
	keep("wrong refresh token", "the-right-one")
	post("not-a-client-but-a-secret", url.Values{"grant_type": {"refresh_token"}, "refresh_token": {"x"}})
	keep("client id that is none", "not-a-client-but-a-secret")
	userinfo := httptest.NewRequest("GET", "/userinfo", nil)
	userinfo.Header.Set("Authorization", "Bearer "+got.Access)
	r.serve(userinfo)
	joon := r.directBrowser(nil)
	v = joon.app(joon.answer(joon.authorize("web"), "password", "username", "joon", "password", r.joon.password))
	keep("TOTP secret", strings.ReplaceAll(keyOnPage.FindString(v.body), " ", ""))
	v = joon.answer(v, "enroll", "code", r.code(shownKey(t, v), 0)).mustStep("save_codes", 200)
	for _, code := range recoveryCodeOnPage.FindAllString(v.body, -1) {
		keep("recovery code", code)
	}
	b.get("/end_session?id_token_hint=" + got.ID)
	in := r.invite("sora")
	_, secret, _ := strings.Cut(in.path, ".")
	keep("link", secret)
	keep("password", in.password)
	invitedBrowser := r.directBrowser(nil)
	invitedBrowser.get("/x" + in.path + "?" + secret)
	invitedBrowser.setUp(in)
	b.get("/reset/a-link-that-is-secret?token=also-secret-here")
	keep("link", "a-link-that-is-secret")
	keep("link", "also-secret-here")
	b.authorize("web", "id_token_hint", "not.an.idtoken-but-secret")
	keep("hint", "idtoken-but-secret")
	v = r.directBrowser(nil).authorize("web", "scope", oidc.ScopeOpenID)
	page := v.page()
	if err := r.Server.Close(); err != nil { // from here on every request fails
		t.Fatal(err)
	}
	b.get(page)
	post("asks", url.Values{"grant_type": {"refresh_token"}, "refresh_token": {got.Refresh}})

	w := httptest.NewRecorder()
	r.Metrics().ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	text := log.String()
	if !strings.Contains(text, "request failed") || !strings.Contains(text, `"reason":"credentials"`) {
		t.Fatalf("the log is not what was meant to be looked through:\n%s", text)
	}
	kinds := map[string]bool{}
	for secret, what := range secrets {
		kinds[what] = true
		for where, text := range map[string]string{"the log": text, "the metrics": w.Body.String()} {
			for _, form := range []string{secret, url.QueryEscape(secret)} {
				if i := strings.Index(text, form); i >= 0 {
					t.Errorf("%s is in %s: …%s…", what, where, text[max(0, i-200):min(len(text), i+80)])
				}
			}
		}
	}
	for _, what := range []string{"interaction", "code", "csrf", "TOTP secret", "recovery code", "access token", "ID token", "cookie sallyport-session", "cookie sallyport-browser", "cookie sallyport-known"} {
		if !kinds[what] {
			t.Errorf("no %s was looked for", what)
		}
	}
}
