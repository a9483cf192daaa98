package keys

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"strconv"
	"strings"
	"time"
)

// proofLife is how long a proof is good, before and after its time.
const proofLife = time.Minute

// Proof shows to a server with the same master key, for a minute, that whoever
// sends it has the key file. It says so for one purpose.
func (s *Sealer) Proof(purpose string, now time.Time) string {
	at := strconv.FormatInt(now.Unix(), 10)
	return at + "." + base64.RawURLEncoding.EncodeToString(s.prove(purpose, at))
}

// ProofIs checks one. What is no proof at all is none.
func (s *Sealer) ProofIs(proof, purpose string, now time.Time) bool {
	at, mac, _ := strings.Cut(proof, ".")
	seconds, err := strconv.ParseInt(at, 10, 64)
	if err != nil || now.Sub(time.Unix(seconds, 0)).Abs() > proofLife {
		return false
	}
	got, err := base64.RawURLEncoding.DecodeString(mac)
	return err == nil && hmac.Equal(got, s.prove(purpose, at))
}

func (s *Sealer) prove(purpose, at string) []byte {
	mac := hmac.New(sha256.New, s.Derive("proof "+purpose))
	mac.Write([]byte(at))
	return mac.Sum(nil)
}
