package keys_test

import (
	"testing"

	"github.com/sallyport-id/sallyport/internal/keys"
	"github.com/sallyport-id/sallyport/internal/store"
)

// A client's secret is of its row and its client: whoever can write to the database gives
// it to no other.
func TestClientSecretStaysWhereItIs(t *testing.T) {
	t.Parallel()
	s := sealer(t, keys.NewMasterKey())
	one, err := s.SealClientSecret("shop", "quiet lantern")
	if err != nil {
		t.Fatal(err)
	}
	two, err := s.SealClientSecret("shop", "loud lantern")
	if err != nil {
		t.Fatal(err)
	}
	if got, err := s.OpenClientSecrets("shop", []store.ClientSecret{one, two}); err != nil || len(got) != 2 || string(got[0]) != "quiet lantern" {
		t.Fatalf("got %d secrets, %v", len(got), err)
	}
	for what, moved := range map[string]struct {
		client string
		row    store.ClientSecret
	}{
		"to another client": {"bank", one},
		"to another row":    {"shop", store.ClientSecret{ID: two.ID, Sealed: one.Sealed}},
	} {
		if got, err := s.OpenClientSecrets(moved.client, []store.ClientSecret{moved.row}); err == nil || got != nil {
			t.Errorf("%s: got %d secrets, want an error", what, len(got))
		}
	}
}
