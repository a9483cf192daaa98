package main

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/sallyport-id/sallyport"
	"github.com/sallyport-id/sallyport/internal/keys"
	"github.com/sallyport-id/sallyport/internal/oidc"
	"github.com/sallyport-id/sallyport/internal/policy"
	"github.com/sallyport-id/sallyport/internal/store/sqlstore"
)

// settings is what a configuration file says. Each field has a key, which also
// makes the name of its environment variable; the help is the reference's. None
// of them need be a secret: those are in files of their own, which are named here.
type settings struct {
	Issuer               string        `yaml:"issuer" help:"The public URL, as applications and browsers see it: https, or http on this machine. It stays for ever: applications know the server, and passkeys will know it, by this name."`
	Listen               string        `yaml:"listen" help:"Address and port to answer on, without a host for all interfaces."`
	PrivateListen        string        `yaml:"private_listen" help:"Address and port of /livez, /readyz, /metrics and /debug/pprof, never to be reached from outside; \"\" for none."`
	TrustedProxies       networks      `yaml:"trusted_proxies" help:"Addresses and networks of the proxies before this server, as a list like [\"10.0.0.5\", \"192.168.0.0/24\"]. From them alone X-Forwarded-For is believed: limits and the audit log then know the visitors' addresses."`
	Database             string        `yaml:"database" help:"The SQLite file, or the URL of a PostgreSQL database for several servers: postgres://user@host:port/name. Relative paths, here and below, start at this file's directory."`
	DatabasePasswordFile string        `yaml:"database_password_file" help:"A file whose first line is the password of the PostgreSQL user. Without it, it is the URL's or what PostgreSQL's own PGPASSFILE says."`
	KeyFile              string        `yaml:"key_file" help:"The master key, which seals what the database keeps. Mode 0600. Without it the database is worth nothing, so keep a copy, elsewhere than the database's."`
	TLSCertificateFile   string        `yaml:"tls_certificate_file" help:"A certificate with its chain, PEM, to speak TLS without a proxy. Read again when the file changes."`
	TLSKeyFile           string        `yaml:"tls_key_file" help:"The certificate's private key, PEM."`
	Policy               rules         `yaml:"policy" help:"Who must prove what: a list of rules, of which the first that applies decides. Without this key (null) the rules are those that \"sallyport policy set\" puts in the database; if there are none, two factors are required of everyone. See policy.md."`
	Enrollment           string        `yaml:"enrollment" help:"What one shows besides the password to set up a first second factor: \"invitation\" (a link from an operator, and nothing else), \"email\" (a code that is mailed to the account's address; needs smtp_host) or \"password\" (nothing more, so that whoever has a password that was never used can set one up). See accounts.md."`
	Registration         bool          `yaml:"registration" help:"People make accounts by themselves, from the sign-in page: a code goes to their e-mail address, and they set up a second factor. Needs smtp_host."`
	RegistrationDomains  words         `yaml:"registration_domains" help:"The domains of the addresses that may, as a list like [\"example.com\"]: these and none below them. Empty for all."`
	SessionIdle          time.Duration `yaml:"session_idle" help:"Ends a session that nobody uses."`
	SessionTTL           time.Duration `yaml:"session_ttl" help:"Ends every session."`
	KeyRotation          time.Duration `yaml:"key_rotation" help:"How long a signing key signs before the next one does: at least 96h, or negative for never. The next key is published two days before."`
	AuditKeep            time.Duration `yaml:"audit_keep" help:"How long the audit log keeps an event, in hours: 9600h is 400 days. 0 keeps everything; else at least 24h."`
	SMTPHost             string        `yaml:"smtp_host" help:"The SMTP server that takes mail: what has happened to people's accounts, and links to a new password. \"\" for no mail."`
	SMTPPort             int           `yaml:"smtp_port" help:"Its port; 0 for the usual one: 587, or 465 with tls."`
	SMTPTLS              string        `yaml:"smtp_tls" help:"\"starttls\", \"tls\" (from the first byte), or \"none\" for a server on this machine alone."`
	SMTPUser             string        `yaml:"smtp_user" help:"Who logs in there; \"\" for nobody."`
	SMTPPasswordFile     string        `yaml:"smtp_password_file" help:"A file whose first line is the password of smtp_user."`
	SMTPFrom             string        `yaml:"smtp_from" help:"The sender, like id@example.com or Example <id@example.com>."`
	PasswordResetByMail  bool          `yaml:"password_reset_by_mail" help:"Whether people get a link to a new password by mail, where there is mail. If not, an operator makes one."`
	EmailCodes           bool          `yaml:"email_codes" help:"Lets people have codes by e-mail as a second factor, the weakest there is: see mail.md. Needs smtp_host, and password_reset_by_mail to be false, for mail alone must not be both factors."`
	SMTPHello            string        `yaml:"smtp_hello" help:"The name that this machine gives to the SMTP server; \"\" for its host name."`
	OutboundAllow        networks      `yaml:"outbound_allow" help:"Addresses and networks that the server may send requests to although they are not public, as a list like [\"10.1.2.3\", \"192.168.0.0/24\"]. It sends them where clients' registrations say: see clients.md. Empty: to public addresses alone."`
	LogLevel             slog.Level    `yaml:"log_level" help:"debug, info (one line a request), warn or error. JSON, to standard error."`
	DrainTimeout         time.Duration `yaml:"drain_timeout" help:"How long requests under way may take to end after SIGTERM."`
	InsecureHTTPIssuer   bool          `yaml:"insecure_http_issuer" help:"Allow an http issuer that is not on this machine. Passwords, codes and cookies can then be read on the way. For closed test networks."`

	WebAuthnMetadataFile       string `yaml:"webauthn_metadata_file" help:"What makers of passkeys and security keys say of them, as the FIDO Alliance signs it (https://mds.fidoalliance.org, a JWT). With it new keys are asked for their make, and the requirement hardware-bound can be met. Read again when the file changes. See passkeys.md."`
	WebAuthnMetadataRootFile   string `yaml:"webauthn_metadata_root_file" help:"The roots that vouch for who signed webauthn_metadata_file, PEM; \"\" for the FIDO Alliance's."`
	WebAuthnAllow              words  `yaml:"webauthn_allow" help:"AAGUIDs of the only makes of which new keys are taken, as a list; then keys whose make nobody confirms are not taken. Those of before stay."`
	WebAuthnAllowHardwareBound words  `yaml:"webauthn_allow_hardware_bound" help:"AAGUIDs of the only makes that are hardware-bound. Empty: all that keep their keys in hardware."`
	WebAuthnDeny               words  `yaml:"webauthn_deny" help:"AAGUIDs of makes of which no new key is taken, and none is hardware-bound. It is about keys whose make was confirmed."`
}

// defaultSettings are those of a key that is not given.
func defaultSettings() settings {
	return settings{
		Listen: "127.0.0.1:9000", PrivateListen: "127.0.0.1:9001",
		Database: "sallyport.db", KeyFile: "master.key",
		Enrollment:  string(sallyport.EnrollByInvitation),
		SessionIdle: time.Hour, SessionTTL: 24 * time.Hour, KeyRotation: keys.DefaultPeriod, AuditKeep: sallyport.DefaultAuditKeep,
		SMTPTLS: string(sallyport.SMTPStartTLS), PasswordResetByMail: true,
		DrainTimeout: 20 * time.Second,
	}
}

// loadSettings reads a configuration file, then the environment, and checks what
// came out. origins says of each key where its value is from.
func loadSettings(path string, lookupEnv func(string) (string, bool)) (s settings, origins map[string]string, err error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return s, nil, fmt.Errorf("there is no configuration file %s: \"sallyport init\" makes one, --config names another", path)
	}
	if err != nil {
		return s, nil, fmt.Errorf("read configuration: %w", err)
	}
	if s, origins, err = parseSettings(text, lookupEnv); err != nil {
		return s, nil, fmt.Errorf("%s: %w", path, err)
	}
	if err := s.check(); err != nil {
		return s, nil, fmt.Errorf("%s: %w", path, err)
	}
	return s, origins, s.resolve(filepath.Dir(path))
}

// parseSettings reads the text of a configuration file and the environment.
func parseSettings(text []byte, lookupEnv func(string) (string, bool)) (settings, map[string]string, error) {
	s := defaultSettings()
	d := yaml.NewDecoder(bytes.NewReader(text))
	d.KnownFields(true)
	if err := d.Decode(&s); err != nil && !errors.Is(err, io.EOF) {
		return s, nil, plainYAML(err)
	}
	if err := d.Decode(&settings{}); !errors.Is(err, io.EOF) {
		return s, nil, errors.New("there is more than one document in it")
	}
	var given map[string]any
	if err := yaml.Unmarshal(text, &given); err != nil {
		return s, nil, plainYAML(err)
	}
	origins := map[string]string{}
	for _, f := range s.fields() {
		origins[f.key] = "default"
		if _, ok := given[f.key]; ok {
			origins[f.key] = "file"
		}
		value, ok := lookupEnv(f.env())
		if !ok {
			continue
		}
		origins[f.key] = f.env()
		if err := f.set(value); err != nil {
			return s, nil, fmt.Errorf("environment variable %s: %w", f.env(), err)
		}
	}
	if s.Policy == nil {
		origins["policy"] = fromDatabase
	}
	return s, origins, nil
}

var (
	unknownKey = regexp.MustCompile(`field (\S+) not found in type \S+`)
	wrongType  = regexp.MustCompile("cannot unmarshal !!(\\w+)(?: (`[^`]*`))? into (\\S+)")
)

// plainYAML says what the decoder says without the names of Go types.
func plainYAML(err error) error {
	text := strings.TrimPrefix(err.Error(), "yaml: ")
	text = strings.TrimPrefix(text, "unmarshal errors:\n")
	text = unknownKey.ReplaceAllString(text, `there is no key "$1"`)
	text = wrongType.ReplaceAllStringFunc(text, func(m string) string {
		parts := wrongType.FindStringSubmatch(m)
		what := cmp.Or(parts[2], map[string]string{"seq": "a list", "map": "a group of keys"}[parts[1]], "it")
		return fmt.Sprintf("%s is no %s", what, kindWord(parts[3]))
	})
	var lines []string
	for line := range strings.Lines(text) {
		lines = append(lines, strings.TrimSpace(line))
	}
	return errors.New(strings.Join(lines, "; "))
}

func kindWord(goType string) string {
	switch goType {
	case "time.Duration":
		return "duration like 30s, 5m or 24h"
	case "bool":
		return "true or false"
	case "main.networks":
		return "list of addresses and networks"
	case "main.rules", "[]main.ruleSetting":
		return "list of rules"
	case "main.ruleSetting":
		return "rule"
	case "[]string", "main.words":
		return "list of words"
	case "int":
		return "number"
	case "main.settings":
		return "set of keys and values"
	}
	return "value for this key"
}

// check says what cannot work, in the words of the file.
func (s *settings) check() error {
	for _, check := range []func() error{s.checkIssuer, s.checkListen, s.checkTLS, s.checkSessions, s.checkDatabase, s.checkKeys, s.checkMail, s.checkEmailCodes, s.checkRegistration, s.checkMetadata} {
		if err := check(); err != nil {
			return err
		}
	}
	return nil
}

func (s *settings) checkIssuer() error {
	if s.Issuer == "" {
		return errors.New("issuer is missing: the public URL of this server")
	}
	if s.InsecureHTTPIssuer {
		if err := oidc.CheckInsecureIssuer(s.Issuer); err != nil {
			return fmt.Errorf("issuer %s %w", s.Issuer, err)
		}
		return nil
	}
	if err := oidc.CheckIssuer(s.Issuer); err != nil {
		hint := ""
		if strings.HasPrefix(s.Issuer, "http://") && oidc.CheckInsecureIssuer(s.Issuer) == nil {
			hint = " (insecure_http_issuer allows it, and says what it risks)"
		}
		return fmt.Errorf("issuer %s %w%s", s.Issuer, err, hint)
	}
	return nil
}

func (s *settings) checkListen() error {
	if _, _, err := net.SplitHostPort(s.Listen); err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	if s.PrivateListen == "" {
		return nil
	}
	if _, _, err := net.SplitHostPort(s.PrivateListen); err != nil {
		return fmt.Errorf("private_listen: %w", err)
	}
	if s.Listen == s.PrivateListen {
		return errors.New("private_listen must not be listen's address")
	}
	return nil
}

func (s *settings) checkTLS() error {
	switch {
	case (s.TLSCertificateFile == "") != (s.TLSKeyFile == ""):
		return errors.New("tls_certificate_file and tls_key_file go together")
	case s.tls() && !strings.HasPrefix(s.Issuer, "https://"):
		return errors.New("with a certificate the issuer is https")
	}
	return nil
}

func (s *settings) tls() bool { return s.TLSCertificateFile != "" }

func (s *settings) checkSessions() error {
	if err := policy.Check(s.Policy.policy()); err != nil {
		return fmt.Errorf("policy: %w", err)
	}
	if err := s.enrollment().Check(s.Policy.policy()); err != nil {
		return err
	}
	switch {
	case s.SessionIdle <= 0 || s.SessionTTL <= 0 || s.DrainTimeout <= 0:
		return errors.New("session_idle, session_ttl and drain_timeout must be more than 0")
	case s.AuditKeep < 0 || s.AuditKeep > 0 && s.AuditKeep < 24*time.Hour:
		return errors.New("audit_keep must be 24h or more, or 0 to keep everything")
	}
	return nil
}

// checkDatabase does not show a URL: a password may stand in it.
func (s *settings) checkDatabase() error {
	if s.Database == "" || s.KeyFile == "" {
		return errors.New("database and key_file must not be empty")
	}
	if err := sqlstore.At(s.Database).Check(); err != nil {
		return fmt.Errorf("database: %w", err)
	}
	if s.DatabasePasswordFile == "" {
		return nil
	}
	switch user, hasPassword := databaseUser(s.Database); {
	case !s.onPostgres():
		return errors.New("database_password_file is for the URL of a PostgreSQL database")
	case hasPassword:
		return errors.New("the URL of the database has a password, and database_password_file names another")
	case user == "":
		return errors.New("the URL of the database names no user for database_password_file: postgres://user@host/name")
	}
	return nil
}

func (s *settings) checkKeys() error {
	if s.KeyRotation >= 0 && s.KeyRotation < keys.MinPeriod {
		return fmt.Errorf("key_rotation must be at least %s, or negative for never", plainDuration(keys.MinPeriod))
	}
	return nil
}

// resolve makes the paths absolute, from the directory of the file.
func (s *settings) resolve(dir string) error {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return err
	}
	paths := []*string{&s.KeyFile, &s.DatabasePasswordFile, &s.TLSCertificateFile, &s.TLSKeyFile, &s.SMTPPasswordFile, &s.WebAuthnMetadataFile, &s.WebAuthnMetadataRootFile}
	if !s.onPostgres() {
		paths = append(paths, &s.Database)
	}
	for _, path := range paths {
		if *path != "" && !filepath.IsAbs(*path) {
			*path = filepath.Join(dir, *path)
		}
	}
	return nil
}

// field is one key of the configuration.
type field struct {
	key, help string
	value     reflect.Value
}

func (s *settings) fields() []field {
	v := reflect.ValueOf(s).Elem()
	list := make([]field, v.NumField())
	for i := range list {
		tag := v.Type().Field(i).Tag
		list[i] = field{tag.Get("yaml"), tag.Get("help"), v.Field(i)}
	}
	return list
}

// env is the name of the field's environment variable.
func (f field) env() string { return "SALLYPORT_" + strings.ToUpper(f.key) }

// set takes a value as text: what is no string is read as in the file.
func (f field) set(text string) error {
	switch v := f.value.Addr().Interface().(type) {
	case *string:
		*v = text
		return nil
	case *networks:
		return v.set(strings.Split(strings.Trim(text, "[] "), ","))
	case *words:
		v.set(strings.Split(strings.Trim(text, "[] "), ","))
		return nil
	}
	d := yaml.NewDecoder(strings.NewReader(text))
	d.KnownFields(true)
	if err := d.Decode(f.value.Addr().Interface()); err != nil {
		return plainYAML(err)
	}
	return nil
}

// text is the value as it stands in a file, without a password in it.
func (f field) text() string {
	switch v := f.value.Interface().(type) {
	case string:
		v = redacted(v)
		if v == "" {
			return `""`
		}
		out, err := yaml.Marshal(v)
		if err != nil {
			return fmt.Sprintf("%q", v)
		}
		return strings.TrimSpace(string(out))
	case slog.Level:
		return strings.ToLower(v.String())
	case time.Duration:
		return plainDuration(v)
	case networks:
		return v.String()
	case words:
		return v.String()
	case rules:
		return v.String()
	default:
		return fmt.Sprint(v)
	}
}

// plainDuration leaves out zeros: 1h, not 1h0m0s.
func plainDuration(d time.Duration) string {
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}
