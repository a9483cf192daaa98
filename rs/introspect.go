package rs

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/sallyport-id/sallyport/internal/issuer"
)

const (
	mostAsking    = 64        // introspections at a time: made-up tokens must not flood the server
	longestAnswer = 128 << 10 // bytes
)

// introspect says what the server says of a token (RFC 7662 §2), now or a moment
// ago.
func (s *Server) introspect(ctx context.Context, token string) (*Token, *refusal) {
	v, err := s.answers.get(ctx, token, s.ask)
	switch {
	case err != nil:
		return nil, unavailable(err)
	case v.refused != nil:
		return nil, v.refused
	}
	return v.token.clone(), nil
}

// ask asks the server. An error says nothing about the token.
func (s *Server) ask(ctx context.Context, token string) (verdict, error) {
	s.asking <- struct{}{}
	defer func() { <-s.asking }()
	m, err := s.metadata.Get(ctx)
	if err != nil {
		return verdict{}, err
	}
	if m.introspectionEndpoint == "" {
		return verdict{}, errors.New("the server has no introspection endpoint")
	}
	form := url.Values{"token": {token}, "token_type_hint": {"access_token"}}
	if s.config.PrivateKey != nil {
		by := issuer.Asserter{Issuer: s.config.Issuer, ClientID: s.config.ClientID, Key: s.config.PrivateKey, KeyID: s.config.KeyID, Alg: s.config.KeyAlg}
		if err := by.Assert(form, s.config.Now()); err != nil {
			return verdict{}, err
		}
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, m.introspectionEndpoint, strings.NewReader(form.Encode()))
	if err != nil {
		return verdict{}, err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if s.config.PrivateKey == nil {
		req.SetBasicAuth(url.QueryEscape(s.config.ClientID), url.QueryEscape(s.config.ClientSecret)) // RFC 6749 §2.3.1
	}
	a, err := s.server.Do(req, longestAnswer)
	if err != nil {
		return verdict{}, err
	}
	if a.Status != http.StatusOK || !a.IsJSON() { // our own credentials may be wrong, the token need not be
		return verdict{}, fmt.Errorf("POST %s: status %d, type %q", m.introspectionEndpoint, a.Status, issuer.Clip(a.Header.Get("Content-Type")))
	}
	v, err := s.expected().parseAnswer(a.Body)
	if err != nil {
		return verdict{}, fmt.Errorf("POST %s: %w", m.introspectionEndpoint, err)
	}
	return v, nil
}

// parseAnswer reads an answer about a token (RFC 7662 §2.2). The server says
// whether it is good; whether it is good here is still to be seen. An error is one
// of the server.
func (want expected) parseAnswer(data []byte) (verdict, error) {
	object, err := issuer.ParseObject(data)
	if err != nil {
		return verdict{}, err
	}
	r := issuer.Reader{Object: object}
	var active bool
	told, kind := r.Decode("active", &active), r.Text("token_type")
	switch {
	case r.Err != nil:
		return verdict{}, r.Err
	case !told:
		return verdict{}, errors.New("the answer does not say whether the token is active")
	case !active:
		return verdict{refused: invalid("the access token is not active")}, nil
	}
	t, refused := want.check(object)
	switch {
	case refused != nil:
		return verdict{refused: refused}, nil
	case strings.EqualFold(kind, dpop) && t.Confirmation == "":
		return verdict{refused: invalid("the access token is said to be bound, but not to what")}, nil
	}
	return verdict{token: t}, nil
}
