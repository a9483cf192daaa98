package web

import (
	"net/http"

	"github.com/sallyport-id/sallyport/internal/oidc"
	"github.com/sallyport-id/sallyport/internal/token"
)

// pushedRoutes are those of requests that are sent ahead (RFC 9126).
func (s *server) pushedRoutes() []route {
	return []route{{"POST " + s.base + token.PushPath, s.push}}
}

// push is the pushed authorization request endpoint (RFC 9126 §2). What it keeps is
// counted against the address like a page: it needs no secret.
func (s *server) push(w http.ResponseWriter, r *http.Request) error {
	forScripts(w.Header())
	address := s.address(r)
	if wait := s.pageRate.take(address); wait > 0 {
		return s.tooMany(s.pageRate, wait)
	}
	if wait := s.guessRate.full(address); wait > 0 {
		return s.tooMany(s.guessRate, wait)
	}
	form, err := readForm(w, r)
	if err != nil {
		return s.machineError(w, r, err)
	}
	req, refusal := oidc.ParsePushedRequest(r.Header.Values("Authorization"), form)
	if refusal != nil {
		return s.machineError(w, r, refusal)
	}
	req.DPoP = r.Header.Values("DPoP")
	s.offerNonce(w, req.DPoP)
	answer, err := s.Tokens.Push(r.Context(), req, s.origin(r), func(c *oidc.Client, wanted *oidc.AuthorizationRequest) error {
		if refusal := wanted.CheckRedirectURI(c); refusal != nil {
			return refusal
		}
		return s.Flow.CheckRequest(r.Context(), c, wanted)
	})
	s.noteClient(r, req.Auth, err)
	if err != nil {
		return s.machineError(w, r, err)
	}
	return writeJSON(w, http.StatusCreated, answer)
}
