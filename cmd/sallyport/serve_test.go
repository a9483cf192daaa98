package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sallyport-id/sallyport"
	"github.com/sallyport-id/sallyport/internal/store/sqlstore"
)

// lockedBuffer is a log that is read while it is written.
type lockedBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

// freeAddress is a loopback address that nobody listens on.
func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// installed makes an installation on free ports.
func installed(t *testing.T) (s settings, config string) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "sallyport")
	address := freeAddress(t)
	if err := (&initCmd{Dir: dir, Issuer: "http://" + address, Listen: address, Database: "sallyport.db"}).run(t.Context(), io.Discard); err != nil {
		t.Fatal(err)
	}
	config = filepath.Join(dir, "sallyport.yaml")
	s, _, err := loadSettings(config, environment("SALLYPORT_PRIVATE_LISTEN", freeAddress(t)))
	if err != nil {
		t.Fatal(err)
	}
	return s, config
}

// serving runs serve until stop is called, and then returns its error.
func serving(t *testing.T, s settings, log io.Writer) (stop func() error) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- serve(ctx, s, log) }()
	stop = sync.OnceValue(func() error { cancel(); return <-ended })
	t.Cleanup(func() {
		if err := stop(); err != nil {
			t.Errorf("serve: %v", err)
		}
	})
	for range 500 {
		if status, _ := visit(t, http.DefaultClient, "http://"+s.PrivateListen+"/readyz"); status == http.StatusOK {
			return stop
		}
		select {
		case err := <-ended:
			ended <- err
			t.Fatalf("serve ended: %v", err)
		case <-time.After(10 * time.Millisecond):
		}
	}
	t.Fatal("serve does not become ready")
	return nil
}

// visit returns status 0 if nobody answers.
func visit(t *testing.T, c *http.Client, url string) (status int, body string) {
	t.Helper()
	resp, err := c.Get(url)
	if err != nil {
		return 0, err.Error()
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(text)
}

// TestInitThenServe: the two commands of a first installation.
func TestInitThenServe(t *testing.T) {
	t.Parallel()
	s, config := installed(t)
	var log lockedBuffer
	stop := serving(t, s, &log)
	status, body := visit(t, http.DefaultClient, s.Issuer+"/.well-known/openid-configuration")
	if status != http.StatusOK || !strings.Contains(body, `"issuer":"`+s.Issuer+`"`) {
		t.Errorf("discovery: got %d %s", status, body)
	}
	if status, body = visit(t, http.DefaultClient, "http://"+s.PrivateListen+"/livez"); status != http.StatusOK || body != "ok\n" {
		t.Errorf("livez: got %d %q", status, body)
	}
	if status, _ = visit(t, http.DefaultClient, s.Issuer+"/readyz"); status != http.StatusNotFound {
		t.Errorf("readyz on the public listener: got %d, want 404", status)
	}
	if err := stop(); err != nil {
		t.Errorf("stop: %v", err)
	}
	for _, want := range []string{`"msg":"serving"`, `"route":"/.well-known/openid-configuration"`, `"msg":"stopped"`} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("the log has no %s:\n%s", want, log.String())
		}
	}
	for _, file := range []string{config, s.KeyFile, s.Database} {
		if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: got %v %v, want mode 0600", file, info.Mode(), err)
		}
	}
}

// TestInitOverwritesNothing: not one of the three files, and it leaves none behind.
func TestInitOverwritesNothing(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"sallyport.yaml", "master.key", "sallyport.db"} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, name), []byte("mine"), 0o600); err != nil {
			t.Fatal(err)
		}
		err := (&initCmd{Dir: dir, Issuer: "http://localhost:9000", Listen: ":9000", Database: "sallyport.db"}).run(t.Context(), io.Discard)
		if err == nil || !strings.Contains(err.Error(), name+" exists") {
			t.Errorf("%s: got %v", name, err)
		}
		if got, _ := os.ReadFile(filepath.Join(dir, name)); string(got) != "mine" {
			t.Errorf("%s: got %q", name, got)
		}
		if left, _ := os.ReadDir(dir); len(left) != 1 {
			t.Errorf("%s: left %v", name, left)
		}
	}
}

// TestServeRefuses: what is not an installation, before it listens.
func TestServeRefuses(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		spoil func(t *testing.T, s *settings)
		want  string
	}{
		{"no key file", func(t *testing.T, s *settings) { remove(t, s.KeyFile) }, "open key file"},
		{"a key file that others can read", func(t *testing.T, s *settings) { chmod(t, s.KeyFile, 0o640) }, "chmod 600"},
		{"another key", func(t *testing.T, s *settings) { s.KeyFile = otherKey(t) }, "signing key"},
		{"no database", func(t *testing.T, s *settings) { remove(t, s.Database) }, `"sallyport init" makes one`},
		{"an empty file", func(t *testing.T, s *settings) { s.Database = emptyFile(t) }, `not made by "sallyport init"`},
		{"a database without the mark", func(t *testing.T, s *settings) { mark(t, s.Database, "") }, `not made by "sallyport init"`},
		{"no certificate", func(t *testing.T, s *settings) { s.TLSCertificateFile, s.TLSKeyFile = "no.pem", "no.pem" }, "certificate"},
		{"a taken address", func(t *testing.T, s *settings) { s.Listen = taken(t) }, "address already in use"},
		{"a taken private address", func(t *testing.T, s *settings) { s.PrivateListen = taken(t) }, "private_listen"},
		{"plain http for everybody", func(t *testing.T, s *settings) { s.Issuer = "http://id.example.com" }, "issuer: must be https"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s, _ := installed(t)
			c.spoil(t, &s)
			before, _ := os.ReadFile(s.Database)
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
			defer cancel()
			err := serve(ctx, s, io.Discard)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
			if after, _ := os.ReadFile(s.Database); len(before) == 0 && len(after) != 0 {
				t.Errorf("it wrote %d bytes into the file that it refused", len(after))
			}
		})
	}
}

// TestRule17ServeRefusesTheDatabaseOfDev: with its own key, too.
func TestRule17ServeRefusesTheDatabaseOfDev(t *testing.T) {
	info := startDev(t)
	s := defaultSettings()
	s.Issuer, s.Listen, s.PrivateListen = info.Issuer, "127.0.0.1:0", ""
	s.Database, s.KeyFile = databasePath(info.Dir), keyPath(info.Dir)
	err := serve(t.Context(), s, io.Discard)
	if err == nil || !strings.Contains(err.Error(), `the database of a "sallyport dev"`) {
		t.Errorf("got %v", err)
	}
}

func remove(t *testing.T, name string) {
	t.Helper()
	if err := os.Remove(name); err != nil {
		t.Fatal(err)
	}
}

func chmod(t *testing.T, name string, mode os.FileMode) {
	t.Helper()
	if err := os.Chmod(name, mode); err != nil {
		t.Fatal(err)
	}
}

func otherKey(t *testing.T) string {
	t.Helper()
	s, _ := installed(t)
	return s.KeyFile
}

func emptyFile(t *testing.T) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "empty.db")
	if err := os.WriteFile(name, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

func mark(t *testing.T, database, mode string) {
	t.Helper()
	db, err := sqlstore.Open(t.Context(), sqlstore.At(database))
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(db.SetMeta(t.Context(), metaMode, mode), db.Close()); err != nil {
		t.Fatal(err)
	}
}

func taken(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l.Addr().String()
}

// slowly is a running server whose one page answers when it is told to.
func slowly(t *testing.T, drain time.Duration) (r *running, asked <-chan struct{}, answer chan<- struct{}) {
	t.Helper()
	in, out := make(chan struct{}), make(chan struct{})
	r = &running{
		metrics: http.NotFoundHandler(),
		log:     slog.New(slog.DiscardHandler), drain: drain, failed: make(chan struct{}), why: func() error { return errors.New("disk full") },
		ready: func(context.Context) error { return nil },
		handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			close(in)
			<-out
			_, _ = io.WriteString(w, "whole")
		}),
	}
	if err := r.listen("127.0.0.1:0", "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	return r, in, out
}

// TestDrain: a request under way is answered, a new one is not taken, and the
// load balancer hears of it.
func TestDrain(t *testing.T) {
	t.Parallel()
	r, asked, answer := slowly(t, 10*time.Second)
	ctx, cancel := context.WithCancel(t.Context())
	ended, got := make(chan error, 1), make(chan string, 1)
	go func() { ended <- r.serve(ctx) }()
	public, private := "http://"+r.public.Addr().String(), "http://"+r.private.Addr().String()
	go func() { _, body := visit(t, http.DefaultClient, public); got <- body }()
	<-asked
	cancel()
	status, body := 0, ""
	for range 500 {
		if status, body = visit(t, http.DefaultClient, private+"/readyz"); status != http.StatusOK {
			break
		}
		time.Sleep(time.Millisecond)
	}
	if status != http.StatusServiceUnavailable || body != "draining\n" {
		t.Errorf("readyz: got %d %q, want 503 draining", status, body)
	}
	if status, _ := visit(t, http.DefaultClient, private+"/livez"); status != http.StatusOK {
		t.Errorf("livez while draining: got %d, want 200", status)
	}
	close(answer)
	if body := <-got; body != "whole" {
		t.Errorf("the request under way: got %q", body)
	}
	if err := <-ended; err != nil {
		t.Errorf("serve: %v", err)
	}
	if status, _ := visit(t, http.DefaultClient, public); status != 0 {
		t.Errorf("after the drain: got %d, want no answer", status)
	}
}

// TestDrainHasAnEnd: what takes longer is cut off, and that is an error.
func TestDrainHasAnEnd(t *testing.T) {
	t.Parallel()
	r, asked, answer := slowly(t, 20*time.Millisecond)
	defer close(answer)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- r.serve(ctx) }()
	go func() { _, _ = visit(t, http.DefaultClient, "http://"+r.public.Addr().String()) }()
	<-asked
	cancel()
	if err := <-ended; !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v, want that requests were cut off", err)
	}
}

// TestFailedStoreEndsTheProcess: nothing is promised by a server that cannot write.
func TestFailedStoreEndsTheProcess(t *testing.T) {
	t.Parallel()
	r, _, _ := slowly(t, time.Second)
	failed := make(chan struct{})
	r.failed = failed
	if status, _ := answerOf(r.health(), "/livez"); status != http.StatusOK {
		t.Errorf("livez: got %d, want 200", status)
	}
	close(failed)
	for _, path := range []string{"/livez", "/readyz"} {
		if status, body := answerOf(r.health(), path); status != http.StatusServiceUnavailable || body != "the store has failed\n" {
			t.Errorf("%s: got %d %q", path, status, body)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := r.serve(ctx); err == nil || !strings.Contains(err.Error(), "disk full") {
		t.Errorf("got %v, want the reason", err)
	}
}

// TestReadyAsksTheDatabase, and tells no details.
func TestReadyAsksTheDatabase(t *testing.T) {
	t.Parallel()
	for want, err := range map[string]error{
		"the rules of the policy cannot be read\n": fmt.Errorf("%w: a newer release's", sallyport.ErrPolicy),
		"the database does not answer\n":           errors.New("database is locked"),
		"the clock is not the database's\n":        fmt.Errorf("%w: by 3s", sallyport.ErrClock),
		"the signing keys cannot be read\n":        fmt.Errorf("%w: damaged", sallyport.ErrSigningKeys),
	} {
		r := &running{log: slog.New(slog.DiscardHandler), failed: make(chan struct{}), ready: func(context.Context) error { return err }}
		if status, body := answerOf(r.health(), "/readyz"); status != http.StatusServiceUnavailable || body != want {
			t.Errorf("%v: got %d %q, want %q", err, status, body, want)
		}
	}
}

// TestHugeHeadersAreRefused: 32 KiB and what net/http adds to it.
func TestHugeHeadersAreRefused(t *testing.T) {
	t.Parallel()
	s, _ := installed(t)
	serving(t, s, io.Discard)
	req, err := http.NewRequest("GET", s.Issuer, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("X-Huge", strings.Repeat("x", 64<<10))
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusRequestHeaderFieldsTooLarge {
		t.Errorf("got %d, want 431", resp.StatusCode)
	}
}
