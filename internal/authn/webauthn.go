package authn

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/netip"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"github.com/go-webauthn/webauthn/protocol"
	"github.com/go-webauthn/webauthn/webauthn"

	"github.com/sallyport-id/sallyport/internal/store"
)

// The lifetimes of a ceremony: how long a browser waits for the user, and how
// long an answer is taken.
const (
	ceremonyTimeout = 5 * time.Minute
	ceremonyTTL     = 10 * time.Minute
)

// WebAuthnReason says what was wrong with an authenticator's answer.
type WebAuthnReason string

// The reasons for which an authenticator's answer is refused.
const (
	ReasonMalformed WebAuthnReason = "malformed"
	ReasonCeremony  WebAuthnReason = "no_ceremony" // none that waits for this answer
	ReasonChallenge WebAuthnReason = "challenge"   // of another ceremony
	ReasonOrigin    WebAuthnReason = "origin"      // made for another site
	ReasonUnknown   WebAuthnReason = "unknown_credential"
	ReasonCounter   WebAuthnReason = "counter" // went back: there may be a copy of the key
	ReasonInvalid   WebAuthnReason = "invalid" // signature, relying party, flags or algorithm
	ReasonMake      WebAuthnReason = "make"    // of a new one: denied, not allowed, or known to be unsafe

	// Of a sign-in with a passkey alone.
	ReasonUnverified    WebAuthnReason = "user_not_verified"
	ReasonNoPIN         WebAuthnReason = "no_pin" // the same, with a security key
	ReasonDisabled      WebAuthnReason = "disabled"
	ReasonPasswordFirst WebAuthnReason = "password_first" // the credential is no way in alone yet
	ReasonExcluded      WebAuthnReason = "excluded"       // the policy's rule takes no passkeys
)

// WebAuthnError says why an authenticator's answer was not taken. It counts
// against nobody: without the key there is nothing to guess.
type WebAuthnError struct {
	Reason WebAuthnReason
	Err    error // what the library said; nil for our own checks
}

func (e *WebAuthnError) Error() string {
	if e.Err == nil {
		return "authn: webauthn: " + string(e.Reason)
	}
	return "authn: webauthn: " + string(e.Reason) + ": " + e.Err.Error()
}

func (e *WebAuthnError) Unwrap() error { return e.Err }

// RelyingParty registers authenticators for one origin, and checks what they
// sign. A nil one serves nobody.
type RelyingParty struct {
	// Makes are the operator's lists, set before it is used.
	Makes Makes

	web      *webauthn.WebAuthn
	id       string
	origin   string
	metadata atomic.Pointer[Metadata] // nil: nobody is asked for an attestation
}

// NewRelyingParty is the relying party of an issuer: its exact host is the id, its
// exact origin the only one. It is nil where browsers have no WebAuthn: without
// https, localhost excepted, and on IP addresses (WebAuthn L3 §5.1.3).
func NewRelyingParty(issuer *url.URL) (*RelyingParty, error) {
	id := issuer.Hostname()
	local := id == "localhost" || strings.HasSuffix(id, ".localhost")
	if _, err := netip.ParseAddr(id); err == nil || issuer.Scheme != "https" && !local {
		return nil, nil
	}
	rp := &RelyingParty{id: id, origin: issuer.Scheme + "://" + issuer.Host}
	var err error
	rp.web, err = webauthn.New(&webauthn.Config{
		RPID: id, RPDisplayName: id, RPOrigins: []string{rp.origin},
		AttestationPreference: protocol.PreferNoAttestation,
		AuthenticatorSelection: protocol.AuthenticatorSelection{
			ResidentKey: protocol.ResidentKeyRequirementPreferred, UserVerification: protocol.VerificationPreferred,
		},
		Timeouts: webauthn.TimeoutsConfig{
			Login:        webauthn.TimeoutConfig{Timeout: ceremonyTimeout},
			Registration: webauthn.TimeoutConfig{Timeout: ceremonyTimeout},
		},
	})
	if err != nil {
		return nil, fmt.Errorf("webauthn: %w", err)
	}
	return rp, nil
}

// Serves reports whether an authenticator can be used here: all can but those
// that were registered for another host, which browsers will not find.
func (rp *RelyingParty) Serves(a store.Authenticator) bool {
	return a.Kind != store.KindWebAuthn || rp != nil && a.Credential != nil && a.Credential.RPID == rp.id
}

// NewCeremony makes a challenge of 256 random bits for the user (WebAuthn L3
// §13.4.3), and a handle for one who has none.
func NewCeremony(kind store.CeremonyType, u *store.User, now time.Time) *store.Ceremony {
	c := &store.Ceremony{Type: kind, UserID: u.ID, Handle: u.Handle, Challenge: make([]byte, 32), CreatedAt: now}
	rand.Read(c.Challenge)
	if c.Handle == "" {
		handle := make([]byte, 32)
		rand.Read(handle)
		c.Handle = base64.RawURLEncoding.EncodeToString(handle)
	}
	return c
}

// CeremonyFresh reports whether a page may still show the ceremony: the user has
// the time that the browser waits. A nil one is not.
func CeremonyFresh(c *store.Ceremony, kind store.CeremonyType, u *store.User, now time.Time) bool {
	return waits(c, kind, u) && now.Before(c.CreatedAt.Add(ceremonyTTL-ceremonyTimeout))
}

func waits(c *store.Ceremony, kind store.CeremonyType, u *store.User) bool {
	return c != nil && c.Type == kind && c.UserID == u.ID
}

// CreationOptions are what a browser needs to register an authenticator besides
// those of the list, as JSON (WebAuthn L3 §5.4).
func (rp *RelyingParty) CreationOptions(c *store.Ceremony, u *store.User, list []store.Authenticator) ([]byte, error) {
	creation, _, err := rp.creation(c, u, list)
	if err != nil {
		return nil, err
	}
	return json.Marshal(creation.Response)
}

func (rp *RelyingParty) creation(c *store.Ceremony, u *store.User, list []store.Authenticator) (*protocol.CredentialCreation, *webauthn.SessionData, error) {
	who, err := newAccount(c, u, list)
	if err != nil {
		return nil, nil, err
	}
	conveyance := protocol.PreferNoAttestation
	if rp.Attests() {
		conveyance = protocol.PreferDirectAttestation
	}
	creation, session, err := rp.web.BeginRegistration(who, webauthn.WithConveyancePreference(conveyance),
		webauthn.WithExclusions(webauthn.Credentials(who.credentials).CredentialDescriptors()),
		func(o *protocol.PublicKeyCredentialCreationOptions) error { o.Challenge = c.Challenge; return nil })
	if err != nil {
		return nil, nil, fmt.Errorf("webauthn: %w", err)
	}
	return creation, session, nil
}

// RequestOptions are what a browser needs to ask for one of the authenticators of
// the list, as JSON (WebAuthn L3 §5.5).
func (rp *RelyingParty) RequestOptions(c *store.Ceremony, u *store.User, list []store.Authenticator) ([]byte, error) {
	request, _, _, err := rp.request(c, u, list)
	if err != nil {
		return nil, err
	}
	return json.Marshal(request.Response)
}

func (rp *RelyingParty) request(c *store.Ceremony, u *store.User, list []store.Authenticator) (*protocol.CredentialAssertion, *webauthn.SessionData, account, error) {
	who, err := newAccount(c, u, list)
	if err != nil {
		return nil, nil, who, err
	}
	request, session, err := rp.web.BeginLogin(who, webauthn.WithChallenge(c.Challenge))
	if err != nil {
		return nil, nil, who, fmt.Errorf("webauthn: %w", err)
	}
	return request, session, who, nil
}

// Answer is what an authenticator answered a ceremony with.
type Answer struct {
	Authenticator string           // its id, "" for a new one
	Credential    store.Credential // as it is from now on
	Name          string           // of a new one, as its maker calls it
	// What the authenticator says of this very answer (WebAuthn L3 §6.1).
	UserVerified, BackupEligible bool
	// Attested: see HardwareBound.
	Attested bool
}

// CheckRegistration returns the credential that an authenticator has made for the
// ceremony (WebAuthn L3 §7.1). A *WebAuthnError says why not: with
// metadata the make, too, if it is known. That nobody else has it is the store's to say.
func (rp *RelyingParty) CheckRegistration(c *store.Ceremony, u *store.User, list []store.Authenticator, response string, now time.Time) (*Answer, error) {
	if err := rp.checkWaiting(c, store.CeremonyCreate, u, now); err != nil {
		return nil, err
	}
	parsed, err := protocol.ParseCredentialCreationResponseBytes([]byte(response))
	if err != nil {
		return nil, &WebAuthnError{ReasonMalformed, err}
	}
	if err := rp.checkClientData(c, parsed.Response.CollectedClientData); err != nil {
		return nil, err
	}
	_, session, err := rp.creation(c, u, list)
	if err != nil {
		return nil, err
	}
	who, err := newAccount(c, u, list)
	if err != nil {
		return nil, err
	}
	made, err := rp.web.CreateCredential(who, *session, parsed)
	if err != nil {
		return nil, &WebAuthnError{ReasonInvalid, err}
	}
	if err := rp.admits(*made); err != nil {
		return nil, err
	}
	answer, err := rp.answered("", made, parsed.Response.AttestationObject.AuthData.Flags)
	if err != nil {
		return nil, err
	}
	answer.Name = keyName(made, rp.metadata.Load())
	return answer, nil
}

// CheckAssertion returns which authenticator of the list signed the ceremony's
// challenge (WebAuthn L3 §7.2). A *WebAuthnError says why none did. Taking the
// challenge and the counter once is the store's (UseAssertion).
func (rp *RelyingParty) CheckAssertion(c *store.Ceremony, u *store.User, list []store.Authenticator, answer string, now time.Time) (*Answer, error) {
	if err := rp.checkWaiting(c, store.CeremonyGet, u, now); err != nil {
		return nil, err
	}
	parsed, err := protocol.ParseCredentialRequestResponseBytes([]byte(answer))
	if err != nil {
		return nil, &WebAuthnError{ReasonMalformed, err}
	}
	if err := rp.checkClientData(c, parsed.Response.CollectedClientData); err != nil {
		return nil, err
	}
	a := withCredential(usable(list, store.KindWebAuthn), parsed.RawID)
	if a == nil {
		return nil, &WebAuthnError{Reason: ReasonUnknown}
	}
	_, session, who, err := rp.request(c, u, list)
	if err != nil {
		return nil, err
	}
	session.AuthorizeUVInitialization = true // a password was proven before (WebAuthn L3 §7.2)
	used, err := rp.web.ValidateLogin(who, *session, parsed)
	switch {
	case err != nil:
		return nil, &WebAuthnError{ReasonInvalid, err}
	case used.Authenticator.CloneWarning:
		return nil, &WebAuthnError{Reason: ReasonCounter}
	}
	return rp.answered(a.ID, used, parsed.Response.AuthenticatorData.Flags)
}

func (rp *RelyingParty) checkWaiting(c *store.Ceremony, kind store.CeremonyType, u *store.User, now time.Time) error {
	if rp == nil || !waits(c, kind, u) || !now.Before(c.CreatedAt.Add(ceremonyTTL)) {
		return &WebAuthnError{Reason: ReasonCeremony}
	}
	return nil
}

// checkClientData looks at what the browser says of the page before the library
// does, so that the audit log can tell a wrong site from a wrong signature.
func (rp *RelyingParty) checkClientData(c *store.Ceremony, d protocol.CollectedClientData) error {
	switch {
	case d.Origin != rp.origin || d.CrossOrigin:
		return &WebAuthnError{Reason: ReasonOrigin}
	case d.Type != protocol.CeremonyType(c.Type), d.Challenge != base64.RawURLEncoding.EncodeToString(c.Challenge):
		return &WebAuthnError{Reason: ReasonChallenge}
	}
	return nil
}

// answered keeps the library's whole record, for later answers are compared with it.
func (rp *RelyingParty) answered(authenticator string, k *webauthn.Credential, flags protocol.AuthenticatorFlags) (*Answer, error) {
	record, err := json.Marshal(k)
	if err != nil {
		return nil, fmt.Errorf("webauthn: marshal credential: %w", err)
	}
	return &Answer{
		Authenticator: authenticator,
		Credential:    store.Credential{ID: k.ID, RPID: rp.id, SignCount: k.Authenticator.SignCount, Record: record},
		UserVerified:  flags.HasUserVerified(), BackupEligible: flags.HasBackupEligible(), Attested: rp.hardwareBound(*k),
	}, nil
}

func withCredential(list []store.Authenticator, id []byte) *store.Authenticator {
	for i, a := range list {
		if a.Credential != nil && bytes.Equal(a.Credential.ID, id) {
			return &list[i]
		}
	}
	return nil
}

// account is a user as the library wants one.
type account struct {
	user        *store.User
	handle      []byte
	credentials []webauthn.Credential
}

// newAccount is the user with those of the authenticators that can be used.
func newAccount(c *store.Ceremony, u *store.User, list []store.Authenticator) (account, error) {
	handle, err := base64.RawURLEncoding.DecodeString(c.Handle)
	if err != nil {
		return account{}, fmt.Errorf("webauthn: user handle: %w", err)
	}
	who := account{user: u, handle: handle}
	for _, a := range usable(list, store.KindWebAuthn) {
		if a.Credential == nil {
			continue
		}
		var k webauthn.Credential
		if err := json.Unmarshal(a.Credential.Record, &k); err != nil {
			return account{}, fmt.Errorf("webauthn: credential record: %w", err)
		}
		who.credentials = append(who.credentials, k)
	}
	return who, nil
}

func (a account) WebAuthnID() []byte                         { return a.handle }
func (a account) WebAuthnName() string                       { return a.user.Login }
func (a account) WebAuthnCredentials() []webauthn.Credential { return a.credentials }

func (a account) WebAuthnDisplayName() string {
	if a.user.Name != "" {
		return a.user.Name
	}
	return a.user.Login
}
