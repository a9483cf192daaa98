package authn_test

import (
	"errors"
	"testing"
	"time"

	"github.com/sallyport-id/sallyport/internal/authn"
	"github.com/sallyport-id/sallyport/internal/store"
)

// TestGuesses: an operator sees what is counted against a user, and lifts it.
func TestGuesses(t *testing.T) {
	t.Parallel()
	r := newCheckRig(t)
	u, err := r.store.User(t.Context(), "mina")
	if err != nil {
		t.Fatal(err)
	}
	secret, err := r.Sealer.Seal(authn.NewTOTPSecret(), authn.SecretPlace("app", "mina"))
	if err != nil {
		t.Fatal(err)
	}
	app := store.Authenticator{ID: "app", UserID: "mina", Kind: store.KindTOTP, Secret: secret}
	list := []store.Authenticator{app}
	guesses := func() []authn.Guesses {
		t.Helper()
		got, err := r.Guesses(t.Context(), u, list)
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	if got := guesses(); len(got) != 0 {
		t.Errorf("got %+v before anything was tried", got)
	}
	for range 50 {
		if err := r.try(t, "mina", "wrong"); !errors.Is(err, authn.ErrCredentials) {
			t.Fatalf("got %v", err)
		}
		r.now = r.now.Add(time.Hour)
	}
	for range 60 { // more than stop a password
		if _, _, _, err := r.CheckTOTP(t.Context(), list, "000000"); !errors.Is(err, authn.ErrCode) {
			t.Fatalf("got %v", err)
		}
		r.now = r.now.Add(time.Hour)
	}
	got := guesses()
	if len(got) != 2 || got[0].Failures != 50 || !got[0].Stopped || got[1].Authenticator != "app" || got[1].Failures != 60 || got[1].Stopped {
		t.Errorf("got %+v, want a stopped password and sixty codes", got)
	}
	if err := r.try(t, "mina", "right password"); err == nil {
		t.Error("the password is right after fifty wrong ones")
	}
	if err := r.Lift(t.Context(), u, list, store.Event{Type: store.EventUserUnlocked}); err != nil {
		t.Fatal(err)
	}
	if got := guesses(); len(got) != 0 {
		t.Errorf("got %+v after it was lifted", got)
	}
	if err := r.try(t, "mina", "right password"); err != nil {
		t.Errorf("the right password after it was lifted: got %v", err)
	}
}

// TestGuessesWithKnownBrowser: a browser of the user's own is counted apart, and
// lifted with the rest.
func TestGuessesWithKnownBrowser(t *testing.T) {
	t.Parallel()
	r := newCheckRig(t)
	u, err := r.store.User(t.Context(), "mina")
	if err != nil {
		t.Fatal(err)
	}
	s := &store.Session{ID: "s", SecretHash: []byte("s"), UserID: "mina", Version: 1, CreatedAt: noon, ExpiresAt: noon.Add(time.Hour)}
	if err := r.store.StartSession(t.Context(), s, "", "", store.Settle{}); err != nil {
		t.Fatal(err)
	}
	f := store.Finish{
		SessionVersion: 1, Grant: &store.Grant{ID: "g", UserID: "mina", SessionID: "s", CreatedAt: noon}, Code: &store.Code{ID: "c", GrantID: "g", SecretHash: []byte("c")},
		KnownBrowser: &store.KnownBrowser{ID: "b", UserID: "mina", CreatedAt: noon}, Now: noon,
	}
	if err := r.store.FinishInteraction(t.Context(), f); err != nil {
		t.Fatal(err)
	}
	at := authn.PasswordAttempt{Login: "mina", Password: "wrong", KnownBrowser: "b"}
	for range 10 {
		if _, err := r.CheckPassword(t.Context(), at); !errors.Is(err, authn.ErrCredentials) {
			t.Fatalf("got %v", err)
		}
		r.now = r.now.Add(time.Hour)
	}
	got, err := r.Guesses(t.Context(), u, nil)
	if err != nil || len(got) != 1 || got[0].KnownBrowser != "b" || !got[0].Stopped {
		t.Errorf("got %+v %v, want the known browser stopped", got, err)
	}
	if err := r.Lift(t.Context(), u, nil); err != nil {
		t.Fatal(err)
	}
	at.Password = "right password"
	if _, err := r.CheckPassword(t.Context(), at); err != nil {
		t.Errorf("after it was lifted: got %v", err)
	}
}
