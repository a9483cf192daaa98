package keys

import (
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// keyFileHead begins a key file; the key in base64 is the second line.
const keyFileHead = "sallyport master key v1\n"

// WriteKeyFile makes a key file that only its owner can read, and returns when
// it is on the disk. It never overwrites one: what was sealed under the old key
// would be lost (fs.ErrExist).
func WriteKeyFile(path string, master MasterKey) error {
	if len(master) != MasterKeySize {
		return fmt.Errorf("keys: a master key has %d bytes, got %d", MasterKeySize, len(master))
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("keys: make key file: %w", err)
	}
	_, err = f.WriteString(keyFileHead + base64.StdEncoding.EncodeToString(master) + "\n")
	if err = errors.Join(err, f.Sync(), f.Close(), syncDir(filepath.Dir(path))); err != nil {
		return errors.Join(fmt.Errorf("keys: write key file: %w", err), os.Remove(path))
	}
	return nil
}

// syncDir makes a new name in a directory durable.
func syncDir(path string) error {
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

// ReadKeyFile reads a key file. It refuses one that the group or others may read
// or write.
func ReadKeyFile(path string) (MasterKey, error) {
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
	text, err := io.ReadAll(io.LimitReader(f, 1<<10))
	if err != nil {
		return nil, fmt.Errorf("keys: read key file: %w", err)
	}
	return ParseKeyFile(string(text))
}

// ParseKeyFile reads the text of a key file.
func ParseKeyFile(text string) (MasterKey, error) {
	encoded, ok := strings.CutPrefix(text, keyFileHead)
	if !ok {
		return nil, errors.New("keys: not a key file of this version")
	}
	encoded = strings.TrimSuffix(encoded, "\n")
	master, err := base64.StdEncoding.Strict().DecodeString(encoded)
	if err != nil || len(master) != MasterKeySize || strings.ContainsAny(encoded, "\r\n") {
		return nil, errors.New("keys: the key file is damaged")
	}
	return master, nil
}
