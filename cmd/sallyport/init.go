package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/sallyport-id/sallyport"
	"github.com/sallyport-id/sallyport/internal/keys"
	"github.com/sallyport-id/sallyport/internal/store/sqlstore"
)

type initCmd struct {
	Dir                  string `default:"." complete:"file" help:"Directory of the files; made if it does not exist."`
	Issuer               string `default:"http://localhost:9000" help:"The public URL of the server; can be changed in the file until the first application knows it."`
	Listen               string `default:"127.0.0.1:9000" help:"Address and port to answer on."`
	Database             string `default:"sallyport.db" help:"The SQLite file, or the URL of an empty PostgreSQL database: postgres://user@host/name."`
	DatabasePasswordFile string `placeholder:"FILE" complete:"file" help:"A file with the password of the PostgreSQL user."`
}

// Run makes an installation and prints what to do next.
func (c *initCmd) Run() error {
	return c.run(context.Background(), os.Stdout)
}

func (c *initCmd) run(ctx context.Context, stdout io.Writer) error {
	s := defaultSettings()
	s.Issuer, s.Listen, s.Database, s.DatabasePasswordFile = c.Issuer, c.Listen, c.Database, c.DatabasePasswordFile
	if err := s.check(); err != nil {
		return err
	}
	if _, hasPassword := databaseUser(c.Database); hasPassword {
		return errors.New("a password in an argument can be seen by everybody on this machine: give it with --database-password-file")
	}
	config := filepath.Join(c.Dir, "sallyport.yaml")
	text := commentedSettings(s)
	if err := s.resolve(c.Dir); err != nil {
		return err
	}
	if err := os.MkdirAll(c.Dir, 0o700); err != nil {
		return err
	}
	if err := noneExists(config, s.KeyFile); err != nil {
		return err
	}
	if err := s.databaseIsNew(ctx); err != nil {
		return err
	}
	if err := install(ctx, s, config, text); err != nil {
		return err
	}
	return printNext(stdout, s, config)
}

// noneExists: what is there may be somebody's installation.
func noneExists(paths ...string) error {
	for _, path := range paths {
		if _, err := os.Lstat(path); !errors.Is(err, os.ErrNotExist) {
			return errors.Join(fmt.Errorf("%s exists, and init overwrites nothing", path), err)
		}
	}
	return nil
}

// databaseIsNew: neither a file nor a table of ours is there.
func (s *settings) databaseIsNew(ctx context.Context) error {
	if !s.onPostgres() {
		return noneExists(s.Database)
	}
	database, err := s.databaseAt()
	if err != nil {
		return err
	}
	name := databaseName(database)
	switch _, made, err := sqlstore.Peek(ctx, sqlstore.At(database), metaMode); {
	case err != nil:
		return fmt.Errorf("look into database %s: %w", name, err)
	case made:
		return fmt.Errorf("%s has the tables of an installation, and init overwrites nothing: a further server gets a copy of the first one's sallyport.yaml and master.key", name)
	}
	return nil
}

// install makes key, configuration and database, the mark last. If it fails it
// takes away what it made, but for tables on a database server.
func install(ctx context.Context, s settings, config, text string) (err error) {
	var made []string
	defer func() {
		if err != nil {
			for _, path := range made {
				_ = os.Remove(path)
			}
		}
	}()
	master := keys.NewMasterKey()
	if err := keys.WriteKeyFile(s.KeyFile, master); err != nil {
		return err
	}
	made = append(made, s.KeyFile)
	if err := writeNew(config, text); err != nil {
		return fmt.Errorf("write configuration: %w", err)
	}
	made = append(made, config)
	if !s.onPostgres() {
		made = append(made, s.Database, s.Database+"-wal", s.Database+"-shm", s.Database+".lock")
	}
	database, err := s.databaseAt()
	if err != nil {
		return err
	}
	server, err := sallyport.New(ctx, s.serverConfig(database, []keys.MasterKey{master}, slog.New(slog.DiscardHandler)))
	if err != nil {
		return err
	}
	return errors.Join(server.Store().SetMeta(ctx, metaMode, installedMark), server.Close())
}

// writeNew writes a file that must not exist yet.
func writeNew(path, text string) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	return errors.Join(err, f.Sync(), f.Close())
}

func printNext(w io.Writer, s settings, config string) error {
	flag := ""
	if config != "sallyport.yaml" {
		flag = " --config " + config
	}
	_, err := fmt.Fprintf(w, `Made
  %[1]s
    the configuration, each key explained
  %[2]s
    the master key: keep a copy, elsewhere than the database's
  %[3]s
    the database, empty but for signing keys

Next
  1. Look through the configuration: issuer is now %[4]s
  2. sallyport serve%[5]s
  3. sallyport client add shop --redirect-uri https://shop.example.com/callback%[5]s
  4. sallyport user add mina%[5]s

3 and 4 work while the server runs, too.
`, config, s.KeyFile, databaseName(s.Database), s.Issuer, flag)
	return err
}
