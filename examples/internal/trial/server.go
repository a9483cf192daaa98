// Package trial is for the tests of the examples: a server as "sallyport dev" starts
// it, and a person who reads pages and fills in forms.
package trial

import (
	"bufio"
	"bytes"
	"encoding/json"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
)

// Server is a running "sallyport dev", described by the line that it prints.
type Server struct {
	t        *testing.T
	Issuer   string
	Dir      string
	Examples string // the file of environment variables
	Users    []struct{ Login, Name, Password string }
	Tutorial struct {
		RedirectURI string `json:"redirect_uri"`
	}

	codes int // that were asked for
}

// root is the directory of the repository.
func root() string {
	_, file, _, _ := runtime.Caller(0)
	return filepath.Join(filepath.Dir(file), "../../..")
}

var command string // the path of the sallyport command: SALLYPORT, or built for the run

// Main builds the command and runs the tests.
func Main(m *testing.M) {
	os.Exit(func() int {
		if command = os.Getenv("SALLYPORT"); command != "" {
			return m.Run()
		}
		dir, err := os.MkdirTemp("", "sallyport-examples-")
		if err != nil {
			panic(err)
		}
		defer os.RemoveAll(dir)
		command = filepath.Join(dir, "sallyport")
		build := exec.Command("go", "build", "-o", command, "./cmd/sallyport")
		build.Dir, build.Stderr = root(), os.Stderr
		if err := build.Run(); err != nil {
			panic(err)
		}
		return m.Run()
	}())
}

// Start starts a server, which ends with the test, and sets the environment that it
// tells its programs to have.
func Start(t *testing.T, args ...string) *Server {
	t.Helper()
	cmd := exec.Command(command, append([]string{"dev", "--port", "0", "--demo-port", "0", "--output", "json", "--dir", t.TempDir()}, args...)...)
	var log bytes.Buffer
	cmd.Stderr = &log
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		if err := cmd.Wait(); err != nil {
			t.Errorf("the server ended with %v", err)
		}
		for line := range strings.Lines(log.String()) {
			if !strings.Contains(line, "logout not delivered") { // the program has ended before it
				t.Errorf("the server says: %s", line)
			}
		}
	})
	s := &Server{t: t}
	line, err := bufio.NewReader(stdout).ReadBytes('\n')
	if err == nil {
		err = json.Unmarshal(line, s)
	}
	if err != nil {
		t.Fatalf("dev printed %q: %v", line, err)
	}
	env, err := os.ReadFile(s.Examples)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(env)) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		t.Setenv(name, value)
	}
	return s
}

// code is a code of mina's authenticator that was not used yet.
func (s *Server) code() string {
	s.t.Helper()
	args := [][]string{{}, {"--next"}}
	if s.codes == len(args) {
		s.t.Fatal("mina has no third code within a minute")
	}
	out, err := exec.Command(command, append([]string{"dev", "code", "mina", "--dir", s.Dir}, args[s.codes]...)...).Output()
	if err != nil {
		s.t.Fatal(err)
	}
	s.codes++
	return strings.TrimSpace(string(out))
}

// Listen is a port of this machine for a program, and its URL.
func Listen(t *testing.T) (l net.Listener, url string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(l.Addr().String())
	return l, "http://localhost:" + port
}

// Serve serves a program until the test ends.
func Serve(t *testing.T, l net.Listener, h http.Handler) {
	server := &http.Server{Handler: h}
	go func() { _ = server.Serve(l) }()
	t.Cleanup(func() { _ = server.Close() })
}
