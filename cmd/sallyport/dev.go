package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/netip"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"github.com/sallyport-id/sallyport"
	"github.com/sallyport-id/sallyport/internal/admin"
	"github.com/sallyport-id/sallyport/internal/keys"
)

type devCommands struct {
	Run  devCmd  `cmd:"" default:"withargs" help:"Start it (the default)."`
	Code codeCmd `cmd:"" help:"Print a user's current authenticator code, for those without a phone."`
}

type devCmd struct {
	Port             int    `default:"9000" help:"Port of the server; the next free one if it is taken, 0 for any."`
	DemoPort         int    `default:"5000" help:"Port of the demo application, likewise."`
	TutorialRedirect string `default:"http://localhost:8000/callback" help:"Redirect URI of the client 'tutorial', for a program of your own."`
	Shop             string `default:"http://localhost:8080" placeholder:"URL" help:"Where the shop of examples/ will be."`
	Output           string `default:"text" enum:"text,json" help:"text or json (one line)."`
	Dir              string `help:"Directory of the database, new or empty; a temporary one if empty, which is removed at the end."`
	Verbose          bool   `short:"v" help:"Log every request."`
}

// devInfo is what a dev server has made.
type devInfo struct {
	Issuer   string      `json:"issuer"`
	Demo     string      `json:"demo"`
	Metadata string      `json:"metadata"`
	Users    []devUser   `json:"users"`
	Tutorial devTutorial `json:"tutorial"`
	Examples string      `json:"examples"` // a file of environment variables
	Dir      string      `json:"dir"`
}

type devUser struct {
	Login         string   `json:"login"`
	Name          string   `json:"name"`
	Password      string   `json:"password"`
	TOTP          bool     `json:"totp"`
	RecoveryCodes []string `json:"recovery_codes,omitempty"`
}

type devTutorial struct {
	ClientID     string `json:"client_id"`
	ClientSecret string `json:"client_secret"`
	RedirectURI  string `json:"redirect_uri"`
}

// devMark is set in a dev database, so that it cannot become production.
const devMark = "dev"

// Run starts the server and the demo application and waits for a signal.
func (d *devCmd) Run() error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	return d.run(ctx, os.Stdout)
}

// run serves until ctx ends.
func (d *devCmd) run(ctx context.Context, stdout io.Writer) error {
	dir, cleanUp, err := d.directory()
	if err != nil {
		return err
	}
	defer cleanUp()
	serverAt, err := listenLoopback(d.Port)
	if err != nil {
		return err
	}
	demoAt, err := listenLoopback(d.DemoPort)
	if err != nil {
		return err
	}
	info := &devInfo{Issuer: serverAt.url(), Demo: demoAt.url(), Dir: dir}
	info.Metadata = info.Issuer + "/.well-known/openid-configuration"
	server, err := d.server(ctx, info)
	if err != nil {
		return err
	}
	defer server.Close()
	demo, err := d.populate(ctx, server, info)
	if err != nil {
		return err
	}
	failed := make(chan error, 4)
	closeServer := serverAt.serve(loopbackOnly(server), failed)
	closeDemo := demoAt.serve(demo, failed)
	defer closeServer()
	defer closeDemo()
	if err := d.announce(stdout, info, serverAt, demoAt); err != nil {
		return err
	}
	select {
	case <-ctx.Done():
		return nil
	case err := <-failed:
		return err
	}
}

// directory returns where the database goes and notes it for "dev code".
func (d *devCmd) directory() (dir string, cleanUp func(), err error) {
	cleanUp = func() {}
	if dir = d.Dir; dir == "" {
		if dir, err = os.MkdirTemp("", "sallyport-dev-"); err != nil {
			return "", nil, err
		}
		cleanUp = func() { _ = os.RemoveAll(dir) }
	} else if err = emptyDirectory(dir); err != nil {
		return "", nil, err
	}
	note, err := devNote()
	if err != nil {
		return "", nil, err
	}
	return dir, cleanUp, os.WriteFile(note, []byte(dir), 0o600)
}

// emptyDirectory makes a directory, or takes one that is empty: what lies in
// another may be somebody's installation.
func emptyDirectory(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	if len(entries) > 0 {
		return fmt.Errorf("%s is not empty: dev needs a directory of its own", dir)
	}
	return nil
}

// devNote is the file that names the directory of the dev server started last.
func devNote() (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		cache = filepath.Join(os.TempDir(), "sallyport-"+strconv.Itoa(os.Getuid()))
	}
	dir := filepath.Join(cache, "sallyport")
	return filepath.Join(dir, "dev"), os.MkdirAll(dir, 0o700)
}

func (d *devCmd) server(ctx context.Context, info *devInfo) (*sallyport.Server, error) {
	key := make([]byte, 32)
	rand.Read(key)
	if err := keys.WriteKeyFile(keyPath(info.Dir), key); err != nil {
		return nil, err
	}
	level := slog.LevelWarn
	if d.Verbose {
		level = slog.LevelInfo
	}
	server, err := sallyport.New(ctx, sallyport.Config{
		Issuer: info.Issuer, Database: databasePath(info.Dir), MasterKey: key,
		Enrollment:    sallyport.EnrollByPassword, // as the tutorial shows
		OutboundAllow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")},
		Log:           slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: level})),
	})
	if err != nil {
		return nil, err
	}
	return server, server.Store().SetMeta(ctx, metaMode, devMark)
}

func keyPath(dir string) string      { return filepath.Join(dir, "master.key") }
func databasePath(dir string) string { return filepath.Join(dir, "sallyport.db") }

// populate makes the users and the clients and returns the demo application.
func (d *devCmd) populate(ctx context.Context, server *sallyport.Server, info *devInfo) (http.Handler, error) {
	a := server.Admin()
	for _, u := range []devUser{{Login: "mina", Name: "김미나", TOTP: true}, {Login: "joon", Name: "이준"}} {
		u.Password = devPassword()
		made, err := a.AddUser(ctx, admin.NewUser{Login: u.Login, Name: u.Name, Email: u.Login + "@example.com", Locale: "ko", Password: u.Password})
		if err != nil {
			return nil, err
		}
		if u.TOTP {
			if _, u.RecoveryCodes, err = a.AddTOTP(ctx, made.ID); err != nil {
				return nil, err
			}
		}
		info.Users = append(info.Users, u)
	}
	info.Tutorial = devTutorial{ClientID: "tutorial", RedirectURI: d.TutorialRedirect}
	var err error
	if info.Tutorial.ClientSecret, err = a.AddClient(ctx, admin.Tutorial("tutorial", "Tutorial", d.TutorialRedirect)); err != nil {
		return nil, err
	}
	if err := d.addExamples(ctx, a, info); err != nil {
		return nil, err
	}
	client := admin.Web("demo", "Demo", info.Demo+"/callback")
	client.PostLogoutRedirectURIs, client.BackchannelLogoutURI = []string{info.Demo + "/"}, info.Demo+"/backchannel-logout"
	secret, err := a.AddClient(ctx, client)
	if err != nil {
		return nil, err
	}
	return newDemo(ctx, info.Issuer, "demo", secret, info.Demo)
}

// devPassword is easy to type and new in each run.
func devPassword() string {
	return strings.ToLower(rand.Text()[:4] + "-" + rand.Text()[:4] + "-" + rand.Text()[:4])
}

func (d *devCmd) announce(w io.Writer, info *devInfo, server, demo *loopback) error {
	if d.Output == "json" {
		return json.NewEncoder(w).Encode(info)
	}
	if server.moved {
		fmt.Fprintf(w, "Port %d is taken; the server is on %d.\n", d.Port, server.port)
	}
	if demo.moved {
		fmt.Fprintf(w, "Port %d is taken; the demo application is on %d.\n", d.DemoPort, demo.port)
	}
	return printGuide(w, info)
}

func printGuide(w io.Writer, info *devInfo) error {
	mina, joon := info.Users[0], info.Users[1]
	_, err := fmt.Fprintf(w, `
Sallyport is running (for trying it out: fresh data, this machine only).

  Open      %[1]s/login
  Server    %[2]s

  Sign in as
    %-6[3]s password %[4]s   has an authenticator; its code:  sallyport dev code %[3]s
    %-6[5]s password %[6]s   has no second factor yet, and is asked to set one up
           (with go run:  go run ./cmd/sallyport dev code %[3]s)

  Then try
    a wrong code            it is refused, and the step stays
    the same code twice     in a private window: it was used
    a recovery code         %[7]s   works once
    a passkey               as %[5]s; after signing out, the browser asks for it
    Cancel                  the application hears of it, and signs nobody in
    %[1]s/login again       no questions while the session lasts

  A program of your own, e.g. Python with Authlib
    server_metadata_url     %[8]s
    client_id               %[9]s
    client_secret           %[10]s
    redirect URI            %[11]s

  The programs in examples/ (in that directory)
    set -a; . '%[12]s'; set +a
    go run ./shop

Ctrl-C ends it and removes the data.
`, info.Demo, info.Issuer, mina.Login, mina.Password, joon.Login, joon.Password, mina.RecoveryCodes[0],
		info.Metadata, info.Tutorial.ClientID, info.Tutorial.ClientSecret, info.Tutorial.RedirectURI, info.Examples)
	return err
}
