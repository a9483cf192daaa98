package sallyport

import (
	"context"
	"crypto/x509"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/sallyport-id/sallyport/internal/authn"
	"github.com/sallyport-id/sallyport/internal/policy"
)

// Metadata says which authenticators are what they say they are (FIDO Metadata Service
// v3.1). With it new ones are asked for the attestation of their make, and level 4 can
// be reached: by keys of makes that keep them in hardware. The lists name makes by
// their AAGUID, and are about keys whose make was verified.
type Metadata struct {
	// File is the metadata, as its authority signs them: from the FIDO Alliance
	// https://mds.fidoalliance.org. It is read again when it changes.
	File string
	// RootFile has the roots that vouch for the signer, PEM; "": the FIDO Alliance's.
	RootFile string
	// Allow are the only makes of which keys are registered; empty: any, and keys of
	// which nobody vouches for the make.
	Allow []string
	// AllowHardwareBound are the only makes that reach level 4; empty: any that keep
	// their keys in hardware.
	AllowHardwareBound []string
	// Deny are makes of which no key is registered, and none reaches level 4.
	Deny []string
}

// Check says what cannot work. It reads no file.
func (m Metadata) Check() error {
	if m.File == "" {
		return fmt.Errorf("metadata: no file")
	}
	_, err := m.makes()
	return err
}

func (m Metadata) makes() (authn.Makes, error) {
	var makes authn.Makes
	for _, list := range []struct {
		from []string
		to   *[]authn.AAGUID
	}{{m.Allow, &makes.Allow}, {m.AllowHardwareBound, &makes.AllowHardwareBound}, {m.Deny, &makes.Deny}} {
		for _, text := range list.from {
			id, err := authn.ParseAAGUID(text)
			if err != nil {
				return makes, fmt.Errorf("metadata: %w", err)
			}
			*list.to = append(*list.to, id)
		}
	}
	return makes, nil
}

// Use lets a relying party judge by the files.
func (m Metadata) Use(rp *authn.RelyingParty, now time.Time) (*authn.Metadata, error) {
	makes, err := m.makes()
	if err != nil {
		return nil, err
	}
	read, err := m.Read(now)
	if err != nil {
		return nil, err
	}
	if rp != nil { // else browsers have no WebAuthn here
		rp.Makes = makes
	}
	rp.UseMetadata(read)
	return read, nil
}

// Read reads the files and verifies who signed them.
func (m Metadata) Read(now time.Time) (*authn.Metadata, error) {
	roots, err := m.roots()
	if err != nil {
		return nil, fmt.Errorf("metadata: roots: %w", err)
	}
	f, err := os.Open(m.File)
	if err != nil {
		return nil, fmt.Errorf("metadata: %w", err)
	}
	defer f.Close()
	blob, err := io.ReadAll(io.LimitReader(f, authn.LargestMetadata+1))
	if err != nil {
		return nil, fmt.Errorf("metadata: %w", err)
	}
	read, err := authn.ReadMetadata(blob, roots, now)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", m.File, err)
	}
	return read, nil
}

// roots is nil for those that are built in.
func (m Metadata) roots() (*x509.CertPool, error) {
	if m.RootFile == "" {
		return nil, nil
	}
	text, err := os.ReadFile(m.RootFile)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("%s has no certificate", m.RootFile)
	}
	return pool, nil
}

// metadataFiles are the files as they were read.
type metadataFiles struct {
	Metadata
	of   [2]fileState
	read *authn.Metadata
}

type fileState struct {
	changed time.Time
	size    int64
}

func (f *metadataFiles) states() (of [2]fileState, err error) {
	for i, name := range []string{f.File, f.RootFile} {
		if name == "" {
			continue
		}
		info, err := os.Stat(name)
		if err != nil {
			return of, err
		}
		of[i] = fileState{info.ModTime(), info.Size()}
	}
	return of, nil
}

// wireMetadata lets the relying party judge by the metadata. Without them it stays as
// it is. What cannot be read at the start is an error: nobody would reach level 4.
func (s *Server) wireMetadata(rp *authn.RelyingParty) (err error) {
	if s.config.Metadata == nil {
		return nil
	}
	f := &metadataFiles{Metadata: *s.config.Metadata}
	if f.of, err = f.states(); err != nil {
		return fmt.Errorf("metadata: %w", err)
	}
	if f.read, err = f.Use(rp, s.config.Now()); err != nil {
		return err
	}
	s.metadata, s.relyingParty = f, rp
	s.metadataUntil.Store(f.read.NextUpdate.Unix())
	s.tellMetadata(context.Background(), f.read)
	return nil
}

// metadataEvery is how often the files are looked at.
const metadataEvery = 10 * time.Second

// refreshMetadata takes up files that have changed. Those that cannot be read, or are
// older than what is there, are not taken, and the old metadata stay.
func (s *Server) refreshMetadata(ctx context.Context) {
	f := s.metadata
	of, err := f.states()
	if err != nil || of == f.of {
		return // a file that is being replaced is there at the next look
	}
	f.of = of
	read, err := f.Read(s.config.Now())
	if err == nil && read.Number < f.read.Number {
		err = fmt.Errorf("its number is %d, after %d", read.Number, f.read.Number)
	}
	if err != nil {
		s.config.Log.ErrorContext(ctx, "the new metadata are not taken", "error", err)
		return
	}
	f.read = read
	s.relyingParty.UseMetadata(read)
	s.metadataUntil.Store(read.NextUpdate.Unix())
	s.tellMetadata(ctx, read)
}

// tellMetadata logs what was read. Old metadata count on: what they know of a make to
// be unsafe stays true, and a download that was forgotten shuts nobody out.
func (s *Server) tellMetadata(ctx context.Context, m *authn.Metadata) {
	say := s.config.Log.InfoContext
	if m.Outdated(s.config.Now()) {
		say = s.config.Log.WarnContext
	}
	say(ctx, "metadata of authenticators", "number", m.Number, "next_update", m.NextUpdate.Format(time.DateOnly),
		"outdated", m.Outdated(s.config.Now()), "makes", m.Makes, "unread", m.Unread)
}

// checkMetadata also says which rule nobody could meet without them.
func (c Config) checkMetadata() error {
	if c.Metadata != nil {
		return c.Metadata.Check()
	}
	if name, ok := policy.HardwareBoundRule(c.Policy); ok {
		return fmt.Errorf("policy: rule %s: require %s is never met without Metadata", name, HardwareBound)
	}
	return nil
}
