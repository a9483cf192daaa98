package keys_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/sallyport-id/sallyport/internal/keys"
	"github.com/sallyport-id/sallyport/internal/store"
	"github.com/sallyport-id/sallyport/internal/store/sqlstore"
)

// sealedWorld is a store with secrets under an old master key.
type sealedWorld struct {
	*sqlstore.Store
	t          *testing.T
	old, fresh keys.MasterKey
}

// newSealedWorld has so many TOTP secrets, and the signing keys.
func newSealedWorld(t *testing.T, secrets int) *sealedWorld {
	w := &sealedWorld{openStore(t, filepath.Join(t.TempDir(), "test.db")), t, keys.NewMasterKey(), keys.NewMasterKey()}
	before := sealer(t, w.old)
	if err := newNode(t, w, before, keys.NewPlan(-1, time.Hour)).Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	for i := range secrets {
		id, owner := fmt.Sprintf("a%04d", i), fmt.Sprintf("u%d", i%7)
		w.enroll(id, owner, seal(t, before, "secret of "+id, keys.Place{Table: "authenticators", Column: "secret", Row: id, Owner: owner}))
	}
	return w
}

func (w *sealedWorld) enroll(id, owner string, sealed []byte) {
	w.t.Helper()
	u := &store.User{ID: owner, Login: owner, LoginKey: owner, CreatedAt: began}
	if err := w.CreateUser(w.t.Context(), u); err != nil && !errors.Is(err, store.ErrExists) {
		w.t.Fatal(err)
	}
	a := store.Authenticator{ID: id, UserID: owner, Kind: store.KindTOTP, Secret: sealed, CreatedAt: began}
	if err := w.CreateAuthenticator(w.t.Context(), a, nil); err != nil {
		w.t.Fatal(err)
	}
}

// left is what is sealed under the old key.
func (w *sealedWorld) left() int {
	w.t.Helper()
	kept, passing, err := keys.CountOld(w.t.Context(), w, sealer(w.t, w.fresh, w.old), began)
	if err != nil || passing != 0 {
		w.t.Fatalf("CountOld: %d passing, %v", passing, err)
	}
	return kept
}

// opens says whether every secret opens without the old key, and is what it was.
func (w *sealedWorld) opens() {
	w.t.Helper()
	forgotten := sealer(w.t, w.fresh)
	list, err := w.SealedValues(w.t.Context(), store.SealedValue{}, 10000)
	if err != nil {
		w.t.Fatal(err)
	}
	for _, v := range list {
		plain, err := forgotten.Open(v.Sealed, keys.Place{Table: v.Table, Column: v.Column, Row: v.Row, Owner: v.Owner})
		if err != nil || v.Table == "authenticators" && string(plain) != "secret of "+v.Row {
			w.t.Errorf("%s %s: got %q, %v", v.Table, v.Row, plain, err)
		}
	}
}

func TestReseal(t *testing.T) {
	t.Parallel()
	w := newSealedWorld(t, 250)
	if n := w.left(); n != 253 {
		t.Fatalf("%d values under the old key, want 253", n)
	}
	both := sealer(t, w.fresh, w.old)
	if n, err := keys.Reseal(t.Context(), w, both); n != 253 || err != nil {
		t.Errorf("Reseal: %d, %v; want 253", n, err)
	}
	w.opens()
	if n, err := keys.Reseal(t.Context(), w, both); n != 0 || err != nil || w.left() != 0 {
		t.Errorf("again: %d, %v; want none", n, err)
	}
	if err := newNode(t, w, sealer(t, w.fresh), keys.NewPlan(-1, time.Hour)).Start(t.Context()); err != nil {
		t.Errorf("start without the old key: %v", err)
	}
}

// stopping fails after so many batches.
type stopping struct {
	store.Sealed
	batches int
}

var errStopped = errors.New("stopped")

func (s *stopping) ReplaceSealed(ctx context.Context, old []store.SealedValue, fresh [][]byte) (int, error) {
	if len(old) > 100 {
		return 0, fmt.Errorf("a batch of %d", len(old))
	}
	if s.batches--; s.batches < 0 {
		return 0, errStopped
	}
	return s.Sealed.ReplaceSealed(ctx, old, fresh)
}

// TestResealGoesOn: stopped in the middle, what is done is done, and the next one
// does the rest.
func TestResealGoesOn(t *testing.T) {
	t.Parallel()
	w := newSealedWorld(t, 250)
	both := sealer(t, w.fresh, w.old)
	if n, err := keys.Reseal(t.Context(), &stopping{w, 1}, both); n != 100 || !errors.Is(err, errStopped) {
		t.Errorf("got %d, %v; want the first batch and that it was stopped", n, err)
	}
	if n := w.left(); n != 153 {
		t.Errorf("%d values are left, want 153", n)
	}
	if n, err := keys.Reseal(t.Context(), w, both); n != 153 || err != nil {
		t.Errorf("the second time: %d, %v; want 153", n, err)
	}
	w.opens()
}

// meddling changes a value between reading and writing.
type meddling struct {
	*sealedWorld
	change func()
}

func (s *meddling) ReplaceSealed(ctx context.Context, old []store.SealedValue, fresh [][]byte) (int, error) {
	if s.change != nil {
		s.change()
	}
	return s.sealedWorld.ReplaceSealed(ctx, old, fresh)
}

// TestResealLosesNoChange: what another writes meanwhile stays as it was written.
func TestResealLosesNoChange(t *testing.T) {
	t.Parallel()
	w := newSealedWorld(t, 2)
	both := sealer(t, w.fresh, w.old)
	list, err := w.SealedValues(t.Context(), store.SealedValue{}, 1)
	if err != nil {
		t.Fatal(err)
	}
	place := keys.Place{Table: "authenticators", Column: "secret", Row: "a0000", Owner: "u0"}
	theirs := seal(t, both, "secret of a0000", place)
	meddler := &meddling{sealedWorld: w}
	meddler.change = func() {
		meddler.change = nil
		if n, err := w.ReplaceSealed(t.Context(), list, [][]byte{theirs}); n != 1 || err != nil {
			t.Fatal(n, err)
		}
	}
	if n, err := keys.Reseal(t.Context(), meddler, both); n != 4 || err != nil {
		t.Errorf("got %d, %v; want the four that nobody else changed", n, err)
	}
	if list, err = w.SealedValues(t.Context(), store.SealedValue{}, 1); err != nil || string(list[0].Sealed) != string(theirs) {
		t.Errorf("what the other wrote is gone: %v", err)
	}
	w.opens()
}

// TestResealPassesOverWhatDoesNotOpen: one broken value keeps no other from being
// sealed, and is named.
func TestResealPassesOverWhatDoesNotOpen(t *testing.T) {
	t.Parallel()
	w := newSealedWorld(t, 3)
	elsewhere := sealer(t, keys.NewMasterKey())
	w.enroll("a00005", "u9", seal(t, elsewhere, "lost", keys.Place{Table: "authenticators", Column: "secret", Row: "a00005", Owner: "u9"}))
	n, err := keys.Reseal(t.Context(), w, sealer(t, w.fresh, w.old))
	if n != 6 || !errors.Is(err, keys.ErrMasterKey) {
		t.Errorf("got %d, %v; want six, and that one is lost", n, err)
	}
	if w.left() != 0 {
		t.Errorf("%d values keep the old key from being dropped, want none: it does not open the lost one", w.left())
	}
}
