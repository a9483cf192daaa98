package keys

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// keyFileHead begins a key file. Each further line is a key in base64: the first
// seals, and those below it open what they have sealed.
const keyFileHead = "sallyport master key v1\n"

// mostMasterKeys bounds a key file.
const mostMasterKeys = 10

// WriteKeyFile makes a key file that only its owner can read, and returns when
// it is on the disk. It never overwrites one: what was sealed under the old key
// would be lost (fs.ErrExist).
func WriteKeyFile(path string, masters ...MasterKey) error {
	text, err := keyFileText(masters)
	if err != nil {
		return err
	}
	if err := writeNewFile(path, text); err != nil {
		return fmt.Errorf("keys: make key file: %w", err)
	}
	return nil
}

// writeNewFile leaves no half of a file behind.
func writeNewFile(path, text string) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	if err = errors.Join(err, f.Sync(), f.Close(), syncDir(filepath.Dir(path))); err != nil {
		return errors.Join(err, os.Remove(path))
	}
	return nil
}

// EditKeyFile gives the keys of a key file to change and puts what it returns in
// their place, whole or not at all. Of two who do so at once one is refused.
func EditKeyFile(path string, change func([]MasterKey) ([]MasterKey, error)) error {
	draft := path + ".new"
	if err := writeNewFile(draft, ""); errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("keys: %s exists: somebody else is changing the key file, or was stopped while doing so and it can be removed", draft)
	} else if err != nil {
		return fmt.Errorf("keys: change key file: %w", err)
	}
	if err := fillDraft(draft, path, change); err != nil {
		return errors.Join(err, os.Remove(draft))
	}
	if err := errors.Join(os.Rename(draft, path), syncDir(filepath.Dir(path))); err != nil {
		return fmt.Errorf("keys: change key file: %w", err)
	}
	return nil
}

func fillDraft(draft, path string, change func([]MasterKey) ([]MasterKey, error)) error {
	masters, err := ReadKeyFile(path)
	if err != nil {
		return err
	}
	if masters, err = change(masters); err != nil {
		return err
	}
	text, err := keyFileText(masters)
	if err != nil {
		return err
	}
	f, err := os.OpenFile(draft, os.O_WRONLY, 0)
	if err != nil {
		return fmt.Errorf("keys: change key file: %w", err)
	}
	_, err = f.WriteString(text)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("keys: change key file: %w", err)
	}
	return nil
}

func keyFileText(masters []MasterKey) (string, error) {
	text := keyFileHead
	for _, master := range masters {
		text += base64.StdEncoding.EncodeToString(master) + "\n"
	}
	_, err := ParseKeyFile(text)
	return text, err
}

// syncDir makes a new name in a directory durable.
func syncDir(path string) error {
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

// ReadKeyFile reads a key file: the key that seals, then older ones. It refuses a
// file that the group or others may read or write.
func ReadKeyFile(path string) ([]MasterKey, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("keys: open key file: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("keys: key file: %w", err)
	}
	if info.Mode().Perm()&0o077 != 0 {
		return nil, fmt.Errorf("keys: key file %s is open to others (mode %04o); chmod 600 it", path, info.Mode().Perm())
	}
	text, err := io.ReadAll(io.LimitReader(f, 4<<10))
	if err != nil {
		return nil, fmt.Errorf("keys: read key file: %w", err)
	}
	return ParseKeyFile(string(text))
}

// ParseKeyFile reads the text of a key file: one to ten different keys.
func ParseKeyFile(text string) ([]MasterKey, error) {
	lines, ok := strings.CutPrefix(text, keyFileHead)
	if !ok {
		return nil, errors.New("keys: not a key file of this version")
	}
	var masters []MasterKey
	for line := range strings.Lines(lines) {
		encoded := strings.TrimSuffix(line, "\n")
		master, err := base64.StdEncoding.Strict().DecodeString(encoded)
		if err != nil || len(master) != MasterKeySize || strings.Contains(encoded, "\r") {
			return nil, errors.New("keys: the key file is damaged")
		}
		if slices.ContainsFunc(masters, func(m MasterKey) bool { return bytes.Equal(m, master) }) {
			return nil, errors.New("keys: the key file has a key twice")
		}
		masters = append(masters, master)
	}
	if len(masters) == 0 || len(masters) > mostMasterKeys {
		return nil, fmt.Errorf("keys: a key file has 1 to %d keys, this one has %d", mostMasterKeys, len(masters))
	}
	return masters, nil
}
