package rp

import (
	"fmt"
	"log/slog"
	"time"

	"golang.org/x/oauth2"

	"github.com/sallyport-id/sallyport/internal/issuer"
)

// An Identity is who signed in, and how. Issuer and Subject together are the
// key of a user; names and addresses change hands.
type Identity struct {
	Issuer  string
	Subject string // at most 255 bytes

	// As the server tells, "" where it does not; see Config.UserInfo.
	Name              string
	PreferredUsername string
	Email             string
	EmailVerified     bool
	Locale            string // a language tag (BCP 47)

	ACR      string    // the authentication context reached, "" if not told
	AMR      []string  // the methods used (RFC 8176)
	AuthTime time.Time // when the user authenticated; zero if not told

	// SID is the session at the server, "" if not told (OpenID Connect Back-Channel
	// Logout §2.1).
	SID string

	// ReturnTo is where Login was told to come back to: a local path that is safe
	// to redirect to, "/" if there was none.
	ReturnTo string

	Claims  Claims        // all claims of the ID token
	IDToken string        // the ID token itself, for a later logout: a secret
	Token   *oauth2.Token // the access token and, if granted, the refresh token: secrets
}

// LogValue leaves out tokens, claims, names and addresses.
func (id Identity) LogValue() slog.Value {
	return slog.GroupValue(slog.String("issuer", id.Issuer), slog.String("subject", id.Subject),
		slog.String("acr", id.ACR), slog.Any("amr", id.AMR), slog.String("tokens", "[redacted]"))
}

func (id Identity) String() string {
	return fmt.Sprintf("rp.Identity{Issuer: %q, Subject: %q, ACR: %q, [redacted]}", id.Issuer, id.Subject, id.ACR)
}

// GoString is String.
func (id Identity) GoString() string { return id.String() }

// fill copies what claims tell about the user and the identity does not know
// yet. A claim of the wrong type is an error.
func (id *Identity) fill(claims Claims) error {
	r := issuer.Reader{Object: issuer.Object(claims)}
	if id.Email == "" { // the two belong together
		id.Email, id.EmailVerified = r.Text("email"), r.Flag("email_verified")
	}
	fields := map[string]*string{
		"name": &id.Name, "preferred_username": &id.PreferredUsername, "locale": &id.Locale,
	}
	for name, field := range fields {
		if *field == "" {
			*field = r.Text(name)
		}
	}
	return r.Err
}
