package e2e

import (
	"bufio"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestOIDCAgent: Debian's oidc-agent is let in as a device, keeps its refresh token, and
// gives a terminal one access token after another.
func TestOIDCAgent(t *testing.T) {
	t.Parallel()
	needBrowser(t)
	if _, err := exec.LookPath("oidc-agent"); err != nil {
		leaveOut(t, "no oidc-agent found; Debian's package is oidc-agent-cli")
	}
	in := install(t)
	b := newBrowser(t, "en")
	key := in.setUp(b, "sora")
	var made struct {
		Secret string `json:"client_secret"`
	}
	in.decode(&made, "client", "add", "terminal", "--device", "--redirect-uri", "http://localhost:4242", "--output", "json")

	home := t.TempDir()
	if err := os.MkdirAll(filepath.Join(home, ".config", "oidc-agent"), 0o700); err != nil {
		t.Fatal(err)
	}
	socket := filepath.Join(home, "agent")
	run := func(name string, args ...string) *exec.Cmd {
		cmd := exec.Command(name, args...)
		cmd.Env = append(os.Environ(), "HOME="+home, "OIDC_SOCK="+socket, "OIDC_ENCRYPTION_PW=only for this test")
		return cmd
	}
	log := &lockedBuffer{}
	agent := run("oidc-agent", "--console", "--socket-path", socket)
	agent.Stdout, agent.Stderr = log, log
	if err := agent.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = agent.Process.Kill()
		_ = agent.Wait()
		if t.Failed() {
			t.Logf("the agent says:\n%s", log)
		}
	})
	b.waitFor("the agent", func() bool {
		conn, err := net.Dial("unix", socket)
		if err == nil {
			conn.Close()
		}
		return err == nil
	})

	gen := run("oidc-gen", "--issuer", in.issuer, "--cert-path", ca.bundle, "--client-id", "terminal", "--client-secret", made.Secret,
		"--scope", "openid profile offline_access", "--redirect-uri", "http://localhost:4242", "--flow", "device", "--prompt", "none", "--pw-env", "--confirm-default", "sora")
	out, says := io.Pipe()
	gen.Stdout, gen.Stderr = says, says // versions differ in where they say what to do
	if err := gen.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = gen.Process.Kill() })
	var where, code string
	for lines := bufio.NewScanner(io.TeeReader(out, log)); code == ""; {
		if !lines.Scan() {
			t.Fatalf("oidc-gen ends: %v", lines.Err())
		}
		if strings.HasPrefix(lines.Text(), in.issuer) {
			where = lines.Text()
		}
		_, code, _ = strings.Cut(lines.Text(), "enter the code: ")
	}
	ended := make(chan error, 1)
	go func() { _, _ = io.Copy(log, out) }()
	go func() { ended <- gen.Wait() }()
	b.open(where)
	b.fill("#user_code", code)
	b.press("#continue")
	b.password("sora", "quiet lantern otter")
	b.code(totp(t, key, 1))
	b.mustStep("consent")
	b.press("#allow")
	b.mustText("The device is connected")
	select {
	case err := <-ended:
		if err != nil {
			t.Fatalf("oidc-gen: %v", err)
		}
	case <-time.After(patience):
		t.Fatal("oidc-gen still waits")
	}

	token := func(args ...string) string {
		t.Helper()
		cmd := run("oidc-token", append(args, "sora")...)
		cmd.Stderr = log
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("oidc-token: %v", err)
		}
		return strings.TrimSpace(string(out))
	}
	first, second := token(), token("--force-new")
	if first == second {
		t.Error("the agent did not refresh")
	}
	for _, token := range []string{first, second} {
		if got := in.userinfo(token); got != "sora" {
			t.Errorf("a token of the agent is %q's", got)
		}
	}
}

// userinfo is the login that the server tells of an access token.
func (in *installation) userinfo(token string) string {
	in.t.Helper()
	req, err := http.NewRequest("GET", in.issuer+"/userinfo", nil)
	if err != nil {
		in.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		in.t.Fatal(err)
	}
	defer resp.Body.Close()
	var got struct {
		Name string `json:"preferred_username"`
	}
	if err := json.NewDecoder(resp.Body).Decode(&got); err != nil {
		in.t.Fatal(err)
	}
	return got.Name
}
