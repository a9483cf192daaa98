package keys

import (
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
)

const keyFileHead = "sallyport master key v1\n"

// WriteKeyFile makes a key file that only its owner can read. It never
// overwrites one: what was sealed under the old key would be lost.
func WriteKeyFile(path string, master []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("keys: make key file: %w", err)
	}
	_, err = f.WriteString(keyFileHead + base64.StdEncoding.EncodeToString(master) + "\n")
	return errors.Join(err, f.Sync(), f.Close())
}

// ReadKeyFile reads a key file. It refuses one that others can read.
func ReadKeyFile(path string) ([]byte, error) {
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
		return nil, fmt.Errorf("keys: key file %s can be read by others (mode %04o); chmod 600 it", path, info.Mode().Perm())
	}
	text, err := io.ReadAll(io.LimitReader(f, 1<<10))
	if err != nil {
		return nil, fmt.Errorf("keys: read key file: %w", err)
	}
	return ParseKeyFile(string(text))
}

// ParseKeyFile reads the text of a key file.
func ParseKeyFile(text string) ([]byte, error) {
	encoded, ok := strings.CutPrefix(text, keyFileHead)
	if !ok {
		return nil, errors.New("keys: not a key file of this version")
	}
	master, err := base64.StdEncoding.Strict().DecodeString(strings.TrimSuffix(encoded, "\n"))
	if err != nil || len(master) != MasterKeySize {
		return nil, errors.New("keys: the key file is damaged")
	}
	return master, nil
}
