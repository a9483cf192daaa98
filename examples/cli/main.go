// Command cli signs its user in from the command line and calls an API: with the
// browser of this machine, or, where there is none, with one elsewhere.
//
//	cli login            the browser comes back to a port of this machine (RFC 8252)
//	cli login --device   the user types a code in any browser (RFC 8628)
//	cli whoami           what the API knows of who asks
//	cli logout           the tokens end, here and at the server
//
// The settings are those of rp.ConfigFromEnv with the prefix CLI_: CLI_ISSUER,
// CLI_CLIENT_ID and CLI_RESOURCE, the API. A program that people install has no secret:
// what is in all copies is known to all.
package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"time"

	"github.com/sallyport-id/sallyport/examples/orders"
	"github.com/sallyport-id/sallyport/rp"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "cli:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, out io.Writer) error {
	config, err := rp.ConfigFromEnv("CLI_")
	if err != nil {
		return err
	}
	config.AuthMethod = rp.AuthNone
	config.Require = rp.MFA
	config.Scopes = []string{"openid", "profile", "offline_access", "orders:read"}
	dir, err := os.UserConfigDir()
	if err != nil {
		return err
	}
	file := &tokenFile{path: filepath.Join(dir, "sallyport-example-cli", "tokens.json")}
	switch strings.Join(args, " ") {
	case "login":
		return login(ctx, config, file, out, byBrowser)
	case "login --device":
		return login(ctx, config, file, out, byDevice)
	case "whoami":
		return whoami(ctx, config, file, out)
	case "logout":
		return logout(ctx, config, file)
	}
	return errors.New("usage: cli login [--device] | whoami | logout")
}

// login signs in in one of the two ways, and keeps the tokens.
func login(ctx context.Context, config rp.Config, file *tokenFile, out io.Writer,
	by func(context.Context, rp.Config, io.Writer) (*rp.Identity, error)) error {
	id, err := by(ctx, config, out)
	if err != nil {
		return err
	}
	client, err := rp.New(ctx, config)
	if err != nil {
		return err
	}
	if err := file.begin(id); err != nil {
		return err
	}
	if _, err := client.TokenSource(ctx, id, file).Token(); err != nil { // it stores what it was given
		return err
	}
	fmt.Fprintf(out, "Signed in: %s (%s).\n", id.Subject, id.ACR)
	return nil
}

// byBrowser waits for the answer on a port of this machine. The browser that begins
// the sign-in is the one that has to finish it: Login leaves it a cookie. The address
// is only known to who sees this terminal, and not to other users of the machine.
func byBrowser(ctx context.Context, config rp.Config, out io.Writer) (*rp.Identity, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0") // by number: localhost may be somebody else (RFC 8252 §8.3)
	if err != nil {
		return nil, err
	}
	self := "http://" + listener.Addr().String()
	config.RedirectURL, config.CookieKey, config.UserInfo = self+"/callback", make([]byte, 32), true
	rand.Read(config.CookieKey)
	client, err := rp.New(ctx, config)
	if err != nil {
		return nil, err
	}
	start := "/" + rand.Text()
	type answer struct {
		id  *rp.Identity
		err error
	}
	answers := make(chan answer, 1)
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+start, func(w http.ResponseWriter, r *http.Request) { client.Login(w, r) })
	mux.HandleFunc("GET /callback", func(w http.ResponseWriter, r *http.Request) {
		id, err := client.Callback(w, r)
		if state := (*rp.StateError)(nil); errors.As(err, &state) { // of no sign-in of ours: we go on waiting
			http.Error(w, rp.Reason(err), http.StatusForbidden)
			return
		}
		if err != nil {
			http.Error(w, rp.Reason(err), http.StatusForbidden)
		} else {
			fmt.Fprintln(w, "You are signed in, and can close this page.\n로그인되었습니다. 이 페이지를 닫아도 됩니다.")
		}
		select {
		case answers <- answer{id, err}:
		default: // one is enough
		}
	})
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second}
	go func() { _ = server.Serve(listener) }()
	fmt.Fprintln(out, "Open in your browser:", self+start)
	var got answer
	select {
	case got = <-answers:
	case <-ctx.Done():
		got.err = ctx.Err()
	}
	soon, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	_ = server.Shutdown(soon) // when the browser has its page
	return got.id, got.err
}

// byDevice shows a code to type elsewhere.
func byDevice(ctx context.Context, config rp.Config, out io.Writer) (*rp.Identity, error) {
	client, err := rp.New(ctx, config)
	if err != nil {
		return nil, err
	}
	device, err := client.DeviceAuthorization(ctx)
	if err != nil {
		return nil, err
	}
	fmt.Fprintf(out, "Go to %s and type %s.\n", device.VerificationURI, device.UserCode)
	return client.Poll(ctx, device)
}

func whoami(ctx context.Context, config rp.Config, file *tokenFile, out io.Writer) error {
	client, id, err := open(ctx, config, file)
	if err != nil {
		return err
	}
	res, err := client.HTTPClient(client.TokenSource(ctx, id, file)).Get(config.Resource + "me")
	if errors.Is(err, rp.ErrEnded) {
		return errNobody
	}
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("the API answers %s", res.Status)
	}
	var me orders.Me
	if err := json.NewDecoder(io.LimitReader(res.Body, 1<<20)).Decode(&me); err != nil {
		return err
	}
	_, err = fmt.Fprintf(out, "%s\nacr %s, amr %s, since %s\n", me.Subject, me.ACR, strings.Join(me.AMR, " "),
		time.Unix(me.AuthTime, 0).Format(time.DateTime))
	return err
}

// logout ends the tokens at the server first: without them nobody could.
func logout(ctx context.Context, config rp.Config, file *tokenFile) error {
	client, id, err := open(ctx, config, file)
	if err != nil {
		return err
	}
	token, err := client.TokenSource(ctx, id, file).Token()
	if err == nil {
		err = client.Revoke(ctx, token)
	}
	if err != nil && !errors.Is(err, rp.ErrEnded) {
		return err
	}
	return os.Remove(file.path)
}

var errNobody = errors.New("nobody is signed in: cli login")

func open(ctx context.Context, config rp.Config, file *tokenFile) (*rp.Client, *rp.Identity, error) {
	client, err := rp.New(ctx, config)
	if err != nil {
		return nil, nil, err
	}
	id, err := file.identity()
	if errors.Is(err, os.ErrNotExist) {
		err = errNobody
	}
	return client, id, err
}
