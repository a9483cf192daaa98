package keys_test

import (
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/sallyport-id/sallyport/internal/keys"
	"github.com/sallyport-id/sallyport/internal/oidc"
	"github.com/sallyport-id/sallyport/internal/store"
)

func pairwise(id, sector string) *oidc.Client {
	return &oidc.Client{ID: id, SubjectType: oidc.SubjectPairwise, Sector: sector}
}

// TestSubjects: one for a user at a sector, which says nothing of the user and is taken
// for nothing else (OpenID Connect Core §8.1).
func TestSubjects(t *testing.T) {
	t.Parallel()
	db, master := openStore(t, filepath.Join(t.TempDir(), "test.db")), keys.NewMasterKey()
	s, err := keys.OpenSubjects(t.Context(), db, sealer(t, master))
	if err != nil {
		t.Fatal(err)
	}
	user, other := store.NewID(), store.NewID()
	shop := s.Of(pairwise("shop", "shop.example"), user)
	if !regexp.MustCompile(`^p\.[A-Za-z0-9_-]{43}$`).MatchString(shop) || strings.Contains(shop, user) {
		t.Errorf("got %q, want p. and 256 bits", shop)
	}
	if got := s.Of(pairwise("till", "shop.example"), user); got != shop {
		t.Errorf("another client of the sector: got %q, want %q", got, shop)
	}
	for what, got := range map[string]string{
		"another sector":         s.Of(pairwise("bank", "bank.example"), user),
		"another user":           s.Of(pairwise("shop", "shop.example"), other),
		"the border moved":       s.Of(pairwise("shop", "shop.example"+user[:1]), user[1:]),
		"a client that is not":   s.Of(&oidc.Client{ID: "web"}, user),
		"another server's users": subjectsOf(t, keys.NewMasterKey()).Of(pairwise("shop", "shop.example"), user),
	} {
		if got == shop {
			t.Errorf("%s: the same subject", what)
		}
	}
	if got := s.Of(&oidc.Client{ID: "web", SubjectType: oidc.SubjectPublic}, user); got != user {
		t.Errorf("public: got %q, want %q", got, user)
	}
	if text := fmt.Sprintf("%v %+v %#v %s", s, *s, s, s); strings.Count(text, "[redacted]") != 4 {
		t.Errorf("printed: %s", text)
	}
	if c := (&oidc.Client{ID: shop, Name: "x"}); c.Validate() == nil {
		t.Error("a client may be called like somebody's subject")
	}
}

func subjectsOf(t *testing.T, master keys.MasterKey) *keys.Subjects {
	t.Helper()
	s, err := keys.OpenSubjects(t.Context(), openStore(t, filepath.Join(t.TempDir(), "test.db")), sealer(t, master))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestSubjectsStay: all processes that start at once have the same, and a new master key
// changes none of them, when the old one is gone as well.
func TestSubjectsStay(t *testing.T) {
	t.Parallel()
	w, shop := newSealedWorld(t, 1), pairwise("shop", "shop.example")
	var starting sync.WaitGroup
	got := make([]string, 16)
	for i := range got {
		starting.Go(func() {
			s, err := keys.OpenSubjects(t.Context(), w, sealer(t, w.old))
			if err != nil {
				t.Error(err)
				return
			}
			got[i] = s.Of(shop, "u0")
		})
	}
	starting.Wait()
	both := sealer(t, w.fresh, w.old)
	if n, err := keys.Reseal(t.Context(), w, both); n != 5 || err != nil { // the TOTP secret, three signing keys and this
		t.Fatalf("resealed %d, %v; want 5", n, err)
	}
	s, err := keys.OpenSubjects(t.Context(), w, sealer(t, w.fresh))
	if err != nil {
		t.Fatal(err)
	}
	for i, sub := range append(got, s.Of(shop, "u0")) {
		if sub != got[0] {
			t.Errorf("process %d: got %q, want %q", i, sub, got[0])
		}
	}
	if _, err := keys.OpenSubjects(t.Context(), w, sealer(t, w.old)); !errors.Is(err, keys.ErrMasterKey) {
		t.Errorf("under the old key alone: got %v, want ErrMasterKey, and no other secret", err)
	}
}
