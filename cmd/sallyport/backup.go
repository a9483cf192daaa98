package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/sallyport-id/sallyport/internal/store/sqlstore"
)

// backupMark is the mark of a copy that backup has made, and metaAsOf the name of
// the moment that it is of. Nothing but restore touches it: what a copy knows of
// sessions, codes and tokens must not come to life again.
const (
	backupMark = "backup"
	metaAsOf   = "backup_as_of"
)

type backupCmd struct {
	configFlag
	outputFlag
	File string `arg:"" help:"The file to make."`
}

// madeBackup is what backup says.
type madeBackup struct {
	File     string    `json:"file"`
	Bytes    int64     `json:"bytes"`
	AsOf     time.Time `json:"as_of"`
	Database string    `json:"database"`
	KeyFile  string    `json:"key_file"` // to be kept elsewhere
}

// Run makes a backup. The server may be running, and writing.
func (c *backupCmd) Run() error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	s, _, err := c.load()
	if err != nil {
		return err
	}
	made, err := backup(ctx, s, c.File, time.Now())
	if err != nil {
		return err
	}
	return c.print(os.Stdout, made, made.print)
}

func backup(ctx context.Context, s settings, file string, now time.Time) (made madeBackup, err error) {
	if s.onPostgres() {
		return made, errors.New("the database is on PostgreSQL: pg_dump makes its backup, and after pg_restore comes \"sallyport restore --in-place\"")
	}
	if err := checkInstalled(ctx, s.Database); err != nil {
		return made, err
	}
	now = now.UTC().Truncate(time.Second)
	err = sqlstore.Backup(ctx, s.Database, file, map[string]string{metaMode: backupMark, metaAsOf: now.Format(time.RFC3339)})
	if errors.Is(err, fs.ErrExist) {
		return made, fmt.Errorf("%s exists, and backup overwrites nothing", file)
	}
	if err != nil {
		return made, err
	}
	info, err := os.Stat(file)
	if err != nil {
		return made, err
	}
	return madeBackup{file, info.Size(), now, s.Database, s.KeyFile}, nil
}

func (b madeBackup) print(w io.Writer) error {
	_, err := fmt.Fprintf(w, `Made
  %s
    a sound copy of %s as of %s, %d bytes
Keep as well, but in another place
  %s
    the master key: the copy is worth nothing without it, and with both one can be everybody
"sallyport restore" puts the copy in place.
`, b.File, b.Database, b.AsOf.Format(time.RFC3339), b.Bytes, b.KeyFile)
	return err
}
