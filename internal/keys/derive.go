package keys

import (
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"io"
	"log/slog"
)

// MasterKeySize is the size of the master key, in bytes.
const MasterKeySize = 32

// MasterKey is the secret that everything else is derived from. It is kept in a
// file beside the database, never in it. It prints as [redacted].
type MasterKey []byte

// NewMasterKey returns 256 random bits.
func NewMasterKey() MasterKey {
	key := make(MasterKey, MasterKeySize)
	rand.Read(key)
	return key
}

// derive returns the 32-byte key of a purpose (RFC 5869 §2).
func (k MasterKey) derive(purpose string) []byte {
	key, err := hkdf.Key(sha256.New, k, nil, "sallyport "+purpose, 32)
	if err != nil {
		panic("keys: hkdf of 32 bytes: " + err.Error()) // only for impossible lengths
	}
	return key
}

// Derive returns a 32-byte key for a purpose: the same one at every start and on
// every node, and another one for every other purpose. It follows the current
// master key, so what it keys (cookies, counters) starts anew when that changes.
func (s *Sealer) Derive(purpose string) []byte { return s.master.derive(purpose) }

const hidden = "[redacted]"

// redacted hides what embeds it from logs and messages, whatever the verb.
type redacted struct{}

// LogValue hides the value from logs.
func (redacted) LogValue() slog.Value { return slog.StringValue(hidden) }

// Format hides the value from every verb of fmt.
func (redacted) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, hidden) }

// String hides the value from messages.
func (redacted) String() string { return hidden }

// MarshalText hides the value from JSON.
func (redacted) MarshalText() ([]byte, error) { return []byte(hidden), nil }

// LogValue hides the key from logs.
func (MasterKey) LogValue() slog.Value { return redacted{}.LogValue() }

// Format hides the key from every verb of fmt.
func (MasterKey) Format(f fmt.State, verb rune) { redacted{}.Format(f, verb) }

// String hides the key from messages.
func (MasterKey) String() string { return hidden }

// MarshalText hides the key from JSON.
func (MasterKey) MarshalText() ([]byte, error) { return redacted{}.MarshalText() }
