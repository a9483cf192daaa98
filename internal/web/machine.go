package web

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/sallyport-id/sallyport/internal/keys"
	"github.com/sallyport-id/sallyport/internal/oidc"
)

// token is the token endpoint (RFC 6749 §3.2).
func (s *server) token(w http.ResponseWriter, r *http.Request) error {
	forScripts(w.Header())
	if wait := s.guessRate.full(s.address(r)); wait > 0 {
		return s.tooMany(s.guessRate, wait)
	}
	form, err := readForm(w, r)
	if err != nil {
		return s.machineError(w, r, err)
	}
	req, refusal := oidc.ParseTokenRequest(r.Header.Values("Authorization"), form)
	if refusal != nil {
		return s.machineError(w, r, refusal)
	}
	req.DPoP = r.Header.Values("DPoP")
	s.offerNonce(w, req.DPoP)
	resp, err := s.Tokens.Serve(r.Context(), req, s.origin(r))
	s.noteClient(r, req.Auth, err)
	if err != nil {
		return s.machineError(w, r, err)
	}
	s.Metrics.Tokens(req.GrantType)
	w.Header().Set("Pragma", "no-cache") // beside Cache-Control (RFC 6749 §5.1)
	return writeJSON(w, http.StatusOK, resp)
}

// introspect is the introspection endpoint, for APIs (RFC 7662 §2). Scripts of
// other origins have no business here.
func (s *server) introspect(w http.ResponseWriter, r *http.Request) error {
	query, err := s.tokenQuery(w, r)
	if err != nil {
		return s.queryError(w, r, err)
	}
	answer, err := s.Tokens.Introspect(r.Context(), query, s.origin(r))
	s.noteClient(r, query.Auth, err)
	if err != nil {
		return s.queryError(w, r, err)
	}
	return writeJSON(w, http.StatusOK, answer)
}

// revoke is the revocation endpoint (RFC 7009 §2). There is nothing to tell about
// a token that is worth nothing any more.
func (s *server) revoke(w http.ResponseWriter, r *http.Request) error {
	forScripts(w.Header())
	query, err := s.tokenQuery(w, r)
	if err != nil {
		return s.machineError(w, r, err)
	}
	err = s.Tokens.Revoke(r.Context(), query, s.origin(r))
	s.noteClient(r, query.Auth, err)
	if err != nil {
		return s.machineError(w, r, err)
	}
	w.WriteHeader(http.StatusOK)
	return nil
}

// noteClient notes the client if it was proven: of others the id may be anything.
func (s *server) noteClient(r *http.Request, auth oidc.ClientAuth, err error) {
	var refusal *oidc.Error
	if err == nil || errors.As(err, &refusal) && refusal.Code != oidc.InvalidClient {
		noted(r).clientID = auth.ID
	}
}

// tokenQuery reads a request about a token.
func (s *server) tokenQuery(w http.ResponseWriter, r *http.Request) (*oidc.TokenQuery, error) {
	if wait := s.guessRate.full(s.address(r)); wait > 0 {
		return nil, s.tooMany(s.guessRate, wait)
	}
	form, err := readForm(w, r)
	if err != nil {
		return nil, err
	}
	query, refusal := oidc.ParseTokenQuery(r.Header.Values("Authorization"), form)
	if refusal != nil {
		return nil, refusal
	}
	return query, nil
}

// queryError answers an error of the introspection endpoint: 401 for a client that
// is not who it says, 403 for one that may not ask at all (RFC 7662 §2.3).
func (s *server) queryError(w http.ResponseWriter, r *http.Request, err error) error {
	var refusal *oidc.Error
	if !errors.As(err, &refusal) {
		return err
	}
	noted(r).because(refusal.Code)
	status := http.StatusBadRequest
	switch refusal.Code {
	case oidc.InvalidClient:
		s.guessRate.take(s.address(r))
		status = http.StatusUnauthorized
		w.Header().Set("WWW-Authenticate", basicChallenge)
	case oidc.UnauthorizedClient:
		status = http.StatusForbidden
	}
	return writeError(w, status, refusal)
}

// userinfo is the UserInfo endpoint (OpenID Connect Core §5.3).
func (s *server) userinfo(w http.ResponseWriter, r *http.Request) error {
	forScripts(w.Header())
	if wait := s.guessRate.full(s.address(r)); wait > 0 {
		return s.tooMany(s.guessRate, wait)
	}
	form, err := readBearerForm(w, r)
	if err != nil {
		return s.bearerError(w, r, err, false)
	}
	token, refusal := oidc.ParseBearer(r.Header.Values("Authorization"), form)
	if refusal != nil {
		return s.bearerError(w, r, refusal, token.DPoP)
	}
	dpop := r.Header.Values("DPoP")
	s.offerNonce(w, dpop)
	claims, err := s.Tokens.Userinfo(r.Context(), token, r.Method, dpop)
	if err != nil {
		return s.bearerError(w, r, err, token.DPoP)
	}
	return writeJSON(w, http.StatusOK, claims)
}

// forScripts lets scripts of any origin read the answer: single-page applications
// are clients, too. Nothing here is decided by a cookie.
func forScripts(h http.Header) {
	h.Set("Access-Control-Allow-Origin", "*")
	h.Set("Access-Control-Expose-Headers", "WWW-Authenticate, Retry-After, DPoP-Nonce")
}

// preflight says before a script asks that it may.
func (s *server) preflight(w http.ResponseWriter, _ *http.Request) error {
	h := w.Header()
	forScripts(h)
	h.Set("Access-Control-Allow-Methods", "GET, POST")
	h.Set("Access-Control-Allow-Headers", "Authorization, Content-Type, DPoP")
	h.Set("Access-Control-Max-Age", "86400")
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// offerNonce gives a client that sends proofs the nonce for the next one (RFC 9449
// §8.2).
func (s *server) offerNonce(w http.ResponseWriter, dpop []string) {
	if len(dpop) > 0 {
		w.Header().Set("DPoP-Nonce", s.Tokens.DPoPNonce())
	}
}

// basicChallenge asks for a client's credentials (RFC 7617 §2).
const basicChallenge = `Basic realm="token"`

// machineError answers an error of the token endpoint as JSON (RFC 6749 §5.2).
func (s *server) machineError(w http.ResponseWriter, r *http.Request, err error) error {
	var refusal *oidc.Error
	if !errors.As(err, &refusal) {
		return err
	}
	noted(r).because(refusal.Code)
	status := http.StatusBadRequest
	if refusal.Code == oidc.InvalidClient {
		s.guessRate.take(s.address(r))
		if r.Header.Get("Authorization") != "" {
			status = http.StatusUnauthorized
			w.Header().Set("WWW-Authenticate", basicChallenge)
		}
	}
	return writeError(w, status, refusal)
}

// bearerError answers an error of a protected resource (RFC 6750 §3), to a token of
// the scheme DPoP in its words.
func (s *server) bearerError(w http.ResponseWriter, r *http.Request, err error, dpop bool) error {
	var refusal *oidc.Error
	if !errors.As(err, &refusal) {
		return err
	}
	noted(r).because(cmp.Or(refusal.Code, reasonNoToken))
	if refusal.Code == oidc.InvalidToken {
		s.guessRate.take(s.address(r))
	}
	w.Header().Set("WWW-Authenticate", oidc.Challenge(refusal, dpop))
	return writeError(w, oidc.BearerStatus(refusal), refusal)
}

func writeError(w http.ResponseWriter, status int, e *oidc.Error) error {
	if e.Code == "" { // nothing was sent, so nothing was wrong with it
		w.WriteHeader(status)
		return nil
	}
	return writeJSON(w, status, struct {
		Error       string `json:"error"`
		Description string `json:"error_description,omitempty"`
	}{e.Code, e.Description})
}

func writeJSON(w http.ResponseWriter, status int, v any) error {
	body, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("marshal answer: %w", err)
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	_, _ = w.Write(body)
	return nil
}

// document is an answer that is made once.
type document struct {
	body []byte
	etag string
}

func (s *server) buildMetadata() (document, error) {
	m := oidc.NewMetadata(s.Tokens.Issuer)
	if s.Flow.WebAuthn != nil {
		m.ACRValuesSupported = append(m.ACRValuesSupported, oidc.ACRPHR)
	}
	if s.Flow.WebAuthn.Attests() {
		m.ACRValuesSupported = append(m.ACRValuesSupported, oidc.ACRPHRH)
	}
	body, err := json.Marshal(m)
	return document{body: body, etag: keys.ETag(body)}, err
}

// discovery answers both kinds of metadata (OpenID Connect Discovery §4,
// RFC 8414 §3).
func (s *server) discovery(w http.ResponseWriter, r *http.Request) error {
	if proof := r.Header.Get(probeHeader); proof != "" && s.IsOperator(proof) {
		return s.answerProbe(w, r)
	}
	return serveDocument(w, r, s.metadata, "application/json")
}

func (s *server) jwks(w http.ResponseWriter, r *http.Request) error {
	body, etag := s.Keys.Load().JWKS()
	return serveDocument(w, r, document{body, etag}, "application/jwk-set+json")
}

// documentAge is how long a public document may be kept.
var documentAge = fmt.Sprintf("public, max-age=%d", int(keys.JWKSMaxAge/time.Second))

// serveDocument answers a public document.
func serveDocument(w http.ResponseWriter, r *http.Request, d document, contentType string) error {
	h := w.Header()
	h.Set("ETag", d.etag)
	h.Set("Cache-Control", documentAge)
	h.Set("Access-Control-Allow-Origin", "*")
	if r.Header.Get("If-None-Match") == d.etag {
		w.WriteHeader(http.StatusNotModified)
		return nil
	}
	h.Set("Content-Type", contentType)
	h.Set("Content-Length", strconv.Itoa(len(d.body)))
	_, _ = w.Write(d.body)
	return nil
}
