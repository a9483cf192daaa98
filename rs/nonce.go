package rs

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"net/http"
	"time"
)

const (
	noncePeriod      = 2 * time.Minute // how long a nonce is the newest; it is taken as long again
	shortestNonceKey = 32              // bytes
)

// nonce is what DPoP proofs may carry (RFC 9449 §9): the time, signed. Every node makes
// the same, and none keeps it.
func (s *Server) nonce(now time.Time, periodsAgo int64) string {
	var text [8]byte
	binary.BigEndian.PutUint64(text[:], uint64(now.Unix()/int64(noncePeriod/time.Second)-periodsAgo))
	mac := hmac.New(sha256.New, s.config.NonceKey)
	mac.Write(text[:])
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// isNonce accepts the newest and the one before. One of a node whose clock is ahead is
// refused; the client then has the right one.
func (s *Server) isNonce(got string, now time.Time) bool {
	return hmac.Equal([]byte(got), []byte(s.nonce(now, 0))) || hmac.Equal([]byte(got), []byte(s.nonce(now, 1)))
}

func (s *Server) giveNonce(h http.Header) { h.Set("DPoP-Nonce", s.nonce(s.config.Now(), 0)) }
