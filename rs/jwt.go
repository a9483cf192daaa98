package rs

import (
	"context"
	"errors"
	"strings"

	"github.com/go-jose/go-jose/v4"

	"github.com/sallyport-id/sallyport/internal/issuer"
)

// verifyJWT checks a JWT access token (RFC 9068 §4, RFC 8725 §3).
func (s *Server) verifyJWT(ctx context.Context, token string, h issuer.Header) (*Token, *refusal) {
	if refused := s.checkHeader(h, "at+jwt"); refused != "" {
		return nil, invalid("the access token " + refused)
	}
	public, err := s.keys.Find(ctx, h.KeyID, h.Algorithm)
	switch {
	case errors.Is(err, issuer.ErrNoKey):
		return nil, invalid("the access token is signed with a key that the server does not have")
	case err != nil:
		return nil, unavailable(err)
	}
	claims, refused := open(token, h.Algorithm, public)
	if refused != "" {
		return nil, invalid("the access token " + refused)
	}
	t, wrong := s.expected().check(claims)
	switch {
	case wrong != nil:
		return nil, wrong
	case t.IssuedAt.IsZero():
		return nil, invalid("the access token has no iat")
	case t.ID == "":
		return nil, invalid("the access token has no jti")
	}
	return t, nil
}

// checkHeader says what is wrong with the header of a signed token of one type, ""
// if nothing is. Types are media types, "application/" may be left out (RFC 7515
// §4.1.9).
func (s *Server) checkHeader(h issuer.Header, typ string) string {
	got := strings.ToLower(h.Type)
	switch {
	case !s.accepts(h.Algorithm):
		return "is signed with an algorithm that is not accepted"
	case got != typ && got != "application/"+typ:
		return "is a token of another type"
	case h.Extension != "":
		return "has an extension that is not understood"
	}
	return ""
}

// open verifies a signature and reads the claims; or it says what is wrong.
func open(token string, alg jose.SignatureAlgorithm, public any) (issuer.Object, string) {
	jws, err := jose.ParseSignedCompact(token, []jose.SignatureAlgorithm{alg})
	if err != nil {
		return nil, "is malformed"
	}
	payload, err := jws.Verify(public)
	if err != nil {
		return nil, "has a wrong signature"
	}
	claims, err := issuer.ParseObject(payload)
	if err != nil {
		return nil, "is malformed"
	}
	return claims, ""
}
