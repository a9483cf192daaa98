// Package keys holds the server's secrets: it seals what must be recoverable,
// derives keys for other purposes, and signs tokens with keys that it publishes.
package keys

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
)

// MasterKeySize is the size of the master key, in bytes.
const MasterKeySize = 32

// sealVersion begins every sealed value.
const sealVersion = 1

// Place is where a sealed value stays: it opens nowhere else.
type Place struct{ Table, Column, Row, Owner string }

// Sealer seals values under keys derived from the master key. It is safe for
// concurrent use.
type Sealer struct {
	master []byte
	id     [4]byte // of the key, so that a wrong master key is told apart from damage
	aead   cipher.AEAD
}

// NewSealer takes the 32-byte master key.
func NewSealer(master []byte) (*Sealer, error) {
	if len(master) != MasterKeySize {
		return nil, fmt.Errorf("keys: a master key has %d bytes, got %d", MasterKeySize, len(master))
	}
	s := &Sealer{master: append([]byte(nil), master...)}
	block, err := aes.NewCipher(s.Derive("seal"))
	if err != nil {
		return nil, fmt.Errorf("keys: %w", err)
	}
	if s.aead, err = cipher.NewGCMWithRandomNonce(block); err != nil {
		return nil, fmt.Errorf("keys: %w", err)
	}
	copy(s.id[:], s.Derive("seal key id"))
	return s, nil
}

// Derive returns a 32-byte key for a purpose; another purpose, another key.
func (s *Sealer) Derive(purpose string) []byte {
	key, err := hkdf.Key(sha256.New, s.master, nil, "sallyport "+purpose, 32)
	if err != nil {
		panic("keys: hkdf of 32 bytes: " + err.Error()) // only for impossible lengths
	}
	return key
}

// The errors of Open.
var (
	ErrMasterKey = errors.New("keys: sealed under another master key")
	ErrSealed    = errors.New("keys: not a sealed value of this place")
)

// Seal encrypts a value for a place.
func (s *Sealer) Seal(plain []byte, where Place) ([]byte, error) {
	head := append([]byte{sealVersion}, s.id[:]...)
	return s.aead.Seal(head, nil, plain, where.bytes()), nil
}

// Open decrypts a value at its place. ErrSealed if it was changed or moved,
// ErrMasterKey if it was sealed under another key.
func (s *Sealer) Open(sealed []byte, where Place) ([]byte, error) {
	if len(sealed) < 5 || sealed[0] != sealVersion {
		return nil, ErrSealed
	}
	if [4]byte(sealed[1:5]) != s.id {
		return nil, ErrMasterKey
	}
	plain, err := s.aead.Open(nil, nil, sealed[5:], where.bytes())
	if err != nil {
		return nil, ErrSealed
	}
	return plain, nil
}

// bytes is the place as additional data: each part with its length, so that no
// two places are the same bytes.
func (p Place) bytes() []byte {
	var b []byte
	for _, part := range []string{p.Table, p.Column, p.Row, p.Owner} {
		b = binary.BigEndian.AppendUint32(b, uint32(len(part)))
		b = append(b, part...)
	}
	return b
}

// LogValue keeps the master key out of logs.
func (s *Sealer) LogValue() slog.Value { return slog.StringValue("[redacted]") }

// String keeps the master key out of messages.
func (s *Sealer) String() string { return "[redacted]" }

// GoString keeps the master key out of %#v.
func (s *Sealer) GoString() string { return "[redacted]" }
