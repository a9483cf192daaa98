package e2e

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

// installation is a running "sallyport serve", and an application that knows it.
type installation struct {
	t           *testing.T
	issuer, dir string
	log         *lockedBuffer
	callback    string
	secret      string // of the application, "shop"
}

// install makes an installation and serves it over TLS, with further settings as
// environment variables, until the test ends.
func install(t *testing.T, settings ...string) *installation {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	listener.Close()
	_, port, _ := net.SplitHostPort(address)
	in := &installation{t: t, issuer: "https://localhost:" + port, dir: t.TempDir(), log: &lockedBuffer{}}
	shop := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		fmt.Fprint(w, `<!doctype html><html lang="en"><title>Shop</title><link rel="icon" href="data:,"><h1>Shop</h1>`)
	}))
	t.Cleanup(shop.Close)
	in.callback = strings.Replace(shop.URL, "127.0.0.1", "localhost", 1) + "/callback"

	in.sallyport("init", "--dir", in.dir, "--issuer", in.issuer, "--listen", address)
	var client struct {
		Secret string `json:"client_secret"`
	}
	in.decode(&client, "client", "add", "shop", "--redirect-uri", in.callback, "--output", "json")
	in.secret = client.Secret
	serve := exec.Command(command, "serve", "--config", in.config())
	serve.Env = append(append(serve.Environ(), "SALLYPORT_PRIVATE_LISTEN=", "SALLYPORT_TLS_CERTIFICATE_FILE="+ca.cert, "SALLYPORT_TLS_KEY_FILE="+ca.key), settings...)
	serve.Stderr = in.log
	if err := serve.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { in.stop(serve) })
	for deadline := time.Now().Add(patience); ; time.Sleep(50 * time.Millisecond) {
		if resp, err := http.Get(in.issuer + "/jwks.json"); err == nil {
			resp.Body.Close()
			return in
		}
		if time.Now().After(deadline) {
			t.Fatalf("the server does not answer\n%s", in.log)
		}
	}
}

// stop ends the server and reads its log: no error, and no link.
func (in *installation) stop(serve *exec.Cmd) {
	_ = serve.Process.Signal(syscall.SIGTERM)
	if err := serve.Wait(); err != nil {
		in.t.Errorf("serve ended with %v", err)
	}
	for _, bad := range []string{`"level":"ERROR"`, "panic", `"status":500`} {
		if strings.Contains(in.log.String(), bad) {
			in.t.Errorf("the server's log has %s\n%s", bad, in.log)
		}
	}
	if link := regexp.MustCompile(`/(?:invitation|reset)/[0-9a-z]+\.[\w-]+`).FindString(in.log.String()); link != "" {
		in.t.Errorf("the server's log has the link %s", link)
	}
}

func (in *installation) config() string { return filepath.Join(in.dir, "sallyport.yaml") }

// sallyport runs a command to its end, and returns what it printed.
func (in *installation) sallyport(args ...string) []byte {
	in.t.Helper()
	out, err := exec.Command(command, args...).Output()
	if err != nil {
		in.t.Fatalf("%s: %v", args, err)
	}
	return out
}

func (in *installation) decode(into any, args ...string) {
	in.t.Helper()
	out := in.sallyport(append(args, "--config", in.config())...)
	if err := json.Unmarshal(out, into); err != nil {
		in.t.Fatalf("%s: %v", args, err)
	}
}

// link is the invitation that a command prints.
func (in *installation) link(args ...string) string {
	in.t.Helper()
	var printed struct {
		Invitation struct{ URL string }
	}
	in.decode(&printed, append(args, "--output", "json")...)
	if !strings.HasPrefix(printed.Invitation.URL, in.issuer+"/invitation/") {
		in.t.Fatalf("%s: no link", args)
	}
	return printed.Invitation.URL
}

// request is the application's authorization request (RFC 7636 App. B).
func (in *installation) request() string {
	return in.issuer + "/authorize?" + url.Values{
		"client_id": {"shop"}, "redirect_uri": {in.callback}, "response_type": {"code"}, "scope": {"openid"},
		"code_challenge_method": {"S256"}, "code_challenge": {"E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"},
	}.Encode()
}

// mustBeComplete: the application hears of two factors, and of these.
func (in *installation) mustBeComplete(b *tab, amr string) {
	in.t.Helper()
	if acr, got := in.heard(b); acr != "urn:sallyport:acr:2fa" || got != amr {
		in.t.Errorf("the application hears of %s, %s, want two factors, %s", acr, got, amr)
	}
}

// heard is what the application hears of how somebody signed in.
func (in *installation) heard(b *tab) (acr, amr string) {
	in.t.Helper()
	got := in.idToken(b)
	return got.ACR, strings.Join(got.AMR, " ")
}

// idToken are the claims of an ID token that tests read.
type idToken struct {
	ACR      string
	AMR      []string
	AuthTime int64 `json:"auth_time"`
}

// idToken takes the code that the browser came with, and reads what the application
// hears of the sign-in.
func (in *installation) idToken(b *tab) (got idToken) {
	in.t.Helper()
	b.mustBeAt(in.callback)
	form := url.Values{"grant_type": {"authorization_code"}, "code": {mustURL(in.t, b.url()).Query().Get("code")},
		"redirect_uri": {in.callback}, "code_verifier": {"dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"}}
	req, err := http.NewRequest("POST", in.issuer+"/token", strings.NewReader(form.Encode()))
	if err != nil {
		in.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.SetBasicAuth("shop", in.secret)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		in.t.Fatal(err)
	}
	defer resp.Body.Close()
	var tokens struct {
		ID string `json:"id_token"`
	}
	if err := json.NewDecoder(resp.Body).Decode(&tokens); err != nil || strings.Count(tokens.ID, ".") != 2 {
		in.t.Fatalf("the token endpoint answers %d, and no ID token (%v)", resp.StatusCode, err)
	}
	claims, err := base64.RawURLEncoding.DecodeString(strings.Split(tokens.ID, ".")[1])
	if err != nil {
		in.t.Fatal(err)
	}
	if err := json.Unmarshal(claims, &got); err != nil {
		in.t.Fatal(err)
	}
	return got
}

// choose types the new password, twice.
func (b *tab) choose(password string) (status int) {
	b.t.Helper()
	b.mustStep("invitation")
	b.fill("#password", password)
	b.fill("#again", password)
	return b.press("#choose")
}

// save says that the recovery codes are saved.
func (b *tab) save() (status int) {
	b.t.Helper()
	b.mustStep("save_codes")
	b.do(pressed("[name=saved]"))
	return b.press("#continue")
}

// TestInvitation: somebody who was added gets a link, chooses a password, sets up
// an authenticator, saves the recovery codes, and signs in to an application with
// both; after a reset that keeps the password, with a new authenticator. With
// JavaScript and without.
func TestInvitation(t *testing.T) {
	t.Parallel()
	for name, script := range map[string]bool{"with a script": true, "without": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			in := install(t)
			link := in.link("user", "add", "sora")
			b := newBrowser(t, "en")
			if !script {
				b.disableScript()
			}
			b.mustStatus(b.open(link), 200)
			b.mustText(strings.TrimPrefix(in.issuer, "https://"))
			b.mustStatus(b.choose("password1"), 422)
			b.mustText("most common")
			b.mustStatus(b.choose("quiet lantern otter"), 200)
			if strings.Contains(b.url(), "invitation") {
				b.fatalf("the address still is the link's")
			}
			b.app()
			key := b.textOf("dd code")
			b.mustStatus(b.code(totp(t, key, 0)), 200)
			codes := b.recoveryCodes()
			b.mustStatus(b.save(), 200)
			b.mustText("Your account is ready")
			b.mustStatus(b.open(link), 410)

			b.open(in.request())
			b.password("sora", "quiet lantern otter")
			b.mustStep("second_factor")
			b.mustStatus(b.code(totp(t, key, 1)), 200)
			in.mustBeComplete(b, "pwd otp mfa")

			link = in.link("user", "reset", "sora", "--keep-password", "--yes")
			b.open(in.request())
			b.mustStep("login")
			b.mustStatus(b.open(link), 200)
			b.fill("#password", "quiet lantern otter")
			b.mustStatus(b.press("#choose"), 200)
			b.app()
			again := b.textOf("dd code")
			if again == key {
				t.Error("the key after the reset is the one of before")
			}
			b.mustStatus(b.code(totp(t, again, 0)), 200)
			b.mustStatus(b.save(), 200)
			b.open(in.request())
			b.password("sora", "quiet lantern otter")
			b.mustStatus(b.recovery(codes[0]), 422)
			b.press("a[href*=totp]")
			b.mustStatus(b.code(totp(t, again, 1)), 200)
			in.mustBeComplete(b, "pwd otp mfa")
		})
	}
}

// TestInvitationByKeyboard: Tab, typing and Enter are enough, and the focus begins
// where one types.
func TestInvitationByKeyboard(t *testing.T) {
	t.Parallel()
	in := install(t)
	b := newBrowser(t, "ko")
	b.open(in.link("user", "add", "sora"))
	if got := b.focused(); got != "password" {
		b.fatalf("the focus begins at %q, want the password", got)
	}
	b.do(key("quiet lantern otter"))
	b.tabTo("again")
	b.do(key("quiet lantern otter"))
	b.tabTo("choose")
	b.load(key("\r"))
	b.app()
	secret := b.textOf("dd code")
	b.tabTo("code")
	b.load(key(totp(t, secret, 0)))
	b.mustStep("save_codes")
	b.tabTo("saved")
	b.do(key(" "))
	b.tabTo("continue")
	b.load(key("\r"))
	b.mustText("계정이 준비되었습니다")
}
