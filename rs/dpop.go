package rs

import (
	"crypto"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/sallyport-id/sallyport/internal/issuer"
)

// DPoPMode says whether tokens that are bound to a key are accepted (RFC 9449).
type DPoPMode int

// What to accept.
const (
	DPoPOff      DPoPMode = iota // bearer tokens alone; those that are bound are refused
	DPoPAllowed                  // both; a bound token with its proof alone
	DPoPRequired                 // bound tokens alone
)

const (
	proofAge      = 60 * time.Second // how long a proof is good, besides Config.Leeway
	longestJTI    = 256              // bytes
	proofRefusal  = "the DPoP proof "
	privateFields = "d p q dp dq qi oth k" // of a JWK (RFC 7518 §6)
)

// checkProof checks that the sender of a request has the key that its token is
// bound to (RFC 9449 §4.3). The proof is of this request and was not seen before.
func (s *Server) checkProof(r *http.Request, token, thumbprint string) *refusal {
	proofs := r.Header.Values("DPoP")
	if len(proofs) != 1 || len(proofs[0]) > longestToken {
		return badProof("the request does not have one DPoP proof")
	}
	target := s.target(r)
	p, wrong := s.parseProof(proofs[0])
	if wrong != "" {
		return badProof(proofRefusal + wrong)
	}
	sum := sha256.Sum256([]byte(token))
	now, ath := s.config.Now(), base64.RawURLEncoding.EncodeToString(sum[:])
	switch {
	case p.method != r.Method:
		return badProof(proofRefusal + "is for another method")
	case target == "" || p.target != target:
		return badProof(proofRefusal + "is for another URL")
	case p.issued.Before(now.Add(-proofAge-s.config.Leeway)) || p.issued.After(now.Add(s.config.Leeway)):
		return badProof(proofRefusal + "is too old, or of the future")
	case subtle.ConstantTimeCompare([]byte(p.tokenHash), []byte(ath)) != 1:
		return badProof(proofRefusal + "is for another access token")
	case subtle.ConstantTimeCompare([]byte(p.thumbprint), []byte(thumbprint)) != 1:
		return invalid("the access token is bound to another key")
	case s.config.NonceKey != nil && !s.isNonce(p.nonce, now):
		return &refusal{status: http.StatusUnauthorized, code: useNonce, text: "the DPoP proof needs the nonce of the header DPoP-Nonce"}
	}
	// Last, so that nobody fills the memory without a token and its key.
	first, err := s.config.Replays.Use(r.Context(), p.id(), p.issued.Add(proofAge+s.config.Leeway))
	switch {
	case err != nil:
		return unavailable(err)
	case !first:
		return badProof(proofRefusal + "was used before")
	}
	return nil
}

// A proof is what a DPoP proof says, its signature being that of its key.
type proof struct {
	thumbprint string // RFC 7638, SHA-256
	jti        string
	method     string
	target     string // normalised
	issued     time.Time
	tokenHash  string
	nonce      string
}

// id names the proof among all: nobody but the holder of the key makes another of
// that name.
func (p proof) id() [sha256.Size]byte { return sha256.Sum256([]byte(p.thumbprint + "\n" + p.jti)) }

// parseProof checks the signature of a proof by the key that is in it and reads
// the claims (RFC 9449 §4.2). It says what is wrong.
func (s *Server) parseProof(text string) (p proof, wrong string) {
	h, err := issuer.ParseHeader(text)
	if err != nil {
		return proof{}, "is malformed"
	}
	if wrong := s.checkHeader(h, "dpop+jwt"); wrong != "" {
		return proof{}, wrong
	}
	key, ok := proofKey(h)
	if !ok {
		return proof{}, "does not have a public key of its algorithm"
	}
	claims, wrong := open(text, h.Algorithm, key.Key)
	if wrong != "" {
		return proof{}, wrong
	}
	thumbprint, err := key.Thumbprint(crypto.SHA256)
	if err != nil {
		return proof{}, "has a malformed key"
	}
	r := issuer.Reader{Object: claims}
	p = proof{
		thumbprint: base64.RawURLEncoding.EncodeToString(thumbprint), jti: r.Text("jti"), method: r.Text("htm"),
		target: normalURL(r.Text("htu")), issued: r.Instant("iat"), tokenHash: r.Text("ath"), nonce: r.Text("nonce"),
	}
	if r.Err != nil || p.jti == "" || len(p.jti) > longestJTI || p.issued.IsZero() {
		return proof{}, "lacks a claim, or has a malformed one"
	}
	return p, ""
}

// proofKey reads the public key of a proof's header. One with private parts is
// refused: whoever saw it has them (RFC 9449 §4.3).
func proofKey(h issuer.Header) (jose.JSONWebKey, bool) {
	var fields issuer.Object
	if ok, err := h.Object.Decode("jwk", &fields); err != nil || !ok {
		return jose.JSONWebKey{}, false
	}
	for _, name := range strings.Fields(privateFields) {
		if _, there := fields[name]; there {
			return jose.JSONWebKey{}, false
		}
	}
	var key jose.JSONWebKey
	if key.UnmarshalJSON(h.Object["jwk"]) != nil {
		return jose.JSONWebKey{}, false
	}
	return key, slices.Contains(issuer.Algorithms(key), h.Algorithm)
}

// target is the URL of a request as its client sees it, normalised. Its origin is
// configured: Host and forwarding headers are the sender's.
func (s *Server) target(r *http.Request) string {
	u := r.URL
	if r.RequestURI != "" { // not what a handler around this one made of it
		sent, err := url.ParseRequestURI(r.RequestURI)
		if err != nil {
			return ""
		}
		u = sent
	}
	path := u.EscapedPath()
	if path != "" && !strings.HasPrefix(path, "/") { // OPTIONS *, CONNECT
		return ""
	}
	return normalURL(strings.TrimSuffix(s.config.ExternalURL, "/") + path)
}

// normalURL is a URL without query and fragment in its normal form (RFC 9449 §4.3,
// RFC 3986 §6.2.2, §6.2.3); "" if it is none. Dots stay in the path: who sends
// them asks for trouble.
func normalURL(text string) string {
	u, err := url.Parse(text)
	if err != nil || !isWeb(u) || u.User != nil || u.Opaque != "" {
		return ""
	}
	scheme, host := strings.ToLower(u.Scheme), strings.ToLower(u.Host)
	switch scheme {
	case "https":
		host = strings.TrimSuffix(host, ":443")
	case "http":
		host = strings.TrimSuffix(host, ":80")
	}
	host = strings.TrimSuffix(host, ":")
	path := normalPath(u.EscapedPath())
	if path == "" {
		path = "/"
	}
	return scheme + "://" + host + path
}

// normalPath decodes the escapes that need not be, and writes the others in capitals.
func normalPath(path string) string {
	var b strings.Builder
	for i := 0; i < len(path); i++ {
		if path[i] != '%' || i+2 >= len(path) {
			b.WriteByte(path[i])
			continue
		}
		escape := strings.ToUpper(path[i : i+3])
		if c, err := url.PathUnescape(escape); err == nil && isUnreserved(c) {
			escape = c
		}
		b.WriteString(escape)
		i += 2
	}
	return b.String()
}

// isUnreserved reports whether a character means itself (RFC 3986 §2.3).
func isUnreserved(c string) bool {
	return len(c) == 1 && (isToken68(c) && !strings.ContainsAny(c, "+/"))
}
