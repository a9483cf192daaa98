package rs

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"sync/atomic"

	"github.com/go-jose/go-jose/v4"

	"github.com/sallyport-id/sallyport/internal/issuer"
)

// A Server is one API, as a resource server of one authorization server. It is
// safe for concurrent use and meant to live as long as the program.
type Server struct {
	config      Config
	server      *issuer.Client
	metadata    *issuer.Cache[metadata]
	keys        *issuer.Keys
	answers     *answers
	asking      chan struct{} // holds one for each introspection under way
	metadataURL string        // where Metadata is served; "" if Resource is no URL
	warned      atomic.Int64  // Unix seconds
}

func (s *Server) String() string   { return s.config.String() }
func (s *Server) GoString() string { return s.config.String() }

// LogValue hides the client's secret.
func (s *Server) LogValue() slog.Value { return s.config.LogValue() }

// New checks the configuration and makes a server. It sends nothing: metadata and
// keys are fetched for the first token, so that the API may start before the
// authorization server. They are kept for an hour, and for a day while the server
// is away. ctx is not kept; it is there for what New may have to wait for one day.
//
// The error names the field that is wrong.
func New(ctx context.Context, config Config) (*Server, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	config = config.withDefaults()
	if err := config.check(); err != nil {
		return nil, fmt.Errorf("rs: %w", err)
	}
	s := &Server{
		config: config, server: issuer.NewClient(config.HTTPClient, "sallyport-rs"),
		answers: newAnswers(config.Now, config.CacheTTL), asking: make(chan struct{}, mostAsking),
		metadataURL: metadataURL(config.Resource),
	}
	s.metadata = issuer.NewCache(config.Now, s.fetchMetadata)
	s.keys = issuer.NewKeys(config.Now, s.server, func(ctx context.Context) (string, error) {
		m, err := s.metadata.Get(ctx)
		return m.jwksURI, err
	})
	return s, nil
}

// Protect returns a handler that lets through to h only requests with an access
// token that is good for this API and meets all requirements. h finds it by
// FromContext. Without requirements any token for this API will do, of a user or
// of a program that acts for itself.
//
// It panics if a requirement is malformed, as http.Handle does of a pattern.
func (s *Server) Protect(h http.Handler, requirements ...Requirement) http.Handler {
	need := merge(requirements)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, refused := s.credentials(r)
		if refused == nil {
			var token *Token
			if token, refused = s.authenticate(r, c); refused == nil {
				refused = s.checkMet(need, token)
			}
			r = r.WithContext(context.WithValue(r.Context(), tokenKey{}, token))
		}
		if refused != nil {
			s.refuse(w, r, c.scheme, need, refused)
			return
		}
		if c.scheme == dpop && s.config.NonceKey != nil {
			s.giveNonce(w.Header())
		}
		h.ServeHTTP(w, r)
	})
}

// Require checks more requirements in a handler that is protected, for what
// depends on the request, such as an amount. If it returns false, the request was
// answered as Protect would have, and the handler returns.
//
// It panics if a requirement is malformed.
func (s *Server) Require(w http.ResponseWriter, r *http.Request, requirements ...Requirement) bool {
	need, token := merge(requirements), FromContext(r.Context())
	refused := missing("the request did not pass Protect")
	scheme := bearer
	if token != nil {
		refused = s.checkMet(need, token)
		if token.Confirmation != "" {
			scheme = dpop
		}
	}
	if refused != nil {
		s.refuse(w, r, scheme, need, refused)
	}
	return refused == nil
}

// authenticate says what the token of a request is worth. The request has it by
// the right: with the proof, if it is bound to a key.
func (s *Server) authenticate(r *http.Request, c credentials) (*Token, *refusal) {
	token, refused := s.verify(r.Context(), c.token)
	if refused != nil {
		return nil, refused
	}
	if refused := s.checkBinding(r, c, token); refused != nil {
		return nil, refused
	}
	return token, nil
}

// verify says what a token is worth, by its form: nothing is tried twice.
func (s *Server) verify(ctx context.Context, token string) (*Token, *refusal) {
	h, err := issuer.ParseHeader(token)
	switch {
	case err == nil && !s.config.IntrospectAll:
		return s.verifyJWT(ctx, token, h)
	case s.config.ClientID != "":
		return s.introspect(ctx, token)
	}
	return nil, invalid("the access token is malformed")
}

func (s *Server) accepts(alg jose.SignatureAlgorithm) bool {
	return slices.Contains(s.config.Algorithms, string(alg))
}
