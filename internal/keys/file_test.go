package keys_test

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sallyport-id/sallyport/internal/keys"
)

func keyFile(t *testing.T, master keys.MasterKey) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "master.key")
	if err := keys.WriteKeyFile(path, master); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestKeyFile(t *testing.T) {
	t.Parallel()
	master := keys.NewMasterKey()
	path := keyFile(t, master)
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("mode of the key file: %v, %v; want 0600", info.Mode(), err)
	}
	got, err := keys.ReadKeyFile(path)
	if err != nil || !bytes.Equal(got, master) {
		t.Errorf("ReadKeyFile: %v, the same key: %v", err, bytes.Equal(got, master))
	}
}

func TestKeyFileIsNeverOverwritten(t *testing.T) {
	t.Parallel()
	master := keys.NewMasterKey()
	path := keyFile(t, master)
	if err := keys.WriteKeyFile(path, keys.NewMasterKey()); !errors.Is(err, fs.ErrExist) {
		t.Errorf("second WriteKeyFile: %v; want fs.ErrExist", err)
	}
	if got, err := keys.ReadKeyFile(path); err != nil || !bytes.Equal(got, master) {
		t.Errorf("after it, ReadKeyFile: %v, the first key: %v", err, bytes.Equal(got, master))
	}
}

func TestKeyFileOpenToOthersIsRefused(t *testing.T) {
	t.Parallel()
	path := keyFile(t, keys.NewMasterKey())
	for mode, allowed := range map[os.FileMode]bool{
		0o600: true, 0o400: true, 0o640: false, 0o660: false, 0o620: false, 0o604: false, 0o602: false, 0o644: false,
	} {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		if _, err := keys.ReadKeyFile(path); (err == nil) != allowed {
			t.Errorf("mode %04o: %v; want it read: %v", mode, err, allowed)
		}
	}
}

func TestDamagedKeyFileIsRefused(t *testing.T) {
	t.Parallel()
	good, err := os.ReadFile(keyFile(t, keys.NewMasterKey()))
	if err != nil {
		t.Fatal(err)
	}
	head, key, _ := strings.Cut(string(good), "\n")
	for name, text := range map[string]string{
		"empty":          "",
		"no version":     key,
		"later version":  strings.Replace(head, "v1", "v2", 1) + "\n" + key,
		"short":          head + "\nAAAA\n",
		"cut":            string(good[:len(good)-3]),
		"something else": string(good) + "more\n",
		"broken line":    head + "\n" + key[:20] + "\n" + key[20:],
		"not base64":     head + "\n" + strings.Repeat("!", 44) + "\n",
	} {
		if got, err := keys.ParseKeyFile(text); err == nil {
			t.Errorf("%s: a key of %d bytes; want an error", name, len(got))
		}
	}
	if _, err := keys.ReadKeyFile(filepath.Join(t.TempDir(), "none")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no file: %v; want fs.ErrNotExist", err)
	}
	if err := keys.WriteKeyFile(filepath.Join(t.TempDir(), "short"), make([]byte, 16)); err == nil {
		t.Error("a short master key was written")
	}
}

func FuzzParseKeyFile(f *testing.F) {
	f.Add("sallyport master key v1\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n")
	f.Add("sallyport master key v2\n")
	f.Fuzz(func(t *testing.T, text string) {
		if master, err := keys.ParseKeyFile(text); err == nil && len(master) != keys.MasterKeySize {
			t.Errorf("ParseKeyFile(%q): a key of %d bytes, want %d", text, len(master), keys.MasterKeySize)
		}
	})
}
