package sqlstore

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/sallyport-id/sallyport/internal/store"
)

// lockFixture is a user with all that verbs lock.
type lockFixture struct {
	*Store
	now         time.Time
	user        *store.User
	totp, set   store.Authenticator
	key, email  store.Authenticator
	code        []byte
	session     *store.Session
	interaction *store.Interaction
}

func newLockFixture(t *testing.T) lockFixture {
	t.Helper()
	c := postgresConfig(t)
	c.URL += "&application_name=" + store.NewID()
	now := time.Now()
	f := lockFixture{Store: openStore(t, c), now: now, code: []byte("code"), user: &store.User{ID: store.NewID(), LoginKey: "u", Email: "m@example.com", CreatedAt: now}}
	f.totp = store.Authenticator{ID: store.NewID(), UserID: f.user.ID, Kind: store.KindTOTP, Secret: []byte("t"), CreatedAt: now}
	f.set = store.Authenticator{ID: store.NewID(), UserID: f.user.ID, Kind: store.KindRecovery, Secret: []byte("r"), CreatedAt: now}
	f.email = store.Authenticator{ID: store.NewID(), UserID: f.user.ID, Kind: store.KindEmail, Secret: []byte(f.user.Email), CreatedAt: now}
	f.key = store.Authenticator{ID: store.NewID(), UserID: f.user.ID, Kind: store.KindWebAuthn, Secret: []byte("k"), CreatedAt: now,
		Credential: &store.Credential{ID: []byte("k"), Record: []byte("{}"), Alone: true}}
	f.session = &store.Session{ID: store.NewID(), SecretHash: []byte("s"), UserID: f.user.ID, Version: 1, CreatedAt: now, ExpiresAt: now.Add(time.Hour)}
	f.interaction = &store.Interaction{ID: store.NewID(), BrowserHash: []byte("b"), SessionID: f.session.ID, Version: 1, CreatedAt: now, ExpiresAt: now.Add(time.Hour)}
	ctx := t.Context()
	err := errors.Join(f.CreateUser(ctx, f.user), f.CreateAuthenticator(ctx, f.totp, nil), f.CreateAuthenticator(ctx, f.set, [][]byte{f.code}),
		f.CreateAuthenticator(ctx, f.key, nil), f.CreateAuthenticator(ctx, f.email, nil),
		f.update(ctx, exec(`UPDATE users SET may_enroll = 1 WHERE id = $1`, f.user.ID)),
		f.StartSession(ctx, f.session, "", "", store.Settle{}), f.CreateInteraction(ctx, f.interaction))
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// rows are the fixture's, by table, in the order of locks.
func (f lockFixture) rows(table string) step {
	switch table {
	case "users":
		return exec(`SELECT 1 FROM users WHERE id = $1 FOR UPDATE NOWAIT`, f.user.ID)
	case "authenticators":
		return exec(`SELECT 1 FROM authenticators WHERE user_id = $1 FOR UPDATE NOWAIT`, f.user.ID)
	case "recovery_codes":
		return exec(`SELECT 1 FROM recovery_codes WHERE authenticator_id = $1 FOR UPDATE NOWAIT`, f.set.ID)
	case "sessions":
		return exec(`SELECT 1 FROM sessions WHERE user_id = $1 FOR UPDATE NOWAIT`, f.user.ID)
	}
	return exec(`SELECT 1 FROM interactions WHERE id = $1 FOR UPDATE NOWAIT`, f.interaction.ID)
}

func (f lockFixture) proof() store.AddProof {
	return store.AddProof{SessionID: f.session.ID, UserID: f.user.ID, Version: 1, NewSecretHash: []byte("n"), Now: f.now,
		Proof: store.Proof{Method: store.MethodTOTP, At: f.now, UserID: f.user.ID}}
}

func (f lockFixture) useCode(ctx context.Context) error {
	return f.UseRecoveryCode(ctx, f.set.ID, f.code, f.proof())
}

func (f lockFixture) useStep(ctx context.Context) error {
	return f.UseTOTPStep(ctx, f.totp.ID, 1, f.proof())
}

func (f lockFixture) useAssertion(ctx context.Context) error {
	return f.UseAssertion(ctx, store.Assertion{Authenticator: f.key.ID, Credential: *f.key.Credential, Proof: f.proof(), Interaction: *f.interaction})
}

func (f lockFixture) useMailCode(ctx context.Context) error {
	return f.UseMailCode(ctx, store.MailCodeUse{Authenticator: f.email.ID, Address: f.user.Email, Proof: f.proof(), Interaction: *f.interaction})
}

func (f lockFixture) signIn(ctx context.Context) error {
	s := *f.session
	s.ID, s.SecretHash = store.NewID(), []byte("n")
	return f.StartWithAssertion(ctx, store.SignIn{Authenticator: f.key.ID, Credential: *f.key.Credential, Session: &s, Replaces: f.session.ID, Interaction: *f.interaction})
}

func (f lockFixture) enroll(ctx context.Context) error {
	totp, set := f.totp, f.set
	totp.ID, set.ID = store.NewID(), store.NewID()
	return f.EnrollFirst(ctx, store.Enrollment{Authenticator: totp, Recovery: set, CodeHashes: [][]byte{f.code}, Proof: f.proof(), Interaction: *f.interaction})
}

func (f lockFixture) replace(ctx context.Context) error {
	set := f.set
	set.ID = store.NewID()
	return f.ReplaceRecoveryCodes(ctx, set, [][]byte{f.code})
}

func (f lockFixture) disable(ctx context.Context) error { return f.DisableUser(ctx, f.user.ID, f.now) }
func (f lockFixture) remove(ctx context.Context) error  { return f.RemoveUser(ctx, f.user.ID, f.now) }
func (f lockFixture) revoke(ctx context.Context) error {
	return f.RevokeUser(ctx, f.user.ID, "", f.now)
}
func (f lockFixture) reset(ctx context.Context) error {
	l := &store.Link{ID: store.NewID(), SecretHash: []byte("l"), UserID: f.user.ID, Purpose: store.LinkInvitation, ExpiresAt: f.now.Add(time.Hour)}
	return f.ResetUser(ctx, l, false, f.now)
}
func (f lockFixture) end(ctx context.Context) error { return f.EndSession(ctx, f.session.ID, f.now) }

// lockOrder is the first part of the order of locks.
var lockOrder = []string{"users", "authenticators", "recovery_codes", "sessions", "interactions"}

// TestLocksInOrder: a verb that waits for a row holds none that comes later in the
// order of locks. So no two verbs can wait for each other.
func TestLocksInOrder(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		verb  func(lockFixture, context.Context) error
		waits []string // for rows of these tables
	}{
		"UseRecoveryCode":      {lockFixture.useCode, []string{"users", "authenticators", "recovery_codes", "sessions"}},
		"UseTOTPStep":          {lockFixture.useStep, []string{"authenticators", "sessions"}},
		"UseAssertion":         {lockFixture.useAssertion, []string{"authenticators", "sessions", "interactions"}},
		"UseMailCode":          {lockFixture.useMailCode, []string{"authenticators", "sessions", "interactions"}},
		"StartWithAssertion":   {lockFixture.signIn, []string{"authenticators", "sessions", "interactions"}},
		"EnrollFirst":          {lockFixture.enroll, []string{"users", "authenticators", "sessions", "interactions"}},
		"ReplaceRecoveryCodes": {lockFixture.replace, []string{"authenticators"}},
		"RemoveUser":           {lockFixture.remove, []string{"users", "authenticators", "sessions"}},
		"ResetUser":            {lockFixture.reset, []string{"users", "authenticators", "sessions"}},
		"DisableUser":          {lockFixture.disable, []string{"users", "sessions"}},
		"RevokeUser":           {lockFixture.revoke, []string{"users", "sessions"}},
		"EndSession":           {lockFixture.end, []string{"sessions"}},
	} {
		for _, table := range c.waits {
			t.Run(name+" waits for "+table, func(t *testing.T) {
				t.Parallel()
				checkLocks(t, newLockFixture(t), c.verb, table)
			})
		}
	}
}

func checkLocks(t *testing.T, f lockFixture, verb func(lockFixture, context.Context) error, table string) {
	t.Helper()
	answer := make(chan error, 1)
	err := f.update(t.Context(), f.rows(table), func(*tx) error {
		go func() { answer <- verb(f, context.Background()) }()
		waitForWaiter(t, f.Store)
		var errs error
		for _, later := range lockOrder[slices.Index(lockOrder, table)+1:] {
			errs = errors.Join(errs, f.update(t.Context(), f.rows(later)))
		}
		return errs
	})
	if err := errors.Join(err, <-answer); err != nil {
		t.Error(err)
	}
}

// waitForWaiter returns when a connection of the store waits for a lock.
func waitForWaiter(t *testing.T, s *Store) {
	t.Helper()
	for range 1000 {
		n := 0
		err := s.row(t.Context(), `SELECT count(*) FROM pg_stat_activity
			WHERE application_name = current_setting('application_name') AND wait_event_type = 'Lock'`, nil, &n)
		if err != nil {
			t.Error(err)
		}
		if n > 0 {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
	t.Error("nobody waits")
}
