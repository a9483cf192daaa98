package authn_test

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/sallyport-id/sallyport/internal/authn"
	"github.com/sallyport-id/sallyport/internal/keys"
	"github.com/sallyport-id/sallyport/internal/store"
	"github.com/sallyport-id/sallyport/internal/store/sqlstore"
)

// checkRig is a checker with a database and two users, one without a password.
type checkRig struct {
	*authn.Checker
	store *sqlstore.Store
	now   time.Time
}

func newCheckRig(t *testing.T) *checkRig {
	t.Helper()
	db, err := sqlstore.Open(t.Context(), sqlstore.Config{Path: filepath.Join(t.TempDir(), "test.db")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	sealer, err := keys.NewSealer(make([]byte, 32))
	if err != nil {
		t.Fatal(err)
	}
	r := &checkRig{store: db, now: noon}
	hasher := authn.NewHasher(authn.HasherConfig{Memory: 64, Time: 1})
	r.Checker = &authn.Checker{Store: db, Hasher: hasher, Sealer: sealer, ThrottleKey: []byte("k"), MailKey: authn.MailKey("m"), Now: func() time.Time { return r.now }}
	hash, err := hasher.Hash(t.Context(), "right password")
	if err != nil {
		t.Fatal(err)
	}
	for _, u := range []store.User{
		{ID: "mina", Login: "mina", LoginKey: "mina", PasswordHash: hash},
		{ID: "bare", Login: "bare", LoginKey: "bare"},
		{ID: "gone", Login: "gone", LoginKey: "gone", PasswordHash: hash, Disabled: true},
	} {
		if err := db.CreateUser(t.Context(), &u); err != nil {
			t.Fatal(err)
		}
	}
	return r
}

func (r *checkRig) try(t *testing.T, login, password string) error {
	t.Helper()
	in, err := r.CheckPassword(t.Context(), authn.PasswordAttempt{Login: login, Password: password})
	if err == nil {
		err = r.store.SettleAttempt(t.Context(), in.Settle)
	}
	return err
}

// TestRule21UnknownUsersCostTheSame counts hashes: one for everybody, and the
// same answer.
func TestRule21UnknownUsersCostTheSame(t *testing.T) {
	t.Parallel()
	r := newCheckRig(t)
	for _, login := range []string{"mina", "nobody", "bare", "gone", "", "\x00", "mixed аscript"} {
		before := r.Hasher.Calls()
		if err := r.try(t, login, "wrong password"); !errors.Is(err, authn.ErrCredentials) {
			t.Errorf("%q: got %v, want ErrCredentials", login, err)
		}
		if n := r.Hasher.Calls() - before; n != 1 {
			t.Errorf("%q: got %d hashes, want 1", login, n)
		}
	}
	if err := r.try(t, "gone", "right password"); !errors.Is(err, authn.ErrCredentials) {
		t.Errorf("a disabled user with the right password: got %v, want ErrCredentials", err)
	}
	if err := r.try(t, "mina", "right password"); err != nil {
		t.Errorf("got %v", err)
	}
}

// TestAttemptErrorSaysWhose: to the audit log; the answer is the same for all.
func TestAttemptErrorSaysWhose(t *testing.T) {
	t.Parallel()
	r := newCheckRig(t)
	mina, err := r.store.UserByLogin(t.Context(), "mina")
	if err != nil {
		t.Fatal(err)
	}
	for login, want := range map[string]string{"mina": mina.ID, "MINA": mina.ID, "nobody": ""} {
		var attempt *authn.AttemptError
		err := r.try(t, login, "wrong password")
		switch {
		case err == nil || err.Error() != authn.ErrCredentials.Error():
			t.Errorf("%s: got %v, want the words of ErrCredentials", login, err)
		case errors.As(err, &attempt) != (want != ""), want != "" && attempt.UserID != want:
			t.Errorf("%s: got %+v, want user %q", login, attempt, want)
		}
	}
}

// TestRule21BusyCountsNothing: who finds the queue full was not checked and is not
// counted, whether there is such a user or not.
func TestRule21BusyCountsNothing(t *testing.T) {
	t.Parallel()
	r := newCheckRig(t)
	r.Hasher = authn.NewHasher(authn.HasherConfig{Memory: 64, Time: 1, Concurrent: 1, Queue: -1})
	turn, err := r.Hasher.Turn(t.Context(), false)
	if err != nil {
		t.Fatal(err)
	}
	writes := r.store.Writes()
	for range 10 {
		for _, login := range []string{"mina", "nobody", "gone"} {
			if err := r.try(t, login, "wrong password"); !errors.Is(err, authn.ErrBusy) {
				t.Errorf("%s: got %v, want ErrBusy", login, err)
			}
		}
	}
	if n := r.store.Writes() - writes; n != 0 {
		t.Errorf("got %d writes, want none", n)
	}
	turn.End()
	if err := r.try(t, "mina", "right password"); err != nil {
		t.Errorf("afterwards: %v", err)
	}
}

// TestRule12FiftyStrangersThenNobody: however long the waits, strangers get 50
// guesses in a row, and an unknown name is treated alike.
func TestRule12FiftyStrangersThenNobody(t *testing.T) {
	t.Parallel()
	r := newCheckRig(t)
	for _, login := range []string{"mina", "nobody"} {
		accepted := 0
		var throttled *authn.ThrottledError
		for range 200 {
			err := r.try(t, login, fmt.Sprint("guess", accepted))
			if errors.Is(err, authn.ErrCredentials) {
				accepted++
			} else if !errors.As(err, &throttled) {
				t.Fatal(err)
			}
			r.now = r.now.Add(time.Hour)
		}
		if accepted != 50 || !throttled.RetryAt.IsZero() {
			t.Errorf("%s: got %d guesses, then %v, want 50 and no end", login, accepted, throttled.RetryAt)
		}
	}
}

// TestRule12QuietGuessingEnds: whoever guesses a few times, waits until the failures
// seem forgotten and guesses again gets no more than 50 guesses in all, and the same
// answers as for a name that nobody has, which is forgotten indeed.
func TestRule12QuietGuessingEnds(t *testing.T) {
	t.Parallel()
	r := newCheckRig(t)
	answers := map[string][]string{}
	for _, login := range []string{"mina", "nobody", "gone"} {
		r.now = noon
		for range 25 {
			for range 4 {
				answers[login] = append(answers[login], r.try(t, login, "wrong password").Error())
			}
			r.now = r.now.Add(31 * 24 * time.Hour)
			if err := r.store.Sweep(t.Context(), r.now); err != nil {
				t.Fatal(err)
			}
		}
	}
	if !slices.Equal(answers["mina"], answers["nobody"]) || !slices.Equal(answers["gone"], answers["nobody"]) {
		t.Errorf("the answers differ: %q", answers)
	}
	if err := r.try(t, "mina", "right password"); !errors.Is(err, authn.ErrCredentials) {
		t.Errorf("the right password after a hundred guesses: got %v, want ErrCredentials", err)
	}
}

// TestRule12OwnerResetsQuietGuessing by signing in.
func TestRule12OwnerResetsQuietGuessing(t *testing.T) {
	t.Parallel()
	r := newCheckRig(t)
	for range 25 {
		for range 4 {
			if err := r.try(t, "mina", "wrong password"); !errors.Is(err, authn.ErrCredentials) {
				t.Fatal(err)
			}
		}
		r.now = r.now.Add(31 * 24 * time.Hour)
		if err := r.try(t, "mina", "right password"); err != nil {
			t.Fatal(err)
		}
	}
}

// TestRule12SuccessDoesNotResetTheMonth: 300 failures in 30 days, whatever
// succeeds between them.
func TestRule12SuccessDoesNotResetTheMonth(t *testing.T) {
	t.Parallel()
	r := newCheckRig(t)
	wrong := 0
	for range 500 {
		err := r.try(t, "mina", "wrong password")
		var throttled *authn.ThrottledError
		if errors.As(err, &throttled) {
			if want := noon.Add(30 * 24 * time.Hour); !throttled.RetryAt.Equal(want) {
				t.Errorf("retry at: got %v, want %v", throttled.RetryAt, want)
			}
			break
		}
		wrong++
		if wrong%3 == 0 && wrong < 300 {
			if err := r.try(t, "mina", "right password"); err != nil {
				t.Fatal(wrong, err)
			}
		}
	}
	if wrong != 300 {
		t.Errorf("got %d failures in a month, want 300", wrong)
	}
}

// TestRule12CodesAreCountedPerAuthenticator: a hundred wrong codes in a row, in
// however many sessions, and the authenticator takes no more.
func TestRule12CodesAreCountedPerAuthenticator(t *testing.T) {
	t.Parallel()
	r := newCheckRig(t)
	secret := []byte("12345678901234567890")
	sealed, err := r.Sealer.Seal(secret, authn.SecretPlace("a", "mina"))
	if err != nil {
		t.Fatal(err)
	}
	list := []store.Authenticator{{ID: "a", UserID: "mina", Kind: store.KindTOTP, Secret: sealed}}
	accepted := 0
	for range 300 {
		_, _, _, err := r.CheckTOTP(t.Context(), list, "000000")
		if errors.Is(err, authn.ErrCode) {
			accepted++
		}
		r.now = r.now.Add(time.Hour)
	}
	if accepted != 100 {
		t.Errorf("got %d wrong codes, want 100", accepted)
	}
	var throttled *authn.ThrottledError
	if _, _, _, err := r.CheckTOTP(t.Context(), list, authn.TOTPCode(secret, r.now.Unix()/30, 6)); !errors.As(err, &throttled) || !throttled.RetryAt.IsZero() {
		t.Errorf("the right code after that: got %v, want throttled for good", err)
	}
}
