package keys

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"

	"github.com/sallyport-id/sallyport/internal/oidc"
	"github.com/sallyport-id/sallyport/internal/store"
)

// pairwisePurpose names the secret that pairwise subjects are computed with.
const pairwisePurpose = "pairwise"

// Subjects knows what users are called at clients (OpenID Connect Core §8). It is the
// one place where a sub claim comes from.
type Subjects struct {
	redacted
	secret []byte
}

// OpenSubjects opens the secret of pairwise subjects, or makes it if there is none yet:
// of several processes one does. It is random, and only sealed under the master key, so
// that subjects stay what they are when that changes.
func OpenSubjects(ctx context.Context, st store.Secrets, sealer *Sealer) (*Subjects, error) {
	place := Place{Table: "server_secrets", Column: "sealed", Row: pairwisePurpose}
	sealed, err := st.Secret(ctx, pairwisePurpose)
	if errors.Is(err, store.ErrNotFound) {
		sealed, err = addSecret(ctx, st, sealer, place)
	}
	if err != nil {
		return nil, fmt.Errorf("keys: secret of pairwise subjects: %w", err)
	}
	secret, err := sealer.Open(sealed, place)
	if err != nil {
		return nil, fmt.Errorf("keys: secret of pairwise subjects: %w", err)
	}
	return &Subjects{secret: secret}, nil
}

// addSecret returns the sealed secret that is there afterwards: this one, or that of
// whoever was faster.
func addSecret(ctx context.Context, st store.Secrets, sealer *Sealer, place Place) ([]byte, error) {
	secret := make([]byte, sha256.Size)
	rand.Read(secret)
	sealed, err := sealer.Seal(secret, place)
	if err != nil {
		return nil, err
	}
	if err := st.AddSecret(ctx, place.Row, sealed); err != nil && !errors.Is(err, store.ErrExists) {
		return nil, err
	}
	return st.Secret(ctx, place.Row)
}

// Of returns the sub claim that means the user to a client: the user's own id or, of a
// pairwise client, a name that only clients of the same sector know, and that nobody can
// compute, or trace back, who does not have the secret (OpenID Connect Core §8.1).
func (s *Subjects) Of(c *oidc.Client, userID string) string {
	if !c.Pairwise() {
		return userID
	}
	mac := hmac.New(sha256.New, s.secret)
	_, _ = io.WriteString(mac, c.Sector+"\x00"+userID) // neither holds a zero byte
	return oidc.PairwisePrefix + base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}
