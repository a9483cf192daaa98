package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/sallyport-id/sallyport/examples/internal/trial"
	"github.com/sallyport-id/sallyport/examples/orders"
	"github.com/sallyport-id/sallyport/rp"
)

func TestMain(m *testing.M) { trial.Main(m) }

// start starts a server and the API.
func start(t *testing.T) *trial.Server {
	t.Helper()
	t.Setenv("XDG_CONFIG_HOME", t.TempDir())
	listener, shop := trial.Listen(t)
	s := trial.Start(t, "--shop", shop)
	api, err := orders.New(t.Context(), s.Issuer, os.Getenv("CLI_RESOURCE"))
	if err != nil {
		t.Fatal(err)
	}
	trial.Serve(t, listener, api)
	return s
}

// begin runs a command, and returns the first line that it prints and how it ends.
func begin(t *testing.T, args ...string) (line string, end func() error) {
	t.Helper()
	read, write := io.Pipe()
	ended := make(chan error, 1)
	go func() {
		err := run(t.Context(), args, write)
		write.CloseWithError(err)
		ended <- err
	}()
	out := bufio.NewReader(read)
	line, err := out.ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	go func() { _, _ = io.Copy(io.Discard, out) }()
	return line, func() error { return <-ended }
}

func whoamiSays(t *testing.T) string {
	t.Helper()
	var out bytes.Buffer
	if err := run(t.Context(), []string{"whoami"}, &out); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func TestSignInWithTheBrowserOfThisMachine(t *testing.T) {
	s := start(t)
	if err := run(t.Context(), []string{"whoami"}, io.Discard); !errors.Is(err, errNobody) {
		t.Errorf("before the sign-in: got %v", err)
	}
	line, end := begin(t, "login")
	address := strings.TrimSpace(line[strings.Index(line, "http://127.0.0.1:"):])
	self := address[:strings.LastIndex(address, "/")]

	stranger := trial.NewPerson(t)
	stranger.Open(self + "/callback?code=x&state=y")
	stranger.MustSee(403)
	stranger.Open(self + "/login")
	stranger.MustSee(404)

	p := trial.NewPerson(t)
	p.Open(address)
	if asked := p.Went[0]; !strings.Contains(asked, "code_challenge_method=S256") {
		t.Errorf("no PKCE: %s", asked)
	}
	p.SignIn(s)
	p.MustSee(200, "Shop on the command line") // anybody can pass for a program without a secret: it asks
	p.Press("allow")
	p.MustSee(200, "You are signed in")
	if err := end(); err != nil {
		t.Fatal(err)
	}
	mustBePrivate(t)
	if said := whoamiSays(t); !strings.Contains(said, "acr "+rp.ACR2FA+", amr pwd otp mfa") {
		t.Errorf("got %q", said)
	}
	if err := run(t.Context(), []string{"logout"}, io.Discard); err != nil {
		t.Fatal(err)
	}
	if err := run(t.Context(), []string{"whoami"}, io.Discard); !errors.Is(err, errNobody) {
		t.Errorf("after logout: got %v", err)
	}
}

// mustBePrivate reads who may read the file of tokens.
func mustBePrivate(t *testing.T) {
	t.Helper()
	path := filepath.Join(os.Getenv("XDG_CONFIG_HOME"), "sallyport-example-cli", "tokens.json")
	stat, err := os.Stat(path)
	if err != nil || stat.Mode().Perm() != 0o600 {
		t.Errorf("%s: got %v %v, want 0600", path, stat, err)
	}
}

func TestSignInWithABrowserElsewhere(t *testing.T) {
	s := start(t)
	line, end := begin(t, "login", "--device")
	words := strings.Fields(strings.TrimSuffix(strings.TrimSpace(line), ".")) // Go to URL and type CODE
	p := trial.NewPerson(t)
	p.Open(words[2])
	p.Press("continue", "user_code", words[5])
	p.SignIn(s)
	p.MustSee(200, "Shop on the command line")
	p.Press("allow")
	if err := end(); err != nil {
		t.Fatal(err)
	}
	mustBePrivate(t)
	if said := whoamiSays(t); !strings.Contains(said, "acr "+rp.ACR2FA) {
		t.Errorf("got %q", said)
	}
}

func TestCancelledSignIn(t *testing.T) {
	s := start(t)
	line, end := begin(t, "login")
	p := trial.NewPerson(t)
	p.Open(strings.TrimSpace(line[strings.Index(line, "http://"):]))
	p.Password(s)
	p.Press("cancel")
	p.MustSee(403)
	if err := end(); rp.ReasonCode(err) != rp.CodeCancelled {
		t.Errorf("got %v", err)
	}
	if err := run(t.Context(), []string{"whoami"}, io.Discard); !errors.Is(err, errNobody) {
		t.Errorf("got %v", err)
	}
}

// TestTokenFileSwapsOnce: of 64 at the same time, one wins.
func TestTokenFileSwapsOnce(t *testing.T) {
	path := filepath.Join(t.TempDir(), "tokens.json")
	if err := (&tokenFile{path}).begin(&rp.Identity{Issuer: "i", Subject: "s"}); err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	won := make(chan int, 64)
	for i := range 64 {
		all.Go(func() {
			swapped, err := (&tokenFile{path}).CompareAndSwap(context.Background(), nil, []byte{byte(i)})
			if err != nil {
				t.Error(err)
			}
			if swapped {
				won <- i
			}
		})
	}
	all.Wait()
	if len(won) != 1 {
		t.Fatalf("%d won, want one", len(won))
	}
	if got, err := (&tokenFile{path}).Load(context.Background()); err != nil || got[0] != byte(<-won) {
		t.Errorf("got %v %v", got, err)
	}
}
