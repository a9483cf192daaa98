// Package authntest makes authenticators whose make can be verified, and the metadata
// that knows it, for tests.
package authntest

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"math/big"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-webauthn/webauthn/protocol/webauthncbor"
)

// T is what a test, or whatever stands for one, can do.
type T interface {
	Helper()
	Fatal(args ...any)
}

// Authority is a root that signs certificates.
type Authority struct {
	Root *x509.Certificate
	key  *ecdsa.PrivateKey
}

// NewAuthority makes a root.
func NewAuthority(t T, name string) *Authority {
	t.Helper()
	key := newKey(t)
	a := &Authority{key: key}
	a.Root = certificate(t, &x509.Certificate{
		Subject: pkix.Name{CommonName: name}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}, nil, key, key)
	return a
}

// Pool has the root alone.
func (a *Authority) Pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(a.Root)
	return pool
}

// PEM is the root as a file has it.
func (a *Authority) PEM() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.Root.Raw})
}

// Blob is a metadata file of these entries that the authority vouches for.
func (a *Authority) Blob(t T, number int, nextUpdate time.Time, entries ...map[string]any) []byte {
	t.Helper()
	key := newKey(t)
	leaf := certificate(t, &x509.Certificate{Subject: pkix.Name{CommonName: "metadata"}, DNSNames: []string{"mds.fidoalliance.org"}}, a, key, a.key)
	payload, err := json.Marshal(map[string]any{
		"legalHeader": "for tests", "no": number, "nextUpdate": nextUpdate.Format(time.DateOnly), "entries": entries,
	})
	must(t, err)
	return Sign(t, key, payload, leaf)
}

// Sign signs a metadata file's payload with a key, and names these certificates.
func Sign(t T, key *ecdsa.PrivateKey, payload []byte, chain ...*x509.Certificate) []byte {
	t.Helper()
	var x5c []string
	for _, c := range chain {
		x5c = append(x5c, base64.StdEncoding.EncodeToString(c.Raw))
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: key}, (&jose.SignerOptions{}).WithHeader("x5c", x5c))
	must(t, err)
	jws, err := signer.Sign(payload)
	must(t, err)
	text, err := jws.CompactSerialize()
	must(t, err)
	return []byte(text)
}

// Maker makes authenticators of one make.
type Maker struct {
	AAGUID [16]byte
	Name   string
	*Authority
	// Certified is the make that its certificates are for: AAGUID, unless a test says
	// something else.
	Certified [16]byte
}

// NewMaker is a maker with a root of its own.
func NewMaker(t T, name string) *Maker {
	t.Helper()
	m := &Maker{Name: name, Authority: NewAuthority(t, name)}
	_, _ = rand.Read(m.AAGUID[:])
	m.Certified = m.AAGUID
	return m
}

// Entry is what metadata say of the make, with these statuses, the oldest first.
func (m *Maker) Entry(statuses ...string) map[string]any {
	reports := []map[string]any{}
	for _, s := range append([]string{"FIDO_CERTIFIED_L1"}, statuses...) {
		reports = append(reports, map[string]any{"status": s, "effectiveDate": "2020-01-01"})
	}
	return map[string]any{
		"aaguid": m.uuid(), "statusReports": reports, "timeOfLastStatusChange": "2020-01-01",
		"metadataStatement": map[string]any{
			"legalHeader": "for tests", "aaguid": m.uuid(), "description": m.Name, "protocolFamily": "fido2", "schema": 3,
			"authenticationAlgorithms": []string{"secp256r1_ecdsa_sha256_raw"}, "attestationTypes": []string{"basic_full"},
			"keyProtection":               []string{"hardware", "secure_element"},
			"attestationRootCertificates": []string{base64.StdEncoding.EncodeToString(m.Root.Raw)},
		},
	}
}

// With is an entry with another value of its statement.
func With(entry map[string]any, name string, value any) map[string]any {
	entry["metadataStatement"].(map[string]any)[name] = value
	return entry
}

func (m *Maker) uuid() string { return UUID(m.AAGUID) }

// UUID is an AAGUID as it is written.
func UUID(id [16]byte) string {
	const hex = "0123456789abcdef"
	var b []byte
	for i, v := range id {
		if i == 4 || i == 6 || i == 8 || i == 10 {
			b = append(b, '-')
		}
		b = append(b, hex[v>>4], hex[v&15])
	}
	return string(b)
}

// Attest puts a packed attestation by the maker (WebAuthn L3 §8.2) in the place of the
// one in a software authenticator's registration response.
func (m *Maker) Attest(t T, response string) string {
	t.Helper()
	var whole map[string]any
	must(t, json.Unmarshal([]byte(response), &whole))
	parts := whole["response"].(map[string]any)
	object, err := base64.RawURLEncoding.DecodeString(parts["attestationObject"].(string))
	must(t, err)
	clientData, err := base64.RawURLEncoding.DecodeString(parts["clientDataJSON"].(string))
	must(t, err)
	var attestation map[string]any
	must(t, webauthncbor.Unmarshal(object, &attestation))
	key, hash := newKey(t), sha256.Sum256(clientData)
	digest := sha256.Sum256(append(bytes.Clone(attestation["authData"].([]byte)), hash[:]...))
	sig, err := ecdsa.SignASN1(rand.Reader, key, digest[:])
	must(t, err)
	attestation["fmt"] = "packed"
	attestation["attStmt"] = map[string]any{"alg": -7, "sig": sig, "x5c": []any{m.leaf(t, key).Raw}}
	object, err = webauthncbor.Marshal(attestation)
	must(t, err)
	parts["attestationObject"] = base64.RawURLEncoding.EncodeToString(object)
	made, err := json.Marshal(whole)
	must(t, err)
	return string(made)
}

// leaf is an attestation certificate (WebAuthn L3 §8.2.1).
func (m *Maker) leaf(t T, key *ecdsa.PrivateKey) *x509.Certificate {
	t.Helper()
	aaguid, err := asn1.Marshal(m.Certified[:])
	must(t, err)
	return certificate(t, &x509.Certificate{
		Subject:               pkix.Name{Country: []string{"KR"}, Organization: []string{m.Name}, OrganizationalUnit: []string{"Authenticator Attestation"}, CommonName: "one of them"},
		BasicConstraintsValid: true,
		ExtraExtensions:       []pkix.Extension{{Id: asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 45724, 1, 1, 4}, Value: aaguid}},
	}, m.Authority, key, m.key)
}

// certificate signs one for a key; a nil authority makes it its own.
func certificate(t T, c *x509.Certificate, by *Authority, of, signer *ecdsa.PrivateKey) *x509.Certificate {
	t.Helper()
	c.SerialNumber, c.NotBefore, c.NotAfter = big.NewInt(1), time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(2099, 1, 1, 0, 0, 0, 0, time.UTC)
	parent := c
	if by != nil {
		parent = by.Root
	}
	raw, err := x509.CreateCertificate(rand.Reader, c, parent, &of.PublicKey, signer)
	must(t, err)
	made, err := x509.ParseCertificate(raw)
	must(t, err)
	return made
}

func newKey(t T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	return key
}

func must(t T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
