package authn

import (
	"context"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-webauthn/webauthn/metadata"
	"github.com/go-webauthn/webauthn/metadata/providers/memory"
	"github.com/go-webauthn/webauthn/protocol"
	"github.com/go-webauthn/webauthn/webauthn"
)

// LargestMetadata bounds a metadata file, in bytes.
const LargestMetadata = 64 << 20

// Metadata is what the FIDO Alliance, or whoever else signs such a file, says of makes
// of authenticators (FIDO Metadata Service v3.1 §3.1.6). It is safe for concurrent use.
type Metadata struct {
	// Number rises with every issue of the file.
	Number int
	// NextUpdate is the day by which the next issue is there.
	NextUpdate time.Time
	// Makes counts the entries that can be used. Unread ones cannot, so their makes are
	// not known.
	Makes, Unread int

	provider metadata.Provider
}

// metadataHost is who signs for the FIDO Alliance. Its root is that of a public
// authority, which signs for others as well.
const metadataHost = "mds.fidoalliance.org"

// ReadMetadata reads a metadata file (a JWT) and verifies who signed it. Without roots
// that is the FIDO Alliance; else anyone whom they vouch for. Nothing is fetched, so a
// certificate that was revoked shows only by the roots. The certificates must have
// been good while the issue was the latest: that it is old is Outdated's to say.
func ReadMetadata(blob []byte, roots *x509.CertPool, now time.Time) (*Metadata, error) {
	if len(blob) > LargestMetadata {
		return nil, fmt.Errorf("metadata: %d bytes are more than %d", len(blob), LargestMetadata)
	}
	jws, err := jose.ParseSignedCompact(string(blob), []jose.SignatureAlgorithm{jose.RS256, jose.ES256})
	if err != nil {
		return nil, fmt.Errorf("metadata: %w", err)
	}
	var payload struct {
		Number     int               `json:"no"`
		NextUpdate string            `json:"nextUpdate"`
		Entries    []json.RawMessage `json:"entries"`
	}
	if err := json.Unmarshal(jws.UnsafePayloadWithoutVerification(), &payload); err != nil {
		return nil, fmt.Errorf("metadata: %w", err)
	}
	next, err := time.Parse(time.DateOnly, payload.NextUpdate)
	if err != nil {
		return nil, fmt.Errorf("metadata: nextUpdate: %w", err)
	}
	if next.Before(now) {
		now = next
	}
	host := ""
	if roots == nil {
		if roots, err = fidoRoots(); err != nil {
			return nil, fmt.Errorf("metadata: root: %w", err)
		}
		host = metadataHost
	}
	if err := verifyMetadata(jws, roots, host, now); err != nil {
		return nil, err
	}
	m := &Metadata{Number: payload.Number, NextUpdate: next}
	if err := m.take(payload.Entries); err != nil {
		return nil, fmt.Errorf("metadata: %w", err)
	}
	return m, nil
}

// fidoRoots are those of the FIDO Alliance's metadata.
func fidoRoots() (*x509.CertPool, error) {
	root, err := base64.StdEncoding.DecodeString(metadata.ProductionMDSRoot)
	if err != nil {
		return nil, err
	}
	cert, err := x509.ParseCertificate(root)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	pool.AddCert(cert)
	return pool, nil
}

// verifyMetadata verifies the chain of the signer, its name if a host is given, then
// the signature.
func verifyMetadata(jws *jose.JSONWebSignature, roots *x509.CertPool, host string, at time.Time) error {
	opts := x509.VerifyOptions{Roots: roots, DNSName: host, CurrentTime: at, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}}
	chains, err := jws.Signatures[0].Protected.Certificates(opts)
	if err != nil {
		return fmt.Errorf("metadata: who signed it: %w", err)
	}
	if _, err := jws.Verify(chains[0][0].PublicKey); err != nil {
		return fmt.Errorf("metadata: signature: %w", err)
	}
	return nil
}

// take keeps the entries that can be read. One of a later version, which cannot, takes
// nothing from the others.
func (m *Metadata) take(raw []json.RawMessage) (err error) {
	var all metadata.Metadata
	for _, r := range raw {
		var j metadata.EntryJSON
		if err := json.Unmarshal(r, &j); err != nil {
			m.Unread++
			continue
		}
		j.MetadataStatement.Icon, j.MetadataStatement.IconDark = "", "" // big, and shown nowhere
		j.MetadataStatement.ProviderLogoLight, j.MetadataStatement.ProviderLogoDark = "", ""
		entry, err := j.Parse()
		if err != nil {
			m.Unread++
			continue
		}
		all.Parsed.Entries = append(all.Parsed.Entries, entry)
	}
	makes := all.ToMap()
	m.Makes = len(makes)
	// The status is ours to look at: it stands against a make whose attestation is right.
	m.provider, err = memory.New(memory.WithMetadata(makes), memory.WithValidateStatus(false), memory.WithValidateAAGUID(true),
		memory.WithValidateAttestationFormats(true), memory.WithValidateBackupEligibility(true), memory.WithValidateAlgorithms(true))
	return err
}

// Outdated reports whether the next issue should be there.
func (m *Metadata) Outdated(now time.Time) bool { return now.After(m.NextUpdate.AddDate(0, 0, 1)) }

// entry is what is known of a make, nil if that is nothing.
func (m *Metadata) entry(id AAGUID) *metadata.Entry {
	if m == nil || id == (AAGUID{}) {
		return nil
	}
	e, _ := m.provider.GetEntry(context.Background(), [16]byte(id))
	return e
}

// name is what the maker calls it in English, "" if that is not known.
func (m *Metadata) name(id AAGUID) string {
	if e := m.entry(id); e != nil {
		return e.MetadataStatement.Description
	}
	return ""
}

// The formats and types of attestation in which somebody other than the credential
// itself vouches for the make (WebAuthn L3 §6.5.4, §8).
var (
	vouchedFormats = []protocol.AttestationFormat{
		protocol.AttestationFormatPacked, protocol.AttestationFormatTPM, protocol.AttestationFormatAndroidKey, protocol.AttestationFormatApple,
	}
	vouchedTypes = []metadata.AuthenticatorAttestationType{metadata.BasicFull, metadata.AttCA, metadata.AnonCA}
)

var errNoMake = errors.New("no attestation by the maker")

// verify returns what is known of the credential's make, if its attestation is right:
// the statement's signature, and the chain to a root of that very make (WebAuthn L3
// §7.1). What the record says of itself is not believed.
func (m *Metadata) verify(k webauthn.Credential) (*metadata.Entry, error) {
	if !slices.Contains(vouchedFormats, protocol.AttestationFormat(k.AttestationFormat)) || len(k.Authenticator.AAGUID) != 16 {
		return nil, errNoMake
	}
	entry := m.entry(AAGUID(k.Authenticator.AAGUID))
	if entry == nil {
		return nil, errors.New("the metadata does not know the make")
	}
	k.AttestationType = "" // so that it is found out
	if err := k.Verify(m.provider, protocol.AttestationPolicy{}, protocol.SignaturePolicy{}); err != nil {
		return nil, err
	}
	if !slices.Contains(vouchedTypes, metadata.AuthenticatorAttestationType(k.AttestationType)) {
		return nil, errNoMake
	}
	return entry, nil
}

// compromised returns the statuses for which nobody should trust a make any more.
func compromised(e *metadata.Entry) error {
	return metadata.ValidateStatusReports(e.StatusReports, nil, metadata.DefaultUndesiredAuthenticatorStatuses())
}

// inHardware reports whether the make keeps its keys in hardware: a chip of its own or
// the trusted part of the processor (FIDO Registry §3.2, "phrh" of EAP ACR Values 1.0).
func inHardware(e *metadata.Entry) bool {
	keeps := e.MetadataStatement.KeyProtection
	return !slices.Contains(keeps, "software") &&
		(slices.Contains(keeps, "hardware") || slices.Contains(keeps, "secure_element") || slices.Contains(keeps, "tee"))
}
