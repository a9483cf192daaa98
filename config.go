package sallyport

import (
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"time"

	"github.com/sallyport-id/sallyport/internal/authn"
	"github.com/sallyport-id/sallyport/internal/flow"
	"github.com/sallyport-id/sallyport/internal/keys"
	"github.com/sallyport-id/sallyport/internal/mail"
	"github.com/sallyport-id/sallyport/internal/oidc"
	"github.com/sallyport-id/sallyport/internal/policy"
)

// Config says what a Server is. Issuer, Database and MasterKey are needed;
// the zero value of everything else is the default that its comment names.
type Config struct {
	// Issuer is the public URL, e.g. "https://id.example.com": https, or http on a
	// loopback host (see InsecureHTTPIssuer). Its path is the prefix of every route.
	Issuer string
	// Database is the path of the SQLite file, made if it does not exist, or the URL
	// of a PostgreSQL database, for several servers:
	// "postgres://user:password@host:port/name". The server's certificate is checked
	// unless it is on this machine or the URL has another sslmode; what the URL
	// leaves out comes from PostgreSQL's environment variables, e.g. PGPASSFILE. Its
	// password is in no error and no log.
	Database string
	// MasterKey is the 32-byte secret that seals what must be recoverable and from
	// which other keys are derived. It is not in the database.
	MasterKey []byte
	// OldMasterKeys open what was sealed under them, until it is sealed anew.
	OldMasterKeys [][]byte

	// Policy says who must prove what: the first rule that applies decides, and if none
	// does two factors are required. Nil: the rules are those of the database, which
	// change while the server runs. No rule goes below the floor of a client or an API.
	Policy []Rule

	// Enrollment is what somebody who has no second factor yet, and the right to set one
	// up, shows besides the password when a sign-in needs one: EnrollByInvitation if "".
	Enrollment Enrollment

	// Registration lets people make accounts by themselves, with a code that is mailed to
	// them: it needs SMTP. RegistrationDomains are those of their addresses, in lower case;
	// none: all.
	Registration        bool
	RegistrationDomains []string

	// SessionIdle and SessionTTL end a session that is not used and every
	// session: 1 h and 24 h (NIST SP 800-63B-4 §2.2.3).
	SessionIdle, SessionTTL time.Duration

	// KeyRotation is how long a signing key signs before the next one does: 90 days;
	// at least 4 days, or negative for never. The next key is published 2 days before
	// it signs, and the old one until a day after the last session it signed for.
	KeyRotation time.Duration

	// TrustedProxies are the networks of the proxies before this server. A request
	// from one of them is taken as that of the last address in its X-Forwarded-For
	// that is none of theirs. No other header about a request's way is believed: the
	// issuer says the host and scheme. Empty: every request is its peer's.
	TrustedProxies []netip.Prefix

	// OutboundAllow are networks that the server sends requests to although they are not
	// public. Where to is what clients have registered. Empty: to public addresses alone.
	OutboundAllow []netip.Prefix

	// AuditKeep is how long an event stays in the audit log: DefaultAuditKeep if 0,
	// for ever if negative.
	AuditKeep time.Duration

	// SMTP takes the mails to people: what has happened to their accounts, and links to
	// a new password. nil: there is no mail, and a new password needs an operator. All
	// servers of a database, of which the last that starts decides, have the same.
	SMTP *SMTP
	// NoPasswordByMail: nobody gets a link to a new password; an operator makes one.
	NoPasswordByMail bool
	// EmailCodes lets people have codes by e-mail as a second factor, the weakest: not
	// counted as one by NIST SP 800-63B-4 §3.1.3.1. It needs SMTP, and
	// NoPasswordByMail, so that mail alone is never both factors.
	EmailCodes bool

	// Metadata say which authenticators are what they say they are. nil: no key is asked
	// for its make, and nobody reaches level 4.
	Metadata *Metadata

	// InsecureHTTPIssuer allows an http issuer that is not on a loopback host:
	// passwords, codes and cookies can then be read on the way.
	InsecureHTTPIssuer bool
	// InsecureNoLimits takes the limits per address away, for load tests.
	InsecureNoLimits bool

	mailByHand     bool // tests send it
	logoutsByHand  bool // likewise
	metadataByHand bool // tests look at the files

	outboundRoots *x509.CertPool // of servers that it sends requests to; nil: whom this machine trusts

	hasher authn.HasherConfig // of passwords and recovery codes; tests make it cheap

	// Log takes one record a request and every error; slog.Default() if nil.
	Log *slog.Logger
	// Now is the clock; time.Now if nil.
	Now func() time.Time
}

// SMTP is a server that takes mail.
type SMTP = mail.SMTP

// How the connection to an SMTP server is protected: see SMTP.TLS.
const (
	SMTPStartTLS = mail.TLSStart
	SMTPTLS      = mail.TLSImplicit
	SMTPNoTLS    = mail.TLSNone
)

// How long the audit log keeps an event.
const (
	DefaultAuditKeep = 400 * 24 * time.Hour
	AuditKeepAll     = -1 * time.Nanosecond
)

// Rule is one of Config.Policy.
type Rule = policy.Rule

// Requirement is what a rule asks of a sign-in; "" is Required.
type Requirement = policy.Requirement

// The requirements, from the least to the most.
const (
	Off               = policy.Off               // one factor is enough
	Optional          = policy.Optional          // who has a second factor is asked for it
	Required          = policy.Required          // two factors
	PhishingResistant = policy.PhishingResistant // a passkey or a security key
	HardwareBound     = policy.HardwareBound     // one of verified make, which cannot be copied
)

// Enrollment is what a first second factor is bound with.
type Enrollment = flow.Enrollment

// The kinds of it. Invitations, and the codes of operators, work under each.
const (
	EnrollByInvitation = flow.EnrollByInvitation // nothing but a link from an operator
	EnrollByEmail      = flow.EnrollByEmail      // a code that is mailed to the account's address: it needs SMTP
	EnrollByPassword   = flow.EnrollByPassword   // the password alone, from then on it is not enough
)

// check says what cannot work, of a Config with its defaults.
func (c Config) check() error {
	checkIssuer := oidc.CheckIssuer
	if c.InsecureHTTPIssuer {
		checkIssuer = oidc.CheckInsecureIssuer
	}
	if err := checkIssuer(c.Issuer); err != nil {
		return fmt.Errorf("sallyport: issuer: %w", err)
	}
	if err := policy.Check(c.Policy); err != nil {
		return fmt.Errorf("sallyport: policy: %w", err)
	}
	if err := c.Enrollment.Check(c.Policy); err != nil {
		return fmt.Errorf("sallyport: %w", err)
	}
	if c.Enrollment == EnrollByEmail && c.SMTP == nil {
		return errors.New("sallyport: enrollment by e-mail needs mail")
	}
	if c.Registration && c.SMTP == nil {
		return errors.New("sallyport: registration needs mail")
	}
	if err := CheckRegistrationDomains(c.RegistrationDomains); err != nil {
		return fmt.Errorf("sallyport: registration: %w", err)
	}
	if err := c.checkMetadata(); err != nil {
		return fmt.Errorf("sallyport: %w", err)
	}
	if c.SMTP != nil {
		if err := c.SMTP.Check(); err != nil {
			return fmt.Errorf("sallyport: %w", err)
		}
	}
	if err := c.checkEmailCodes(); err != nil {
		return fmt.Errorf("sallyport: %w", err)
	}
	if c.KeyRotation > 0 && c.KeyRotation < keys.MinPeriod {
		return fmt.Errorf("sallyport: key rotation: %v is less than %v: a key waits so long before it signs, and signs as long", c.KeyRotation, keys.MinPeriod)
	}
	return nil
}

// CheckRegistrationDomains says which of them is none.
func CheckRegistrationDomains(domains []string) error {
	return (&flow.Registration{Domains: domains}).Check()
}

// registration is nil where nobody makes an account.
func (c Config) registration() *flow.Registration {
	if !c.Registration {
		return nil
	}
	return &flow.Registration{Domains: c.RegistrationDomains}
}

// checkEmailCodes: mail that resets the password is no second factor beside it.
func (c Config) checkEmailCodes() error {
	rule := policy.NamesMailCodes(c.Policy)
	switch {
	case c.EmailCodes && c.SMTP == nil:
		return errors.New("codes by e-mail need an SMTP server")
	case c.EmailCodes && !c.NoPasswordByMail:
		return errors.New("codes by e-mail are no second factor where the password is reset by mail, too: one of them must be off")
	case !c.EmailCodes && rule != "":
		return fmt.Errorf("policy: rule %s has the method email, which is off", rule)
	}
	return nil
}

// sealer has the master keys.
func (c Config) sealer() (*keys.Sealer, error) {
	old := make([]keys.MasterKey, len(c.OldMasterKeys))
	for i, key := range c.OldMasterKeys {
		old[i] = key
	}
	sealer, err := keys.NewSealer(c.MasterKey, old...)
	if err != nil {
		return nil, fmt.Errorf("sallyport: master key: %w", err)
	}
	return sealer, nil
}

func (c Config) withDefaults() Config {
	if c.SessionIdle == 0 {
		c.SessionIdle = time.Hour
	}
	if c.SessionTTL == 0 {
		c.SessionTTL = 24 * time.Hour
	}
	if c.KeyRotation == 0 {
		c.KeyRotation = keys.DefaultPeriod
	}
	if c.AuditKeep == 0 {
		c.AuditKeep = DefaultAuditKeep
	}
	if c.Log == nil {
		c.Log = slog.Default()
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	return c
}
