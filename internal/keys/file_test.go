package keys_test

import (
	"bytes"
	"encoding/base64"
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
	if err != nil || len(got) != 1 || !bytes.Equal(got[0], master) {
		t.Errorf("ReadKeyFile: %d keys, %v; want the one that was written", len(got), err)
	}
}

func TestKeyFileIsNeverOverwritten(t *testing.T) {
	t.Parallel()
	master := keys.NewMasterKey()
	path := keyFile(t, master)
	if err := keys.WriteKeyFile(path, keys.NewMasterKey()); !errors.Is(err, fs.ErrExist) {
		t.Errorf("second WriteKeyFile: %v; want fs.ErrExist", err)
	}
	if got, err := keys.ReadKeyFile(path); err != nil || !bytes.Equal(got[0], master) {
		t.Errorf("after it, ReadKeyFile: %d keys, %v; want the first key", len(got), err)
	}
}

// TestKeyFileChangesWhole: the order of keys is kept; a change that fails leaves
// the file as it was and nothing beside it, and two cannot change it at once.
func TestKeyFileChangesWhole(t *testing.T) {
	t.Parallel()
	first, second := keys.NewMasterKey(), keys.NewMasterKey()
	path := keyFile(t, first)
	add := func(list []keys.MasterKey) ([]keys.MasterKey, error) {
		if err := keys.EditKeyFile(path, func(l []keys.MasterKey) ([]keys.MasterKey, error) { return l, nil }); err == nil {
			t.Error("the file was changed while it was being changed")
		}
		return append([]keys.MasterKey{second}, list...), nil
	}
	if err := keys.EditKeyFile(path, add); err != nil {
		t.Fatal(err)
	}
	refused := errors.New("refused")
	for name, change := range map[string]func([]keys.MasterKey) ([]keys.MasterKey, error){
		"refused":     func([]keys.MasterKey) ([]keys.MasterKey, error) { return nil, refused },
		"none left":   func([]keys.MasterKey) ([]keys.MasterKey, error) { return nil, nil },
		"twice":       func(l []keys.MasterKey) ([]keys.MasterKey, error) { return append(l, l[0]), nil },
		"a short one": func(l []keys.MasterKey) ([]keys.MasterKey, error) { return append(l, l[0][:16]), nil },
	} {
		if err := keys.EditKeyFile(path, change); err == nil {
			t.Errorf("%s: the file was changed", name)
		}
	}
	got, err := keys.ReadKeyFile(path)
	if err != nil || len(got) != 2 || !bytes.Equal(got[0], second) || !bytes.Equal(got[1], first) {
		t.Errorf("got %d keys, %v; want the new one, then the first", len(got), err)
	}
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil || len(entries) != 1 {
		t.Errorf("beside the key file: %v, %v; want nothing", entries, err)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode: %v, %v; want 0600", info.Mode(), err)
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
		"twice the same": string(good) + key,
		"an empty line":  string(good) + "\n",
		"eleven keys":    head + "\n" + eleven(),
		"not base64":     head + "\n" + strings.Repeat("!", 44) + "\n",
	} {
		if got, err := keys.ParseKeyFile(text); err == nil {
			t.Errorf("%s: %d keys; want an error", name, len(got))
		}
	}
	if _, err := keys.ReadKeyFile(filepath.Join(t.TempDir(), "none")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no file: %v; want fs.ErrNotExist", err)
	}
	if err := keys.WriteKeyFile(filepath.Join(t.TempDir(), "short"), make([]byte, 16)); err == nil {
		t.Error("a short master key was written")
	}
}

func eleven() (lines string) {
	for range 11 {
		lines += base64.StdEncoding.EncodeToString(keys.NewMasterKey()) + "\n"
	}
	return lines
}

func FuzzParseKeyFile(f *testing.F) {
	f.Add("sallyport master key v1\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n")
	f.Add("sallyport master key v2\n")
	f.Fuzz(func(t *testing.T, text string) {
		masters, err := keys.ParseKeyFile(text)
		if err == nil && (len(masters) == 0 || strings.TrimSuffix(fileText(masters), "\n") != strings.TrimSuffix(text, "\n")) {
			t.Errorf("ParseKeyFile(%q): %d keys, which are written otherwise", text, len(masters))
		}
	})
}

func fileText(masters []keys.MasterKey) string {
	text := "sallyport master key v1\n"
	for _, m := range masters {
		text += base64.StdEncoding.EncodeToString(m) + "\n"
	}
	return text
}
