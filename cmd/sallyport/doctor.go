package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/sallyport-id/sallyport/internal/keys"
	"github.com/sallyport-id/sallyport/internal/store/sqlstore"
)

type doctorCmd struct {
	configFlag
	outputFlag
}

// errUnwell ends the command after everything was printed.
var errUnwell = errors.New("something is wrong")

// Run looks at everything and prints what it found, with how to mend it.
func (c *doctorCmd) Run() error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	d := &doctor{now: time.Now}
	d.examine(ctx, c.configFlag)
	err := c.print(os.Stdout, d.findings, d.printText)
	for _, f := range d.findings {
		if f.State == stateError {
			return errors.Join(err, errUnwell)
		}
	}
	return err
}

// The states of a finding.
const (
	stateOK      = "ok"
	stateWarning = "warning"
	stateError   = "error"
)

// finding is what one check found.
type finding struct {
	Check string `json:"check"`
	State string `json:"state"`
	Found string `json:"found"`
	Mend  string `json:"mend,omitempty"`
}

// doctor examines an installation, and changes nothing in it but what every
// command does: the database's tables are brought up to date.
type doctor struct {
	now      func() time.Time
	findings []finding

	settings settings
	sealer   *keys.Sealer    // nil: the key file cannot be read
	db       *sqlstore.Store // nil: it cannot be opened
}

func (d *doctor) ok(check, found string, args ...any) {
	d.findings = append(d.findings, finding{check, stateOK, fmt.Sprintf(found, args...), ""})
}

func (d *doctor) warn(check, mend, found string, args ...any) {
	d.findings = append(d.findings, finding{check, stateWarning, fmt.Sprintf(found, args...), mend})
}

func (d *doctor) bad(check, mend, found string, args ...any) {
	d.findings = append(d.findings, finding{check, stateError, fmt.Sprintf(found, args...), mend})
}

func (d *doctor) printText(w io.Writer) error {
	for _, f := range d.findings {
		if _, err := fmt.Fprintf(w, "%-8s %s: %s\n", f.State, f.Check, f.Found); err != nil {
			return err
		}
		if f.Mend == "" {
			continue
		}
		for _, line := range wrapText(f.Mend, 90) {
			if _, err := fmt.Fprintf(w, "         %s\n", line); err != nil {
				return err
			}
		}
	}
	return nil
}

// examine checks from the ground up: what rests on something broken is left out.
func (d *doctor) examine(ctx context.Context, c configFlag) {
	var err error
	if d.settings, _, err = c.load(); err != nil {
		d.bad("configuration", "Mend the file; \"sallyport config --describe\" explains each key.", "%v", err)
		return
	}
	d.ok("configuration", "%s, issuer %s", c.Config, d.settings.Issuer)
	d.keyFile()
	d.database(ctx)
	if d.db != nil {
		defer d.db.Close()
		d.secrets(ctx)
		d.clock(ctx)
		d.policy(ctx)
		d.clientKeys(ctx)
		d.logouts(ctx)
	}
	d.certificate()
	d.metadata(ctx)
	d.mail(ctx)
	d.server(ctx)
}

func (d *doctor) keyFile() {
	masters, err := keys.ReadKeyFile(d.settings.KeyFile)
	if err == nil {
		d.sealer, err = keys.NewSealer(masters[0], masters[1:]...)
	}
	if err != nil {
		d.bad("key file", "It is the one that \"sallyport init\" made, with mode 0600, and of the user that the server runs as. If it is lost, take its copy.", "%v", err)
		return
	}
	d.ok("key file", "%s, for its owner alone", d.settings.KeyFile)
}

func (d *doctor) database(ctx context.Context) {
	const check = "database"
	database, err := d.settings.databaseAt()
	if err != nil {
		d.bad(check, "The file has the password of the PostgreSQL user in its first line.", "%v", err)
		return
	}
	if !d.settings.onPostgres() && !d.ownFiles(database) {
		return
	}
	if err := checkInstalled(ctx, database); err != nil {
		d.bad(check, "Is the key \"database\" right? Does the database server run, and let this machine in?", "%v", err)
		return
	}
	if d.db, err = sqlstore.Open(ctx, sqlstore.At(database)); err != nil {
		d.db = nil
		d.bad(check, "Is there room on the disk? May the user create tables?", "%v", err)
		return
	}
	d.ok(check, "%s answers, its tables are up to date", databaseName(database))
}

// ownFiles: SQLite makes files beside the database as whoever opens it first. Made
// by root, they shut the server out.
func (d *doctor) ownFiles(path string) (fine bool) {
	for _, name := range []string{path, path + "-wal", path + "-shm", path + ".lock"} {
		f, err := os.OpenFile(name, os.O_RDWR, 0)
		switch {
		case err == nil:
			f.Close()
		case !errors.Is(err, os.ErrNotExist):
			d.bad("database", "Run the server and every command as one user, who owns all the files of the directory.", "%v", err)
			return false
		}
	}
	if info, err := os.Stat(path); err == nil && info.Mode().Perm()&0o077 != 0 {
		d.warn("database", "chmod 600 "+path, "%s is open to others (mode %04o)", path, info.Mode().Perm())
	}
	return true
}

func (d *doctor) secrets(ctx context.Context) {
	const check = "secrets"
	if d.sealer == nil {
		return
	}
	n, old, err := keys.Check(ctx, d.db, d.sealer)
	switch {
	case err != nil:
		d.bad(check, "The key file must have the key that the database was made with.", "%v", err)
	case old > 0:
		d.warn(check, "\"sallyport key reseal\" seals them under the newest.", "%d of %d are sealed under an older master key", old, n)
	default:
		d.ok(check, "all %d in the database can be opened with the key file", n)
	}
}

func (d *doctor) clock(ctx context.Context) {
	const check, mend = "clock", "Let a time service (chrony, systemd-timesyncd) set the clock of every machine: codes of authenticator apps and tokens need it."
	theirs, err := d.db.Clock(ctx)
	if err != nil {
		d.bad(check, mend, "the database does not tell the time: %v", err)
		return
	}
	if off := d.now().Sub(theirs).Round(time.Millisecond); off.Abs() > keys.MaxClockSkew {
		d.bad(check, mend, "this machine is %v off the database's", off)
		return
	}
	stored, err := d.db.SigningKeys(ctx)
	if err == nil && len(stored) > 0 && stored[0].CreatedAt.After(d.now().Add(keys.MaxClockSkew)) {
		d.bad(check, mend, "it is earlier than when the newest signing key was made, %s", stored[0].CreatedAt.Format(time.RFC3339))
		return
	}
	d.ok(check, "%s", d.now().UTC().Format(time.RFC3339))
}

// policy says where the rules are from.
func (d *doctor) policy(ctx context.Context) {
	const check = "policy"
	r, err := d.settings.rulesInForce(ctx, d.db)
	if err != nil {
		d.bad(check, "A server keeps the last rules that it understood, and does not start again: take the newer release.", "%v", err)
		return
	}
	_, version, err := d.db.Rules(ctx)
	switch {
	case err != nil:
		d.bad(check, "The database must answer.", "%v", err)
	case r.Source == fromConfiguration && version > 0:
		d.warn(check, "If those in the database shall apply, take policy out of the configuration.",
			"%d rules of the configuration apply, and not those in the database, version %d", len(r.Rules), version)
	case len(r.Rules) == 0:
		d.ok(check, "no rules of the %s: two factors are required of everyone", r.Source)
	default:
		d.ok(check, "%d rules, %s", len(r.Rules), r)
	}
}

// mail connects to the SMTP server and logs in.
func (d *doctor) mail(ctx context.Context) {
	const check = "mail"
	server, err := d.settings.smtp()
	if err != nil {
		d.bad(check, "The file has the password of smtp_user in its first line.", "%v", err)
		return
	}
	if server == nil {
		d.ok(check, "none is sent: nobody is told what happens to their account, and a new password needs an operator (smtp_host)")
		return
	}
	if err := server.Probe(ctx); err != nil {
		d.bad(check, "Are smtp_host, smtp_port and smtp_tls those of the server? Does it let this machine in, and is the password right?", "%s: %v", server.Address(), err)
		return
	}
	d.waiting(ctx, server.Address())
}

// waiting looks at what the sender has left.
func (d *doctor) waiting(ctx context.Context, address string) {
	const check = "mail"
	if d.db == nil {
		return
	}
	n, err := d.db.CountMails(ctx)
	switch {
	case err != nil:
		d.bad(check, "The database must answer.", "the outbox cannot be read: %v", err)
	case n.Dead > 0:
		d.warn(check, "\"sallyport mail list\" says why.", "%s answers; %d mails were given up in the last days, %d wait", address, n.Dead, n.Pending)
	default:
		d.ok(check, "%s answers; %d mails wait", address, n.Pending)
	}
}

// logouts looks at what applications have not taken.
func (d *doctor) logouts(ctx context.Context) {
	const check = "logouts"
	n, err := d.db.CountLogouts(ctx, "")
	switch {
	case err != nil:
		d.bad(check, "The database must answer.", "what applications are to be told cannot be read: %v", err)
	case n.Failing > 0:
		d.warn(check, "\"sallyport client logouts\" says why.", "%d messages to applications wait, %d were tried in vain", n.Pending, n.Failing)
	default:
		d.ok(check, "%d messages to applications wait", n.Pending)
	}
}

// certificate checks the server's own.
func (d *doctor) certificate() {
	const check = "certificate"
	if !d.settings.tls() {
		return
	}
	pair, err := tls.LoadX509KeyPair(d.settings.TLSCertificateFile, d.settings.TLSKeyFile)
	if err != nil {
		d.bad(check, "tls_certificate_file has the certificate and its chain, tls_key_file its key, both PEM.", "%v", err)
		return
	}
	if err := pair.Leaf.VerifyHostname(issuerHost(d.settings.Issuer)); err != nil {
		d.bad(check, "The certificate must be for the host of the issuer.", "%v", err)
		return
	}
	d.expiry(check, pair.Leaf)
}

// soon is when a certificate that has not been renewed deserves a look.
const soon = 14 * 24 * time.Hour

func (d *doctor) expiry(check string, c *x509.Certificate) {
	const mend = "Renew it; the server takes the new files without a restart."
	switch left := c.NotAfter.Sub(d.now()); {
	case left <= 0:
		d.bad(check, mend, "expired %s", c.NotAfter.Format(time.RFC3339))
	case left < soon:
		d.warn(check, mend, "expires %s", c.NotAfter.Format(time.RFC3339))
	default:
		d.ok(check, "good until %s", c.NotAfter.Format(time.RFC3339))
	}
}

func issuerHost(issuer string) string {
	u, err := url.Parse(issuer)
	if err != nil {
		return issuer
	}
	return u.Hostname()
}

// server asks the running server, by its public name, what of a request arrives.
func (d *doctor) server(ctx context.Context) {
	const check = "server"
	if d.sealer == nil {
		return
	}
	seen, err := d.probe(ctx, "")
	var refused *probeError
	switch {
	case errors.As(err, &refused):
		d.bad(check, refused.mend, "%v", err)
	case err != nil:
		d.warn(check, "Start it with \"sallyport serve\". If it runs: does the name lead to it, from here, too, and is its certificate good?", "%v", err)
	default:
		d.ok(check, "answers at %s, and has this key file", d.settings.Issuer)
		if seen.certificate != nil && !d.settings.tls() {
			d.expiry("certificate of the proxy", seen.certificate)
		}
		d.proxies(ctx, seen)
	}
}

// proxies compares what the server saw with what this machine sent.
func (d *doctor) proxies(ctx context.Context, seen *probed) {
	const check = "proxy headers"
	peer, _ := netip.ParseAddrPort(seen.Peer)
	trusted := func(a netip.Addr) bool {
		for _, network := range d.settings.TrustedProxies {
			if network.Contains(a.Unmap()) {
				return true
			}
		}
		return false
	}
	address, _ := netip.ParseAddr(seen.Address)
	switch {
	case seen.Forwarded != "" && !trusted(peer.Addr()):
		d.bad(check, "Add the proxy's address to trusted_proxies: until then all its visitors are one to the limits and the audit log.",
			"the proxy at %s says X-Forwarded-For: %s, and is not trusted", peer.Addr(), seen.Forwarded)
		return
	case seen.Forwarded == "" && trusted(peer.Addr()):
		d.bad(check, "Let it append the visitor's address (docs/operate/proxies.md has how).", "the trusted proxy at %s sends no X-Forwarded-For", peer.Addr())
		return
	case trusted(address):
		d.warn(check, "Run doctor on another machine, too.", "this machine's address, %s, is one of trusted_proxies: what visitors can claim cannot be told from here", address)
		return
	}
	const invented = "192.0.2.77" // of a network that nobody has (RFC 5737 §3)
	forged, err := d.probe(ctx, invented)
	if err != nil {
		d.bad(check, "Let the proxy append to X-Forwarded-For.", "with an X-Forwarded-For of ours: %v", err)
		return
	}
	if forged.Address == invented {
		d.bad(check, "Let the proxy append the visitor's address to X-Forwarded-For, and trusted_proxies name the proxies alone.",
			"a visitor is believed to be whom his X-Forwarded-For says")
		return
	}
	d.ok(check, "the server sees this machine as %s", seen.Address)
}

// probed is what the server saw of a request.
type probed struct {
	Issuer    string `json:"issuer"`
	Peer      string `json:"peer"`
	Address   string `json:"address"`
	Forwarded string `json:"x_forwarded_for"`

	certificate *x509.Certificate
}

// probeError is an answer, and not the one of this installation's server.
type probeError struct{ found, mend string }

func (e *probeError) Error() string { return e.found }

// probe asks at the issuer, with an X-Forwarded-For if there is one.
func (d *doctor) probe(ctx context.Context, forwarded string) (*probed, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, "GET", d.settings.Issuer+"/.well-known/openid-configuration", nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set(probeHeader, d.sealer.Proof("doctor", d.now()))
	if forwarded != "" {
		req.Header.Set("X-Forwarded-For", forwarded)
	}
	client := http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	return readProbe(resp, d.settings.Issuer)
}
