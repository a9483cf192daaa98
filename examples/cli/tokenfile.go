package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/sallyport-id/sallyport/rp"
)

// tokenFile is an rp.TokenStore: a file that nobody else can read. Several runs at the
// same time use a refresh token once, and not each.
type tokenFile struct{ path string }

// saved is what is in the file.
type saved struct {
	Issuer   string    `json:"issuer"`
	Subject  string    `json:"sub"`
	AuthTime time.Time `json:"auth_time"`
	Tokens   []byte    `json:"tokens"`
}

// begin makes the file for a sign-in, in place of any other.
func (f *tokenFile) begin(id *rp.Identity) error {
	if err := os.MkdirAll(filepath.Dir(f.path), 0o700); err != nil {
		return err
	}
	return f.locked(func() error { return f.write(saved{id.Issuer, id.Subject, id.AuthTime, nil}) })
}

func (f *tokenFile) identity() (*rp.Identity, error) {
	s, err := f.read()
	return &rp.Identity{Issuer: s.Issuer, Subject: s.Subject, AuthTime: s.AuthTime}, err
}

// Load returns the tokens, nil if there are none.
func (f *tokenFile) Load(context.Context) ([]byte, error) {
	s, err := f.read()
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	return s.Tokens, err
}

// CompareAndSwap changes the tokens if they are what the caller thinks.
func (f *tokenFile) CompareAndSwap(_ context.Context, old, next []byte) (swapped bool, err error) {
	err = f.locked(func() error {
		s, err := f.read()
		if err != nil || !bytes.Equal(s.Tokens, old) {
			return err
		}
		s.Tokens, swapped = next, true
		return f.write(s)
	})
	return swapped && err == nil, err
}

// locked does something while no other process does.
func (f *tokenFile) locked(do func() error) error {
	lock, err := os.OpenFile(f.path+".lock", os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	defer lock.Close() // and unlock
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		return err
	}
	return do()
}

func (f *tokenFile) read() (s saved, err error) {
	text, err := os.ReadFile(f.path)
	if err != nil {
		return s, err
	}
	return s, json.Unmarshal(text, &s)
}

// write puts a whole new file in the place of the old one. os.CreateTemp makes files
// for their owner alone (0600).
func (f *tokenFile) write(s saved) error {
	text, err := json.Marshal(s)
	if err != nil {
		return err
	}
	next, err := os.CreateTemp(filepath.Dir(f.path), "tokens-")
	if err != nil {
		return err
	}
	defer os.Remove(next.Name())
	if _, err := next.Write(text); err != nil {
		return errors.Join(err, next.Close())
	}
	if err := next.Close(); err != nil {
		return err
	}
	return os.Rename(next.Name(), f.path)
}
