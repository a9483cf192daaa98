package authn

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/go-webauthn/webauthn/protocol"
	"github.com/go-webauthn/webauthn/webauthn"

	"github.com/sallyport-id/sallyport/internal/store"
)

// nobody is whose ceremony a sign-in with a passkey alone is: who it is shows when
// it is answered.
var nobody = &store.User{}

// NewSignIn makes the challenge of a sign-in with a passkey alone.
func NewSignIn(now time.Time) *store.Ceremony {
	c := NewCeremony(store.CeremonyGet, nobody, now)
	c.Handle = "" // that of whoever answers
	return c
}

// SignInFresh is CeremonyFresh for a sign-in with a passkey alone.
func SignInFresh(c *store.Ceremony, now time.Time) bool {
	return CeremonyFresh(c, store.CeremonyGet, nobody, now)
}

// SignInOptions are what a browser needs to ask for any passkey that it has for this
// server, as JSON (WebAuthn L3 §5.5): no list, so that the page tells nobody who has
// one, and the user verified, for no password stands beside it.
func (rp *RelyingParty) SignInOptions(c *store.Ceremony) ([]byte, error) {
	request, _, err := rp.signIn(c)
	if err != nil {
		return nil, err
	}
	return json.Marshal(request.Response)
}

func (rp *RelyingParty) signIn(c *store.Ceremony) (*protocol.CredentialAssertion, *webauthn.SessionData, error) {
	request, session, err := rp.web.BeginDiscoverableLogin(
		webauthn.WithChallenge(c.Challenge), webauthn.WithUserVerification(protocol.VerificationRequired))
	if err != nil {
		return nil, nil, fmt.Errorf("webauthn: %w", err)
	}
	return request, session, nil
}

// Owner returns whose a credential is, with all that the user has enrolled;
// store.ErrNotFound if it is nobody's.
type Owner func(credentialID []byte) (*store.User, []store.Authenticator, error)

// CheckSignIn returns who has signed the challenge of a sign-in with a passkey alone
// (WebAuthn L3 §7.2). The credential and the user handle must name the same user. A
// *WebAuthnError says why nobody is signed in, in an *AttemptError if the credential
// is somebody's. Taking the challenge and the counter once is the store's
// (StartWithAssertion).
func (rp *RelyingParty) CheckSignIn(c *store.Ceremony, answer string, now time.Time, owner Owner) (*store.User, *Answer, error) {
	if err := rp.checkWaiting(c, store.CeremonyGet, nobody, now); err != nil {
		return nil, nil, err
	}
	parsed, err := protocol.ParseCredentialRequestResponseBytes([]byte(answer))
	if err != nil {
		return nil, nil, &WebAuthnError{ReasonMalformed, err}
	}
	if err := rp.checkClientData(c, parsed.Response.CollectedClientData); err != nil {
		return nil, nil, err
	}
	if !parsed.Response.AuthenticatorData.Flags.HasUserVerified() {
		return nil, nil, &WebAuthnError{Reason: unverified(parsed.AuthenticatorAttachment)}
	}
	u, list, err := owner(parsed.RawID)
	if errors.Is(err, store.ErrNotFound) {
		return nil, nil, &WebAuthnError{Reason: ReasonUnknown}
	}
	if err != nil {
		return nil, nil, err
	}
	signed, err := rp.checkAlone(c, u, list, parsed)
	if err != nil {
		return nil, nil, &AttemptError{UserID: u.ID, Err: err}
	}
	return u, signed, nil
}

// unverified is why the user was not verified: a security key needs a PIN for that.
func unverified(attachment protocol.AuthenticatorAttachment) WebAuthnReason {
	if attachment == protocol.CrossPlatform {
		return ReasonNoPIN
	}
	return ReasonUnverified
}

// checkAlone checks the signature first: what else is wrong with the credential is
// nobody's business who does not have it.
func (rp *RelyingParty) checkAlone(c *store.Ceremony, u *store.User, list []store.Authenticator, parsed *protocol.ParsedCredentialAssertionData) (*Answer, error) {
	a := withCredential(usable(list, store.KindWebAuthn), parsed.RawID)
	if a == nil || u.Handle == "" || base64.RawURLEncoding.EncodeToString(parsed.Response.UserHandle) != u.Handle {
		return nil, &WebAuthnError{Reason: ReasonUnknown}
	}
	_, session, err := rp.signIn(c)
	if err != nil {
		return nil, err
	}
	who, err := newAccount(&store.Ceremony{Handle: u.Handle}, u, list)
	if err != nil {
		return nil, err
	}
	used, err := rp.web.ValidateDiscoverableLogin(func(_, _ []byte) (webauthn.User, error) { return who, nil }, *session, parsed)
	switch {
	case err != nil:
		return nil, &WebAuthnError{ReasonInvalid, err}
	case used.Authenticator.CloneWarning:
		return nil, &WebAuthnError{Reason: ReasonCounter}
	case u.Disabled:
		return nil, &WebAuthnError{Reason: ReasonDisabled}
	case !a.Credential.Alone || !used.Flags.UserVerified:
		return nil, &WebAuthnError{Reason: ReasonPasswordFirst}
	}
	return rp.answered(a.ID, used, parsed.Response.AuthenticatorData.Flags)
}

// MakesAlone reports whether a proof of WebAuthn makes its credential a way in
// without the password: the user was verified, in a session that did not enrol it,
// and the password counts beside it.
func MakesAlone(p store.Proof, beside []store.Proof) bool {
	return p.UserVerified && !p.Bound &&
		slices.ContainsFunc(beside, func(p store.Proof) bool { return p.Method == store.MethodPassword })
}

// Alone reports whether an authenticator is a way in without the password.
func Alone(a store.Authenticator) bool {
	return Usable(a) && a.Kind == store.KindWebAuthn && a.Credential != nil && a.Credential.Alone
}
