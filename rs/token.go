package rs

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/sallyport-id/sallyport/internal/issuer"
)

const longestSubject = 255 // bytes (OpenID Connect Core §2)

// A Token is what a good access token says. The token itself is not in it.
type Token struct {
	Issuer   string
	Subject  string   // the user; of a program that acts for itself usually its ClientID
	Audience []string // the API is one of them
	ClientID string   // the application that the token was issued to
	Scope    []string
	ID       string // jti, "" if not told by introspection
	Expiry   time.Time
	IssuedAt time.Time // zero if not told by introspection

	// How the user signed in (RFC 9470 §6); zero in tokens of programs that act for
	// themselves, and where the server does not tell.
	ACR      string    // the authentication context reached
	AMR      []string  // the methods used (RFC 8176): to show, not to decide by
	AuthTime time.Time // when

	// Confirmation is the thumbprint of the key that the token is bound to, whose
	// proof came with the request (RFC 9449 §6); "" if it is not bound to one.
	Confirmation string
	// Certificate is the thumbprint of the certificate that the token is bound to,
	// SHA-256 in base64url, with which the request came (RFC 8705 §3.1); "" if it is
	// not bound to one.
	Certificate string

	claims issuer.Object
}

// HasScope reports whether the token has a scope.
func (t *Token) HasScope(scope string) bool { return slices.Contains(t.Scope, scope) }

// Claim stores another claim in what v points to, as json.Unmarshal does, and
// reports whether it is there. One that is null counts as missing. The name is
// matched exactly, and occurred once.
func (t *Token) Claim(name string, v any) (bool, error) { return t.claims.Decode(name, v) }

// LogValue leaves out other claims.
func (t Token) LogValue() slog.Value {
	return slog.GroupValue(slog.String("subject", t.Subject), slog.String("client_id", t.ClientID),
		slog.Any("scope", t.Scope), slog.String("acr", t.ACR), slog.String("jti", t.ID))
}

func (t Token) String() string {
	return fmt.Sprintf("rs.Token{Subject: %q, ClientID: %q, Scope: %q, ACR: %q}", t.Subject, t.ClientID, t.Scope, t.ACR)
}

type tokenKey struct{}

// FromContext returns the token of a request that Protect let through; nil for any
// other.
func FromContext(ctx context.Context) *Token {
	t, _ := ctx.Value(tokenKey{}).(*Token)
	return t
}

// clone keeps what one handler changes from the others.
func (t *Token) clone() *Token {
	c := *t
	c.Audience, c.Scope, c.AMR = slices.Clone(t.Audience), slices.Clone(t.Scope), slices.Clone(t.AMR)
	return &c
}

// expected is what the claims of a token are compared with.
type expected struct {
	issuerID, resource string
	now                time.Time
	leeway             time.Duration
}

func (s *Server) expected() expected {
	return expected{s.config.Issuer, s.config.Resource, s.config.Now(), s.config.Leeway}
}

// check checks the claims of a token that the server signed, or told us (RFC 9068
// §2.2, §4, RFC 7662 §2.2). What is optional in one of the two is left to the caller.
func (want expected) check(claims issuer.Object) (*Token, *refusal) {
	r := issuer.Reader{Object: claims}
	t := &Token{
		Issuer: r.Text("iss"), Subject: r.Text("sub"), Audience: r.OneOrMore("aud"), ClientID: r.Text("client_id"),
		Scope: strings.Fields(r.Text("scope")), ID: r.Text("jti"), Expiry: r.Instant("exp"), IssuedAt: r.Instant("iat"),
		ACR: r.Text("acr"), AMR: r.Texts("amr"), AuthTime: r.Instant("auth_time"), claims: claims,
	}
	t.Confirmation, t.Certificate = confirmation(&r)
	notBefore := r.Instant("nbf")
	late, early := want.now.Add(-want.leeway), want.now.Add(want.leeway)
	switch {
	case r.Err != nil:
		return nil, invalid("a claim of the access token is malformed")
	case t.Issuer != want.issuerID:
		return nil, invalid("the access token is of another server")
	case !slices.Contains(t.Audience, want.resource):
		return nil, invalid("the access token is for another API")
	case t.Subject == "" || len(t.Subject) > longestSubject:
		return nil, invalid("the access token has no subject")
	case t.ClientID == "":
		return nil, invalid("the access token has no client_id")
	case !t.Expiry.After(late):
		return nil, invalid("the access token is expired")
	case t.IssuedAt.After(early) || notBefore.After(early) || t.AuthTime.After(early):
		return nil, invalid("the access token is of the future")
	}
	return t, nil
}

// confirmation reads the thumbprints of the key and of the certificate that a token
// is bound to (RFC 9449 §6.1, RFC 8705 §3.1). A binding that is not understood is an
// error: whoever ignores it takes a stolen token.
func confirmation(r *issuer.Reader) (key, certificate string) {
	var cnf issuer.Object
	if !r.Decode("cnf", &cnf) {
		return "", ""
	}
	inner := issuer.Reader{Object: cnf}
	understood := 0
	for name, thumbprint := range map[string]*string{"jkt": &key, "x5t#S256": &certificate} {
		if *thumbprint = inner.Text(name); *thumbprint != "" {
			understood++
		}
	}
	if r.Err == nil && (inner.Err != nil || understood == 0 || understood != len(cnf)) {
		r.Err = errors.New("cnf is not understood")
	}
	return key, certificate
}
