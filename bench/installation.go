package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/sallyport-id/sallyport/internal/keys"
	"github.com/sallyport-id/sallyport/internal/store/sqlstore"
)

// installation is one made by "sallyport init", with people and clients in it.
type installation struct {
	dir      string // of everything; removed at the end
	binary   string
	issuer   string
	private  string  // address of /readyz
	database string  // as sqlstore.At takes it
	postgres *schema // nil: SQLite
	people   *people
	clients  clients
}

// install makes an installation, or leaves nothing behind.
func install(ctx context.Context, o options) (*installation, error) {
	dir, err := os.MkdirTemp("", "sallyport-bench-")
	if err != nil {
		return nil, err
	}
	in := &installation{dir: dir, binary: filepath.Join(dir, "sallyport"), database: filepath.Join(dir, "sallyport.db")}
	if err := in.make(ctx, o); err != nil {
		in.remove(&err)
		return nil, err
	}
	return in, nil
}

// make builds the binary, static and stripped as it is released, and fills the
// directory.
func (in *installation) make(ctx context.Context, o options) (err error) {
	build := exec.CommandContext(ctx, "go", "build", "-ldflags", "-s -w", "-o", in.binary,
		"github.com/sallyport-id/sallyport/cmd/sallyport")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if err := said(build); err != nil {
		return err
	}
	if o.Postgres != "" {
		if in.postgres, err = newSchema(ctx, o.Postgres); err != nil {
			return err
		}
		in.database = in.postgres.url
	}
	if err := in.init(ctx); err != nil {
		return err
	}
	return in.populate(ctx, o)
}

func (in *installation) init(ctx context.Context) error {
	public, private, err := freeAddresses()
	if err != nil {
		return err
	}
	in.issuer, in.private = "http://"+public, private
	args := []string{"init", "--dir", in.dir, "--issuer", in.issuer, "--listen", public}
	if in.postgres != nil {
		address, password := in.postgres.withoutPassword()
		file := filepath.Join(in.dir, "password")
		if err := os.WriteFile(file, []byte(password), 0o600); err != nil {
			return err
		}
		args = append(args, "--database", address, "--database-password-file", file)
	}
	return said(in.command(ctx, args...))
}

// command is the binary in the directory and the environment of the installation.
func (in *installation) command(ctx context.Context, args ...string) *exec.Cmd {
	c := exec.CommandContext(ctx, in.binary, args...)
	c.Dir = in.dir
	c.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + in.dir, "SALLYPORT_PRIVATE_LISTEN=" + in.private}
	return c
}

// said runs a command; what it said is in its error.
func said(c *exec.Cmd) error {
	if out, err := c.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w\n%s", strings.Join(c.Args[:2], " "), err, out)
	}
	return nil
}

func freeAddresses() (public, private string, err error) {
	a, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return "", "", err
	}
	defer a.Close()
	b, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return "", "", err
	}
	defer b.Close()
	return a.Addr().String(), b.Addr().String(), nil
}

// open opens the database, for what no command can do.
func (in *installation) open(ctx context.Context) (*sqlstore.Store, *keys.Sealer, error) {
	masters, err := keys.ReadKeyFile(filepath.Join(in.dir, "master.key"))
	if err != nil {
		return nil, nil, err
	}
	sealer, err := keys.NewSealer(masters[0])
	if err != nil {
		return nil, nil, err
	}
	db, err := sqlstore.Open(ctx, sqlstore.At(in.database))
	return db, sealer, err
}

// lastLog is the end of the server's log.
func (in *installation) lastLog() string {
	text, err := os.ReadFile(filepath.Join(in.dir, "log"))
	if err != nil {
		return ""
	}
	lines := bytes.Split(bytes.TrimSpace(text), []byte("\n"))
	return string(bytes.Join(lines[max(0, len(lines)-5):], []byte("\n")))
}

// remove takes everything away.
func (in *installation) remove(err *error) {
	if in.postgres != nil {
		*err = errors.Join(*err, in.postgres.drop())
	}
	*err = errors.Join(*err, os.RemoveAll(in.dir))
}
