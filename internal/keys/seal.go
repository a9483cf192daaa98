// Package keys holds the server's secrets: it seals what must be recoverable,
// derives keys for other purposes, and signs tokens with keys that it publishes.
package keys

import (
	"crypto/aes"
	"crypto/cipher"
	"encoding/binary"
	"errors"
	"fmt"
)

// A sealed value is: version, key id, nonce, ciphertext, tag.
const (
	sealVersion = 1
	sealHead    = 1 + len(keyID{})
)

// keyID tells master keys apart, so that a wrong one is not taken for damage. It
// tells nothing about the key.
type keyID [4]byte

// Place is where a sealed value stays: it opens nowhere else. Owner is the user
// or the client it belongs to, "" if none.
type Place struct{ Table, Column, Row, Owner string }

// Sealer seals values under keys derived from the master key. It is safe for
// concurrent use. A key seals at most 2³² values (NIST SP 800-38D §8.3), far
// more than a server has secrets.
type Sealer struct {
	redacted
	master  MasterKey
	current keyID
	aeads   map[keyID]cipher.AEAD
}

// NewSealer takes the master key, and older ones that values may still be sealed
// under. Each has MasterKeySize bytes, or it is an error.
func NewSealer(current MasterKey, old ...MasterKey) (*Sealer, error) {
	s := &Sealer{master: append(MasterKey(nil), current...), aeads: map[keyID]cipher.AEAD{}}
	for _, key := range append([]MasterKey{current}, old...) {
		if len(key) != MasterKeySize {
			return nil, fmt.Errorf("keys: a master key has %d bytes, got %d", MasterKeySize, len(key))
		}
		block, err := aes.NewCipher(key.derive("seal"))
		if err != nil {
			return nil, fmt.Errorf("keys: %w", err)
		}
		if s.aeads[key.id()], err = cipher.NewGCMWithRandomNonce(block); err != nil {
			return nil, fmt.Errorf("keys: %w", err)
		}
	}
	s.current = current.id()
	return s, nil
}

func (k MasterKey) id() keyID { return keyID(k.derive("seal key id")) }

// The errors of Open.
var (
	ErrMasterKey = errors.New("keys: sealed under another master key")
	ErrSealed    = errors.New("keys: not a sealed value of this place")
)

// Seal encrypts a value for a place, under the current master key. It adds 33
// bytes.
func (s *Sealer) Seal(plain []byte, where Place) ([]byte, error) {
	sealed := make([]byte, 0, sealHead+s.aeads[s.current].Overhead()+len(plain))
	sealed = append(append(sealed, sealVersion), s.current[:]...)
	return s.aeads[s.current].Seal(sealed, nil, plain, where.bytes()), nil
}

// Open decrypts a value at its place. ErrSealed if it was changed or moved,
// ErrMasterKey if it was sealed under a key that this sealer does not have.
func (s *Sealer) Open(sealed []byte, where Place) ([]byte, error) {
	if len(sealed) < sealHead || sealed[0] != sealVersion {
		return nil, ErrSealed
	}
	aead, ok := s.aeads[keyID(sealed[1:sealHead])]
	if !ok {
		return nil, ErrMasterKey
	}
	plain, err := aead.Open(nil, nil, sealed[sealHead:], where.bytes())
	if err != nil {
		return nil, ErrSealed
	}
	return plain, nil
}

// Outdated reports whether a value was sealed under another master key than the
// current one, and should be sealed anew before that key goes away.
func (s *Sealer) Outdated(sealed []byte) bool {
	return len(sealed) < sealHead || keyID(sealed[1:sealHead]) != s.current
}

// old reports whether a value needs one of the older master keys.
func (s *Sealer) old(sealed []byte) bool {
	if !s.Outdated(sealed) || len(sealed) < sealHead {
		return false
	}
	_, known := s.aeads[keyID(sealed[1:sealHead])]
	return known
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
