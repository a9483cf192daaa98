package authn_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-id/sallyport/internal/authn"
	"github.com/sallyport-id/sallyport/internal/authn/authntest"
)

var tomorrow = noon.AddDate(0, 0, 1)

// TestMetadata: what a file says, of which one entry is of a version that nobody knows.
func TestMetadata(t *testing.T) {
	t.Parallel()
	authority, maker := authntest.NewAuthority(t, "MDS"), authntest.NewMaker(t, "Seoul Key 1")
	strange := authntest.NewMaker(t, "Strange Key").Entry()
	strange["timeOfLastStatusChange"] = 7
	blob := authority.Blob(t, 12, tomorrow, maker.Entry(), strange)
	m, err := authn.ReadMetadata(blob, authority.Pool(), noon)
	if err != nil {
		t.Fatal(err)
	}
	if m.Number != 12 || m.Makes != 1 || m.Unread != 1 || m.Outdated(noon) || m.Outdated(tomorrow.Add(time.Hour)) || !m.Outdated(noon.AddDate(0, 0, 3)) {
		t.Errorf("got %+v", m)
	}
	old, err := authn.ReadMetadata(blob, authority.Pool(), noon.AddDate(100, 0, 0))
	if err != nil || !old.Outdated(noon.AddDate(100, 0, 0)) {
		t.Errorf("an old one must be taken, and known to be old: %v", err)
	}
	if again, err := authn.ReadMetadata(append(blob, "\r\n"...), authority.Pool(), noon); err != nil || again.Makes != 1 {
		t.Errorf("with an end of line: %v", err)
	}
}

// TestRule20MetadataIsVerified: nobody but the authority says what makes are.
func TestRule20MetadataIsVerified(t *testing.T) {
	t.Parallel()
	authority, other := authntest.NewAuthority(t, "MDS"), authntest.NewAuthority(t, "MDS")
	maker := authntest.NewMaker(t, "Key")
	blob := authority.Blob(t, 1, tomorrow, maker.Entry())
	parts := bytes.Split(blob, []byte("."))
	tampered := bytes.Join([][]byte{parts[0], bytes.Replace(parts[1], parts[1][20:24], []byte("AAAA"), 1), parts[2]}, []byte("."))
	elsewhere := bytes.Split(authority.Blob(t, 2, tomorrow), []byte("."))
	key, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	payload := []byte(`{"no":1,"nextUpdate":"2026-10-01","entries":[]}`)
	for name, c := range map[string]struct {
		blob  []byte
		roots *x509.CertPool
		at    time.Time
	}{
		"another root":            {blob, other.Pool(), noon},
		"not the FIDO Alliance's": {blob, nil, noon},
		"other bytes":             {tampered, authority.Pool(), noon},
		"another's signature":     {bytes.Join([][]byte{parts[0], parts[1], elsewhere[2]}, []byte(".")), authority.Pool(), noon},
		"another's payload":       {bytes.Join([][]byte{parts[0], elsewhere[1], parts[2]}, []byte(".")), authority.Pool(), noon},
		"no certificate":          {authntest.Sign(t, key, payload), authority.Pool(), noon},
		"the root's, another key": {authntest.Sign(t, key, payload, authority.Root), authority.Pool(), noon},
		"not yet good":            {blob, authority.Pool(), time.Date(2019, 1, 1, 0, 0, 0, 0, time.UTC)},
		"no day":                  {authority.Blob(t, 1, time.Date(12026, 1, 1, 0, 0, 0, 0, time.UTC)), authority.Pool(), noon},
		"not signed":              {[]byte("eyJhbGciOiJub25lIn0." + string(parts[1]) + "."), authority.Pool(), noon},
		"empty":                   {nil, authority.Pool(), noon},
		"no JWT":                  {[]byte("<html>"), authority.Pool(), noon},
	} {
		if m, err := authn.ReadMetadata(c.blob, c.roots, c.at); err == nil {
			t.Errorf("%s: taken: %+v", name, m)
		}
	}
}

// FuzzReadMetadata: whatever the file is, it is read or refused.
func FuzzReadMetadata(f *testing.F) {
	authority := authntest.NewAuthority(f, "MDS")
	f.Add(authority.Blob(f, 1, tomorrow, authntest.NewMaker(f, "Key").Entry("REVOKED")))
	f.Add([]byte("a.b.c"))
	pool := authority.Pool()
	f.Fuzz(func(t *testing.T, blob []byte) {
		if m, err := authn.ReadMetadata(blob, pool, noon); (m == nil) == (err == nil) {
			t.Errorf("got %v and %v", m, err)
		}
	})
}

// FuzzMetadataEntry: whatever an entry of a signed file is, it is known or left out.
func FuzzMetadataEntry(f *testing.F) {
	authority := authntest.NewAuthority(f, "MDS")
	pool := authority.Pool()
	f.Add("description", `"x"`)
	f.Add("attestationRootCertificates", `["AAAA"]`)
	f.Add("authenticatorGetInfo", `{"aaguid":1}`)
	f.Fuzz(func(t *testing.T, name, value string) {
		entry := authntest.With(authntest.NewMaker(t, "Key").Entry(), strings.ToValidUTF8(name, "?"), fmt.Sprint(value))
		m, err := authn.ReadMetadata(authority.Blob(t, 1, tomorrow, entry), pool, noon)
		if err != nil || m.Makes+m.Unread != 1 {
			t.Errorf("got %+v, %v", m, err)
		}
	})
}

// TestParseAAGUID: as FIDO writes it, and nothing else.
func TestParseAAGUID(t *testing.T) {
	t.Parallel()
	const yubikey = "cb69481e-8ff7-4039-93ec-0a2729a154a8"
	if id, err := authn.ParseAAGUID(strings.ToUpper(yubikey)); err != nil || id.String() != yubikey {
		t.Errorf("got %s, %v", id, err)
	}
	for _, wrong := range []string{"", "yubikey", yubikey[1:], strings.ReplaceAll(yubikey, "-", ""), "cb69481e8-ff7-4039-93ec-0a2729a154a8", "00000000-0000-0000-0000-000000000000"} {
		if id, err := authn.ParseAAGUID(wrong); err == nil {
			t.Errorf("%q is taken as %s", wrong, id)
		}
	}
}
