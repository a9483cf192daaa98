package authn

import (
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/sallyport-id/sallyport/internal/authn/authntest"
)

// TestRule20MetadataSignerHasItsName: the FIDO Alliance's root is that of a public
// authority, so a certificate for another host says nothing of makes.
func TestRule20MetadataSignerHasItsName(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	authority := authntest.NewAuthority(t, "Public Authority")
	jws, err := jose.ParseSignedCompact(string(authority.Blob(t, 1, now)), []jose.SignatureAlgorithm{jose.ES256})
	if err != nil {
		t.Fatal(err)
	}
	for host, want := range map[string]bool{metadataHost: true, "": true, "shop.example.com": false} {
		if err := verifyMetadata(jws, authority.Pool(), host, now); (err == nil) != want {
			t.Errorf("%q: got %v", host, err)
		}
	}
	if roots, err := fidoRoots(); err != nil || verifyMetadata(jws, roots, metadataHost, now) == nil {
		t.Errorf("signed by anybody, with the name: %v", err)
	}
}
