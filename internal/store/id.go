package store

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"encoding/base64"
	"encoding/binary"
	"sync/atomic"
	"time"
)

// idEncoding keeps the order of the bytes in the order of the text.
var idEncoding = base32.NewEncoding("0123456789abcdefghjkmnpqrstvwxyz").WithPadding(base32.NoPadding)

// last is the time part of the newest id.
var last atomic.Uint64

// NewID returns a new id as 26 characters whose order is that of time: 48 bits
// of Unix milliseconds, 16 that count on within one, and 64 random bits. Of one
// process each is greater than the one before. It is a row's key and no secret.
func NewID() string {
	var b [16]byte
	binary.BigEndian.PutUint64(b[:8], ascending(uint64(time.Now().UnixMilli())<<16))
	rand.Read(b[8:])
	return idEncoding.EncodeToString(b[:])
}

// ascending returns now, or one more than the last if that is not less.
func ascending(now uint64) uint64 {
	for {
		newest := last.Load()
		next := max(now, newest+1)
		if last.CompareAndSwap(newest, next) {
			return next
		}
	}
}

// NewSecret returns a new secret of 256 random bits, base64url, and the hash
// that is stored of it.
func NewSecret() (secret string, hash []byte) {
	var b [32]byte
	rand.Read(b[:])
	secret = base64.RawURLEncoding.EncodeToString(b[:])
	return secret, HashSecret(secret)
}

// HashSecret is SHA-256: enough for secrets of 128 bits and more, and for no
// others.
func HashSecret(secret string) []byte {
	sum := sha256.Sum256([]byte(secret))
	return sum[:]
}
