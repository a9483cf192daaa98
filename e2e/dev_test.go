package e2e

import (
	"bufio"
	"bytes"
	"crypto/hmac"
	"crypto/sha1"
	"encoding/base32"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"net/url"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// dev is a running "sallyport dev", described by the line that it prints.
type dev struct {
	Issuer, Demo, Metadata, Dir, Examples string
	Users                                 []user
	Tutorial                              struct {
		ClientID     string `json:"client_id"`
		ClientSecret string `json:"client_secret"`
		RedirectURI  string `json:"redirect_uri"`
	}
	log *lockedBuffer
}

type user struct {
	Login, Name, Password string
	TOTP                  bool
	RecoveryCodes         []string `json:"recovery_codes"`
}

// startDev starts a server on free ports, which ends with the test.
func startDev(t *testing.T, args ...string) *dev {
	t.Helper()
	args = append([]string{"dev", "--verbose", "--port", "0", "--demo-port", "0", "--output", "json", "--dir", t.TempDir()}, args...)
	cmd := exec.Command(command, args...)
	d := &dev{log: &lockedBuffer{}}
	cmd.Stderr = d.log
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.stop(t, cmd) })
	line, err := bufio.NewReader(stdout).ReadBytes('\n')
	if err != nil {
		t.Fatalf("dev printed no line: %v\n%s", err, d.log)
	}
	if err := json.Unmarshal(line, d); err != nil {
		t.Fatalf("dev printed %q: %v", line, err)
	}
	return d
}

// stop ends the server as Ctrl-C does, and reads its log: no error, no secret.
func (d *dev) stop(t *testing.T, cmd *exec.Cmd) {
	_ = cmd.Process.Signal(syscall.SIGTERM)
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	select {
	case err := <-ended:
		if err != nil {
			t.Errorf("dev ended with %v", err)
		}
	case <-time.After(15 * time.Second):
		_ = cmd.Process.Kill()
		t.Errorf("dev did not end within 15 s of SIGTERM")
	}
	log := d.log.String()
	for _, bad := range []string{"level=ERROR", "level=WARN", "panic", "status=500"} {
		if strings.Contains(log, bad) {
			t.Errorf("the server's log has %q", bad)
		}
	}
	for _, secret := range d.secrets() {
		if strings.Contains(log, secret) {
			t.Errorf("the server's log has the secret %q", secret)
		}
	}
	if t.Failed() {
		t.Logf("the server's log:\n%s", log)
	}
}

func (d *dev) secrets() []string {
	list := []string{d.Tutorial.ClientSecret}
	for _, u := range d.Users {
		list = append(append(list, u.Password), u.RecoveryCodes...)
	}
	return list
}

func (d *dev) user(t *testing.T, login string) user {
	t.Helper()
	for _, u := range d.Users {
		if u.Login == login {
			return u
		}
	}
	t.Fatalf("dev has no user %q", login)
	return user{}
}

// code is what "sallyport dev code" prints.
func (d *dev) code(t *testing.T, login string, flags ...string) string {
	t.Helper()
	var stderr bytes.Buffer
	cmd := exec.Command(command, append([]string{"dev", "code", login, "--dir", d.Dir}, flags...)...)
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("dev code: %v\n%s", err, &stderr)
	}
	return strings.TrimSpace(string(out))
}

// requests counts the requests to a route in the server's log.
func (d *dev) requests(method, route string) int {
	return strings.Count(d.log.String(), "method="+method+" route="+route+" ")
}

// totp is the code of a key as a page shows it, so many steps from now: the
// test's own reading of RFC 6238 with SHA-1, 30 seconds and six digits.
func totp(t *testing.T, key string, steps int64) string {
	t.Helper()
	secret, err := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(strings.Join(strings.Fields(key), ""))
	if err != nil || len(secret) < 16 {
		t.Fatalf("the page shows the key %q: %v", key, err)
	}
	mac := hmac.New(sha1.New, secret)
	_ = binary.Write(mac, binary.BigEndian, time.Now().Unix()/30+steps)
	sum := mac.Sum(nil)
	from := sum[len(sum)-1] & 15
	return fmt.Sprintf("%06d", binary.BigEndian.Uint32(sum[from:from+4])&0x7fffffff%1_000_000)
}

// wrong is a code that is not that code.
func wrong(code string) string {
	last := (code[len(code)-1]-'0'+5)%10 + '0'
	return code[:len(code)-1] + string(last)
}

func mustURL(t *testing.T, s string) *url.URL {
	t.Helper()
	u, err := url.Parse(s)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// lockedBuffer is a buffer that a process writes while a test reads.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
