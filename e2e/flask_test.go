package e2e

import (
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

const (
	flaskDone   = "2FA 인증이 완료되었습니다."
	flaskFailed = "2FA 인증이 실패하였습니다."
)

// authlibs are the Pythons to use, by version of Authlib, from E2E_AUTHLIB
// (version=path,…), which ./test sets.
func authlibs(t *testing.T) map[string]string {
	t.Helper()
	pythons := map[string]string{}
	for entry := range strings.SplitSeq(os.Getenv("E2E_AUTHLIB"), ",") {
		if version, path, ok := strings.Cut(entry, "="); ok {
			pythons[version] = path
		}
	}
	if len(pythons) == 0 {
		leaveOut(t, "E2E_AUTHLIB names no Python with Flask and Authlib; ./test makes one")
	}
	return pythons
}

// forEachAuthlib runs a test with each version, without and with openid.
func forEachAuthlib(t *testing.T, test func(t *testing.T, d *dev, app *flask)) {
	t.Parallel()
	needBrowser(t)
	for version, python := range authlibs(t) {
		for _, scope := range []string{"", "openid"} {
			t.Run(fmt.Sprintf("authlib %s scope=%s", version, scope), func(t *testing.T) {
				t.Parallel()
				port := freePort(t)
				d := startDev(t, "--tutorial-redirect", fmt.Sprintf("http://localhost:%d/callback", port))
				test(t, d, startFlask(t, d, python, scope, port))
			})
		}
	}
}

// flask is our Flask program, running.
type flask struct {
	url, scope, version string
	log                 *lockedBuffer
}

func startFlask(t *testing.T, d *dev, python, scope string, port int) *flask {
	t.Helper()
	app := &flask{url: fmt.Sprintf("http://localhost:%d", port), scope: scope, log: &lockedBuffer{}}
	cmd := exec.Command(python, "../examples/flask/app.py")
	cmd.Env = append(os.Environ(),
		"CLIENT_ID="+d.Tutorial.ClientID, "CLIENT_SECRET="+d.Tutorial.ClientSecret, "SERVER_METADATA_URL="+d.Metadata,
		"REDIRECT_URI="+d.Tutorial.RedirectURI, fmt.Sprintf("PORT=%d", port), "SCOPE="+scope, "SECRET_KEY=only for this test",
		"PYTHONDONTWRITEBYTECODE=1")
	cmd.Stdout, cmd.Stderr = app.log, app.log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("the log of the Flask program:\n%s", app.log)
		}
	})
	for deadline := time.Now().Add(patience); ; time.Sleep(50 * time.Millisecond) {
		resp, err := http.Get(app.url + "/")
		if err == nil {
			resp.Body.Close()
			return app
		}
		if time.Now().After(deadline) {
			t.Fatalf("the Flask program does not answer: %v\n%s", err, app.log)
		}
	}
}

func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// TestFlask: a program that makes Authlib's two calls and asks for nothing else
// ends on its Korean page, after two factors and only then.
func TestFlask(t *testing.T) {
	forEachAuthlib(t, func(t *testing.T, d *dev, app *flask) {
		b := newBrowser(t, "ko-KR")
		b.open(app.url + "/login")
		app.checkRequest(t, d, b)
		b.password("mina", d.user(t, "mina").Password)
		b.mustStep("second_factor")
		if got := d.requests("POST", "/token"); got != 0 {
			t.Errorf("the program got to the token endpoint %d times with a password alone", got)
		}
		b.mustStatus(b.code(d.code(t, "mina")), 200)
		b.mustBeAt(app.url + "/callback")
		b.mustText(flaskDone)
		if app.scope != "" {
			b.mustText("acr: urn:sallyport:acr:2fa, amr: pwd otp mfa")
		}
		if got := d.requests("POST", "/token"); got != 1 {
			t.Errorf("requests to the token endpoint: got %d, want 1", got)
		}
	})
}

// checkRequest compares the authorization request, parameter by parameter.
func (app *flask) checkRequest(t *testing.T, d *dev, b *tab) {
	t.Helper()
	var query url.Values
	for _, r := range b.since(0) {
		if strings.HasPrefix(r, d.Issuer+"/authorize?") {
			query = mustURL(t, r).Query()
		}
	}
	want := map[string]string{"response_type": "code", "client_id": d.Tutorial.ClientID, "redirect_uri": app.url + "/callback", "state": "*"}
	if app.scope != "" {
		want["scope"], want["nonce"] = app.scope, "*"
	}
	if len(query) != len(want) {
		t.Errorf("the request is %v, want exactly %v", query, want)
	}
	for name, value := range want {
		if got := query[name]; len(got) != 1 || got[0] == "" || value != "*" && got[0] != value {
			t.Errorf("%s: got %q, want %q", name, got, value)
		}
	}
}

// TestFlaskEnrollment: a user without a second factor sets one up on the way;
// the program that asked for nothing still gets no token before that.
func TestFlaskEnrollment(t *testing.T) {
	forEachAuthlib(t, func(t *testing.T, d *dev, app *flask) {
		b := newBrowser(t, "ko-KR")
		b.open(app.url + "/login")
		b.password("joon", d.user(t, "joon").Password)
		b.app()
		b.code(totp(t, b.textOf("dd code"), 0))
		b.mustStep("save_codes")
		if got := d.requests("POST", "/token"); got != 0 {
			t.Errorf("the program got to the token endpoint %d times before the codes were saved", got)
		}
		b.do(pressed("[name=saved]"))
		b.mustStatus(b.press("#continue"), 200)
		b.mustBeAt(app.url + "/callback")
		b.mustText(flaskDone)
	})
}

// TestFlaskRefusesSecondFactor: a user who cancels at the second factor gives
// the program no code, no token and no page of success.
func TestFlaskRefusesSecondFactor(t *testing.T) {
	forEachAuthlib(t, func(t *testing.T, d *dev, app *flask) {
		b := newBrowser(t, "ko-KR")
		b.open(app.url + "/login")
		b.password("mina", d.user(t, "mina").Password)
		b.mustStep("second_factor")
		b.mustStatus(b.code(wrong(d.code(t, "mina"))), 422)
		b.mustStatus(b.press("#cancel"), 403)
		b.mustBeAt(app.url + "/callback")
		b.mustText(flaskFailed)
		b.mustText("access_denied")
		query := mustURL(t, b.url()).Query()
		if query.Has("code") || query.Get("error") != "access_denied" {
			t.Errorf("the answer is %v, want an error and no code", query)
		}
		if strings.Contains(b.text(), flaskDone) || d.requests("POST", "/token") != 0 {
			t.Errorf("the program got a token, or says that it did")
		}
	})
}
